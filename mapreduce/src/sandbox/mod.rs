//! Processes of tasks, kept apart from the daemon, from each other and from the machine.
//!
//! The daemon starts no program itself: it starts its own binary again as a *launcher*, which gives up what a task may not
//! have and then becomes the program. So nothing has to be done between `fork` and `exec`.

use std::path::PathBuf;

/// How processes of tasks are started on this node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Execution {
    /// The binary that acts as launcher when its first argument is [`LAUNCHER_ARGUMENT`]: that of the daemon.
    pub launcher: PathBuf,
    /// The user and group that tasks run as, if the daemon may change them. One for each slot, so that tasks cannot
    /// touch each other.
    pub account: Option<Account>,
}

/// The first argument of a launcher.
pub const LAUNCHER_ARGUMENT: &str = "task-launcher";

/// A user of the operating system, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account {
    pub user: u32,
    pub group: u32,
}
