//! The pipes to and from a process. None of them is waited for when the process has ended: what it started may have left its
//! group, live on where there are no namespaces, and hold the other ends.

use crate::engine::{Cancel, TaskFailure};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::io::{ErrorKind, Read, Result, Write};
use std::os::fd::AsFd;

/// Milliseconds between two looks at whether the process has ended.
const LOOK_EVERY_MS: u16 = 200;

/// Whether the pipe is ready. False: the process has ended, and nothing more can be said or heard.
fn ready(pipe: &impl AsFd, flags: PollFlags, ended: &Cancel) -> Result<bool> {
    loop {
        // Looked at first: what was written before the end is there by then.
        let last = ended.is_cancelled();
        let wait = if last { PollTimeout::ZERO } else { PollTimeout::from(LOOK_EVERY_MS) };
        match poll(&mut [PollFd::new(pipe.as_fd(), flags)], wait) {
            Ok(0) if last => return Ok(false),
            Ok(0) | Err(Errno::EINTR) => {}
            Ok(_) => return Ok(true),
            Err(error) => return Err(error.into()),
        }
    }
}

/// What a process writes, up to its end.
pub(super) struct Heard<'a, P> {
    pub pipe: P,
    pub ended: &'a Cancel,
}

impl<P: Read + AsFd> Read for Heard<'_, P> {
    fn read(&mut self, into: &mut [u8]) -> Result<usize> {
        if ready(&self.pipe, PollFlags::POLLIN, self.ended)? { self.pipe.read(into) } else { Ok(0) }
    }
}

/// What a process reads. One that closes its input wants no more, which is its right.
pub(super) struct Feed<'a, P> {
    pipe: Option<P>,
    ended: &'a Cancel,
}

impl<'a, P: Write + AsFd> Feed<'a, P> {
    pub fn new(pipe: P, ended: &'a Cancel) -> Result<Self> {
        // Otherwise a write that has begun would wait until all of it is read.
        fcntl(&pipe, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        Ok(Feed { pipe: Some(pipe), ended })
    }

    fn put(&mut self, mut bytes: &[u8]) -> Result<()> {
        while let (Some(pipe), false) = (&mut self.pipe, bytes.is_empty()) {
            match pipe.write(bytes) {
                Ok(written) => bytes = &bytes[written..],
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::BrokenPipe => self.pipe = None,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    if !ready(pipe, PollFlags::POLLOUT, self.ended)? {
                        self.pipe = None;
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// A place to write lines to, of whatever kind its pipe is.
pub(super) trait Lines {
    fn write(&mut self, bytes: &[u8]) -> std::result::Result<(), TaskFailure>;

    /// Whether anybody still reads.
    fn wanted(&self) -> bool;
}

impl<P: Write + AsFd> Lines for Feed<'_, P> {
    fn write(&mut self, bytes: &[u8]) -> std::result::Result<(), TaskFailure> {
        self.put(bytes).map_err(|error| TaskFailure::Program { program: "the program".into(), how: error.to_string() })
    }

    fn wanted(&self) -> bool {
        self.pipe.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::pipe;

    #[test]
    fn a_pipe_held_by_others_is_not_waited_for_after_the_end() {
        let ended = Cancel::default();
        let (reader, mut held) = pipe().unwrap();
        held.write_all(b"last words").unwrap();
        ended.cancel();
        let mut heard = String::new();
        Heard { pipe: reader, ended: &ended }.read_to_string(&mut heard).unwrap();
        assert_eq!(heard, "last words");
        let (held, writer) = pipe().unwrap();
        let mut feed = Feed::new(writer, &ended).unwrap();
        feed.write(&vec![b'x'; 10 << 20]).unwrap();
        assert!(!feed.wanted());
        drop(held);
    }

    #[test]
    fn everything_arrives_while_it_is_read() {
        let ended = Cancel::default();
        let (reader, writer) = pipe().unwrap();
        let sent: Vec<u8> = (0..3_000_000_u32).map(|number| number as u8).collect();
        let mut received = Vec::new();
        std::thread::scope(|scope| {
            scope.spawn(|| Feed::new(writer, &ended).unwrap().write(&sent).unwrap());
            Heard { pipe: reader, ended: &ended }.read_to_end(&mut received).unwrap();
        });
        assert!(received == sent);
    }
}
