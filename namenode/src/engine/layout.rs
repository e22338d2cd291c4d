//! Which engine a directory belongs to, and opening it: the `LAYOUT` file guards against reading one engine's or one
//! version's files as another's.
//!
//! A directory looks like this: `LAYOUT` (two lines of text, written once, before any data) and one sub-directory named
//! after the engine, whose content is the engine's own.

use std::fmt;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Engine, EngineConfig, EngineError, FjallEngine, MemoryEngine, SledEngine};
use crate::raft_log::durable_file;

/// The layout of engine directories that this version writes and reads.
pub const LAYOUT_VERSION: u32 = 1;

const LAYOUT_FILE: &str = "LAYOUT";

/// The engines there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EngineKind {
    /// fjall: the default.
    #[default]
    Fjall,
    /// sled 0.34: see [`SledEngine`] for what it cannot promise.
    Sled,
    /// In memory: tests and simulation.
    Memory,
}

impl EngineKind {
    /// The name used in configuration, in the `LAYOUT` file and as the sub-directory.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fjall => "fjall",
            Self::Sled => "sled",
            Self::Memory => "memory",
        }
    }
}

impl fmt::Display for EngineKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for EngineKind {
    type Err = EngineError;

    fn from_str(name: &str) -> Result<Self, EngineError> {
        [Self::Fjall, Self::Sled, Self::Memory]
            .into_iter()
            .find(|kind| kind.name() == name)
            .ok_or_else(|| EngineError::UnknownKind { name: name.to_owned() })
    }
}

/// Opens the engine `kind` in `dir`, creating both where they do not exist. [`EngineKind::Memory`] leaves the disk alone.
///
/// # Errors
/// The `Layout…` variants where `dir` holds something else than asked for; otherwise what the engine's own `open` says.
pub fn open(kind: EngineKind, dir: &Path, config: &EngineConfig) -> Result<Arc<dyn Engine>, EngineError> {
    if kind != EngineKind::Memory {
        claim(kind, dir)?;
    }
    let data_dir = dir.join(kind.name());
    Ok(match kind {
        EngineKind::Fjall => Arc::new(FjallEngine::open(&data_dir, config)?),
        EngineKind::Sled => Arc::new(SledEngine::open(&data_dir, config)?),
        EngineKind::Memory => Arc::new(MemoryEngine::new()),
    })
}

/// Makes sure that `dir` is this engine's: reads `LAYOUT`, or writes it where the directory holds no data yet.
fn claim(kind: EngineKind, dir: &Path) -> Result<(), EngineError> {
    let path = dir.join(LAYOUT_FILE);
    match fs::read_to_string(&path) {
        Ok(text) => return check_layout(kind, dir, &text),
        Err(source) if source.kind() == ErrorKind::NotFound => {}
        Err(source) => return Err(EngineError::Io { action: "read", path, source }),
    }
    for other in [EngineKind::Fjall, EngineKind::Sled] {
        if dir.join(other.name()).exists() {
            let detail = format!("holds {other} files but no {LAYOUT_FILE} file");
            return Err(EngineError::LayoutUnreadable { dir: dir.to_owned(), detail });
        }
    }
    durable_file::create_dir(dir)
        .and_then(|()| durable_file::replace(&path, layout_text(kind).as_bytes()))
        .map_err(|source| EngineError::Io { action: "write", path, source })
}

fn layout_text(kind: EngineKind) -> String {
    format!("layout_version {LAYOUT_VERSION}\nengine {kind}\n")
}

fn check_layout(wanted: EngineKind, dir: &Path, text: &str) -> Result<(), EngineError> {
    let unreadable = |what: &str| EngineError::LayoutUnreadable {
        dir: dir.to_owned(),
        detail: format!("{LAYOUT_FILE} file: {what}"),
    };
    let mut lines = text.lines();
    let found: u32 = lines
        .next()
        .and_then(|line| line.strip_prefix("layout_version "))
        .and_then(|version| version.parse().ok())
        .ok_or_else(|| unreadable("no layout_version"))?;
    // Before anything else: a later version may mean something else by the other lines.
    if found != LAYOUT_VERSION {
        return Err(EngineError::LayoutVersion { dir: dir.to_owned(), found });
    }
    let name = lines.next().and_then(|line| line.strip_prefix("engine ")).ok_or_else(|| unreadable("no engine"))?;
    let found: EngineKind = name.parse().map_err(|_| unreadable("names an engine this version does not know"))?;
    if found != wanted {
        return Err(EngineError::LayoutOtherEngine { dir: dir.to_owned(), found, wanted });
    }
    Ok(())
}

/// Bytes allocated for the files under `dir`. Files that vanish meanwhile (compaction) count as gone.
pub(super) fn allocated_bytes(dir: &Path) -> Result<u64, EngineError> {
    const BLOCK_BYTES: u64 = 512; // the unit of st_blocks, whatever the file system's own block size
    let mut pending = vec![dir.to_owned()];
    let mut allocated_bytes = 0;
    while let Some(dir) = pending.pop() {
        let io = |source| EngineError::Io { action: "list", path: dir.clone(), source };
        let entries = match fs::read_dir(&dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => return Err(io(error)),
        };
        for entry in entries {
            let entry = entry.map_err(io)?;
            match entry.metadata() {
                Ok(metadata) if metadata.is_dir() => pending.push(entry.path()),
                Ok(metadata) => allocated_bytes += metadata.blocks() * BLOCK_BYTES,
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(io(error)),
            }
        }
    }
    Ok(allocated_bytes)
}
