//! Rules that were just stored are left alone for a moment: whoever stores them may still be looking at what they are
//! about. Pure, and in memory only: a new leader lets them wait once more.

use granary_protocol::{BucketName, UnixMillis};
use std::collections::BTreeMap;

/// How long at most, and as a part of a shortened day.
const SETTLED_AFTER_MS_MAX: u64 = 1_000;
const SETTLED_AFTER_DIVISOR: u64 = 10;
/// Buckets that are remembered; while so many wait, the rules of others are carried out at once.
const BUCKETS_MAX: usize = 10_000;

/// Buckets with new rules, at a revision, and from when on those are carried out.
#[derive(Default)]
pub(super) struct Settling(BTreeMap<BucketName, (u64, UnixMillis)>);

impl Settling {
    /// From when on a bucket's rules are carried out, if they are newer than those that its last scan carried out and that
    /// moment has not come.
    pub fn wait(
        &mut self,
        bucket: &BucketName,
        revision: u64,
        carried_out: Option<u64>,
        now: UnixMillis,
        day_ms: u64,
    ) -> Option<UnixMillis> {
        if carried_out == Some(revision) {
            self.0.remove(bucket);
            return None;
        }
        if self.0.len() >= BUCKETS_MAX && !self.0.contains_key(bucket) {
            // What is due was carried out, or its bucket is gone.
            self.0.retain(|_, (_, at)| *at > now);
            if self.0.len() >= BUCKETS_MAX {
                return None;
            }
        }
        let after_ms = (day_ms / SETTLED_AFTER_DIVISOR).min(SETTLED_AFTER_MS_MAX);
        let new = (revision, UnixMillis(now.0.saturating_add(after_ms)));
        let known = self.0.entry(bucket.clone()).or_insert(new);
        // One that is later than that was noted by a clock that was set back since.
        if known.0 != revision || known.1 > new.1 {
            *known = new;
        }
        (now < known.1).then_some(known.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_rules_wait_once() {
        let (mut settling, bucket, day_ms) = (Settling::default(), BucketName::from("b"), 5_000);
        let mut wait = |revision, carried_out, now| {
            settling.wait(&bucket, revision, carried_out, UnixMillis(now), day_ms).map(|at| at.0)
        };
        assert_eq!(wait(7, None, 10_000), Some(10_500));
        assert_eq!(wait(7, None, 10_499), Some(10_500));
        assert_eq!(wait(7, None, 10_500), None);
        assert_eq!(wait(7, Some(7), 10_600), None);
        assert_eq!(wait(8, Some(7), 20_000), Some(20_500));
        assert_eq!(wait(9, Some(7), 20_400), Some(20_900), "changed once more");
        assert_eq!(wait(9, Some(7), 1_000), Some(1_500), "the clock was set back");
        assert_eq!(wait(9, Some(7), 1_500), None);
    }

    #[test]
    fn many_buckets_do_not_keep_each_other_waiting() {
        let mut settling = Settling::default();
        let mut wait = |number: usize, now| {
            let bucket = BucketName::from(format!("b{number}").as_str());
            settling.wait(&bucket, 1, None, UnixMillis(now), 5_000).map(|at| at.0)
        };
        for number in 0..BUCKETS_MAX {
            assert_eq!(wait(number, 10_000), Some(10_500));
        }
        assert_eq!(wait(BUCKETS_MAX, 10_100), None, "there is no room for one more");
        assert_eq!(wait(0, 10_100), Some(10_500));
        assert_eq!(wait(1, 10_500), None, "its time has come");
        assert_eq!(wait(BUCKETS_MAX + 1, 10_600), Some(11_100), "those before it are forgotten");
    }
}
