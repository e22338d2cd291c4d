//! Volumes that failed a moment ago: writers exclude them, readers try them last.
//!
//! A hint, not a verdict: only the namenode decides which replicas count. Entries expire by themselves.

use granary_protocol::{ErrorCode, VolumeId};
use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::time::Instant;

pub(crate) struct Suspects {
    until: Mutex<HashMap<VolumeId, Instant>>,
    /// How many entries there are, so that the healthy case costs one load.
    count: AtomicUsize,
    lifetime: Duration,
}

impl Suspects {
    pub fn new(lifetime: Duration) -> Self {
        Self { until: Mutex::default(), count: AtomicUsize::new(0), lifetime }
    }

    pub fn add(&self, volume: VolumeId) {
        self.change(|until| {
            until.insert(volume, Instant::now() + self.lifetime);
        });
    }

    /// A request to the volume has failed. Not every failure says something about the volume rather than about this one
    /// replica or request.
    pub fn failed(&self, volume: VolumeId, code: &ErrorCode) {
        use ErrorCode::*;
        if matches!(code, Unavailable | DeadlineExceeded | DiskFailed | Malformed) {
            self.add(volume);
        }
    }

    /// The volume has just answered.
    pub fn clear(&self, volume: VolumeId) {
        if self.count.load(Ordering::Relaxed) > 0 {
            self.change(|until| {
                until.remove(&volume);
            });
        }
    }

    pub fn contains(&self, volume: VolumeId) -> bool {
        if self.count.load(Ordering::Relaxed) == 0 {
            return false;
        }
        let until = self.until.lock().expect("no code panics while holding this lock");
        until.get(&volume).is_some_and(|until| *until > Instant::now())
    }

    pub fn all(&self) -> Vec<VolumeId> {
        if self.count.load(Ordering::Relaxed) == 0 {
            return Vec::new();
        }
        let mut volumes = Vec::new();
        self.change(|until| volumes.extend(until.keys().copied()));
        volumes
    }

    fn change(&self, change: impl FnOnce(&mut HashMap<VolumeId, Instant>)) {
        let mut until = self.until.lock().expect("no code panics while holding this lock");
        let now = Instant::now();
        until.retain(|_, expiry| *expiry > now);
        change(&mut until);
        self.count.store(until.len(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_refusal_is_no_ground_for_suspicion() {
        let suspects = Suspects::new(Duration::from_secs(30));
        for code in [ErrorCode::InvalidToken, ErrorCode::StaleGeneration, ErrorCode::ReplicaNotFound] {
            suspects.failed(VolumeId(1), &code);
        }
        suspects.failed(VolumeId(2), &ErrorCode::DeadlineExceeded);
        assert_eq!(suspects.all(), [VolumeId(2)]);
    }

    #[tokio::test(start_paused = true)]
    async fn suspicion_passes() {
        let suspects = Suspects::new(Duration::from_secs(30));
        suspects.add(VolumeId(1));
        suspects.add(VolumeId(2));
        suspects.clear(VolumeId(2));
        assert!(suspects.contains(VolumeId(1)) && !suspects.contains(VolumeId(2)));
        assert_eq!(suspects.all(), [VolumeId(1)]);
        tokio::time::advance(Duration::from_secs(31)).await;
        assert!(!suspects.contains(VolumeId(1)));
        assert!(suspects.all().is_empty());
    }
}
