//! The namenode's write-ahead log on disk: entries of the Raft log as opaque bytes, and the small hard state beside them.
//!
//! This is the only place where an acknowledged command waits to be durable, so it is small and suspicious. It knows nothing
//! of Raft: terms, votes and commands are bytes to it. Group commit happens above, by appending many entries at once.
//!
//! ```text
//! dir/LOCK                      held while the log is open
//! dir/hard_state                vote and the like (HardStateFile)
//! dir/purged                    how far the log was purged
//! dir/00000000000000000000.seg  segments, named after their first index
//! ```

mod checked_file;
pub(crate) mod durable_file;
mod error;
mod log;
mod reader;
mod record;
mod recovery;
mod segment;

#[cfg(test)]
mod log_test;
#[cfg(test)]
mod tail_test;

pub use checked_file::HardStateFile;
pub use error::RaftLogError;
pub use log::{RaftLog, RaftLogConfig};
pub use reader::LogReader;
pub use record::{LogRecord, PAYLOAD_BYTES_MAX};
