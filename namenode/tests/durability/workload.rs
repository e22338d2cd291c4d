//! What is written: a sequence of commands, each a pure function of its index, and the state that a prefix of them makes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use granary_namenode::engine::{Engine, EngineConfig, EngineError, EngineKind, WriteBatch, open};
use granary_namenode::raft_log::{LogRecord, RaftLogConfig};

pub const KEY_PREFIX: &[u8] = b"key/";
const KEY_PREFIX_END: &[u8] = b"key0";

/// Holds how many commands are applied, in the same batch as their effect.
const APPLIED_KEY: &[u8] = b"applied";

/// Few enough that keys are overwritten and deleted often.
const KEYS: u64 = 2_000;

/// How commands become durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// As in the namenode: the log append is the only sync, the engine follows without, and now and then it is synced and
    /// the log purged.
    LogPurged,
    /// The same, but the log is kept whole, so that the engine can be rebuilt from nothing.
    LogKept,
    /// No log: every batch is written to the engine and synced.
    EngineAlone,
}

impl Mode {
    pub fn name(self) -> &'static str {
        match self {
            Self::LogPurged => "log-purged",
            Self::LogKept => "log-kept",
            Self::EngineAlone => "engine-alone",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        [Self::LogPurged, Self::LogKept, Self::EngineAlone].into_iter().find(|mode| mode.name() == name)
    }
}

/// SplitMix64: spreads an index over all bits.
pub fn mix(index: u64) -> u64 {
    let mut bits = index.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// The one change command `index` makes; `None` deletes.
fn change(index: u64) -> (Vec<u8>, Option<Vec<u8>>) {
    let bits = mix(index);
    let key = [KEY_PREFIX, format!("{:05}", bits % KEYS).as_bytes()].concat();
    let is_delete = (bits >> 32).is_multiple_of(5);
    let value = || {
        let mut value = index.to_be_bytes().to_vec();
        value.resize(8 + (bits >> 40) as usize % 400, bits as u8);
        value
    };
    (key, (!is_delete).then(value))
}

/// The state after the first `count` commands.
pub fn state_after(count: u64) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut state = BTreeMap::new();
    for (key, value) in (0..count).map(change) {
        match value {
            Some(value) => state.insert(key, value),
            None => state.remove(&key),
        };
    }
    state
}

/// Commands `from..until` in one batch.
pub fn batch(from: u64, until: u64) -> WriteBatch {
    let mut batch = WriteBatch::new();
    for (key, value) in (from..until).map(change) {
        match value {
            Some(value) => batch.put(key, value),
            None => batch.delete(key),
        }
    }
    batch.put(APPLIED_KEY, until.to_be_bytes().to_vec());
    batch
}

pub fn applied(engine: &dyn Engine) -> Result<u64, EngineError> {
    let count = engine.get(APPLIED_KEY)?;
    Ok(count.map_or(0, |bytes| u64::from_be_bytes(bytes.as_ref().try_into().expect("eight bytes were written"))))
}

pub fn state_of(engine: &dyn Engine) -> Result<BTreeMap<Vec<u8>, Vec<u8>>, EngineError> {
    engine
        .scan(KEY_PREFIX, Some(KEY_PREFIX_END))
        .map(|pair| pair.map(|(key, value)| (key.to_vec(), value.to_vec())))
        .collect()
}

/// The log entry of command `index`: long enough that records cross pages.
pub fn entry(index: u64) -> LogRecord {
    LogRecord { index, payload: payload(b'c', index) }
}

/// An entry that is never acknowledged and always truncated again.
pub fn doomed_entry(index: u64) -> LogRecord {
    LogRecord { index, payload: payload(b'd', index) }
}

fn payload(kind: u8, index: u64) -> Bytes {
    let mut payload = vec![kind; 1 + mix(index ^ u64::from(kind)) as usize % 700];
    payload.extend_from_slice(&index.to_be_bytes());
    payload.into()
}

/// Small, so that every round sees memtables written out and segments change.
pub fn open_engine(kind: EngineKind, dir: &Path) -> Result<Arc<dyn Engine>, EngineError> {
    open(kind, &engine_dir(dir), &EngineConfig { cache_bytes: 8 << 20, memtable_bytes: 1 << 20 })
}

pub fn engine_dir(dir: &Path) -> PathBuf {
    dir.join("engine")
}

pub fn log_dir(dir: &Path) -> PathBuf {
    dir.join("log")
}

pub fn log_config() -> RaftLogConfig {
    RaftLogConfig { segment_bytes: 1 << 20, preallocate_bytes: 256 << 10 }
}
