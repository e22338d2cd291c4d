//! The words of a plan: objects with their blocks, and pieces of objects.

use crate::placement::{InputId, NodeId};
use serde::{Deserialize, Serialize};

/// An input object, one version of it: later overwrites change nothing for the job.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct InputFile {
    pub bucket: String,
    pub key: String,
    /// The version as the store names it. Means nothing here.
    pub version: String,
    /// Bytes.
    pub length: u64,
    /// How many bytes of `key` belong to the place that was given as input: what follows is the object's name below it.
    pub base: u32,
}

impl InputFile {
    /// `s3://bucket/key`.
    pub fn url(&self) -> String {
        format!("s3://{}/{}", self.bucket, self.key)
    }

    /// The name below the input it was found by; the last component of the key where the input named the object itself.
    pub fn name(&self) -> &str {
        let below = self.key.get(self.base as usize..).unwrap_or_default().trim_start_matches('/');
        if below.is_empty() { self.key.rsplit('/').next().unwrap_or(&self.key) } else { below }
    }
}

/// A run of an object's bytes in one block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockLocation {
    pub offset: u64,
    pub length: u64,
    /// The block, for counting how many tasks wait for it.
    pub block: InputId,
    /// Nodes with a replica of it.
    pub nodes: Vec<NodeId>,
}

/// An object and its blocks, in the order of their offsets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocatedFile {
    pub file: InputFile,
    pub blocks: Vec<BlockLocation>,
}

/// A run of an object's bytes. Lines that begin in it belong to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Piece {
    pub file: InputFile,
    pub offset: u64,
    pub length: u64,
}

/// What one map works on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Split {
    /// One piece of a large object, or several small objects.
    Pieces(Vec<Piece>),
    /// Numbers of records to be made.
    Rows { first: u64, count: u64 },
}

impl Split {
    /// Bytes of input.
    pub fn bytes(&self) -> u64 {
        match self {
            Split::Pieces(pieces) => pieces.iter().map(|piece| piece.length).sum(),
            Split::Rows { .. } => 0,
        }
    }
}

/// A split and where it is at home.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedSplit {
    pub split: Split,
    pub bytes: u64,
    /// The block it lies in; of several, the first.
    pub input: InputId,
    /// Nodes that hold all of it, or as much as any node does. Empty: at home everywhere.
    pub nodes: Vec<NodeId>,
}

/// Splits of a program that makes its records.
pub(super) fn rows(rows: u64, maps_hint: u32) -> Vec<PlannedSplit> {
    let maps = u64::from(maps_hint.max(1)).min(rows.max(1));
    (0..maps)
        .map(|map| {
            // Without overflow: rows are bounded by 2^40, maps by 2^32.
            let at = |map: u64| (u128::from(rows) * u128::from(map) / u128::from(maps)) as u64;
            let (first, end) = (at(map), at(map + 1));
            PlannedSplit {
                split: Split::Rows { first, count: end - first },
                bytes: 0,
                input: InputId(map),
                nodes: Vec::new(),
            }
        })
        .collect()
}
