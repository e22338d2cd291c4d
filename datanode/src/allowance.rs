//! How many bytes a second some work may move: each piece waits for its turn, and nothing is saved up while there is none.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// An allowance that several tasks share.
pub(crate) struct Allowance {
    /// 0: as many as there are.
    bytes_per_second: u64,
    /// When the next piece may go.
    free_from: Mutex<Option<Instant>>,
}

impl Allowance {
    pub(crate) fn new(bytes_per_second: u64) -> Allowance {
        Allowance { bytes_per_second, free_from: Mutex::default() }
    }

    /// Returns when so many bytes may be moved.
    pub(crate) async fn take(&self, bytes: u64) {
        if self.bytes_per_second > 0
            && let Some(turn) = self.turn(bytes, Instant::now())
        {
            sleep_until(turn).await;
        }
    }

    /// When a piece that asks at `now` may go; `None`: at once.
    fn turn(&self, bytes: u64, now: Instant) -> Option<Instant> {
        let takes = Duration::from_micros(bytes.saturating_mul(1_000_000) / self.bytes_per_second);
        let mut free_from = self.free_from.lock().unwrap_or_else(PoisonError::into_inner);
        let turn = free_from.filter(|free| *free > now);
        *free_from = Some(turn.unwrap_or(now) + takes);
        turn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_go_one_after_the_other_and_idle_time_is_not_saved_up() {
        let (allowance, start) = (Allowance::new(1_000), Instant::now());
        let after = |ms| start + Duration::from_millis(ms);
        assert_eq!(allowance.turn(500, start), None);
        assert_eq!(allowance.turn(500, start), Some(after(500)));
        assert_eq!(allowance.turn(100, after(200)), Some(after(1_000)));
        assert_eq!(allowance.turn(500, after(9_000)), None);
        assert_eq!(allowance.turn(500, after(9_000)), Some(after(9_500)));
    }

    #[tokio::test]
    async fn many_pieces_together_keep_to_it_and_without_a_limit_none_waits() {
        let (allowance, start) = (Allowance::new(10 << 20), Instant::now());
        let last = (0..64).filter_map(|_| allowance.turn(1 << 20, start)).last();
        assert_eq!(last, Some(start + Duration::from_millis(6_300)));
        Allowance::new(0).take(u64::MAX).await;
    }
}
