//! Measures coding: the arithmetic alone, the library's own encoder and decoder, and whole jobs between nine volumes.
//! `cargo run --release -p granary-datanode --example coding -- DIR [BLOCK_MIB] [ROUNDS]`
//!
//! Speeds are bytes of data members per second: six blocks are coded, three are rebuilt from six. Blocks are in the page cache
//! when they are read. Jobs verify every byte read, write through pipelines and sync what they wrote, so the bare write
//! of as many bytes to the same directory is shown beside them.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use granary_datanode::{Components, Config, Datanode, SystemClock, VolumeConfig};
use granary_protocol::block::*;
use granary_protocol::checksum::crc32c;
use granary_protocol::datanode::*;
use granary_protocol::erasure::{Code, Field, SimdField};
use granary_protocol::namenode::*;
use granary_protocol::redundancy::{CodingJob, CodingSource, CodingTarget};
use granary_protocol::token::{AccessMode, BlockKey, BlockToken};
use granary_protocol::*;
use rustfs_erasure_codec::galois_8::ReedSolomon;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

const GEN: GenerationStamp = GenerationStamp(1);
const DATA: usize = 6;
const PARITY: usize = 3;
const MEMORY_ROUNDS: usize = 40;

fn key() -> BlockKey {
    BlockKey { id: 1, secret: [1; 32], expires: UnixMillis(u64::MAX) }
}

fn token(block: u64, mode: AccessMode) -> BlockToken {
    let extent = Extent { block: BlockId(block), offset: 0, length: BLOCK_BYTES_MAX };
    BlockToken::sign(&key(), extent, GEN, mode, UnixMillis(u64::MAX))
}

/// Hands out orders and hears of what was finalized.
#[derive(Default)]
struct Orders {
    waiting: Mutex<Vec<DatanodeCommand>>,
    finalized: Mutex<Vec<BlockId>>,
    heard: Notify,
}

impl NamenodeService for Orders {
    fn call(&self, request: NamenodeRequest) -> BoxFuture<'_, Result<NamenodeReply, Failure>> {
        let reply = match request {
            NamenodeRequest::RegisterDatanode { .. } => {
                NamenodeReply::Registered { cluster: "measure".into(), keys: vec![key()] }
            }
            NamenodeRequest::Heartbeat { .. } => {
                let commands = std::mem::take(&mut *self.waiting.lock().unwrap());
                NamenodeReply::Heartbeat { keys: vec![], commands, register_again: false }
            }
            NamenodeRequest::ReplicasChanged { changes, .. } => {
                for change in changes {
                    match change {
                        ReplicaChange::Finalized(_, replica) => self.finalized.lock().unwrap().push(replica.block),
                        ReplicaChange::CopyFailed(..) | ReplicaChange::Corrupt(..) => panic!("{change:?}"),
                        ReplicaChange::Removed(..) | ReplicaChange::Measured(..) => {}
                    }
                }
                self.heard.notify_one();
                NamenodeReply::Done
            }
            _ => NamenodeReply::Done,
        };
        std::future::ready(Ok(reply)).boxed()
    }
}

struct Alone;

impl DatanodeConnector for Alone {
    fn datanode(&self, _: &DatanodeEndpoint) -> Arc<dyn DatanodeService> {
        unreachable!("every volume here is this node's own")
    }
}

fn pattern(seed: u64, length: usize) -> Vec<u8> {
    let mut word = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        word ^= word << 13;
        word ^= word >> 7;
        word ^= word << 17;
        bytes.extend_from_slice(&word.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

fn show(what: &str, bytes: usize, mut times: Vec<Duration>) {
    times.sort();
    let median = times[times.len() / 2];
    println!("{what:<52} {:>8.2} GB/s  ({median:.1?})", bytes as f64 / median.as_secs_f64() / 1e9);
}

fn timed(rounds: usize, mut work: impl FnMut()) -> Vec<Duration> {
    let time = |_| {
        let started = Instant::now();
        work();
        started.elapsed()
    };
    (0..rounds).map(time).collect()
}

/// In memory, a mebibyte of every member at a time.
fn in_memory() {
    let length = 1 << 20;
    let data: Vec<Vec<u8>> = (1..=DATA as u64).map(|seed| pattern(seed, length)).collect();
    let inputs: Vec<&[u8]> = data.iter().map(Vec::as_slice).collect();
    let mut parity = vec![vec![0u8; length]; PARITY];
    println!("instruction set: {}", SimdField.name());
    let library = ReedSolomon::new(DATA, PARITY).unwrap();
    show(
        "library, encode 6+3",
        DATA * length,
        timed(MEMORY_ROUNDS, || library.encode_sep(&data, &mut parity).unwrap()),
    );
    let reference = parity.clone();
    let mut shards: Vec<Option<Vec<u8>>> = data.iter().chain(&reference).cloned().map(Some).collect();
    let rebuild = timed(MEMORY_ROUNDS, || {
        shards[..PARITY].iter_mut().for_each(|shard| *shard = None);
        library.reconstruct(&mut shards).unwrap();
    });
    show("library, rebuild 3 data members", DATA * length, rebuild);
    let code = Code::new(DATA as u8, PARITY as u8).unwrap();
    let encode = code.combination(&[0, 1, 2, 3, 4, 5], &[6, 7, 8]).unwrap();
    let mut outputs: Vec<&mut [u8]> = parity.iter_mut().map(Vec::as_mut_slice).collect();
    show("ours, encode 6+3", DATA * length, timed(MEMORY_ROUNDS, || encode.apply(&SimdField, &inputs, &mut outputs)));
    assert!(parity == reference, "the same parity bytes");
    let rebuild = code.combination(&[3, 4, 5, 6, 7, 8], &[0, 1, 2]).unwrap();
    let left: Vec<&[u8]> = inputs[3..].iter().copied().chain(reference.iter().map(Vec::as_slice)).collect();
    let mut outputs: Vec<&mut [u8]> = parity.iter_mut().map(Vec::as_mut_slice).collect();
    let times = timed(MEMORY_ROUNDS, || rebuild.apply(&SimdField, &left, &mut outputs));
    show("ours, rebuild 3 data members", DATA * length, times);
}

async fn write(node: &Datanode, block: u64, volume: usize, bytes: &[u8]) {
    let pipeline = vec![node.location(node.volume_ids()[volume])];
    let (kind, token) = (BlockKind::Owned, token(block, AccessMode::Write));
    let request = WriteBlock { block: BlockId(block), generation: GEN, kind, pipeline, token };
    let mut stream = node.write(request).await.unwrap();
    let pieces = bytes.chunks(PACKET_BYTES_MAX).map(Bytes::copy_from_slice).chain([Bytes::new()]);
    let mut offset = 0;
    for (sequence, data) in (0..).zip(pieces) {
        let last = data.is_empty();
        let length = data.len() as u32;
        let packet = Packet { sequence, offset, sync: last, last, data_crc: crc32c(&data), data };
        stream.packets.send(packet).await.unwrap();
        stream.acks.next().await.unwrap();
        offset += length;
    }
}

fn bare_write(directory: &Path, length: usize) -> Duration {
    use std::io::Write;
    let bytes = pattern(9, 1 << 20);
    let started = Instant::now();
    for number in 0..PARITY {
        let path = directory.join(format!("bare-{number}"));
        let mut file = std::fs::File::create(&path).unwrap();
        (0..length >> 20).for_each(|_| file.write_all(&bytes).unwrap());
        file.sync_data().unwrap();
        std::fs::remove_file(path).unwrap();
    }
    started.elapsed()
}

async fn job(orders: &Orders, node: &Datanode, sources: &[(u64, u8)], targets: &[(u64, u8, usize)], length: usize) {
    let at = |volume: usize| node.location(node.volume_ids()[volume]);
    let source = |(block, place): &(u64, u8)| {
        let volume = if *place < 6 { usize::from(*place) } else { 6 + (usize::from(*place) - 6) };
        let located = LocatedBlock {
            block: BlockId(*block),
            generation: GEN,
            length: length as u32,
            replicas: vec![at(volume)],
            token: token(*block, AccessMode::Read),
        };
        CodingSource { place: *place, located }
    };
    let target = |(block, place, volume): &(u64, u8, usize)| CodingTarget {
        place: *place,
        block: BlockId(*block),
        kind: BlockKind::Parity,
        generation: GEN,
        length: length as u32,
        to: at(*volume),
        token: token(*block, AccessMode::Copy),
    };
    let job = CodingJob {
        data: DATA as u8,
        parity: PARITY as u8,
        sources: sources.iter().map(source).collect(),
        targets: targets.iter().map(target).collect(),
    };
    let volume = job.targets[0].to.volume;
    orders.waiting.lock().unwrap().push(DatanodeCommand::Code { volume, job: Box::new(job) });
    let wanted: Vec<BlockId> = targets.iter().map(|(block, ..)| BlockId(*block)).collect();
    while !wanted.iter().all(|block| orders.finalized.lock().unwrap().contains(block)) {
        orders.heard.notified().await;
    }
}

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let directory = arguments.next().expect("usage: coding DIR [BLOCK_MIB] [ROUNDS]");
    let block_mib: usize = arguments.next().map_or(64, |text| text.parse().expect("a number of mebibytes"));
    let rounds: u64 = arguments.next().map_or(5, |text| text.parse().expect("a number of rounds"));
    in_memory();
    let directory = Path::new(&directory).join("coding-measure");
    let volume = |n: usize| VolumeConfig { path: directory.join(format!("volume-{n}")), media: Media::Disk };
    let mut config = Config::new("measure".into(), (0..DATA + PARITY).map(volume).collect());
    config.heartbeat_interval_ms = 1;
    config.reserved_bytes = Some(0);
    let orders = Arc::new(Orders::default());
    let components =
        Components { clock: Arc::new(SystemClock), namenodes: vec![orders.clone()], connector: Arc::new(Alone) };
    let node = Datanode::start(config, components, CancellationToken::new()).await.expect("a datanode");
    while !node.ready() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let length = block_mib << 20;
    for place in 0..DATA {
        write(&node, place as u64 + 1, place, &pattern(place as u64 + 1, length)).await;
    }
    let (mut encoding, mut rebuilding, mut bare) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..rounds {
        bare.push(bare_write(&directory, length));
        let first = 1_000 + round * 100;
        let data: Vec<(u64, u8)> = (0..DATA as u8).map(|place| (u64::from(place) + 1, place)).collect();
        let parity: Vec<(u64, u8, usize)> =
            (0..3u8).map(|at| (first + u64::from(at), 6 + at, 6 + usize::from(at))).collect();
        let started = Instant::now();
        job(&orders, &node, &data, &parity, length).await;
        encoding.push(started.elapsed());
        let left: Vec<(u64, u8)> =
            data[3..].iter().copied().chain(parity.iter().map(|(block, place, _)| (*block, *place))).collect();
        let lost: Vec<(u64, u8, usize)> =
            (0..3u8).map(|at| (first + 50 + u64::from(at), at, usize::from(at))).collect();
        let started = Instant::now();
        job(&orders, &node, &left, &lost, length).await;
        rebuilding.push(started.elapsed());
    }
    show(&format!("bare write and sync of 3 × {block_mib} MiB, as data"), DATA * length, bare);
    show(&format!("job, encode 6+3 × {block_mib} MiB"), DATA * length, encoding);
    show(&format!("job, rebuild 3 of 9 × {block_mib} MiB"), DATA * length, rebuilding);
    node.stop().await;
    let _ = std::fs::remove_dir_all(directory);
}
