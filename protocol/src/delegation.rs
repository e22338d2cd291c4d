//! Delegation tokens whose term was changed. A token says by itself how long it counts; only what was renewed or cancelled is
//! remembered.

use crate::ids::UnixMillis;
use serde::{Deserialize, Serialize};

/// How long a token counts, and how long a renewal makes it count from then on: one day, as Hadoop's.
pub const DELEGATION_TERM_MS: u64 = 24 * 60 * 60 * 1000;
/// How long a token can be renewed: seven days.
pub const DELEGATION_LIFETIME_MS: u64 = 7 * DELEGATION_TERM_MS;
/// The end of a token that was cancelled.
pub const CANCELLED: UnixMillis = UnixMillis(0);
/// The most tokens remembered. Each is forgotten when it can be renewed no more.
pub const DELEGATION_TERMS_MAX: u64 = 100_000;

/// Which token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct DelegationTokenId {
    /// When it ends, however often it is renewed.
    pub ends: UnixMillis,
    /// Random.
    pub nonce: [u8; 16],
}
