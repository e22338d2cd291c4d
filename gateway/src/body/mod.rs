//! Request bodies: unwrapped, measured and verified while they stream.
//!
//! Layers, each usable alone: `Deframer` (bytes in, events out; knows plain and aws-chunked framing and the declared
//! length), `BodyVerifier` (events in; hashes, chunk signatures, trailers), [`BodyDecoder`] (the two joined, without I/O),
//! [`BodyReader`] (over an HTTP body, hashing large bodies beside the caller's writes, in a [`VerifierPool`]).
//!
//! Invariants: memory is bounded whatever the body's size or framing; [`BodyDigests`] exist only after everything the
//! request promised was found to be true, so an upload that becomes visible after `finish` was verified whole.

mod decoder;
mod deframer;
mod hasher;
mod md5_stream;
mod reader;
mod spec;
#[cfg(test)]
mod tests;
mod trailer;
mod verifier;
mod verifier_pool;

pub use decoder::BodyDecoder;
pub use hasher::{BodyDigests, BodyHasher};
pub use reader::{BodyReader, PIECE_BYTES};
pub use spec::{BodySpec, stored_content_encoding};
pub use verifier_pool::VerifierPool;
