//! A user's part: the slots in use, and how many tasks were started lately.

use super::ids::Millis;

/// Half-lives after which what was started is forgotten.
const HALF_LIVES_MAX: u64 = 32;
/// A start in the fixed point of `started`.
pub(super) const ONE_START: u64 = 1_000;

#[derive(Clone, Copy, Debug)]
pub(super) struct User {
    pub weight: u32,
    pub jobs: u32,
    /// Tasks of those jobs, those that are done included.
    pub unfinished: u64,
    /// Slots in use.
    running: u64,
    /// Tasks started, in thousandths, as of `counted`; half of it counts a half-life later.
    started: u64,
    counted: Millis,
    half_life_ms: u64,
}

impl User {
    pub fn new(half_life_ms: u64) -> User {
        User {
            weight: 1,
            jobs: 0,
            unfinished: 0,
            running: 0,
            started: 0,
            counted: Millis(0),
            half_life_ms: half_life_ms.max(1),
        }
    }

    /// Slots in use for the weight, in thousandths.
    pub fn slots_in_use(&self) -> u64 {
        self.running * 1_000 / u64::from(self.weight.max(1))
    }

    /// Tasks started lately, in thousandths. Between two half-lives it falls in a straight line, so that whole numbers do.
    pub fn started(&self, now: Millis) -> u64 {
        let since = now.since(self.counted);
        let (half_lives, rest) = (since / self.half_life_ms, since % self.half_life_ms);
        let kept = if half_lives >= HALF_LIVES_MAX { 0 } else { self.started >> half_lives };
        kept - kept * rest / (2 * self.half_life_ms)
    }

    pub fn take_slot(&mut self, now: Millis) {
        (self.started, self.counted) = (self.started(now) + ONE_START, now);
        self.running += 1;
    }

    pub fn give_back(&mut self) {
        self.running -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_started_counts_half_after_a_half_life() {
        let mut user = User::new(1_000);
        user.take_slot(Millis(0));
        user.take_slot(Millis(0));
        user.give_back();
        assert_eq!((user.slots_in_use(), user.started(Millis(0))), (1_000, 2_000));
        assert_eq!(user.started(Millis(500)), 1_500);
        assert_eq!(user.started(Millis(1_000)), 1_000);
        assert_eq!(user.started(Millis(3_000)), 250);
        user.take_slot(Millis(3_000));
        assert_eq!(user.started(Millis(3_000)), 1_250);
        assert_eq!(user.started(Millis(1 << 40)), 0);
    }
}
