//! What a request promises about its body, and what the caller wants to know about it.

use http::header::{CONTENT_LENGTH, HeaderMap};

use super::hasher::BodyHasher;
use crate::auth::{ChunkSigner, PayloadMode};
use crate::checksum::{ChecksumAlgorithm, DeclaredChecksum, parse_content_md5};
use crate::error::{S3Error, S3ErrorCode};

/// How the bytes on the wire hold the bytes of the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    Plain,
    Chunked { signed_chunks: bool, trailers: bool },
}

/// A body's declared framing, length and digests. Built from the headers, before any byte is read.
#[derive(Clone, Debug)]
pub struct BodySpec {
    pub(super) framing: Framing,
    pub(super) signer: Option<ChunkSigner>,
    pub(super) length: Option<u64>,
    pub(super) bytes_max: u64,
    pub(super) sha256: Option<[u8; 32]>,
    pub(super) md5: Option<[u8; 16]>,
    pub(super) declared: DeclaredChecksum,
    wants_md5: bool,
    wanted_checksum: Option<ChecksumAlgorithm>,
}

impl BodySpec {
    /// Reads the headers that describe the body of an authenticated request.
    ///
    /// `MissingContentLength`: aws-chunked without `x-amz-decoded-content-length`. `InvalidDigest`: a malformed
    /// `Content-MD5`. `InvalidRequest`: see [`DeclaredChecksum::from_headers`]; also a trailer announced by a body whose
    /// framing has none, and lengths that are no numbers.
    pub fn from_headers(payload: PayloadMode, headers: &HeaderMap) -> Result<Self, S3Error> {
        let chunked = |signed_chunks, trailers| Framing::Chunked { signed_chunks, trailers };
        let (framing, sha256, signer) = match payload {
            PayloadMode::SignedSha256(sha256) => (Framing::Plain, Some(sha256), None),
            PayloadMode::Unsigned => (Framing::Plain, None, None),
            PayloadMode::StreamingSigned(signer) => (chunked(true, false), None, Some(signer)),
            PayloadMode::StreamingSignedTrailer(signer) => (chunked(true, true), None, Some(signer)),
            PayloadMode::StreamingUnsignedTrailer => (chunked(false, true), None, None),
        };
        let length = match framing {
            Framing::Plain => header_number(headers, CONTENT_LENGTH.as_str())?,
            Framing::Chunked { .. } => Some(
                header_number(headers, "x-amz-decoded-content-length")?
                    .ok_or_else(|| S3Error::new(S3ErrorCode::MissingContentLength))?,
            ),
        };
        let declared = DeclaredChecksum::from_headers(headers)?;
        let has_trailers = matches!(framing, Framing::Chunked { trailers: true, .. });
        if matches!(declared, DeclaredChecksum::Trailer(_)) && !has_trailers {
            return Err(S3Error::invalid_request(
                "The x-amz-trailer header needs an x-amz-content-sha256 that ends in -TRAILER",
            ));
        }
        Ok(Self {
            framing,
            signer,
            length,
            bytes_max: u64::MAX,
            sha256,
            md5: parse_content_md5(headers)?,
            declared,
            wants_md5: false,
            wanted_checksum: None,
        })
    }

    /// Like [`BodySpec::from_headers`] for CompleteMultipartUpload, whose `x-amz-checksum-*` headers describe the object
    /// and not the XML they come with. Read those with [`DeclaredChecksum::from_headers`].
    pub fn from_headers_of_object(payload: PayloadMode, headers: &HeaderMap) -> Result<Self, S3Error> {
        let declared = DeclaredChecksum::from_headers(headers)?;
        if matches!(declared, DeclaredChecksum::Trailer(_)) {
            return Err(S3Error::invalid_request("A checksum of the object cannot be sent as a trailer"));
        }
        Ok(Self { declared: DeclaredChecksum::Absent, ..Self::from_headers(payload, headers)? })
    }

    /// Length of the decoded body, if declared. A plain body without one was sent with `Transfer-Encoding: chunked`, or
    /// is empty.
    pub fn length(&self) -> Option<u64> {
        self.length
    }

    /// The declared length, or `MissingContentLength`: for operations that must know it before the first byte.
    pub fn require_length(&self) -> Result<u64, S3Error> {
        self.length.ok_or_else(|| S3Error::new(S3ErrorCode::MissingContentLength))
    }

    /// The checksum the request declares.
    pub fn declared(&self) -> DeclaredChecksum {
        self.declared
    }

    /// Whether the client gave any digest of the content (`Content-MD5` or a checksum): DeleteObjects and others insist.
    pub fn has_content_digest(&self) -> bool {
        self.md5.is_some() || self.declared != DeclaredChecksum::Absent
    }

    /// Refuses bodies of more than `bytes_max` with `EntityTooLarge`: at once if the length is declared, else when the
    /// limit is passed.
    pub fn limit(mut self, bytes_max: u64) -> Result<Self, S3Error> {
        if let Some(length) = self.length.filter(|length| *length > bytes_max) {
            return Err(too_large(length, bytes_max));
        }
        self.bytes_max = bytes_max;
        Ok(self)
    }

    /// Also computes the MD5: the ETag of a single PUT or part.
    #[must_use]
    pub fn with_md5(mut self) -> Self {
        self.wants_md5 = true;
        self
    }

    /// Also computes this checksum, whatever the client declared: the one of the multipart upload, or the server's
    /// default. Replaces an earlier wish.
    #[must_use]
    pub fn with_checksum(mut self, algorithm: ChecksumAlgorithm) -> Self {
        self.wanted_checksum = Some(algorithm);
        self
    }

    /// The hashers for everything promised or wanted.
    pub(super) fn hasher(&self) -> BodyHasher {
        let sha256 = self.sha256.map(|_| ChecksumAlgorithm::Sha256);
        let algorithms = [sha256, self.declared.algorithm(), self.wanted_checksum];
        BodyHasher::new(self.wants_md5 || self.md5.is_some(), algorithms.into_iter().flatten())
    }
}

pub(super) fn too_large(proposed: u64, bytes_max: u64) -> S3Error {
    S3Error::new(S3ErrorCode::EntityTooLarge)
        .field("ProposedSize", proposed.to_string())
        .field("MaxSizeAllowed", bytes_max.to_string())
}

fn header_number(headers: &HeaderMap, name: &str) -> Result<Option<u64>, S3Error> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let text = value.to_str().unwrap_or_default().trim();
    let number = if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None };
    match (number, values.next()) {
        (Some(number), None) => Ok(Some(number)),
        (_, _) => Err(S3Error::invalid_request(format!("Value for {name} header is invalid."))),
    }
}

/// The `Content-Encoding` to store: what was sent without `aws-chunked`, which describes the transfer only. `None` if
/// nothing is left.
pub fn stored_content_encoding(sent: &str) -> Option<String> {
    let kept: Vec<&str> = sent
        .split(',')
        .map(str::trim)
        .filter(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case("aws-chunked"))
        .collect();
    // As AWS gives it back; a value without aws-chunked in it is nobody's to rewrite.
    let untouched = sent.trim();
    match kept.len() == untouched.split(',').count() {
        true => Some(untouched.to_owned()),
        false => (!kept.is_empty()).then(|| kept.join(", ")),
    }
}
