//! The one place where the datanode meets wall-clock time, which judges the expiry of tokens and keys and nothing else.

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
