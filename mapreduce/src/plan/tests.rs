//! Splits: every byte once, near to its blocks.

use super::*;
use crate::placement::{InputId, NodeId};
use proptest::prelude::*;
use std::collections::BTreeMap;

fn file(key: &str, blocks: &[(u64, &[u32])]) -> LocatedFile {
    let mut offset = 0;
    let blocks: Vec<BlockLocation> = blocks
        .iter()
        .enumerate()
        .map(|(number, &(length, nodes))| {
            let block = InputId(number as u64);
            let location =
                BlockLocation { offset, length, block, nodes: nodes.iter().map(|&node| NodeId(node)).collect() };
            offset += length;
            location
        })
        .collect();
    LocatedFile {
        file: InputFile { bucket: "b".into(), key: key.into(), version: "v".into(), length: offset, base: 0 },
        blocks,
    }
}

fn spec(split_bytes_max: u64) -> JobSpec {
    JobSpec { split_bytes_max, ..JobSpec::default() }
}

fn shape(splits: &[PlannedSplit]) -> Vec<(u64, Vec<u32>)> {
    splits.iter().map(|split| (split.bytes, split.nodes.iter().map(|node| node.0).collect())).collect()
}

proptest! {
    #[test]
    fn every_byte_is_in_one_split(
        files in proptest::collection::vec(proptest::collection::vec((1u64..100, proptest::collection::vec(0u32..4, 0..3)), 0..8), 0..8),
        min in 1u64..150,
        max in 1u64..150,
    ) {
        let files: Vec<LocatedFile> = files
            .iter()
            .enumerate()
            .map(|(number, blocks)| {
                let blocks: Vec<(u64, &[u32])> = blocks.iter().map(|(length, nodes)| (*length, &nodes[..])).collect();
                file(&number.to_string(), &blocks)
            })
            .collect();
        let splits = plan(&JobSpec { split_bytes_min: min, ..spec(max) }, &files, 1).unwrap();
        let mut ends: BTreeMap<String, u64> = BTreeMap::new();
        let mut pieces: Vec<Piece> = splits
            .iter()
            .flat_map(|split| if let Split::Pieces(pieces) = &split.split { pieces.clone() } else { Vec::new() })
            .collect();
        pieces.sort_by_key(|piece| (piece.file.key.clone(), piece.offset));
        for piece in &pieces {
            prop_assert!(piece.length > 0);
            let end = ends.entry(piece.file.key.clone()).or_default();
            prop_assert_eq!(*end, piece.offset);
            *end += piece.length;
        }
        for file in &files {
            prop_assert_eq!(ends.get(&file.file.key).copied().unwrap_or(0), file.file.length);
        }
        for split in &splits {
            prop_assert_eq!(split.bytes, split.split.bytes());
            prop_assert!(split.bytes * 10 <= min.max(max) * 11 + 1_000, "{}", split.bytes);
        }
    }
}

#[test]
fn a_block_is_a_split_at_home_where_it_lies() {
    let splits = plan(&spec(100), &[file("a", &[(100, &[1, 2]), (100, &[2, 3]), (9, &[3])])], 1).unwrap();
    assert_eq!(shape(&splits), [(100, vec![1, 2]), (109, vec![3])]);
}

#[test]
fn small_objects_are_packed_by_node_and_spread() {
    let files: Vec<LocatedFile> = (0..30).map(|number| file(&format!("{number:02}"), &[(10, &[0, 1, 2])])).collect();
    let splits = plan(&spec(100), &files, 1).unwrap();
    assert_eq!(shape(&splits), vec![(100, vec![0, 1, 2]); 3]);
    let apart: Vec<LocatedFile> = (0..30).map(|number| file(&format!("{number:02}"), &[(10, &[number % 3])])).collect();
    assert_eq!(shape(&plan(&spec(100), &apart, 1).unwrap()), [(100, vec![0]), (100, vec![1]), (100, vec![2])]);
}

#[test]
fn what_cannot_be_divided_is_not() {
    let gzip = plan(&spec(100), &[file("a.gz", &[(100, &[1]), (100, &[2]), (50, &[2])])], 1).unwrap();
    assert_eq!(shape(&gzip), [(250, vec![2])]);
    let tera = JobSpec { program: Program::Terasort, ..spec(1_000) };
    assert!(matches!(plan(&tera, &[file("a", &[(150, &[])])], 1), Err(PlanError::PartialRecord { .. })));
}

#[test]
fn rows_are_divided_without_gaps() {
    let splits = plan(&JobSpec { program: Program::Teragen(10), ..spec(1) }, &[], 3).unwrap();
    let rows: Vec<(u64, u64)> = splits
        .iter()
        .map(|split| if let Split::Rows { first, count } = split.split { (first, count) } else { unreachable!() })
        .collect();
    assert_eq!(rows, [(0, 3), (3, 3), (6, 4)]);
}
