//! Real namenode peers in one process: real directories, real sockets on the loopback, mutual TLS by a test authority.

mod access;
mod failover;
mod fake_datanode;
mod membership;
mod one_peer;
mod peers;
mod start_and_stop;
mod writer;
