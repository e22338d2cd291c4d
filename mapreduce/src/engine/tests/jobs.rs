//! The built-in operators, from objects to parts.

use super::fixture::{Files, run_job, spec};
use crate::spec::{ChecksumAlgorithm, FieldSplit, Grep, JobSpec, KeyFields, KeyOrder, Program, Stage, Streaming};
use proptest::prelude::*;
use std::collections::BTreeMap;

fn one(text: &str) -> Files {
    Files::from([("text".to_string(), text.as_bytes().to_vec())])
}

fn words() -> impl Strategy<Value = String> {
    proptest::collection::vec("[a-d]{1,3}", 0..300).prop_map(|words| words.join(" ").replace("a ", "a\n"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn wordcount_counts_as_a_map_would(text in words(), split_bytes_max in 20u64..200, reduces in 1u32..4) {
        let mut expected: BTreeMap<&str, u64> = BTreeMap::new();
        for word in text.split_whitespace() {
            *expected.entry(word).or_default() += 1;
        }
        let spec = JobSpec { reduces: Some(reduces), split_bytes_max, ..spec(Program::Wordcount) };
        let ran = run_job(&spec, &one(&text), 100).unwrap();
        prop_assert_eq!(ran.outputs.len(), reduces as usize);
        let text = ran.text();
        let counted: BTreeMap<&str, u64> =
            text.lines().map(|line| line.split_once('\t').unwrap()).map(|(word, count)| (word, count.parse().unwrap())).collect();
        prop_assert_eq!(counted, expected);
        for part in ran.outputs.values() {
            prop_assert!(String::from_utf8_lossy(part).lines().is_sorted());
        }
    }

    #[test]
    fn sort_orders_all_parts_together(text in words(), split_bytes_max in 20u64..200, reduces in 1u32..5) {
        let spec = JobSpec { reduces: Some(reduces), split_bytes_max, ..spec(Program::Sort) };
        let ran = run_job(&spec, &one(&text), 100).unwrap();
        let mut expected: Vec<&str> = text.lines().collect();
        expected.sort_unstable();
        let sorted = ran.text();
        prop_assert_eq!(sorted.lines().collect::<Vec<_>>(), expected);
    }
}

#[test]
fn grep_writes_matching_lines_or_counts_matches() {
    let text = one("one fish\ntwo fish\nred\nblue Fish\n");
    let run = |grep: Grep| run_job(&spec(Program::Grep(grep)), &text, 10).unwrap().text();
    let pattern = || "fish".to_string();
    assert_eq!(run(Grep { pattern: pattern(), ..Grep::default() }), "one fish\ntwo fish\n");
    assert_eq!(run(Grep { pattern: pattern(), invert: true, ..Grep::default() }), "red\nblue Fish\n");
    let counted = run(Grep { pattern: "fish|red|[a-z]e".into(), ignore_case: true, count: true, ..Grep::default() });
    assert_eq!(counted, "2\tfish\n1\tFish\n1\tne\n1\tred\n1\tue\n");
}

#[test]
fn terasort_of_teragen_is_valid_and_keeps_every_record() {
    let rows = 10_000;
    let generated = run_job(&spec(Program::Teragen(rows)), &Files::new(), 1).unwrap();
    assert_eq!((generated.outputs.len(), generated.bytes().len()), (3, 1_000_000));
    let sort = JobSpec { reduces: Some(4), split_bytes_max: 77_777, ..spec(Program::Terasort) };
    let sorted = run_job(&sort, &generated.outputs, 123_456).unwrap();
    assert!(sorted.outputs.values().all(|part| part.len() > 150_000), "parts are about equal");
    let validate = |objects: &Files| run_job(&spec(Program::Teravalidate), objects, 100_000).unwrap().text();
    let verdict = validate(&sorted.outputs);
    assert!(verdict.starts_with("checksum\t") && verdict.lines().count() == 1, "{verdict}");
    let unsorted = validate(&generated.outputs);
    assert!(unsorted.contains("error\tmisorder in s3://in/part-00000"), "{}", unsorted.lines().next().unwrap());
    assert_eq!(verdict.lines().last(), unsorted.lines().last(), "the same records, the same sum");
    let swapped = sorted.outputs.iter().map(|(name, part)| (name.replace("00001", "00009"), part.clone())).collect();
    assert!(validate(&swapped).contains("error\tmisorder between"));
}

#[test]
fn distcp_keeps_names_and_bytes() {
    let objects: Files =
        (0..20).map(|number| (format!("dir/{number}.gz"), vec![number; usize::from(number) * 100])).collect();
    assert_eq!(run_job(&spec(Program::Distcp), &objects, 500).unwrap().outputs, objects);
}

#[test]
fn checksum_says_what_other_tools_say() {
    let objects = Files::from([("a".to_string(), b"123456789".to_vec()), ("empty".to_string(), Vec::new())]);
    let sums = |algorithm| run_job(&spec(Program::Checksum(algorithm)), &objects, 4).unwrap().text();
    assert_eq!(sums(ChecksumAlgorithm::Crc32c), "00000000\t0\ts3://in/empty\ne3069283\t9\ts3://in/a\n");
    assert!(sums(ChecksumAlgorithm::Crc64nvme).contains("\nae8b14860a799888\t9\t"));
    assert!(sums(ChecksumAlgorithm::Md5).contains("\n25f9e794323b453885f5181f1b624d0b\t9\t"));
    assert!(
        sums(ChecksumAlgorithm::Sha256)
            .starts_with("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\t0\t")
    );
}

#[test]
fn nothing_to_read_makes_empty_parts() {
    let empty = Files::from([("empty".to_string(), Vec::new())]);
    let ran = run_job(&JobSpec { reduces: Some(2), ..spec(Program::Wordcount) }, &empty, 10).unwrap();
    assert_eq!((ran.maps, ran.outputs.len(), ran.bytes().len()), (0, 2, 0));
    let ran =
        run_job(&JobSpec { reduces: Some(2), lazy_output: true, ..spec(Program::Wordcount) }, &empty, 10).unwrap();
    assert!(ran.outputs.is_empty());
}

#[test]
fn streaming_divides_lines_as_told() {
    let text = one("b.2.x\na.10.y\na.9\nplain\na.9.\n");
    let streaming =
        Streaming { map_output: FieldSplit { separator: ".".into(), key_fields: 2 }, ..Streaming::default() };
    let order = KeyOrder::KeyFields(KeyFields { options: "-k1,1 -k2,2n".into(), separator: ".".into() });
    let ran = run_job(&JobSpec { order, ..spec(Program::Streaming(streaming)) }, &text, 100).unwrap();
    assert_eq!(ran.text(), "a.9\na.9.\t\n".replace("a.9.\t", "a.9\t") + "a.10\ty\nb.2\tx\nplain\n");
}

#[test]
fn aggregate_combines_by_the_kind_in_the_key() {
    let text =
        one("LongValueSum:n\t1\nLongValueSum:n\t41\nUniqValueCount:u\ta\nUniqValueCount:u\tb\nUniqValueCount:u\ta\n\
         StringValueMax:s\tbb\nStringValueMax:s\tc\nLongValueMin:m\t7\nDoubleValueSum:d\t0.5\nDoubleValueSum:d\t0.25\n\
         LongValueMax:x\t-3\nLongValueMax:x\t-2\n");
    let streaming = Streaming { reducer: Some(Stage::Aggregate), ..Streaming::default() };
    let spec = JobSpec { split_bytes_max: 40, ..spec(Program::Streaming(streaming)) };
    let ran = run_job(&spec, &text, 1_000).unwrap();
    let mut lines: Vec<String> = ran.text().lines().map(str::to_string).collect();
    lines.sort();
    assert_eq!(lines, ["d\t0.75", "m\t7", "n\t42", "s\tc", "u\t2", "x\t-2"]);
}
