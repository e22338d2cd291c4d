//! Ending an attempt from outside.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// A switch that is thrown once. Clones are the same switch.
#[derive(Clone, Debug, Default)]
pub struct Cancel {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    /// What hot loops look at.
    thrown: AtomicBool,
    state: Mutex<bool>,
    changed: Condvar,
}

impl Cancel {
    /// Ends the attempt: its processes are killed and [`super::run_attempt`] returns soon after.
    pub fn cancel(&self) {
        let mut state = self.shared.state.lock().unwrap_or_else(PoisonError::into_inner);
        *state = true;
        self.shared.thrown.store(true, Ordering::Release);
        self.shared.changed.notify_all();
    }

    /// Whether it was thrown.
    pub fn is_cancelled(&self) -> bool {
        self.shared.thrown.load(Ordering::Acquire)
    }

    /// Waits until it is thrown, or so long. Answers whether it was thrown.
    pub(crate) fn wait(&self, at_most: Duration) -> bool {
        let state = self.shared.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (state, _) = self
            .shared
            .changed
            .wait_timeout_while(state, at_most, |thrown| !*thrown)
            .unwrap_or_else(PoisonError::into_inner);
        *state
    }
}
