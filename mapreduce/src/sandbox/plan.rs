//! What the daemon tells a launcher: one JSON text, its argument.

use super::Account;
use crate::spec::Resources;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// A program to be started, and within what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LaunchPlan {
    /// The program and its arguments.
    pub words: Vec<String>,
    pub directory: PathBuf,
    pub account: Option<Account>,
    pub resources: Resources,
    /// Whether the launcher is the first process of a namespace of its own and has to mount `/proc`.
    pub inner: bool,
    /// Whether the program is a WebAssembly module, a file of the directory.
    pub is_module: bool,
    /// Whether there is a namespace in which processes can be counted apart.
    pub counted_apart: bool,
}

/// Exit codes of a launcher that mean its own failure, not the program's. The reason is on standard error.
pub(super) const NOT_STARTED: i32 = 250;
/// The module trapped. The reason is on standard error.
pub(super) const TRAPPED: i32 = 249;
/// Signals that ended the program are told as this and their number.
pub(super) const SIGNALLED: i32 = 128;
