//! The wall clock as a role is given it: a trait, so that tests decide what time it is. The machine's own clock is read by
//! the roles; nothing here does.
//!
//! Wall-clock time stamps what people see and judges expiry; it never orders writes.

use crate::UnixMillis;
use std::time::{SystemTime, UNIX_EPOCH};

/// A source of wall-clock time.
pub trait Clock: Send + Sync + 'static {
    /// Now.
    fn now(&self) -> UnixMillis;
}

impl From<SystemTime> for UnixMillis {
    /// A machine whose clock is before 1970 is taken to be in 1970.
    fn from(time: SystemTime) -> Self {
        let since_epoch = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        UnixMillis(u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX))
    }
}
