//! The namenode: all metadata of the store, replicated by Raft.

pub mod engine;
pub mod raft_log;
