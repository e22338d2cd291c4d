//! The Hadoop door: what stock Hadoop clients speak, in front of the same namespace that S3 shows.
//!
//! [`proto`] declares the protobuf messages. Around it stand the protocols: Hadoop RPC beside a namenode (`hdfs://`),
//! DataTransferProtocol beside a datanode, WebHDFS beside both.
//!
//! This crate decides nothing about names, leases, versions or placement: that is the namenode's, whichever door asks.

mod accept;
pub mod block_token;
pub mod client_protocol;
pub mod cluster_key;
pub mod config;
pub mod datanode_directory;
pub mod datanode_ports;
pub mod datanode_protocol;
pub mod demand;
pub mod door;
pub mod exception;
pub mod fsck;
pub mod groups;
pub mod ha_service;
pub mod identity;
pub mod namenode_door;
pub mod names;
pub mod principal;
pub mod proto;
pub mod refusal;
pub mod rpc;
pub mod sealed;
pub mod transfer;
pub mod translate;
pub mod user_mappings;
pub mod webhdfs;
