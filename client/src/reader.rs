//! From located extents back to the stored bytes of a window, whatever replica dies meanwhile.
//!
//! A piece handed out is never handed out twice and none is left out: the reader counts bytes, and whoever serves them
//! next is asked from that byte on. Datanodes verify what they serve; here the number of bytes is checked.
//!
//! A block of which no replica can be read is made from the rest of its coded group, if it is in one ([`rebuild`]).
//!
//! The common case (a small object on this machine) is one open and one piece: no task, no channel, no timer.

use crate::error::{for_user, unavailable, unexpected};
use crate::rebuild::{self, Degraded};
use crate::shared::Shared;
use bytes::Bytes;
use granary_protocol::block::{Extent, LocatedBlock, ReplicaLocation};
use granary_protocol::datanode::{ReadBlock, ReadStream};
use granary_protocol::namenode::{LocatedExtent, NamenodeReply, NamenodeRequest, ObjectRead};
use granary_protocol::{Advice, ContentId, ErrorCode, Failure, VolumeId};
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout};
use tokio_util::task::AbortOnDropHandle;
use tracing::debug;

/// With no more than this to come from an extent, the next one is opened.
const OPEN_AHEAD_BYTES: u64 = 4 << 20;
/// How long the only replica of a block may be silent before its group is asked, unless it has been slow before.
const ONLY_REPLICA_PATIENCE: Duration = Duration::from_millis(1_500);
/// How long members of a group that do not answer are tried again.
const GROUP_PATIENCE: Duration = Duration::from_millis(1_500);
/// How long a group is asked for again that has too few members, as the namenode knows.
const LOST_PATIENCE: Duration = Duration::from_millis(500);
const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// Reads the stored bytes of one window of an object: the bytes themselves, or what they are sealed in. Made by [`crate::Client::read`].
pub struct ContentReader {
    shared: Arc<Shared>,
    content: Option<ContentId>,
    /// The next byte to hand out, and the byte after the last.
    position: u64,
    end: u64,
    /// The first one holds `position`.
    extents: VecDeque<LocatedExtent>,
    open: Option<OpenReplica>,
    /// The extent that starts at this byte, being opened before its turn.
    next_open: Option<(u64, AbortOnDropHandle<Option<OpenReplica>>)>,
    /// Replicas of the first extent that have failed since it was located.
    tried: Vec<VolumeId>,
    /// Since when nothing has come, and how long to pause before asking the namenode again.
    stalled: Option<(Instant, Duration)>,
    /// Since when nothing has come from the group of the first extent's block.
    group_stalled: Option<Instant>,
}

/// A replica that is being read.
struct OpenReplica {
    volume: VolumeId,
    stream: Box<dyn ReadStream>,
    left: u32,
}

impl ContentReader {
    pub(crate) fn new(shared: Arc<Shared>, read: ObjectRead) -> Self {
        let window = read.stored_offset..read.stored_offset + read.stored_length;
        Self::of_window(shared, read.content, window, read.extents)
    }

    pub(crate) fn located(shared: Arc<Shared>, extents: Vec<LocatedExtent>, offset: u64, length: u64) -> Self {
        Self::of_window(shared, None, offset..offset + length, extents)
    }

    /// A reader of a window of a content that is yet to be located.
    pub(crate) fn of_unlocated(shared: Arc<Shared>, content: ContentId, window: Range<u64>) -> Self {
        Self::of_window(shared, Some(content), window, Vec::new())
    }

    /// A reader of the first `length` bytes of a content, of which `extents` are the beginning.
    pub(crate) fn of_content(
        shared: Arc<Shared>,
        content: ContentId,
        length: u64,
        extents: Vec<LocatedExtent>,
    ) -> Self {
        Self::of_window(shared, Some(content), 0..length, extents)
    }

    fn of_window(
        shared: Arc<Shared>,
        content: Option<ContentId>,
        window: Range<u64>,
        extents: Vec<LocatedExtent>,
    ) -> Self {
        Self {
            shared,
            content,
            position: window.start,
            end: window.end,
            extents: extents.into(),
            open: None,
            next_open: None,
            tried: Vec::new(),
            stalled: None,
            group_stalled: None,
        }
    }

    /// Bytes still to come.
    pub fn remaining(&self) -> u64 {
        self.end - self.position
    }

    /// The next piece, at most 1 MiB; `None` after the last. Not to be called again after an error.
    ///
    /// # Errors
    /// `Unavailable` when no replica of the next byte could be read for the configured deadline, or when the content went
    /// meanwhile: whoever asked for an object that was replaced must not be told that there is none.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        loop {
            if self.position == self.end {
                return Ok(None);
            }
            if self.extents.is_empty() {
                self.locate().await?;
                continue;
            }
            let result = match self.open.is_some() {
                true => self.next_piece().await,
                false => self.open_first().await,
            };
            match result {
                Ok(Some(piece)) => return Ok(Some(piece)),
                Ok(None) => {}
                Err((volume, failure)) => self.failed(volume, failure).await?,
            }
        }
    }

    /// The next piece of the open replica.
    async fn next_piece(&mut self) -> Result<Option<Bytes>, (VolumeId, Failure)> {
        let open = self.open.as_mut().expect("the caller has checked");
        let volume = open.volume;
        let short = |what: &str| (volume, Failure::new(ErrorCode::CorruptReplica, what.to_owned()));
        let extent = self.extents.front().expect("a replica of it is open");
        let patience = patience(&self.shared, &extent.located, volume);
        let piece = match timeout(patience, open.stream.next()).await {
            Ok(Ok(Some(piece))) => piece,
            Ok(Ok(None)) => return Err(short("a replica ended early")),
            Ok(Err(failure)) => return Err((volume, failure)),
            Err(_) => return Err((volume, silent())),
        };
        let bytes = u32::try_from(piece.len()).ok().filter(|bytes| *bytes > 0 && *bytes <= open.left);
        let Some(bytes) = bytes else { return Err(short("a replica served the wrong number of bytes")) };
        open.left -= bytes;
        let left = open.left;
        self.position += u64::from(bytes);
        self.stalled = None;
        self.group_stalled = None;
        if left == 0 {
            self.open = None;
            self.tried.clear();
            self.extents.pop_front();
            self.shared.suspects.clear(volume);
        } else if u64::from(left) <= OPEN_AHEAD_BYTES && self.next_open.is_none() && self.extents.len() > 1 {
            self.open_ahead();
        }
        Ok(Some(piece))
    }

    /// Opens the best replica of the first extent, at the next byte.
    async fn open_first(&mut self) -> Result<Option<Bytes>, (VolumeId, Failure)> {
        if let Some((_, ahead)) = self.next_open.take_if(|(from, _)| *from == self.position) {
            if let Some(open) = ahead.await.ok().flatten() {
                self.open = Some(open);
                return Ok(None);
            }
        }
        let extent = self.extents.front().expect("the caller has checked");
        let Some(replica) = best_replica(&self.shared, &extent.located, &self.tried) else {
            return Err((REBUILT, unavailable("no replica is left to try")));
        };
        let volume = replica.volume;
        // One that failed a moment ago is left alone where the bytes can be had without it.
        if self.shared.suspects.contains(volume) && self.group_stalled.is_none() {
            if let Ok(Degraded::Open(stream)) = self.open_group().await {
                self.open = Some(stream_of(stream, extent, self.position));
                // If it fails before it brings anything, the suspect is asked after all.
                self.group_stalled.get_or_insert_with(Instant::now);
                return Ok(None);
            }
        }
        self.open =
            Some(open(&self.shared, extent, replica, self.position).await.map_err(|failure| (volume, failure))?);
        Ok(None)
    }

    /// Opens the extent after the first one, so that a block's border does not stall the reader.
    fn open_ahead(&mut self) {
        let (shared, extent) = (self.shared.clone(), self.extents[1].clone());
        let from = extent.content_offset;
        let ahead = tokio::spawn(async move {
            let replica = best_replica(&shared, &extent.located, &[])?;
            if shared.suspects.contains(replica.volume) {
                return None;
            }
            // A failure is met again, and handled, when the extent's turn comes.
            open(&shared, &extent, replica, from).await.ok()
        });
        self.next_open = Some((from, AbortOnDropHandle::new(ahead)));
    }

    /// A replica failed: try another one, or, when all have been tried, ask the namenode where they are now.
    async fn failed(&mut self, volume: VolumeId, failure: Failure) -> Result<(), Failure> {
        debug!(%volume, %failure, position = self.position, "reading a replica failed");
        self.open = None;
        if volume != REBUILT {
            self.shared.suspects.failed(volume, &failure.code);
        }
        self.tried.push(volume);
        let extent = self.extents.front().expect("a replica of it has just failed");
        let another = extent.located.replicas.iter().any(|replica| !self.tried.contains(&replica.volume));
        // A token that one datanode refuses, all refuse.
        if another && failure.code != ErrorCode::InvalidToken {
            return Ok(());
        }
        if failure.code != ErrorCode::InvalidToken && self.rebuild().await? {
            return Ok(());
        }
        self.pause(failure).await?;
        self.extents.clear();
        self.next_open = None;
        self.tried.clear();
        Ok(())
    }

    /// Goes on with bytes made from the group of the first extent's block. `false` if that cannot be done now.
    ///
    /// # Errors
    /// The block is in a group, and the group is not to be read.
    async fn rebuild(&mut self) -> Result<bool, Failure> {
        let stalled_for = self.group_stalled.map_or(Duration::ZERO, |since| since.elapsed());
        let (failure, patience) = match self.open_group().await {
            Ok(Degraded::NoGroup) => return Ok(false),
            Ok(Degraded::Open(stream)) if stalled_for < GROUP_PATIENCE => {
                let extent = self.extents.front().expect("a replica of it has just failed");
                self.open = Some(stream_of(stream, extent, self.position));
                self.group_stalled.get_or_insert_with(Instant::now);
                return Ok(true);
            }
            Ok(Degraded::Open(_)) => (unavailable("members of its group fail again and again"), GROUP_PATIENCE),
            Ok(Degraded::TooFew(failure)) => (failure, LOST_PATIENCE),
            Err(failure) if failure.code.advice() == Advice::OtherLeader => return Ok(false),
            Err(failure) => (failure, GROUP_PATIENCE),
        };
        let since = *self.group_stalled.get_or_insert_with(Instant::now);
        if since.elapsed() >= patience {
            return Err(unavailable(format!("byte {} is lost for now: {}", self.position, for_user(failure))));
        }
        Ok(false)
    }

    /// Asks for the rest of the first extent from its block's group.
    fn open_group(&self) -> impl Future<Output = Result<Degraded, Failure>> + Send + use<> {
        let (shared, skip) = (self.shared.clone(), self.skip());
        let Extent { block, offset, length } = self.extents.front().expect("the caller has checked").extent;
        async move { rebuild::open(&shared, block, offset + skip, length - skip).await }
    }

    /// Bytes of the first extent that have been handed out.
    fn skip(&self) -> u32 {
        let extent = self.extents.front().expect("the caller has checked");
        u32::try_from(self.position - extent.content_offset).expect("the position lies in the extent")
    }

    /// Waits a little longer each time, until there has been no progress for the whole deadline.
    async fn pause(&mut self, failure: Failure) -> Result<(), Failure> {
        let (since, pause) = *self.stalled.get_or_insert((Instant::now(), Duration::ZERO));
        if since.elapsed() + pause > self.shared.config.retry_deadline() {
            return Err(unavailable(format!(
                "no replica of byte {} can be read: {}",
                self.position,
                for_user(failure)
            )));
        }
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
        self.stalled = Some((since, (pause * 2).clamp(PAUSE_MIN, PAUSE_MAX)));
        Ok(())
    }

    /// Asks where the next bytes are.
    async fn locate(&mut self) -> Result<(), Failure> {
        let Some(content) = self.content else {
            return Err(unavailable("no replica of the next byte can be read, and others are not known"));
        };
        let request =
            NamenodeRequest::LocateContent { content, offset: self.position, length: self.end - self.position };
        match self.shared.namenode.call(request).await {
            Ok(NamenodeReply::Located(extents)) => {
                if extents.first().is_none_or(|first| first.content_offset != self.position) {
                    return Err(Failure::new(ErrorCode::Internal, "the namenode located other bytes"));
                }
                self.extents = extents.into();
                Ok(())
            }
            Ok(other) => Err(unexpected(&other)),
            // The object was there when the read began, and may be there again: only a new read can tell.
            Err(failure) if failure.code == ErrorCode::NoSuchKey => {
                Err(unavailable("the object was replaced or deleted while its bytes could not be read"))
            }
            Err(failure) => match failure.code.advice() {
                Advice::Retry | Advice::OtherLeader => self.pause(failure).await,
                Advice::GiveUp | Advice::OtherReplica => Err(for_user(failure)),
            },
        }
    }
}

/// This machine's replica before others, volumes that failed lately after others, else the namenode's order.
fn best_replica<'a>(shared: &Shared, located: &'a LocatedBlock, tried: &[VolumeId]) -> Option<&'a ReplicaLocation> {
    let untried = located.replicas.iter().filter(|replica| !tried.contains(&replica.volume));
    untried.min_by_key(|replica| {
        (shared.suspects.contains(replica.volume), Some(replica.datanode.id) != shared.local_datanode)
    })
}

/// What a stream of rebuilt bytes is called among volumes: none has this id.
const REBUILT: VolumeId = VolumeId(0);

/// A stream of all of an extent from byte `from` of the content on.
fn stream_of(stream: Box<dyn ReadStream>, extent: &LocatedExtent, from: u64) -> OpenReplica {
    let skip = u32::try_from(from - extent.content_offset).expect("the position lies in the extent");
    OpenReplica { volume: REBUILT, stream, left: extent.extent.length - skip }
}

/// How long a replica may be silent. One without another is given less, the first time: its group may do better.
fn patience(shared: &Shared, located: &LocatedBlock, volume: VolumeId) -> Duration {
    let whole = shared.config.read_timeout();
    let only = located.replicas.len() == 1 && volume != REBUILT && !shared.suspects.contains(volume);
    if only { whole.min(ONLY_REPLICA_PATIENCE) } else { whole }
}

/// Opens `replica` of `extent` at byte `from` of the content.
async fn open(
    shared: &Shared,
    extent: &LocatedExtent,
    replica: &ReplicaLocation,
    from: u64,
) -> Result<OpenReplica, Failure> {
    let skip = u32::try_from(from - extent.content_offset).expect("the position lies in the extent");
    let length = extent.extent.length - skip;
    let request = ReadBlock {
        volume: replica.volume,
        generation: extent.located.generation,
        offset: extent.extent.offset + skip,
        length,
        token: extent.located.token.clone(),
    };
    let datanode = shared.datanode(replica);
    let patience = patience(shared, &extent.located, replica.volume);
    let stream = match timeout(patience, datanode.read(request)).await {
        Ok(opened) => opened?,
        Err(_) => return Err(silent()),
    };
    Ok(OpenReplica { volume: replica.volume, stream, left: length })
}

fn silent() -> Failure {
    Failure::new(ErrorCode::DeadlineExceeded, "the replica was silent")
}
