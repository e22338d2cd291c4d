//! All digests of one body in one pass.

use super::md5_stream::Md5Stream;
use crate::checksum::{Checksum, ChecksumAlgorithm, ChecksumHasher};

/// Hashes a body with everything asked of it. Each piece is read once by each algorithm while it is in cache.
pub struct BodyHasher {
    md5: Option<Md5Stream>,
    checksums: Vec<ChecksumHasher>,
    length: u64,
}

/// Pieces small enough to stay in the first cache level between two algorithms.
const SLICE_BYTES: usize = 16 * 1024;

impl BodyHasher {
    /// Computes the MD5 if `md5`, and each algorithm once however often it is named.
    pub fn new(md5: bool, algorithms: impl IntoIterator<Item = ChecksumAlgorithm>) -> Self {
        let mut checksums: Vec<ChecksumHasher> = Vec::new();
        for algorithm in algorithms {
            if checksums.iter().all(|hasher| hasher.algorithm() != algorithm) {
                checksums.push(ChecksumHasher::new(algorithm));
            }
        }
        Self { md5: md5.then(Md5Stream::new), checksums, length: 0 }
    }

    /// Adds bytes.
    pub fn update(&mut self, data: &[u8]) {
        for slice in data.chunks(SLICE_BYTES) {
            if let Some(md5) = &mut self.md5 {
                md5.update(slice);
            }
            self.update_beside_md5(slice);
        }
    }

    /// The MD5 that is being computed, to be given its bytes apart from the rest.
    pub(super) fn md5_stream(&mut self) -> Option<&mut Md5Stream> {
        self.md5.as_mut()
    }

    /// Adds bytes to everything but the MD5.
    pub(super) fn update_beside_md5(&mut self, data: &[u8]) {
        self.length += data.len() as u64;
        for slice in data.chunks(SLICE_BYTES) {
            for checksum in &mut self.checksums {
                checksum.update(slice);
            }
        }
    }

    /// Bytes added so far.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// The digests of everything added.
    pub fn finish(self) -> BodyDigests {
        BodyDigests {
            length: self.length,
            md5: self.md5.map(Md5Stream::finish),
            checksums: self.checksums.into_iter().map(ChecksumHasher::finish).collect(),
            declared: None,
        }
    }
}

/// What is known about a verified body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BodyDigests {
    /// Decoded length in bytes.
    pub length: u64,
    /// MD5, if asked for or sent.
    pub md5: Option<[u8; 16]>,
    /// Every checksum computed, for whatever reason; see [`BodyDigests::checksum`].
    pub checksums: Vec<Checksum>,
    /// The checksum the client declared in a header or trailer, found to be right.
    pub declared: Option<Checksum>,
}

impl BodyDigests {
    /// One computed checksum.
    pub fn checksum(&self, algorithm: ChecksumAlgorithm) -> Option<Checksum> {
        self.checksums.iter().copied().find(|checksum| checksum.algorithm() == algorithm)
    }

    /// The MD5 in lower-case hex: the ETag of a single PUT, without quotes.
    pub fn etag(&self) -> Option<String> {
        self.md5.map(hex::encode)
    }
}
