//! The words two Granary processes exchange: ids, records, messages, checksums and error codes.
//!
//! Everything here is pure data and pure functions: no I/O, no clock, no randomness, no runtime. The service traits
//! in [`namenode`] and [`datanode`] only name the calls; who answers them (the same process, or a peer over a socket)
//! is decided elsewhere.

pub mod acl;
pub mod admin;
pub mod archive;
pub mod block;
pub mod bucket;
pub mod checksum;
pub mod clock;
pub mod datanode;
pub mod datanode_door;
pub mod delegation;
pub mod encryption;
pub mod erasure;
pub mod error;
pub mod event;
pub mod filesystem;
pub mod ids;
pub mod jobs;
pub mod lifecycle;
pub mod lockstep;
pub mod namenode;
pub mod object;
pub mod record;
pub mod redundancy;
pub mod request_id;
pub mod token;
pub mod user;

pub use clock::Clock;
pub use error::{Advice, ErrorCode, Failure};
pub use ids::*;
pub use request_id::RequestId;

/// Version of the messages between processes; a peer that names another one is refused when it connects. Raised when a
/// message that there is changes its shape or meaning; variants that are added at the end do not raise it. Builds before
/// version 3 said none.
pub const MESSAGES_VERSION: u8 = 4;

/// Version of the records of this crate on disk. A disk that names another one is refused.
pub const LAYOUT_VERSION: u32 = 2;
