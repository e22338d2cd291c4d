//! Reading: ranges, tokens, and damage that must never be handed out.

use granary_protocol::block::BlockKind::{Owned, Packed};
use granary_protocol::block::{BLOCK_BYTES_MAX, Extent};
use granary_protocol::datanode::{DatanodeReply, DatanodeRequest, DatanodeService, ReadBlock, WriteBlock};
use granary_protocol::namenode::ReplicaChange;
use granary_protocol::token::{AccessMode, BlockKey, BlockToken};
use granary_protocol::*;

use crate::support::*;

#[tokio::test(flavor = "multi_thread")]
async fn every_range_is_what_was_written() {
    let cluster = Cluster::new();
    let node = cluster.node(&["a"]).await;
    let volume = node.volume_ids()[0];
    let small = pattern(1700);
    write(&node, BlockId(1), Packed, pipeline(&node), &small).await;
    for start in (0..1700).step_by(37) {
        for end in (start + 1..=1700).step_by(41) {
            let bytes = read(&node, volume, BlockId(1), start, end - start).await.unwrap();
            assert_eq!(bytes, small[start as usize..end as usize]);
        }
    }
    let large = pattern(3 << 20);
    write(&node, BlockId(2), Owned, pipeline(&node), &large).await;
    for (start, length) in [(0, 3 << 20), (1, (3 << 20) - 2), (511, 2 << 20), (513, (1 << 20) + 1), (200_000, 131_073)]
    {
        let bytes = read(&node, volume, BlockId(2), start, length).await.unwrap();
        assert!(bytes == large[start as usize..(start + length) as usize]);
    }
    assert!(node.metrics().reads_cached.get() > 0, "small reads of fresh data come from memory");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_flipped_bit_is_seen_and_the_replica_goes_out_of_service() {
    let cluster = Cluster::new();
    let node = cluster.node(&["a"]).await;
    let volume = node.volume_ids()[0];
    let data = pattern(600);
    // Data and checksums alike: neither may be wrong unseen.
    let mut block = BlockId(0);
    for (ending, bits) in [(".o", 600 * 8), (".o.crc", (16 + 8) * 8)] {
        for bit in (0..bits).step_by(if ending == ".o" { 13 } else { 1 }) {
            let in_header = ending == ".o.crc" && bit < 16 * 8;
            if in_header {
                continue;
            }
            block = BlockId(block.0 + 1);
            write(&node, block, Owned, pipeline(&node), &data).await;
            let name = format!("blk_{}_1{ending}", block.0);
            let path = files(&cluster.path("a"), &name).pop().unwrap();
            let mut bytes = std::fs::read(&path).unwrap();
            bytes[bit / 8] ^= 1 << (bit % 8);
            std::fs::write(&path, &bytes).unwrap();
            let failure = read(&node, volume, block, 0, 600).await.unwrap_err();
            assert_eq!(failure.code, ErrorCode::CorruptReplica, "{name} bit {bit}");
            let gone = read(&node, volume, block, 0, 600).await.unwrap_err();
            assert_eq!(gone.code, ErrorCode::ReplicaNotFound);
        }
    }
    let corrupt = |told: &Told| told.changes.contains(&ReplicaChange::Corrupt(volume, block, GEN));
    cluster.namenode.wait("report of the corrupt replica", corrupt).await;
    assert_eq!(node.metrics().replicas_corrupt.get(), block.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_elsewhere_in_a_replica_does_not_stop_a_reader_of_good_chunks() {
    let cluster = Cluster::new();
    let node = cluster.node(&["a"]).await;
    let (volume, block) = (node.volume_ids()[0], BlockId(1));
    let data = pattern(5000);
    write(&node, block, Owned, pipeline(&node), &data).await;
    let path = files(&cluster.path("a"), ".o").pop().unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[1024] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    assert_eq!(read(&node, volume, block, 0, 1024).await.unwrap(), data[..1024]);
    assert_eq!(read(&node, volume, block, 1536, 3464).await.unwrap(), data[1536..]);
    let verify = DatanodeRequest::Verify { volume, token: token(block, AccessMode::Copy) };
    assert_eq!(node.call(verify).await.unwrap_err().code, ErrorCode::CorruptReplica);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_was_cut_short_is_corrupt() {
    let cluster = Cluster::new();
    let node = cluster.node(&["a"]).await;
    let (volume, block) = (node.volume_ids()[0], BlockId(1));
    write(&node, block, Owned, pipeline(&node), &pattern(5000)).await;
    let path = files(&cluster.path("a"), ".o").pop().unwrap();
    std::fs::File::options().write(true).open(path).unwrap().set_len(4999).unwrap();
    assert_eq!(read(&node, volume, block, 4990, 10).await.unwrap_err().code, ErrorCode::CorruptReplica);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_done_without_the_right_token() {
    let cluster = Cluster::new();
    let node = cluster.node(&["a"]).await;
    let (volume, block) = (node.volume_ids()[0], BlockId(1));
    write(&node, block, Packed, pipeline(&node), &pattern(5000)).await;
    let sign = |offset, length, mode, expires| {
        BlockToken::sign(&key(), Extent { block, offset, length }, GEN, mode, UnixMillis(expires))
    };
    let unknown = BlockKey { id: 9, ..key() };
    let whole = Extent { block, offset: 0, length: BLOCK_BYTES_MAX };
    let refused = [
        sign(100, 100, AccessMode::Read, u64::MAX),
        sign(0, 5000, AccessMode::Read, 1),
        sign(0, 5000, AccessMode::Write, u64::MAX),
        sign(0, 5000, AccessMode::Copy, u64::MAX),
        BlockToken { mac: [0; 32], ..sign(0, 5000, AccessMode::Read, u64::MAX) },
        BlockToken::sign(&unknown, whole, GEN, AccessMode::Read, UnixMillis(u64::MAX)),
    ];
    for token in refused {
        let request = ReadBlock { volume, generation: GEN, offset: 0, length: 5000, token };
        assert_eq!(read_as(&node, request).await.unwrap_err().code, ErrorCode::InvalidToken);
    }
    let exact = sign(100, 100, AccessMode::Read, u64::MAX);
    let request = ReadBlock { volume, generation: GEN, offset: 100, length: 100, token: exact };
    assert_eq!(read_as(&node, request).await.unwrap(), pattern(5000)[100..200]);

    let write_with = |token| node.write(WriteBlock { token, ..write_request(BlockId(2), Owned, pipeline(&node)) });
    for token in [token(BlockId(2), AccessMode::Read), token(BlockId(3), AccessMode::Write)] {
        assert_eq!(write_with(token).await.err().unwrap().code, ErrorCode::InvalidToken);
    }
    let newer = token_at(BlockId(2), GenerationStamp(2), AccessMode::Write);
    assert_eq!(write_with(newer).await.err().unwrap().code, ErrorCode::InvalidToken);
    let verify = DatanodeRequest::Verify { volume, token: token(block, AccessMode::Read) };
    assert_eq!(node.call(verify).await.unwrap_err().code, ErrorCode::InvalidToken);
    let finalize = |token| DatanodeRequest::Finalize { volume, generation: GEN, length: 10, kind: Packed, token };
    let refused = node.call(finalize(token(block, AccessMode::Copy))).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::InvalidToken);
    let good = DatanodeRequest::Verify { volume, token: token(block, AccessMode::Copy) };
    assert_eq!(node.call(good).await, Ok(DatanodeReply::Verified { length: 5000 }));
}
