//! Keys and listings through the S3 door, byte-exact against a sorted model. `GRANARY_LISTING_KEYS` sets the number of keys.

use granary_tests::{S3, Server};
use http::Method;
use percent_encoding::percent_decode_str;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};
use std::collections::BTreeSet;

/// Pieces that listings get wrong.
fn piece() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "a",
        "b",
        "/",
        "//",
        ".",
        "..",
        "0",
        "-",
        "+",
        " ",
        "%2F",
        "?",
        "#",
        "&",
        "=",
        "é",
        "🦀",
        "\u{1}",
        "\u{7f}",
        "\u{10ffff}",
        "Z",
        "~",
    ])
}

fn text(pieces: std::ops::Range<usize>) -> impl Strategy<Value = String> {
    prop::collection::vec(piece(), pieces).prop_map(|pieces| pieces.concat())
}

fn sample<T>(strategy: &impl Strategy<Value = T>, runner: &mut TestRunner) -> T {
    strategy.new_tree(runner).unwrap().current()
}

/// An entry of a listing: a key or a common prefix.
type Entry = (String, bool);

/// What S3 shows, by definition.
fn model(keys: &BTreeSet<String>, prefix: &str, delimiter: &str) -> Vec<Entry> {
    let mut entries = BTreeSet::new();
    for key in keys.iter().filter(|key| key.starts_with(prefix)) {
        let rest = &key[prefix.len()..];
        match (delimiter.is_empty(), rest.find(delimiter)) {
            (false, Some(at)) => entries.insert((format!("{prefix}{}", &rest[..at + delimiter.len()]), true)),
            _ => entries.insert((key.clone(), false)),
        };
    }
    entries.into_iter().collect()
}

async fn list(s3: &mut S3, prefix: &str, delimiter: &str, page: usize) -> Vec<Entry> {
    let page = page.to_string();
    let mut entries = Vec::new();
    let mut token: Option<String> = None;
    loop {
        let mut query = vec![
            ("list-type", "2"),
            ("encoding-type", "url"),
            ("max-keys", page.as_str()),
            ("prefix", prefix),
            ("delimiter", delimiter),
        ];
        if let Some(token) = &token {
            query.push(("continuation-token", token));
        }
        let answer = s3.send(Method::GET, "/keys", &query, Default::default()).await.unwrap().ok().unwrap();
        let decode = |text: String| percent_decode_str(&text.replace('+', " ")).decode_utf8().unwrap().into_owned();
        let contents = answer.elements("Contents").into_iter().map(|contents| {
            let (_, rest) = contents.split_once("<Key>").unwrap();
            (decode(rest.split_once("</Key>").unwrap().0.to_owned()), false)
        });
        let prefixes = answer.elements("CommonPrefixes").into_iter().map(|common| {
            let (_, rest) = common.split_once("<Prefix>").unwrap();
            (decode(rest.split_once("</Prefix>").unwrap().0.to_owned()), true)
        });
        let mut this: Vec<Entry> = contents.chain(prefixes).collect();
        assert!(this.len() <= page.parse().unwrap());
        this.sort();
        entries.extend(this);
        token = answer.element("NextContinuationToken");
        match answer.element("IsTruncated").as_deref() {
            Some("true") => assert!(token.is_some()),
            _ => return entries,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn listings_are_exactly_what_a_sorted_model_says() {
    let count: usize = std::env::var("GRANARY_LISTING_KEYS").ok().map_or(10_000, |count| count.parse().unwrap());
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(&[directory.path()]).await.unwrap();
    server.s3().create_bucket("keys").await.unwrap();
    let mut runner = TestRunner::new(Config::default());
    let (key, short) = (text(1..12), text(0..3));
    let mut keys: BTreeSet<String> =
        ["a//b", "../x", ".", "..", "/leading", "a", "a/", "a.txt", "a0", "+ %2F ? # &"].map(String::from).into();
    keys.insert("é".repeat(512));
    while keys.len() < count {
        keys.insert(sample(&key, &mut runner));
    }
    // Written by several clients at once, in an order that is not theirs.
    let all: Vec<String> = keys.iter().cloned().collect();
    let writers: Vec<_> = (0..16)
        .map(|writer| {
            let mut s3 = server.s3();
            let mine: Vec<String> = all.iter().skip(writer).step_by(16).cloned().collect();
            tokio::spawn(async move {
                for key in mine {
                    s3.put("keys", &key, key.clone().into()).await.unwrap().ok().unwrap();
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    let mut s3 = server.s3();
    assert_eq!(list(&mut s3, "", "", 1000).await, model(&keys, "", ""));
    for _ in 0..60 {
        let (prefix, delimiter) = (sample(&short, &mut runner), sample(&short, &mut runner));
        let expected = model(&keys, &prefix, &delimiter);
        // Small pages where there are few entries, so that a round stays short.
        let page = sample(&(1usize..1000), &mut runner).max(expected.len() / 50);
        assert_eq!(
            list(&mut s3, &prefix, &delimiter, page).await,
            expected,
            "prefix {prefix:?} delimiter {delimiter:?} page {page}"
        );
    }
    for key in all.iter().step_by(97) {
        assert_eq!(s3.get("keys", key).await.unwrap().ok().unwrap().body, key.as_bytes(), "{key:?}");
    }
}
