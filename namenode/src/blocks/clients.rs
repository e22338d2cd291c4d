//! What Hadoop clients need of soft state: datanodes by host, replicas nearest first, pipelines over distinct datanodes, and
//! how much members have of a block whose writer has fallen silent.

use super::{Blocks, whole};
use granary_protocol::block::{BLOCK_BYTES_MAX, LocatedBlock, ReplicaLocation};
use granary_protocol::filesystem::PipelineMember;
use granary_protocol::namenode::{DatanodeCommand, ReplicaReport};
use granary_protocol::object::StorageClass;
use granary_protocol::token::{AccessMode, BlockToken, TOKEN_LIFETIME_MS};
use granary_protocol::{BlockId, DatanodeId, GenerationStamp, UnixMillis, VolumeId};
use std::collections::BTreeMap;

/// Members are asked again after this long.
const ASK_AGAIN_MS: u64 = 3_000;
/// After this long the block is ended with what those members have that answered.
const PATIENCE_MS: u64 = 10_000;

/// A block whose members are being asked how much they have.
#[derive(Default)]
pub(super) struct Measuring {
    generation: GenerationStamp,
    begun: UnixMillis,
    asked: Option<UnixMillis>,
    lengths: BTreeMap<VolumeId, u32>,
}

impl Blocks {
    /// A pipeline for a Hadoop client: at most `count` volumes, each of another datanode.
    pub fn choose_pipeline(&mut self, count: usize, host: &str, exclude: &[DatanodeId]) -> Vec<VolumeId> {
        let writer = self.datanode_at(host);
        let excluded: Vec<VolumeId> = exclude.iter().flat_map(|datanode| self.volumes.of_datanode(*datanode)).collect();
        let targets = self.choose_targets(count, StorageClass::Standard, writer, &excluded);
        self.distinct(targets, &[])
    }

    /// More volumes for a pipeline that lost members, each of a datanode that is not in it.
    pub fn choose_additional(&mut self, count: usize, existing: &[VolumeId], exclude: &[DatanodeId]) -> Vec<VolumeId> {
        self.seed = self.seed.wrapping_add(1);
        let datanodes = existing.iter().filter_map(|volume| self.volumes.location(*volume)).map(|at| at.datanode.id);
        let nodes: Vec<DatanodeId> = datanodes.chain(exclude.iter().copied()).collect();
        let excluded: Vec<VolumeId> = nodes.iter().flat_map(|node| self.volumes.of_datanode(*node)).collect();
        let bytes = u64::from(BLOCK_BYTES_MAX);
        let media = self.policies.media(StorageClass::Standard);
        let targets = self.volumes.place(count, media, None, existing, &excluded, bytes, self.seed);
        let targets = self.distinct(targets, &nodes);
        self.volumes.scheduled(&targets);
        targets
    }

    fn distinct(&self, volumes: Vec<VolumeId>, but: &[DatanodeId]) -> Vec<VolumeId> {
        let mut seen = but.to_vec();
        let new = |volume: &VolumeId| match self.volumes.location(*volume) {
            Some(location) if !seen.contains(&location.datanode.id) => {
                seen.push(location.datanode.id);
                true
            }
            _ => false,
        };
        volumes.into_iter().filter(new).collect()
    }

    /// The volumes that a client's members are: those it names, or those of the block on the datanodes that it names.
    pub fn member_volumes(&self, block: BlockId, members: &[PipelineMember]) -> Vec<VolumeId> {
        let held: Vec<VolumeId> = self.blocks.get(&block).map(|tracked| tracked.held().collect()).unwrap_or_default();
        let of = |member: &PipelineMember| {
            let on = |volume: &VolumeId| self.volumes.is_of(*volume, member.datanode);
            member
                .volume
                .filter(on)
                .or_else(|| held.iter().copied().find(on))
                .or_else(|| self.volumes.of_datanode(member.datanode).into_iter().next())
        };
        members.iter().filter_map(of).collect()
    }

    /// Volumes as a client sees a pipeline, with a token that allows writing the block at `generation`.
    pub fn pipeline(
        &self,
        block: BlockId,
        volumes: &[VolumeId],
        generation: GenerationStamp,
        now: UnixMillis,
    ) -> Option<LocatedBlock> {
        let key = self.signing_key(now)?;
        let expires = UnixMillis(now.0 + TOKEN_LIFETIME_MS);
        Some(LocatedBlock {
            block,
            generation,
            length: 0,
            replicas: volumes.iter().filter_map(|volume| self.volumes.location(*volume)).collect(),
            token: BlockToken::sign(key, whole(block), generation, AccessMode::Write, expires),
        })
    }

    /// Sorts replicas for a caller: on its own host, on its rack, elsewhere. Of one datanode's only the first stays.
    pub fn nearest_first(&self, replicas: &mut Vec<ReplicaLocation>, host: &str) {
        let mut seen = Vec::with_capacity(replicas.len());
        replicas.retain(|replica| {
            let new = !seen.contains(&replica.datanode.id);
            seen.push(replica.datanode.id);
            new
        });
        if host.is_empty() || replicas.len() < 2 {
            return;
        }
        let near = self.datanode_at(host).and_then(|datanode| self.volumes.endpoint(datanode));
        let distance = |replica: &ReplicaLocation| match &near {
            _ if is_at(&replica.datanode, host) => 0,
            Some(near) if near.rack == replica.datanode.rack => 1,
            _ => 2,
        };
        replicas.sort_by_key(distance);
    }

    /// A live datanode on this host; one of several in turn.
    fn datanode_at(&self, host: &str) -> Option<DatanodeId> {
        if host.is_empty() {
            return None;
        }
        let here: Vec<DatanodeId> = self
            .volumes
            .live_endpoints()
            .filter(|endpoint| is_at(endpoint, host))
            .map(|endpoint| endpoint.id)
            .collect();
        let turn = (self.seed as usize).checked_rem(here.len())?;
        here.get(turn).copied()
    }

    /// Asks the members of a silent writer's block how much they have of it, at a generation that shuts the writer out.
    /// Once enough have answered: the bytes that all of these have, and who they are.
    pub fn measure(
        &mut self,
        block: BlockId,
        generation: GenerationStamp,
        visible: u32,
        now: UnixMillis,
    ) -> Option<(u32, Vec<VolumeId>)> {
        let tracked = self.blocks.get(&block)?;
        let members: Vec<VolumeId> = tracked.held().filter(|volume| self.volumes.is_live(*volume)).collect();
        let measuring = self.measuring.entry(block).or_default();
        if measuring.generation != generation {
            *measuring = Measuring { generation, begun: now, ..Measuring::default() };
        }
        let missing: Vec<VolumeId> =
            members.iter().copied().filter(|volume| !measuring.lengths.contains_key(volume)).collect();
        let patient = now.0.saturating_sub(measuring.begun.0) < PATIENCE_MS;
        if !missing.is_empty() && (patient || measuring.lengths.is_empty()) {
            if measuring.asked.is_none_or(|asked| asked.0 + ASK_AGAIN_MS <= now.0) {
                measuring.asked = Some(now);
                for volume in missing {
                    self.volumes.command(volume, DatanodeCommand::Measure { volume, block, generation });
                }
            }
            return None;
        }
        // A member that has less than was declared visible has lost bytes, unless all have.
        let whole = measuring.lengths.values().any(|length| *length >= visible);
        let counts = |length: u32| !whole || length >= visible;
        let kept: Vec<(VolumeId, u32)> = measuring
            .lengths
            .iter()
            .map(|(volume, length)| (*volume, *length))
            .filter(|(_, has)| counts(*has))
            .collect();
        let length = kept.iter().map(|(_, length)| *length).min()?;
        Some((length, kept.into_iter().map(|(volume, _)| volume).collect()))
    }

    /// A member has answered.
    pub(super) fn measured(&mut self, volume: VolumeId, report: &ReplicaReport) {
        if let Some(measuring) = self.measuring.get_mut(&report.block) {
            measuring.lengths.insert(volume, report.length);
        }
    }

    /// A block is open no more: nobody needs to be asked.
    pub(super) fn forget_measuring(&mut self, block: BlockId) {
        self.measuring.remove(&block);
    }
}

fn is_at(endpoint: &granary_protocol::block::DatanodeEndpoint, host: &str) -> bool {
    let address = endpoint.address.rsplit_once(':').map_or(endpoint.address.as_str(), |(address, _)| address);
    endpoint.host == host || address.trim_matches(['[', ']']) == host
}
