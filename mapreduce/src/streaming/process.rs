//! One process: lines in, lines out, standard error to the reporter, and an end in any case.

use super::pipes::{Feed, Heard, Lines};
use super::{environment, reporter, workplace};
use crate::engine::{Attempt, TaskFailure};
use crate::plan::Piece;
use crate::sandbox::{Ended, Invocation, Watch};
use crate::shuffle::Scratch;
use std::io::Read;
use std::process::Stdio;
use std::sync::Mutex;
use std::thread;

/// A program that is run for a task.
pub(super) struct Process<'a> {
    pub attempt: &'a Attempt<'a>,
    pub scratch: &'a Scratch,
    pub program: Invocation<'a>,
    /// What it reads, if that is one piece of input.
    pub piece: Option<&'a Piece>,
    /// Whether an exit code other than zero is a failure.
    pub exit_counts: bool,
}

impl Process<'_> {
    /// Runs the program: `feed` writes its input on this thread while `take` reads its output on another. Returns when the
    /// process and everything it started have ended.
    pub fn run(
        &self,
        feed: impl FnOnce(&mut dyn Lines) -> Result<(), TaskFailure>,
        take: impl FnOnce(&mut dyn Read) -> Result<(), TaskFailure> + Send,
    ) -> Result<(), TaskFailure> {
        let directory = workplace::prepare(self.attempt)?;
        let variables = environment::variables(self.attempt, self.piece, &directory);
        let mut command = self.attempt.execution.command(self.program, &directory, &self.attempt.spec.resources);
        command.envs(variables).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| self.not_started(&error.to_string()))?;
        let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(stdin), Some(stdout), Some(stderr)) = pipes else {
            return Err(self.not_started("no pipes"));
        };
        crate::sandbox::widen_pipes(&stdin, &stdout);
        let watch = Watch::new(child, self.attempt.cancel, self.scratch);
        // The first that went wrong: a process that is killed for it makes the other side fail too.
        let first: Mutex<Option<TaskFailure>> = Mutex::new(None);
        let note = |outcome: Result<(), TaskFailure>| {
            if let Err(failure) = outcome {
                first.lock().unwrap_or_else(std::sync::PoisonError::into_inner).get_or_insert(failure);
                watch.kill();
            }
        };
        let ended = thread::scope(|scope| {
            let end = watch.end();
            scope.spawn(move || reporter::listen(Heard { pipe: stderr, ended: end }, self.attempt.progress));
            scope.spawn(|| {
                let mut stdout = Heard { pipe: stdout, ended: end };
                note(take(&mut stdout));
                // Whatever is left unread, the process is not to hang on it.
                drop(stdout);
            });
            scope.spawn(|| note(watch.guard()));
            let waiting = scope.spawn(|| watch.wait());
            match Feed::new(stdin, end) {
                Ok(mut stdin) => note(feed(&mut stdin)),
                Err(error) => note(Err(self.not_started(&error.to_string()))),
            }
            waiting.join().unwrap_or_else(|_| Err(std::io::Error::other("not waited for")))
        });
        if let Some(failure) = first.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner) {
            return Err(failure);
        }
        self.judge(&ended.map_err(|error| self.not_started(&error.to_string()))?)
    }

    fn judge(&self, ended: &Ended) -> Result<(), TaskFailure> {
        match ended {
            Ended::Code(0) => Ok(()),
            Ended::NotStarted(reason) => Err(self.not_started(reason)),
            Ended::Code(_) if !self.exit_counts => Ok(()),
            Ended::Code(code) => Err(self.failed(format!("exited with code {code}"))),
            Ended::CpuSpent => Err(TaskFailure::LimitReached {
                what: "processor time".into(),
                limit: format!("{} seconds", self.attempt.spec.resources.cpu_seconds),
            }),
            Ended::FileTooLarge => Err(self.scratch.exhausted()),
            Ended::Trapped => Err(self.failed("trapped: see its standard error".into())),
            Ended::Signal(signal) => Err(self.failed(format!("was killed by signal {signal}"))),
        }
    }

    fn failed(&self, how: String) -> TaskFailure {
        TaskFailure::Program { program: self.program.words.join(" "), how }
    }

    fn not_started(&self, reason: &str) -> TaskFailure {
        TaskFailure::ProgramNotStarted { program: self.program.words.join(" "), reason: reason.into() }
    }
}
