//! Numbers for requests, and which of them are still waited for.

use granary_protocol::RequestId;
use granary_protocol::filesystem::RetryId;
use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Counts this client's requests.
pub(super) struct Numbers {
    /// Chosen at random: no other process has it, nor this one after a restart.
    client: [u8; 16],
    state: Mutex<Counted>,
}

#[derive(Default)]
struct Counted {
    next: u64,
    waited_for: BTreeSet<u64>,
}

/// A request that is waited for until this is dropped.
pub(super) struct Numbered<'n> {
    numbers: &'n Numbers,
    pub(super) id: RequestId,
}

impl Numbers {
    pub(super) fn new() -> Numbers {
        let mut client = [0; 16];
        getrandom::fill(&mut client).expect("a system without random numbers has no TLS keys either");
        Numbers { client, state: Mutex::default() }
    }

    /// The next number.
    pub(super) fn take(&self) -> Numbered<'_> {
        let mut state = self.state();
        let number = state.next;
        state.next += 1;
        state.waited_for.insert(number);
        let answered_below = state.waited_for.first().copied().unwrap_or(number);
        Numbered { numbers: self, id: RequestId { client: self.client, number, answered_below } }
    }

    /// A number for a call of the file system, which are remembered for some minutes only and may repeat after 2³¹.
    pub(super) fn of_file_system(&self) -> RetryId {
        let number = self.take().id.number;
        RetryId { client: self.client, call: (number & 0x7fff_ffff) as i32 }
    }

    fn state(&self) -> MutexGuard<'_, Counted> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Numbered<'_> {
    fn drop(&mut self) {
        self.numbers.state().waited_for.remove(&self.id.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_says_which_ones_before_it_are_not_waited_for() {
        let numbers = Numbers::new();
        let (first, second) = (numbers.take(), numbers.take());
        assert_eq!((first.id.number, second.id.number), (0, 1));
        drop(second);
        let third = numbers.take();
        assert_eq!((third.id.number, third.id.answered_below), (2, 0), "the first is still waited for");
        drop(first);
        assert_eq!(numbers.take().id.answered_below, 2);
        drop(third);
        let last = numbers.take();
        assert_eq!((last.id.number, last.id.answered_below), (4, 4));
        assert_ne!(Numbers::new().take().id.client, last.id.client);
    }
}
