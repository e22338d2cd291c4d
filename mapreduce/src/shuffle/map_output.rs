//! A finished file of segments: served to reduces, read back by merges.

use super::format::*;
use super::segment_reader::{Origin, SegmentReader};
use crate::engine::TaskFailure;
use std::fs::File;
use std::io::{Error, ErrorKind, Read, Result};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

/// The output of a map, on the node where it ran. Cheap to clone.
#[derive(Clone, Debug)]
pub struct MapOutputFile {
    file: Arc<File>,
    /// Offset and length of each segment.
    segments: Arc<[(u64, u64)]>,
}

impl MapOutputFile {
    /// Reads and verifies the index.
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::open(path)?;
        let length = file.metadata()?.len();
        let footer_at = length.checked_sub(FOOTER_BYTES as u64).ok_or_else(damaged)?;
        let mut footer = [0; FOOTER_BYTES];
        file.read_exact_at(&mut footer, footer_at)?;
        let index_bytes = u64::from(u32_at(&footer, 4)) * INDEX_ENTRY_BYTES as u64;
        if u32_at(&footer, 8) != FILE_MAGIC || index_bytes > footer_at {
            return Err(damaged());
        }
        let mut index = vec![0; index_bytes as usize];
        file.read_exact_at(&mut index, footer_at - index_bytes)?;
        if crc32c(&index) != u32_at(&footer, 0) {
            return Err(damaged());
        }
        let entry = |bytes: &[u8]| (u64_at(bytes, 0), u64_at(bytes, 8));
        let segments = index.chunks_exact(INDEX_ENTRY_BYTES).map(entry).collect();
        Ok(MapOutputFile { file: Arc::new(file), segments })
    }

    /// Bytes of the segment of a reduce.
    pub fn segment_bytes(&self, partition: u32) -> Option<u64> {
        self.segments.get(partition as usize).map(|&(_, length)| length)
    }

    /// The segment of a reduce: what [`crate::engine::MapOutputs::open`] is to give on the other side. Not verified here:
    /// it carries its checksums.
    pub fn segment(&self, partition: u32) -> Option<Segment> {
        let &(offset, length) = self.segments.get(partition as usize)?;
        Some(Segment { file: self.file.clone(), offset, left: length })
    }

    pub(crate) fn reader(&self, partition: u32) -> std::result::Result<SegmentReader<'static>, TaskFailure> {
        let segment = self.segment(partition).ok_or_else(|| TaskFailure::Scratch { reason: damaged().to_string() })?;
        SegmentReader::open(Box::new(segment), Origin::Scratch)
    }
}

fn damaged() -> Error {
    Error::new(ErrorKind::InvalidData, "the index of a map output is damaged")
}

/// The bytes of a segment. Several can be read from one file at a time.
#[derive(Debug)]
pub struct Segment {
    file: Arc<File>,
    offset: u64,
    left: u64,
}

impl Read for Segment {
    fn read(&mut self, into: &mut [u8]) -> Result<usize> {
        let wanted = into.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let read = self.file.read_at(&mut into[..wanted], self.offset)?;
        self.offset += read as u64;
        self.left -= read as u64;
        Ok(read)
    }
}
