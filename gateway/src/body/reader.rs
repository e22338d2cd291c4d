//! Reads a body from HTTP: decodes on the runtime, hashes large bodies beside it, hands out pieces worth writing.
//!
//! Hashing is by far the largest cost of an upload. Events are therefore collected and, once there are enough bytes,
//! verified by a [`VerifierPool`] while the caller writes the same bytes to disk: the buffers are shared, not copied. A job
//! covers what has already arrived, so a slow client never holds a thread. Bodies up to [`INLINE_BYTES_MAX`] are verified
//! in place, where a thread switch would cost more than the hash.
//!
//! Bounds: at most one job in flight and one being collected ([`JOB_BYTES`], [`JOB_EVENTS_MAX`] each), and one piece.

use std::collections::VecDeque;
use std::error::Error;

use bytes::{Bytes, BytesMut};
use http_body::Body;
use http_body_util::BodyExt;
use tokio::sync::oneshot;

use super::deframer::{BodyEvent, Deframer};
use super::hasher::BodyDigests;
use super::spec::BodySpec;
use super::verifier::BodyVerifier;
use super::verifier_pool::{Verified, VerifierPool};
use crate::error::{S3Error, S3ErrorCode};

/// Size pieces are gathered to; smaller ones cost measurably more per byte further down.
pub const PIECE_BYTES: usize = 256 * 1024;
/// A slice this large is handed on as it is, uncopied.
const WHOLE_PIECE_BYTES_MIN: usize = PIECE_BYTES / 2;
/// Up to this many bytes are hashed on the runtime's own thread.
const INLINE_BYTES_MAX: usize = 128 * 1024;
/// Bytes after which collected events become a job.
const JOB_BYTES: usize = 512 * 1024;
/// Events after which they do, however small: keeps a body of tiny frames from piling up.
const JOB_EVENTS_MAX: usize = 128;

/// A verified body, piece by piece.
pub struct BodyReader<B> {
    body: B,
    input: Bytes,
    deframer: Deframer,
    lane: VerifierLane,
    pieces: PieceBuffer,
    is_at_end: bool,
    failure: Option<S3Error>,
}

impl<B> BodyReader<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    /// Reads `body` as `spec` describes it. Must be used on a tokio runtime.
    pub fn new(body: B, spec: BodySpec, verifiers: VerifierPool) -> Self {
        Self {
            body,
            input: Bytes::new(),
            deframer: Deframer::new(&spec),
            pieces: PieceBuffer::new(spec.length),
            lane: VerifierLane::new(BodyVerifier::new(spec), verifiers),
            is_at_end: false,
            failure: None,
        }
    }

    /// The next bytes of the object, `None` at the end. They are not verified yet: only [`BodyReader::finish`] says that.
    /// After an error every call returns it again. Cancelling loses nothing.
    pub async fn next_piece(&mut self) -> Result<Option<Bytes>, S3Error> {
        if let Some(failure) = &self.failure {
            return Err(failure.clone());
        }
        let piece = self.read_piece().await;
        if let Err(error) = &piece {
            self.failure = Some(error.clone());
        }
        piece
    }

    /// Reads what is left, then says whether all of it was as promised. Nothing may become visible before this is `Ok`.
    pub async fn finish(mut self) -> Result<BodyDigests, S3Error> {
        while self.next_piece().await?.is_some() {}
        self.lane.finish().await?.finish()
    }

    /// The whole body in memory, verified; for documents. Limit the spec first ([`BodySpec::limit`]).
    pub async fn collect(mut self) -> Result<(Bytes, BodyDigests), S3Error> {
        let mut collected = match self.next_piece().await? {
            None => return Ok((Bytes::new(), self.finish().await?)),
            Some(first) => first,
        };
        while let Some(piece) = self.next_piece().await? {
            let mut joined = BytesMut::from(collected);
            joined.extend_from_slice(&piece);
            collected = joined.freeze();
        }
        Ok((collected, self.finish().await?))
    }

    async fn read_piece(&mut self) -> Result<Option<Bytes>, S3Error> {
        loop {
            self.lane.make_room().await?;
            if let Some(piece) = self.pieces.take_full() {
                return Ok(Some(piece));
            }
            if self.is_at_end {
                return Ok(self.pieces.take_rest());
            }
            if let Some(event) = self.deframer.next_event(&mut self.input)? {
                if let BodyEvent::Data(data) = &event {
                    self.pieces.push(data.clone());
                }
                self.lane.collect(event);
                continue;
            }
            match self.body.frame().await {
                // HTTP trailers are no part of any S3 body and say nothing that is trusted.
                Some(Ok(frame)) => self.input = frame.into_data().unwrap_or_default(),
                Some(Err(error)) => return Err(read_failure(error.into())),
                None => {
                    self.deframer.finish()?;
                    self.is_at_end = true;
                    self.lane.start_rest();
                }
            }
        }
    }
}

/// What a layer below found wrong in S3's words (a form around the body), or else the connection broke or a limit was
/// hit: for the client the body ended early.
fn read_failure(error: Box<dyn Error + Send + Sync>) -> S3Error {
    error.downcast::<S3Error>().map_or_else(
        |error| {
            tracing::debug!(%error, "request body ended early");
            S3Error::new(S3ErrorCode::IncompleteBody)
        },
        |refused| *refused,
    )
}

/// The verifier, here or on a blocking thread, and the events it has not seen.
struct VerifierLane {
    pool: VerifierPool,
    place: Place,
    events: Vec<BodyEvent>,
    bytes: usize,
}

enum Place {
    Here(Box<BodyVerifier>),
    OnThread(oneshot::Receiver<Verified>),
    /// A job failed, and took the verifier with it.
    Gone,
}

impl VerifierLane {
    fn new(verifier: BodyVerifier, pool: VerifierPool) -> Self {
        Self { pool, place: Place::Here(Box::new(verifier)), events: Vec::new(), bytes: 0 }
    }

    fn collect(&mut self, event: BodyEvent) {
        if let BodyEvent::Data(data) = &event {
            self.bytes += data.len();
        }
        self.events.push(event);
    }

    /// Starts a job if enough was collected, waiting for the one before it: this is the back-pressure of hashing.
    async fn make_room(&mut self) -> Result<(), S3Error> {
        if self.bytes < JOB_BYTES && self.events.len() < JOB_EVENTS_MAX {
            return Ok(());
        }
        self.come_back().await?;
        self.start()
    }

    /// At the end of the body: lets the last job run while the caller deals with the last piece.
    fn start_rest(&mut self) {
        if matches!(self.place, Place::Here(_)) && self.bytes > INLINE_BYTES_MAX {
            // Nothing is applied in place here, so nothing can fail.
            let _deferred = self.start();
        }
    }

    async fn finish(mut self) -> Result<BodyVerifier, S3Error> {
        self.come_back().await?;
        self.start()?;
        self.come_back().await?;
        match self.place {
            Place::Here(verifier) => Ok(*verifier),
            Place::OnThread(_) | Place::Gone => Err(S3Error::new(S3ErrorCode::InternalError)),
        }
    }

    async fn come_back(&mut self) -> Result<(), S3Error> {
        let Place::OnThread(job) = &mut self.place else { return Ok(()) };
        let outcome = job.await;
        self.place = Place::Gone;
        match outcome {
            Ok(verifier) => {
                self.place = Place::Here(verifier?);
                Ok(())
            }
            Err(_dropped) => {
                tracing::error!("body verification job did not finish");
                Err(S3Error::new(S3ErrorCode::InternalError))
            }
        }
    }

    /// Verifies the collected events, in place if few, else on a thread.
    fn start(&mut self) -> Result<(), S3Error> {
        let Place::Here(mut verifier) = std::mem::replace(&mut self.place, Place::Gone) else {
            return Err(S3Error::new(S3ErrorCode::InternalError));
        };
        let bytes = std::mem::take(&mut self.bytes);
        let events = std::mem::take(&mut self.events);
        self.place = if bytes > INLINE_BYTES_MAX {
            Place::OnThread(self.pool.verify(verifier, events))
        } else {
            events.iter().try_for_each(|event| verifier.apply(event))?;
            Place::Here(verifier)
        };
        Ok(())
    }
}

/// Gathers slices into pieces of a useful size. A single slice is never copied.
struct PieceBuffer {
    full: VecDeque<Bytes>,
    /// The first slice of the piece being gathered, until a second one makes a copy necessary.
    single: Option<Bytes>,
    gathered: BytesMut,
    capacity: usize,
}

impl PieceBuffer {
    fn new(length: Option<u64>) -> Self {
        let capacity = length
            .and_then(|length| usize::try_from(length).ok())
            .map_or(PIECE_BYTES, |length| length.min(PIECE_BYTES));
        Self { full: VecDeque::new(), single: None, gathered: BytesMut::new(), capacity }
    }

    fn push(&mut self, slice: Bytes) {
        let held = self.single.as_ref().map_or(self.gathered.len(), Bytes::len);
        if slice.len() >= WHOLE_PIECE_BYTES_MIN || held + slice.len() > PIECE_BYTES {
            self.close_piece();
            if slice.len() >= WHOLE_PIECE_BYTES_MIN {
                self.full.push_back(slice);
                return;
            }
        }
        if self.single.is_none() && self.gathered.is_empty() {
            self.single = Some(slice);
            return;
        }
        if let Some(first) = self.single.take() {
            self.gathered.reserve(self.capacity.max(first.len() + slice.len()));
            self.gathered.extend_from_slice(&first);
        }
        self.gathered.extend_from_slice(&slice);
        if self.gathered.len() >= PIECE_BYTES {
            self.close_piece();
        }
    }

    fn close_piece(&mut self) {
        let piece = self.take_gathered();
        self.full.extend(piece);
    }

    fn take_full(&mut self) -> Option<Bytes> {
        self.full.pop_front()
    }

    fn take_rest(&mut self) -> Option<Bytes> {
        self.full.pop_front().or_else(|| self.take_gathered())
    }

    fn take_gathered(&mut self) -> Option<Bytes> {
        let gathered = self.single.take().unwrap_or_else(|| self.gathered.split().freeze());
        (!gathered.is_empty()).then_some(gathered)
    }
}
