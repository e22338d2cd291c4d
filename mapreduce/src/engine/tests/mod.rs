//! Whole jobs over a store in memory.

mod fixture;
mod jobs;
mod lines;
mod merging;
