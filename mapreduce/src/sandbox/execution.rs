//! How processes of tasks are started on a node.

use super::plan::LaunchPlan;
use crate::spec::Resources;
use serde::{Deserialize, Serialize};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The first argument of a launcher.
pub const LAUNCHER_ARGUMENT: &str = "task-launcher";

/// A user of the operating system, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    pub user: u32,
    pub group: u32,
}

/// How processes of tasks are started on this node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Execution {
    /// The binary that calls [`super::launcher_main`] when its first argument is [`LAUNCHER_ARGUMENT`]: that of the
    /// daemon.
    pub launcher: PathBuf,
    /// The user and group that processes run as, if the daemon may change them: one for each slot, so that tasks cannot
    /// touch each other. They must be able to search the directories above the scratch directory.
    pub account: Option<Account>,
}

/// A program that a task runs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Invocation<'a> {
    /// The program and its arguments.
    pub words: &'a [String],
    /// Whether it is a WebAssembly module among the job's files, and not of native code.
    pub is_module: bool,
}

impl Execution {
    /// The command of a launcher for a program. Its environment is empty, its standard streams are the program's.
    pub(crate) fn command(&self, program: Invocation<'_>, directory: &Path, resources: &Resources) -> Command {
        let plan = LaunchPlan {
            words: program.words.to_vec(),
            directory: directory.into(),
            account: self.account,
            resources: resources.clone(),
            inner: false,
            is_module: program.is_module,
            counted_apart: self.account.is_some(),
        };
        let mut command = Command::new(&self.launcher);
        command.arg(LAUNCHER_ARGUMENT).arg(plan.to_json()).env_clear().current_dir(directory).process_group(0);
        command
    }
}

impl LaunchPlan {
    pub(super) fn to_json(&self) -> String {
        serde_json::to_string(self).expect("strings and numbers only")
    }
}
