//! What a program uses to read and write objects as blocks.
//!
//! [`Client`] is the whole of it: metadata requests with typed replies, [`ContentWriter`] which turns a byte stream
//! into durable extents (packed blocks for small contents, owned blocks for large ones), [`ContentReader`] which turns
//! extents back into bytes whatever replica dies meanwhile, and a background compactor. [`remote`] reaches namenodes
//! and datanodes in other processes; where they live in this process the same traits are called directly.
//!
//! This crate decides nothing about names, versions, permissions or placement.

mod archive;
mod blocks;
mod buckets;
mod client;
mod compactor;
mod config;
mod error;
mod events;
mod lease;
mod lifecycle;
mod metadata;
mod mover;
mod owned;
mod pace;
mod packer;
mod pipeline;
mod reader;
mod rebuild;
pub mod remote;
mod seal;
mod shared;
mod small_files;
mod stored;
mod suspects;
mod users;
mod writer;

pub use archive::ReplicaWriter;
pub use client::{Client, ClientComponents};
pub use config::{ClientConfig, ConfigError};
pub use reader::ContentReader;
pub use stored::StoredContent;
pub use writer::ContentWriter;
