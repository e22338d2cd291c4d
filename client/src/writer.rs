//! From a byte stream to durable extents: decides between packing and blocks of its own.

use crate::error::unavailable;
use crate::owned::OwnedWriter;
use crate::shared::Shared;
use crate::stored::StoredContent;
use bytes::{Bytes, BytesMut};
use granary_protocol::Failure;
use granary_protocol::block::PACKED_OBJECT_BYTES_MAX;
use granary_protocol::object::StorageClass;
use std::sync::Arc;

/// Smaller pieces are gathered, so that a body sent in crumbs is not kept as a million of them, each holding on to the
/// buffer it was cut from.
const CRUMB_BYTES: usize = 16 << 10;
const GATHER_BYTES: usize = 256 << 10;

/// Writes one content. Made by [`crate::Client::writer`].
///
/// Up to `PACKED_OBJECT_BYTES_MAX` (8 MiB) is buffered, without copying, and packed by [`ContentWriter::finish`];
/// beyond that the bytes stream into blocks of their own with some 20 MiB in flight, and `write` waits while the
/// datanodes are behind. Dropping the writer abandons everything written.
///
/// A future of `write` dropped half-way leaves the content with a piece missing; the writer then refuses to go on.
pub struct ContentWriter {
    shared: Arc<Shared>,
    class: StorageClass,
    size_hint: Option<u64>,
    length: u64,
    state: State,
}

enum State {
    Buffering {
        pieces: Vec<Bytes>,
        crumbs: BytesMut,
    },
    Streaming(Box<OwnedWriter>),
    /// A write failed or was given up half-way.
    Broken,
}

impl ContentWriter {
    pub(crate) fn new(shared: Arc<Shared>, size_hint: Option<u64>, class: StorageClass) -> Self {
        let state = State::Buffering { pieces: Vec::new(), crumbs: BytesMut::new() };
        Self { shared, class, size_hint, length: 0, state }
    }

    /// Bytes taken so far.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Takes the next piece, of any size.
    ///
    /// # Errors
    /// `Unavailable` and its like when the bytes cannot be stored; the writer is of no further use then.
    pub async fn write(&mut self, piece: Bytes) -> Result<(), Failure> {
        if piece.is_empty() {
            return Ok(());
        }
        self.length += piece.len() as u64;
        let large = self.length.max(self.size_hint.unwrap_or(0)) > u64::from(PACKED_OBJECT_BYTES_MAX);
        match std::mem::replace(&mut self.state, State::Broken) {
            State::Buffering { mut pieces, mut crumbs } => {
                buffer(&mut pieces, &mut crumbs, piece);
                if !large {
                    self.state = State::Buffering { pieces, crumbs };
                    return Ok(());
                }
                let mut writer = OwnedWriter::open(&self.shared, self.class, self.size_hint).await?;
                for piece in buffered(pieces, crumbs) {
                    writer.write(piece).await?;
                }
                self.state = State::Streaming(Box::new(writer));
            }
            State::Streaming(mut writer) => {
                writer.write(piece).await?;
                self.state = State::Streaming(writer);
            }
            State::Broken => return Err(broken()),
        }
        Ok(())
    }

    /// Ends the content. Every byte is then on stable storage on all its replicas; `None` for no bytes at all.
    ///
    /// # Errors
    /// As [`ContentWriter::write`].
    pub async fn finish(self) -> Result<Option<StoredContent>, Failure> {
        match self.state {
            State::Buffering { pieces, crumbs } => {
                let payload = buffered(pieces, crumbs);
                if payload.is_empty() {
                    return Ok(None);
                }
                StoredContent::pack(self.shared, payload, self.class).await.map(Some)
            }
            State::Streaming(writer) => {
                let (content, blocks) = writer.finish().await?;
                Ok(Some(StoredContent::owned(self.shared, content, blocks)))
            }
            State::Broken => Err(broken()),
        }
    }

    /// Abandons everything written. The same as dropping the writer, said aloud.
    pub fn abort(self) {}
}

fn buffer(pieces: &mut Vec<Bytes>, crumbs: &mut BytesMut, piece: Bytes) {
    if piece.len() >= CRUMB_BYTES || (pieces.is_empty() && crumbs.is_empty()) {
        flush_crumbs(pieces, crumbs);
        pieces.push(piece);
        return;
    }
    crumbs.extend_from_slice(&piece);
    if crumbs.len() >= GATHER_BYTES {
        flush_crumbs(pieces, crumbs);
    }
}

fn flush_crumbs(pieces: &mut Vec<Bytes>, crumbs: &mut BytesMut) {
    if !crumbs.is_empty() {
        pieces.push(crumbs.split().freeze());
    }
}

fn buffered(mut pieces: Vec<Bytes>, mut crumbs: BytesMut) -> Vec<Bytes> {
    flush_crumbs(&mut pieces, &mut crumbs);
    pieces
}

fn broken() -> Failure {
    unavailable("an earlier piece of this content could not be written")
}
