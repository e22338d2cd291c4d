//! Connections between two streams: kept for a while, so that a stream does not cost a handshake.
//!
//! Bounded in number and in time. The time is shorter than a server's patience, so it is normally this side that closes.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::Instant;

use crate::transport::Connection;

pub(super) struct StreamPool {
    idle_max: usize,
    idle_timeout: Duration,
    /// Oldest first.
    idle: Mutex<Vec<Idle>>,
}

struct Idle {
    connection: Connection,
    since: Instant,
    streams_carried: u64,
}

impl StreamPool {
    pub(super) fn new(idle_max: usize, idle_timeout: Duration) -> Self {
        Self { idle_max, idle_timeout, idle: Mutex::new(Vec::new()) }
    }

    /// The connection used last that is still open, with the number of streams it has carried.
    pub(super) fn take(&self) -> Option<(Connection, u64)> {
        loop {
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()?;
            // Nothing may arrive between two streams: whatever is there to be read says that the connection is over.
            if idle.since.elapsed() < self.idle_timeout && idle.connection.reader.read().now_or_never().is_none() {
                return Some((idle.connection, idle.streams_carried));
            }
        }
    }

    pub(super) fn put(&self, connection: Connection, streams_carried: u64) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < self.idle_max {
            idle.push(Idle { connection, since: Instant::now(), streams_carried });
        }
    }

    /// Closes what has been idle too long.
    pub(super) fn sweep(&self) {
        let timeout = self.idle_timeout;
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).retain(|idle| idle.since.elapsed() < timeout);
    }

    pub(super) fn clear(&self) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}
