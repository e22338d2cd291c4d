//! The whole of body decoding without I/O: for tests, for documents already in memory, for other transports.

use bytes::Bytes;

use super::deframer::{BodyEvent, Deframer};
use super::hasher::BodyDigests;
use super::spec::BodySpec;
use super::verifier::BodyVerifier;
use crate::error::S3Error;

/// Decodes and verifies a body fed in pieces of any size.
pub struct BodyDecoder {
    deframer: Deframer,
    verifier: BodyVerifier,
}

impl BodyDecoder {
    /// Starts a body.
    pub fn new(spec: BodySpec) -> Self {
        Self { deframer: Deframer::new(&spec), verifier: BodyVerifier::new(spec) }
    }

    /// Feeds bytes as received; object bytes are appended to `out` as slices of the input. After an error the decoder
    /// must not be used further.
    pub fn feed(&mut self, mut input: Bytes, out: &mut Vec<Bytes>) -> Result<(), S3Error> {
        while let Some(event) = self.deframer.next_event(&mut input)? {
            self.verifier.apply(&event)?;
            if let BodyEvent::Data(data) = event {
                out.push(data);
            }
        }
        Ok(())
    }

    /// Ends the body: `Ok` only if it was complete and everything promised about it holds.
    pub fn finish(self) -> Result<BodyDigests, S3Error> {
        self.deframer.finish()?;
        self.verifier.finish()
    }
}
