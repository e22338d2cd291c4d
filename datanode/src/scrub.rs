//! The scrubber: reads every finalized replica again on a schedule, so that damage is found while good copies are left.
//!
//! One task a volume, one replica at a time, at a bounded rate. A round goes through the replicas by block number; where it
//! is, and when it began, is kept in the volume's `scrub` file, so that restarts neither begin anew nor scrub more often than
//! the interval says. Bytes come from the disk and not from memory: the range is dropped from the page cache first.
//!
//! What a bad replica means is not decided here: reading it takes it out of service and reports it, as for any reader.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use granary_protocol::{BlockId, Failure, UnixMillis};
use tokio::time::sleep;

use crate::datanode::Datanode;
use crate::error::ReplicaError;
use crate::layout::ReplicaName;
use crate::volume::{Replica, ReplicaSource, Volume};

/// How far a round may get without its place being noted.
const NOTE_EVERY: Duration = Duration::from_secs(30);
/// The longest sleep: a clock that is set forward is noticed.
const SLEEP_MAX: Duration = Duration::from_secs(60);
/// The shortest pause between two rounds, however short the interval.
const ROUND_PAUSE: Duration = Duration::from_millis(20);

/// Where a volume's scrubber is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Place {
    /// When the round began.
    began: UnixMillis,
    /// The first block that is still to be read; `None` when the round is over.
    next: Option<BlockId>,
}

impl Place {
    fn start(now: UnixMillis) -> Place {
        Place { began: now, next: Some(BlockId(0)) }
    }

    fn encode(&self) -> String {
        let next = self.next.map_or("done".to_owned(), |block| block.0.to_string());
        format!("began={} next={next}\n", self.began.0)
    }

    fn decode(text: &str) -> Option<Place> {
        let (began, next) = text.trim_end().split_once(' ')?;
        let began = UnixMillis(began.strip_prefix("began=")?.parse().ok()?);
        let next = match next.strip_prefix("next=")? {
            "done" => None,
            block => Some(BlockId(block.parse().ok()?)),
        };
        Some(Place { began, next })
    }

    /// A hint that is lost or damaged costs a round, no data: it is not synced.
    fn load(path: &Path) -> Option<Place> {
        Place::decode(&fs::read_to_string(path).ok()?)
    }

    fn store(&self, path: &Path) {
        let new = path.with_extension("new");
        if let Err(error) = fs::write(&new, self.encode()).and_then(|()| fs::rename(&new, path)) {
            tracing::debug!(path = %path.display(), %error, "the scrubber's place could not be noted");
        }
    }
}

/// Starts a scrubber for each volume; they end at shutdown.
pub(crate) fn start(datanode: &Datanode) {
    if datanode.node.config.scrub_bytes_per_second == 0 {
        return;
    }
    for volume in datanode.node.volumes.all() {
        let scrubber = Scrubber { datanode: datanode.clone(), volume: volume.clone() };
        datanode.node.jobs.spawn_essential("the scrubber", async move {
            let shutdown = scrubber.datanode.node.shutdown.clone();
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = scrubber.run() => {}
            }
        });
    }
}

struct Scrubber {
    datanode: Datanode,
    volume: Arc<Volume>,
}

impl Scrubber {
    async fn run(self) {
        let path = self.volume.layout.scrub();
        let mut place = Place::load(&path).unwrap_or(Place::start(self.now()));
        loop {
            if let Some(from) = place.next {
                self.round(&mut place, from, &path).await;
                if self.volume.failed().is_some() {
                    return;
                }
                self.datanode.node.metrics.scrub_rounds.add(1);
                place.next = None;
                self.note(place, &path).await;
            }
            self.wait_for_next(place).await;
            place = Place::start(self.now());
        }
    }

    fn now(&self) -> UnixMillis {
        self.datanode.node.clock.now()
    }

    async fn wait_for_next(&self, place: Place) {
        sleep(ROUND_PAUSE).await;
        let due = place.began.0.saturating_add(self.datanode.node.config.scrub_interval_ms);
        loop {
            let now = self.now().0;
            // A clock that was set back must not put the next round off for years.
            if now >= due || now < place.began.0 {
                return;
            }
            sleep(Duration::from_millis(due - now).min(SLEEP_MAX)).await;
        }
    }

    /// Reads everything from block `from` on.
    async fn round(&self, place: &mut Place, from: BlockId, path: &Path) {
        let mut noted = Instant::now();
        for name in self.finalized_from(from) {
            place.next = Some(name.block);
            if noted.elapsed() > NOTE_EVERY {
                self.note(*place, path).await;
                noted = Instant::now();
            }
            if self.volume.failed().is_some() {
                return;
            }
            if let Err(error) = self.scrub(name).await {
                tracing::debug!(block = %name.block, %error, "scrubbed replica is not served any more");
            }
        }
    }

    fn finalized_from(&self, from: BlockId) -> Vec<ReplicaName> {
        let replicas = self.volume.replicas();
        let finalized = replicas.iter().filter_map(|(block, replica)| match replica {
            Replica::Finalized { generation, kind, .. } if *block >= from => {
                Some(ReplicaName { block: *block, generation: *generation, kind: *kind })
            }
            Replica::Finalized { .. } | Replica::Open(_) => None,
        });
        let mut names: Vec<_> = finalized.collect();
        drop(replicas);
        names.sort_unstable_by_key(|name| name.block);
        names
    }

    /// Reads one replica, a piece at a time, with pauses that keep to the rate.
    async fn scrub(&self, name: ReplicaName) -> Result<(), Failure> {
        let mut source = match self.volume.source(name.block, name.generation) {
            Ok(source) => source,
            // Removed since the round began.
            Err(ReplicaError::NotFound { .. }) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let length = source.length();
        let rate = self.datanode.node.config.scrub_bytes_per_second;
        let mut start = 0;
        while start < length {
            let began = Instant::now();
            let volume = self.volume.clone();
            let piece = move || volume.scrub_piece(source, start);
            let (left, end) = self.datanode.blocking(piece).await?;
            let bytes = u64::from(end - start);
            self.datanode.node.metrics.scrubbed_bytes.add(bytes);
            (source, start) = (left, end);
            let due = Duration::from_micros(bytes.saturating_mul(1_000_000) / rate);
            sleep(due.saturating_sub(began.elapsed())).await;
        }
        self.datanode.node.metrics.scrubbed_replicas.add(1);
        Ok(())
    }

    async fn note(&self, place: Place, path: &Path) {
        let path = path.to_owned();
        let noted = self.datanode.blocking(move || {
            place.store(&path);
            Ok(())
        });
        if let Err(error) = noted.await {
            tracing::debug!(%error, "the scrubber's place was not noted");
        }
    }
}

impl Volume {
    /// Reads the piece at `start` from the disk; where it ends. Blocks.
    fn scrub_piece(&self, mut source: ReplicaSource, start: u32) -> Result<(ReplicaSource, u32), ReplicaError> {
        let end = crate::read::piece_end(start, source.length());
        self.read_from_disk(&mut source, start, end)?;
        Ok((source, end))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_as_it_was_written() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("scrub");
        assert_eq!(Place::load(&path), None);
        for next in [None, Some(BlockId(0)), Some(BlockId(u64::MAX))] {
            let place = Place { began: UnixMillis(17), next };
            place.store(&path);
            assert_eq!(Place::load(&path), Some(place));
        }
        for bad in ["", "began=1", "began=x next=1", "began=1 next=-1", "next=1 began=1"] {
            assert_eq!(Place::decode(bad), None, "{bad}");
        }
    }
}
