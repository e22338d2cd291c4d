//! WebHDFS: the file system over http, beside the namenodes (port 9870) and the datanodes (port 9864).
//!
//! A namenode answers what is about names and sends whoever wants bytes on to a datanode, which reads and writes them
//! through the client crate: a byte passes through one machine that has it, if there is one. Both ask the same
//! [`crate::door::FileSystemDoor`] about the same principal as every other door.
//!
//! Source: `WebHDFS.md` of Apache Hadoop 3.4; where that and Apache's namenode differ, the namenode.

mod acl_spec;
mod authenticate;
mod block_output;
mod checksum;
mod data;
mod delegation;
mod error;
mod file_reader;
mod file_writer;
mod json;
mod locations;
mod metadata;
mod mutation;
mod operation;
mod redirect;
mod request;
mod server;
mod service;

pub use delegation::DelegationKeys;
pub use server::{HttpServer, HttpSettings, Peer};
pub use service::{DataSide, WebHdfs};
