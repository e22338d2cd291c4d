//! Lines that a program writes.

use crate::engine::TaskFailure;
use std::io::Read;

/// Bytes read at a time.
const CHUNK_BYTES: usize = 1 << 18;

/// Reads whole lines, many at a time.
pub(super) struct ProgramLines<'a> {
    from: &'a mut dyn Read,
    program: &'a str,
    limit: usize,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    ended: bool,
}

impl<'a> ProgramLines<'a> {
    pub fn new(from: &'a mut dyn Read, program: &'a str, limit: u32) -> Self {
        ProgramLines { from, program, limit: limit as usize, buffer: Vec::new(), start: 0, end: 0, ended: false }
    }

    /// Whole lines, each with its `\n`; the very last may lack it.
    pub fn next(&mut self) -> Result<Option<&[u8]>, TaskFailure> {
        loop {
            let waiting = &self.buffer[self.start..self.end];
            let whole = match memchr::memrchr(b'\n', waiting) {
                Some(place) => place + 1,
                None if self.ended => waiting.len(),
                None => 0,
            };
            if whole > 0 {
                let begin = self.start;
                self.start += whole;
                return Ok(Some(&self.buffer[begin..begin + whole]));
            }
            if self.ended {
                return Ok(None);
            }
            self.fill()?;
        }
    }

    fn fill(&mut self) -> Result<(), TaskFailure> {
        let kept = self.end - self.start;
        if kept > self.limit {
            let how = format!("wrote a line of more than {} bytes", self.limit);
            return Err(TaskFailure::Program { program: self.program.into(), how });
        }
        self.buffer.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, kept);
        let wanted = kept + kept.max(CHUNK_BYTES);
        if self.buffer.len() < wanted {
            self.buffer.resize(wanted, 0);
        }
        let read = self.from.read(&mut self.buffer[kept..]).map_err(|error| TaskFailure::Program {
            program: self.program.into(),
            how: format!("cannot be read from: {error}"),
        })?;
        self.end += read;
        self.ended = read == 0;
        Ok(())
    }
}
