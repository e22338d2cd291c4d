//! Encrypted objects: what is kept beside them, and the geometry of their bytes.
//!
//! The plaintext of an object (or of one part of a multipart upload) is cut into segments of [`SEGMENT_BYTES`]. Each is
//! sealed alone with AES-256-GCM, so that a range is decrypted without what surrounds it, and is [`TAG_BYTES`] longer
//! afterwards. The stored content is the sealed segments one after another. Sizes shown to users are those of the
//! plaintext.

use serde::{Deserialize, Serialize};

/// Plaintext bytes of a segment; the last one of an object or part may be shorter.
pub const SEGMENT_BYTES: u64 = 64 << 10;
/// How much longer a sealed segment is.
pub const TAG_BYTES: u64 = 16;

/// Distinguishes everything that is sealed under one data key: the key of an object or part is derived from both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SealSalt(pub [u8; 16]);

/// How an object is encrypted. No key is in it in clear.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectEncryption {
    /// Who holds the key that unwraps the data key.
    pub mode: EncryptionMode,
    /// The object's data key, sealed under that key; those of two layers one behind the other (`sealing`).
    pub wrapped_key: Vec<u8>,
    /// The salt of an object written in one piece. Parts have their own: [`crate::object::PartInfo::salt`].
    pub salt: SealSalt,
}

/// The modes of server-side encryption.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum EncryptionMode {
    /// SSE-S3: the store's own key.
    S3,
    /// SSE-KMS: a key of the key store.
    Kms {
        /// The key, as the request or the bucket's default named it.
        key_id: String,
        /// The encryption context, base64 of JSON as it was sent.
        context: Option<String>,
        /// Whether a bucket key was asked for.
        bucket_key: bool,
    },
    /// SSE-C: a key that only the client has.
    Customer {
        /// MD5 of the key, by which the client shows that it has the same one.
        key_md5: [u8; 16],
    },
    /// DSSE-KMS: two layers, one under a key of the key store and one under the store's own.
    DualKms {
        /// The key, as the request or the bucket's default named it.
        key_id: String,
        /// The encryption context, base64 of JSON as it was sent.
        context: Option<String>,
    },
}

impl EncryptionMode {
    /// Whether the bytes are encrypted twice, under keys that know nothing of each other.
    pub const fn is_dual_layer(&self) -> bool {
        matches!(self, Self::DualKms { .. })
    }
}

/// Bytes that `plain` bytes take when sealed.
pub fn sealed_length(plain: u64) -> u64 {
    plain + plain.div_ceil(SEGMENT_BYTES) * TAG_BYTES
}

/// Where the segments that hold `length` plaintext bytes from `offset` are among the sealed bytes of an object or part
/// of `plain` bytes: first byte and count. The range must lie within it.
pub fn sealed_range(offset: u64, length: u64, plain: u64) -> (u64, u64) {
    assert!(offset + length <= plain, "{length} bytes from {offset} of {plain}");
    if length == 0 {
        return (0, 0);
    }
    let (first, last) = (offset / SEGMENT_BYTES, (offset + length - 1) / SEGMENT_BYTES);
    let start = first * (SEGMENT_BYTES + TAG_BYTES);
    let end = ((last + 1) * (SEGMENT_BYTES + TAG_BYTES)).min(sealed_length(plain));
    (start, end - start)
}

/// Plaintext bytes of a window that were sealed together: an object written in one piece, or one part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedRun {
    /// Of the object or part.
    pub salt: SealSalt,
    /// Plaintext bytes of the whole object or part.
    pub plain_size: u64,
    /// First byte of the window in it.
    pub offset: u64,
    /// Bytes of the window in it.
    pub length: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_covered_by_whole_segments() {
        const SEALED: u64 = SEGMENT_BYTES + TAG_BYTES;
        let plain = 2 * SEGMENT_BYTES + 10;
        assert_eq!(sealed_length(0), 0);
        assert_eq!(sealed_length(1), 17);
        assert_eq!(sealed_length(plain), plain + 3 * TAG_BYTES);
        assert_eq!(sealed_range(0, 1, plain), (0, SEALED));
        assert_eq!(sealed_range(SEGMENT_BYTES - 1, 2, plain), (0, 2 * SEALED));
        assert_eq!(sealed_range(SEGMENT_BYTES, SEGMENT_BYTES, plain), (SEALED, SEALED));
        assert_eq!(sealed_range(plain - 1, 1, plain), (2 * SEALED, 10 + TAG_BYTES));
        assert_eq!(sealed_range(0, plain, plain), (0, sealed_length(plain)));
        assert_eq!(sealed_range(5, 0, plain), (0, 0));
    }
}
