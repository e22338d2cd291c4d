//! The Hadoop door: what stock Hadoop clients speak, in front of the same namespace that S3 shows.
//!
//! [`proto`] declares the protobuf messages. Around it stand the protocols: Hadoop RPC beside a namenode (`hdfs://`),
//! DataTransferProtocol beside a datanode, WebHDFS beside both.
//!
//! This crate decides nothing about names, leases, versions or placement: that is the namenode's, whichever door asks.

pub mod config;
pub mod exception;
pub mod identity;
pub mod proto;
pub mod rpc;
