//! The comparison at the heart of Signature Version 4. Pure: request, claim and key in, verdict out.

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::canonical::{SignedParts, Spelling, canonical_request};
use super::chunk::hex_of;
use super::claim::{ALGORITHM, Claim};
use super::keys::SigningKey;
use crate::error::{S3Error, S3ErrorCode};

/// What was computed when nothing matched, for the error the client gets.
pub(super) struct Mismatch {
    canonical_request: Vec<u8>,
    string_to_sign: Vec<u8>,
}

/// Checks the claim's signature against each spelling of the request for each host name, at most
/// `2 × (1 + other_hosts)` comparisons; the first normally matches. Returns the signature, the seed of signed chunks.
pub(super) fn verify(
    parts: &SignedParts<'_>,
    other_hosts: &[String],
    claim: &Claim<'_>,
    key: &SigningKey,
) -> Result<Result<[u8; 32], Mismatch>, S3Error> {
    let first = canonical_request(parts, Spelling::Normalised)?;
    let mismatch = match check(first, claim, key) {
        Ok(signature) => return Ok(Ok(signature)),
        Err(mismatch) => mismatch,
    };
    for host in std::iter::once(parts.host).chain(other_hosts.iter().map(String::as_str)) {
        let parts = SignedParts { host, ..*parts };
        for spelling in [Spelling::Normalised, Spelling::AsSent] {
            let candidate = canonical_request(&parts, spelling)?;
            if candidate == mismatch.canonical_request {
                continue;
            }
            if let Ok(signature) = check(candidate, claim, key) {
                return Ok(Ok(signature));
            }
        }
    }
    Ok(Err(mismatch))
}

fn check(canonical_request: Vec<u8>, claim: &Claim<'_>, key: &SigningKey) -> Result<[u8; 32], Mismatch> {
    let string_to_sign = string_to_sign(claim, &canonical_request);
    let signature = key.sign(&string_to_sign);
    if signatures_equal(&signature, &claim.signature) {
        Ok(signature)
    } else {
        Err(Mismatch { canonical_request, string_to_sign })
    }
}

/// Compares with a signature in lower-case hex, in time that depends on its length only.
pub(super) fn signatures_equal(computed: &[u8; 32], provided_hex: &str) -> bool {
    hex_of(computed).ct_eq(provided_hex.as_bytes()).into()
}

fn string_to_sign(claim: &Claim<'_>, canonical_request: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(192);
    for line in [ALGORITHM, claim.signed_at.as_str(), claim.credential.scope()] {
        text.extend_from_slice(line.as_bytes());
        text.push(b'\n');
    }
    text.extend_from_slice(&hex_of(&Sha256::digest(canonical_request).into()));
    text
}

impl Mismatch {
    /// `SignatureDoesNotMatch` with everything a client needs to find its mistake, as AWS sends it.
    pub(super) fn into_error(self, claim: &Claim<'_>) -> S3Error {
        let spaced_hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ");
        S3Error::new(S3ErrorCode::SignatureDoesNotMatch)
            .field("AWSAccessKeyId", claim.credential.access_key_id())
            .field("StringToSign", String::from_utf8_lossy(&self.string_to_sign))
            .field("SignatureProvided", claim.signature.as_ref())
            .field("StringToSignBytes", spaced_hex(&self.string_to_sign))
            .field("CanonicalRequest", String::from_utf8_lossy(&self.canonical_request))
            .field("CanonicalRequestBytes", spaced_hex(&self.canonical_request))
    }
}
