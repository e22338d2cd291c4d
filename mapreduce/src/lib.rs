//! Batch jobs where the bytes are: which task runs on which node, and when it is better to wait for one.
//!
//! Owns the placement of tasks, as pure code. It reads no clock, draws no random number and does no I/O: whoever drives
//! it (a job service, a simulator) says what happened and when, and carries out what was decided.

pub mod placement;
