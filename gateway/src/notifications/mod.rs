//! Event notifications: what happened to objects, told to webhooks in AWS's words, at least once.
//!
//! The way of an event: an operation says in its response what it did ([`ObjectEvents`]); before the client is told of the
//! success the messages are in the namenode's queue, which outlives every process; [`Delivery`] claims them there, sends
//! them and takes them off the queue. A message may arrive twice, and messages may change places: receivers compare
//! `sequencer`, as with AWS.
//!
//! Invariants: a success that was acknowledged has its messages queued; targets are named by the operator and reached by
//! addresses that were checked ([`address`]), so that no bucket's owner can make this server talk to the network behind it.
//!
//! Not here: which events a bucket wants (its notification document).

mod address;
mod delivery;
mod event;
mod message;
mod retry;
mod targets;
mod webhook;

pub(crate) use delivery::Delivery;
pub(crate) use event::{EventKind, ObjectEvent, ObjectEvents};
pub(crate) use message::{MessageContext, message_of, test_message};
pub(crate) use targets::Targets;
pub use targets::{NotificationSettings, TargetError, TargetSettings};
