//! Names, sizes and encodings of checksums, and the values themselves.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::error::{S3Error, S3ErrorCode};

/// Length in bytes of the longest checksum.
pub const CHECKSUM_BYTES_MAX: usize = 32;

/// A checksum algorithm a client may choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ChecksumAlgorithm {
    /// CRC-32 (ISO-HDLC), the default of most SDKs.
    Crc32,
    /// CRC-32C (Castagnoli).
    Crc32c,
    /// CRC-64/NVME, the default of AWS itself.
    Crc64Nvme,
    /// SHA-1.
    Sha1,
    /// SHA-256.
    Sha256,
}

impl ChecksumAlgorithm {
    /// All algorithms.
    pub const ALL: [Self; 5] = [Self::Crc32, Self::Crc32c, Self::Crc64Nvme, Self::Sha1, Self::Sha256];

    /// The name in `x-amz-checksum-algorithm` and XML.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Crc32 => "CRC32",
            Self::Crc32c => "CRC32C",
            Self::Crc64Nvme => "CRC64NVME",
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA256",
        }
    }

    /// The XML element that carries a value: `ChecksumCRC32` …
    pub const fn xml_element(self) -> &'static str {
        match self {
            Self::Crc32 => "ChecksumCRC32",
            Self::Crc32c => "ChecksumCRC32C",
            Self::Crc64Nvme => "ChecksumCRC64NVME",
            Self::Sha1 => "ChecksumSHA1",
            Self::Sha256 => "ChecksumSHA256",
        }
    }

    /// The header or trailer that carries a value, in lower case.
    pub const fn header_name(self) -> &'static str {
        match self {
            Self::Crc32 => "x-amz-checksum-crc32",
            Self::Crc32c => "x-amz-checksum-crc32c",
            Self::Crc64Nvme => "x-amz-checksum-crc64nvme",
            Self::Sha1 => "x-amz-checksum-sha1",
            Self::Sha256 => "x-amz-checksum-sha256",
        }
    }

    /// Length of a value, in bytes.
    pub const fn digest_bytes(self) -> usize {
        match self {
            Self::Crc32 | Self::Crc32c => 4,
            Self::Crc64Nvme => 8,
            Self::Sha1 => 20,
            Self::Sha256 => 32,
        }
    }

    /// Reads a name, any case.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name().eq_ignore_ascii_case(name))
    }

    /// Reads a header or trailer name, any case.
    pub fn from_header_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.header_name().eq_ignore_ascii_case(name))
    }
}

/// How the checksum of a multipart object relates to its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChecksumType {
    /// Checksum of the parts' checksums, shown with `-N`.
    Composite,
    /// Checksum of the whole object.
    FullObject,
}

impl ChecksumType {
    /// The name in headers and XML.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Composite => "COMPOSITE",
            Self::FullObject => "FULL_OBJECT",
        }
    }

    /// Reads a name, any case.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Composite, Self::FullObject].into_iter().find(|kind| kind.name().eq_ignore_ascii_case(name))
    }

    /// What a multipart upload gets when only its algorithm is named.
    pub const fn default_for(algorithm: ChecksumAlgorithm) -> Self {
        match algorithm {
            ChecksumAlgorithm::Crc64Nvme => Self::FullObject,
            ChecksumAlgorithm::Crc32
            | ChecksumAlgorithm::Crc32c
            | ChecksumAlgorithm::Sha1
            | ChecksumAlgorithm::Sha256 => Self::Composite,
        }
    }

    /// Whether S3 offers this pair: CRCs can be combined, SHAs cannot; CRC64NVME has no composite form.
    pub const fn is_allowed_for(self, algorithm: ChecksumAlgorithm) -> bool {
        match (self, algorithm) {
            (Self::Composite, ChecksumAlgorithm::Crc64Nvme) => false,
            (Self::FullObject, ChecksumAlgorithm::Sha1 | ChecksumAlgorithm::Sha256) => false,
            (Self::Composite | Self::FullObject, ChecksumAlgorithm::Crc32 | ChecksumAlgorithm::Crc32c)
            | (Self::Composite, ChecksumAlgorithm::Sha1 | ChecksumAlgorithm::Sha256)
            | (Self::FullObject, ChecksumAlgorithm::Crc64Nvme) => true,
        }
    }
}

/// A checksum: an algorithm and its big-endian bytes. Unused bytes are zero, so equality is by value.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Checksum {
    algorithm: ChecksumAlgorithm,
    bytes: [u8; CHECKSUM_BYTES_MAX],
}

impl Checksum {
    /// From raw bytes; `None` unless there are exactly as many as the algorithm yields.
    pub fn from_bytes(algorithm: ChecksumAlgorithm, raw: &[u8]) -> Option<Self> {
        if raw.len() != algorithm.digest_bytes() {
            return None;
        }
        let mut bytes = [0; CHECKSUM_BYTES_MAX];
        bytes[..raw.len()].copy_from_slice(raw);
        Some(Self { algorithm, bytes })
    }

    /// From padded base64; `None` if malformed or of the wrong length.
    pub fn from_base64(algorithm: ChecksumAlgorithm, text: &str) -> Option<Self> {
        // 44 characters hold the longest checksum: anything longer is not worth decoding.
        if text.len() > 44 {
            return None;
        }
        Self::from_bytes(algorithm, &BASE64.decode(text).ok()?)
    }

    /// Like [`Checksum::from_base64`]: what cannot be a checksum is the checksum of nothing, `BadDigest`. `place` is "header"
    /// or "trailing header".
    pub fn parse(algorithm: ChecksumAlgorithm, text: &str, place: &str) -> Result<Self, S3Error> {
        Self::from_base64(algorithm, text).ok_or_else(|| {
            let message = format!("Value for {} {place} is invalid.", algorithm.header_name());
            S3Error::with_message(S3ErrorCode::BadDigest, message)
        })
    }

    /// The algorithm.
    pub fn algorithm(&self) -> ChecksumAlgorithm {
        self.algorithm
    }

    /// The big-endian bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.algorithm.digest_bytes()]
    }

    /// Padded base64, as in headers and XML.
    pub fn to_base64(&self) -> String {
        BASE64.encode(self.as_bytes())
    }

    /// The CRC as a number; `None` for the SHAs.
    pub(super) fn crc_value(&self) -> Option<u64> {
        match self.algorithm {
            ChecksumAlgorithm::Crc32 | ChecksumAlgorithm::Crc32c | ChecksumAlgorithm::Crc64Nvme => {
                Some(self.as_bytes().iter().fold(0, |value, byte| value << 8 | u64::from(*byte)))
            }
            ChecksumAlgorithm::Sha1 | ChecksumAlgorithm::Sha256 => None,
        }
    }

    /// From a CRC's number, whose low `digest_bytes` count.
    pub(super) fn from_crc(algorithm: ChecksumAlgorithm, value: u64) -> Self {
        let width = algorithm.digest_bytes().min(8);
        let mut bytes = [0; CHECKSUM_BYTES_MAX];
        bytes[..width].copy_from_slice(&value.to_be_bytes()[8 - width..]);
        Self { algorithm, bytes }
    }
}

impl fmt::Debug for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algorithm.name(), self.to_base64())
    }
}
