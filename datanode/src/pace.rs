//! How long a volume's disk lets its users wait: the middle of the last waits, for the namenode to compare with others.
//!
//! A disk that is asked for nothing for a while has no figure: it is tried again.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Waits that are remembered.
const WAITS_MAX: usize = 15;
/// Fewer say nothing.
const WAITS_MIN: usize = 3;
/// How long they are remembered.
const MEMORY: Duration = Duration::from_secs(60);

/// The waits of one volume.
#[derive(Default)]
pub(crate) struct Pace {
    waits: Mutex<VecDeque<(Instant, Duration)>>,
}

impl Pace {
    /// Does some work on the disk and notes how long it took.
    pub(crate) fn timed<T>(&self, work: impl FnOnce() -> T) -> T {
        let began = Instant::now();
        let done = work();
        self.note(Instant::now(), began.elapsed());
        done
    }

    fn note(&self, now: Instant, wait: Duration) {
        let mut waits = self.waits.lock().unwrap_or_else(PoisonError::into_inner);
        if waits.len() == WAITS_MAX {
            waits.pop_front();
        }
        waits.push_back((now, wait));
    }

    /// Milliseconds that half of the last waits took at least; 0 where there were too few lately.
    pub(crate) fn typical_ms(&self) -> u32 {
        self.typical_ms_at(Instant::now())
    }

    fn typical_ms_at(&self, now: Instant) -> u32 {
        let waits = self.waits.lock().unwrap_or_else(PoisonError::into_inner);
        let recent = waits.iter().filter(|(at, _)| now.saturating_duration_since(*at) < MEMORY);
        let mut lengths: Vec<Duration> = recent.map(|(_, wait)| *wait).collect();
        if lengths.len() < WAITS_MIN {
            return 0;
        }
        lengths.sort_unstable();
        u32::try_from(lengths[lengths.len() / 2].as_millis()).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_long_wait_is_no_habit_and_old_ones_are_forgotten() {
        let (pace, start) = (Pace::default(), Instant::now());
        assert_eq!(pace.typical_ms_at(start), 0);
        for ms in [5, 5, 900, 5, 5] {
            pace.note(start, Duration::from_millis(ms));
        }
        assert_eq!(pace.typical_ms_at(start), 5);
        for _ in 0..WAITS_MAX {
            pace.note(start, Duration::from_millis(900));
        }
        assert_eq!(pace.typical_ms_at(start), 900);
        assert_eq!(pace.typical_ms_at(start + MEMORY), 0);
    }
}
