//! When each lease was last renewed: soft state of the leader.
//!
//! A new leader does not know, and gives every lease a full term from the moment it began to lead.

use granary_protocol::{LeaseId, UnixMillis};
use std::collections::HashMap;

/// Renewal times of the leases there are.
#[derive(Debug, Default)]
pub struct LeaseTable {
    renewed: HashMap<LeaseId, UnixMillis>,
}

impl LeaseTable {
    /// Starts every lease afresh, as a new leader does.
    pub fn restart(&mut self, leases: impl IntoIterator<Item = LeaseId>, now: UnixMillis) {
        self.renewed = leases.into_iter().map(|lease| (lease, now)).collect();
    }

    /// A lease was opened.
    pub fn opened(&mut self, lease: LeaseId, now: UnixMillis) {
        self.renewed.insert(lease, now);
    }

    /// A lease was closed or revoked.
    pub fn closed(&mut self, lease: LeaseId) {
        self.renewed.remove(&lease);
    }

    /// Its holder lives. `false` if there is no such lease.
    pub fn renew(&mut self, lease: LeaseId, now: UnixMillis) -> bool {
        match self.renewed.get_mut(&lease) {
            Some(renewed) => {
                *renewed = now.max(*renewed);
                true
            }
            None => false,
        }
    }

    /// How many leases there are.
    pub fn len(&self) -> usize {
        self.renewed.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.renewed.is_empty()
    }

    /// Leases whose holders have been silent for longer than `timeout_ms`.
    pub fn expired(&self, timeout_ms: u64, now: UnixMillis) -> Vec<LeaseId> {
        let silent = |renewed: &UnixMillis| now.0.saturating_sub(renewed.0) > timeout_ms;
        self.renewed.iter().filter(|(_, renewed)| silent(renewed)).map(|(lease, _)| *lease).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silent_lease_expires_and_a_renewed_one_does_not() {
        let mut table = LeaseTable::default();
        table.restart([LeaseId(1), LeaseId(2)], UnixMillis(1_000));
        assert!(table.renew(LeaseId(2), UnixMillis(50_000)));
        assert!(!table.renew(LeaseId(3), UnixMillis(50_000)));
        assert_eq!(table.expired(60_000, UnixMillis(61_000)), []);
        assert_eq!(table.expired(60_000, UnixMillis(61_001)), [LeaseId(1)]);
        table.closed(LeaseId(1));
        assert_eq!(table.expired(60_000, UnixMillis(100_000)), []);
    }
}
