//! Work that blocks on a disk, off the runtime's workers.
//!
//! [`spawn_blocking`] is tokio's, but for one thing: a thread may say that it does such work itself, in turn with its tasks
//! ([`BlockingInTurn`]). Everything then happens on one thread and in one order, which is what a simulation stands on.

use std::cell::Cell;
use std::marker::PhantomData;
use std::time::Duration;

use tokio::task::JoinHandle;

thread_local! {
    /// `None`: on other threads. Otherwise how long the disk has yet to take for what was done.
    static IN_TURN: Cell<Option<Duration>> = const { Cell::new(None) };
}

/// Runs `work`, which may block, where it holds nobody up. It is finished even if nobody waits for it.
///
/// # Panics
/// Outside a tokio runtime.
pub fn spawn_blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    if blocks_in_turn() { tokio::spawn(done_in_turn(work)) } else { tokio::task::spawn_blocking(work) }
}

/// Whether this thread does blocking work itself.
pub fn blocks_in_turn() -> bool {
    IN_TURN.get().is_some()
}

/// Does the work when it is its turn, and is done when the disk would be.
pub async fn done_in_turn<T>(work: impl FnOnce() -> T) -> T {
    let done = work();
    let owed = IN_TURN.get().unwrap_or_default();
    if !owed.is_zero() {
        IN_TURN.set(Some(Duration::ZERO));
        tokio::time::sleep(owed).await;
    }
    done
}

/// While it lives, blocking work of this thread is done by the thread itself.
pub struct BlockingInTurn {
    not_send: PhantomData<*const ()>,
}

impl BlockingInTurn {
    /// From now on.
    pub fn begin() -> BlockingInTurn {
        IN_TURN.set(Some(Duration::ZERO));
        BlockingInTurn { not_send: PhantomData }
    }

    /// The work that runs takes this much longer than it seems. Without effect on other threads.
    pub fn owe(time: Duration) {
        IN_TURN.set(IN_TURN.get().map(|owed| owed + time));
    }
}

impl Drop for BlockingInTurn {
    fn drop(&mut self) {
        IN_TURN.set(None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::runtime::Builder;
    use tokio::time::Instant;

    #[test]
    fn in_turn_it_runs_on_the_thread_and_takes_the_time_it_owes() {
        let runtime = Builder::new_current_thread().enable_time().build().unwrap();
        let here = std::thread::current().id();
        let elsewhere = runtime.block_on(async { spawn_blocking(move || std::thread::current().id() != here).await });
        assert!(elsewhere.unwrap());
        let in_turn = BlockingInTurn::begin();
        let pause = Duration::from_millis(5);
        let (same, took) = runtime.block_on(async {
            let began = Instant::now();
            let work = move || {
                BlockingInTurn::owe(pause);
                std::thread::current().id() == here
            };
            (spawn_blocking(work).await.unwrap(), began.elapsed())
        });
        assert!(same && took >= pause, "{took:?}");
        drop(in_turn);
        assert!(!blocks_in_turn());
    }
}
