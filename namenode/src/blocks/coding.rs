//! Work on coded groups: computing parity, rebuilding lost members, moving those that share a failure domain.
//!
//! To a datanode all of it is the same: members made from others ([`CodingJob`]). As many members as there are data blocks
//! are read, the shortest ones, and every lost member of the group is made in one go.

use super::groups::Member;
use super::repair::{COPY_BYTES_PER_MS_MIN, COPY_TIMEOUT_MS, DEFERRED_MS, Pending};
use super::volumes::Domain;
use super::{Blocks, whole};
use crate::state::{GroupRecord, GroupState};
use granary_protocol::block::Extent;
use granary_protocol::namenode::DatanodeCommand;
use granary_protocol::redundancy::{CodingJob, CodingSource, CodingTarget, GroupId};
use granary_protocol::token::AccessMode;
use granary_protocol::{BlockId, UnixMillis, VolumeId};

/// Groups looked at in one plan, of each kind.
const GROUPS_LOOKED_AT_MAX: usize = 256;

impl Blocks {
    /// Orders jobs for groups with lost members, those with the fewest spare members first, and then moves of members that
    /// share a domain. Returns how many more copies may be ordered.
    pub(super) fn plan_coding(&mut self, now: UnixMillis, mut room: usize) -> usize {
        let lost: Vec<GroupId> = self.lost_groups.iter().take(GROUPS_LOOKED_AT_MAX).map(|(_, group)| *group).collect();
        for group in lost {
            if room == 0 {
                return 0;
            }
            match self.order_coding(group, now) {
                Ordered::Jobs(made) => room = room.saturating_sub(made),
                Ordered::Busy => {}
                Ordered::Impossible => self.defer_group(group, now),
            }
        }
        let crowded: Vec<GroupId> = self.crowded_groups.iter().take(GROUPS_LOOKED_AT_MAX).copied().collect();
        for group in crowded {
            if room == 0 {
                return 0;
            }
            room -= usize::from(self.spread_group(group, now));
        }
        room
    }

    fn defer_group(&mut self, group: GroupId, now: UnixMillis) {
        let Some(tracked) = self.groups.get(&group) else { return };
        let lost: Vec<BlockId> =
            self.members(&tracked.record).iter().filter(|member| member.is_lost()).map(|m| m.block).collect();
        for block in lost {
            self.deferred.insert(block, UnixMillis(now.0 + DEFERRED_MS));
        }
    }

    fn order_coding(&mut self, group: GroupId, now: UnixMillis) -> Ordered {
        let Some(tracked) = self.groups.get(&group) else { return Ordered::Busy };
        let record = tracked.record.clone();
        let members = self.members(&record);
        let lost: Vec<&Member> = members.iter().filter(|member| member.is_lost()).collect();
        let waits =
            |member: &&Member| self.pending.contains_key(&member.block) || self.deferred.contains_key(&member.block);
        if lost.is_empty() || lost.iter().any(waits) {
            return Ordered::Busy;
        }
        let placed = self.place_members(&members, &lost);
        let longest = placed.iter().map(|(member, _)| member.length).max().unwrap_or(0);
        let mut readable: Vec<&Member> = members.iter().filter(|member| !member.volumes.is_empty()).collect();
        readable.sort_by_key(|member| (member.length.min(longest), member.place));
        readable.truncate(record.data.len());
        if placed.is_empty() || readable.len() < record.data.len() {
            return Ordered::Impossible;
        }
        self.send_job(&record, &readable, &placed, now)
    }

    /// A volume for every lost member for which there is one, on a domain of its own.
    fn place_members<'m>(&mut self, members: &[Member], lost: &[&'m Member]) -> Vec<(&'m Member, VolumeId)> {
        let homes = self.homes(members);
        let mut standing: Vec<VolumeId> = homes.iter().flatten().copied().collect();
        let mut taken: Vec<Domain> = self.domains_of(&standing);
        let mut placed = Vec::with_capacity(lost.len());
        for member in lost {
            let held = self.blocks.get(&member.block).into_iter().flat_map(|tracked| tracked.held());
            let mut own: Vec<VolumeId> = held.collect();
            own.extend(self.unfit_of(member.block).iter().map(|(volume, _)| *volume));
            let mut exclude = self.volumes.in_domains(&taken);
            exclude.extend(&own);
            self.seed = self.seed.wrapping_add(1);
            let needed = u64::from(member.length);
            let class = self.blocks.get(&member.block).map(|tracked| tracked.class).unwrap_or_default();
            let media = self.policies.media(class);
            let mut found = self.volumes.place(1, media, None, &standing, &exclude, needed, self.seed);
            if found.is_empty() && self.coding.share_domains {
                let exclude = [own, standing.clone()].concat();
                found = self.volumes.place(1, media, None, &standing, &exclude, needed, self.seed);
            }
            let Some(volume) = found.pop() else { continue };
            taken.extend(self.volumes.domain_of(volume));
            standing.push(volume);
            placed.push((*member, volume));
        }
        placed
    }

    fn send_job(
        &mut self,
        record: &GroupRecord,
        sources: &[&Member],
        placed: &[(&Member, VolumeId)],
        now: UnixMillis,
    ) -> Ordered {
        let source = |member: &&Member| {
            let extent = Extent { block: member.block, offset: 0, length: member.length };
            Some(CodingSource { place: member.place, located: self.locate(extent, AccessMode::Read, now)? })
        };
        let target = |(member, volume): &(&Member, VolumeId)| {
            let tracked = self.blocks.get(&member.block)?;
            Some(CodingTarget {
                place: member.place,
                block: member.block,
                kind: tracked.kind,
                generation: tracked.generation,
                length: member.length,
                to: self.volumes.location(*volume)?,
                token: self.sign(whole(member.block), tracked, AccessMode::Copy, now),
            })
        };
        let job = CodingJob {
            data: record.data.len() as u8,
            parity: record.parity.len() as u8,
            sources: sources.iter().filter_map(source).collect(),
            targets: placed.iter().filter_map(target).collect(),
        };
        let (executor, targets) = (placed[0].1, job.targets.clone());
        if job.sources.len() != sources.len() || targets.len() != placed.len() {
            return Ordered::Impossible;
        }
        let command = DatanodeCommand::Code { volume: executor, job: Box::new(job) };
        if !self.volumes.command(executor, command) {
            return Ordered::Impossible;
        }
        let bytes: u64 = sources.iter().map(|member| u64::from(member.length)).sum();
        let until = UnixMillis(now.0 + COPY_TIMEOUT_MS + bytes / COPY_BYTES_PER_MS_MIN);
        for target in &targets {
            let volume = target.to.volume;
            self.volumes.scheduled(&[volume]);
            let copy_of = Some((executor, target.generation));
            self.pending.insert(target.block, Pending { targets: vec![volume], until, copy_of });
        }
        Ordered::Jobs(targets.len())
    }

    /// Copies one member that shares a domain to a free one; its replica there is surplus then. `false` if there is none.
    fn spread_group(&mut self, group: GroupId, now: UnixMillis) -> bool {
        let Some(tracked) = self.groups.get(&group) else { return false };
        let members = self.members(&tracked.record);
        let homes = self.homes(&members);
        let crowded = members.iter().zip(&homes).find(|(member, home)| {
            let waits = self.pending.contains_key(&member.block) || self.deferred.contains_key(&member.block);
            !member.volumes.is_empty() && home.is_none() && !waits
        });
        let Some((member, _)) = crowded else { return false };
        let (block, volumes) = (member.block, member.volumes.clone());
        let targets = self.targets(block, 1, &volumes);
        let ordered = self.order_copy(block, &volumes, targets, now);
        if !ordered {
            self.deferred.insert(block, UnixMillis(now.0 + DEFERRED_MS));
        }
        ordered
    }

    /// Domains on which the other members of a block's group stand; none where the group protects nobody, or not any more.
    pub(super) fn domains_of_others(&self, block: BlockId) -> Vec<Domain> {
        let Some((_, group)) = self.group_with(block) else { return Vec::new() };
        if group.record.state != GroupState::Coded {
            return Vec::new();
        }
        let members = self.members(&group.record);
        let homes = self.homes(&members);
        let others = members.iter().zip(homes).filter(|(member, _)| member.block != block);
        self.domains_of(&others.filter_map(|(_, home)| home).collect::<Vec<_>>())
    }

    /// The volume on which a member of a group is to stay.
    pub(super) fn home_of(&self, block: BlockId, record: &GroupRecord) -> Option<VolumeId> {
        let mut members = self.members(record);
        let own = members.iter_mut().find(|member| member.block == block)?;
        // Only what the volume itself has told this leader is relied on.
        own.volumes.retain(|volume| self.volumes.is_reported(*volume));
        let homes = self.homes(&members);
        members.iter().zip(homes).find(|(member, _)| member.block == block).and_then(|(_, home)| home)
    }
}

/// What came of a group's turn.
enum Ordered {
    /// So many members are being made.
    Jobs(usize),
    /// Members are on their way, or step aside for a while.
    Busy,
    /// There is nowhere to put a member, or nobody to do it.
    Impossible,
}
