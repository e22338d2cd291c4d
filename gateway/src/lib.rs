//! The S3 door: signatures, presigned URLs, request parsing, body decoding, checksums and errors, and on top of them
//! one file per operation family. This file lists the modules and nothing else.

mod access_log;
mod admin;
pub mod auth;
pub mod body;
pub mod checksum;
pub mod config;
mod documents;
mod encryption;
pub mod error;
mod form;
mod jobs;
mod notifications;
mod ops;
pub mod request;
pub mod server;
mod sts;
mod website;

pub use documents::lifecycle_rules;
