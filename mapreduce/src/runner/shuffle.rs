//! Map output on its way from the runner that keeps it to a reduce elsewhere: streams between runners, under the cluster's
//! mutual TLS. The bytes carry their checksums; who reads them verifies.

use super::pieces::{self, PieceReader};
use super::{KeptOutput, TaskRunner, attempt};
use crate::engine::MapOutputs;
use crate::shuffle::MapOutputFile;
use bytes::{BufMut, Bytes, BytesMut};
use granary_protocol::jobs::{AttemptOrder, AttemptWork, JobId, MapSource};
use granary_protocol::{ErrorCode, Failure};
use granary_rpc::{BoxFuture, DuplexStream, PeerIdentity, RpcClient, RpcError, RpcHandler, RpcServer, Security};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::{Error, ErrorKind, Read, Result};
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

/// The one method: a stream of a segment.
const SEGMENT: u16 = 1;
/// The role in the certificates of runners, which stand beside datanodes.
const ROLE: &str = "datanode";
/// First byte of a frame: bytes of the segment, its end, or why there is none.
const FRAME_DATA: u8 = 0;
const FRAME_END: u8 = 1;
const FRAME_FAILURE: u8 = 2;
const FRAME_BYTES: usize = 256 << 10;
/// Frames of a segment on their way at most: a reduce reads many segments at a time, and its merge counts 1 MiB for each.
const FRAMES_AHEAD: usize = 2;
const OPEN_TIMEOUT: Duration = Duration::from_secs(10);
const STEP_TIMEOUT: Duration = Duration::from_secs(60);
/// How often a segment is asked for before its map has to run again, and the pause between.
const ATTEMPTS: u32 = 3;
const PAUSE: Duration = Duration::from_millis(500);

/// Which segment is wanted.
#[derive(Serialize, Deserialize)]
struct SegmentWanted {
    job: JobId,
    map: u32,
    attempt: u32,
    partition: u32,
}

/// The serving side, before its runner is there.
pub(super) struct ShuffleDoor {
    runner: OnceLock<Weak<TaskRunner>>,
}

/// Listens; streams are answered once the door is open.
pub(super) async fn bind(address: SocketAddr, security: Security) -> Result<(RpcServer, Arc<ShuffleDoor>)> {
    let door = Arc::new(ShuffleDoor { runner: OnceLock::new() });
    let server = RpcServer::bind(address, security, door.clone()).await?;
    Ok((server, door))
}

impl ShuffleDoor {
    pub fn open(&self, runner: &Arc<TaskRunner>) {
        let _ = self.runner.set(Arc::downgrade(runner));
    }

    fn find(&self, wanted: &SegmentWanted) -> std::result::Result<MapOutputFile, Failure> {
        let runner = self.runner.get().and_then(Weak::upgrade);
        let runner = runner.ok_or_else(|| Failure::from(ErrorCode::Unavailable))?;
        runner.kept(wanted.job, wanted.map, wanted.attempt)
    }

    async fn serve(&self, first: &[u8], stream: &mut DuplexStream) -> std::result::Result<(), RpcError> {
        let wanted: std::result::Result<SegmentWanted, _> =
            postcard::from_bytes(first).map_err(|error| Failure::new(ErrorCode::Malformed, error.to_string()));
        let found = wanted.and_then(|wanted| {
            let file = self.find(&wanted)?;
            file.segment(wanted.partition).ok_or_else(|| Failure::new(ErrorCode::Malformed, "no such partition"))
        });
        match found {
            Ok(mut segment) => loop {
                let read = tokio::task::spawn_blocking(move || (frame_of(&mut segment), segment)).await;
                let Ok((frame, back)) = read else { return Ok(()) };
                segment = back;
                match frame {
                    Ok(Some(frame)) => stream.send(frame, STEP_TIMEOUT).await?,
                    Ok(None) => break stream.send(Bytes::from_static(&[FRAME_END]), STEP_TIMEOUT).await?,
                    Err(error) => {
                        let failure = Failure::new(ErrorCode::DiskFailed, error.to_string());
                        break stream.send(failure_frame(&failure), STEP_TIMEOUT).await?;
                    }
                }
            },
            Err(failure) => stream.send(failure_frame(&failure), STEP_TIMEOUT).await?,
        }
        stream.finish(STEP_TIMEOUT).await?;
        // Taking the peer's end lets the connection be used again.
        stream.recv(STEP_TIMEOUT).await.map(drop)
    }
}

impl RpcHandler for ShuffleDoor {
    fn call<'a>(&'a self, _: &'a PeerIdentity, _: u16, _: Bytes) -> BoxFuture<'a, std::result::Result<Bytes, Bytes>> {
        Box::pin(async { Err(Bytes::new()) })
    }

    fn stream<'a>(
        &'a self,
        peer: &'a PeerIdentity,
        method: u16,
        first: Bytes,
        mut stream: DuplexStream,
    ) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            if method != SEGMENT || (peer.node.is_some() && !peer.has_role(ROLE)) {
                tracing::warn!(peer = %peer.addr, method, "refused a stream");
                return;
            }
            if let Err(error) = self.serve(&first, &mut stream).await {
                tracing::debug!(peer = %peer.addr, %error, "a segment was not sent");
            }
        })
    }
}

fn frame_of(segment: &mut impl Read) -> Result<Option<Bytes>> {
    let mut frame = vec![FRAME_DATA; FRAME_BYTES + 1];
    let mut filled = 1;
    while filled < frame.len() {
        match segment.read(&mut frame[filled..])? {
            0 => break,
            bytes => filled += bytes,
        }
    }
    frame.truncate(filled);
    Ok((filled > 1).then(|| Bytes::from(frame)))
}

fn failure_frame(failure: &Failure) -> Bytes {
    let mut frame = BytesMut::new();
    frame.put_u8(FRAME_FAILURE);
    frame.extend_from_slice(&postcard::to_stdvec(failure).expect("a failure always encodes"));
    frame.freeze()
}

impl TaskRunner {
    /// The output of a map that is kept here.
    fn kept(&self, job: JobId, map: u32, attempt: u32) -> std::result::Result<MapOutputFile, Failure> {
        let kept: Option<KeptOutput> = self.state().map_outputs.get(&(job, map)).cloned();
        let gone = || Failure::new(ErrorCode::ReplicaNotFound, format!("the output of map {map} is not here"));
        let kept = kept.filter(|kept| kept.attempt == attempt).ok_or_else(gone)?;
        MapOutputFile::open(&kept.path).map_err(|error| Failure::new(ErrorCode::DiskFailed, error.to_string()))
    }
}

/// The map outputs that an attempt reads.
pub(super) struct Sources {
    runner: Arc<TaskRunner>,
    runtime: tokio::runtime::Handle,
    job: JobId,
    sources: BTreeMap<u32, MapSource>,
    peers: std::sync::Mutex<BTreeMap<String, RpcClient>>,
}

impl Sources {
    pub fn new(runner: Arc<TaskRunner>, order: &AttemptOrder) -> Sources {
        let sources = match &order.work {
            AttemptWork::Reduce { sources } if !attempt::is_map(order) => {
                sources.iter().map(|source| (source.map, source.clone())).collect()
            }
            AttemptWork::Reduce { .. } | AttemptWork::Map { .. } => BTreeMap::new(),
        };
        let runtime = tokio::runtime::Handle::current();
        Sources { runner, runtime, job: order.attempt.job, sources, peers: std::sync::Mutex::default() }
    }

    fn peer(&self, address: &str) -> RpcClient {
        let mut peers = self.peers.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        peers.entry(address.to_owned()).or_insert_with(|| RpcClient::new(address, self.runner.security.clone())).clone()
    }

    fn fetch(&self, source: &MapSource, partition: u32) -> std::result::Result<PieceReader, Failure> {
        let peer = self.peer(&source.address);
        let wanted = SegmentWanted { job: self.job, map: source.map, attempt: source.attempt, partition };
        let first = postcard::to_stdvec(&wanted).map(Bytes::from);
        let first = first.map_err(|error| Failure::new(ErrorCode::Internal, error.to_string()))?;
        let mut stream = self.runtime.block_on(peer.open_stream(SEGMENT, first, OPEN_TIMEOUT)).map_err(of_rpc)?;
        let begin = self.runtime.block_on(stream.recv(STEP_TIMEOUT)).map_err(of_rpc)?;
        let (sender, reader) = pieces::channel(None, FRAMES_AHEAD);
        let begin = take_frame(begin)?;
        self.runtime.spawn(async move {
            let mut next = begin;
            loop {
                match next {
                    Some(piece) => {
                        if sender.send(Ok(piece)).await.is_err() {
                            return;
                        }
                    }
                    None => {
                        // Both ends end cleanly: the connection can be used again.
                        if stream.finish(STEP_TIMEOUT).await.is_ok() {
                            let _ = stream.recv(STEP_TIMEOUT).await;
                        }
                        return;
                    }
                }
                next = match stream.recv(STEP_TIMEOUT).await.map_err(of_rpc).and_then(take_frame) {
                    Ok(next) => next,
                    Err(failure) => {
                        // A reader that is gone does not ask why.
                        let _ = sender.send(Err(failure)).await;
                        return;
                    }
                };
            }
        });
        Ok(reader)
    }
}

impl MapOutputs for Sources {
    fn open(&self, source: u32, partition: u32) -> Result<Box<dyn Read + Send>> {
        let source =
            self.sources.get(&source).ok_or_else(|| Error::new(ErrorKind::NotFound, "no such map was named"))?;
        if source.address.is_empty() {
            let file = self.runner.kept(self.job, source.map, source.attempt).map_err(super::store::failed)?;
            let segment = file.segment(partition).ok_or_else(|| Error::other("the map made no such partition"))?;
            return Ok(Box::new(segment));
        }
        let mut attempts = 1;
        loop {
            match self.fetch(source, partition) {
                Ok(reader) => return Ok(Box::new(reader)),
                Err(failure) if attempts >= ATTEMPTS || failure.code == ErrorCode::ReplicaNotFound => {
                    return Err(super::store::failed(failure));
                }
                Err(_) => {
                    attempts += 1;
                    std::thread::sleep(PAUSE);
                }
            }
        }
    }
}

/// The bytes of a frame; `None` at the end of the segment.
fn take_frame(frame: Option<Bytes>) -> std::result::Result<Option<Bytes>, Failure> {
    let malformed = |what: &str| Failure::new(ErrorCode::Malformed, what.to_owned());
    let Some(mut frame) = frame.filter(|frame| !frame.is_empty()) else {
        return Err(malformed("a segment ended early"));
    };
    let body = frame.split_off(1);
    match frame[0] {
        FRAME_DATA => Ok(Some(body)),
        FRAME_END => Ok(None),
        FRAME_FAILURE => Err(postcard::from_bytes::<Failure>(&body).map_err(|error| malformed(&error.to_string()))?),
        _ => Err(malformed("a frame of unknown kind")),
    }
}

fn of_rpc(error: RpcError) -> Failure {
    Failure::new(ErrorCode::Unavailable, error.to_string())
}
