//! The worker that moves blocks of archived classes to archive targets, buckets at S3 endpoints elsewhere, and back.
//!
//! The leading namenode says what is to be done ([`granary_protocol::archive`]); [`Archiver`] asks for work and reports,
//! [`tasks`] carries one piece of it out, [`remote`] speaks S3, [`endpoint`] HTTP. Nothing here is remembered: whoever dies
//! in the middle of a task leaves what the namenode knows, and the parts that the target has, to whoever goes on.
//!
//! A block is one object, sent in parts by a multipart upload, each part with its MD5. The CRC32C of the whole is kept by the
//! namenode; what comes back is a replica only if it has the same.

mod archiver;
mod endpoint;
mod error;
mod remote;
mod tasks;
mod xml;

pub use archiver::{Archiver, ArchiverComponents};
pub use endpoint::check_endpoint;
pub use error::ArchiveError;
pub use remote::Remote;
