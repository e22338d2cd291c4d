//! `ClientProtocol`: what a namenode answers to Hadoop's clients on `hdfs://`.
//!
//! [`methods`] is the list of all methods and what becomes of each; the handlers are grouped by what they are about. A
//! handler translates: the rules are the namenode's.
//!
//! Source: `org.apache.hadoop.hdfs.protocol.ClientProtocol` and `ClientNamenodeProtocol.proto`, Hadoop 3.5.

mod attributes;
mod batched_listing;
mod cluster;
mod context;
mod erasure;
mod messages;
mod methods;
mod namespace;
mod server;
mod writing;

pub use context::{ClientProtocol, NamenodeRole};
pub use messages::{Empty, GetGroupsForUserRequest, GetGroupsForUserResponse, GetServiceStatusResponse};
pub use server::ha_state;

#[cfg(test)]
mod compatibility;
#[cfg(test)]
mod hostile;
