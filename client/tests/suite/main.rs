//! How the client behaves when services fail: driven against an in-memory cluster with faults to order.
//!
//! Time is paused in these tests: a timeout costs nothing, and a test that waits for ever fails at once.

mod cluster;
mod compaction;
mod degraded;
mod fake_datanode;
mod fake_namenode;
mod lease;
mod owned_blocks;
mod packing;
mod reading;
mod remote;
