//! Between checksums as requests carry them and as objects keep them.

use crate::body::BodyDigests;
use crate::checksum::{Checksum, ChecksumAlgorithm, ChecksumType};
use granary_protocol::object::{self, ObjectChecksum};
use http::header::{HeaderMap, HeaderName, HeaderValue};

const CHECKSUM_TYPE: HeaderName = HeaderName::from_static("x-amz-checksum-type");

/// The algorithm as it is kept.
pub(super) const fn kept_algorithm(algorithm: ChecksumAlgorithm) -> object::ChecksumAlgorithm {
    match algorithm {
        ChecksumAlgorithm::Crc32 => object::ChecksumAlgorithm::Crc32,
        ChecksumAlgorithm::Crc32c => object::ChecksumAlgorithm::Crc32c,
        ChecksumAlgorithm::Crc64Nvme => object::ChecksumAlgorithm::Crc64Nvme,
        ChecksumAlgorithm::Sha1 => object::ChecksumAlgorithm::Sha1,
        ChecksumAlgorithm::Sha256 => object::ChecksumAlgorithm::Sha256,
    }
}

/// The algorithm of what was kept.
pub(super) const fn algorithm_of(kept: object::ChecksumAlgorithm) -> ChecksumAlgorithm {
    match kept {
        object::ChecksumAlgorithm::Crc32 => ChecksumAlgorithm::Crc32,
        object::ChecksumAlgorithm::Crc32c => ChecksumAlgorithm::Crc32c,
        object::ChecksumAlgorithm::Crc64Nvme => ChecksumAlgorithm::Crc64Nvme,
        object::ChecksumAlgorithm::Sha1 => ChecksumAlgorithm::Sha1,
        object::ChecksumAlgorithm::Sha256 => ChecksumAlgorithm::Sha256,
    }
}

/// The type as it is kept.
pub(super) const fn kept_type(kind: ChecksumType) -> object::ChecksumType {
    match kind {
        ChecksumType::Composite => object::ChecksumType::Composite,
        ChecksumType::FullObject => object::ChecksumType::FullObject,
    }
}

/// The type of what was kept.
pub(super) const fn type_of(kept: object::ChecksumType) -> ChecksumType {
    match kept {
        object::ChecksumType::Composite => ChecksumType::Composite,
        object::ChecksumType::FullObject => ChecksumType::FullObject,
    }
}

/// A checksum over all bytes, to be kept.
pub(super) fn full_object(checksum: &Checksum) -> ObjectChecksum {
    ObjectChecksum {
        algorithm: kept_algorithm(checksum.algorithm()),
        kind: object::ChecksumType::FullObject,
        value: checksum.as_bytes().to_vec(),
    }
}

/// The value of what was kept; `None` if its length is not its algorithm's.
pub(super) fn checksum_of(kept: &ObjectChecksum) -> Option<Checksum> {
    Checksum::from_bytes(algorithm_of(kept.algorithm), &kept.value)
}

/// The checksum of a body that is kept with it: the one of `algorithm`, computed or declared.
pub(super) fn kept_of(digests: &BodyDigests, algorithm: ChecksumAlgorithm) -> Option<ObjectChecksum> {
    digests.checksum(algorithm).as_ref().map(full_object)
}

/// How clients see a value: base64, and for a composite one `-` and the number of parts.
pub(super) fn shown(kept: &ObjectChecksum, parts: Option<u16>) -> Option<String> {
    let value = checksum_of(kept)?.to_base64();
    Some(match (kept.kind, parts) {
        (object::ChecksumType::Composite, Some(parts)) => format!("{value}-{parts}"),
        (object::ChecksumType::Composite, None) | (object::ChecksumType::FullObject, _) => value,
    })
}

/// Adds `x-amz-checksum-…` and `x-amz-checksum-type`.
pub(super) fn insert_headers(headers: &mut HeaderMap, kept: &ObjectChecksum, parts: Option<u16>) {
    insert_value(headers, kept, parts);
    insert_type(headers, kept);
}

/// Adds `x-amz-checksum-type`.
pub(super) fn insert_type(headers: &mut HeaderMap, kept: &ObjectChecksum) {
    headers.insert(CHECKSUM_TYPE, HeaderValue::from_static(type_of(kept.kind).name()));
}

/// Adds `x-amz-checksum-…` alone: of a part, which has no type of its own.
pub(super) fn insert_value(headers: &mut HeaderMap, kept: &ObjectChecksum, parts: Option<u16>) {
    let name = HeaderName::from_static(algorithm_of(kept.algorithm).header_name());
    if let Some(value) = shown(kept, parts).and_then(|text| HeaderValue::from_str(&text).ok()) {
        headers.insert(name, value);
    }
}
