//! What can go wrong in a metadata engine.

use std::error::Error as StdError;
use std::io;
use std::path::PathBuf;

use super::contract::{KEY_BYTES_MAX, VALUE_BYTES_MAX};
use super::{EngineKind, LAYOUT_VERSION};

/// Errors of an engine and of opening one.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// A key was empty or too long. Nothing was written.
    #[error("a key has 1 to {KEY_BYTES_MAX} bytes, this one {key_bytes}")]
    KeyLength {
        /// Length of the offending key.
        key_bytes: usize,
    },
    /// A value was too long. Nothing was written.
    #[error("a value has at most {VALUE_BYTES_MAX} bytes, this one {value_bytes}")]
    ValueLength {
        /// Length of the offending value.
        value_bytes: usize,
    },
    /// The engine failed to read or write.
    #[error("metadata engine {engine}: {source}")]
    Storage {
        /// Which engine.
        engine: EngineKind,
        /// What it said.
        source: Box<dyn StdError + Send + Sync>,
    },
    /// The engine's files are damaged. The state must be rebuilt from a snapshot and the log, or from another peer.
    #[error("metadata engine {engine}: damaged files: {detail}")]
    Damaged {
        /// Which engine.
        engine: EngineKind,
        /// What was found.
        detail: String,
    },
    /// An earlier write or sync failed, so what is on disk is unknown. Reopen the engine.
    #[error("metadata engine {engine} has failed earlier and takes no more writes")]
    Poisoned {
        /// Which engine.
        engine: EngineKind,
    },
    /// Another process, or another handle in this one, holds the directory.
    #[error("metadata engine {engine}: its directory is in use")]
    InUse {
        /// Which engine.
        engine: EngineKind,
    },
    /// A file or directory could not be read or written.
    #[error("{action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// The directory was written by a version of Granary that this one does not know.
    #[error("{}: metadata layout_version {found}; this version knows {LAYOUT_VERSION} only", dir.display())]
    LayoutVersion {
        /// The engine directory.
        dir: PathBuf,
        /// The version found there.
        found: u32,
    },
    /// The directory belongs to another engine. Engines do not read each other's files.
    #[error("{}: holds {found} metadata, but {wanted} is configured", dir.display())]
    LayoutOtherEngine {
        /// The engine directory.
        dir: PathBuf,
        /// The engine that wrote it.
        found: EngineKind,
        /// The engine that was asked for.
        wanted: EngineKind,
    },
    /// The `LAYOUT` file is missing beside data, or not in a form this version knows.
    #[error("{}: {detail}", dir.display())]
    LayoutUnreadable {
        /// The engine directory.
        dir: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// A configuration names an engine that does not exist.
    #[error("unknown metadata engine {name:?}; known are fjall, sled and memory")]
    UnknownKind {
        /// The name given.
        name: String,
    },
}
