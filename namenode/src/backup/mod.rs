//! The metadata as a file: written from a leader that serves, read into a directory that is empty, and checked by a hash.
//!
//! [`file`] is the format, [`export`] the leader's side, [`restore`] the beginning of a new cluster with old rows.

mod export;
pub mod file;
mod restore;

pub(crate) use export::{Exports, page};
pub use restore::{Restored, restore, verify};
