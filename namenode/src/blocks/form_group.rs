//! Decides which groups are formed, committed, released and dropped. What it decides becomes commands.

use super::Blocks;
use super::SMALL_BLOCKS_MIN;
use super::assignment::assign;
use super::safe_mode::SafeMode;
use super::volumes::Domain;
use crate::command::Action;
use crate::state::{GroupRecord, GroupState};
use granary_protocol::object::StorageClass;
use granary_protocol::redundancy::{GroupId, RedundancyPolicy};
use granary_protocol::{BlockId, UnixMillis, VolumeId};

/// Commands planned at once at most.
const COMMANDS_MAX: usize = 64;
/// Waiting blocks of a class looked at for one group.
const CANDIDATES_MAX: usize = 512;
/// Beginnings among them that are tried.
const STARTS_MAX: usize = 64;
/// A group whose parity is not there after this long is given up.
const ENCODING_GIVEN_UP_MS: u64 = 15 * 60 * 1000;
/// Blocks that are not alike waste parity. A group may take this many percent more than its code needs before its blocks
/// have waited.
const WASTE_PERCENT_MAX: u64 = 15;

/// A block that may join a group.
struct Candidate {
    block: BlockId,
    length: u64,
    domains: Vec<Domain>,
    since: UnixMillis,
}

impl Blocks {
    /// Commands that bring groups further; the caller proposes them. Empty unless this peer leads and knows the cluster.
    pub fn plan_groups(&mut self, now: UnixMillis) -> Vec<Action> {
        let settled = now.0.saturating_sub(self.led_since.0) >= self.coding.settle_ms;
        if !self.leading || self.safe_mode != SafeMode::Off || !settled {
            return Vec::new();
        }
        let unsettled: Vec<GroupId> = self.unsettled_groups.iter().take(CANDIDATES_MAX).copied().collect();
        let mut commands: Vec<Action> =
            unsettled.into_iter().filter_map(|group| self.settle_group(group, now)).take(COMMANDS_MAX).collect();
        let encoding = self.ledger.groups(0).encoding as usize;
        let mut room = usize::from(self.coding.groups_at_once).saturating_sub(encoding);
        let mut chosen: Vec<BlockId> = Vec::new();
        for class in StorageClass::ALL {
            while room > 0 && commands.len() < COMMANDS_MAX {
                let Some((data, parity)) = self.choose_group(class, &chosen, now) else { break };
                chosen.extend(&data);
                commands.push(Action::FormGroup { class, data, parity });
                room -= 1;
            }
        }
        commands
    }

    /// What is to become of a group that is not at rest, if anything can be done now.
    fn settle_group(&self, group: GroupId, now: UnixMillis) -> Option<Action> {
        let tracked = self.groups.get(&group)?;
        let record = &tracked.record;
        match record.state {
            GroupState::Encoding if self.is_spent(record) => Some(Action::DropGroup { group }),
            GroupState::Encoding if self.is_stored(record) => Some(Action::CommitGroup { group }),
            GroupState::Encoding => {
                let overdue = now.0.saturating_sub(tracked.since.0) >= ENCODING_GIVEN_UP_MS;
                overdue.then_some(Action::DropGroup { group })
            }
            GroupState::Coded if self.is_spent(record) => {
                let replicas_wanted = self.fresh_replicas(record.class);
                Some(Action::ReleaseGroup { group, replicas_wanted })
            }
            GroupState::Coded => None,
            GroupState::Dissolving => self.is_replicated(record).then_some(Action::DropGroup { group }),
        }
    }

    /// Whether every member lives, on a domain of its own.
    fn is_stored(&self, record: &GroupRecord) -> bool {
        let members = self.members(record);
        let live = members.iter().all(|member| !member.volumes.is_empty());
        live && self.homes(&members).iter().all(Option::is_some)
    }

    /// Whether every living data block has the replicas it asks for, as far as there are volumes.
    fn is_replicated(&self, record: &GroupRecord) -> bool {
        let domains = self.volumes.domains();
        let done = |block: BlockId| {
            self.blocks.get(&block).is_none_or(|tracked| tracked.live_bytes == 0 || !tracked.is_thin(domains))
        };
        record.data.iter().all(|member| done(member.block))
    }

    /// The data blocks of the next group of a class, and how many parity blocks they get.
    fn choose_group(&self, class: StorageClass, chosen: &[BlockId], now: UnixMillis) -> Option<(Vec<BlockId>, u8)> {
        let domains = self.class_domains(class);
        let policy = self.policies.policy(class, domains);
        let RedundancyPolicy::ReedSolomon { data, parity } = policy else { return None };
        if policy.domains() > domains {
            return None;
        }
        let candidates = self.candidates(class, chosen);
        let longest_wait = candidates.iter().map(|c| now.0.saturating_sub(c.since.0)).max()?;
        let copies = u64::from(self.policies.fresh_replicas(class, domains));
        let shape = Shape { data: usize::from(data), parity: u64::from(parity), copies };
        let alike = |group: &[&Candidate]| shape.is_full(group) && shape.wastes_little(group);
        let pick = pick(&candidates, shape.data, alike).or_else(|| {
            let patient = |group: &[&Candidate]| {
                let missing = (shape.data - group.len()) as u64;
                longest_wait >= self.coding.patience_ms * missing.max(1) && shape.saves(group)
            };
            pick(&candidates, shape.data, patient)
        });
        Some((pick?, parity))
    }

    /// Blocks that wait for a group, longest first.
    fn candidates(&self, class: StorageClass, chosen: &[BlockId]) -> Vec<Candidate> {
        let merging = self.merging || self.small.len() >= SMALL_BLOCKS_MIN;
        let range = (class, 0, BlockId(0))..=(class, u32::MAX, BlockId(u64::MAX));
        let waiting = self.codable.range(range).rev();
        let free = waiting.filter(|((_, _, block), _)| {
            let busy = self.pending.contains_key(block) || self.claims.contains_key(block);
            !busy && !chosen.contains(block) && !(merging && self.small.contains(block))
        });
        let candidate = |((_, length, block), since): (&(StorageClass, u32, BlockId), &UnixMillis)| {
            let staying: Vec<VolumeId> =
                self.live_good(*block).into_iter().filter(|volume| !self.volumes.is_leaving(*volume)).collect();
            let domains = self.domains_of(&staying);
            (!domains.is_empty()).then_some(Candidate {
                block: *block,
                length: u64::from(*length),
                domains,
                since: *since,
            })
        };
        free.filter_map(candidate).take(CANDIDATES_MAX).collect()
    }
}

/// What a group of a policy looks like, and what it takes.
struct Shape {
    data: usize,
    parity: u64,
    /// What its blocks have now.
    copies: u64,
}

impl Shape {
    fn is_full(&self, group: &[&Candidate]) -> bool {
        group.len() == self.data
    }

    /// Bytes of the data, and bytes stored for them in the group.
    fn bytes(&self, group: &[&Candidate]) -> (u64, u64) {
        let data: u64 = group.iter().map(|candidate| candidate.length).sum();
        let longest = group.iter().map(|candidate| candidate.length).max().unwrap_or(0);
        (data, data + self.parity * longest)
    }

    fn wastes_little(&self, group: &[&Candidate]) -> bool {
        let (data, stored) = self.bytes(group);
        let needed = data * (group.len() as u64 + self.parity) / group.len().max(1) as u64;
        stored * 100 <= needed * (100 + WASTE_PERCENT_MAX)
    }

    fn saves(&self, group: &[&Candidate]) -> bool {
        let (data, stored) = self.bytes(group);
        stored < data * self.copies
    }
}

/// Up to `size` candidates that can stand on domains of their own and that `fit`, from the first place on where they do.
fn pick(candidates: &[Candidate], size: usize, fit: impl Fn(&[&Candidate]) -> bool) -> Option<Vec<BlockId>> {
    for start in 0..candidates.len().min(STARTS_MAX) {
        let mut group: Vec<&Candidate> = Vec::with_capacity(size);
        let mut choices: Vec<Vec<Domain>> = Vec::with_capacity(size);
        for candidate in &candidates[start..] {
            if group.len() == size {
                break;
            }
            choices.push(candidate.domains.clone());
            if assign(&choices).iter().all(Option::is_some) {
                group.push(candidate);
            } else {
                choices.pop();
            }
        }
        if !group.is_empty() && fit(&group) {
            return Some(group.iter().map(|candidate| candidate.block).collect());
        }
    }
    None
}
