//! Nothing acknowledged is lost: the log and the engines against `kill -9` and against power cuts.
//!
//! A child process (this very binary, see `writer.rs`) writes and reports on its standard output what is acknowledged. The
//! parent ends it the hard way, opens what is left, and compares with what the commands must have made of it. Each
//! test goes several rounds over the same directory.
//!
//! `GRANARY_CRASH_ROUNDS` and `GRANARY_POWER_CUT_ROUNDS` set the number of rounds.

#![allow(clippy::unwrap_used)]

mod kill;
mod power_cut;
mod verify;
mod workload;
mod writer;
