//! When to try a peer again after a failed connection attempt.
//!
//! Until the next attempt is due, callers fail at once with the last error. When it is due, the first caller makes it
//! and the others go on failing fast, so a dead host costs one caller per interval its patience, not all of them.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::error::RpcError;

const FIRST_DELAY: Duration = Duration::from_millis(50);
const DELAY_MAX: Duration = Duration::from_secs(2);

pub(super) struct Backoff {
    /// How long one attempt may take: nobody else tries in that time.
    attempt_max: Duration,
    state: Mutex<Option<Failing>>,
}

struct Failing {
    failures: u32,
    retry_at: Instant,
    last: RpcError,
}

impl Backoff {
    pub(super) fn new(attempt_max: Duration) -> Self {
        Self { attempt_max, state: Mutex::new(None) }
    }

    /// Asks to make an attempt at `now`.
    pub(super) fn admit(&self, now: Instant) -> Result<(), RpcError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match state.as_mut() {
            Some(failing) if now < failing.retry_at => Err(failing.last.clone()),
            Some(failing) => {
                failing.retry_at = now + self.attempt_max;
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// The last failure, while no attempt has succeeded since.
    pub(super) fn failing(&self) -> Option<RpcError> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(|failing| failing.last.clone())
    }

    pub(super) fn succeeded(&self) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    pub(super) fn failed(&self, now: Instant, error: &RpcError) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let failures = state.as_ref().map_or(0, |failing| failing.failures).saturating_add(1);
        let retry_at = now + delay(failures);
        *state = Some(Failing { failures, retry_at, last: error.clone() });
    }
}

/// Doubles from [`FIRST_DELAY`] to [`DELAY_MAX`], less up to half at random so that a cluster does not return as one.
fn delay(failures: u32) -> Duration {
    let full = FIRST_DELAY.saturating_mul(1 << (failures - 1).min(16)).min(DELAY_MAX);
    let random = RandomState::new().build_hasher().finish() % 1024;
    full - full.mul_f64(random as f64 / 2048.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_to_a_bound() {
        for failures in 1..100 {
            let full = FIRST_DELAY.saturating_mul(1 << (failures - 1).min(16)).min(DELAY_MAX);
            let delay = delay(failures);
            assert!(delay >= full / 2 && delay <= full, "{failures}: {delay:?}");
        }
    }

    #[test]
    fn one_caller_per_interval_tries() {
        let backoff = Backoff::new(Duration::from_secs(3));
        let now = Instant::now();
        assert!(backoff.admit(now).is_ok() && backoff.admit(now).is_ok());
        backoff.failed(now, &RpcError::ClientClosed);
        assert!(backoff.admit(now).is_err());
        let later = now + DELAY_MAX;
        assert!(backoff.admit(later).is_ok());
        assert!(backoff.admit(later).is_err(), "an attempt is under way");
        backoff.succeeded();
        assert!(backoff.admit(later).is_ok() && backoff.failing().is_none());
    }
}
