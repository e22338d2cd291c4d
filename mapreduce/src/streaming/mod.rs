//! Hadoop's Streaming contract: any program that reads lines and writes lines is a mapper, combiner or reducer.
//!
//! Lines go to the program as they are; a line it writes is a key, a separator and a value. Unlike Hadoop, a line without a
//! separator stays without one on its way to the reducer and to the output. Of small objects packed into one split each
//! gets a process of its own, so that the environment always names the object that is read.

mod aggregate;
mod combine;
mod environment;
mod map;
mod pipes;
mod process;
mod program_lines;
mod reduce;
mod reporter;
mod workplace;

pub(crate) use aggregate::Aggregate;
pub(crate) use combine::CommandCombiner;
pub(crate) use map::{map_to_part, map_to_reduces};
pub(crate) use reduce::reduce;
