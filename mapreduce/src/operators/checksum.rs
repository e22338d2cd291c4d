//! `checksum`: a line for each object.

use super::pieces;
use crate::engine::{Attempt, Counter, Part, TaskFailure};
use crate::input::{input_failure, open_whole};
use crate::plan::Split;
use crate::spec::ChecksumAlgorithm;
use crc_fast::{CrcAlgorithm, Digest as Crc};
use md5::Md5;
use sha2::digest::Digest as _;
use std::io::Read;

/// Bytes read at a time.
const CHUNK_BYTES: usize = 1 << 20;

/// `checksum TAB bytes TAB url`, the checksum in hexadecimal digits.
pub(crate) fn checksum(
    attempt: &Attempt<'_>,
    split: &Split,
    algorithm: ChecksumAlgorithm,
    part: &mut Part<'_>,
) -> Result<(), TaskFailure> {
    let mut buffer = vec![0; CHUNK_BYTES];
    for piece in pieces(split) {
        let mut sum = Running::new(algorithm);
        let mut from = open_whole(attempt.source(), &piece.file)?;
        let mut bytes = 0;
        loop {
            let read = from.read(&mut buffer).map_err(|error| input_failure(&piece.file, &error))?;
            if attempt.cancel.is_cancelled() {
                return Err(TaskFailure::Cancelled);
            }
            if read == 0 {
                break;
            }
            bytes += read as u64;
            sum.update(&buffer[..read]);
        }
        part.write(format!("{}\t{bytes}\t{}\n", sum.finish(), piece.file.url()).as_bytes())?;
        attempt.progress.count(Counter::MapInputRecords, 1);
        attempt.progress.count(Counter::MapOutputRecords, 1);
    }
    Ok(())
}

/// A checksum under way.
enum Running {
    Crc(Crc, usize),
    Md5(Md5),
    Sha256(sha2::Sha256),
}

impl Running {
    fn new(algorithm: ChecksumAlgorithm) -> Self {
        match algorithm {
            ChecksumAlgorithm::Crc32c => Running::Crc(Crc::new(CrcAlgorithm::Crc32Iscsi), 8),
            ChecksumAlgorithm::Crc64nvme => Running::Crc(Crc::new(CrcAlgorithm::Crc64Nvme), 16),
            ChecksumAlgorithm::Md5 => Running::Md5(Md5::default()),
            ChecksumAlgorithm::Sha256 => Running::Sha256(sha2::Sha256::new()),
        }
    }

    fn update(&mut self, bytes: &[u8]) {
        match self {
            Running::Crc(crc, _) => crc.update(bytes),
            Running::Md5(md5) => md5::Digest::update(md5, bytes),
            Running::Sha256(sha256) => sha256.update(bytes),
        }
    }

    fn finish(self) -> String {
        match self {
            Running::Crc(crc, digits) => format!("{:0digits$x}", crc.finalize()),
            Running::Md5(md5) => hex::encode(md5::Digest::finalize(md5)),
            Running::Sha256(sha256) => hex::encode(sha256.finalize()),
        }
    }
}
