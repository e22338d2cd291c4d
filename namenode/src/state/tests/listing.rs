//! Listings against a sorted model, byte by byte.

use super::fixture::{BUCKET, Store};
use crate::state;
use granary_protocol::bucket::Versioning;
use granary_protocol::namenode::{ListAfter, UploadAfter};
use proptest::prelude::*;
use std::collections::BTreeSet;

/// What a listing shows: keys, and common prefixes marked with a star.
fn model<'k>(keys: impl Iterator<Item = &'k String>, prefix: &str, delimiter: &str, after: &ListAfter) -> Vec<String> {
    let mut shown: Vec<String> = Vec::new();
    for key in keys.filter(|key| key.starts_with(prefix)) {
        let passed = match after {
            ListAfter::Start => false,
            ListAfter::Key(after) => key <= after,
            ListAfter::Prefix(after) => key.starts_with(after.as_str()) || key < after,
        };
        if passed {
            continue;
        }
        let at = if delimiter.is_empty() { None } else { key[prefix.len()..].find(delimiter) };
        let entry = match at {
            Some(at) => format!("{}*", &key[..prefix.len() + at + delimiter.len()]),
            None => key.clone(),
        };
        if shown.last() != Some(&entry) {
            shown.push(entry);
        }
    }
    shown
}

fn piece() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        4 => Just("a"),
        4 => Just("/"),
        1 => Just("b"),
        1 => Just("."),
        1 => Just("0"),
        1 => Just("-"),
        1 => Just("é"),
        1 => Just("\u{1f600}"),
        1 => Just("\u{1}"),
        1 => Just("\u{0}"),
    ]
}

fn text(pieces: std::ops::Range<usize>) -> impl Strategy<Value = String> {
    prop::collection::vec(piece(), pieces).prop_map(|pieces| pieces.concat())
}

fn after() -> impl Strategy<Value = ListAfter> {
    prop_oneof![
        2 => Just(ListAfter::Start),
        1 => text(1..6).prop_map(ListAfter::Key),
        1 => text(1..5).prop_map(ListAfter::Prefix),
    ]
}

fn delimiter() -> impl Strategy<Value = String> {
    prop_oneof![2 => Just(String::new()), 4 => Just("/".to_owned()), 1 => Just("a/".to_owned()), 3 => text(1..3)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn listings_are_byte_exact(
        keys in prop::collection::btree_set(text(1..8), 0..60),
        removed in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        marked in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
        queries in prop::collection::vec((text(0..4), delimiter(), after(), 1u32..7), 24),
    ) {
        let mut store = Store::new();
        let mut keys: BTreeSet<String> = keys;
        for key in &keys {
            store.put_empty(key);
        }
        let take = |keys: &mut BTreeSet<String>, at: &prop::sample::Index| {
            let key = keys.iter().nth(at.index(keys.len().max(1))).cloned()?;
            keys.remove(&key);
            Some(key)
        };
        for at in &removed {
            if let Some(key) = take(&mut keys, at) {
                store.delete(&key, None);
            }
        }
        store.set_versioning(Versioning::Enabled);
        for at in &marked {
            if let Some(key) = take(&mut keys, at) {
                prop_assert!(store.delete(&key, None).delete_marker);
            }
        }
        super::invariants::check(store.view(), &store.told);
        for (prefix, delimiter, after, page) in queries {
            let expected = model(keys.iter(), &prefix, &delimiter, &after);
            let shown = store.list(&prefix, &delimiter, after.clone(), page);
            prop_assert_eq!(shown, expected, "prefix {:?} delimiter {:?} after {:?} page {}", prefix, delimiter, after, page);
        }
    }

    #[test]
    fn upload_listings_are_byte_exact(
        keys in prop::collection::vec(text(1..6), 0..30),
        queries in prop::collection::vec((text(0..3), delimiter(), 1u32..6), 12),
    ) {
        let mut store = Store::new();
        let mut uploads: Vec<(String, u64)> = keys.iter().map(|key| (key.clone(), store.create_upload(key).0)).collect();
        uploads.sort();
        for (prefix, delimiter, page) in queries {
            let (mut expected, mut common) = (Vec::new(), Vec::new());
            for (key, upload) in uploads.iter().filter(|(key, _)| key.starts_with(&prefix)) {
                let at = if delimiter.is_empty() { None } else { key[prefix.len()..].find(delimiter.as_str()) };
                match at {
                    Some(at) => common.push(key[..prefix.len() + at + delimiter.len()].to_owned()),
                    None => expected.push((key.clone(), *upload)),
                }
            }
            common.dedup();
            let (mut shown, mut prefixes) = (Vec::new(), Vec::new());
            let mut after = Some(UploadAfter::default());
            while let Some(from) = after {
                let listing = state::list_uploads(store.view(), &BUCKET.into(), &prefix, &delimiter, &from, page).unwrap();
                shown.extend(listing.uploads.into_iter().map(|upload| (upload.key.0, upload.upload.0)));
                prefixes.extend(listing.common_prefixes);
                after = listing.next;
            }
            prop_assert_eq!(shown, expected);
            prop_assert_eq!(prefixes, common);
        }
    }
}

#[test]
fn slashes_are_literal() {
    let mut store = Store::new();
    let keys = ["/", "//", "/a", "a", "a!", "a.txt", "a/", "a//b", "a/b", "a0", "../x", "."];
    for key in keys {
        store.put_empty(key);
    }
    let mut sorted: Vec<String> = keys.iter().map(|key| key.to_string()).collect();
    sorted.sort();
    assert_eq!(store.list("", "", ListAfter::Start, 3), sorted);
    assert_eq!(store.list("", "/", ListAfter::Start, 1), [".", "../*", "/*", "a", "a!", "a.txt", "a/*", "a0"]);
    assert_eq!(store.list("a/", "/", ListAfter::Start, 10), ["a/", "a//*", "a/b"]);
    assert_eq!(store.list("a/", "/", ListAfter::Key("a/".into()), 10), ["a//*", "a/b"]);
    assert_eq!(store.list("", "/", ListAfter::Key("a/".into()), 10), ["a/*", "a0"]);
    assert_eq!(store.list("nothing/", "/", ListAfter::Start, 10), [""; 0]);
}

#[test]
fn a_page_of_nothing_is_not_truncated() {
    let mut store = Store::new();
    store.put_empty("a");
    let listing = state::list_objects(store.view(), &BUCKET.into(), "", "", &ListAfter::Start, 0).unwrap();
    assert_eq!((listing.entries.len(), listing.truncated), (0, false));
}
