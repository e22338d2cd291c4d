//! What maps leave and reduces fetch: files of sorted segments, and their merging.
//!
//! A file holds one segment for each reduce, one after the other, and an index at its end. The layout is in
//! `docs/on-disk-formats.md`. Every byte that is used was verified: each frame of records and each header carries a CRC32C.

mod format;
mod map_output;
mod merge;
mod scratch;
mod segment_reader;
mod segment_writer;

pub use map_output::MapOutputFile;
pub(crate) use merge::{MERGE_WIDTH_MAX, Merge, merge_down};
pub(crate) use scratch::{RunFile, Scratch};
pub(crate) use segment_reader::{Origin, SegmentReader};
pub(crate) use segment_writer::SegmentFile;
