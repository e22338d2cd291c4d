//! The fake cluster's state, its faults, and what tests ask of it.

use bytes::Bytes;
use granary_client::{Client, ClientComponents, ClientConfig, StoredContent};
use granary_protocol::block::*;
use granary_protocol::datanode::{DatanodeConnector, DatanodeService};
use granary_protocol::namenode::*;
use granary_protocol::object::*;
use granary_protocol::token::{AccessMode, BlockToken};
use granary_protocol::*;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

#[derive(Default)]
pub struct State {
    pub volumes: u64,
    pub replication: usize,
    pub next_id: u64,
    pub leases: HashSet<LeaseId>,
    pub blocks: BTreeMap<BlockId, Block>,
    pub contents: HashMap<ContentId, Vec<Extent>>,
    pub objects: BTreeMap<String, Option<ContentId>>,
    /// Data and parity members of coded groups, and how many of them are data.
    pub groups: Vec<(Vec<BlockId>, u8)>,
    pub replicas: HashMap<(VolumeId, BlockId), Replica>,
    pub faults: Faults,
    /// Syncs done, over all pipelines.
    pub syncs: u64,
    /// Packets taken, over all pipelines.
    pub packets: u64,
    pub located: u64,
    /// Bytes of each relocation.
    pub relocated: Vec<u64>,
}

pub struct Block {
    pub lease: LeaseId,
    pub kind: BlockKind,
    pub generation: GenerationStamp,
    pub volumes: Vec<VolumeId>,
    pub sealed: Option<u32>,
    pub abandoned: bool,
}

#[derive(Default, Clone)]
pub struct Replica {
    pub data: Vec<u8>,
    pub synced: usize,
    pub finalized: bool,
    pub generation: GenerationStamp,
}

/// Faults to order.
#[derive(Default)]
pub struct Faults {
    pub dead: HashSet<VolumeId>,
    /// The volume dies when the n-th packet from now reaches it.
    pub dies_at_packet: Option<(VolumeId, u64)>,
    /// As above, but it hangs instead of failing.
    pub hangs_at_packet: Option<(VolumeId, u64)>,
    pub sync_takes: Duration,
    pub packet_takes: Duration,
    pub reads: HashMap<VolumeId, ReadFault>,
    /// Bytes of one piece of a read.
    pub piece_bytes: usize,
    /// The next commits are answered with these codes.
    pub refuse_commits: Vec<ErrorCode>,
    /// Datanodes refuse to finalize for a writer.
    pub write_tokens_expired: bool,
    pub compact: Vec<BlockId>,
    /// What the next claim of small files is answered with.
    pub small_files: Vec<ContentId>,
    pub seal: Vec<BlockId>,
}

/// What a replica does after serving `after` bytes of a stream.
#[derive(Clone, Copy, Debug)]
pub struct ReadFault {
    pub after: usize,
    pub how: ReadFaultKind,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ReadFaultKind {
    Fails(&'static str),
    EndsEarly,
    ServesTooMuch,
    IsSilent,
}

/// The cluster; every service of it shares this.
#[derive(Clone)]
pub struct Cluster {
    state: Arc<Mutex<State>>,
}

impl Cluster {
    pub fn new(volumes: u64, replication: usize) -> Self {
        let faults = Faults { piece_bytes: 1000, ..Faults::default() };
        let state = State { volumes, replication, next_id: 100, faults, ..State::default() };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub fn client(&self) -> Client {
        self.client_with(ClientConfig { compaction: false, ..ClientConfig::default() })
    }

    pub fn client_with(&self, config: ClientConfig) -> Client {
        let components = ClientComponents {
            namenode: Arc::new(self.clone()),
            datanodes: Arc::new(self.clone()),
            local_datanode: None,
            holder: NodeName::from("tests"),
            lanes_on: None,
            shutdown: CancellationToken::new(),
        };
        Client::start(config, components).unwrap()
    }
}

impl DatanodeConnector for Cluster {
    fn datanode(&self, datanode: &DatanodeEndpoint) -> Arc<dyn DatanodeService> {
        Arc::new(crate::fake_datanode::FakeDatanode { cluster: self.clone(), volume: VolumeId(datanode.id.0) })
    }
}

impl State {
    pub fn id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    pub fn located(&self, id: BlockId, extent: Extent, mode: AccessMode) -> LocatedBlock {
        let block = &self.blocks[&id];
        let token =
            BlockToken { extent, generation: block.generation, mode, expires: UnixMillis(0), key_id: 0, mac: [0; 32] };
        let replicas = block.volumes.iter().map(|volume| location(*volume)).collect();
        let length = block.sealed.unwrap_or(0);
        LocatedBlock { block: id, generation: block.generation, length, replicas, token }
    }
}

/// Volume n is the only one of datanode n.
pub fn location(volume: VolumeId) -> ReplicaLocation {
    let datanode = DatanodeEndpoint {
        id: DatanodeId(volume.0),
        name: NodeName(format!("dn-{volume}")),
        host: "localhost".into(),
        address: String::new(),
        http: String::new(),
        rack: Rack::from("/rack-1"),
    };
    ReplicaLocation { datanode: Arc::new(datanode), volume }
}

/// Bytes without a pattern, up to a prime number of them; then the same again.
pub fn body(length: usize, seed: u64) -> Bytes {
    const PERIOD: usize = 1_000_003;
    let mut word = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length.min(PERIOD) {
        word ^= word << 13;
        word ^= word >> 7;
        word ^= word << 17;
        bytes.extend_from_slice(&word.to_le_bytes());
    }
    bytes.truncate(length.min(PERIOD));
    while bytes.len() < length {
        bytes.extend_from_within(..PERIOD.min(length - bytes.len()));
    }
    bytes.into()
}

pub async fn store(client: &Client, hint: Option<u64>, pieces: &[Bytes]) -> Result<Option<StoredContent>, Failure> {
    let mut writer = client.writer(hint, StorageClass::Standard);
    for piece in pieces {
        writer.write(piece.clone()).await?;
    }
    writer.finish().await
}

pub async fn put(client: &Client, key: &str, body: &Bytes) -> Result<(), Failure> {
    let content = store(client, Some(body.len() as u64), std::slice::from_ref(body)).await?;
    commit(client, key, content).await
}

pub async fn commit(client: &Client, key: &str, content: Option<StoredContent>) -> Result<(), Failure> {
    let object = NewObject {
        size: content.as_ref().map_or(0, StoredContent::length),
        etag: ETag { md5: [0; 16], parts: None },
        owner: CanonicalId::default(),
        class: StorageClass::Standard,
        checksum: None,
        lock: ObjectLock::default(),
        details: ObjectDetails::default(),
    };
    client.put_object("b".into(), key.into(), content, object, WriteCondition::default()).await.map(|_| ())
}

pub async fn get(client: &Client, key: &str) -> Result<Bytes, Failure> {
    get_range(client, key, 0, None).await
}

pub async fn get_range(client: &Client, key: &str, first: u64, last: Option<u64>) -> Result<Bytes, Failure> {
    let window = Window::Range { first, last };
    let mut reader = client.read(client.get_object("b".into(), key.into(), None, window).await?);
    let mut bytes = Vec::new();
    while let Some(piece) = reader.next().await? {
        bytes.extend_from_slice(&piece);
    }
    assert_eq!(reader.remaining(), 0);
    Ok(bytes.into())
}

/// Lets background work (sealing, abandoning) come to rest.
pub async fn settle() {
    tokio::time::sleep(Duration::from_millis(200)).await;
}
