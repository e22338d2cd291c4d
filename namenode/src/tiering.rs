//! What the leader does for INTELLIGENT_TIERING: gathers what was read, and has it noted and idle contents moved, in batches.
//!
//! Soft state: reads that were gathered and not noted when a leader ends are forgotten, which makes a content look a little
//! less read than it was. What is gathered is bounded; what does not fit is noted when it is read again.

use crate::command::Action;
use crate::config::TieringConfig;
use crate::service::Namenode;
use crate::state;
use granary_protocol::object::StorageClass;
use granary_protocol::{ContentId, Failure, UnixMillis};
use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Contents gathered at most.
const GATHERED_MAX: usize = 100_000;
/// How long reads are gathered at most before they are noted.
const GATHERED_FOR_MS: u64 = 5_000;
/// Contents of one command: applied in a few milliseconds.
const CONTENTS_PER_COMMAND: usize = 250;
/// Commands of each kind at one look.
const COMMANDS_PER_LOOK: usize = 4;

/// Contents that were read and not noted yet.
#[derive(Default)]
pub(crate) struct Accesses {
    gathered: Mutex<Gathered>,
}

#[derive(Default)]
struct Gathered {
    contents: BTreeSet<ContentId>,
    since: UnixMillis,
}

impl Accesses {
    fn gathered(&self) -> MutexGuard<'_, Gathered> {
        self.gathered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, content: ContentId, now: UnixMillis) {
        let mut gathered = self.gathered();
        if gathered.contents.is_empty() {
            gathered.since = now;
        }
        if gathered.contents.len() < GATHERED_MAX {
            gathered.contents.insert(content);
        }
    }

    /// The next contents to be noted: none while few were gathered lately.
    fn take(&self, now: UnixMillis) -> Vec<ContentId> {
        let mut gathered = self.gathered();
        let full = gathered.contents.len() >= CONTENTS_PER_COMMAND;
        if !full && now.0.saturating_sub(gathered.since.0) < GATHERED_FOR_MS {
            return Vec::new();
        }
        std::iter::from_fn(|| gathered.contents.pop_first()).take(CONTENTS_PER_COMMAND).collect()
    }
}

impl Namenode {
    /// A version was read, with bytes of `content`. Costs a look at one row where it is in INTELLIGENT_TIERING.
    pub(crate) fn note_read(&self, class: StorageClass, content: Option<ContentId>) {
        let (StorageClass::IntelligentTiering, Some(content)) = (class, content) else { return };
        let now = self.clock.now();
        let known = self.look(|view| state::tiering_of(view, content)).unwrap_or_default();
        let matters = known.is_some_and(|tiering| {
            tiering.infrequent || now.0.saturating_sub(tiering.accessed.0) >= self.config.tiering.day_ms
        });
        if matters {
            self.accesses.add(content, now);
        }
    }
}

/// One look: notes what was read, then makes infrequent what was not.
pub(crate) async fn step(namenode: &Namenode, now: UnixMillis) {
    if let Err(failure) = note(namenode, now).await {
        tracing::debug!(%failure, "reads cannot be noted now");
    } else if let Err(failure) = settle(namenode, now).await {
        tracing::debug!(%failure, "idle contents cannot be moved now");
    }
}

async fn note(namenode: &Namenode, now: UnixMillis) -> Result<(), Failure> {
    for _ in 0..COMMANDS_PER_LOOK {
        let contents = namenode.accesses.take(now);
        if contents.is_empty() {
            break;
        }
        namenode.propose(Action::NoteAccess { contents }).await?;
    }
    Ok(())
}

async fn settle(namenode: &Namenode, now: UnixMillis) -> Result<(), Failure> {
    let TieringConfig { day_ms, infrequent_after_days } = namenode.config.tiering;
    let idle_ms = day_ms.saturating_mul(u64::from(infrequent_after_days));
    let before = UnixMillis(now.0.saturating_sub(idle_ms));
    for _ in 0..COMMANDS_PER_LOOK {
        if !namenode.look(|view| state::is_any_idle(view, before))? {
            break;
        }
        namenode.propose(Action::SettleTiering { idle_ms, limit: CONTENTS_PER_COMMAND as u32 }).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_are_noted_together_and_once() {
        let accesses = Accesses::default();
        let start = UnixMillis(1_000_000);
        for _ in 0..3 {
            accesses.add(ContentId(7), start);
        }
        assert_eq!(accesses.take(start), []);
        let later = UnixMillis(start.0 + GATHERED_FOR_MS);
        assert_eq!(accesses.take(later), [ContentId(7)]);
        assert_eq!(accesses.take(later), []);
        for content in 0..GATHERED_MAX as u64 + 10 {
            accesses.add(ContentId(content), later);
        }
        assert_eq!(accesses.take(later).len(), CONTENTS_PER_COMMAND, "enough for a command of their own");
        assert_eq!(accesses.gathered().contents.len(), GATHERED_MAX - CONTENTS_PER_COMMAND);
    }
}
