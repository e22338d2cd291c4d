//! Batch jobs where the bytes are: what a job is, how its input is divided, which task runs where, and how a task runs.
//!
//! - [`spec`]: a job as submitted, its limits and its checks. Pure.
//! - [`plan`]: objects and their blocks into splits. Pure.
//! - [`placement`]: which task runs on which node, and when it is better to wait for one. Pure: whoever drives it (a job
//!   service, a simulator) says what happened and when, and carries out what was decided.
//! - [`engine`]: one attempt of a task, from its input to its output, as blocking code; [`shuffle`] is what lies between
//!   maps and reduces, [`sandbox`] how programs are kept apart, `wasm` how WebAssembly modules run there.
//!
//! It does not know the store, the cluster or the clock: what it needs of them is in the traits of [`engine`].

pub mod engine;
mod figures;
mod input;
mod operators;
pub mod placement;
pub mod plan;
mod records;
pub mod runner;
pub mod sandbox;
pub mod service;
pub mod shuffle;
pub mod spec;
mod streaming;
mod version;
mod wasm;
