//! Makes members of a coded group from others, as the namenode asked: parity of a new group, or whatever was lost.
//!
//! Memory is bounded whatever the blocks' length: a piece of every source, a window of every target. Sources are read
//! verified, like by any reader; targets are written through ordinary pipelines with a copy token.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, try_join_all};
use granary_protocol::block::ReplicaLocation;
use granary_protocol::datanode::{READ_PIECE_BYTES_MAX, ReadBlock, ReadStream, WriteBlock};
use granary_protocol::erasure::{Code, Combination, ErasureError, SimdField};
use granary_protocol::lockstep::{Lockstep, Step};
use granary_protocol::redundancy::{CodingJob, CodingSource, CodingTarget};
use granary_protocol::{ErrorCode, Failure};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::copy::write_replica;
use crate::datanode::Datanode;

/// Bytes of every target that are gathered before they are sent: a packet.
const WINDOW_BYTES: usize = READ_PIECE_BYTES_MAX;
/// Windows of a target that may wait for its pipeline.
const WINDOWS_WAITING_MAX: usize = 2;

/// Does the job; returns once every target has finalized its replica.
///
/// # Errors
/// Whatever a source or a target answered. The namenode plans anew; nothing is repeated here but opening a source.
pub(crate) async fn code(datanode: &Datanode, job: &CodingJob) -> Result<(), Failure> {
    let malformed = |error: ErasureError| Failure::new(ErrorCode::Malformed, error.to_string());
    let sources: Vec<u8> = job.sources.iter().map(|source| source.place).collect();
    let targets: Vec<u8> = job.targets.iter().map(|target| target.place).collect();
    let code = Code::new(job.data, job.parity).map_err(malformed)?;
    let combination = Arc::new(code.combination(&sources, &targets).map_err(malformed)?);
    let length = job.targets.iter().map(|target| target.length).max().unwrap_or(0);
    let opened = try_join_all(job.sources.iter().map(|source| open_source(datanode, source, length))).await?;
    let (mut feeds, mut writing) = (Vec::new(), Vec::new());
    for target in &job.targets {
        let (feed, fed) = mpsc::channel(WINDOWS_WAITING_MAX);
        feeds.push(Feed { left: target.length, window: BytesMut::new(), feed });
        writing.push(write_target(datanode, target, Box::new(Fed(fed))));
    }
    let producing = produce(datanode, Lockstep::new(opened, length), combination, feeds);
    tokio::try_join!(producing, try_join_all(writing))?;
    datanode.node.metrics.members_coded.add(job.targets.len() as u64);
    Ok(())
}

type Source = (Option<Box<dyn ReadStream>>, u32);

/// Opens a replica of a source, this node's own before others, for as many bytes as are needed.
async fn open_source(datanode: &Datanode, source: &CodingSource, length: u32) -> Result<Source, Failure> {
    let located = &source.located;
    let length = length.min(located.length);
    if length == 0 {
        return Ok((None, 0));
    }
    let patience = patience(datanode);
    let mut replicas: Vec<&ReplicaLocation> = located.replicas.iter().collect();
    replicas.sort_by_key(|replica| replica.datanode.id != datanode.id());
    let mut failed = Failure::new(ErrorCode::Unavailable, "a source without replicas");
    for replica in replicas {
        let request = ReadBlock {
            volume: replica.volume,
            generation: located.generation,
            offset: 0,
            length,
            token: located.token.clone(),
        };
        match timeout(patience, datanode.service_of(replica).read(request)).await {
            Ok(Ok(stream)) => return Ok((Some(Box::new(Patient { stream, patience })), length)),
            Ok(Err(failure)) => failed = failure,
            Err(_elapsed) => failed = silent(),
        }
    }
    Err(failed)
}

async fn write_target(datanode: &Datanode, target: &CodingTarget, bytes: Box<dyn ReadStream>) -> Result<(), Failure> {
    let request = WriteBlock {
        block: target.block,
        generation: target.generation,
        kind: target.kind,
        pipeline: vec![target.to.clone()],
        token: target.token.clone(),
    };
    write_replica(datanode, request, bytes, target.length).await
}

async fn produce(
    datanode: &Datanode,
    mut sources: Lockstep,
    combination: Arc<Combination>,
    mut feeds: Vec<Feed>,
) -> Result<(), Failure> {
    loop {
        // A step never crosses the end of a window: packets are full.
        let room = WINDOW_BYTES - feeds.iter().map(|feed| feed.window.len()).max().unwrap_or(0);
        let Some(step) = sources.next(room).await.map_err(|(_, failure)| failure)? else { break };
        datanode.node.metrics.coding_read_bytes.add(step.runs.iter().map(|run| run.len() as u64).sum());
        let windows: Vec<BytesMut> = feeds.iter_mut().map(|feed| std::mem::take(&mut feed.window)).collect();
        let combination = combination.clone();
        let computing = datanode.node.jobs.spawn_blocking(move || compute(&combination, &step, windows));
        let windows = computing.await.map_err(|error| Failure::new(ErrorCode::Internal, error.to_string()))?;
        for (feed, window) in feeds.iter_mut().zip(windows) {
            feed.take(window).await?;
        }
    }
    for feed in feeds {
        feed.end().await?;
    }
    Ok(())
}

/// Appends a step's outputs to the windows.
fn compute(combination: &Combination, step: &Step, mut windows: Vec<BytesMut>) -> Vec<BytesMut> {
    let from = windows.first().map_or(0, |window| window.len());
    for window in &mut windows {
        window.reserve(WINDOW_BYTES - from);
        window.resize(from + step.length, 0);
    }
    let inputs: Vec<&[u8]> = step.runs.iter().map(|run| run.as_ref()).collect();
    let mut outputs: Vec<&mut [u8]> = windows.iter_mut().map(|window| &mut window[from..]).collect();
    combination.apply(&SimdField, &inputs, &mut outputs);
    windows
}

/// A target's bytes on their way to its pipeline.
struct Feed {
    /// Bytes the target still wants; what is computed beyond them is padding.
    left: u32,
    window: BytesMut,
    feed: mpsc::Sender<Option<Bytes>>,
}

impl Feed {
    async fn take(&mut self, window: BytesMut) -> Result<(), Failure> {
        self.window = window;
        if self.window.len() < WINDOW_BYTES { Ok(()) } else { self.send().await }
    }

    async fn send(&mut self) -> Result<(), Failure> {
        let mut window = std::mem::take(&mut self.window);
        window.truncate(self.left as usize);
        self.left -= window.len() as u32;
        if window.is_empty() { Ok(()) } else { self.pass(Some(window.freeze())).await }
    }

    async fn end(mut self) -> Result<(), Failure> {
        self.send().await?;
        self.pass(None).await
    }

    async fn pass(&self, bytes: Option<Bytes>) -> Result<(), Failure> {
        let gone = |_| Failure::new(ErrorCode::Unavailable, "the target's pipeline has ended");
        self.feed.send(bytes).await.map_err(gone)
    }
}

/// The other end of a [`Feed`].
struct Fed(mpsc::Receiver<Option<Bytes>>);

impl ReadStream for Fed {
    fn next(&mut self) -> BoxFuture<'_, Result<Option<Bytes>, Failure>> {
        let ended = || Failure::new(ErrorCode::Unavailable, "the sources have ended early");
        async move { self.0.recv().await.ok_or_else(ended) }.boxed()
    }
}

/// A source that may not be silent for long.
struct Patient {
    stream: Box<dyn ReadStream>,
    patience: Duration,
}

impl ReadStream for Patient {
    fn next(&mut self) -> BoxFuture<'_, Result<Option<Bytes>, Failure>> {
        async move { timeout(self.patience, self.stream.next()).await.unwrap_or_else(|_elapsed| Err(silent())) }.boxed()
    }
}

fn patience(datanode: &Datanode) -> Duration {
    Duration::from_millis(datanode.node.config.pipeline_ack_timeout_ms)
}

fn silent() -> Failure {
    Failure::new(ErrorCode::DeadlineExceeded, "a source was silent")
}
