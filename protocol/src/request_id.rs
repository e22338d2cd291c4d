//! The number of a request over all its attempts, so that a mutation whose answer was lost takes effect once.

use serde::{Deserialize, Serialize};

/// How long a client that sends nothing is remembered at least; outcomes it has not been told may be forgotten afterwards.
pub const CLIENT_MEMORY_MS: u64 = 24 * 60 * 60 * 1000;

/// Names one mutation of one client. All attempts of it carry the same number, whichever peer they go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RequestId {
    /// Chosen at random by each process that asks.
    pub client: [u8; 16],
    /// Counts up within a client.
    pub number: u64,
    /// The client waits for no request below this number any more: what came of those may be forgotten, and an attempt of one
    /// that arrives late is not carried out. At most `number`.
    pub answered_below: u64,
}
