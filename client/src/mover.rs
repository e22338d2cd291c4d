//! Writes small contents into the storage class they have changed to.
//!
//! The namenode says which contents, one mover at a time; this task reads each one's record, writes it again through the
//! packer of the class under its own name, and reports the moves. A content that dies or is moved by somebody else
//! meanwhile is skipped by the namenode, so stopping at any point loses nothing. The old records are dead weight that
//! compaction takes.

use crate::error::unexpected;
use crate::pace::batches;
use crate::reader::ContentReader;
use crate::shared::Shared;
use futures_util::StreamExt as _;
use futures_util::future::ready;
use futures_util::stream;
use granary_protocol::block::PACKED_OBJECT_BYTES_MAX;
use granary_protocol::lifecycle::{ClaimedMove, MOVES_CLAIMED_MAX};
use granary_protocol::namenode::{ContentMove, LocatedExtent, NamenodeReply, NamenodeRequest};
use granary_protocol::{ContentId, ErrorCode, Failure};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tracing::{debug, warn};

/// Contents read at once.
const READS_MAX: usize = 16;

pub(crate) struct Mover {
    shared: Arc<Shared>,
}

impl Mover {
    pub fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Moves contents until the client stops.
    pub async fn run(self) {
        let stop = self.shared.stop.clone();
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.move_for_ever() => {}
        }
    }

    async fn move_for_ever(&self) {
        // Asking costs the namenode one look at a table that is nearly always empty.
        let pause = Duration::from_millis(self.shared.config.compaction_pause_min_ms);
        loop {
            match self.pass().await {
                Ok(0) => {}
                Ok(moved) => debug!(moved, "contents were written into their classes"),
                Err(failure) => debug!(%failure, "moving contents pauses"),
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// Goes through everything that waits, once; how many contents moved. One that cannot be moved now is met again by
    /// the next pass and keeps no other waiting.
    async fn pass(&self) -> Result<usize, Failure> {
        let (mut after, mut moved) = (None, 0);
        loop {
            let claimed = self.claim(after).await?;
            let Some(last) = claimed.last() else { return Ok(moved) };
            after = Some(last.content);
            for batch in batches(claimed, |content| u64::from(content.from.length)) {
                let started = Instant::now();
                let bytes = batch.iter().map(|content| u64::from(content.from.length)).sum();
                moved += self.move_batch(batch).await?;
                self.shared.keep_to_rate(bytes, started).await;
            }
        }
    }

    async fn claim(&self, after: Option<ContentId>) -> Result<Vec<ClaimedMove>, Failure> {
        let lease = self.shared.lease.current().await?.id;
        let request = NamenodeRequest::ClaimMoves { lease, after, limit: MOVES_CLAIMED_MAX };
        match self.shared.namenode.call(request).await? {
            NamenodeReply::Moves(moves) => Ok(moves),
            other => Err(unexpected(&other)),
        }
    }

    async fn move_batch(&self, batch: Vec<ClaimedMove>) -> Result<usize, Failure> {
        let copies = stream::iter(batch).map(|content| self.copy(content)).buffer_unordered(READS_MAX);
        let moves: Vec<ContentMove> = copies.filter_map(ready).collect().await;
        if moves.is_empty() {
            return Ok(0);
        }
        // The lease under which the copies' blocks are open; it may have changed since the claim.
        let lease = self.shared.lease.current().await?.id;
        match self.shared.namenode.call(NamenodeRequest::RelocateContents { lease, moves }).await? {
            NamenodeReply::Alive(happened) => Ok(happened.into_iter().filter(|happened| *happened).count()),
            other => Err(unexpected(&other)),
        }
    }

    /// Writes a content again. `None` if that is not possible now.
    async fn copy(&self, claimed: ClaimedMove) -> Option<ContentMove> {
        let ClaimedMove { content, from, class, located } = claimed;
        match self.try_copy(content, class, located).await {
            Ok(to) => Some(ContentMove { content, from, to }),
            Err(failure) if failure.code == ErrorCode::NoSuchKey => None,
            Err(failure) => {
                warn!(%content, %failure, "a content cannot be written into its class now");
                None
            }
        }
    }

    async fn try_copy(
        &self,
        content: ContentId,
        class: granary_protocol::object::StorageClass,
        located: LocatedExtent,
    ) -> Result<granary_protocol::block::Extent, Failure> {
        let length = located.extent.length;
        if length > PACKED_OBJECT_BYTES_MAX {
            return Err(Failure::new(ErrorCode::InvalidArgument, "a record larger than records are"));
        }
        let mut reader = ContentReader::of_content(self.shared.clone(), content, u64::from(length), vec![located]);
        let mut payload = Vec::new();
        while let Some(piece) = reader.next().await? {
            payload.push(piece);
        }
        Ok(self.shared.packer(class).store(&self.shared, payload, Some(content)).await?.extent)
    }
}
