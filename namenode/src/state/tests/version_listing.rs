//! Listings of versions against a sorted model, and what a page of them reads.

use super::fixture::{BUCKET, Store};
use crate::engine::{Engine, EngineError, Scan};
use crate::state::{self, View};
use bytes::Bytes;
use granary_protocol::VersionId;
use granary_protocol::bucket::Versioning;
use granary_protocol::namenode::{VersionAfter, VersionEntry, VersionListing};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

#[derive(Clone, Copy, Debug)]
struct Version {
    id: VersionId,
    sequence: u64,
    marker: bool,
}

/// Newest first.
type Keys = BTreeMap<String, Vec<Version>>;

fn shown(key: &str, id: VersionId, marker: bool, latest: bool) -> String {
    format!("{key}@{id}{}{}", if marker { " marker" } else { "" }, if latest { " latest" } else { "" })
}

/// What a listing shows: versions, and common prefixes marked with a star.
fn model(keys: &Keys, prefix: &str, delimiter: &str, after: &VersionAfter) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for (key, versions) in keys.iter().filter(|(key, _)| key.starts_with(prefix)) {
        let passed = match after {
            VersionAfter::Start => false,
            VersionAfter::Version(after, _) => key < after,
            VersionAfter::Key(after) => key <= after,
            VersionAfter::Prefix(after) => key.starts_with(after.as_str()) || key < after,
        };
        if passed {
            continue;
        }
        if let Some(at) = if delimiter.is_empty() { None } else { key[prefix.len()..].find(delimiter) } {
            let common = format!("{}*", &key[..prefix.len() + at + delimiter.len()]);
            if found.last() != Some(&common) {
                found.push(common);
            }
            continue;
        }
        let below = match after {
            VersionAfter::Version(after, VersionId::NULL) if key == after => {
                versions.iter().find(|version| version.id == VersionId::NULL).map_or(u64::MAX, |null| null.sequence)
            }
            VersionAfter::Version(after, VersionId(sequence)) if key == after => *sequence,
            _ => u64::MAX,
        };
        for (place, version) in versions.iter().enumerate().filter(|(_, version)| version.sequence < below) {
            found.push(shown(key, version.id, version.marker, place == 0));
        }
    }
    found
}

fn page(view: &impl View, prefix: &str, delimiter: &str, after: &VersionAfter, limit: u32) -> VersionListing {
    state::list_versions(view, &BUCKET.into(), prefix, delimiter, after, limit).unwrap()
}

/// More than any bucket here has.
const LISTED_MAX: usize = 1_000;

/// Page by page, going on as a client would.
fn list(store: &Store, prefix: &str, delimiter: &str, start: VersionAfter, limit: u32) -> Vec<String> {
    let view = Counting { engine: store.view(), rows: AtomicUsize::default() };
    let (mut found, mut after) = (Vec::new(), start.clone());
    loop {
        assert!(found.len() <= LISTED_MAX, "a listing without an end after {start:?}");
        let listing = page(&view, prefix, delimiter, &after, limit);
        assert!(listing.entries.len() <= limit as usize);
        assert!(!listing.truncated || listing.entries.len() == limit as usize);
        for entry in listing.entries {
            (after, _) = match entry {
                VersionEntry::Version { key, object, is_latest } => {
                    found.push(shown(key.as_str(), object.version, object.delete_marker, is_latest));
                    (VersionAfter::Version(key.0, object.version), ())
                }
                VersionEntry::CommonPrefix(prefix) => {
                    found.push(format!("{prefix}*"));
                    (VersionAfter::Prefix(prefix), ())
                }
            };
        }
        if !listing.truncated {
            return found;
        }
    }
}

/// Counts the rows that are read.
struct Counting<'e> {
    engine: &'e dyn Engine,
    rows: AtomicUsize,
}

impl Counting<'_> {
    fn count(&self) {
        self.rows.fetch_add(1, Ordering::Relaxed);
    }

    fn read(&self) -> usize {
        self.rows.load(Ordering::Relaxed)
    }
}

impl View for Counting<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, EngineError> {
        self.count();
        Engine::get(self.engine, key)
    }

    fn scan<'v>(&'v self, from: &[u8], until: Option<&[u8]>) -> Scan<'v> {
        Box::new(Engine::scan(self.engine, from, until).inspect(|_| self.count()))
    }
}

fn piece() -> impl Strategy<Value = &'static str> {
    prop_oneof![4 => Just("a"), 4 => Just("/"), 1 => Just("b"), 1 => Just("."), 1 => Just("é"), 1 => Just("\u{0}")]
}

fn text(pieces: std::ops::Range<usize>) -> impl Strategy<Value = String> {
    prop::collection::vec(piece(), pieces).prop_map(|pieces| pieces.concat())
}

fn after(keys: Vec<String>) -> impl Strategy<Value = VersionAfter> {
    let key = prop_oneof![3 => prop::sample::select(keys), 1 => text(1..5)];
    let version = (key.clone(), 0u64..80).prop_map(|(key, id)| VersionAfter::Version(key, VersionId(id)));
    prop_oneof![
        2 => Just(VersionAfter::Start),
        1 => key.prop_map(VersionAfter::Key),
        3 => version,
        1 => text(1..4).prop_map(VersionAfter::Prefix),
    ]
}

fn delimiter() -> impl Strategy<Value = String> {
    prop_oneof![2 => Just(String::new()), 4 => Just("/".to_owned()), 1 => Just("a/".to_owned()), 1 => text(1..3)]
}

#[derive(Clone, Debug)]
enum Step {
    Put(usize),
    Delete(usize),
    DeleteVersion(usize, usize),
    Versioning(Versioning),
}

fn step(keys: usize) -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..keys).prop_map(Step::Put),
        3 => (0..keys).prop_map(Step::Delete),
        2 => (0..keys, 0..4usize).prop_map(|(key, version)| Step::DeleteVersion(key, version)),
        1 => Just(Step::Versioning(Versioning::Enabled)),
        1 => Just(Step::Versioning(Versioning::Suspended)),
    ]
}

type Query = (String, String, VersionAfter, u32);

fn scenario() -> impl Strategy<Value = (Vec<String>, Vec<Step>, Vec<Query>)> {
    prop::collection::btree_set(text(1..6), 1..12).prop_flat_map(|keys| {
        let keys: Vec<String> = keys.into_iter().collect();
        let steps = prop::collection::vec(step(keys.len()), 0..60);
        let queries = prop::collection::vec((text(0..3), delimiter(), after(keys.clone()), 1u32..7), 16);
        (Just(keys), steps, queries)
    })
}

/// Does a step to the store and to the model; sequences are what the state's counter says.
fn perform(store: &mut Store, keys: &mut Keys, names: &[String], versioning: &mut Versioning, step: &Step) {
    let mut write = |store: &Store, key: &str, id: VersionId, marker: bool| {
        let sequence = state::counters(store.view()).unwrap().next_version - 1;
        let versions = keys.entry(key.to_owned()).or_default();
        versions.retain(|version| version.id != id);
        versions.insert(0, Version { id, sequence, marker });
    };
    match step {
        Step::Put(key) => {
            let outcome = store.put_empty(&names[*key]);
            write(store, &names[*key], outcome.version, false);
        }
        Step::Delete(key) => {
            let outcome = store.delete(&names[*key], None);
            match outcome.version {
                Some(version) => write(store, &names[*key], version, true),
                None => drop(keys.remove(&names[*key])),
            }
        }
        Step::DeleteVersion(key, place) => {
            let Some(versions) = keys.get_mut(&names[*key]) else { return };
            let place = place % versions.len();
            store.delete(&names[*key], Some(versions[place].id));
            versions.remove(place);
            if versions.is_empty() {
                keys.remove(&names[*key]);
            }
        }
        Step::Versioning(Versioning::Suspended) if *versioning == Versioning::Off => {}
        Step::Versioning(to) => {
            store.set_versioning(*to);
            *versioning = *to;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn listings_of_versions_are_exact((names, steps, queries) in scenario()) {
        let mut store = Store::new();
        let (mut keys, mut versioning) = (Keys::new(), Versioning::Off);
        for step in &steps {
            perform(&mut store, &mut keys, &names, &mut versioning, step);
        }
        super::invariants::check(store.view(), &store.told);
        for (prefix, delimiter, after, limit) in queries {
            let expected = model(&keys, &prefix, &delimiter, &after);
            let found = list(&store, &prefix, &delimiter, after.clone(), limit);
            prop_assert_eq!(found, expected, "prefix {:?} delimiter {:?} after {:?} page {}", prefix, delimiter, after, limit);
        }
    }
}

#[test]
fn a_page_reads_what_it_shows_and_little_more() {
    const PAGE: u32 = 10;
    /// Directories along a key, the row behind a page, and a look-up for each common prefix's seek.
    const MORE: usize = 4 * PAGE as usize;
    let mut store = Store::new();
    store.set_versioning(Versioning::Enabled);
    let mut written = Vec::new();
    for _ in 0..1_000 {
        written.push(store.put_empty("many/versions").version);
    }
    for directory in 0..50 {
        for key in 0..20 {
            store.put_empty(&format!("wide/{directory:02}/{key:02}"));
            store.put_empty(&format!("wide/{directory:02}/{key:02}"));
        }
    }
    let read = |prefix: &str, delimiter: &str, after: VersionAfter| {
        let view = Counting { engine: store.view(), rows: AtomicUsize::default() };
        let listing = page(&view, prefix, delimiter, &after, PAGE);
        assert_eq!((listing.entries.len(), listing.truncated), (PAGE as usize, true));
        assert!(view.read() <= PAGE as usize + MORE, "{} rows for {prefix:?} after {after:?}", view.read());
        listing
    };
    read("", "", VersionAfter::Start);
    let middle = read("", "", VersionAfter::Version("many/versions".into(), written[500]));
    let VersionEntry::Version { object, is_latest: false, .. } = &middle.entries[0] else { panic!("{middle:?}") };
    assert_eq!(object.version, written[499]);
    read("wide/", "/", VersionAfter::Start);
    read("wide/", "/", VersionAfter::Prefix("wide/20/".into()));
    read("wide/", "0", VersionAfter::Start);
    read("wide/30/", "", VersionAfter::Key("wide/30/05".into()));
}

#[test]
fn a_null_version_that_is_gone_loses_no_others() {
    let mut store = Store::new();
    store.put_empty("k");
    store.set_versioning(Versioning::Enabled);
    let newer = store.put_empty("k").version;
    let null = VersionAfter::Version("k".into(), VersionId::NULL);
    assert_eq!(list(&store, "", "", null.clone(), 10), Vec::<String>::new());
    store.delete("k", Some(VersionId::NULL));
    assert_eq!(list(&store, "", "", null, 10), [shown("k", newer, false, true)]);
}
