//! The part file of a task.

use super::{Attempt, Counter, OutputFile, TaskFailure, TaskOutput};

/// Bytes gathered before they go to the store.
const PENDING_BYTES: usize = 1 << 20;

/// An output that is being written. Created with its first bytes, or when it is finished without any.
pub(crate) struct Part<'a> {
    attempt: &'a Attempt<'a>,
    name: String,
    output: Option<Box<dyn TaskOutput>>,
    pending: Vec<u8>,
    bytes: u64,
}

impl<'a> Part<'a> {
    /// `part-00000` for the first task.
    pub fn of_task(attempt: &'a Attempt<'a>) -> Self {
        Part::named(attempt, format!("part-{:05}", attempt.task))
    }

    pub fn named(attempt: &'a Attempt<'a>, name: String) -> Self {
        Part { attempt, name, output: None, pending: Vec::new(), bytes: 0 }
    }

    pub fn write(&mut self, bytes: &[u8]) -> Result<(), TaskFailure> {
        if self.pending.len() + bytes.len() > PENDING_BYTES {
            self.flush()?;
        }
        if bytes.len() > PENDING_BYTES {
            return self.store(bytes);
        }
        self.pending.extend_from_slice(bytes);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), TaskFailure> {
        let pending = std::mem::take(&mut self.pending);
        self.store(&pending)?;
        self.pending = pending;
        self.pending.clear();
        Ok(())
    }

    fn store(&mut self, bytes: &[u8]) -> Result<(), TaskFailure> {
        if self.attempt.cancel.is_cancelled() {
            return Err(TaskFailure::Cancelled);
        }
        if !bytes.is_empty() {
            self.open()?.write_all(bytes).map_err(|error| self.failure(&error))?;
            self.bytes += bytes.len() as u64;
            self.attempt.progress.count(Counter::OutputBytes, bytes.len() as u64);
        }
        Ok(())
    }

    fn open(&mut self) -> Result<&mut Box<dyn TaskOutput>, TaskFailure> {
        if self.output.is_none() {
            self.output = Some(self.attempt.store.create(&self.name).map_err(|error| self.failure(&error))?);
        }
        Ok(self.output.as_mut().expect("created above"))
    }

    fn failure(&self, error: &std::io::Error) -> TaskFailure {
        TaskFailure::Output { name: self.name.clone(), reason: error.to_string() }
    }

    /// Everything is stored. `None`: there was nothing, and nothing was wanted of it.
    pub fn finish(mut self) -> Result<Option<OutputFile>, TaskFailure> {
        self.flush()?;
        if self.output.is_none() && self.attempt.spec.lazy_output {
            return Ok(None);
        }
        self.open()?;
        let output = self.output.take().expect("opened above");
        output.finish().map_err(|error| self.failure(&error))?;
        Ok(Some(OutputFile { name: self.name, bytes: self.bytes }))
    }
}
