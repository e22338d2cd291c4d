//! Objects cut at blocks: large ones into splits of about a block, small ones handed on to be packed together.

use super::PlanError;
use super::pack::Packer;
use super::split::{BlockLocation, InputFile, LocatedFile, Piece, PlannedSplit, Split};
use crate::input::Codec;
use crate::placement::{InputId, NodeId};
use crate::spec::{JobSpec, limits};
use std::collections::BTreeMap;

/// The splits of all objects: large ones in their order, then packs of small ones.
pub(super) fn splits(spec: &JobSpec, files: &[LocatedFile]) -> Result<Vec<PlannedSplit>, PlanError> {
    let size = spec.split_bytes_max.max(spec.split_bytes_min);
    let whole = spec.program.takes_whole_objects();
    let mut splits = Vec::new();
    let mut packer = Packer::new(size);
    for file in files {
        check_records(spec, &file.file)?;
        let length = file.file.length;
        if length == 0 && !whole {
            continue;
        }
        if length <= size / limits::PACKED_PART {
            packer.add(&file.file, &blocks(file));
        } else if whole || !Codec::of(&file.file.key).splits() {
            splits.push(planned(&file.file, 0, length, &blocks(file)));
        } else {
            cut(&file.file, &blocks(file), spec.split_bytes_min, size, &mut splits);
        }
    }
    splits.extend(packer.finish());
    Ok(splits)
}

fn check_records(spec: &JobSpec, file: &InputFile) -> Result<(), PlanError> {
    match spec.program.record_bytes() {
        Some(record_bytes) if !file.length.is_multiple_of(record_bytes) => {
            Err(PlanError::PartialRecord { url: file.url(), length: file.length, record_bytes })
        }
        _ => Ok(()),
    }
}

/// The blocks of the object; one that lies nowhere if they do not cover it, as for an object kept in its metadata.
fn blocks(file: &LocatedFile) -> Vec<BlockLocation> {
    let mut end = 0;
    let gapless =
        file.blocks.iter().all(|block| std::mem::replace(&mut end, block.offset + block.length) == block.offset);
    if gapless && end == file.file.length {
        file.blocks.clone()
    } else {
        vec![BlockLocation { offset: 0, length: file.file.length, block: InputId(u64::MAX), nodes: Vec::new() }]
    }
}

/// Short neighbours on a common node are joined, then what is long is cut.
fn cut(file: &InputFile, blocks: &[BlockLocation], min: u64, size: u64, splits: &mut Vec<PlannedSplit>) {
    let mut runs: Vec<(u64, u64, Vec<NodeId>)> = Vec::new();
    for block in blocks {
        if let Some((_, length, nodes)) = runs.last_mut() {
            let common: Vec<NodeId> = nodes.iter().copied().filter(|node| block.nodes.contains(node)).collect();
            let near = !common.is_empty() || (nodes.is_empty() && block.nodes.is_empty());
            if *length < min || (near && !beyond(*length + block.length, size)) {
                *length += block.length;
                if near {
                    *nodes = common;
                }
                continue;
            }
        }
        runs.push((block.offset, block.length, block.nodes.clone()));
    }
    for (mut offset, mut length, _) in runs {
        while beyond(length, size) {
            splits.push(planned(file, offset, size, blocks));
            (offset, length) = (offset + size, length - size);
        }
        if length > 0 {
            splits.push(planned(file, offset, length, blocks));
        }
    }
}

/// Whether a split would be longer than even a last one may be.
fn beyond(length: u64, size: u64) -> bool {
    u128::from(length) * 1_000 > u128::from(size) * u128::from(limits::SPLIT_SLOP_PERMILLE)
}

/// A split of one piece, at home on the nodes that hold most of it.
fn planned(file: &InputFile, offset: u64, length: u64, blocks: &[BlockLocation]) -> PlannedSplit {
    let end = offset + length;
    let overlap =
        |block: &BlockLocation| (block.offset + block.length).min(end).saturating_sub(block.offset.max(offset));
    let mut held: BTreeMap<NodeId, u64> = BTreeMap::new();
    let mut input = None;
    for block in blocks.iter().filter(|block| overlap(block) > 0) {
        input.get_or_insert(block.block);
        for &node in &block.nodes {
            *held.entry(node).or_default() += overlap(block);
        }
    }
    let most = held.values().copied().max().unwrap_or(0);
    PlannedSplit {
        split: Split::Pieces(vec![Piece { file: file.clone(), offset, length }]),
        bytes: length,
        input: input.unwrap_or(InputId(u64::MAX)),
        nodes: held.into_iter().filter(|&(_, bytes)| bytes == most).map(|(node, _)| node).collect(),
    }
}
