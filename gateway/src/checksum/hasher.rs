//! Incremental hashing behind one type.

use base64::Engine as _;
use crc_fast::{CrcAlgorithm, Digest as Crc};
use sha1::Sha1;
use sha2::{Digest as _, Sha256};

use super::algorithm::{Checksum, ChecksumAlgorithm};

/// A running checksum.
#[derive(Clone)]
pub struct ChecksumHasher {
    algorithm: ChecksumAlgorithm,
    state: State,
}

#[derive(Clone)]
enum State {
    // Boxed: a CRC state with its tables' parameters is several hundred bytes.
    Crc(Box<Crc>),
    Sha1(Sha1),
    Sha256(Sha256),
}

impl ChecksumHasher {
    /// Starts a checksum.
    pub fn new(algorithm: ChecksumAlgorithm) -> Self {
        let state = match algorithm {
            ChecksumAlgorithm::Sha1 => State::Sha1(Sha1::new()),
            ChecksumAlgorithm::Sha256 => State::Sha256(Sha256::new()),
            ChecksumAlgorithm::Crc32 | ChecksumAlgorithm::Crc32c | ChecksumAlgorithm::Crc64Nvme => {
                State::Crc(Box::new(Crc::new(crc_parameters(algorithm).expect("a CRC has CRC parameters"))))
            }
        };
        Self { algorithm, state }
    }

    /// The algorithm.
    pub fn algorithm(&self) -> ChecksumAlgorithm {
        self.algorithm
    }

    /// Adds bytes.
    pub fn update(&mut self, data: &[u8]) {
        match &mut self.state {
            State::Crc(crc) => crc.update(data),
            State::Sha1(sha1) => sha1.update(data),
            State::Sha256(sha256) => sha256.update(data),
        }
    }

    /// The checksum of everything added.
    pub fn finish(self) -> Checksum {
        let from_digest = |digest: &[u8]| {
            Checksum::from_bytes(self.algorithm, digest).expect("a digest has the length its algorithm says")
        };
        match self.state {
            State::Crc(crc) => Checksum::from_crc(self.algorithm, crc.finalize()),
            State::Sha1(sha1) => from_digest(&sha1.finalize()),
            State::Sha256(sha256) => from_digest(&sha256.finalize()),
        }
    }

    /// The checksum of one slice.
    pub fn digest(algorithm: ChecksumAlgorithm, data: &[u8]) -> Checksum {
        let mut hasher = Self::new(algorithm);
        hasher.update(data);
        hasher.finish()
    }
}

/// The CRC variant of an algorithm; `None` for the SHAs.
pub(super) const fn crc_parameters(algorithm: ChecksumAlgorithm) -> Option<CrcAlgorithm> {
    match algorithm {
        ChecksumAlgorithm::Crc32 => Some(CrcAlgorithm::Crc32IsoHdlc),
        ChecksumAlgorithm::Crc32c => Some(CrcAlgorithm::Crc32Iscsi),
        ChecksumAlgorithm::Crc64Nvme => Some(CrcAlgorithm::Crc64Nvme),
        ChecksumAlgorithm::Sha1 | ChecksumAlgorithm::Sha256 => None,
    }
}

/// An MD5 as `Content-MD5` carries it.
pub fn md5_base64(md5: &[u8; 16]) -> String {
    base64::engine::general_purpose::STANDARD.encode(md5)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn check_values() {
        // "123456789": the check values of the CRC catalogue and of FIPS 180.
        for (algorithm, expected) in [
            (ChecksumAlgorithm::Crc32, "cbf43926"),
            (ChecksumAlgorithm::Crc32c, "e3069283"),
            (ChecksumAlgorithm::Crc64Nvme, "ae8b14860a799888"),
            (ChecksumAlgorithm::Sha1, "f7c3bc1d808e04732adf679965ccc34ca7ae3441"),
            (ChecksumAlgorithm::Sha256, "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225"),
        ] {
            let checksum = ChecksumHasher::digest(algorithm, b"123456789");
            assert_eq!(hex::encode(checksum.as_bytes()), expected);
            assert_eq!(Checksum::from_base64(algorithm, &checksum.to_base64()), Some(checksum));
        }
    }

    #[test]
    fn base64_of_the_wrong_length_is_refused() {
        assert!(Checksum::from_base64(ChecksumAlgorithm::Crc32, "AAAAAAAAAAA=").is_none());
        assert!(Checksum::from_base64(ChecksumAlgorithm::Crc32, "AAAAA").is_none());
        assert!(Checksum::from_base64(ChecksumAlgorithm::Crc32, "AAAAAA").is_none());
        assert!(Checksum::from_base64(ChecksumAlgorithm::Crc32, "AAAAAA==").is_some());
    }

    proptest! {
        #[test]
        fn pieces_equal_the_whole(data: Vec<u8>, split: prop::sample::Index) {
            let (left, right) = data.split_at(split.index(data.len() + 1));
            for algorithm in ChecksumAlgorithm::ALL {
                let mut hasher = ChecksumHasher::new(algorithm);
                hasher.update(left);
                hasher.update(right);
                prop_assert_eq!(hasher.finish(), ChecksumHasher::digest(algorithm, &data));
            }
        }
    }
}
