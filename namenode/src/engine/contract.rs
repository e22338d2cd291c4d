//! What every metadata engine promises. The promises are held by `suite.rs`, run on each adapter.
//!
//! Deliberately absent: transactions (the namenode applies commands one after another, so there is one writer),
//! range deletion (not atomic in every adapter; a caller deletes page by page), and time-to-live.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{EngineError, WriteBatch};

/// The longest key an engine takes, in bytes. An S3 key has 1,024; the rest is room for the ids in front of it.
pub const KEY_BYTES_MAX: usize = 2_048;

/// The longest value an engine takes, in bytes. The largest record is an object of 10,000 parts, well under 1 MiB.
pub const VALUE_BYTES_MAX: usize = 4 << 20;

/// A key and its value.
pub type Pair = (Bytes, Bytes);

/// Pairs in ascending byte order of their keys. After the first error the iterator is of no further use.
pub type Scan<'a> = Box<dyn Iterator<Item = Result<Pair, EngineError>> + Send + 'a>;

/// An ordered map from bytes to bytes, on disk.
///
/// * **Atomic.** After a crash of the process or the machine a batch is present whole or not at all, and when a batch is
///   present, so is every batch written before it.
/// * **Visible at once, durable later.** What [`write`](Engine::write) wrote is seen by every read that starts after it
///   returned, and survives a power cut once a later [`sync`](Engine::sync) returned.
/// * **Consistent views.** [`scan`](Engine::scan) and [`snapshot`](Engine::snapshot) show the state of the moment they
///   were called and no part of a batch written since. Two separate `get` calls that race a writer may fall on both sides
///   of its batch: take a snapshot to read several keys together.
/// * **Keys** are 1 to [`KEY_BYTES_MAX`] bytes, **values** 0 to [`VALUE_BYTES_MAX`].
///
/// All calls block on disk; on an async runtime they belong on a blocking thread unless the data is known to be cached.
pub trait Engine: Send + Sync + 'static {
    /// The value of `key`, or `None`. A key over the limit cannot be present, and is simply not found.
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, EngineError>;

    /// The pairs with `from <= key < until` (`None`: to the end), as of now. Costs one seek plus what is consumed.
    /// Holding the iterator keeps old data alive, so it should not outlive a request.
    fn scan(&self, from: &[u8], until: Option<&[u8]>) -> Scan<'_>;

    /// The pair with the greatest key in `from <= key < until`, at the cost of one seek.
    fn last_in(&self, from: &[u8], until: &[u8]) -> Result<Option<Pair>, EngineError>;

    /// Applies a batch: atomic, visible when the call returns, not durable before the next `sync`.
    ///
    /// # Errors
    /// [`EngineError::KeyLength`] or [`EngineError::ValueLength`] with nothing written; any other error means that the
    /// engine can no longer be trusted and must be reopened.
    fn write(&self, batch: WriteBatch) -> Result<(), EngineError>;

    /// Returns once everything written before the call is on stable storage. An error is final: reopen the engine.
    fn sync(&self) -> Result<(), EngineError>;

    /// A read-only view of this moment. Old data is kept for as long as it lives, so it must not live for ever.
    fn snapshot(&self) -> Result<Box<dyn EngineSnapshot>, EngineError>;

    /// Gives back the space of deleted and overwritten data as far as the engine can; by itself it does so only as new writes
    /// come in. Blocks while it rewrites files (seconds a gigabyte), needs as much free space as is in use, and leaves reads
    /// and writes alone. fjall removes the old files when it next writes out a memtable, or when it is opened again.
    /// Does nothing where an engine has no such operation.
    fn compact(&self) -> Result<(), EngineError> {
        Ok(())
    }

    /// Bytes allocated on disk for this engine (holes of sparse files do not count). Walks the directory.
    fn disk_bytes(&self) -> Result<u64, EngineError>;
}

/// A consistent read-only view, independent of the engine's later writes.
pub trait EngineSnapshot: Send + Sync + 'static {
    /// The value of `key` at the moment of the snapshot.
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, EngineError>;

    /// The pairs with `from <= key < until` (`None`: to the end) at the moment of the snapshot.
    fn scan(&self, from: &[u8], until: Option<&[u8]>) -> Scan<'_>;
}

/// How much memory an engine may use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EngineConfig {
    /// Bytes of decoded blocks or pages kept in memory. Default 64 MiB.
    pub cache_bytes: u64,
    /// Bytes of newest writes gathered in memory before they are written out as a sorted file (fjall only). While the disk
    /// is behind, up to five such tables exist. Default 16 MiB.
    pub memtable_bytes: u64,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self { cache_bytes: 64 << 20, memtable_bytes: 16 << 20 }
    }
}

/// True where `from..until` holds no key at all; ordered maps differ in what they do with such a range.
pub(super) fn is_empty_range(from: &[u8], until: Option<&[u8]>) -> bool {
    until.is_some_and(|until| until <= from)
}
