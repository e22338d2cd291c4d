//! Events on their way to webhooks: a queue that outlives any process.

use crate::ids::UnixMillis;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// The largest event: AWS's messages are a few KiB.
pub const EVENT_BYTES_MAX: usize = 64 << 10;
/// The most events queued; further ones are refused with [`crate::ErrorCode::Busy`], so that nothing is lost unseen.
pub const EVENTS_MAX: u64 = 1_000_000;

/// The most bytes of events queued, targets and messages together; further ones are refused with
/// [`crate::ErrorCode::Busy`].
pub const EVENT_QUEUE_BYTES_MAX: u64 = 4 << 30;
/// The most events of one request.
pub const EVENT_BATCH_MAX: u32 = 1000;

/// An event's place in the queue; grows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EventId(pub u64);

/// An event to be delivered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewEvent {
    /// The destination, as the bucket's configuration names it.
    pub target: String,
    /// The message, ready to be sent.
    pub body: Bytes,
}

/// An event that was claimed for delivery.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueuedEvent {
    /// Its place.
    pub id: EventId,
    /// The destination.
    pub target: String,
    /// The message.
    pub body: Bytes,
    /// How often it was tried before.
    pub attempts: u32,
    /// When it was queued.
    pub queued: UnixMillis,
}
