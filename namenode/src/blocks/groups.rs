//! Coded groups in soft state: which members live, on which failure domains, and what follows for ledger and work lists.
//!
//! A group is counted anew whenever one of its members is. Members count as lost when no replica of them lives, and as
//! recoverable while enough others do.

use super::assignment::assign;
use super::ledger::{GroupShare, Phase};
use super::volumes::Domain;
use super::{Blocks, LOST_BY_ENCODING};
use crate::state::{GroupRecord, GroupState};
use granary_protocol::block::Extent;
use granary_protocol::redundancy::{CodingSource, GroupId, LocatedGroup};
use granary_protocol::token::AccessMode;
use granary_protocol::{BlockId, UnixMillis, VolumeId};

/// How long datanodes may take to register with a new leader and report.
const REPORTS_MS: u64 = 5_000;

/// A group and what is known of it.
#[derive(Debug)]
pub(super) struct TrackedGroup {
    pub(super) record: GroupRecord,
    /// Since when it is in its state, as far as this peer knows.
    pub(super) since: UnixMillis,
    counted: Option<GroupShare>,
    ranked: Option<u8>,
}

impl TrackedGroup {
    /// Members that are lost or stand on another member's domain.
    pub(super) fn is_healthy(&self) -> bool {
        self.counted.is_some_and(|share| share.lost == 0 && share.misplaced == 0)
    }
}

/// A member, as planning sees it.
#[derive(Clone, Debug)]
pub(super) struct Member {
    /// Its place in the group.
    pub(super) place: u8,
    pub(super) block: BlockId,
    pub(super) length: u32,
    /// Live good replicas.
    pub(super) volumes: Vec<VolumeId>,
    /// Whether it is only away for maintenance.
    pub(super) away: bool,
}

impl Member {
    pub(super) fn is_lost(&self) -> bool {
        self.volumes.is_empty() && !self.away
    }
}

impl Blocks {
    /// Learns a group's record at start.
    pub fn restore_group(&mut self, group: GroupId, record: &GroupRecord) {
        self.group_changed(group, Some(record));
    }

    /// A group was formed, has come further, or is gone.
    pub(super) fn group_changed(&mut self, group: GroupId, record: Option<&GroupRecord>) {
        let Some(record) = record else { return self.group_gone(group) };
        let since = match self.groups.get(&group) {
            Some(known) if known.record.state == record.state => known.since,
            _ => self.now,
        };
        let (counted, ranked) = self.groups.get(&group).map_or((None, None), |known| (known.counted, known.ranked));
        self.groups.insert(group, TrackedGroup { record: record.clone(), since, counted, ranked });
        for member in record.members() {
            self.group_of.insert(member.block, group);
        }
        for member in record.members() {
            self.recount(member.block);
        }
    }

    fn group_gone(&mut self, group: GroupId) {
        let Some(known) = self.groups.remove(&group) else { return };
        self.ledger.replace_group(known.counted, None);
        if let Some(rank) = known.ranked {
            self.lost_groups.remove(&(rank, group));
        }
        self.crowded_groups.remove(&group);
        self.unsettled_groups.remove(&group);
        for member in known.record.members() {
            self.group_of.remove(&member.block);
            if let Some(tracked) = self.blocks.get_mut(&member.block) {
                tracked.recoverable = false;
            }
            self.recount(member.block);
        }
    }

    /// The group of a block, and its record.
    pub(super) fn group_with(&self, block: BlockId) -> Option<(GroupId, &TrackedGroup)> {
        let group = *self.group_of.get(&block)?;
        self.groups.get(&group).map(|tracked| (group, tracked))
    }

    /// Members by their place.
    pub(super) fn members(&self, record: &GroupRecord) -> Vec<Member> {
        let member = |(place, member): (usize, &crate::state::GroupMember)| {
            let good: Vec<VolumeId> = self.blocks.get(&member.block).into_iter().flat_map(|t| t.good()).collect();
            let volumes: Vec<VolumeId> = good.iter().copied().filter(|volume| self.volumes.is_live(*volume)).collect();
            let away = volumes.is_empty() && good.iter().any(|volume| self.volumes.in_maintenance(*volume));
            Member { place: place as u8, block: member.block, length: member.length, volumes, away }
        };
        record.members().enumerate().map(member).collect()
    }

    /// For every member the volume that counts as its own, so that as many as possible stand on different domains, and of
    /// those ways one where they are on the media of their class. Replicas on datanodes that are to go count only where
    /// there is no other.
    pub(super) fn homes(&self, members: &[Member]) -> Vec<Option<VolumeId>> {
        let staying: Vec<Vec<VolumeId>> = members.iter().map(|member| self.staying(member)).collect();
        let on_media: Vec<Vec<VolumeId>> =
            members.iter().zip(&staying).map(|(member, volumes)| self.on_its_media(member.block, volumes)).collect();
        let best = self.homes_among(&on_media);
        if best.iter().all(Option::is_some) || on_media == staying {
            return best;
        }
        let all = self.homes_among(&staying);
        let found = |homes: &[Option<VolumeId>]| homes.iter().flatten().count();
        if found(&all) > found(&best) { all } else { best }
    }

    fn homes_among(&self, choices: &[Vec<VolumeId>]) -> Vec<Option<VolumeId>> {
        let domains = assign(&choices.iter().map(|volumes| self.domains_of(volumes)).collect::<Vec<_>>());
        let on = |(volumes, domain): (&Vec<VolumeId>, Option<Domain>)| {
            let domain = domain?;
            volumes.iter().copied().find(|volume| self.volumes.domain_of(*volume) == Some(domain))
        };
        choices.iter().zip(domains).map(on).collect()
    }

    /// Those of a block's volumes that are on the media of its class; all, if none is.
    fn on_its_media(&self, block: BlockId, volumes: &[VolumeId]) -> Vec<VolumeId> {
        let suited: Vec<VolumeId> =
            volumes.iter().copied().filter(|volume| self.is_on_its_media(block, *volume)).collect();
        if suited.is_empty() { volumes.to_vec() } else { suited }
    }

    fn staying(&self, member: &Member) -> Vec<VolumeId> {
        let staying: Vec<VolumeId> =
            member.volumes.iter().copied().filter(|volume| !self.volumes.is_leaving(*volume)).collect();
        if staying.is_empty() { member.volumes.clone() } else { staying }
    }

    pub(super) fn domains_of(&self, volumes: &[VolumeId]) -> Vec<Domain> {
        let mut domains: Vec<Domain> = volumes.iter().filter_map(|volume| self.volumes.domain_of(*volume)).collect();
        domains.dedup();
        domains
    }

    /// Whether what is not known to live may be called lost: this leader has had time to hear of all there is.
    pub(super) fn has_heard_all(&self, now: UnixMillis) -> bool {
        now.0.saturating_sub(self.led_since.0) >= REPORTS_MS && self.volumes.all_reported()
    }

    /// Brings ledger and work lists in line with what is known of the group's members.
    pub(super) fn recount_group(&mut self, group: GroupId) {
        let Some(tracked) = self.groups.get(&group) else { return };
        let record = &tracked.record;
        let members = self.members(record);
        let homes = self.homes(&members);
        let data = record.data.len();
        let live = members.iter().filter(|member| !member.volumes.is_empty()).count();
        let lost = || members.iter().filter(|member| member.is_lost());
        let misplaced = members.iter().zip(&homes).filter(|(m, home)| !m.volumes.is_empty() && home.is_none()).count();
        let bytes = |members: &[crate::state::GroupMember]| members.iter().map(|m| u64::from(m.length)).sum();
        let (phase, protects) = match record.state {
            GroupState::Encoding => (Phase::Encoding, false),
            GroupState::Coded => (Phase::Coded, true),
            GroupState::Dissolving => (Phase::Dissolving, true),
        };
        let readable = live >= data;
        let share = GroupShare {
            phase,
            members: members.len() as u8,
            live: live as u8,
            lost: lost().count() as u8,
            lost_bytes: lost().map(|member| u64::from(member.length)).sum(),
            misplaced: misplaced as u8,
            readable,
            data_bytes: bytes(&record.data),
            parity_bytes: bytes(&record.parity),
        };
        let unsettled = record.state != GroupState::Coded || self.is_spent(record);
        let rank = match protects {
            _ if share.lost == 0 || !readable => None,
            true => Some((live - data) as u8),
            false => Some(LOST_BY_ENCODING),
        };
        let crowded = protects && misplaced > 0;
        for member in &members {
            self.set_recoverable(member.block, protects && readable && member.volumes.is_empty());
        }
        let tracked = self.groups.get_mut(&group).expect("it was found above");
        self.ledger.replace_group(tracked.counted.replace(share), Some(share));
        if let Some(old) = std::mem::replace(&mut tracked.ranked, rank) {
            self.lost_groups.remove(&(old, group));
        }
        self.lost_groups.extend(rank.map(|rank| (rank, group)));
        for (set, belongs) in [(&mut self.crowded_groups, crowded), (&mut self.unsettled_groups, unsettled)] {
            if belongs {
                set.insert(group);
            } else {
                set.remove(&group);
            }
        }
    }

    /// Whether most bytes of the group's data blocks are dead, or of classes that are not coded; or one of the blocks is to go
    /// to an archive target, which it can only alone.
    pub(super) fn is_spent(&self, record: &GroupRecord) -> bool {
        let alive = |member: &crate::state::GroupMember| {
            let tracked = self.blocks.get(&member.block)?;
            self.policies.may_be_coded(tracked.class).then_some(tracked.live_bytes)
        };
        let is_leaving = |member: &crate::state::GroupMember| {
            let tracked = self.blocks.get(&member.block);
            tracked.is_some_and(|tracked| tracked.live_bytes > 0 && self.external.is_active(tracked.class))
        };
        if record.data.iter().any(is_leaving) {
            return true;
        }
        let live: u64 = record.data.iter().filter_map(alive).sum();
        let all: u64 = record.data.iter().map(|member| u64::from(member.length)).sum();
        live * 2 < all
    }

    fn set_recoverable(&mut self, block: BlockId, recoverable: bool) {
        let Some(tracked) = self.blocks.get_mut(&block) else { return };
        if tracked.recoverable == recoverable {
            return;
        }
        tracked.recoverable = recoverable;
        let old = tracked.counted;
        if let Some(share) = &mut tracked.counted {
            share.kind.recoverable = recoverable;
        }
        self.ledger.replace(old, tracked.counted);
    }

    /// The other members of a block's group, with tokens for the bytes of each from `offset` on; `None` when the block is
    /// in no group that protects it, or too few members are known of and reports are still coming in.
    pub fn locate_group(&self, block: BlockId, offset: u32, length: u32, now: UnixMillis) -> Option<LocatedGroup> {
        let (group, tracked) = self.group_with(block)?;
        if tracked.record.state == GroupState::Encoding {
            return None;
        }
        let record = &tracked.record;
        let place = record.members().position(|member| member.block == block)? as u8;
        let other = |(at, member): (usize, &crate::state::GroupMember)| {
            let from = offset.min(member.length);
            let extent = Extent { block: member.block, offset: from, length: length.min(member.length - from) };
            let located = self.locate(extent, AccessMode::Read, now)?;
            Some(CodingSource { place: at as u8, located })
        };
        let others = record.members().enumerate().filter(|(at, _)| *at != usize::from(place)).filter_map(other);
        let (data, parity) = (record.data.len() as u8, record.parity.len() as u8);
        let located = LocatedGroup { group, data, parity, place, others: others.collect() };
        (located.readable() >= usize::from(data) || self.has_heard_all(now)).then_some(located)
    }
}
