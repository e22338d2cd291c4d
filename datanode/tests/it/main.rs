//! The datanode through its public face, on real files: what a writer, a reader and a namenode see.

mod coding;
mod commands;
mod door;
mod pipeline;
mod reads;
mod recovery;
mod remote;
mod scrubbing;
mod support;
mod volumes;
