//! Object checksums: the algorithms S3 offers, their names and encodings, incremental hashing, and what a multipart
//! object's checksum is made of. Pure; nothing here reads a body.

mod algorithm;
mod declared;
mod hasher;
mod multipart;

pub use algorithm::{CHECKSUM_BYTES_MAX, Checksum, ChecksumAlgorithm, ChecksumType};
pub use declared::{DeclaredChecksum, parse_content_md5, requested_algorithm, requested_type};
pub use hasher::{ChecksumHasher, md5_base64};
pub use multipart::{PartChecksum, composite_checksum, full_object_checksum, multipart_etag};
