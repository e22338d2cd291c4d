//! The port against a client made of the protocol's own pieces, on real datanodes: bytes as Apache's were captured,
//! pipelines that lose a member, reads at every odd boundary.

use super::checksum::ChunkChecksum;
use super::message::*;
use super::packet::{Packet, last_packet, read_packet};
use super::server::{Connection, KnownDatanodes, TransferServer, TransferSettings};
use super::wire::{self, Op};
use crate::block_token;
use crate::cluster_key::ClusterKey;
use crate::config::HdfsConfig;
use crate::proto::{DatanodeId, DatanodeInfo, ExtendedBlock};
use crate::sealed::{SealedBlock, SealedReads};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use granary_client::{Client, ClientComponents, ClientConfig};
use granary_datanode::{Components, Config, Datanode, SystemClock, VolumeConfig};
use granary_protocol::block::{BLOCK_BYTES_MAX, DatanodeEndpoint, Extent, LocatedBlock, Media};
use granary_protocol::datanode::{DatanodeConnector, DatanodeService};
use granary_protocol::encryption::{EncryptionMode, ObjectEncryption, SealSalt, SealedRun};
use granary_protocol::namenode::{
    LocatedExtent, NamenodeReply, NamenodeRequest, NamenodeService, ReplicaChange, ReplicaState,
};
use granary_protocol::token::{AccessMode, BlockKey, BlockToken};
use granary_protocol::user::TokenKey;
use granary_protocol::{BlockId, ClusterId, ContentId, ErrorCode, Failure, GenerationStamp, UnixMillis};
use granary_sealing::{DataKey, KeyDescription, KeyName, KeyStore, KeyStoreError, MasterKeyStanding, StreamSealer};
use md5::{Digest, Md5};
use proptest::prelude::*;
use proptest::test_runner::{Config as Cases, TestRunner};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

const GEN: GenerationStamp = GenerationStamp(1001);
const NEXT: GenerationStamp = GenerationStamp(1002);
const CLUSTER_KEY: TokenKey = TokenKey([5; 32]);
/// How long a busy machine may take for what takes no time otherwise.
const PATIENCE: Duration = Duration::from_secs(120);
/// No datanode.
const STRANGER: &str = "127.0.0.1:1";

fn key() -> BlockKey {
    BlockKey { id: 1, secret: [7; 32], expires: UnixMillis(u64::MAX) }
}

fn token(extent: Extent, generation: GenerationStamp, mode: AccessMode) -> crate::proto::Token {
    block_token::to_hadoop(&BlockToken::sign(&key(), extent, generation, mode, UnixMillis(u64::MAX)))
}

fn whole(block: u64) -> Extent {
    Extent { block: BlockId(block), offset: 0, length: BLOCK_BYTES_MAX }
}

/// Hands out the key and remembers what was finalized.
#[derive(Default)]
struct FakeNamenode {
    finalized: Mutex<Vec<(BlockId, GenerationStamp, u32)>>,
    /// The one content there is.
    content: Mutex<Vec<LocatedExtent>>,
    heard: Notify,
}

impl NamenodeService for FakeNamenode {
    fn call(&self, request: NamenodeRequest) -> BoxFuture<'_, Result<NamenodeReply, Failure>> {
        let reply = match request {
            NamenodeRequest::RegisterDatanode { .. } => {
                NamenodeReply::Registered { cluster: ClusterId::from("test"), keys: vec![key()] }
            }
            NamenodeRequest::Heartbeat { .. } => {
                NamenodeReply::Heartbeat { keys: vec![], commands: vec![], register_again: false }
            }
            NamenodeRequest::ReplicasChanged { changes, .. } => {
                for change in changes {
                    if let ReplicaChange::Finalized(_, report) = change {
                        assert_eq!(report.state, ReplicaState::Finalized);
                        self.finalized.lock().unwrap().push((report.block, report.generation, report.length));
                    }
                }
                NamenodeReply::Done
            }
            // What changed before the first full report is told with that.
            NamenodeRequest::BlockReport { replicas, .. } => {
                let finalized = replicas.iter().filter(|report| report.state == ReplicaState::Finalized);
                let finalized = finalized.map(|report| (report.block, report.generation, report.length));
                self.finalized.lock().unwrap().extend(finalized);
                NamenodeReply::Done
            }
            NamenodeRequest::GetTokenKey => NamenodeReply::TokenKey(CLUSTER_KEY),
            NamenodeRequest::LocateContent { offset, length, .. } => {
                let mut extents = self.content.lock().unwrap().clone();
                for located in &mut extents {
                    let skipped = (offset - located.content_offset) as u32;
                    located.content_offset = offset;
                    located.extent.offset += skipped;
                    located.extent.length = length as u32;
                }
                NamenodeReply::Located(extents)
            }
            _ => NamenodeReply::Done,
        };
        self.heard.notify_waiters();
        std::future::ready(Ok(reply)).boxed()
    }
}

struct Alone;

/// One datanode, whoever is asked for.
struct Itself(Arc<Datanode>);

impl DatanodeConnector for Itself {
    fn datanode(&self, _: &DatanodeEndpoint) -> Arc<dyn DatanodeService> {
        self.0.clone()
    }
}

/// Opens every data key of the store's own key as the same, and nothing else.
struct OneKey;

impl OneKey {
    fn data_key() -> DataKey {
        DataKey::new([9; 32])
    }
}

impl KeyStore for OneKey {
    fn wrap<'a>(
        &'a self,
        _: &'a KeyName,
        _: &'a [u8],
        _: &'a DataKey,
    ) -> BoxFuture<'a, Result<Vec<u8>, KeyStoreError>> {
        unreachable!("nothing is sealed here")
    }

    fn unwrap<'a>(
        &'a self,
        key: &'a KeyName,
        _: &'a [u8],
        _: &'a [u8],
    ) -> BoxFuture<'a, Result<DataKey, KeyStoreError>> {
        let opened = match key {
            KeyName::Store => Ok(OneKey::data_key()),
            KeyName::Kms(name) => Err(KeyStoreError::Disabled(name.clone())),
        };
        std::future::ready(opened).boxed()
    }

    fn master_key(&self, _: bool) -> BoxFuture<'_, Result<MasterKeyStanding, KeyStoreError>> {
        unreachable!("no key is sealed anew here")
    }

    fn create<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<(), KeyStoreError>> {
        unreachable!("no key is made here")
    }

    fn list(&self, _: Option<String>, _: u32) -> BoxFuture<'_, Result<(Vec<KeyDescription>, bool), KeyStoreError>> {
        unreachable!("no key is listed here")
    }

    fn set_disabled<'a>(&'a self, _: &'a str, _: bool) -> BoxFuture<'a, Result<(), KeyStoreError>> {
        unreachable!("no key is changed here")
    }
}

/// Everybody but one address is a datanode.
struct AllBut(&'static str);

impl KnownDatanodes for AllBut {
    fn is_known<'a>(&'a self, address: &'a str) -> BoxFuture<'a, bool> {
        std::future::ready(address != self.0).boxed()
    }
}

impl DatanodeConnector for Alone {
    fn datanode(&self, _: &DatanodeEndpoint) -> Arc<dyn DatanodeService> {
        unreachable!("this door mirrors over its own protocol")
    }
}

struct Node {
    datanode: Arc<Datanode>,
    info: DatanodeInfo,
    namenode: Arc<FakeNamenode>,
    client: Client,
    stop: CancellationToken,
    _data: tempfile::TempDir,
}

impl Node {
    async fn start() -> Node {
        let data = tempfile::tempdir().unwrap();
        let volumes = vec![VolumeConfig { path: data.path().join("v"), media: Media::Disk }];
        let config = Config { heartbeat_interval_ms: 20, reserved_bytes: Some(0), ..Config::new("dn".into(), volumes) };
        let namenode = Arc::<FakeNamenode>::default();
        let components =
            Components { clock: Arc::new(SystemClock), namenodes: vec![namenode.clone()], connector: Arc::new(Alone) };
        let datanode = Arc::new(Datanode::start(config, components, CancellationToken::new()).await.unwrap());
        while !datanode.ready() {
            tokio::task::yield_now().await;
        }
        let stop = CancellationToken::new();
        let settings = TransferSettings {
            keepalive: PATIENCE,
            setup_timeout: PATIENCE,
            ack_timeout: PATIENCE,
            ..TransferSettings::default()
        };
        let hdfs = Arc::<HdfsConfig>::default();
        let components = ClientComponents {
            namenode: namenode.clone(),
            datanodes: Arc::new(Itself(datanode.clone())),
            local_datanode: None,
            holder: "reader".into(),
            lanes_on: None,
            shutdown: CancellationToken::new(),
        };
        let client = Client::start(ClientConfig { compaction: false, ..ClientConfig::default() }, components).unwrap();
        let server = TransferServer::bind(
            "127.0.0.1:0".parse().unwrap(),
            settings,
            hdfs,
            datanode.clone(),
            Arc::new(AllBut(STRANGER)),
            Arc::new(SealedReads::new(client.clone(), Some(Arc::new(OneKey)), ClusterKey::new(namenode.clone()))),
        );
        let server = server.await.unwrap();
        let id = DatanodeId {
            ip_addr: "127.0.0.1".to_owned(),
            xfer_port: server.local_addr().port().into(),
            ..DatanodeId::default()
        };
        tokio::spawn(server.run(stop.clone()));
        Node { datanode, info: DatanodeInfo { id, ..DatanodeInfo::default() }, namenode, client, stop, _data: data }
    }

    async fn connect(&self) -> Connection {
        let stream = TcpStream::connect(("127.0.0.1", self.info.id.xfer_port as u16)).await.unwrap();
        Connection::new(stream).unwrap()
    }

    async fn finalized(&self, wanted: (u64, GenerationStamp, u32)) {
        let wanted = (BlockId(wanted.0), wanted.1, wanted.2);
        let heard = async {
            loop {
                let heard = self.namenode.heard.notified();
                if self.namenode.finalized.lock().unwrap().contains(&wanted) {
                    return;
                }
                heard.await;
            }
        };
        tokio::time::timeout(PATIENCE, heard).await.expect("the replica is reported");
    }

    async fn stop(self) {
        self.stop.cancel();
        self.client.stop().await;
        self.datanode.stop().await;
    }

    /// Bytes of an extent, as a client reads them.
    async fn read(&self, extent: Extent, offset: u64, len: u64) -> Result<Vec<u8>, BlockOpResponse> {
        self.ask(read_request(extent, offset, len)).await
    }

    async fn ask(&self, request: OpReadBlock) -> Result<Vec<u8>, BlockOpResponse> {
        let (offset, len) = (request.offset, request.len);
        let mut connection = self.connect().await;
        wire::write_request(&mut connection.writer, Op::ReadBlock, &request).await.unwrap();
        let response: BlockOpResponse = wire::read_message(&mut connection.reader).await.unwrap();
        let Some(info) = response.read_op_checksum_info else { return Err(response) };
        assert_eq!((info.checksum, info.chunk_offset), (ChunkChecksum::STORED.message(), offset - offset % 512));
        let (mut bytes, mut seqno) = (Vec::new(), 0);
        loop {
            let packet = read_packet(&mut connection.reader, ChunkChecksum::STORED).await.unwrap();
            assert!(ChunkChecksum::STORED.matches(&packet.checksums, &packet.data));
            assert_eq!(packet.header.seqno, seqno);
            assert_eq!(packet.header.offset_in_block as u64, info.chunk_offset + bytes.len() as u64);
            seqno += 1;
            if packet.header.last_packet_in_block {
                assert!(packet.data.is_empty());
                break;
            }
            bytes.extend_from_slice(&packet.data);
        }
        let verified = BareStatus { status: Status::ChecksumOk as i32 };
        wire::write_message(&mut connection.writer, &verified).await.unwrap();
        let start = (offset - info.chunk_offset) as usize;
        Ok(bytes[start..start + len as usize].to_vec())
    }
}

fn header(
    extent: Extent,
    generation: GenerationStamp,
    knows: GenerationStamp,
    mode: AccessMode,
) -> ClientOperationHeader {
    let block = ExtendedBlock {
        pool_id: "BP-1".to_owned(),
        block_id: extent.block.0,
        generation_stamp: knows.0,
        num_bytes: Some(134_217_728),
    };
    let base_header = BaseHeader { block, token: Some(token(extent, generation, mode)) };
    ClientOperationHeader { base_header, client_name: "DFSClient_1".to_owned() }
}

fn read_request(extent: Extent, offset: u64, len: u64) -> OpReadBlock {
    let header = header(extent, GEN, GEN, AccessMode::Read);
    OpReadBlock { header, offset, len, send_checksums: None, caching_strategy: None }
}

fn write_request(block: u64, stage: Stage, targets: &[&Node]) -> OpWriteBlock {
    OpWriteBlock {
        header: header(whole(block), GEN, GEN, AccessMode::Write),
        targets: targets.iter().map(|node| node.info.clone()).collect(),
        stage: stage as i32,
        pipeline_size: 1 + targets.len() as u32,
        requested_checksum: ChunkChecksum::STORED.message(),
        ..OpWriteBlock::default()
    }
}

/// A writer that counts its packets.
struct Writer {
    connection: Connection,
    seqno: i64,
}

impl Writer {
    async fn open(node: &Node, request: OpWriteBlock) -> Result<Writer, BlockOpResponse> {
        let mut connection = node.connect().await;
        wire::write_request(&mut connection.writer, Op::WriteBlock, &request).await.unwrap();
        let response: BlockOpResponse = wire::read_message(&mut connection.reader).await.unwrap();
        match response.status() {
            Status::Success => Ok(Writer { connection, seqno: 0 }),
            _ => Err(response),
        }
    }

    async fn send(&mut self, offset: usize, data: &[u8], sync: bool) {
        let header = PacketHeader {
            offset_in_block: offset as i64,
            seqno: self.seqno,
            last_packet_in_block: false,
            data_len: data.len() as i32,
            sync_block: sync.then_some(true),
        };
        self.seqno += 1;
        let packet = Packet::new(header, &ChunkChecksum::STORED.sums(data), data);
        self.connection.writer.write_all(&packet).await.unwrap();
    }

    async fn ack(&mut self) -> Vec<i32> {
        let ack: PipelineAck = wire::read_message(&mut self.connection.reader).await.unwrap();
        assert_eq!(ack.flag.len(), ack.reply.len());
        ack.reply
    }

    async fn put(&mut self, offset: usize, data: &[u8], sync: bool) -> Vec<i32> {
        self.send(offset, data, sync).await;
        self.ack().await
    }

    async fn finish(&mut self, length: usize) -> Vec<i32> {
        self.connection.writer.write_all(&last_packet(self.seqno, length as i64)).await.unwrap();
        self.ack().await
    }
}

fn pattern(length: usize) -> Vec<u8> {
    (0..length as u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).take(length).collect()
}

fn status_of<T>(result: Result<T, BlockOpResponse>) -> Status {
    result.err().expect("a refusal").status()
}

async fn write_whole(node: &Node, block: u64, targets: &[&Node], data: &[u8]) {
    let mut writer = Writer::open(node, write_request(block, Stage::PipelineSetupCreate, targets)).await.unwrap();
    let members = vec![0; 1 + targets.len()];
    for (index, piece) in data.chunks(64_512).enumerate() {
        assert_eq!(writer.put(index * 64_512, piece, false).await, members);
    }
    assert_eq!(writer.finish(data.len()).await, members);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bytes_are_apaches() {
    let node = Node::start().await;
    let mut connection = node.connect().await;
    let request = write_request(1, Stage::PipelineSetupCreate, &[]);
    wire::write_request(&mut connection.writer, Op::WriteBlock, &request).await.unwrap();
    let mut ready = [0u8; 5];
    connection.reader.read_exact(&mut ready).await.unwrap();
    assert_eq!(hex::encode(ready), "0408001200");
    let packet = "0000000e001909000000000000000011000000000000000018002506000000353dd8be68656c6c6f0a";
    connection.writer.write_all(&hex::decode(packet).unwrap()).await.unwrap();
    let mut ack = [0u8; 10];
    connection.reader.read_exact(&mut ack).await.unwrap();
    assert_eq!(hex::encode(ack), "09080010001800220100");
    let last = "0000000400190906000000000000001101000000000000001801250000 0000".replace(' ', "");
    connection.writer.write_all(&hex::decode(last).unwrap()).await.unwrap();
    connection.reader.read_exact(&mut ack).await.unwrap();
    assert_eq!(hex::encode(ack), "09080210001800220100");

    let mut connection = node.connect().await;
    let request = read_request(whole(1), 0, 6);
    for _again in 0..2 {
        wire::write_request(&mut connection.writer, Op::ReadBlock, &request).await.unwrap();
        let response: BlockOpResponse = wire::read_message(&mut connection.reader).await.unwrap();
        assert_eq!(response.status(), Status::Success);
        let mut bytes = [0u8; 41 + 31];
        connection.reader.read_exact(&mut bytes).await.unwrap();
        assert_eq!(hex::encode(&bytes[..41]), packet);
        assert_eq!(hex::encode(&bytes[41..]), "00000004001909060000000000000011010000000000000018012500000000");
        // What a client says that has verified it all; the connection then serves the next request.
        connection.writer.write_all(&[2, 8, 6]).await.unwrap();
    }
    let base = header(whole(1), GEN, GEN, AccessMode::Read).base_header;
    let request = OpBlockChecksum { header: base, block_checksum_options: None };
    wire::write_request(&mut connection.writer, Op::BlockChecksum, &request).await.unwrap();
    let response: BlockOpResponse = wire::read_message(&mut connection.reader).await.unwrap();
    let sum = response.checksum_response.unwrap();
    assert_eq!(hex::encode(&sum.block_checksum), "0631cc594ec0589d7bbe76dce1a7953b");
    assert_eq!((sum.bytes_per_crc, sum.crc_per_block), (512, 1));
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipeline_of_three_acknowledges_for_each_and_reports_what_it_has() {
    let nodes = [Node::start().await, Node::start().await, Node::start().await];
    let data = pattern(200_000);
    write_whole(&nodes[0], 5, &[&nodes[1], &nodes[2]], &data).await;
    for node in &nodes {
        node.finalized((5, GEN, 200_000)).await;
        assert_eq!(node.read(whole(5), 0, 200_000).await.unwrap(), data);
    }
    for node in nodes {
        node.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flushed_byte_is_seen_and_a_short_chunk_is_sent_again() {
    let node = Node::start().await;
    let data = pattern(3_000);
    let mut writer = Writer::open(&node, write_request(6, Stage::PipelineSetupCreate, &[])).await.unwrap();
    assert_eq!(writer.put(0, &data[..700], false).await, [0]);
    assert_eq!(node.read(whole(6), 0, 700).await.unwrap(), &data[..700]);
    assert_eq!(node.datanode.visible_bytes(BlockId(6), GEN), Ok(700));
    assert_eq!(writer.put(512, &data[512..], true).await, [0]);
    // It says that it lives.
    let alive = PacketHeader { seqno: HEARTBEAT_SEQNO, ..PacketHeader::default() };
    writer.connection.writer.write_all(&Packet::new(alive, &[], &[])).await.unwrap();
    let ack: PipelineAck = wire::read_message(&mut writer.connection.reader).await.unwrap();
    assert_eq!((ack.seqno, ack.reply), (HEARTBEAT_SEQNO, vec![0]));
    assert_eq!(writer.finish(3_000).await, [0]);
    assert_eq!(node.read(whole(6), 0, 3_000).await.unwrap(), data);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_packets_and_gaps_are_refused_by_the_member_that_sees_them() {
    let node = Node::start().await;
    let mut writer = Writer::open(&node, write_request(7, Stage::PipelineSetupCreate, &[])).await.unwrap();
    let header = PacketHeader { data_len: 3, ..PacketHeader::default() };
    let damaged = Packet::new(header, &ChunkChecksum::STORED.sums(b"abc"), b"abd");
    writer.connection.writer.write_all(&damaged).await.unwrap();
    assert_eq!(writer.ack().await, [Status::ErrorChecksum as i32]);
    let mut writer = Writer::open(&node, write_request(8, Stage::PipelineSetupCreate, &[])).await.unwrap();
    assert_eq!(writer.put(100, b"abc", false).await, [Status::Error as i32]);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_cannot_be_reached_is_named() {
    let (node, gone) = (Node::start().await, Node::start().await);
    let address = format!("127.0.0.1:{}", gone.info.id.xfer_port);
    let request = write_request(9, Stage::PipelineSetupCreate, &[&gone]);
    gone.stop().await;
    let refused = Writer::open(&node, request.clone()).await.err().unwrap();
    assert_eq!((refused.status(), refused.first_bad_link()), (Status::Error, address.as_str()));
    // One that is no datanode is not even connected to.
    let mut astray = write_request(9, Stage::PipelineSetupCreate, &[]);
    let id = DatanodeId { ip_addr: "127.0.0.1".to_owned(), xfer_port: 1, ..DatanodeId::default() };
    astray.targets = vec![DatanodeInfo { id, ..DatanodeInfo::default() }];
    let refused = Writer::open(&node, astray).await.err().unwrap();
    assert_eq!(refused.message(), format!("{STRANGER} is not a datanode of this cluster"));
    // Nothing is left of the attempts: the same block can be begun again without that member.
    write_whole(&node, 9, &[], b"again").await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipeline_that_lost_a_member_goes_on_with_the_rest_and_with_a_newcomer() {
    let [first, second, newcomer] = [Node::start().await, Node::start().await, Node::start().await];
    let data = pattern(150_000);
    let create = write_request(10, Stage::PipelineSetupCreate, &[&second]);
    let mut writer = Writer::open(&first, create).await.unwrap();
    assert_eq!(writer.put(0, &data[..50_000], false).await, [0, 0]);
    second.stop().await;
    assert_eq!(writer.put(50_000, &data[50_000..60_000], false).await, [0, Status::Error as i32]);

    let transfer = OpTransferBlock {
        header: header(whole(10), GEN, GEN, AccessMode::Write),
        targets: vec![newcomer.info.clone()],
        ..OpTransferBlock::default()
    };
    let mut connection = first.connect().await;
    wire::write_request(&mut connection.writer, Op::TransferBlock, &transfer).await.unwrap();
    let response: BlockOpResponse = wire::read_message(&mut connection.reader).await.unwrap();
    assert_eq!(response.status(), Status::Success, "{response:?}");

    let recover = |latest: GenerationStamp, token: GenerationStamp| OpWriteBlock {
        header: header(whole(10), token, GEN, AccessMode::Write),
        latest_generation_stamp: latest.0,
        min_bytes_rcvd: 50_000,
        max_bytes_rcvd: 60_000,
        ..write_request(10, Stage::PipelineSetupStreamingRecovery, &[&newcomer])
    };
    // The old token does not reach the new generation.
    assert_eq!(status_of(Writer::open(&first, recover(NEXT, GEN)).await), Status::ErrorAccessToken);
    let mut writer = Writer::open(&first, recover(NEXT, NEXT)).await.unwrap();
    assert_eq!(writer.put(50_000, &data[50_000..], false).await, [0, 0]);
    assert_eq!(writer.finish(150_000).await, [0, 0]);
    for node in [&first, &newcomer] {
        node.finalized((10, NEXT, 150_000)).await;
        assert_eq!(node.read(whole(10), 0, 150_000).await.unwrap(), data);
    }
    // A client that heard nothing of the last acknowledgement closes once more.
    let close = OpWriteBlock {
        header: header(whole(10), GenerationStamp(1003), NEXT, AccessMode::Write),
        latest_generation_stamp: 1003,
        min_bytes_rcvd: 150_000,
        max_bytes_rcvd: 150_000,
        ..write_request(10, Stage::PipelineCloseRecovery, &[&newcomer])
    };
    Writer::open(&first, close).await.unwrap();
    for node in [first, newcomer] {
        node.finalized((10, GenerationStamp(1003), 150_000)).await;
        node.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_done_without_the_right_token() {
    let node = Node::start().await;
    write_whole(&node, 11, &[], b"secret").await;
    let mut request = read_request(whole(11), 0, 6);
    let tokens = [
        None,
        Some(crate::proto::Token::default()),
        Some(token(whole(12), GEN, AccessMode::Read)),
        Some(token(whole(11), GEN, AccessMode::Write)),
        Some(block_token::to_hadoop(&BlockToken::sign(
            &BlockKey { secret: [8; 32], ..key() },
            whole(11),
            GEN,
            AccessMode::Read,
            UnixMillis(u64::MAX),
        ))),
    ];
    for token in tokens {
        request.header.base_header.token = token;
        let mut connection = node.connect().await;
        wire::write_request(&mut connection.writer, Op::ReadBlock, &request).await.unwrap();
        let response: BlockOpResponse = wire::read_message(&mut connection.reader).await.unwrap();
        assert_eq!(response.status(), Status::ErrorAccessToken);
    }
    let write = OpWriteBlock {
        header: header(whole(13), GEN, GEN, AccessMode::Read),
        ..write_request(13, Stage::PipelineSetupCreate, &[])
    };
    assert_eq!(status_of(Writer::open(&node, write).await), Status::ErrorAccessToken);
    assert_eq!(node.datanode.visible_bytes(BlockId(13), GEN).unwrap_err().code, ErrorCode::ReplicaNotFound);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_offered_is_refused() {
    let node = Node::start().await;
    for op in [Op::CopyBlock, Op::ReplaceBlock, Op::BlockGroupChecksum, Op::RequestShortCircuitFds] {
        let mut connection = node.connect().await;
        wire::write_request(&mut connection.writer, op, &BareStatus::default()).await.unwrap();
        if op == Op::RequestShortCircuitFds {
            continue;
        }
        let response: BlockOpResponse = wire::read_message(&mut connection.reader).await.unwrap();
        assert_eq!(response.status(), Status::ErrorUnsupported, "{op:?}");
    }
    // A client that wants SASL, and one of another version, are hung up on.
    for magic in [[0xde, 0xad, 0xbe, 0xef], [0, 27, 81, 0]] {
        let mut connection = node.connect().await;
        connection.writer.write_all(&magic).await.unwrap();
        assert_eq!(connection.reader.read(&mut [0]).await.unwrap_or(0), 0);
    }
    let append = write_request(14, Stage::PipelineSetupAppend, &[]);
    assert_eq!(status_of(Writer::open(&node, append).await), Status::Error);
    node.stop().await;
}

/// A file of two runs, sealed one after another in one block; the request reads of the second.
async fn sealed_file(node: &Node, plain: &[u8]) -> (SealedBlock, OpReadBlock) {
    let salt = SealSalt([3; 16]);
    let seal = |salt: SealSalt, plain: &[u8]| {
        let mut sealer = StreamSealer::new(&OneKey::data_key().into(), &salt);
        [sealer.push(plain), sealer.finish()].concat()
    };
    let before = seal(SealSalt([2; 16]), b"another part");
    let stored = [before.as_slice(), &seal(salt, plain)].concat();
    write_whole(node, 40, &[], &stored).await;
    let located = LocatedBlock {
        block: BlockId(40),
        generation: GEN,
        length: stored.len() as u32,
        replicas: vec![node.datanode.location(node.datanode.volume_ids()[0])],
        token: BlockToken::sign(&key(), whole(40), GEN, AccessMode::Read, UnixMillis(u64::MAX)),
    };
    let extent = Extent { length: stored.len() as u32, ..whole(40) };
    *node.namenode.content.lock().unwrap() = vec![LocatedExtent { content_offset: 0, extent, located }];
    let size = plain.len() as u64;
    let block = SealedBlock {
        block: BlockId(40),
        expires: UnixMillis(u64::MAX),
        content: ContentId(1),
        run_starts_at: before.len() as u64,
        run: SealedRun { salt, plain_size: size, offset: 0, length: size },
        encryption: ObjectEncryption { mode: EncryptionMode::S3, wrapped_key: Vec::new(), salt },
    };
    (block, read_request(whole(40), 0, size))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_encrypted_file_is_read_in_clear_by_who_was_let() {
    let (node, plain) = (Node::start().await, pattern(300_000));
    let (block, request) = sealed_file(&node, &plain).await;
    let with = |block: &SealedBlock, offset, len| {
        let mut request = OpReadBlock { offset, len, ..request.clone() };
        request.header.base_header.token = Some(block.to_hadoop(&CLUSTER_KEY));
        request
    };
    for (offset, len) in [(0, 300_000), (0, 1), (70_000, 100_000), (65_535, 2), (299_999, 1)] {
        let read = node.ask(with(&block, offset as u64, len as u64)).await.unwrap();
        assert_eq!(read, &plain[offset..offset + len], "{len} bytes from {offset}");
    }
    assert_eq!(status_of(node.ask(with(&block, 0, 300_001)).await), Status::Error);
    // A token is for what it says: a block of the middle begins there.
    let middle = SealedBlock { run: SealedRun { offset: 131_072, length: 70_000, ..block.run }, ..block.clone() };
    assert_eq!(node.ask(with(&middle, 10, 60_000)).await.unwrap(), &plain[131_082..191_082]);

    let mut connection = node.connect().await;
    let header = with(&block, 0, 0).header.base_header;
    let checksum = OpBlockChecksum { header, block_checksum_options: None };
    wire::write_request(&mut connection.writer, Op::BlockChecksum, &checksum).await.unwrap();
    let response: BlockOpResponse = wire::read_message(&mut connection.reader).await.unwrap();
    let expected: [u8; 16] = Md5::digest(ChunkChecksum::STORED.sums(&plain)).into();
    assert_eq!(response.checksum_response.unwrap().block_checksum, expected);

    let mut forged = with(&block, 0, 10);
    forged.header.base_header.token = Some(middle.to_hadoop(&TokenKey([6; 32])));
    let late = SealedBlock { expires: UnixMillis(1), ..block.clone() };
    for refused in [forged, with(&late, 0, 10)] {
        assert_eq!(status_of(node.ask(refused).await), Status::ErrorAccessToken);
    }
    let kms = EncryptionMode::Kms { key_id: "k".to_owned(), context: None, bucket_key: false };
    let encryption = ObjectEncryption { mode: kms, ..block.encryption.clone() };
    let refused = node.ask(with(&SealedBlock { encryption, ..block }, 0, 10)).await.unwrap_err();
    assert_eq!((refused.status(), refused.message()), (Status::Error, "key \"k\" is disabled"));
    node.stop().await;
}

#[test]
fn every_window_of_every_extent_is_read_whole() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (node, data) = (Node::start().await, pattern(300_000));
        write_whole(&node, 20, &[], &data).await;
        let windows = (0u32..299_000, 1u32..300_000, any::<prop::sample::Index>(), any::<prop::sample::Index>());
        let mut runner = TestRunner::new(Cases { cases: 60, failure_persistence: None, ..Cases::default() });
        let handle = tokio::runtime::Handle::current();
        let checked = tokio::task::block_in_place(|| {
            runner.run(&windows, |(start, length, first, count)| {
                let length = length.min(300_000 - start);
                let extent = Extent { block: BlockId(20), offset: start, length };
                let offset = first.index(length as usize) as u64;
                let len = count.index((u64::from(length) - offset) as usize) as u64 + 1;
                let read = handle.block_on(node.read(extent, offset, len));
                let from = start as usize + offset as usize;
                prop_assert_eq!(read.unwrap(), &data[from..from + len as usize]);
                // Not a byte past the extent, though the replica has more.
                let past = handle.block_on(node.read(extent, offset, u64::from(length) - offset + 1));
                prop_assert_eq!(past.unwrap_err().status(), Status::Error);
                Ok(())
            })
        });
        checked.unwrap();
        node.stop().await;
    });
}
