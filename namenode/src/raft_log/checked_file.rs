//! Small state that is replaced as a whole: the hard state of the peer, and how far the log was purged.
//!
//! ```text
//!  0  [u8; 8]  "granary" and a zero byte
//!  8  u32      layout_version
//! 12  u32      crc32c of the state
//! 16           the state, to the end of the file
//! ```

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::durable_file;
use super::error::RaftLogError;
use super::record::u32_at;
use super::segment::LAYOUT_VERSION;

const MAGIC: [u8; 8] = *b"granary\0";
const HEADER_BYTES: usize = 16;

/// Far more than a vote and two log ids need; a larger state is a mistake above.
const STATE_BYTES_MAX: usize = 64 << 10;

/// The peer's hard state (vote, committed, purged log id), opaque here.
///
/// [`save`](HardStateFile::save) returns when a power cut can no longer undo it, and leaves the old state or the new one,
/// never a mixture. It costs two syncs: it is for votes, not for every entry.
#[derive(Debug)]
pub struct HardStateFile {
    file: CheckedFile,
}

impl HardStateFile {
    /// Opens `dir/hard_state` and returns the state saved last, or `None` where none was.
    ///
    /// # Errors
    /// [`RaftLogError::Corrupt`], [`RaftLogError::LayoutVersion`], [`RaftLogError::Io`].
    pub fn open(dir: &Path) -> Result<(Self, Option<Bytes>), RaftLogError> {
        durable_file::create_dir(dir).map_err(RaftLogError::io("create", dir))?;
        let (file, state) = CheckedFile::open(dir.join("hard_state"))?;
        Ok((Self { file }, state))
    }

    /// Replaces the state, durably. At most 64 KiB.
    ///
    /// # Errors
    /// [`RaftLogError::HardStateLength`] with nothing written. After [`RaftLogError::Io`] every later call fails with
    /// [`RaftLogError::Poisoned`]: which of the two states is on disk is unknown until the file is reopened.
    pub fn save(&mut self, state: &[u8]) -> Result<(), RaftLogError> {
        self.file.save(state)
    }
}

#[derive(Debug)]
pub(super) struct CheckedFile {
    path: PathBuf,
    has_failed: bool,
}

impl CheckedFile {
    pub(super) fn open(path: PathBuf) -> Result<(Self, Option<Bytes>), RaftLogError> {
        let state = match fs::read(&path) {
            Ok(bytes) => Some(decode(&path, bytes)?),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(RaftLogError::io("read", &path)(error)),
        };
        Ok((Self { path, has_failed: false }, state))
    }

    pub(super) fn save(&mut self, state: &[u8]) -> Result<(), RaftLogError> {
        if self.has_failed {
            return Err(RaftLogError::Poisoned);
        }
        if state.len() > STATE_BYTES_MAX {
            return Err(RaftLogError::HardStateLength { state_bytes: state.len(), state_bytes_max: STATE_BYTES_MAX });
        }
        let saved = durable_file::replace(&self.path, &encode(state)).map_err(RaftLogError::io("replace", &self.path));
        self.has_failed = saved.is_err();
        saved
    }
}

fn encode(state: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER_BYTES + state.len());
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&LAYOUT_VERSION.to_le_bytes());
    bytes.extend_from_slice(&crc_fast::crc32_iscsi(state).to_le_bytes());
    bytes.extend_from_slice(state);
    bytes
}

fn decode(path: &Path, bytes: Vec<u8>) -> Result<Bytes, RaftLogError> {
    let corrupt =
        |offset, detail: &str| RaftLogError::Corrupt { path: path.to_owned(), offset, detail: detail.to_owned() };
    if bytes.len() < HEADER_BYTES || bytes[..8] != MAGIC {
        return Err(corrupt(0, "not a state file"));
    }
    let found = u32_at(&bytes, 8);
    if found != LAYOUT_VERSION {
        return Err(RaftLogError::LayoutVersion { path: path.to_owned(), found });
    }
    let crc = u32_at(&bytes, 12);
    let state = Bytes::from(bytes).slice(HEADER_BYTES..);
    if crc_fast::crc32_iscsi(&state) != crc {
        return Err(corrupt(HEADER_BYTES as u64, "checksum mismatch"));
    }
    Ok(state)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_saved_state_comes_back() {
        let dir = tempfile::tempdir().unwrap();
        let (mut file, state) = HardStateFile::open(dir.path()).unwrap();
        assert_eq!(state, None);
        for round in 0..5u8 {
            file.save(&[round; 40]).unwrap();
        }
        let (mut file, state) = HardStateFile::open(dir.path()).unwrap();
        assert_eq!(state.as_deref(), Some(&[4u8; 40][..]));
        file.save(b"").unwrap();
        assert_eq!(HardStateFile::open(dir.path()).unwrap().1.as_deref(), Some(&b""[..]));
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let (mut file, _) = HardStateFile::open(dir.path()).unwrap();
        file.save(b"term 7, voted for 2").unwrap();
        let path = dir.path().join("hard_state");
        let good = fs::read(&path).unwrap();
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 0x10;
            fs::write(&path, &bad).unwrap();
            let error = HardStateFile::open(dir.path()).unwrap_err();
            let is_version = (8..12).contains(&at);
            assert!(
                matches!(
                    (&error, is_version),
                    (RaftLogError::LayoutVersion { .. }, true) | (RaftLogError::Corrupt { .. }, false)
                ),
                "byte {at}: {error}"
            );
        }
    }

    #[test]
    fn a_failed_save_is_final() {
        let dir = tempfile::tempdir().unwrap();
        let (mut file, _) = HardStateFile::open(dir.path()).unwrap();
        file.save(b"first").unwrap();
        // A directory in the way of the temporary file: the write fails whoever runs the test.
        fs::create_dir(dir.path().join("hard_state.tmp")).unwrap();
        assert!(matches!(file.save(b"second"), Err(RaftLogError::Io { .. })));
        fs::remove_dir(dir.path().join("hard_state.tmp")).unwrap();
        assert!(matches!(file.save(b"third"), Err(RaftLogError::Poisoned)));
        assert_eq!(HardStateFile::open(dir.path()).unwrap().1.as_deref(), Some(&b"first"[..]));
    }

    #[test]
    fn an_oversized_state_is_refused_and_harmless() {
        let dir = tempfile::tempdir().unwrap();
        let (mut file, _) = HardStateFile::open(dir.path()).unwrap();
        assert!(matches!(file.save(&vec![0; STATE_BYTES_MAX + 1]), Err(RaftLogError::HardStateLength { .. })));
        file.save(b"fits").unwrap();
    }
}
