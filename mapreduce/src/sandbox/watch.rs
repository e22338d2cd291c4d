//! Watching over a started process until it and all it started have ended.

use super::plan::{NOT_STARTED, SIGNALLED, TRAPPED};
use crate::engine::{Cancel, TaskFailure};
use crate::shuffle::Scratch;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, ExitStatus};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How often scratch space is measured.
const MEASURE_EVERY: Duration = Duration::from_millis(250);
/// Entries of a scratch directory that are looked at; more are as bad as too many bytes.
const ENTRIES_MAX: usize = 100_000;
/// Bytes of a pipe: fewer switches between the two sides. What the system does not grant is not needed.
const PIPE_BYTES: i32 = 1 << 20;

/// How a process ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    Code(i32),
    Signal(i32),
    /// Its processor time was used up.
    CpuSpent,
    /// A file grew beyond what it may have.
    FileTooLarge,
    /// A module did what none may; standard error says what.
    Trapped,
    /// The launcher could not start it; standard error says why.
    NotStarted(String),
}

/// A process and its group.
pub(crate) struct Watch<'a> {
    pid: Pid,
    /// `None` when it has ended and its number may belong to another.
    child: Mutex<Option<Child>>,
    /// Thrown when the process has ended.
    ended: Cancel,
    cancel: &'a Cancel,
    scratch: &'a Scratch,
}

impl<'a> Watch<'a> {
    pub fn new(child: Child, cancel: &'a Cancel, scratch: &'a Scratch) -> Self {
        let pid = Pid::from_raw(child.id() as i32);
        Watch { pid, child: Mutex::new(Some(child)), ended: Cancel::default(), cancel, scratch }
    }

    fn child(&self) -> MutexGuard<'_, Option<Child>> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Thrown when the process has ended.
    pub fn end(&self) -> &Cancel {
        &self.ended
    }

    /// Ends the process and its group, if it has not ended.
    pub fn kill(&self) {
        let child = self.child();
        if child.is_some() {
            // Its leader is not reaped while `child` is there, so the number is still its own. That there is nobody left
            // to kill is what was wanted.
            let _ = killpg(self.pid, Signal::SIGKILL);
        }
    }

    /// Waits until the process has ended, and ends what is left of its group.
    pub fn wait(&self) -> io::Result<Ended> {
        while let Err(error) = waitid(Id::Pid(self.pid), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT) {
            if error != Errno::EINTR {
                return Err(error.into());
            }
        }
        self.kill();
        let status = match self.child().take() {
            Some(mut child) => child.wait(),
            None => Err(io::Error::other("waited for twice")),
        };
        self.ended.cancel();
        status.map(judged)
    }

    /// Kills the process when the attempt is cancelled or its scratch space is used up. Returns when it has ended.
    pub fn guard(&self) -> Result<(), TaskFailure> {
        loop {
            if self.ended.wait(MEASURE_EVERY) {
                return Ok(());
            }
            if self.cancel.is_cancelled() {
                return Err(TaskFailure::Cancelled);
            }
            if bytes_below(self.scratch.directory()).is_none_or(|bytes| bytes > self.scratch.limit()) {
                return Err(self.scratch.exhausted());
            }
        }
    }
}

/// Bytes that the files below take on the disk. `None`: there are too many to count.
fn bytes_below(directory: &Path) -> Option<u64> {
    use std::os::unix::fs::MetadataExt;
    const SECTOR: u64 = 512;
    let (mut bytes, mut entries) = (0, 0);
    let mut open = vec![directory.to_path_buf()];
    while let Some(directory) = open.pop() {
        // What cannot be read now is gone, or the program's own doing and still found by its parent's limit.
        let Ok(listing) = std::fs::read_dir(&directory) else { continue };
        for entry in listing.flatten() {
            entries += 1;
            if entries > ENTRIES_MAX {
                return None;
            }
            let Ok(metadata) = entry.metadata() else { continue };
            if metadata.is_dir() {
                open.push(entry.path());
            }
            bytes += metadata.blocks() * SECTOR;
        }
    }
    Some(bytes)
}

fn judged(status: ExitStatus) -> Ended {
    let signal = |number: i32| match Signal::try_from(number) {
        Ok(Signal::SIGXCPU) => Ended::CpuSpent,
        Ok(Signal::SIGXFSZ) => Ended::FileTooLarge,
        _ => Ended::Signal(number),
    };
    match (status.code(), status.signal()) {
        (Some(NOT_STARTED), _) => Ended::NotStarted("see its standard error".into()),
        (Some(TRAPPED), _) => Ended::Trapped,
        (Some(code), _) if code > SIGNALLED && Signal::try_from(code - SIGNALLED).is_ok() => signal(code - SIGNALLED),
        (Some(code), _) => Ended::Code(code),
        (None, Some(number)) => signal(number),
        (None, None) => Ended::Code(-1),
    }
}

/// Makes room in the pipes to and from a process.
pub(crate) fn widen_pipes(stdin: &ChildStdin, stdout: &ChildStdout) {
    let _ = fcntl(stdin, FcntlArg::F_SETPIPE_SZ(PIPE_BYTES));
    let _ = fcntl(stdout, FcntlArg::F_SETPIPE_SZ(PIPE_BYTES));
}
