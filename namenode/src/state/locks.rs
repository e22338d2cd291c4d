//! Object Lock: what lock a new version gets, how a retention may change, and when a version may not die.
//!
//! Pure. [`check_removal`] is asked wherever a version is removed or replaced, so no command gets around it.

use super::records::{BucketHead, ObjectHead};
use crate::error::{Rejection, refuse};
use granary_protocol::bucket::{BucketLock, DefaultRetention, RetentionMode, RetentionPeriod, Versioning};
use granary_protocol::object::{ObjectLock, Retention};
use granary_protocol::{ErrorCode, UnixMillis};

/// The longest default retention, as AWS has it: 100 years.
const DEFAULT_RETENTION_DAYS_MAX: u32 = 36_500;
const DEFAULT_RETENTION_YEARS_MAX: u32 = 100;

/// Who removes a version: decides which locks hold.
#[derive(Clone, Copy)]
pub(super) struct Remover {
    pub(super) now: UnixMillis,
    /// Whether a governance retention does not count.
    pub(super) bypass_governance: bool,
}

impl Remover {
    /// A write that replaces what was there: it bypasses nothing.
    pub(super) fn ordinary(now: UnixMillis) -> Remover {
        Remover { now, bypass_governance: false }
    }
}

/// Refuses to let a locked version die.
pub(super) fn check_removal(head: &ObjectHead, remover: Remover) -> Result<(), Rejection> {
    match head.lock.keeps(remover.now, remover.bypass_governance) {
        true => Err(refuse(ErrorCode::ObjectLocked, format!("version {} is locked: {:?}", head.version, head.lock))),
        false => Ok(()),
    }
}

/// Refuses a lock where the bucket has none, and one that is over before it begins.
pub(super) fn check_allowed(bucket: BucketHead, lock: &ObjectLock, now: UnixMillis) -> Result<(), Rejection> {
    if bucket.lock.is_none() && *lock != ObjectLock::default() {
        return Err(refuse(ErrorCode::ObjectLockNotEnabled, "the bucket has no Object Lock"));
    }
    check_ahead(lock.retention, now)
}

fn check_ahead(retention: Option<Retention>, now: UnixMillis) -> Result<(), Rejection> {
    match retention.is_none_or(|retention| retention.until > now) {
        true => Ok(()),
        false => Err(refuse(ErrorCode::InvalidArgument, "a version is kept until a moment in the future")),
    }
}

/// The lock of a version written at `now`: the one named, with the bucket's default where it names no retention.
pub(super) fn of_new_version(bucket: BucketHead, named: ObjectLock, now: UnixMillis) -> ObjectLock {
    let default = bucket.lock.and_then(|lock| lock.default).map(|default| {
        let until = UnixMillis(now.0.saturating_add(default.period.millis()));
        Retention { mode: default.mode, until }
    });
    ObjectLock { retention: named.retention.or(default), ..named }
}

/// Refuses a change of a retention that the retention in force does not allow.
pub(super) fn check_change(
    current: Option<Retention>,
    new: Option<Retention>,
    remover: Remover,
) -> Result<(), Rejection> {
    check_ahead(new, remover.now)?;
    let Some(current) = current.filter(|current| current.until > remover.now) else { return Ok(()) };
    let lengthened = new.is_some_and(|new| new.mode == current.mode && new.until >= current.until);
    let bypassed = current.mode == RetentionMode::Governance && remover.bypass_governance;
    match lengthened || bypassed {
        true => Ok(()),
        false => Err(refuse(ErrorCode::ObjectLocked, format!("{current:?} does not become {new:?}"))),
    }
}

/// Refuses what a bucket's lock cannot be.
pub(super) fn check_bucket_lock(versioning: Versioning, lock: &BucketLock) -> Result<(), Rejection> {
    if versioning != Versioning::Enabled {
        return Err(refuse(ErrorCode::InvalidBucketState, "Object Lock takes versioning to be enabled"));
    }
    match lock.default.map(|DefaultRetention { period, .. }| period) {
        Some(RetentionPeriod::Days(days)) if days == 0 || days > DEFAULT_RETENTION_DAYS_MAX => {
            Err(refuse(ErrorCode::InvalidArgument, format!("a default retention of {days} days")))
        }
        Some(RetentionPeriod::Years(years)) if years == 0 || years > DEFAULT_RETENTION_YEARS_MAX => {
            Err(refuse(ErrorCode::InvalidArgument, format!("a default retention of {years} years")))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn retention(mode: RetentionMode, until: u64) -> Option<Retention> {
        Some(Retention { mode, until: UnixMillis(until) })
    }

    #[test]
    fn a_retention_changes_only_as_it_allows() {
        use RetentionMode::{Compliance, Governance};
        const NOW: u64 = 100;
        let allowed = |current, new, bypass_governance| {
            check_change(current, new, Remover { now: UnixMillis(NOW), bypass_governance }).is_ok()
        };
        for bypass in [false, true] {
            // Nothing in force: anything goes that lies in the future.
            assert!(allowed(None, retention(Compliance, 101), bypass));
            assert!(allowed(retention(Compliance, 100), retention(Governance, 101), bypass));
            assert!(allowed(retention(Compliance, 100), None, bypass));
            assert!(!allowed(None, retention(Governance, 100), bypass));
            // Compliance: longer, and nothing else, for anybody.
            assert!(allowed(retention(Compliance, 200), retention(Compliance, 200), bypass));
            assert!(allowed(retention(Compliance, 200), retention(Compliance, 201), bypass));
            assert!(!allowed(retention(Compliance, 200), retention(Compliance, 199), bypass));
            assert!(!allowed(retention(Compliance, 200), retention(Governance, 300), bypass));
            assert!(!allowed(retention(Compliance, 200), None, bypass));
            // Governance: longer for everybody, the rest for those with the right.
            assert!(allowed(retention(Governance, 200), retention(Governance, 201), bypass));
            assert_eq!(allowed(retention(Governance, 200), retention(Governance, 199), bypass), bypass);
            assert_eq!(allowed(retention(Governance, 200), retention(Compliance, 300), bypass), bypass);
            assert_eq!(allowed(retention(Governance, 200), None, bypass), bypass);
        }
    }
}
