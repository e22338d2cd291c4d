//! How storage classes keep blocks: whole copies, or groups of blocks with parity.
//!
//! A *group* is `data` blocks and the `parity` blocks computed from them; any `data` of its members give all others. Its
//! members stand on different failure domains. Data blocks stay plain blocks and are read as such.

use crate::block::{BlockKind, LocatedBlock, ReplicaLocation};
use crate::erasure::{DATA_MEMBERS_MAX, PARITY_MEMBERS_MAX};
use crate::ids::{BlockId, GenerationStamp};
use crate::token::BlockToken;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The most copies a policy may ask for.
pub const REPLICAS_MAX: u8 = 10;

/// A group of coded blocks, named after its first parity block. Never reused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct GroupId(pub u64);

impl fmt::Display for GroupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// What a storage class asks for. Written `replicas-3`, `rs-6-3`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum RedundancyPolicy {
    /// So many copies of every block.
    Replicated(u8),
    /// Groups of so many data and parity blocks.
    ReedSolomon { data: u8, parity: u8 },
}

impl RedundancyPolicy {
    /// Failure domains it needs.
    pub fn domains(self) -> usize {
        match self {
            RedundancyPolicy::Replicated(copies) => usize::from(copies),
            RedundancyPolicy::ReedSolomon { data, parity } => usize::from(data) + usize::from(parity),
        }
    }

    /// Bytes stored per byte kept, without the padding of shorter blocks.
    pub fn overhead(self) -> f64 {
        match self {
            RedundancyPolicy::Replicated(copies) => f64::from(copies),
            RedundancyPolicy::ReedSolomon { data, parity } => f64::from(data + parity) / f64::from(data),
        }
    }
}

impl fmt::Display for RedundancyPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RedundancyPolicy::Replicated(copies) => write!(f, "replicas-{copies}"),
            RedundancyPolicy::ReedSolomon { data, parity } => write!(f, "rs-{data}-{parity}"),
        }
    }
}

/// A policy that is not one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no redundancy: write replicas-N with N from 1 to {REPLICAS_MAX}, or rs-K-M with K from 1 to \
     {DATA_MEMBERS_MAX} and M from 1 to {PARITY_MEMBERS_MAX}"
)]
pub struct NotAPolicy(String);

impl FromStr for RedundancyPolicy {
    type Err = NotAPolicy;

    fn from_str(text: &str) -> Result<Self, NotAPolicy> {
        let refused = || NotAPolicy(text.to_owned());
        let number = |word: &str, max: u8| word.parse().ok().filter(|count| (1..=max).contains(count));
        let parts: Vec<&str> = text.split('-').collect();
        match parts.as_slice() {
            ["replicas", copies] => number(copies, REPLICAS_MAX).map(RedundancyPolicy::Replicated).ok_or_else(refused),
            ["rs", data, parity] => {
                let data = number(data, DATA_MEMBERS_MAX).ok_or_else(refused)?;
                let parity = number(parity, PARITY_MEMBERS_MAX).ok_or_else(refused)?;
                Ok(RedundancyPolicy::ReedSolomon { data, parity })
            }
            _ => Err(refused()),
        }
    }
}

impl TryFrom<String> for RedundancyPolicy {
    type Error = NotAPolicy;

    fn try_from(text: String) -> Result<Self, NotAPolicy> {
        text.parse()
    }
}

impl From<RedundancyPolicy> for String {
    fn from(policy: RedundancyPolicy) -> String {
        policy.to_string()
    }
}

/// A member of a group that can be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodingSource {
    /// Its place in the group, data members first.
    pub place: u8,
    /// The block and its live replicas. `length` is the member's; the token covers what is to be read.
    pub located: LocatedBlock,
}

/// A member of a group that is to be written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodingTarget {
    /// Its place in the group.
    pub place: u8,
    pub block: BlockId,
    pub kind: BlockKind,
    pub generation: GenerationStamp,
    /// Its bytes, at least 1.
    pub length: u32,
    /// Where the replica goes.
    pub to: ReplicaLocation,
    /// Allows copying the block there.
    pub token: BlockToken,
}

/// Work for a datanode: members of a group made from others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodingJob {
    /// The group's data members.
    pub data: u8,
    /// Its parity members.
    pub parity: u8,
    /// As many as the group has data members.
    pub sources: Vec<CodingSource>,
    /// At least one, none of them a source.
    pub targets: Vec<CodingTarget>,
}

/// A group as a reader of one of its members sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocatedGroup {
    pub group: GroupId,
    /// Its data members.
    pub data: u8,
    /// Its parity members.
    pub parity: u8,
    /// The place of the member asked about.
    pub place: u8,
    /// The other members, by place; those without a live replica have an empty `located.replicas`. Tokens cover the
    /// window asked for, as far as the member reaches.
    pub others: Vec<CodingSource>,
}

impl LocatedGroup {
    /// Members besides the one asked about that have a live replica.
    pub fn readable(&self) -> usize {
        self.others.iter().filter(|other| !other.located.replicas.is_empty()).count()
    }
}

/// `granary admin class`: what classes ask for, and what is stored for them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClassReport {
    /// Failure domains in service: nodes, or the volumes of a single node.
    pub domains: u64,
    /// `node` or `volume`.
    pub domain: String,
    /// Every class, in AWS's transition order.
    pub classes: Vec<ClassStatus>,
    /// Every coded group.
    pub groups: GroupLedger,
}

/// One class in a [`ClassReport`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClassStatus {
    /// Its S3 name.
    pub class: String,
    /// What sealed blocks of the class come to, with the domains there are.
    pub policy: RedundancyPolicy,
    /// Whether the configuration names it, rather than the defaults for this number of domains.
    pub configured: bool,
    /// On which volumes its blocks belong: `ssd`, `disk`, `archive`, or `any`, which is all but `archive`.
    pub media: String,
    /// Whether there is such a volume; while there is none all volumes will do.
    pub has_media: bool,
    /// Failure domains that can take its blocks.
    pub domains: u64,
    /// How its objects come back: empty for those that can be read at once. Filled in by the gateway.
    pub restore: String,
    /// Copies a block is written with.
    pub fresh_replicas: u8,
    /// Data blocks.
    pub blocks: u64,
    /// Of those, blocks in committed groups.
    pub coded_blocks: u64,
    /// Bytes that contents have in them, record headers included.
    pub live_bytes: u64,
    /// Bytes of all live replicas of data and parity blocks.
    pub stored_bytes: u64,
    /// Of them, bytes on volumes of other media than the class belongs on: they are moved, as far as there is room.
    pub other_media_bytes: u64,
}

/// Wanted against live members of every group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupLedger {
    /// Groups that are committed: their data blocks rely on them.
    pub groups: u64,
    /// Groups whose parity is being computed.
    pub encoding: u64,
    /// Groups that are being dissolved, because most of their bytes are dead.
    pub dissolving: u64,
    /// Members of committed groups, and those with a live replica.
    pub members_wanted: u64,
    pub members_live: u64,
    /// Members without a live replica that can be rebuilt, and their bytes.
    pub members_lost: u64,
    pub lost_bytes: u64,
    /// Groups with fewer live members than it takes to rebuild the others.
    pub unreadable_groups: u64,
    /// Members that share a failure domain with another member of their group.
    pub members_misplaced: u64,
    /// Groups with more members than there are failure domains: the rule must be broken, or they stay incomplete.
    pub groups_beyond_domains: u64,
    /// Bytes of data and parity members, each once.
    pub data_bytes: u64,
    pub parity_bytes: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_are_read_as_they_are_written() {
        for text in ["replicas-1", "replicas-10", "rs-6-3", "rs-10-4"] {
            assert_eq!(text.parse::<RedundancyPolicy>().unwrap().to_string(), text);
        }
        for text in ["", "3", "replicas-0", "replicas-11", "rs-6", "rs-0-3", "rs-33-1", "rs-6-17", "rs-6-3-1"] {
            assert!(text.parse::<RedundancyPolicy>().is_err(), "{text:?}");
        }
        assert_eq!(RedundancyPolicy::ReedSolomon { data: 6, parity: 3 }.overhead(), 1.5);
        assert_eq!(RedundancyPolicy::ReedSolomon { data: 10, parity: 4 }.domains(), 14);
    }
}
