//! Reads several members of a group side by side, at the same places, without copying: what coding works on.
//!
//! Streams hand out pieces of whatever size; a step is as long as all of them have bytes for. Members end at different
//! places; one that has ended is empty, which coding takes for zeros.

use crate::datanode::ReadStream;
use crate::error::{ErrorCode, Failure};
use bytes::{Buf, Bytes};
use futures_util::future::join_all;

/// The same bytes of several members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// One run a member, at most `length` bytes; zeros follow where it is shorter.
    pub runs: Vec<Bytes>,
    /// Bytes of the step, at least 1.
    pub length: usize,
}

/// Members that are read side by side.
pub struct Lockstep {
    inputs: Vec<Input>,
    left: u32,
}

struct Input {
    stream: Option<Box<dyn ReadStream>>,
    piece: Bytes,
    /// Bytes that the stream still owes.
    owed: u32,
}

impl Input {
    async fn fill(&mut self) -> Result<(), Failure> {
        let Some(stream) = self.stream.as_mut().filter(|_| self.piece.is_empty() && self.owed > 0) else {
            return Ok(());
        };
        let piece = stream.next().await?.unwrap_or_default();
        let bytes = u32::try_from(piece.len()).ok().filter(|bytes| *bytes > 0 && *bytes <= self.owed);
        let wrong = || Failure::new(ErrorCode::CorruptReplica, "a replica served the wrong number of bytes");
        self.owed -= bytes.ok_or_else(wrong)?;
        self.piece = piece;
        Ok(())
    }
}

impl Lockstep {
    /// Steps over `length` bytes. Each member comes with the number of them that it has; without a stream it has none.
    pub fn new(members: Vec<(Option<Box<dyn ReadStream>>, u32)>, length: u32) -> Lockstep {
        let input = |(stream, bytes): (Option<Box<dyn ReadStream>>, u32)| {
            let owed = if stream.is_some() { bytes.min(length) } else { 0 };
            Input { stream, piece: Bytes::new(), owed }
        };
        Lockstep { inputs: members.into_iter().map(input).collect(), left: length }
    }

    /// The next step, of at most `bytes_max`; `None` after the last.
    ///
    /// # Errors
    /// What a member's stream said, and which member it was. Not to be called again afterwards.
    pub async fn next(&mut self, bytes_max: usize) -> Result<Option<Step>, (usize, Failure)> {
        if self.left == 0 {
            return Ok(None);
        }
        let filled = join_all(self.inputs.iter_mut().map(Input::fill)).await;
        if let Some((member, Err(failure))) = filled.into_iter().enumerate().find(|(_, filled)| filled.is_err()) {
            return Err((member, failure));
        }
        let has_bytes = self.inputs.iter().map(|input| input.piece.len()).filter(|bytes| *bytes > 0);
        let length = has_bytes.min().unwrap_or(usize::MAX).min(bytes_max.max(1)).min(self.left as usize);
        let take = |input: &mut Input| {
            let run = input.piece.slice(..length.min(input.piece.len()));
            input.piece.advance(run.len());
            run
        };
        let runs = self.inputs.iter_mut().map(take).collect();
        self.left -= length as u32;
        Ok(Some(Step { runs, length }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;
    use futures_util::future::BoxFuture;

    /// Bytes `0, 1, 2…` in pieces of a size.
    struct Pieces(Bytes, usize);

    impl ReadStream for Pieces {
        fn next(&mut self) -> BoxFuture<'_, Result<Option<Bytes>, Failure>> {
            let piece = self.0.split_to(self.1.min(self.0.len()));
            std::future::ready(Ok((!piece.is_empty()).then_some(piece))).boxed()
        }
    }

    fn member(length: u32, piece: usize) -> (Option<Box<dyn ReadStream>>, u32) {
        let bytes: Vec<u8> = (0..length).map(|at| at as u8).collect();
        (Some(Box::new(Pieces(bytes.into(), piece))), length)
    }

    #[test]
    fn every_member_is_read_whole_and_at_the_same_places() {
        let mut lockstep = Lockstep::new(vec![member(100, 7), member(40, 16), (None, 0), member(101, 1000)], 101);
        let mut read = vec![Vec::new(); 4];
        let mut position = 0;
        while let Some(step) = lockstep.next(13).now_or_never().unwrap().unwrap() {
            assert!((1..=13).contains(&step.length));
            for (whole, run) in read.iter_mut().zip(&step.runs) {
                assert!(run.is_empty() || whole.len() == position);
                whole.extend_from_slice(run);
            }
            position += step.length;
        }
        assert_eq!(position, 101);
        assert_eq!(read.iter().map(Vec::len).collect::<Vec<_>>(), [100, 40, 0, 101]);
        assert!(read.iter().all(|bytes| bytes.iter().enumerate().all(|(at, byte)| *byte == at as u8)));
    }

    #[test]
    fn a_member_that_ends_early_is_named() {
        let (stream, _) = member(10, 3);
        let mut lockstep = Lockstep::new(vec![member(20, 20), (stream, 20)], 20);
        let failed = loop {
            match lockstep.next(100).now_or_never().unwrap() {
                Ok(step) => assert!(step.is_some()),
                Err((member, failure)) => break (member, failure.code),
            }
        };
        assert_eq!(failed, (1, ErrorCode::CorruptReplica));
    }
}
