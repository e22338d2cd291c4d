//! The scratch directory of an attempt: files in it, and how many bytes they may have.

use super::MapOutputFile;
use crate::engine::TaskFailure;
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// A directory with a bound on what the engine keeps in it.
#[derive(Debug)]
pub(crate) struct Scratch {
    directory: PathBuf,
    limit: u64,
    used: AtomicU64,
    names: AtomicU64,
}

impl Scratch {
    pub fn new(directory: &Path, limit: u64) -> Self {
        Scratch { directory: directory.into(), limit, used: AtomicU64::new(0), names: AtomicU64::new(0) }
    }

    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Bytes all files together may have.
    pub fn limit(&self) -> u64 {
        self.limit
    }

    pub(super) fn create(&self) -> Result<ScratchFile<'_>, TaskFailure> {
        let path = self.directory.join(format!("run-{}", self.names.fetch_add(1, Ordering::Relaxed)));
        // Neither the task's own programs nor other tasks have a right to it.
        let file = File::options().read(true).write(true).create_new(true).mode(0o600).open(&path);
        let file = file.map_err(scratch_failure)?;
        Ok(ScratchFile { scratch: self, file, path, bytes: 0 })
    }

    pub fn exhausted(&self) -> TaskFailure {
        TaskFailure::LimitReached { what: "scratch space".into(), limit: format!("{} bytes", self.limit) }
    }

    /// A file is there no more.
    fn give_back(&self, run: &RunFile) {
        self.used.fetch_sub(run.bytes, Ordering::Relaxed);
    }

    /// Removes files that have been merged.
    pub fn remove(&self, runs: &[RunFile]) -> Result<(), TaskFailure> {
        for run in runs {
            std::fs::remove_file(&run.path).map_err(scratch_failure)?;
            self.give_back(run);
        }
        Ok(())
    }
}

pub(super) fn scratch_failure(error: std::io::Error) -> TaskFailure {
    TaskFailure::Scratch { reason: error.to_string() }
}

/// A file that is being written. Every byte counts against the bound.
pub(super) struct ScratchFile<'a> {
    scratch: &'a Scratch,
    pub file: File,
    pub path: PathBuf,
    pub bytes: u64,
}

impl ScratchFile<'_> {
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), TaskFailure> {
        let used = self.scratch.used.fetch_add(bytes.len() as u64, Ordering::Relaxed) + bytes.len() as u64;
        if used > self.scratch.limit {
            return Err(self.scratch.exhausted());
        }
        self.bytes += bytes.len() as u64;
        self.file.write_all(bytes).map_err(scratch_failure)
    }
}

/// A finished file of segments.
#[derive(Debug)]
pub(crate) struct RunFile {
    pub path: PathBuf,
    pub bytes: u64,
    /// Bytes of memory that reading any one of its segments takes at most.
    pub reader_bytes: u64,
}

impl RunFile {
    pub fn open(&self) -> Result<MapOutputFile, TaskFailure> {
        MapOutputFile::open(&self.path).map_err(scratch_failure)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn files_are_the_daemons_alone_and_bounded_together() {
        let directory = tempfile::tempdir().unwrap();
        let scratch = Scratch::new(directory.path(), 10);
        let (mut first, mut second) = (scratch.create().unwrap(), scratch.create().unwrap());
        assert_eq!(first.file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        first.write(b"123456").unwrap();
        assert_eq!(second.write(b"12345"), Err(scratch.exhausted()));
    }
}
