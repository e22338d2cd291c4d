//! How long a day is, and when so many days are over.

use granary_protocol::UnixMillis;

/// A day of 24 hours.
pub(super) const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// The days of a store.
///
/// Real days end at midnight, UTC: what is due after so many days happens at the midnight that follows, as on AWS.
/// Shortened days, for tests, are counted from the moment itself: suites that shorten them wait exactly two days for what
/// is due after one, and the rounding would take all of the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Calendar {
    day_ms: u64,
}

impl Calendar {
    /// Days of 24 hours.
    pub const REAL: Calendar = Calendar { day_ms: DAY_MS };

    /// Days of so many seconds, at least one.
    pub fn of_day_seconds(seconds: u64) -> Calendar {
        Calendar { day_ms: seconds.clamp(1, DAY_MS / 1000) * 1000 }
    }

    /// Milliseconds of a day.
    pub fn day_ms(self) -> u64 {
        self.day_ms
    }

    /// Whether a day is shorter than 24 hours.
    pub fn is_shortened(self) -> bool {
        self.day_ms < DAY_MS
    }

    /// When so many days have passed since `start`. Days below zero count as none.
    pub fn after(self, start: UnixMillis, days: i32) -> UnixMillis {
        let days = u64::try_from(days).unwrap_or(0);
        match self.is_shortened() {
            true => UnixMillis(start.0.saturating_add(days.saturating_mul(self.day_ms))),
            false => UnixMillis((start.0 / DAY_MS).saturating_add(days).saturating_add(1).saturating_mul(DAY_MS)),
        }
    }
}

impl Default for Calendar {
    fn default() -> Self {
        Self::REAL
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn real_days_end_at_midnight_and_shortened_ones_when_they_are_over() {
        let noon = UnixMillis(10 * DAY_MS + DAY_MS / 2);
        assert_eq!(Calendar::REAL.after(noon, 0), UnixMillis(11 * DAY_MS));
        assert_eq!(Calendar::REAL.after(noon, 3), UnixMillis(14 * DAY_MS));
        assert_eq!(Calendar::REAL.after(UnixMillis(10 * DAY_MS), 1), UnixMillis(12 * DAY_MS));
        assert_eq!(Calendar::of_day_seconds(10).after(noon, 3), UnixMillis(noon.0 + 30_000));
        assert_eq!(Calendar::of_day_seconds(10).after(noon, -1), noon);
        assert!(Calendar::of_day_seconds(86_399).is_shortened() && !Calendar::of_day_seconds(86_400).is_shortened());
        assert_eq!(Calendar::of_day_seconds(0).day_ms(), 1000);
        assert_eq!(Calendar::REAL.after(UnixMillis(u64::MAX), i32::MAX), UnixMillis(u64::MAX));
    }
}
