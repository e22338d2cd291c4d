//! A namenode that records what it is told, and nodes on temporary directories.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use granary_datanode::{Components, Config, Datanode, StartError, SystemClock, VolumeConfig};
use granary_protocol::block::{BLOCK_BYTES_MAX, BlockKind, DatanodeEndpoint, Extent, Media, ReplicaLocation};
use granary_protocol::checksum::crc32c;
use granary_protocol::datanode::*;
use granary_protocol::namenode::*;
use granary_protocol::token::{AccessMode, BlockKey, BlockToken};
use granary_protocol::*;
use tempfile::TempDir;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

pub const GEN: GenerationStamp = GenerationStamp(1);

pub fn key() -> BlockKey {
    BlockKey { id: 1, secret: [7; 32], expires: UnixMillis(u64::MAX) }
}

pub fn token(block: BlockId, mode: AccessMode) -> BlockToken {
    token_at(block, GEN, mode)
}

pub fn token_at(block: BlockId, generation: GenerationStamp, mode: AccessMode) -> BlockToken {
    let extent = Extent { block, offset: 0, length: BLOCK_BYTES_MAX };
    BlockToken::sign(&key(), extent, generation, mode, UnixMillis(u64::MAX))
}

/// What a namenode has been told.
#[derive(Default)]
pub struct Told {
    pub registrations: u64,
    pub heartbeats: u64,
    pub volumes: Vec<VolumeReport>,
    pub replicas: BTreeMap<(VolumeId, BlockId), ReplicaReport>,
    pub full_reports: u64,
    pub changes: Vec<ReplicaChange>,
}

/// How long a busy machine may take over anything.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Looks until something is so.
pub async fn until(what: &str, reached: impl Fn() -> bool) {
    let deadline = std::time::Instant::now() + PATIENCE;
    while !reached() {
        assert!(std::time::Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[derive(Default)]
pub struct FakeNamenode {
    pub told: Mutex<Told>,
    pub orders: Mutex<Vec<DatanodeCommand>>,
    pub follows: std::sync::atomic::AtomicBool,
    pub forget: std::sync::atomic::AtomicBool,
    pages: Mutex<HashMap<VolumeId, Vec<ReplicaReport>>>,
    heard: Notify,
}

impl FakeNamenode {
    pub async fn wait(&self, what: &str, reached: impl Fn(&Told) -> bool) {
        let waiting = async {
            loop {
                let heard = self.heard.notified();
                if reached(&self.told.lock().unwrap()) {
                    return;
                }
                heard.await;
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("never: {what}"));
    }

    pub fn order(&self, command: DatanodeCommand) {
        self.orders.lock().unwrap().push(command);
    }

    fn answer(&self, request: NamenodeRequest) -> Result<NamenodeReply, Failure> {
        use std::sync::atomic::Ordering::Relaxed;
        if self.follows.load(Relaxed) {
            return Err(ErrorCode::NotLeader { leader: None }.into());
        }
        let mut told = self.told.lock().unwrap();
        Ok(match request {
            NamenodeRequest::RegisterDatanode { volumes, .. } => {
                told.registrations += 1;
                told.volumes = volumes;
                NamenodeReply::Registered { cluster: ClusterId::from("test"), keys: vec![key()] }
            }
            NamenodeRequest::Heartbeat { volumes, .. } => {
                told.heartbeats += 1;
                told.volumes = volumes;
                let mine = |command: &mut DatanodeCommand| {
                    let (DatanodeCommand::Remove { volume, .. }
                    | DatanodeCommand::Finalize { volume, .. }
                    | DatanodeCommand::Copy { volume, .. }
                    | DatanodeCommand::Measure { volume, .. }
                    | DatanodeCommand::Code { volume, .. }) = command;
                    told.volumes.iter().any(|report| report.volume == *volume)
                };
                let commands = self.orders.lock().unwrap().extract_if(.., mine).collect();
                NamenodeReply::Heartbeat { keys: vec![], commands, register_again: self.forget.swap(false, Relaxed) }
            }
            NamenodeRequest::BlockReport { volume, page, last, replicas, .. } => {
                let mut pages = self.pages.lock().unwrap();
                let gathered = pages.entry(volume).or_default();
                if page == 0 {
                    gathered.clear();
                }
                gathered.extend(replicas);
                if last {
                    told.full_reports += 1;
                    told.replicas.retain(|(of, _), _| *of != volume);
                    told.replicas.extend(gathered.drain(..).map(|replica| ((volume, replica.block), replica)));
                }
                NamenodeReply::Done
            }
            NamenodeRequest::ReplicasChanged { changes, .. } => {
                for change in &changes {
                    match change {
                        ReplicaChange::Finalized(volume, report) => {
                            told.replicas.insert((*volume, report.block), *report);
                        }
                        ReplicaChange::Removed(volume, block, _) | ReplicaChange::Corrupt(volume, block, _) => {
                            told.replicas.remove(&(*volume, *block));
                        }
                        ReplicaChange::CopyFailed(..) | ReplicaChange::Measured(..) => {}
                    }
                }
                told.changes.extend(changes);
                NamenodeReply::Done
            }
            other => panic!("a datanode has no business asking {other:?}"),
        })
    }
}

impl NamenodeService for FakeNamenode {
    fn call(&self, request: NamenodeRequest) -> BoxFuture<'_, Result<NamenodeReply, Failure>> {
        let reply = self.answer(request);
        self.heard.notify_waiters();
        std::future::ready(reply).boxed()
    }
}

/// Finds nodes of the same test; a node that is not there refuses everything.
#[derive(Default)]
pub struct Directory(pub Mutex<HashMap<DatanodeId, Arc<dyn DatanodeService>>>);

struct Unreachable;

impl DatanodeService for Unreachable {
    fn write(&self, _: WriteBlock) -> BoxFuture<'_, Result<WriteStream, Failure>> {
        std::future::ready(Err(ErrorCode::Unavailable.into())).boxed()
    }
    fn read(&self, _: ReadBlock) -> BoxFuture<'_, Result<Box<dyn ReadStream>, Failure>> {
        std::future::ready(Err(ErrorCode::Unavailable.into())).boxed()
    }
    fn call(&self, _: DatanodeRequest) -> BoxFuture<'_, Result<DatanodeReply, Failure>> {
        std::future::ready(Err(ErrorCode::Unavailable.into())).boxed()
    }
}

impl DatanodeConnector for Directory {
    fn datanode(&self, datanode: &DatanodeEndpoint) -> Arc<dyn DatanodeService> {
        self.0.lock().unwrap().get(&datanode.id).cloned().unwrap_or_else(|| Arc::new(Unreachable))
    }
}

/// A cluster of nodes in this process.
pub struct Cluster {
    pub namenode: Arc<FakeNamenode>,
    pub directory: Arc<Directory>,
    scratch: TempDir,
}

pub fn config(paths: &[PathBuf]) -> Config {
    let volumes = paths.iter().map(|path| VolumeConfig { path: path.clone(), media: Media::Disk }).collect();
    Config { heartbeat_interval_ms: 20, reserved_bytes: Some(0), ..Config::new("dn".into(), volumes) }
}

impl Cluster {
    pub fn new() -> Cluster {
        Cluster { namenode: Arc::default(), directory: Arc::default(), scratch: tempfile::tempdir().unwrap() }
    }

    pub fn path(&self, volume: &str) -> PathBuf {
        self.scratch.path().join(volume)
    }

    /// A node on these volumes, registered and reported.
    pub async fn node(&self, volumes: &[&str]) -> Datanode {
        let paths: Vec<_> = volumes.iter().map(|volume| self.path(volume)).collect();
        self.try_node(config(&paths)).await.unwrap()
    }

    pub async fn try_node(&self, config: Config) -> Result<Datanode, StartError> {
        let components = Components {
            clock: Arc::new(SystemClock),
            namenodes: vec![self.namenode.clone()],
            connector: self.directory.clone(),
        };
        let reports = self.namenode.told.lock().unwrap().full_reports + config.volumes.len() as u64;
        let datanode = Datanode::start(config, components, CancellationToken::new()).await?;
        self.directory.0.lock().unwrap().insert(datanode.id(), Arc::new(datanode.clone()));
        self.namenode.wait("a full report", |told| told.full_reports >= reports).await;
        assert!(datanode.ready());
        Ok(datanode)
    }
}

/// Every volume of the node, as a pipeline.
pub fn pipeline(node: &Datanode) -> Vec<ReplicaLocation> {
    node.volume_ids().into_iter().map(|volume| node.location(volume)).collect()
}

pub fn write_request(block: BlockId, kind: BlockKind, pipeline: Vec<ReplicaLocation>) -> WriteBlock {
    WriteBlock { block, generation: GEN, kind, pipeline, token: token(block, AccessMode::Write) }
}

pub fn packet(sequence: u64, offset: u32, data: &[u8], sync: bool, last: bool) -> Packet {
    Packet { sequence, offset, sync, last, data_crc: crc32c(data), data: Bytes::copy_from_slice(data) }
}

/// A writer that numbers its packets.
pub struct Writer {
    pub stream: WriteStream,
    sequence: u64,
    offset: u32,
}

impl Writer {
    pub async fn open(node: &dyn DatanodeService, request: WriteBlock) -> Result<Writer, Failure> {
        Ok(Writer { stream: node.write(request).await?, sequence: 0, offset: 0 })
    }

    /// Sends one packet and waits for its acknowledgement.
    pub async fn put(&mut self, data: &[u8], sync: bool, last: bool) -> Result<Ack, Failure> {
        self.stream.packets.send(packet(self.sequence, self.offset, data, sync, last)).await?;
        self.sequence += 1;
        self.offset += data.len() as u32;
        self.stream.acks.next().await
    }
}

/// Writes a whole replica, in packets of `step` bytes.
pub async fn write(node: &Datanode, block: BlockId, kind: BlockKind, pipeline: Vec<ReplicaLocation>, data: &[u8]) {
    let mut writer = Writer::open(node, write_request(block, kind, pipeline)).await.unwrap();
    for piece in data.chunks(PACKET_BYTES_MAX) {
        writer.put(piece, false, false).await.unwrap();
    }
    let ack = writer.put(&[], true, true).await.unwrap();
    assert_eq!(ack.synced_bytes as usize, data.len());
}

pub fn read_request(volume: VolumeId, block: BlockId, offset: u32, length: u32) -> ReadBlock {
    ReadBlock { volume, generation: GEN, offset, length, token: token(block, AccessMode::Read) }
}

pub async fn read_as(node: &dyn DatanodeService, request: ReadBlock) -> Result<Vec<u8>, Failure> {
    let mut stream = node.read(request).await?;
    let mut bytes = Vec::new();
    while let Some(piece) = stream.next().await? {
        assert!(!piece.is_empty() && piece.len() <= READ_PIECE_BYTES_MAX);
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes)
}

pub async fn read(
    node: &Datanode,
    volume: VolumeId,
    block: BlockId,
    offset: u32,
    length: u32,
) -> Result<Vec<u8>, Failure> {
    read_as(node, read_request(volume, block, offset, length)).await
}

/// Bytes that no two offsets share by accident.
pub fn pattern(length: usize) -> Vec<u8> {
    (0..length as u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).take(length).collect()
}

/// The replica files of a volume's directory with this ending.
pub fn files(root: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![root.to_owned()];
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.to_str().unwrap().ends_with(ending) {
                found.push(path);
            }
        }
    }
    found
}

/// Packed records with these payloads.
pub fn records(payloads: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (index, payload) in payloads.iter().enumerate() {
        bytes.extend_from_slice(&record::RecordHeader::of(ContentId(index as u64), payload).encode());
        bytes.extend_from_slice(payload);
    }
    bytes
}
