//! The checksum and the ETag of a multipart object, from those of its parts.

use md5::{Digest as _, Md5};

use super::algorithm::{Checksum, ChecksumAlgorithm};
use super::hasher::{ChecksumHasher, crc_parameters};

/// What a part contributes to its object's checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartChecksum {
    /// The part's own checksum.
    pub checksum: Checksum,
    /// The part's length in bytes.
    pub length: u64,
}

/// The composite checksum: the checksum of the parts' raw checksums in order. Shown as `base64-N`. `None` if a part has
/// another algorithm or there is no part.
pub fn composite_checksum(algorithm: ChecksumAlgorithm, parts: &[PartChecksum]) -> Option<Checksum> {
    if parts.is_empty() {
        return None;
    }
    let mut hasher = ChecksumHasher::new(algorithm);
    for part in parts {
        if part.checksum.algorithm() != algorithm {
            return None;
        }
        hasher.update(part.checksum.as_bytes());
    }
    Some(hasher.finish())
}

/// The checksum of the whole object without reading it: CRCs are combined by length. `None` for SHA algorithms, for parts
/// of another algorithm, or without parts.
pub fn full_object_checksum(algorithm: ChecksumAlgorithm, parts: &[PartChecksum]) -> Option<Checksum> {
    let parameters = crc_parameters(algorithm)?;
    let mut combined: Option<u64> = None;
    for part in parts {
        let value = part.checksum.crc_value().filter(|_| part.checksum.algorithm() == algorithm)?;
        combined = Some(match combined {
            None => value,
            // Combining with nothing is the identity, which the library's matrices need not be asked for.
            Some(so_far) if part.length == 0 => so_far,
            Some(so_far) => crc_fast::checksum_combine(parameters, so_far, value, part.length),
        });
    }
    combined.map(|value| Checksum::from_crc(algorithm, value))
}

/// The ETag of a multipart object, without quotes: MD5 of the parts' MD5s, `-`, their number.
pub fn multipart_etag<'a>(part_md5s: impl IntoIterator<Item = &'a [u8; 16]>) -> String {
    let mut md5 = Md5::new();
    let mut parts = 0usize;
    for part in part_md5s {
        md5.update(part);
        parts += 1;
    }
    format!("{}-{parts}", hex::encode(md5.finalize()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parts_of(algorithm: ChecksumAlgorithm, pieces: &[Vec<u8>]) -> Vec<PartChecksum> {
        pieces
            .iter()
            .map(|piece| PartChecksum {
                checksum: ChecksumHasher::digest(algorithm, piece),
                length: piece.len() as u64,
            })
            .collect()
    }

    proptest! {
        #[test]
        fn combined_crc_is_the_crc_of_the_whole(
            pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 1..6)
        ) {
            for algorithm in [ChecksumAlgorithm::Crc32, ChecksumAlgorithm::Crc32c, ChecksumAlgorithm::Crc64Nvme] {
                let combined = full_object_checksum(algorithm, &parts_of(algorithm, &pieces));
                prop_assert_eq!(combined, Some(ChecksumHasher::digest(algorithm, &pieces.concat())));
            }
        }
    }

    #[test]
    fn composite_is_the_checksum_of_the_checksums() {
        let pieces = [b"a".to_vec(), b"b".to_vec()];
        for algorithm in ChecksumAlgorithm::ALL {
            let parts = parts_of(algorithm, &pieces);
            let concatenated: Vec<u8> = parts.iter().flat_map(|part| part.checksum.as_bytes().to_vec()).collect();
            assert_eq!(composite_checksum(algorithm, &parts), Some(ChecksumHasher::digest(algorithm, &concatenated)));
        }
    }

    #[test]
    fn what_cannot_be_combined_is_none() {
        let crc = parts_of(ChecksumAlgorithm::Crc32, &[vec![1]]);
        assert_eq!(full_object_checksum(ChecksumAlgorithm::Crc32c, &crc), None);
        assert_eq!(composite_checksum(ChecksumAlgorithm::Sha1, &crc), None);
        assert_eq!(full_object_checksum(ChecksumAlgorithm::Sha1, &parts_of(ChecksumAlgorithm::Sha1, &[vec![1]])), None);
        assert_eq!(full_object_checksum(ChecksumAlgorithm::Crc32, &[]), None);
        assert_eq!(composite_checksum(ChecksumAlgorithm::Crc32, &[]), None);
    }

    #[test]
    fn etag_of_parts() {
        // md5(md5("a") ‖ md5("b")), computed with Python's hashlib.
        let md5 = |text: &[u8]| -> [u8; 16] { Md5::digest(text).into() };
        assert_eq!(multipart_etag(&[md5(b"a"), md5(b"b")]), "96e024ba2074fe77e8e965ba43a704be-2".to_owned());
    }
}
