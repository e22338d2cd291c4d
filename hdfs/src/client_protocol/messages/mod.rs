//! Requests and answers of `ClientNamenodeProtocol.proto` and what it takes in, declared by hand from their field numbers.
//!
//! Where methods differ in nothing but a name, they share a message. Numbers of enumerations stay numbers: what they mean is
//! said where they are read.

mod attributes;
mod cluster;
mod namespace;
mod writing;

pub use attributes::*;
pub use cluster::*;
pub use namespace::*;
pub use writing::*;
