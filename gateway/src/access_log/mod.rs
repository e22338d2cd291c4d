//! Server access logs: a line for every request on a logged bucket, delivered as objects to another one.
//!
//! The way of a line: the request was answered, the line joins the others for its destination in memory ([`LogBuffer`]),
//! and from time to time each destination's lines become an object. Best effort, as with AWS: a process that ends without
//! a word takes with it what it had not delivered.
//!
//! Invariants: memory is bounded, and what does not fit is counted; a delivery is logged like any other request except
//! that it never causes another delivery.

mod batch;
mod buffer;
mod key;
mod line;

pub(crate) use batch::BatchDeleted;
pub(crate) use buffer::{LogBuffer, LogDestination, ReadyLog};
pub(crate) use key::{LogKeyFormat, log_key};
pub(crate) use line::{AccessRecord, resource_type};
