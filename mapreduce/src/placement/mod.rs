//! The placement of tasks: [`decide`] takes what happened and answers with what to do.
//!
//! A slot that falls free is offered to the tasks whose input lies on its node, in fair order over users and then jobs;
//! within a job the task that has the fewest other chances goes first. A task that finds no free slot beside its input
//! waits as long as waiting is expected to cost less than reading over the network, and no longer. Nothing is polled:
//! every free slot and every waiting task is indexed by node.
//!
//! Invariants:
//! - The same events at the same times give the same actions, byte for byte. Hash maps are looked up, and walked only where no order
//!   can show.
//! - A task has at most one successful attempt; when it is known, its other attempts are killed.
//! - Slots of a node in use never exceed the slots it has.
//! - Of users with waiting tasks, one who asks for only a few and has started only a few lately is given the next slot, else the one
//!   with the fewest slots for their weight; as far as locality allows.
//!
//! It does not: start processes, move data, keep history, survive a restart by itself (a successor is told what was done and what runs), or take a slot away from a running task for fairness; shares are restored as slots fall free.

mod by_number;
mod event;
mod failures;
mod ids;
mod job;
mod learning;
mod node;
mod patience;
mod pick;
mod policy;
mod reduces;
mod speculation;
mod state;
mod takeover;
mod tasks;
#[cfg(test)]
mod tests;
mod user;

pub use event::{Action, Event, JobPlan, KillReason, Locality, MapPlan};
pub use ids::{AttemptId, InputId, JobId, Millis, NodeId, RackId, TaskId, TaskKind, UserId};
pub use policy::{Order, Patience, Policy};
pub use state::{State, decide};
