//! Members of coded groups, made from others.

use granary_protocol::block::{BlockKind, Extent, LocatedBlock, ReplicaLocation};
use granary_protocol::erasure::{Code, SimdField};
use granary_protocol::namenode::{DatanodeCommand, ReplicaChange};
use granary_protocol::redundancy::{CodingJob, CodingSource, CodingTarget};
use granary_protocol::token::AccessMode;
use granary_protocol::*;

use crate::support::*;

const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];
const MIB: usize = 1 << 20;

fn source(place: u8, at: &ReplicaLocation, length: usize) -> CodingSource {
    let block = BlockId(u64::from(place) + 1);
    let replicas = vec![at.clone()];
    let token = token(block, AccessMode::Read);
    CodingSource { place, located: LocatedBlock { block, generation: GEN, length: length as u32, replicas, token } }
}

fn target(place: u8, kind: BlockKind, to: &ReplicaLocation, length: usize) -> CodingTarget {
    let block = BlockId(u64::from(place) + 1);
    let (length, to) = (length as u32, to.clone());
    CodingTarget { place, block, kind, generation: GEN, length, to, token: token(block, AccessMode::Copy) }
}

fn parity(data: &[Vec<u8>], count: u8) -> Vec<Vec<u8>> {
    let longest = data.iter().map(Vec::len).max().unwrap();
    let mut made = vec![vec![0; longest]; usize::from(count)];
    let inputs: Vec<&[u8]> = data.iter().map(Vec::as_slice).collect();
    let mut outputs: Vec<&mut [u8]> = made.iter_mut().map(Vec::as_mut_slice).collect();
    let places: Vec<u8> = (0..data.len() as u8).collect();
    let wanted: Vec<u8> = (data.len() as u8..data.len() as u8 + count).collect();
    let code = Code::new(data.len() as u8, count).unwrap();
    code.combination(&places, &wanted).unwrap().apply(&SimdField, &inputs, &mut outputs);
    made
}

/// Blocks 1 to 4 on the first four of six volumes.
async fn written(cluster: &Cluster, lengths: [usize; 4]) -> (granary_datanode::Datanode, Vec<Vec<u8>>) {
    let node = cluster.node(&NAMES).await;
    let mut data = Vec::new();
    for (place, length) in lengths.into_iter().enumerate() {
        let bytes = pattern(length + place)[place..].to_vec();
        let block = BlockId(place as u64 + 1);
        write(&node, block, BlockKind::Owned, vec![pipeline(&node)[place].clone()], &bytes).await;
        data.push(bytes);
    }
    (node, data)
}

#[tokio::test(flavor = "multi_thread")]
async fn parity_is_computed_and_a_lost_member_made_from_it() {
    let cluster = Cluster::new();
    let lengths = [3 * MIB + 17, 3 * MIB + 17, MIB, 5];
    let (node, data) = written(&cluster, lengths).await;
    let at = pipeline(&node);
    let longest = lengths[0];
    let job = CodingJob {
        data: 4,
        parity: 2,
        sources: (0..4u8).map(|place| source(place, &at[usize::from(place)], lengths[usize::from(place)])).collect(),
        targets: (4..6u8).map(|p| target(p, BlockKind::Parity, &at[usize::from(p)], longest)).collect(),
    };
    for _repeated in 0..2 {
        cluster.namenode.order(DatanodeCommand::Code { volume: at[4].volume, job: Box::new(job.clone()) });
    }
    for (place, expected) in [4u64, 5].into_iter().zip(parity(&data, 2)) {
        let key = (at[place as usize].volume, BlockId(place + 1));
        cluster.namenode.wait("report of the parity", |told| told.replicas.contains_key(&key)).await;
        assert!(read(&node, key.0, key.1, 0, longest as u32).await.unwrap() == expected, "parity {place}");
    }
    // Two data members go; what is made of them goes to each other's volume.
    for place in [0, 2] {
        let replicas = vec![(BlockId(place as u64 + 1), GEN)];
        cluster.namenode.order(DatanodeCommand::Remove { volume: at[place].volume, replicas });
        let key = (at[place].volume, BlockId(place as u64 + 1));
        cluster.namenode.wait("report of the removal", |told| !told.replicas.contains_key(&key)).await;
    }
    let left = [(1u8, lengths[1]), (3, lengths[3]), (4, longest), (5, longest)];
    let job = CodingJob {
        data: 4,
        parity: 2,
        sources: left.iter().map(|(place, length)| source(*place, &at[usize::from(*place)], *length)).collect(),
        targets: vec![target(0, BlockKind::Owned, &at[2], lengths[0]), target(2, BlockKind::Owned, &at[0], lengths[2])],
    };
    cluster.namenode.order(DatanodeCommand::Code { volume: at[2].volume, job: Box::new(job) });
    for (place, volume) in [(0usize, at[2].volume), (2, at[0].volume)] {
        let block = BlockId(place as u64 + 1);
        cluster.namenode.wait("report of the member", |told| told.replicas.contains_key(&(volume, block))).await;
        assert!(read(&node, volume, block, 0, lengths[place] as u32).await.unwrap() == data[place], "member {place}");
    }
    assert_eq!(node.metrics().members_coded.get(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_whose_source_is_damaged_fails_whole_and_says_so() {
    let cluster = Cluster::new();
    let lengths = [2 * MIB, 2 * MIB, 2 * MIB, 2 * MIB];
    let (node, _) = written(&cluster, lengths).await;
    let at = pipeline(&node);
    let path = files(&cluster.path("c"), ".o").pop().unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[MIB + 1] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let job = CodingJob {
        data: 4,
        parity: 2,
        sources: (0..4u8).map(|place| source(place, &at[usize::from(place)], 2 * MIB)).collect(),
        targets: (4..6u8).map(|p| target(p, BlockKind::Parity, &at[usize::from(p)], 2 * MIB)).collect(),
    };
    let volume = at[4].volume;
    cluster.namenode.order(DatanodeCommand::Code { volume, job: Box::new(job) });
    for block in [5, 6].map(BlockId) {
        let failed = ReplicaChange::CopyFailed(volume, block, GEN);
        cluster.namenode.wait("report of the failure", |told| told.changes.contains(&failed)).await;
    }
    let corrupt = ReplicaChange::Corrupt(at[2].volume, BlockId(3), GEN);
    cluster.namenode.wait("report of the damage", |told| told.changes.contains(&corrupt)).await;
    let extent = Extent { block: BlockId(5), offset: 0, length: 1 };
    let request = read_request(at[4].volume, extent.block, extent.offset, extent.length);
    assert!(read_as(&node, request).await.is_err(), "half a member is not served");
}
