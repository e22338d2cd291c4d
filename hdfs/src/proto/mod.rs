//! Protobuf messages of Hadoop's public protocols, declared by hand from their field numbers (proto2).
//!
//! Required fields are always written, as Hadoop's own parsers insist on them; unknown fields are skipped. Names are
//! Hadoop's without the `Proto` ending. Here stands what several protocols share and what describes files; the envelope of
//! one protocol (RPC headers, packets) stands beside that protocol.

mod acl;
mod blocks;
mod datanodes;
mod erasure;
mod security;
mod status;
mod xattr;

pub use acl::*;
pub use blocks::*;
pub use datanodes::*;
pub use erasure::*;
pub use security::*;
pub use status::*;
pub use xattr::*;

#[cfg(test)]
mod tests;
