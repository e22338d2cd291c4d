//! Objects, versions and uploads as the namenode keeps them and the doors show them.

use crate::acl::Acl;
use crate::bucket::RetentionMode;
use crate::encryption::{ObjectEncryption, SealSalt};
use crate::ids::{CanonicalId, ObjectKey, UnixMillis, UploadId, VersionId};
use serde::{Deserialize, Serialize};

/// The largest object: 5 TiB.
pub const OBJECT_BYTES_MAX: u64 = 5 << 40;
/// The longest key, in bytes of UTF-8.
pub const KEY_BYTES_MAX: usize = 1024;
/// The most parts of a multipart upload.
pub const PARTS_MAX: u16 = 10_000;
/// The smallest part other than the last: 5 MiB.
pub const PART_BYTES_MIN: u64 = 5 << 20;
/// The largest part, and the largest single PUT: 5 GiB.
pub const PART_BYTES_MAX: u64 = 5 << 30;
/// The most objects named by one bulk delete, and the most entries of one listing page.
pub const PAGE_ENTRIES_MAX: u32 = 1000;

/// An entity tag: an MD5, and for multipart objects the number of parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ETag {
    /// MD5 of the body, or of the parts' MD5s.
    pub md5: [u8; 16],
    /// The number of parts of a multipart object; `None` for a single PUT.
    pub parts: Option<u16>,
}

impl std::fmt::Display for ETag {
    /// The tag without its quotes: 32 hexadecimal digits, then `-N` for a multipart object.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut digits = [0u8; 32];
        hex::encode_to_slice(self.md5, &mut digits).expect("32 digits hold 16 bytes");
        f.write_str(std::str::from_utf8(&digits).expect("hexadecimal digits are ASCII"))?;
        match self.parts {
            Some(parts) => write!(f, "-{parts}"),
            None => Ok(()),
        }
    }
}

/// The checksum algorithms of S3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ChecksumAlgorithm {
    /// CRC-32 (ISO-HDLC), 4 bytes.
    Crc32,
    /// CRC-32C (Castagnoli), 4 bytes.
    Crc32c,
    /// CRC-64/NVME, 8 bytes.
    Crc64Nvme,
    /// SHA-1, 20 bytes.
    Sha1,
    /// SHA-256, 32 bytes.
    Sha256,
}

/// Whether a multipart checksum covers the bytes or the parts' checksums.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ChecksumType {
    /// Over all bytes of the object.
    FullObject,
    /// Over the parts' checksums, shown with `-N`.
    Composite,
}

/// A stored checksum.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ObjectChecksum {
    /// The algorithm.
    pub algorithm: ChecksumAlgorithm,
    /// What it covers.
    pub kind: ChecksumType,
    /// The raw value, big-endian as AWS shows it in base64.
    pub value: Vec<u8>,
}

/// The storage classes of S3.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum StorageClass {
    #[default]
    Standard,
    StandardIa,
    OnezoneIa,
    IntelligentTiering,
    GlacierIr,
    Glacier,
    DeepArchive,
}

impl StorageClass {
    /// Every class, in AWS's transition order.
    pub const ALL: [StorageClass; 7] = [
        Self::Standard,
        Self::StandardIa,
        Self::IntelligentTiering,
        Self::OnezoneIa,
        Self::GlacierIr,
        Self::Glacier,
        Self::DeepArchive,
    ];

    /// The name S3 uses.
    pub fn name(self) -> &'static str {
        match self {
            Self::Standard => "STANDARD",
            Self::StandardIa => "STANDARD_IA",
            Self::OnezoneIa => "ONEZONE_IA",
            Self::IntelligentTiering => "INTELLIGENT_TIERING",
            Self::GlacierIr => "GLACIER_IR",
            Self::Glacier => "GLACIER",
            Self::DeepArchive => "DEEP_ARCHIVE",
        }
    }

    /// Whether its objects can be read only after they were restored.
    pub fn is_archive(self) -> bool {
        matches!(self, Self::Glacier | Self::DeepArchive)
    }

    /// The class of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.name() == name)
    }
}

/// What a client stored beside the bytes; returned with them unchanged.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectHeaders {
    /// System metadata headers in lower case with their values: `content-type`, `content-encoding` (without
    /// `aws-chunked`), `content-disposition`, `content-language`, `cache-control`, `expires`,
    /// `x-amz-website-redirect-location`.
    pub system: Vec<(String, String)>,
    /// User metadata: names in lower case without `x-amz-meta-`.
    pub user: Vec<(String, String)>,
}

/// What is known of an object besides its bytes and what listings show.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectDetails {
    /// Its headers.
    pub headers: ObjectHeaders,
    /// Its tags, at most [`TAGS_MAX`], names unique.
    pub tags: Vec<Tag>,
    /// Its access control list; `None` is `private`.
    pub acl: Option<Acl>,
    /// How it is encrypted; `None` in clear.
    pub encryption: Option<ObjectEncryption>,
}

/// The most tags of an object.
pub const TAGS_MAX: usize = 10;

/// A tag.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Tag {
    /// 1 to 128 characters.
    pub key: String,
    /// At most 256 characters.
    pub value: String,
}

/// What keeps a version from being deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ObjectLock {
    /// Until when.
    pub retention: Option<Retention>,
    /// Whether it is kept until this is taken back, whatever the retention.
    pub legal_hold: bool,
}

impl ObjectLock {
    /// Whether a version with this lock may not be removed at `now`.
    pub fn keeps(&self, now: UnixMillis, bypass_governance: bool) -> bool {
        let retained = self.retention.is_some_and(|retention| {
            let bypassed = bypass_governance && retention.mode == RetentionMode::Governance;
            retention.until > now && !bypassed
        });
        self.legal_hold || retained
    }
}

/// A version is kept until a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Retention {
    /// How strictly.
    pub mode: RetentionMode,
    /// The moment.
    pub until: UnixMillis,
}

/// A version of an object, without where its bytes are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectVersion {
    /// Which version.
    pub version: VersionId,
    /// A delete marker has no bytes and no headers.
    pub delete_marker: bool,
    /// Bytes.
    pub size: u64,
    /// The entity tag.
    pub etag: ETag,
    /// When it was written.
    pub modified: UnixMillis,
    /// Who owns it.
    pub owner: CanonicalId,
    /// Its storage class.
    pub class: StorageClass,
    /// Its checksum, if one was sent or computed.
    pub checksum: Option<ObjectChecksum>,
    /// What keeps it.
    pub lock: ObjectLock,
    /// The rest; left empty in listings.
    pub details: ObjectDetails,
}

/// A part of a multipart object or upload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartInfo {
    /// 1 to 10,000.
    pub number: u16,
    /// Bytes.
    pub size: u64,
    /// MD5 of the part.
    pub md5: [u8; 16],
    /// When it was uploaded.
    pub modified: UnixMillis,
    /// Its checksum.
    pub checksum: Option<ObjectChecksum>,
    /// Under what it is sealed, if the object is encrypted.
    pub salt: Option<SealSalt>,
}

/// A multipart upload in progress.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UploadInfo {
    /// The upload.
    pub upload: UploadId,
    /// The key it will write.
    pub key: ObjectKey,
    /// When it was created.
    pub initiated: UnixMillis,
    /// Who owns it.
    pub owner: CanonicalId,
    /// The class of the object to be.
    pub class: StorageClass,
    /// The checksum algorithm and type named at creation.
    pub checksum: Option<(ChecksumAlgorithm, ChecksumType)>,
    /// The lock of the object to be.
    pub lock: ObjectLock,
    /// The details of the object to be.
    pub details: ObjectDetails,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_etag_reads_as_s3_writes_it() {
        let single = ETag { md5: [0xab; 16], parts: None };
        assert_eq!(single.to_string(), "ab".repeat(16));
        assert_eq!(ETag { parts: Some(12), ..single }.to_string(), format!("{}-12", "ab".repeat(16)));
    }

    #[test]
    fn every_class_is_found_by_its_name() {
        for class in StorageClass::ALL {
            assert_eq!(StorageClass::from_name(class.name()), Some(class));
        }
        assert_eq!(StorageClass::from_name("standard"), None);
    }
}
