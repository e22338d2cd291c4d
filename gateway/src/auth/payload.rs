//! What `x-amz-content-sha256` promises about the body.
//!
//! A mode says how the body is framed and checked. It never says whether the request itself is verified: that has
//! happened, or the request is anonymous, before a mode exists.

use super::chunk::ChunkSigner;
use crate::error::{S3Error, S3ErrorCode};

/// How the body of an accepted request is framed and what it must hash to.
#[derive(Clone, Debug)]
pub enum PayloadMode {
    /// A plain body with this SHA-256.
    SignedSha256([u8; 32]),
    /// A plain body, protected by the transport only.
    Unsigned,
    /// aws-chunked; each chunk is signed.
    StreamingSigned(ChunkSigner),
    /// aws-chunked; each chunk and the trailers are signed.
    StreamingSignedTrailer(ChunkSigner),
    /// aws-chunked with trailers, nothing in it signed.
    StreamingUnsignedTrailer,
}

/// The header's value, before a signature gave it its context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DeclaredPayload {
    Sha256([u8; 32]),
    Unsigned,
    StreamingSigned,
    StreamingSignedTrailer,
    StreamingUnsignedTrailer,
}

pub(super) const UNSIGNED_PAYLOAD: &str = "UNSIGNED-PAYLOAD";

impl DeclaredPayload {
    /// `InvalidArgument` in AWS's words for an unknown value, `NotImplemented` for the elliptic-curve forms.
    pub(super) fn parse(value: &str) -> Result<Self, S3Error> {
        match value {
            UNSIGNED_PAYLOAD => Ok(Self::Unsigned),
            "STREAMING-UNSIGNED-PAYLOAD-TRAILER" => Ok(Self::StreamingUnsignedTrailer),
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD" => Ok(Self::StreamingSigned),
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER" => Ok(Self::StreamingSignedTrailer),
            "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD" | "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER" => {
                Err(S3Error::new(S3ErrorCode::NotImplemented).field("Header", "x-amz-content-sha256"))
            }
            other => {
                let mut sha256 = [0; 32];
                match hex::decode_to_slice(other, &mut sha256) {
                    Ok(()) => Ok(Self::Sha256(sha256)),
                    Err(_) => Err(S3Error::invalid_argument(
                        "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER, \
                         STREAMING-AWS4-HMAC-SHA256-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER or a valid sha256 value.",
                        "x-amz-content-sha256",
                        other,
                    )),
                }
            }
        }
    }

    /// Gives the mode its context. Signed chunks without a signed request to continue from are refused.
    pub(super) fn into_mode(self, signer: Option<ChunkSigner>) -> Result<PayloadMode, S3Error> {
        match (self, signer) {
            (Self::Sha256(sha256), _) => Ok(PayloadMode::SignedSha256(sha256)),
            (Self::Unsigned, _) => Ok(PayloadMode::Unsigned),
            (Self::StreamingUnsignedTrailer, _) => Ok(PayloadMode::StreamingUnsignedTrailer),
            (Self::StreamingSigned, Some(signer)) => Ok(PayloadMode::StreamingSigned(signer)),
            (Self::StreamingSignedTrailer, Some(signer)) => Ok(PayloadMode::StreamingSignedTrailer(signer)),
            (Self::StreamingSigned | Self::StreamingSignedTrailer, None) => Err(S3Error::invalid_request(
                "A body with signed chunks needs a request signed in its Authorization header.",
            )),
        }
    }
}
