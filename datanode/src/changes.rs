//! What the namenodes still have to be told: one bounded outbox each.
//!
//! An outbox that overflows, or whose delivery failed, forgets its changes and asks for a full report instead, which
//! says the same and more.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use granary_protocol::namenode::ReplicaChange;
use tokio::sync::Notify;
use tokio::time::timeout;

/// Changes kept for one namenode before a full report is cheaper.
const CHANGES_MAX: usize = 20_000;

/// What is to be told next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// All replicas.
    FullReport,
    /// What has changed, oldest first.
    Changes(Vec<ReplicaChange>),
}

/// What one namenode has not been told yet.
#[derive(Default)]
pub(crate) struct Outbox {
    pending: Mutex<Pending>,
    wake: Notify,
    /// Somebody waits for what is pending.
    hurry: Notify,
}

#[derive(Default)]
struct Pending {
    changes: Vec<ReplicaChange>,
    full_report: bool,
}

impl Outbox {
    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, change: ReplicaChange) {
        let mut pending = self.pending();
        if pending.full_report {
            // The report will be drawn up after this change and so contains it.
            return;
        }
        if pending.changes.len() == CHANGES_MAX {
            *pending = Pending { changes: Vec::new(), full_report: true };
        } else {
            pending.changes.push(change);
        }
        drop(pending);
        self.wake.notify_one();
    }

    /// Asks for a full report.
    pub(crate) fn request_full_report(&self) {
        *self.pending() = Pending { changes: Vec::new(), full_report: true };
        self.wake.notify_one();
    }

    /// Waits until something is due. Only one task may wait.
    pub(crate) async fn wait(&self) {
        loop {
            {
                let pending = self.pending();
                if pending.full_report || !pending.changes.is_empty() {
                    return;
                }
            }
            self.wake.notified().await;
        }
    }

    /// Gives further changes `pause` to share the message, unless somebody waits for one that is pending.
    pub(crate) async fn gather(&self, pause: Duration) {
        let _hurried = timeout(pause, self.hurry.notified()).await;
    }

    /// Takes what is due. After a full report is taken, later changes are kept again.
    pub(crate) fn take(&self, changes_max: usize) -> Due {
        let mut pending = self.pending();
        if std::mem::take(&mut pending.full_report) {
            return Due::FullReport;
        }
        let count = pending.changes.len().min(changes_max);
        Due::Changes(pending.changes.drain(..count).collect())
    }
}

/// The outboxes of all namenodes.
#[derive(Default)]
pub(crate) struct ChangeLog {
    outboxes: RwLock<Vec<Arc<Outbox>>>,
}

impl ChangeLog {
    /// Tells every namenode, in time.
    pub(crate) fn push(&self, change: ReplicaChange) {
        for outbox in self.outboxes.read().unwrap_or_else(PoisonError::into_inner).iter() {
            outbox.push(change);
        }
    }

    /// Somebody waits until the namenodes know what was pushed so far.
    pub(crate) fn hurry(&self) {
        for outbox in self.outboxes.read().unwrap_or_else(PoisonError::into_inner).iter() {
            outbox.hurry.notify_one();
        }
    }

    /// An outbox for one more namenode. What changed before is in the full report that it begins with.
    pub(crate) fn add_outbox(&self) -> Arc<Outbox> {
        let outbox: Arc<Outbox> = Arc::default();
        self.outboxes.write().unwrap_or_else(PoisonError::into_inner).push(outbox.clone());
        outbox
    }

    /// That namenode is told nothing more.
    pub(crate) fn remove_outbox(&self, outbox: &Arc<Outbox>) {
        self.outboxes.write().unwrap_or_else(PoisonError::into_inner).retain(|other| !Arc::ptr_eq(other, outbox));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use granary_protocol::{BlockId, GenerationStamp, VolumeId};

    #[test]
    fn an_overflow_becomes_a_full_report() {
        let log = ChangeLog::default();
        let outbox = log.add_outbox();
        let change = |block| ReplicaChange::Removed(VolumeId(1), BlockId(block), GenerationStamp(1));
        log.push(change(1));
        log.push(change(2));
        assert_eq!(outbox.take(1), Due::Changes(vec![change(1)]));
        assert_eq!(outbox.take(10), Due::Changes(vec![change(2)]));
        for block in 0..=CHANGES_MAX as u64 {
            log.push(change(block));
        }
        assert_eq!(outbox.take(10), Due::FullReport);
        assert_eq!(outbox.take(10), Due::Changes(vec![]));
        log.push(change(3));
        assert_eq!(outbox.take(10), Due::Changes(vec![change(3)]));
    }
}
