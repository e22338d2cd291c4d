//! Checks the events of a body against everything its request promised.

use sha2::{Digest as _, Sha256};

use super::deframer::BodyEvent;
use super::hasher::{BodyDigests, BodyHasher};
use super::md5_stream::Md5Stream;
use super::spec::BodySpec;
use super::trailer::{Trailers, malformed};
use crate::auth::ChunkSigner;
use crate::checksum::{Checksum, ChecksumAlgorithm, DeclaredChecksum, md5_base64};
use crate::error::{S3Error, S3ErrorCode};

/// Hashes and chunk signatures of one body. CPU work only; may move to another thread between events.
pub(super) struct BodyVerifier {
    hasher: BodyHasher,
    chunks: Option<SignedChunks>,
    md5: Option<[u8; 16]>,
    sha256: Option<[u8; 32]>,
    declared: DeclaredChecksum,
    trailer_checksum: Option<Checksum>,
}

struct SignedChunks {
    signer: ChunkSigner,
    sha256: Sha256,
}

impl BodyVerifier {
    pub(super) fn new(spec: BodySpec) -> Self {
        Self {
            hasher: spec.hasher(),
            chunks: spec.signer.map(|signer| SignedChunks { signer, sha256: Sha256::new() }),
            md5: spec.md5,
            sha256: spec.sha256,
            declared: spec.declared,
            trailer_checksum: None,
        }
    }

    /// Takes one event. `SignatureDoesNotMatch` when a chunk or the trailers were tampered with.
    pub(super) fn apply(&mut self, event: &BodyEvent) -> Result<(), S3Error> {
        if let (Some(data), Some(md5)) = (event.data(), self.md5_stream()) {
            md5.update(data);
        }
        self.apply_beside_md5(event)
    }

    /// The MD5 that is being computed: whoever feeds it the data of an event gives the rest of the event to
    /// [`apply_beside_md5`](Self::apply_beside_md5).
    pub(super) fn md5_stream(&mut self) -> Option<&mut Md5Stream> {
        self.hasher.md5_stream()
    }

    /// [`apply`](Self::apply) without the MD5.
    pub(super) fn apply_beside_md5(&mut self, event: &BodyEvent) -> Result<(), S3Error> {
        match event {
            BodyEvent::Data(data) => {
                self.hasher.update_beside_md5(data);
                if let Some(chunks) = &mut self.chunks {
                    chunks.sha256.update(data);
                }
                Ok(())
            }
            BodyEvent::ChunkEnd(signature) => {
                let chunks = self.chunks.as_mut().expect("only signed chunks end with a signature");
                let sha256 = std::mem::take(&mut chunks.sha256).finalize().into();
                signature_holds(chunks.signer.verify_chunk(&sha256, signature))
            }
            BodyEvent::Trailers(trailers) => self.apply_trailers(trailers),
        }
    }

    fn apply_trailers(&mut self, trailers: &Trailers) -> Result<(), S3Error> {
        self.trailer_checksum = trailers.checksum;
        match (&mut self.chunks, &trailers.signature) {
            (Some(chunks), Some(signature)) => {
                let sha256 = Sha256::digest(&trailers.canonical).into();
                signature_holds(chunks.signer.verify_trailer(&sha256, signature))
            }
            (None, None) => Ok(()),
            (Some(_), None) | (None, Some(_)) => Err(malformed()),
        }
    }

    /// Compares all digests; called after the last event and after the framing was found complete.
    pub(super) fn finish(self) -> Result<BodyDigests, S3Error> {
        let mut digests = self.hasher.finish();
        if let Some(expected) = self.sha256 {
            check_payload_sha256(&digests, &expected)?;
        }
        if let (Some(expected), Some(computed)) = (self.md5, digests.md5)
            && expected != computed
        {
            return Err(S3Error::with_message(
                S3ErrorCode::BadDigest,
                "The Content-MD5 you specified did not match what we received.",
            )
            .field("ExpectedDigest", md5_base64(&expected))
            .field("CalculatedDigest", md5_base64(&computed)));
        }
        let promised = match self.declared {
            DeclaredChecksum::Absent => None,
            DeclaredChecksum::Header(checksum) => Some(checksum),
            DeclaredChecksum::Trailer(_) => Some(self.trailer_checksum.ok_or_else(malformed)?),
        };
        if let Some(promised) = promised
            && digests.checksum(promised.algorithm()) != Some(promised)
        {
            let name = promised.algorithm().name();
            let message = format!("The {name} you specified did not match the calculated checksum.");
            return Err(S3Error::with_message(S3ErrorCode::BadDigest, message));
        }
        digests.declared = promised;
        Ok(digests)
    }
}

fn check_payload_sha256(digests: &BodyDigests, expected: &[u8; 32]) -> Result<(), S3Error> {
    let computed = digests.checksum(ChecksumAlgorithm::Sha256).expect("hashed because the request promised it");
    if computed.as_bytes() == expected {
        return Ok(());
    }
    Err(S3Error::new(S3ErrorCode::XAmzContentSHA256Mismatch)
        .field("ClientComputedContentSHA256", hex::encode(expected))
        .field("S3ComputedContentSHA256", hex::encode(computed.as_bytes())))
}

fn signature_holds(holds: bool) -> Result<(), S3Error> {
    if holds { Ok(()) } else { Err(S3Error::new(S3ErrorCode::SignatureDoesNotMatch)) }
}
