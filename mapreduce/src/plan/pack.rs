//! Small objects packed into splits by a node that holds them.

use super::split::{BlockLocation, InputFile, Piece, PlannedSplit, Split};
use crate::placement::{InputId, NodeId};
use crate::spec::limits::SPLIT_FILES_MAX;
use std::collections::BTreeMap;

/// Collects small objects. Each goes to the least burdened of its nodes.
pub(super) struct Packer {
    size: u64,
    open: BTreeMap<Option<NodeId>, PlannedSplit>,
    /// Bytes given to each node so far.
    burden: BTreeMap<NodeId, u64>,
    full: Vec<PlannedSplit>,
}

impl Packer {
    pub fn new(size: u64) -> Self {
        Packer { size, open: BTreeMap::new(), burden: BTreeMap::new(), full: Vec::new() }
    }

    pub fn add(&mut self, file: &InputFile, blocks: &[BlockLocation]) {
        let nodes = common_nodes(blocks);
        let home = nodes.iter().copied().min_by_key(|node| (self.burden.get(node).copied().unwrap_or(0), *node));
        if let Some(home) = home {
            // An empty object is work too.
            *self.burden.entry(home).or_default() += file.length.max(1);
        }
        let piece = Piece { file: file.clone(), offset: 0, length: file.length };
        if let Some(pack) = self.open.get(&home)
            && (pack.bytes + file.length > self.size || count(pack) >= SPLIT_FILES_MAX)
        {
            self.full.extend(self.open.remove(&home));
        }
        let pack = self.open.entry(home).or_insert_with(|| PlannedSplit {
            split: Split::Pieces(Vec::new()),
            bytes: 0,
            input: blocks.first().map_or(InputId(u64::MAX), |block| block.block),
            nodes: nodes.clone(),
        });
        pack.bytes += file.length;
        pack.nodes.retain(|node| nodes.contains(node));
        if let Split::Pieces(pieces) = &mut pack.split {
            pieces.push(piece);
        }
    }

    /// All packs.
    pub fn finish(mut self) -> Vec<PlannedSplit> {
        self.full.extend(self.open.into_values());
        self.full
    }
}

fn count(pack: &PlannedSplit) -> usize {
    if let Split::Pieces(pieces) = &pack.split { pieces.len() } else { 0 }
}

/// Nodes that hold all of a small object; of its first block, if none does.
fn common_nodes(blocks: &[BlockLocation]) -> Vec<NodeId> {
    let Some((first, rest)) = blocks.split_first() else { return Vec::new() };
    let common: Vec<NodeId> =
        first.nodes.iter().copied().filter(|node| rest.iter().all(|block| block.nodes.contains(node))).collect();
    if common.is_empty() { first.nodes.clone() } else { common }
}
