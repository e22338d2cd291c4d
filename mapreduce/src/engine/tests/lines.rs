//! Each line is read once, whole, wherever blocks and splits end.

use super::fixture::{Files, run_job, spec};
use crate::engine::TaskFailure;
use crate::spec::{JobSpec, Program};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::io::Write;

/// How often each line comes in objects, each of which ends its last line.
fn lines<'a>(objects: impl IntoIterator<Item = &'a Vec<u8>>) -> BTreeMap<Vec<u8>, usize> {
    let mut lines = BTreeMap::new();
    for bytes in objects {
        let whole = bytes.strip_suffix(b"\n").unwrap_or(bytes);
        if !bytes.is_empty() {
            for line in whole.split(|&byte| byte == b'\n') {
                *lines.entry(line.to_vec()).or_default() += 1;
            }
        }
    }
    lines
}

/// Texts with short and long lines, empty ones, carriage returns, and no end or several at the end.
fn text() -> impl Strategy<Value = Vec<u8>> {
    let line = prop_oneof![
        3 => proptest::collection::vec(prop_oneof![Just(b'a'), Just(b' '), Just(b'\r'), any::<u8>()], 0..12),
        1 => proptest::collection::vec(any::<u8>(), 0..200),
    ];
    (proptest::collection::vec(line, 0..40), any::<bool>()).prop_map(|(lines, ended)| {
        let mut text = lines.join(&b'\n');
        if ended {
            text.push(b'\n');
        }
        text
    })
}

fn named(texts: Vec<Vec<u8>>, suffix: &str) -> Files {
    texts.into_iter().enumerate().map(|(number, text)| (format!("text-{number:03}{suffix}"), text)).collect()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    ruzstd::encoding::compress_to_vec(bytes, ruzstd::encoding::CompressionLevel::Fastest)
}

fn bzip2(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn any_blocks_and_splits_give_each_line_once(
        texts in proptest::collection::vec(text(), 0..4),
        block_bytes in 1u64..300,
        split_bytes_min in 1u64..200,
        split_bytes_max in 1u64..300,
    ) {
        let objects = named(texts, "");
        let spec = JobSpec { split_bytes_min, split_bytes_max, ..spec(Program::Identity) };
        let ran = run_job(&spec, &objects, block_bytes).unwrap();
        prop_assert_eq!(lines(ran.outputs.values()), lines(objects.values()));
        let counted = ran.counters.get("MAP_INPUT_RECORDS").copied().unwrap_or(0);
        prop_assert_eq!(counted as usize, lines(objects.values()).values().sum::<usize>());
    }
}

proptest! {
    // Each case starts a compressor for every half of every text.
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn compressed_objects_give_the_lines_they_hold(
        texts in proptest::collection::vec(text(), 1..4),
        split_bytes_max in 1u64..100,
    ) {
        for (suffix, compress) in [(".gz", gzip as fn(&[u8]) -> Vec<u8>), (".zst", zstd), (".bz2", bzip2)] {
            // Two streams one behind the other are one text.
            let halves = |text: &Vec<u8>| {
                let (left, right) = text.split_at(text.len() / 2);
                [compress(left), compress(right)].concat()
            };
            let objects = named(texts.iter().map(halves).collect(), suffix);
            let spec = JobSpec { split_bytes_max, ..spec(Program::Identity) };
            let ran = run_job(&spec, &objects, 64).unwrap();
            prop_assert_eq!(lines(ran.outputs.values()), lines(&texts));
        }
    }
}

#[test]
fn a_line_past_the_limit_is_named_and_final() {
    let mut text = b"short\n".to_vec();
    text.resize(300_000, b'x');
    let objects = Files::from([("long".to_string(), text)]);
    for (limit, fails) in [(299_994, false), (299_993, true), (1_000, true)] {
        let spec = JobSpec { line_bytes_max: limit, split_bytes_max: 100_000, ..spec(Program::Identity) };
        match run_job(&spec, &objects, 70_000) {
            Ok(_) => assert!(!fails, "{limit}"),
            Err(failure) => {
                assert!(fails && failure.is_final(), "{limit}: {failure}");
                let TaskFailure::LineTooLong { url, offset, limit: said } = failure else { panic!("{failure}") };
                assert_eq!((url.as_str(), offset, said), ("s3://in/long", 6, limit.into()));
            }
        }
    }
}

#[test]
fn damaged_compression_fails() {
    for (suffix, mut bytes) in
        [(".gz", gzip(&[b'x'; 5_000])), (".zst", zstd(&[b'x'; 5_000])), (".bz2", bzip2(&[b'x'; 5_000]))]
    {
        bytes.truncate(bytes.len() - 6);
        let failure = run_job(&spec(Program::Identity), &named(vec![bytes], suffix), 1 << 20).unwrap_err();
        assert!(matches!(failure, TaskFailure::InputDamaged { .. }), "{suffix}: {failure}");
    }
}

/// Bytes that compress little, with line ends now and then.
fn noise(bytes: usize, line_bytes: u64) -> Vec<u8> {
    let mut random: u64 = 99;
    (0..bytes)
        .map(|_| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            if (random >> 20).is_multiple_of(line_bytes) { b'\n' } else { (random >> 40) as u8 }
        })
        .collect()
}

#[test]
fn blocks_of_bzip2_are_divided_and_no_line_is_lost() {
    // Blocks of 100,000 bytes: lines within a block, over two of them, and over more.
    for line_bytes in [100, 150_000] {
        let text = noise(350_000, line_bytes);
        let (first, second) = text.split_at(120_000);
        let objects = Files::from([("text.bz2".to_string(), [bzip2(first), bzip2(second)].concat())]);
        for split_bytes_max in [10_000, 123_456] {
            let spec = JobSpec { split_bytes_max, ..spec(Program::Identity) };
            let ran = run_job(&spec, &objects, 1 << 30).unwrap();
            assert!(ran.maps > 1);
            assert!(
                lines(ran.outputs.values()) == lines([&text]),
                "lines of {line_bytes}, splits of {split_bytes_max}"
            );
        }
    }
}
