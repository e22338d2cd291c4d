//! The key-value engine under the namenode's applied state.
//!
//! The Raft log is the only write-ahead log. An engine holds what the log has been applied to, together with
//! `last_applied` in the same batch, so it may lag behind the log after a crash but is never inconsistent with itself.
//! [`Engine`] is the contract, one file an adapter, [`open`] the way in for a configured directory.

mod batch;
mod contract;
mod error;
mod fjall_engine;
mod layout;
mod memory_engine;
mod sled_engine;
mod sled_view;

#[cfg(test)]
mod model_test;
#[cfg(test)]
mod suite;

pub use batch::{WriteBatch, WriteOp};
pub use contract::{Engine, EngineConfig, EngineSnapshot, KEY_BYTES_MAX, Pair, Scan, VALUE_BYTES_MAX};
pub use error::EngineError;
pub use fjall_engine::FjallEngine;
pub use layout::{EngineKind, LAYOUT_VERSION, open};
pub use memory_engine::MemoryEngine;
pub use sled_engine::SledEngine;
