//! The namenode: all metadata of the store, replicated by Raft.

pub mod command;
pub mod engine;
pub mod error;
pub mod raft_log;
pub mod state;
