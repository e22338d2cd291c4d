//! Pages against rules, and the moment of the next scan.

use super::*;
use crate::rules::{Filter, NoncurrentExpiration, Rule, Scope, Transition};
use granary_protocol::VersionId;
use granary_protocol::bucket::{BucketInfo, RetentionMode};
use granary_protocol::object::{ETag, ObjectLock, Retention, StorageClass, Tag};

const DAY: u64 = 10_000;

fn rule(prefix: &str) -> Rule {
    Rule {
        id: "r".to_owned(),
        enabled: true,
        scope: Scope::Filter(Filter { prefix: Some(prefix.to_owned()), ..Filter::default() }),
        expiration: None,
        transitions: Vec::new(),
        noncurrent_expiration: None,
        noncurrent_transitions: Vec::new(),
        abort_upload_days: None,
    }
}

fn settings(versioning: Versioning, documents: &[BucketDocument]) -> BucketSettings {
    let info = BucketInfo {
        name: "b".into(),
        owner: "o".into(),
        created: UnixMillis(0),
        region: String::new(),
        versioning,
        object_lock: None,
    };
    let documents = documents.iter().map(|kind| (*kind, Bytes::new())).collect();
    BucketSettings { info, revision: 1, documents }
}

fn version(key: &str, written: u64) -> ScannedVersion {
    ScannedVersion {
        key: key.into(),
        version: VersionId(4),
        sequence: 4,
        delete_marker: false,
        size: 1 << 20,
        etag: ETag { md5: [0; 16], parts: None },
        written: UnixMillis(written),
        class: StorageClass::Standard,
        lock: ObjectLock::default(),
        tags: Vec::new(),
        standing: ScannedStanding::Current { alone: true },
    }
}

fn configuration(rules: Vec<Rule>) -> LifecycleConfiguration {
    LifecycleConfiguration { rules, ..LifecycleConfiguration::default() }
}

fn expires(prefix: &str, days: i32) -> Rule {
    Rule { expiration: Some(Expiration::At(When::Days(days))), ..rule(prefix) }
}

#[test]
fn a_version_is_acted_on_when_it_is_due_and_remembered_until_then() {
    let rules = configuration(vec![expires("", 3)]);
    let bucket = settings(Versioning::Off, &[]);
    let judge = Judge::new(&rules, &bucket, Calendar::of_day_seconds(10));
    let mut progress = LifecycleProgress::default();
    let early = judge.judge(&version("k", 0), UnixMillis(3 * DAY - 1), &mut progress);
    assert_eq!((early, progress.next_due, progress.scanned), (None, Some(UnixMillis(3 * DAY)), 1));
    let step = judge.judge(&version("k", 0), UnixMillis(3 * DAY), &mut progress).unwrap();
    assert_eq!((step.act, step.sequence, step.event, step.tags), (LifecycleAct::Delete, 4, None, None));
    let versioned = settings(Versioning::Suspended, &[BucketDocument::Notification]);
    let judge = Judge::new(&rules, &versioned, Calendar::of_day_seconds(10));
    let step = judge.judge(&version("k", 0), UnixMillis(3 * DAY), &mut progress).unwrap();
    assert_eq!(step.act, LifecycleAct::Hide);
    let happened: LifecycleHappened = postcard::from_bytes(&step.event.unwrap().body).unwrap();
    assert_eq!((happened.kind, happened.rule.as_str()), (LifecycleEventKind::Hidden, "r"));
}

#[test]
fn locked_versions_are_neither_deleted_nor_archived() {
    let glacier = Transition { when: When::Days(1), class: StorageClass::Glacier };
    let infrequent = Transition { when: When::Days(1), class: StorageClass::StandardIa };
    let bucket = settings(Versioning::Off, &[]);
    let retention = Retention { mode: RetentionMode::Governance, until: UnixMillis(u64::MAX) };
    let lock = ObjectLock { retention: Some(retention), legal_hold: false };
    for (rule, acts) in [
        (expires("", 1), false),
        (Rule { transitions: vec![glacier], ..rule("") }, false),
        (Rule { transitions: vec![infrequent], ..rule("") }, true),
    ] {
        let rules = configuration(vec![rule]);
        let judge = Judge::new(&rules, &bucket, Calendar::of_day_seconds(10));
        let mut progress = LifecycleProgress::default();
        let locked = ScannedVersion { lock, ..version("k", 0) };
        assert_eq!(judge.judge(&locked, UnixMillis(DAY), &mut progress).is_some(), acts);
        assert_eq!(progress.next_due, (!acts).then_some(UnixMillis(2 * DAY)));
        assert!(judge.judge(&version("k", 0), UnixMillis(DAY), &mut progress).is_some());
    }
}

#[test]
fn the_next_scan_comes_when_something_can_be_due() {
    let at = |rules: Vec<Rule>, next_due: Option<u64>| {
        let rules = configuration(rules);
        let bucket = settings(Versioning::Enabled, &[]);
        let judge = Judge::new(&rules, &bucket, Calendar::of_day_seconds(10));
        let progress = LifecycleProgress {
            started: UnixMillis(100 * DAY),
            next_due: next_due.map(UnixMillis),
            ..LifecycleProgress::default()
        };
        judge.next_scan(&progress).map(|at| at.0)
    };
    assert_eq!(at(vec![Rule { enabled: false, ..expires("", 3) }], None), None);
    assert_eq!(at(vec![expires("", 3)], None), Some(103 * DAY));
    assert_eq!(at(vec![expires("", 3)], Some(102 * DAY)), Some(102 * DAY));
    let tagged = Filter { tags: vec![Tag { key: "k".to_owned(), value: String::new() }], ..Filter::default() };
    assert_eq!(at(vec![Rule { scope: Scope::Filter(tagged), ..expires("", 9) }], None), Some(101 * DAY));
    let newer = NoncurrentExpiration { days: 9, newer_versions: Some(1) };
    assert_eq!(at(vec![Rule { noncurrent_expiration: Some(newer), ..rule("") }], None), Some(101 * DAY));
    let marker = Some(Expiration::ExpiredObjectDeleteMarker(true));
    assert_eq!(at(vec![Rule { expiration: marker, ..rule("") }], None), Some(101 * DAY));
    let at_once = Transition { when: When::Days(0), class: StorageClass::Glacier };
    assert_eq!(at(vec![Rule { transitions: vec![at_once], ..rule("") }], None), Some(100 * DAY + 416));
    let dated = |date| Rule { expiration: Some(Expiration::At(When::Date(UnixMillis(date)))), ..rule("") };
    assert_eq!(at(vec![dated(5)], None), Some(101 * DAY));
    assert_eq!(at(vec![dated(500 * DAY)], None), Some(500 * DAY));
    assert_eq!(at(vec![Rule { abort_upload_days: Some(2), ..rule("") }], None), Some(102 * DAY));
}

#[test]
fn only_what_rules_can_mean_is_scanned() {
    let prefix = |prefixes: &[&str]| {
        let rules = configuration(prefixes.iter().map(|prefix| expires(prefix, 1)).collect());
        let bucket = settings(Versioning::Off, &[]);
        Judge::new(&rules, &bucket, Calendar::REAL).prefix()
    };
    assert_eq!(prefix(&["logs/a", "logs/b"]), "logs/");
    assert_eq!(prefix(&["logs/", "logs/2/"]), "logs/");
    assert_eq!(prefix(&["é1", "é2"]), "é");
    assert_eq!(prefix(&["é", "è"]), "");
    assert_eq!(prefix(&["a", ""]), "");
}
