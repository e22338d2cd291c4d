//! Records of the input: lines that are whole whatever the splits, records of fixed length, objects as they are; through
//! the decompressors.

mod bzip2_piece;
mod codec;
mod fixed;
mod lines;
mod metered;

pub(crate) use codec::Codec;
pub(crate) use fixed::FixedRecords;
pub(crate) use lines::Lines;
pub(crate) use metered::{input_failure, open_whole};

use crate::engine::{Cancel, Progress, TaskStore};

/// What reading input takes.
#[derive(Clone, Copy)]
pub(crate) struct Source<'a> {
    pub store: &'a dyn TaskStore,
    pub progress: &'a Progress,
    pub cancel: &'a Cancel,
    pub line_bytes_max: u32,
}
