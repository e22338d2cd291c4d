//! The redundancy ledger: sums over all blocks and groups, kept exact by adding and taking away each one's own share.

use granary_protocol::admin::Redundancy;
use granary_protocol::object::StorageClass;
use granary_protocol::redundancy::{ClassStatus, GroupLedger};
use granary_protocol::{BlockId, LeaseId};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// What one block adds to the sums.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Share {
    pub(super) bytes: u64,
    /// Of them, those that contents refer to.
    pub(super) live_bytes: u64,
    pub(super) kind: ShareKind,
}

/// What blocks whose shares are summed together have in common.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct ShareKind {
    pub(super) class: StorageClass,
    /// By policy.
    pub(super) wanted: u8,
    /// On live volumes, good.
    pub(super) live: u8,
    /// All live ones on one rack, though there are others.
    pub(super) one_rack: bool,
    /// Live ones on media where the class does not belong.
    pub(super) off_media: u8,
    /// There are further live ones on datanodes that are to go.
    pub(super) leaving: bool,
    /// It is parity, not data.
    pub(super) parity: bool,
    /// It is in a group that protects it.
    pub(super) coded: bool,
    /// The live members of its group are enough to rebuild it.
    pub(super) recoverable: bool,
    /// An archive target has all of it.
    pub(super) external: bool,
}

/// What one group adds to the sums.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct GroupShare {
    pub(super) phase: Phase,
    pub(super) members: u8,
    pub(super) live: u8,
    pub(super) lost: u8,
    pub(super) lost_bytes: u64,
    pub(super) misplaced: u8,
    pub(super) readable: bool,
    pub(super) data_bytes: u64,
    pub(super) parity_bytes: u64,
}

/// How far a group is, for the ledger.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Phase {
    #[default]
    Encoding,
    Coded,
    Dissolving,
}

/// The sums.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// Blocks, their bytes and live bytes by [`ShareKind`]: a handful of kinds whatever the number of blocks, so that the
    /// figures can be told for any number of failure domains.
    kinds: HashMap<ShareKind, (u64, u64, u64)>,
    groups: GroupLedger,
    /// Groups that protect their blocks, by their number of members.
    group_sizes: BTreeMap<u8, u64>,
    open: HashMap<LeaseId, BTreeSet<BlockId>>,
}

impl Ledger {
    /// Replaces a block's share.
    pub(super) fn replace(&mut self, old: Option<Share>, new: Option<Share>) {
        if old == new {
            return;
        }
        if let Some(share) = old {
            let kind = self.kinds.get_mut(&share.kind).expect("a share taken away was added before");
            kind.0 -= 1;
            kind.1 -= share.bytes;
            kind.2 -= share.live_bytes;
            if kind.0 == 0 {
                self.kinds.remove(&share.kind);
            }
        }
        if let Some(share) = new {
            let kind = self.kinds.entry(share.kind).or_default();
            kind.0 += 1;
            kind.1 += share.bytes;
            kind.2 += share.live_bytes;
        }
    }

    /// Replaces a group's share.
    pub(super) fn replace_group(&mut self, old: Option<GroupShare>, new: Option<GroupShare>) {
        if old == new {
            return;
        }
        if let Some(share) = old {
            self.count_group(&share, |sum, by| *sum -= by);
        }
        if let Some(share) = new {
            self.count_group(&share, |sum, by| *sum += by);
        }
    }

    fn count_group(&mut self, share: &GroupShare, count: impl Fn(&mut u64, u64)) {
        let sums = &mut self.groups;
        match share.phase {
            Phase::Encoding => return count(&mut sums.encoding, 1),
            Phase::Dissolving => count(&mut sums.dissolving, 1),
            Phase::Coded => {}
        }
        count(&mut sums.groups, 1);
        count(&mut sums.members_wanted, share.members.into());
        count(&mut sums.members_live, share.live.into());
        if share.readable {
            count(&mut sums.members_lost, share.lost.into());
            count(&mut sums.lost_bytes, share.lost_bytes);
        } else {
            count(&mut sums.unreadable_groups, 1);
        }
        count(&mut sums.members_misplaced, share.misplaced.into());
        count(&mut sums.data_bytes, share.data_bytes);
        count(&mut sums.parity_bytes, share.parity_bytes);
        count(self.group_sizes.entry(share.members).or_default(), 1);
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
        for (kind, &(blocks, bytes, _)) in &self.kinds {
            let possible = usize::from(kind.wanted).min(domains.max(1)) as u8;
            sum.blocks += blocks;
            sum.replicas_wanted += blocks * u64::from(kind.wanted);
            sum.replicas_live += blocks * u64::from(kind.live);
            sum.policy_shortfall_replicas += blocks * u64::from(kind.wanted - possible);
            if kind.live < possible {
                sum.under_replicated_blocks += blocks;
                sum.under_replicated_bytes += bytes;
            }
            if kind.live == 0 && !kind.leaving && !kind.recoverable && !kind.external {
                sum.missing_blocks += blocks;
                sum.missing_bytes += bytes;
            }
            if kind.live > kind.wanted {
                sum.over_replicated_blocks += blocks;
            }
            if kind.one_rack {
                sum.mis_replicated_blocks += blocks;
            }
        }
        sum
    }

    /// The figures of groups, when their members can stand on `domains` different domains.
    pub(super) fn groups(&self, domains: usize) -> GroupLedger {
        let beyond = self.group_sizes.iter().filter(|(members, _)| usize::from(**members) > domains);
        GroupLedger { groups_beyond_domains: beyond.map(|(_, groups)| groups).sum(), ..self.groups }
    }

    /// Blocks of a class that an archive target has and of which replicas live here.
    pub(super) fn external_here(&self, class: StorageClass) -> u64 {
        let here = self.kinds.iter().filter(|(kind, _)| kind.class == class && kind.external && kind.live > 0);
        here.map(|(_, (blocks, _, _))| blocks).sum()
    }

    /// Adds what is stored for a class to its status.
    pub(super) fn add_class(&self, class: StorageClass, status: &mut ClassStatus) {
        for (kind, &(blocks, bytes, live_bytes)) in self.kinds.iter().filter(|(kind, _)| kind.class == class) {
            status.stored_bytes += bytes * u64::from(kind.live);
            status.other_media_bytes += bytes * u64::from(kind.off_media);
            if !kind.parity {
                status.blocks += blocks;
                status.live_bytes += live_bytes;
                status.coded_blocks += if kind.coded { blocks } else { 0 };
            }
        }
    }
}
