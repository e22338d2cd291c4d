//! Splits: what each map reads, and on which nodes that lies.
//!
//! Pure: the caller lists the input objects with their blocks and gets splits. Invariants: every byte of every object is
//! in exactly one split, and the same input gives the same splits.

mod files;
mod pack;
mod split;

pub use split::{BlockLocation, InputFile, LocatedFile, Piece, PlannedSplit, Split};

use crate::spec::{JobSpec, Program, limits};
use thiserror::Error;

/// Why an input cannot be divided into splits.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PlanError {
    #[error("the input makes {splits} splits, more than {}: choose larger ones", limits::MAPS_MAX)]
    TooManySplits { splits: usize },
    #[error("{url} has {length} bytes, which is no multiple of records of {record_bytes}")]
    PartialRecord { url: String, length: u64, record_bytes: u64 },
}

/// The splits of a job over these objects. Programs without input get their splits from their own figures: `maps_hint` of
/// them, or fewer.
pub fn plan(spec: &JobSpec, files: &[LocatedFile], maps_hint: u32) -> Result<Vec<PlannedSplit>, PlanError> {
    let splits = match spec.program {
        Program::Teragen(rows) => split::rows(rows, maps_hint),
        _ => files::splits(spec, files)?,
    };
    if splits.len() > limits::MAPS_MAX {
        return Err(PlanError::TooManySplits { splits: splits.len() });
    }
    Ok(splits)
}

#[cfg(test)]
mod tests;
