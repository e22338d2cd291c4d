//! When a message that could not be delivered is tried again. Pure.

use granary_protocol::UnixMillis;

/// The pause after the first failure; it doubles with each.
const FIRST_PAUSE_MS: u64 = 1000;
/// The longest pause.
const PAUSE_MS_MAX: u64 = 10 * 60 * 1000;
/// How long a message is kept.
const AGE_MS_MAX: u64 = 24 * 60 * 60 * 1000;

/// The time of the next attempt after `attempts` that failed; `None` gives the message up. `jitter` is random, so that
/// what failed together is not tried again together: it moves the pause by up to half.
pub(super) fn next_attempt(attempts: u32, queued: UnixMillis, now: UnixMillis, jitter: u16) -> Option<UnixMillis> {
    if now.0.saturating_sub(queued.0) >= AGE_MS_MAX {
        return None;
    }
    let pause = FIRST_PAUSE_MS.saturating_mul(1 << attempts.saturating_sub(1).min(20)).min(PAUSE_MS_MAX);
    let moved = pause / 2 + pause * u64::from(jitter) / u64::from(u16::MAX);
    Some(UnixMillis(now.0.saturating_add(moved)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_bound() {
        let pause = |attempts, jitter| next_attempt(attempts, UnixMillis(0), UnixMillis(5), jitter).unwrap().0 - 5;
        assert_eq!((pause(1, 0), pause(1, u16::MAX)), (500, 1500));
        assert_eq!((pause(3, 0), pause(3, u16::MAX)), (2000, 6000));
        for attempts in [11, 64, u32::MAX] {
            assert_eq!((pause(attempts, 0), pause(attempts, u16::MAX)), (300_000, 900_000), "{attempts}");
        }
    }

    #[test]
    fn a_day_is_enough() {
        let queued = UnixMillis(1000);
        assert!(next_attempt(9, queued, UnixMillis(1000 + AGE_MS_MAX - 1), 0).is_some());
        assert_eq!(next_attempt(9, queued, UnixMillis(1000 + AGE_MS_MAX), 0), None);
    }
}
