//! Sorting and merging in little memory against sorting in much, and what is left of it.

use super::fixture::{Files, run_job, spec};
use crate::engine::TaskFailure;
use crate::spec::{JobSpec, Program, Resources, limits};

/// Lines that come in no order, some of them twice.
fn lines(count: u64, width: usize) -> Vec<String> {
    let mut random: u64 = 12_345;
    (0..count)
        .map(|_| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let number = (random >> 33) % (count * 9 / 10);
            format!("{number:0width$}")
        })
        .collect()
}

/// Lines that do not become shorter by compression.
fn noise(count: u64) -> Vec<String> {
    let scatter =
        |number: u64| number.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (0..count).map(|number| format!("{:016x}{:016x}", scatter(number), scatter(number + count))).collect()
}

fn little() -> Resources {
    Resources { buffer_bytes: limits::BUFFER_BYTES_MIN, ..Resources::default() }
}

#[test]
fn a_sort_larger_than_its_buffers_spills_and_merges() {
    let lines = lines(150_000, 60);
    let text = lines.join("\n").into_bytes();
    let objects = Files::from([("text".to_string(), text)]);
    let spec = JobSpec { resources: little(), reduces: Some(3), ..spec(Program::Sort) };
    let ran = run_job(&spec, &objects, 1 << 40).unwrap();
    let mut expected = lines;
    expected.sort_unstable();
    assert!(ran.text().lines().eq(expected.iter().map(String::as_str)));
    assert!(ran.counters["SPILLED_RECORDS"] >= 300_000, "it spilled before it merged: {:?}", ran.counters);
}

#[test]
fn more_distinct_words_than_memory_holds_are_counted() {
    let lines = lines(100_000, 60);
    let objects = Files::from([("text".to_string(), lines.join(" ").into_bytes())]);
    let spec = JobSpec { resources: little(), line_bytes_max: limits::LINE_BYTES_MAX, ..spec(Program::Wordcount) };
    let ran = run_job(&spec, &objects, 1 << 40).unwrap();
    let mut distinct = lines.clone();
    distinct.sort_unstable();
    distinct.dedup();
    let text = ran.text();
    let counted: Vec<(&str, &str)> = text.lines().map(|line| line.split_once('\t').unwrap()).collect();
    assert!(counted.iter().map(|(word, _)| *word).eq(distinct.iter().map(String::as_str)));
    assert_eq!(counted.iter().map(|(_, count)| count.parse::<usize>().unwrap()).sum::<usize>(), lines.len());
}

#[test]
fn many_maps_are_merged_in_several_rounds() {
    // Frames of many long lines: few segments fit into the smallest buffers at a time.
    let lines = lines(200, 60_000);
    let objects = Files::from([("text".to_string(), lines.join("\n").into_bytes())]);
    let spec = JobSpec { resources: little(), split_bytes_max: 100_000, ..spec(Program::Sort) };
    let ran = run_job(&spec, &objects, 1 << 40).unwrap();
    assert!(ran.maps > 100, "{}", ran.maps);
    let mut expected = lines;
    expected.sort_unstable();
    assert!(ran.text().lines().eq(expected.iter().map(String::as_str)));
}

#[test]
fn a_record_that_fits_nowhere_is_refused() {
    let objects = Files::from([("text".to_string(), vec![b'x'; 12 << 20])]);
    let spec = JobSpec { resources: little(), ..spec(Program::Sort) };
    let failure = run_job(&spec, &objects, 1 << 40).unwrap_err();
    assert!(matches!(failure, TaskFailure::RecordTooLong { .. }) && failure.is_final(), "{failure}");
}

#[test]
fn scratch_space_has_a_bound() {
    let objects = Files::from([("text".to_string(), noise(60_000).join("\n").into_bytes())]);
    let resources = Resources { scratch_bytes: limits::SCRATCH_BYTES_MIN, ..little() };
    let failure = run_job(&JobSpec { resources, ..spec(Program::Sort) }, &objects, 1 << 40).map(drop).unwrap_err();
    assert!(matches!(failure, TaskFailure::LimitReached { .. }), "{failure}");
}
