//! WebAssembly programs: commands of WASI preview 1 that read standard input and write standard output.
//!
//! [`check`] says whether a module is one that can run here, by reading it alone: it is asked when a job is submitted.
//! [`run`] compiles and runs one, in a process that the sandbox has started for nothing else, so that a fault of the
//! compiler is within the same bounds as a program of native code.
//!
//! A module has three streams, its arguments, its environment, clocks and random numbers. There are no files, no sockets
//! and no threads: their calls are there, so that programs of any compiler load, and answer that they cannot.

mod check;
mod errno;
mod guest;
mod host;
mod poll;
mod run;
mod signatures;
mod wasi;

pub(crate) use check::check;
pub(crate) use run::{Compiled, Outcome};

/// The longest module, unpacked.
pub(crate) const MODULE_BYTES_MAX: usize = 16 << 20;
/// What a program of WASI begins with.
const START: &str = "_start";
/// Its memory.
const MEMORY: &str = "memory";
