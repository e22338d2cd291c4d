//! What a task may use, and the files it finds in its working directory.

use super::{bytes64, limits};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};
use std::io::Write;

/// Bounds of one task. Those of processes hold for each process the task starts, except where it says otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Resources {
    /// Bytes the engine uses for buffers: sorting, merging.
    pub buffer_bytes: u64,
    /// Bytes of address space of a process.
    pub process_memory_bytes: u64,
    /// Seconds of processor time of a process.
    pub cpu_seconds: u64,
    /// Processes and threads of the task together.
    pub processes: u32,
    /// Open files of a process.
    pub open_files: u32,
    /// Bytes in the task's scratch directory: spills, map output, what its processes write.
    pub scratch_bytes: u64,
    /// Whether processes may use the network.
    pub network: bool,
}

impl Default for Resources {
    fn default() -> Self {
        Resources {
            buffer_bytes: limits::BUFFER_BYTES_DEFAULT,
            process_memory_bytes: limits::PROCESS_MEMORY_DEFAULT,
            cpu_seconds: limits::CPU_SECONDS_DEFAULT,
            processes: limits::PROCESSES_DEFAULT,
            open_files: limits::OPEN_FILES_DEFAULT,
            scratch_bytes: limits::SCRATCH_BYTES_DEFAULT,
            network: false,
        }
    }
}

/// A file in the working directory of every task (`-files`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CachedFile {
    /// Its name there: one path component.
    pub name: String,
    pub source: FileSource,
    #[serde(default)]
    pub executable: bool,
}

impl FileSource {
    /// Bytes that travel with the specification, packed.
    pub fn packed(bytes: &[u8]) -> FileSource {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        let packed = encoder.write_all(bytes).and_then(|()| encoder.finish());
        FileSource::Gzip(packed.expect("memory takes every byte"))
    }
}

/// Where a cached file comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileSource {
    /// In the specification itself (base64 in JSON): scripts. All together at most [`limits::INLINE_BYTES_MAX`].
    Inline(#[serde(with = "bytes64")] Vec<u8>),
    /// An object, by URL.
    Stored(String),
    /// As `Inline`, and packed as gzip does.
    Gzip(#[serde(with = "bytes64")] Vec<u8>),
}
