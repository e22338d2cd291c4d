//! Open files of finalized replicas, and a bounded cache of them: opening costs more than a small read.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

use granary_protocol::checksum::CHUNK_BYTES;
use granary_protocol::{BlockId, GenerationStamp};

use crate::chunk_sums::{SUM_BYTES, SUMS_HEADER_BYTES, decode_sums};
use crate::disk;
use crate::layout::{ReplicaName, sums_path};

/// The two files of a finalized replica.
pub(crate) struct FinalizedFiles {
    pub(crate) name: ReplicaName,
    pub(crate) length: u32,
    pub(crate) data: File,
    sums: File,
}

impl FinalizedFiles {
    /// Opens the files. Blocks.
    pub(crate) fn open(name: ReplicaName, length: u32, path: &Path) -> io::Result<FinalizedFiles> {
        Ok(FinalizedFiles { name, length, data: File::open(path)?, sums: File::open(sums_path(path))? })
    }

    fn sums_at(start: u32, end: u32) -> (u64, usize) {
        let first = start as usize / CHUNK_BYTES;
        let count = (end as usize).div_ceil(CHUNK_BYTES) - first;
        ((SUMS_HEADER_BYTES + first * SUM_BYTES) as u64, count * SUM_BYTES)
    }

    /// The sums of the chunks of bytes `start..end`. Blocks; fewer if the file is short.
    pub(crate) fn sums(&self, start: u32, end: u32) -> io::Result<Vec<u32>> {
        let (offset, length) = Self::sums_at(start, end);
        Ok(decode_sums(&disk::read_up_to(&self.sums, offset, length)?))
    }

    /// The same if they are in memory.
    pub(crate) fn sums_cached(&self, start: u32, end: u32) -> Option<Vec<u32>> {
        let (offset, length) = Self::sums_at(start, end);
        let mut bytes = vec![0; length];
        disk::read_cached(&self.sums, offset, &mut bytes).then(|| decode_sums(&bytes))
    }
}

/// The least recently used are closed first.
pub(crate) struct FileCache {
    capacity: usize,
    tick: u64,
    files: HashMap<BlockId, (Arc<FinalizedFiles>, u64)>,
}

impl FileCache {
    pub(crate) fn new(capacity: usize) -> FileCache {
        FileCache { capacity: capacity.max(1), tick: 0, files: HashMap::new() }
    }

    pub(crate) fn get(&mut self, block: BlockId, generation: GenerationStamp) -> Option<Arc<FinalizedFiles>> {
        self.tick += 1;
        let (files, used) = self.files.get_mut(&block).filter(|(files, _)| files.name.generation == generation)?;
        *used = self.tick;
        Some(files.clone())
    }

    pub(crate) fn insert(&mut self, files: Arc<FinalizedFiles>) {
        self.tick += 1;
        self.files.insert(files.name.block, (files, self.tick));
        if self.files.len() > self.capacity {
            // A walk over a few hundred entries, next to the two opens that led here.
            let oldest = self.files.iter().min_by_key(|(_, (_, used))| *used).map(|(block, _)| *block);
            if let Some(block) = oldest {
                self.files.remove(&block);
            }
        }
    }

    pub(crate) fn remove(&mut self, block: BlockId) {
        self.files.remove(&block);
    }
}
