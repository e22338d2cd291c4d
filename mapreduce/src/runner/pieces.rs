//! Bytes that come in pieces from a task of the runtime, read by a thread that may wait.

use bytes::{Buf, Bytes};
use granary_protocol::Failure;
use std::io::{Error, Read, Result};
use tokio::sync::mpsc;

/// What a piece is, or why there is none.
pub(super) type Piece = std::result::Result<Bytes, Failure>;

/// The reading end. It has come to its end when the sender is gone after a last empty piece.
pub(super) struct PieceReader {
    pieces: mpsc::Receiver<Piece>,
    current: Bytes,
    /// Bytes still to come; a sender that is gone before has failed.
    left: Option<u64>,
}

/// A reader of what is sent; of `length` bytes, where that is known. So many pieces wait for it at most.
pub(super) fn channel(length: Option<u64>, pieces_ahead: usize) -> (mpsc::Sender<Piece>, PieceReader) {
    let (sender, pieces) = mpsc::channel(pieces_ahead);
    (sender, PieceReader { pieces, current: Bytes::new(), left: length })
}

impl Read for PieceReader {
    fn read(&mut self, into: &mut [u8]) -> Result<usize> {
        while self.current.is_empty() {
            match self.pieces.blocking_recv() {
                Some(Ok(piece)) => self.current = piece,
                Some(Err(failure)) => return Err(Error::other(failure.to_string())),
                None if self.left.is_some_and(|left| left > 0) => {
                    return Err(Error::new(std::io::ErrorKind::UnexpectedEof, "the bytes end early"));
                }
                None => return Ok(0),
            }
        }
        let bytes = into.len().min(self.current.len());
        self.current.copy_to_slice(&mut into[..bytes]);
        if let Some(left) = &mut self.left {
            *left = left.saturating_sub(bytes as u64);
        }
        Ok(bytes)
    }
}
