//! The one place where the namenode meets time: its shell reads a clock and stamps commands; the state machine never does.

use granary_protocol::{Clock, UnixMillis};
use std::time::SystemTime;

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> UnixMillis {
        SystemTime::now().into()
    }
}
