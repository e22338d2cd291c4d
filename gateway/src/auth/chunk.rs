//! Signatures of aws-chunked bodies: every chunk signs its predecessor's signature, starting from the request's own.
//!
//! Source: "Transferring payload in multiple chunks" and "Including trailing headers", Amazon S3 API reference.

use std::fmt;

use subtle::ConstantTimeEq;

use super::amz_date::AmzDate;
use super::keys::SigningKey;

const EMPTY_SHA256: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// The running signature chain of one body. Holds a signing key, so it is never printed.
#[derive(Clone)]
pub struct ChunkSigner {
    key: SigningKey,
    date: AmzDate,
    scope: Box<str>,
    previous: [u8; 64],
}

impl ChunkSigner {
    /// `seed` is the request's signature, `scope` is `date/region/s3/aws4_request`.
    pub fn new(key: SigningKey, date: AmzDate, scope: &str, seed: [u8; 32]) -> Self {
        Self { key, date, scope: scope.into(), previous: hex_of(&seed) }
    }

    /// Checks the signature of the next chunk, given the SHA-256 of its data; on success the chain moves on.
    #[must_use]
    pub fn verify_chunk(&mut self, data_sha256: &[u8; 32], provided_hex: &[u8; 64]) -> bool {
        let expected = self.sign("AWS4-HMAC-SHA256-PAYLOAD", Some(EMPTY_SHA256), data_sha256);
        self.accept(expected, provided_hex)
    }

    /// Checks the signature over the trailers (`name:value\n`, in order), the last link of the chain.
    #[must_use]
    pub fn verify_trailer(&mut self, trailers_sha256: &[u8; 32], provided_hex: &[u8; 64]) -> bool {
        let expected = self.sign("AWS4-HMAC-SHA256-TRAILER", None, trailers_sha256);
        self.accept(expected, provided_hex)
    }

    fn accept(&mut self, expected: [u8; 64], provided_hex: &[u8; 64]) -> bool {
        let equal: bool = expected.ct_eq(provided_hex).into();
        if equal {
            self.previous = expected;
        }
        equal
    }

    fn sign(&self, algorithm: &str, middle: Option<&str>, hash: &[u8; 32]) -> [u8; 64] {
        let mut text = Vec::with_capacity(320);
        for line in [algorithm, self.date.as_str(), &self.scope] {
            text.extend_from_slice(line.as_bytes());
            text.push(b'\n');
        }
        text.extend_from_slice(&self.previous);
        text.push(b'\n');
        if let Some(middle) = middle {
            text.extend_from_slice(middle.as_bytes());
            text.push(b'\n');
        }
        text.extend_from_slice(&hex_of(hash));
        hex_of(&self.key.sign(&text))
    }

    /// What a client would send for the next chunk; moves the chain on. For tests and for Granary as a client.
    pub fn sign_chunk(&mut self, data_sha256: &[u8; 32]) -> String {
        self.previous = self.sign("AWS4-HMAC-SHA256-PAYLOAD", Some(EMPTY_SHA256), data_sha256);
        String::from_utf8_lossy(&self.previous).into_owned()
    }

    /// What a client would send over its trailers.
    pub fn sign_trailer(&mut self, trailers_sha256: &[u8; 32]) -> String {
        self.previous = self.sign("AWS4-HMAC-SHA256-TRAILER", None, trailers_sha256);
        String::from_utf8_lossy(&self.previous).into_owned()
    }
}

impl fmt::Debug for ChunkSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChunkSigner").field("date", &self.date).field("scope", &self.scope).finish_non_exhaustive()
    }
}

/// Lower-case hex of 32 bytes, without allocating.
pub(super) fn hex_of(bytes: &[u8; 32]) -> [u8; 64] {
    let mut text = [0; 64];
    hex::encode_to_slice(bytes, &mut text).expect("64 characters hold 32 bytes");
    text
}
