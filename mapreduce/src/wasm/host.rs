//! What a module has of the outside: three streams, its arguments, its environment.

use super::errno::{BAD_FD, Errno, INVALID, IO, PIPE, SUCCESS};
use super::guest;
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Error, ErrorKind, Read, Write};
use wasmtime::{Memory, StoreLimits};

/// Bytes gathered between the module and the pipes.
const STREAM_BYTES: usize = 256 << 10;
/// Buffers named in one call at most, as in POSIX (`IOV_MAX`).
const BUFFERS_MAX: u32 = 1_024;
/// Bytes of a buffer's description.
const BUFFER_BYTES: u32 = 8;

/// The state of a module that runs.
pub(super) struct Host {
    /// Its own memory, once it is there.
    pub memory: Option<Memory>,
    pub limits: StoreLimits,
    /// The program's name first; each ends in a zero byte.
    pub arguments: Vec<Vec<u8>>,
    /// `name=value`; each ends in a zero byte.
    pub environment: Vec<Vec<u8>>,
    stdin: BufReader<File>,
    stdout: BufWriter<File>,
    stderr: File,
    /// Those it has closed.
    closed: [bool; 3],
}

impl Host {
    pub fn new(limits: StoreLimits, streams: [File; 3], arguments: &[String], environment: Vec<Vec<u8>>) -> Host {
        let [stdin, stdout, stderr] = streams;
        let terminated = |text: &String| [text.as_bytes(), b"\0"].concat();
        Host {
            memory: None,
            limits,
            arguments: arguments.iter().map(terminated).collect(),
            environment,
            stdin: BufReader::with_capacity(STREAM_BYTES, stdin),
            stdout: BufWriter::with_capacity(STREAM_BYTES, stdout),
            stderr,
            closed: [false; 3],
        }
    }

    /// The stream of this number, if it is open.
    pub fn expect_open(&self, fd: u32) -> Result<(), Errno> {
        match self.closed.get(fd as usize) {
            Some(false) => Ok(()),
            Some(true) | None => Err(BAD_FD),
        }
    }

    pub fn close(&mut self, fd: u32) -> Result<(), Errno> {
        self.expect_open(fd)?;
        if fd == 1 {
            self.stdout.flush().map_err(|error| errno_of(&error))?;
        }
        self.closed[fd as usize] = true;
        Ok(())
    }

    /// Writes what is still gathered.
    pub fn flush(&mut self) -> std::io::Result<()> {
        self.stdout.flush()
    }

    /// Reads into the first of the buffers that has room; answers how many bytes, zero at the end.
    pub fn read(&mut self, memory: &mut [u8], fd: u32, buffers: u32, count: u32) -> Result<u32, Errno> {
        self.expect_open(fd)?;
        if fd != 0 {
            return Err(BAD_FD);
        }
        for index in 0..at_most_buffers(count)? {
            let range = buffer(memory, buffers, index)?;
            if range.is_empty() {
                continue;
            }
            if self.stdin.buffer().is_empty() {
                // It may wait now: whoever reads is to have what was said so far.
                self.stdout.flush().map_err(|error| errno_of(&error))?;
                self.fill()?;
            }
            let bytes = self.stdin.read(&mut memory[range]).map_err(|error| errno_of(&error))?;
            return Ok(bytes as u32);
        }
        Ok(0)
    }

    fn fill(&mut self) -> Result<(), Errno> {
        loop {
            match self.stdin.fill_buf() {
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(errno_of(&error)),
            }
        }
    }

    /// Writes all of the buffers; answers how many bytes that were.
    pub fn write(&mut self, memory: &[u8], fd: u32, buffers: u32, count: u32) -> Result<u32, Errno> {
        self.expect_open(fd)?;
        let to: &mut dyn Write = match fd {
            1 => &mut self.stdout,
            2 => &mut self.stderr,
            _ => return Err(BAD_FD),
        };
        let mut bytes: u32 = 0;
        for index in 0..at_most_buffers(count)? {
            let range = buffer(memory, buffers, index)?;
            bytes = bytes.checked_add(range.len() as u32).ok_or(INVALID)?;
            to.write_all(&memory[range]).map_err(|error| errno_of(&error))?;
        }
        Ok(bytes)
    }
}

fn at_most_buffers(count: u32) -> Result<u32, Errno> {
    if count > BUFFERS_MAX { Err(INVALID) } else { Ok(count) }
}

/// The place that the `index`-th description names.
fn buffer(memory: &[u8], buffers: u32, index: u32) -> Result<std::ops::Range<usize>, Errno> {
    let at = guest::nth(buffers, index, BUFFER_BYTES)?;
    let address = guest::take_u32(memory, at)?;
    let length = guest::take_u32(memory, guest::nth(at, 1, 4)?)?;
    guest::range(memory, address, length)
}

fn errno_of(error: &Error) -> Errno {
    if error.kind() == ErrorKind::BrokenPipe { PIPE } else { IO }
}

/// A call's outcome as its answer.
pub(super) fn answered(outcome: Result<(), Errno>) -> Errno {
    outcome.err().unwrap_or(SUCCESS)
}
