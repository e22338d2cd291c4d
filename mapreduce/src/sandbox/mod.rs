//! Processes of tasks, kept apart from the daemon, from each other and from the machine.
//!
//! The daemon starts no program itself: it starts its own binary again as a *launcher*, which gives up what a task may not
//! have and then starts the program. So nothing has to be done between `fork` and `exec`, and the daemon's own threads and
//! rights stay as they are. What is given up, in this order, where the system lets it be done:
//!
//! - namespaces: processes (the task sees and can signal only its own, and all of them end with the launcher), network
//!   (unless asked for), mounts, IPC, host name;
//! - limits: address space, processor time, processes, open files, length of files, core dumps;
//! - privileges: `no_new_privs`, another user where the daemon is root, and a seccomp filter that refuses what no
//!   data program needs (tracing, mounting, kernel modules, keys, new namespaces, sockets of the network);
//! - files: writing anywhere but in the task's directory; where there is no other user to be, reading all but the system's
//!   programs and the task's directory (Landlock).
//!
//! A WebAssembly module is run by the same binary within all of this, and without what it does not need either: files,
//! processes and sockets of any kind.
//!
//! Scratch space is measured while the process runs. The environment and the open files are the task's alone. If memory
//! runs out, the system ends tasks before anything else.

mod execution;
mod files;
mod launcher;
mod module;
mod plan;
mod seccomp;
mod watch;

pub(crate) use execution::Invocation;
pub use execution::{Account, Execution, LAUNCHER_ARGUMENT};
pub use launcher::launcher_main;
pub(crate) use watch::{Ended, Watch, widen_pipes};
