//! The working directory of a task's processes: the job's files, and room for their own.

use crate::engine::{Attempt, TaskFailure};
use crate::spec::FileSource;
use flate2::read::GzDecoder;
use std::fs::{DirBuilder, File, Permissions};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

/// Made once for an attempt, below its scratch directory. The processes' user owns the directory, not the files.
pub(super) fn prepare(attempt: &Attempt<'_>) -> Result<PathBuf, TaskFailure> {
    let directory = attempt.scratch.join("work");
    if directory.exists() {
        return Ok(directory);
    }
    make(attempt, &directory)?;
    make(attempt, &directory.join("tmp"))?;
    for file in &attempt.spec.files {
        let path = directory.join(&file.name);
        match &file.source {
            FileSource::Inline(bytes) => write(&path, &mut bytes.as_slice(), attempt, "the specification")?,
            FileSource::Gzip(packed) => {
                write(&path, &mut GzDecoder::new(packed.as_slice()), attempt, "the specification")?;
            }
            FileSource::Stored(url) => {
                let mut from = attempt
                    .store
                    .open_url(url)
                    .map_err(|error| TaskFailure::Input { url: url.clone(), reason: error.to_string() })?;
                write(&path, &mut from, attempt, url)?;
            }
        }
    }
    Ok(directory)
}

fn make(attempt: &Attempt<'_>, path: &Path) -> Result<(), TaskFailure> {
    DirBuilder::new().mode(0o700).create(path).map_err(|error| failure(&error))?;
    match attempt.execution.account {
        Some(account) => chown(path, Some(account.user), Some(account.group)).map_err(|error| failure(&error)),
        None => Ok(()),
    }
}

/// A file that all may read and run: scripts come without a mode of their own.
fn write(path: &Path, from: &mut dyn Read, attempt: &Attempt<'_>, url: &str) -> Result<(), TaskFailure> {
    let limit = attempt.spec.resources.scratch_bytes;
    let mut file = File::create_new(path).map_err(|error| failure(&error))?;
    let mut buffer = vec![0; 256 << 10];
    let mut bytes = 0;
    loop {
        let read = from
            .read(&mut buffer)
            .map_err(|error| TaskFailure::Input { url: url.into(), reason: error.to_string() })?;
        if read == 0 {
            break;
        }
        bytes += read as u64;
        if bytes > limit {
            return Err(TaskFailure::LimitReached { what: "scratch space".into(), limit: format!("{limit} bytes") });
        }
        file.write_all(&buffer[..read]).map_err(|error| failure(&error))?;
    }
    file.set_permissions(Permissions::from_mode(0o755)).map_err(|error| failure(&error))
}

fn failure(error: &std::io::Error) -> TaskFailure {
    TaskFailure::Scratch { reason: error.to_string() }
}
