//! Small files and directories whose change must survive a power cut.
//!
//! A file is replaced as a whole: written beside, synced, renamed, and the directory synced. A reader finds the old content
//! or the new, never a mixture. Not for anything large or frequent: two syncs a call.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// What half-written files are called; they are removed when the log is opened.
pub(crate) const TEMPORARY_SUFFIX: &str = ".tmp";

/// Creates `dir` and its missing ancestors and syncs the directory that holds each new one.
pub(crate) fn create_dir(dir: &Path) -> io::Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    if let Some(parent) = parent_of(dir) {
        create_dir(&parent)?;
        match fs::create_dir(dir) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            other => other?,
        }
        sync_dir(&parent)?;
    }
    Ok(())
}

/// Replaces the content of `path` with `bytes`; when it returns, a power cut cannot undo it.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = temporary_of(path);
    let mut file = File::create(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    rename_durably(&temporary, path)
}

/// Gives a synced file its final name and syncs the directory.
pub(crate) fn rename_durably(temporary: &Path, path: &Path) -> io::Result<()> {
    fs::rename(temporary, path)?;
    match parent_of(path) {
        Some(parent) => sync_dir(&parent),
        None => Ok(()),
    }
}

/// Makes creations, renames and removals in `dir` durable.
pub(crate) fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// The name under which the next content of `path` is written.
pub(crate) fn temporary_of(path: &Path) -> PathBuf {
    let mut name: OsString = path.as_os_str().to_owned();
    name.push(TEMPORARY_SUFFIX);
    name.into()
}

fn parent_of(path: &Path) -> Option<PathBuf> {
    let parent = path.parent()?;
    // `File::open("")` fails, but the parent of a bare name is the current directory.
    Some(if parent.as_os_str().is_empty() { PathBuf::from(".") } else { parent.to_owned() })
}
