//! The redundancy ledger: sums over all blocks, kept exact by adding and taking away each block's own share.

use granary_protocol::admin::Redundancy;
use granary_protocol::{BlockId, LeaseId};
use std::collections::{BTreeSet, HashMap};

/// What one block adds to the sums.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Share {
    pub(super) bytes: u64,
    /// By policy.
    pub(super) wanted: u8,
    /// On live volumes, good.
    pub(super) live: u8,
    /// All live ones on one rack, though there are others.
    pub(super) one_rack: bool,
    /// There are further live ones on datanodes that are to go.
    pub(super) leaving: bool,
}

impl Share {
    fn class(&self) -> (u8, u8, bool, bool) {
        (self.wanted, self.live, self.one_rack, self.leaving)
    }
}

/// The sums.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// Blocks and bytes by [`Share::class`]: a handful of classes whatever the number of blocks, so that the figures
    /// can be told for any number of failure domains.
    classes: HashMap<(u8, u8, bool, bool), (u64, u64)>,
    open: HashMap<LeaseId, BTreeSet<BlockId>>,
}

impl Ledger {
    /// Replaces a block's share.
    pub(super) fn replace(&mut self, old: Option<Share>, new: Option<Share>) {
        if old == new {
            return;
        }
        if let Some(share) = old {
            let class = self.classes.get_mut(&share.class()).expect("a share taken away was added before");
            class.0 -= 1;
            class.1 -= share.bytes;
        }
        if let Some(share) = new {
            let class = self.classes.entry(share.class()).or_default();
            class.0 += 1;
            class.1 += share.bytes;
        }
    }

    pub(super) fn opened(&mut self, lease: LeaseId, block: BlockId) {
        self.open.entry(lease).or_default().insert(block);
    }

    pub(super) fn closed(&mut self, lease: LeaseId, block: BlockId) {
        if let Some(blocks) = self.open.get_mut(&lease) {
            blocks.remove(&block);
            if blocks.is_empty() {
                self.open.remove(&lease);
            }
        }
    }

    pub(super) fn open_of(&self, lease: LeaseId) -> impl Iterator<Item = BlockId> + '_ {
        self.open.get(&lease).into_iter().flatten().copied()
    }

    /// The figures, when replicas of a block can stand on `domains` different volumes.
    pub(super) fn redundancy(&self, domains: usize) -> Redundancy {
        let mut sum = Redundancy::default();
        for (&(wanted, live, one_rack, leaving), &(blocks, bytes)) in &self.classes {
            let possible = usize::from(wanted).min(domains.max(1)) as u8;
            sum.blocks += blocks;
            sum.replicas_wanted += blocks * u64::from(wanted);
            sum.replicas_live += blocks * u64::from(live);
            sum.policy_shortfall_replicas += blocks * u64::from(wanted - possible);
            if live < possible {
                sum.under_replicated_blocks += blocks;
                sum.under_replicated_bytes += bytes;
            }
            if live == 0 && !leaving {
                sum.missing_blocks += blocks;
                sum.missing_bytes += bytes;
            }
            if live > wanted {
                sum.over_replicated_blocks += blocks;
            }
            if one_rack {
                sum.mis_replicated_blocks += blocks;
            }
        }
        sum
    }
}
