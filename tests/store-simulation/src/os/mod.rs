//! The operating system of the simulated machines: time, randomness and disks, put under the real code by defining the C
//! library's functions that it calls.
//!
//! They act on the thread of a run alone; on every other thread, and before a run begins, they are the system's own. A run
//! has a thread of its own, so that whatever draws random numbers once a thread (hash maps, Raft's elections, tokio's
//! `select!`) draws the seed's.

mod crash;
mod disk;
mod symbols;

pub use disk::Disk;

use crate::random::Random;
use std::cell::{Cell, RefCell};

thread_local! {
    /// The next state of randomness; `None` outside a run.
    static RANDOM: RefCell<Option<Random>> = const { RefCell::new(None) };
    /// Nanoseconds since the run began, as the host that is running sees them; `None` outside a run.
    static NOW: Cell<Option<u64>> = const { Cell::new(None) };
    static DISK: RefCell<Option<Disk>> = const { RefCell::new(None) };
}

/// Begins a run on this thread, before anything else happens on it.
pub fn begin(seed: u64, disk: Disk) {
    RANDOM.with_borrow_mut(|random| *random = Some(Random::new(seed, 1)));
    NOW.set(Some(0));
    DISK.with_borrow_mut(|slot| *slot = Some(disk));
}

/// What the clocks of this thread show from now on.
pub fn set_now(nanoseconds: u64) {
    NOW.set(Some(nanoseconds));
}

/// Works on the disks.
///
/// # Panics
/// Outside a run.
pub fn with_disk<T>(work: impl FnOnce(&mut Disk) -> T) -> T {
    DISK.with_borrow_mut(|disk| work(disk.as_mut().expect("a run has disks")))
}
