//! One file of the log: a header, then records back to back, then preallocated zeros.
//!
//! ```text
//!  0  [u8; 8]  "grn-log" and a zero byte
//!  8  u32      layout_version
//! 12  u32      prev_crc: crc of the last record of the segment before (0 at the start of a log)
//! 16  u64      index of the first record
//! 24  u64      nonce
//! 32  u32      crc32c of bytes 0..32
//! 36           zeros up to 64
//! ```
//!
//! A segment gets its name only when its header is durable, so a bad header is damage and never an interrupted creation.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, fallocate};
use rustix::io::Errno;

use super::durable_file;
use super::error::RaftLogError;
use super::record::{self, LogRecord, Nonce, RecordHeader, u32_at, u64_at};

/// The format of the log's files that this version writes and reads.
pub(super) const LAYOUT_VERSION: u32 = 2;

pub(super) const SEGMENT_HEADER_BYTES: u64 = 64;
pub(super) const SEGMENT_SUFFIX: &str = ".seg";

/// Zeros written ahead of the records at a time: see [`Segment::zeroed_behind`].
const ZEROED_STEP_BYTES: u64 = 256 << 10;

const MAGIC: [u8; 8] = *b"grn-log\0";
const CHECKED_BYTES: usize = 32;

/// A segment and where its records are. The file beyond `tail` holds zeros.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) path: PathBuf,
    pub(super) file: File,
    pub(super) first_index: u64,
    pub(super) nonce: Nonce,
    /// The link of the first record.
    pub(super) prev_crc: u32,
    /// Where each record starts; the first is `first_index`.
    pub(super) offsets: Vec<u64>,
    /// Where the next record goes.
    pub(super) tail: u64,
    /// Up to where space is allocated; beyond it an append allocates first.
    pub(super) allocated: u64,
    /// Up to where zeros were written; 0 where that is not known.
    pub(super) zeroed: u64,
    /// The link for the next record.
    pub(super) last_crc: u32,
}

impl Segment {
    /// Creates an empty segment, durable under its final name.
    pub(super) fn create(
        dir: &Path,
        first_index: u64,
        prev_crc: u32,
        preallocate_bytes: u64,
    ) -> Result<Self, RaftLogError> {
        let path = dir.join(format!("{first_index:020}{SEGMENT_SUFFIX}"));
        let temporary = durable_file::temporary_of(&path);
        let create = || -> io::Result<(File, Nonce, u64)> {
            let nonce = random_nonce()?;
            let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&temporary)?;
            file.write_all_at(&encode_header(first_index, prev_crc, nonce), 0)?;
            let allocated = allocate(&file, SEGMENT_HEADER_BYTES, preallocate_bytes)?;
            file.sync_all()?;
            durable_file::rename_durably(&temporary, &path)?;
            Ok((file, nonce, allocated))
        };
        let (file, nonce, allocated) = create().map_err(RaftLogError::io("create", &path))?;
        Ok(Self {
            path,
            file,
            first_index,
            nonce,
            prev_crc,
            offsets: Vec::new(),
            tail: SEGMENT_HEADER_BYTES,
            allocated,
            zeroed: 0,
            last_crc: prev_crc,
        })
    }

    /// Opens a segment and checks its header. Its records are not looked at yet.
    pub(super) fn open(path: PathBuf, named_index: u64) -> Result<Self, RaftLogError> {
        let io = RaftLogError::io("open", &path);
        let file = OpenOptions::new().read(true).write(true).open(&path).map_err(io)?;
        let mut header = [0; SEGMENT_HEADER_BYTES as usize];
        if let Err(error) = file.read_exact_at(&mut header, 0) {
            return Err(match error.kind() {
                io::ErrorKind::UnexpectedEof => corrupt(&path, 0, "shorter than its header"),
                _ => RaftLogError::io("read", &path)(error),
            });
        }
        if header[..8] != MAGIC {
            return Err(corrupt(&path, 0, "not a log segment"));
        }
        let found = u32_at(&header, 8);
        if found != LAYOUT_VERSION {
            return Err(RaftLogError::LayoutVersion { path, found });
        }
        if crc_fast::crc32_iscsi(&header[..CHECKED_BYTES]) != u32_at(&header, CHECKED_BYTES) {
            return Err(corrupt(&path, 0, "header checksum mismatch"));
        }
        let (prev_crc, first_index) = (u32_at(&header, 12), u64_at(&header, 16));
        if first_index != named_index {
            return Err(corrupt(&path, 16, "file name and first index differ"));
        }
        let allocated = file.metadata().map_err(RaftLogError::io("stat", &path))?.len();
        Ok(Self {
            path,
            file,
            first_index,
            nonce: Nonce(u64_at(&header, 24)),
            prev_crc,
            offsets: Vec::new(),
            tail: SEGMENT_HEADER_BYTES,
            allocated,
            zeroed: 0,
            last_crc: prev_crc,
        })
    }

    /// The index that would follow the last record.
    pub(super) fn next_index(&self) -> u64 {
        self.first_index + self.offsets.len() as u64
    }

    /// Makes room for `bytes` more behind the tail, a step at a time: syncing into space that is already allocated costs
    /// about half of syncing a file that grows.
    pub(super) fn reserve(&self, bytes: u64, preallocate_bytes: u64) -> Result<u64, RaftLogError> {
        let needed = self.tail + bytes;
        if needed <= self.allocated {
            return Ok(self.allocated);
        }
        allocate(&self.file, self.allocated, preallocate_bytes.max(needed - self.allocated))
            .map_err(RaftLogError::io("allocate space for", &self.path))
    }

    /// Up to where an append that ends at `end` writes zeros, within what is `allocated`. Syncing a write into bytes that
    /// were written before, if only as zeros, takes about half of what it takes into allocated space, whose first write the
    /// file system must note; so one append in many writes them for those that follow.
    pub(super) fn zeroed_behind(&self, end: u64, allocated: u64) -> u64 {
        if end <= self.zeroed { self.zeroed } else { allocated.min(end + ZEROED_STEP_BYTES) }
    }

    /// Reads and verifies one record that is known to be here.
    pub(super) fn read(&self, index: u64) -> Result<LogRecord, RaftLogError> {
        let at = usize::try_from(index - self.first_index).expect("records of a segment fit into memory's index");
        let start = self.offsets[at];
        let end = self.offsets.get(at + 1).copied().unwrap_or(self.tail);
        let mut bytes = vec![0; usize::try_from(end - start).expect("a record fits into memory")];
        self.file.read_exact_at(&mut bytes, start).map_err(RaftLogError::io("read", &self.path))?;
        let payload_bytes = self
            .verify(&bytes, index)
            .ok_or_else(|| corrupt(&self.path, start, &format!("record {index} has changed since it was written")))?;
        let payload = bytes::Bytes::from(bytes).slice(record::HEADER_BYTES..record::HEADER_BYTES + payload_bytes);
        Ok(LogRecord { index, payload })
    }

    fn verify(&self, bytes: &[u8], index: u64) -> Option<usize> {
        let header_bytes = bytes.first_chunk()?;
        let header = RecordHeader::parse(self.nonce, header_bytes)?;
        let payload = bytes.get(record::HEADER_BYTES..record::HEADER_BYTES + header.payload_bytes)?;
        (header.index == index && header.matches(self.nonce, header_bytes, payload)).then_some(header.payload_bytes)
    }

    /// The crc of a record that is known to be here: the link for its successor.
    pub(super) fn crc_of(&self, index: u64) -> Result<u32, RaftLogError> {
        self.read(index)?;
        let at = usize::try_from(index - self.first_index).expect("records of a segment fit into memory's index");
        let mut crc = [0; 4];
        self.file.read_exact_at(&mut crc, self.offsets[at]).map_err(RaftLogError::io("read", &self.path))?;
        Ok(u32::from_le_bytes(crc))
    }

    /// Cuts the file at `offset`, durably. What lay behind is physically gone: space allocated there later reads as zeros,
    /// so nothing of it can come back however short the next append is.
    pub(super) fn cut_file(&self, offset: u64) -> Result<(), RaftLogError> {
        self.file.set_len(offset).and_then(|()| self.file.sync_all()).map_err(RaftLogError::io("truncate", &self.path))
    }
}

pub(super) fn corrupt(path: &Path, offset: u64, detail: &str) -> RaftLogError {
    RaftLogError::Corrupt { path: path.to_owned(), offset, detail: detail.to_owned() }
}

fn encode_header(first_index: u64, prev_crc: u32, nonce: Nonce) -> [u8; SEGMENT_HEADER_BYTES as usize] {
    let mut header = [0; SEGMENT_HEADER_BYTES as usize];
    header[..8].copy_from_slice(&MAGIC);
    header[8..12].copy_from_slice(&LAYOUT_VERSION.to_le_bytes());
    header[12..16].copy_from_slice(&prev_crc.to_le_bytes());
    header[16..24].copy_from_slice(&first_index.to_le_bytes());
    header[24..32].copy_from_slice(&nonce.0.to_le_bytes());
    let crc = crc_fast::crc32_iscsi(&header[..CHECKED_BYTES]);
    header[CHECKED_BYTES..CHECKED_BYTES + 4].copy_from_slice(&crc.to_le_bytes());
    header
}

fn random_nonce() -> io::Result<Nonce> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).map_err(|error| io::Error::other(error.to_string()))?;
    Ok(Nonce(u64::from_le_bytes(bytes)))
}

/// Allocates `bytes` of zeros from `offset` and returns their end. Where the file system cannot, appends simply grow the file.
fn allocate(file: &File, offset: u64, bytes: u64) -> io::Result<u64> {
    match fallocate(file, FallocateFlags::empty(), offset, bytes) {
        Ok(()) => Ok(offset + bytes),
        Err(Errno::OPNOTSUPP) => Ok(u64::MAX),
        Err(errno) => Err(errno.into()),
    }
}
