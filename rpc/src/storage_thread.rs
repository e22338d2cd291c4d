//! One thread on which a small write's way to the disk runs without changing threads.
//!
//! Where all roles are one process, a PUT of a few KiB passes packer, replica, proposer, Raft, its log and the state
//! machine. On a pool of threads each step wakes the next one's thread, and waiting for the disk takes a thread of its own
//! each time: that costs more than the work. Here the steps are tasks of one single-threaded runtime, and what is short
//! blocks it: while it waits for the disk the next batch gathers, which makes batches larger as well.
//!
//! Whoever may block asks [`may_block_here`], and hands long work to a blocking thread as elsewhere. Nothing that must go
//! on while the disk of the log hangs belongs here: heartbeats between peers, above all.

use std::cell::Cell;
use std::io;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::runtime::{Builder, Handle};
use tokio_util::sync::CancellationToken;

/// How long blocking work that was begun here may go on when the thread ends.
const END_WITHIN: Duration = Duration::from_secs(5);

thread_local! {
    static MAY_BLOCK: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread's owner has said that short waits for the disk may be done in place.
pub fn may_block_here() -> bool {
    MAY_BLOCK.get()
}

/// A running thread; it ends when this is dropped. What runs on it must have been told to stop before.
pub struct StorageThread {
    handle: Handle,
    stop: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

impl StorageThread {
    /// Starts the thread.
    ///
    /// # Errors
    /// The system's.
    pub fn start() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().thread_name("storage-blocking").build()?;
        let (handle, stop) = (runtime.handle().clone(), CancellationToken::new());
        let until = stop.clone();
        let thread = std::thread::Builder::new().name("storage".to_owned()).spawn(move || {
            MAY_BLOCK.set(true);
            runtime.block_on(until.cancelled());
            runtime.shutdown_timeout(END_WITHIN);
        })?;
        Ok(Self { handle, stop, thread: Some(thread) })
    }

    /// Where to spawn.
    pub fn handle(&self) -> &Handle {
        &self.handle
    }
}

impl Drop for StorageThread {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the storage thread panicked");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tasks_may_block_on_the_thread_and_nowhere_else() {
        let storage = StorageThread::start().unwrap();
        let waiter = Builder::new_current_thread().build().unwrap();
        let on_thread =
            storage.handle().spawn(async { (may_block_here(), std::thread::current().name() == Some("storage")) });
        assert_eq!(waiter.block_on(on_thread).unwrap(), (true, true));
        let beside = storage.handle().spawn_blocking(may_block_here);
        assert!(!waiter.block_on(beside).unwrap());
        assert!(!may_block_here());
        drop(storage);
    }
}
