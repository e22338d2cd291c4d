//! Measures one node on one directory: the latency of a small synced packet and of a small cached read, and the
//! throughput of streaming. `cargo run --release -p granary-datanode --example measure -- DIR`

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use granary_datanode::{Components, Config, Datanode, SystemClock, VolumeConfig};
use granary_protocol::block::{BLOCK_BYTES_MAX, BlockKind, DatanodeEndpoint, Extent, Media};
use granary_protocol::checksum::crc32c;
use granary_protocol::datanode::*;
use granary_protocol::namenode::{NamenodeReply, NamenodeRequest, NamenodeService};
use granary_protocol::token::{AccessMode, BlockKey, BlockToken};
use granary_protocol::*;
use tokio_util::sync::CancellationToken;

const GEN: GenerationStamp = GenerationStamp(1);
const SMALL: usize = 4096;
const SMALL_ROUNDS: u64 = 2000;
const READ_ROUNDS: u64 = 50_000;
const STREAM_BYTES: usize = 64 << 20;
const STREAM_ROUNDS: u64 = 5;

fn key() -> BlockKey {
    BlockKey { id: 1, secret: [1; 32], expires: UnixMillis(u64::MAX) }
}

struct Keys;

impl NamenodeService for Keys {
    fn call(&self, request: NamenodeRequest) -> BoxFuture<'_, Result<NamenodeReply, Failure>> {
        let reply = match request {
            NamenodeRequest::RegisterDatanode { .. } => {
                NamenodeReply::Registered { cluster: "measure".into(), keys: vec![key()] }
            }
            NamenodeRequest::Heartbeat { .. } => {
                NamenodeReply::Heartbeat { keys: vec![], commands: vec![], register_again: false }
            }
            _ => NamenodeReply::Done,
        };
        std::future::ready(Ok(reply)).boxed()
    }
}

struct Alone;

impl DatanodeConnector for Alone {
    fn datanode(&self, _: &DatanodeEndpoint) -> Arc<dyn DatanodeService> {
        unreachable!("every pipeline here has this node's volumes only")
    }
}

fn token(block: BlockId, mode: AccessMode) -> BlockToken {
    let extent = Extent { block, offset: 0, length: BLOCK_BYTES_MAX };
    BlockToken::sign(&key(), extent, GEN, mode, UnixMillis(u64::MAX))
}

async fn open(node: &Datanode, block: u64, kind: BlockKind, members: usize) -> Result<WriteStream, Failure> {
    let block = BlockId(block);
    let pipeline = node.volume_ids().into_iter().take(members).map(|volume| node.location(volume)).collect();
    let token = token(block, AccessMode::Write);
    node.write(WriteBlock { block, generation: GEN, kind, pipeline, token }).await
}

fn show(what: &str, mut times: Vec<Duration>) {
    times.sort();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
    println!("{what:<44} p50 {:>10.1?}  p99 {:>10.1?}", at(0.5), at(0.99));
}

fn baseline(directory: &std::path::Path) -> std::io::Result<()> {
    use std::os::unix::fs::FileExt;
    let path = directory.join("baseline");
    let file = std::fs::File::create(&path)?;
    rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, 16 << 20)?;
    file.sync_all()?;
    let data = vec![7u8; SMALL];
    let mut times = Vec::new();
    for round in 0..SMALL_ROUNDS {
        let started = Instant::now();
        file.write_all_at(&data, round * SMALL as u64)?;
        file.sync_data()?;
        times.push(started.elapsed());
    }
    show("bare pwrite + fdatasync, 4 KiB, preallocated", times);
    let mut times = Vec::new();
    let big = vec![7u8; 1 << 20];
    for _ in 0..STREAM_ROUNDS {
        let file = std::fs::File::create(&path)?;
        let started = Instant::now();
        for offset in (0..STREAM_BYTES).step_by(1 << 20) {
            file.write_all_at(&big, offset as u64)?;
        }
        file.sync_data()?;
        times.push(started.elapsed());
    }
    show("bare write + fdatasync, 64 MiB", times);
    std::fs::remove_file(path)
}

async fn small_synced(node: &Datanode, block: u64, members: usize) -> Result<(), Failure> {
    let mut stream = open(node, block, BlockKind::Packed, members).await?;
    let data = Bytes::from(vec![7u8; SMALL]);
    let data_crc = crc32c(&data);
    let mut times = Vec::new();
    for sequence in 0..SMALL_ROUNDS {
        let started = Instant::now();
        let offset = (sequence as usize * SMALL) as u32;
        stream.packets.send(Packet { sequence, offset, sync: true, last: false, data_crc, data: data.clone() }).await?;
        stream.acks.next().await?;
        times.push(started.elapsed());
    }
    show(&format!("4 KiB synced packet, {members} replica(s)"), times);
    Ok(())
}

async fn small_read(node: &Datanode, block: u64) -> Result<(), Failure> {
    let volume = node.volume_ids()[0];
    let mut times = Vec::new();
    for round in 0..READ_ROUNDS {
        let offset = (round * 7919 % SMALL_ROUNDS) as u32 * SMALL as u32 % (STREAM_BYTES as u32 - SMALL as u32) + 32;
        let token = token(BlockId(block), AccessMode::Read);
        let signed = Instant::now();
        let request = ReadBlock { volume, generation: GEN, offset, length: SMALL as u32 - 64, token };
        let mut stream = node.read(request).await?;
        stream.next().await?;
        times.push(signed.elapsed());
    }
    show("4 KiB cached read", times);
    Ok(())
}

async fn streaming(node: &Datanode, members: usize, first_block: u64) -> Result<(), Failure> {
    let data = Bytes::from(vec![7u8; PACKET_BYTES_MAX]);
    let data_crc = crc32c(&data);
    let mut times = Vec::new();
    for round in 0..STREAM_ROUNDS {
        let started = Instant::now();
        let WriteStream { mut packets, mut acks } = open(node, first_block + round, BlockKind::Owned, members).await?;
        let count = (STREAM_BYTES / PACKET_BYTES_MAX) as u64;
        let sending = async {
            for sequence in 0..count {
                let (offset, last) = ((sequence as usize * PACKET_BYTES_MAX) as u32, sequence + 1 == count);
                packets.send(Packet { sequence, offset, sync: last, last, data_crc, data: data.clone() }).await?;
            }
            Ok::<(), Failure>(())
        };
        let receiving = async {
            for _ in 0..count {
                acks.next().await?;
            }
            Ok(())
        };
        tokio::try_join!(sending, receiving)?;
        times.push(started.elapsed());
    }
    show(&format!("64 MiB written and finalized, {members} replica(s)"), times);
    let mut times = Vec::new();
    for round in 0..STREAM_ROUNDS {
        let started = Instant::now();
        let token = token(BlockId(first_block + round), AccessMode::Read);
        let volume = node.volume_ids()[0];
        let request = ReadBlock { volume, generation: GEN, offset: 0, length: STREAM_BYTES as u32, token };
        let mut stream = node.read(request).await?;
        let mut bytes = 0;
        while let Some(piece) = stream.next().await? {
            bytes += piece.len();
        }
        assert_eq!(bytes, STREAM_BYTES);
        times.push(started.elapsed());
    }
    show("64 MiB read, from the page cache", times);
    Ok(())
}

#[tokio::main]
async fn main() {
    let directory = std::path::PathBuf::from(std::env::args().nth(1).expect("usage: measure DIR"));
    std::fs::create_dir_all(&directory).expect("the directory can be made");
    baseline(&directory).expect("the directory can be written");
    let volumes = ["a", "b", "c"].map(|name| VolumeConfig { path: directory.join(name), media: Media::Ssd }).to_vec();
    let config = Config { reserved_bytes: Some(0), ..Config::new("measure".into(), volumes) };
    let components =
        Components { clock: Arc::new(SystemClock), namenodes: vec![Arc::new(Keys)], connector: Arc::new(Alone) };
    let started = Instant::now();
    let node = Datanode::start(config, components, CancellationToken::new()).await.expect("the node starts");
    println!("started in {:?}", started.elapsed());
    while !node.ready() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let measured = async {
        small_synced(&node, 1, 1).await?;
        small_synced(&node, 2, 3).await?;
        streaming(&node, 1, 100).await?;
        small_read(&node, 100).await?;
        streaming(&node, 3, 200).await
    };
    measured.await.expect("every request is answered");
    node.stop().await;
}
