//! Where replicas go: pure code over candidates, exclusions and a seed.
//!
//! The default policy is HDFS's: the first replica on the writer's own node if it has a volume, the second on another
//! rack, the third on that same rack but another node; no two replicas on one node while there are other nodes, none
//! on one volume ever. Volumes of the media that the class belongs on come first: a replica goes to another media before
//! it goes to a node that has one, and to another rack's node of the right media before either. Where the cluster is too
//! small for a rule the rule is relaxed, and the ledger shows it.

use crate::redundancy::MediaRule;
use granary_protocol::block::Media;
use granary_protocol::{DatanodeId, Rack, VolumeId};

/// A volume that may take a replica.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The volume.
    pub volume: VolumeId,
    /// The node it is on.
    pub datanode: DatanodeId,
    /// The rack of that node.
    pub rack: Rack,
    /// What it is on.
    pub media: Media,
    /// Bytes free for replicas.
    pub free_bytes: u64,
    /// How full it is, 0 to 100.
    pub used_percent: u8,
    /// Replicas placed here since the volume last reported its space.
    pub scheduled: u32,
}

/// What is to be placed.
#[derive(Clone, Debug)]
pub struct Placement<'a> {
    /// Volumes in service.
    pub candidates: &'a [Candidate],
    /// Where the block is already.
    pub existing: &'a [Candidate],
    /// Volumes not to use.
    pub exclude: &'a [VolumeId],
    /// The media to choose while there is a choice; `None`: they are all the same.
    pub media: Option<MediaRule>,
    /// The node of the writer.
    pub writer: Option<DatanodeId>,
    /// Bytes a replica needs.
    pub needed_bytes: u64,
    /// Replicas to place besides the existing ones.
    pub count: usize,
    /// Whether candidates span more than one rack.
    pub several_racks: bool,
    /// Decides between equals.
    pub seed: u64,
}

/// Random probes tried for a replica before every candidate is looked at. Clusters smaller than this are always
/// looked at whole.
const PROBES: usize = 64;

/// A rule a target should obey; the first that some candidate satisfies decides.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rule {
    WriterLocal,
    RackAndNode,
    Node,
    Volume,
}

/// The order in which rules are tried, and whether the target must be on the right media.
const RULES: [(Rule, bool); 7] = [
    (Rule::WriterLocal, true),
    (Rule::RackAndNode, true),
    (Rule::Node, true),
    (Rule::RackAndNode, false),
    (Rule::Node, false),
    (Rule::Volume, true),
    (Rule::Volume, false),
];

impl Placement<'_> {
    /// Up to `count` volumes, in pipeline order. Fewer if there are no more that fit.
    pub fn choose(&self) -> Vec<VolumeId> {
        let mut random = SplitMix64(self.seed);
        let mut chosen: Vec<&Candidate> = Vec::with_capacity(self.count);
        while chosen.len() < self.count {
            match self.next_target(&chosen, &mut random) {
                Some(target) => chosen.push(target),
                None => break,
            }
        }
        chosen.into_iter().map(|candidate| candidate.volume).collect()
    }

    fn next_target<'c>(&'c self, chosen: &[&'c Candidate], random: &mut SplitMix64) -> Option<&'c Candidate> {
        // Where all media will do, nothing is found by trying twice.
        let rules = RULES.into_iter().filter(|(_, right_media)| *right_media || self.media.is_some());
        rules.into_iter().find_map(|(rule, right_media)| {
            let media = self.media.filter(|_| right_media);
            self.best(rule, media, chosen, random)
        })
    }

    /// The least loaded candidate that satisfies the rules, among a random sample in a large cluster.
    fn best<'c>(
        &'c self,
        rule: Rule,
        media: Option<MediaRule>,
        chosen: &[&'c Candidate],
        random: &mut SplitMix64,
    ) -> Option<&'c Candidate> {
        let placed: Vec<&Candidate> = self.existing.iter().chain(chosen.iter().copied()).collect();
        let fits = |candidate: &&Candidate| {
            media.is_none_or(|media| media.suits(candidate.media))
                && self.usable(candidate, &placed)
                && self.obeys(rule, candidate, &placed)
        };
        let count = self.candidates.len();
        if count > PROBES {
            let sample = (0..PROBES).map(|_| random.below(count)).collect::<Vec<_>>();
            let found = sample.iter().map(|&at| &self.candidates[at]).filter(fits).min_by_key(|c| c.load());
            if found.is_some() {
                return found;
            }
        }
        let first = random.below(count.max(1));
        self.candidates[first.min(count)..]
            .iter()
            .chain(&self.candidates[..first.min(count)])
            .filter(fits)
            .min_by_key(|c| c.load())
    }

    fn usable(&self, candidate: &Candidate, placed: &[&Candidate]) -> bool {
        candidate.free_bytes >= self.needed_bytes
            && !self.exclude.contains(&candidate.volume)
            && placed.iter().all(|other| other.volume != candidate.volume)
    }

    fn obeys(&self, rule: Rule, candidate: &Candidate, placed: &[&Candidate]) -> bool {
        let new_node = placed.iter().all(|other| other.datanode != candidate.datanode);
        match rule {
            Rule::WriterLocal => placed.is_empty() && self.writer == Some(candidate.datanode),
            Rule::RackAndNode => new_node && self.rack_fits(candidate, placed),
            Rule::Node => new_node,
            Rule::Volume => true,
        }
    }

    fn rack_fits(&self, candidate: &Candidate, placed: &[&Candidate]) -> bool {
        if !self.several_racks {
            return true;
        }
        let Some(first) = placed.first() else { return true };
        let one_rack = placed.iter().all(|other| other.rack == first.rack);
        if one_rack {
            return candidate.rack != first.rack;
        }
        if placed.len() == 2 {
            return candidate.rack == placed[1].rack;
        }
        placed.iter().filter(|other| other.rack == candidate.rack).count() < 2
    }
}

impl Candidate {
    /// Lower is better: what was just scheduled weighs most, because the volume's own figures do not show it yet.
    fn load(&self) -> u64 {
        u64::from(self.scheduled) * 4 + u64::from(self.used_percent)
    }
}

/// A small seeded generator (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014).
pub(crate) struct SplitMix64(pub(crate) u64);

impl SplitMix64 {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`; 0 when `bound` is 0.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        if bound == 0 { 0 } else { (self.next() % bound as u64) as usize }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn candidates(racks: u64, nodes_per_rack: u64, volumes_per_node: u64) -> Vec<Candidate> {
        let mut all = Vec::new();
        for rack in 0..racks {
            for node in 0..nodes_per_rack {
                for volume in 0..volumes_per_node {
                    let datanode = rack * 100 + node;
                    all.push(Candidate {
                        volume: VolumeId(datanode * 100 + volume),
                        datanode: DatanodeId(datanode),
                        rack: Rack(format!("/rack-{rack}")),
                        media: Media::Disk,
                        free_bytes: 1 << 40,
                        used_percent: 10,
                        scheduled: 0,
                    });
                }
            }
        }
        all
    }

    fn place(all: &[Candidate], writer: Option<u64>, count: usize, seed: u64) -> Vec<Candidate> {
        let racks: BTreeSet<_> = all.iter().map(|c| &c.rack).collect();
        let placement = Placement {
            candidates: all,
            existing: &[],
            exclude: &[],
            media: None,
            writer: writer.map(DatanodeId),
            needed_bytes: 1,
            count,
            several_racks: racks.len() > 1,
            seed,
        };
        placement.choose().into_iter().map(|v| all.iter().find(|c| c.volume == v).unwrap().clone()).collect()
    }

    proptest! {
        #[test]
        fn three_replicas_stand_on_three_nodes_of_two_racks(racks in 2u64..30, nodes in 2u64..6, seed: u64) {
            let all = candidates(racks, nodes, 2);
            let targets = place(&all, Some(0), 3, seed);
            prop_assert_eq!(targets.len(), 3);
            prop_assert_eq!(targets[0].datanode, DatanodeId(0));
            prop_assert_ne!(&targets[0].rack, &targets[1].rack);
            prop_assert_eq!(&targets[1].rack, &targets[2].rack);
            prop_assert_ne!(targets[1].datanode, targets[2].datanode);
        }

        #[test]
        fn a_small_cluster_uses_what_it_has(nodes in 1u64..4, volumes in 1u64..4, seed: u64) {
            let all = candidates(1, nodes, volumes);
            let targets = place(&all, None, 3, seed);
            prop_assert_eq!(targets.len() as u64, 3.min(nodes * volumes));
            let distinct_nodes: BTreeSet<_> = targets.iter().map(|t| t.datanode).collect();
            prop_assert_eq!(distinct_nodes.len() as u64, nodes.min(3));
            let distinct_volumes: BTreeSet<_> = targets.iter().map(|t| t.volume).collect();
            prop_assert_eq!(distinct_volumes.len(), targets.len());
        }
    }

    #[test]
    fn repair_restores_the_rack_rule_and_full_or_excluded_volumes_are_left_out() {
        let mut all = candidates(2, 3, 1);
        let existing: Vec<_> = all.iter().filter(|c| c.rack.0 == "/rack-0").take(2).cloned().collect();
        all.iter_mut().find(|c| c.volume == VolumeId(10_000)).unwrap().free_bytes = 0;
        for seed in 0..100 {
            let placement = Placement {
                candidates: &all,
                existing: &existing,
                exclude: &[VolumeId(10_100)],
                media: None,
                writer: None,
                needed_bytes: 1,
                count: 1,
                several_racks: true,
                seed,
            };
            assert_eq!(placement.choose(), [VolumeId(10_200)]);
        }
    }

    #[test]
    fn the_right_media_comes_before_racks_and_after_nodes() {
        // Two volumes a node; the second of each node on the first rack is an archive.
        let mut all = candidates(2, 2, 2);
        all.iter_mut().filter(|c| c.rack.0 == "/rack-0" && c.volume.0 % 2 == 1).for_each(|c| c.media = Media::Archive);
        let place = |media: Option<MediaRule>, count, seed| {
            let placement = Placement {
                candidates: &all,
                existing: &[],
                exclude: &[],
                media,
                writer: Some(DatanodeId(1)),
                needed_bytes: 1,
                count,
                several_racks: true,
                seed,
            };
            placement.choose()
        };
        for seed in 0..100 {
            let archive = place(Some(MediaRule::Only(Media::Archive)), 3, seed);
            assert_eq!(archive[..2].iter().copied().collect::<BTreeSet<_>>(), [VolumeId(1), VolumeId(101)].into());
            assert!(archive[2].0 >= 10_000, "another node before another volume: {archive:?}");
            let hot = place(Some(MediaRule::NotArchive), 3, seed);
            assert!(hot.iter().all(|volume| !archive[..2].contains(volume)), "{hot:?}");
            assert_eq!(hot[0], VolumeId(100), "the writer's own node comes first");
            assert_eq!(place(Some(MediaRule::NotArchive), 9, seed).len(), 8, "any volume is better than none");
        }
    }

    #[test]
    fn load_is_spread() {
        let mut all = candidates(4, 5, 1);
        for seed in 0..2_000 {
            for target in place(&all, None, 3, seed) {
                all.iter_mut().find(|c| c.volume == target.volume).unwrap().scheduled += 1;
            }
        }
        let counts: Vec<_> = all.iter().map(|c| c.scheduled).collect();
        let (least, most) = (counts.iter().min().unwrap(), counts.iter().max().unwrap());
        assert!(*most <= *least * 13 / 10, "uneven: {counts:?}");
    }
}
