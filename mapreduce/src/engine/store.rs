//! What the engine asks of the store and of the other nodes.

use crate::plan::InputFile;
use std::io::{Read, Result, Write};

/// Objects, with the rights of the job's submitter. All calls block.
pub trait TaskStore: Send + Sync {
    /// The bytes `offset..offset + length` of an object, verified; fewer where the object ends before.
    fn open(&self, file: &InputFile, offset: u64, length: u64) -> Result<Box<dyn Read + Send>>;

    /// An object named by URL: a cached file. Its current version, whole.
    fn open_url(&self, url: &str) -> Result<Box<dyn Read + Send>>;

    /// A new object of this name below the job's output, not visible before the job commits. Names have components
    /// separated by `/`. An attempt creates each name once.
    fn create(&self, name: &str) -> Result<Box<dyn TaskOutput>>;
}

/// An object that is being written. Dropped without [`TaskOutput::finish`], it never was.
pub trait TaskOutput: Write + Send {
    /// Everything written is stored safely.
    fn finish(self: Box<Self>) -> Result<()>;
}

/// The outputs of the job's maps, wherever they are kept.
pub trait MapOutputs: Send + Sync {
    /// The segment of one reduce in the output of one map: the bytes that [`crate::shuffle::MapOutputFile::segment`]
    /// gives on the node that keeps it. Called from several threads.
    fn open(&self, source: u32, partition: u32) -> Result<Box<dyn Read + Send>>;
}
