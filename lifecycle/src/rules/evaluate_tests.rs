//! Configurations against objects and times.

use super::super::calendar::{Calendar, DAY_MS};
use super::*;

const NOON: u64 = 12 * 60 * 60 * 1000;

fn day(day: u64) -> UnixMillis {
    UnixMillis(day * DAY_MS)
}

fn rule(id: &str, prefix: &str) -> Rule {
    Rule {
        id: id.to_owned(),
        enabled: true,
        scope: Scope::Filter(Filter { prefix: Some(prefix.to_owned()), ..Filter::default() }),
        expiration: None,
        transitions: Vec::new(),
        noncurrent_expiration: None,
        noncurrent_transitions: Vec::new(),
        abort_upload_days: None,
    }
}

fn expires(id: &str, prefix: &str, days: i32) -> Rule {
    Rule { expiration: Some(Expiration::At(When::Days(days))), ..rule(id, prefix) }
}

fn configuration(rules: Vec<Rule>) -> LifecycleConfiguration {
    LifecycleConfiguration { rules, ..LifecycleConfiguration::default() }
}

/// Written on the tenth day at noon.
fn object(key: &str) -> ObjectFacts<'_> {
    ObjectFacts {
        key,
        size: 1 << 20,
        tags: &[],
        written: UnixMillis(10 * DAY_MS + NOON),
        class: StorageClass::Standard,
        standing: Standing::Current { versioned: false },
    }
}

#[test]
fn expiration_is_rounded_up_to_midnight_and_the_earliest_wins() {
    let three = configuration(vec![expires("late", "", 5), expires("soon", "a/", 3), expires("other", "b/", 1)]);
    assert_eq!(expiration_of(&three, &object("a/k"), Calendar::REAL), Some(Due { at: day(14), rule: "soon" }));
    assert_eq!(expiration_of(&three, &object("k"), Calendar::REAL), Some(Due { at: day(16), rule: "late" }));
    let disabled = configuration(vec![Rule { enabled: false, ..expires("r", "", 1) }]);
    assert_eq!(expiration_of(&disabled, &object("k"), Calendar::REAL), None);
    let dated = Rule { expiration: Some(Expiration::At(When::Date(day(12)))), ..rule("date", "") };
    let dated = configuration(vec![expires("days", "", 9), dated]);
    assert_eq!(expiration_of(&dated, &object("k"), Calendar::REAL), Some(Due { at: day(12), rule: "date" }));
}

#[test]
fn filters_ask_for_tags_and_sizes() {
    let tag = Tag { key: "k".to_owned(), value: "v".to_owned() };
    let scope = Scope::Filter(Filter {
        and: true,
        tags: vec![tag.clone()],
        size_greater_than: Some(10),
        size_less_than: Some(20),
        ..Filter::default()
    });
    let only = configuration(vec![Rule { scope, ..expires("r", "", 1) }]);
    let tags = [tag];
    for (size, tags, covered) in
        [(15, &tags[..], true), (15, &[], false), (10, &tags, false), (11, &tags, true), (20, &tags, false)]
    {
        let facts = ObjectFacts { size, tags, ..object("k") };
        assert_eq!(expiration_of(&only, &facts, Calendar::REAL).is_some(), covered, "{size} {tags:?}");
    }
}

#[test]
fn current_versions() {
    let glacier = Transition { when: When::Days(2), class: StorageClass::Glacier };
    let archive = Transition { when: When::Days(2), class: StorageClass::DeepArchive };
    let moving = Rule { transitions: vec![glacier, archive], ..rule("move", "") };
    let both = configuration(vec![expires("expire", "", 2), moving]);
    let facts = object("k");
    assert_eq!(next_action(&both, &facts, UnixMillis(day(13).0 - 1), Calendar::REAL), None);
    assert_eq!(next_action(&both, &facts, day(13), Calendar::REAL), Some((Action::Delete, "expire")));
    let versioned = ObjectFacts { standing: Standing::Current { versioned: true }, ..facts };
    assert_eq!(
        next_action(&both, &versioned, day(13), Calendar::REAL),
        Some((Action::Move(StorageClass::DeepArchive), "move"))
    );
    let arrived = ObjectFacts { class: StorageClass::DeepArchive, ..versioned };
    assert_eq!(next_action(&both, &arrived, day(13), Calendar::REAL), Some((Action::Hide, "expire")));
    let at_once = Transition { when: When::Days(0), class: StorageClass::Glacier };
    let at_once = configuration(vec![Rule { transitions: vec![at_once], ..rule("now", "") }]);
    assert_eq!(
        next_action(&at_once, &facts, facts.written, Calendar::REAL),
        Some((Action::Move(StorageClass::Glacier), "now"))
    );
}

#[test]
fn small_objects_stay_unless_a_size_is_named() {
    let step = |class| Transition { when: When::Days(30), class };
    let moving = Rule { transitions: vec![step(StorageClass::StandardIa)], ..rule("r", "") };
    let archiving = Rule { transitions: vec![step(StorageClass::Glacier)], ..rule("r", "") };
    let small = ObjectFacts { size: (128 << 10) - 1, ..object("k") };
    let act = |rule: &Rule, minimum_size| {
        let configuration = LifecycleConfiguration { rules: vec![rule.clone()], minimum_size };
        next_action(&configuration, &small, day(100), Calendar::REAL).is_some()
    };
    let (all, varies) = (TransitionMinimumSize::AllClasses128K, TransitionMinimumSize::VariesByStorageClass);
    assert_eq!([act(&moving, all), act(&archiving, all)], [false, false]);
    assert_eq!([act(&moving, varies), act(&archiving, varies)], [false, true]);
    let scope = Scope::Filter(Filter { size_greater_than: Some(1), ..Filter::default() });
    assert!(act(&Rule { scope, ..moving }, all));
}

#[test]
fn noncurrent_versions_and_markers() {
    let noncurrent = NoncurrentExpiration { days: 1, newer_versions: Some(2) };
    let marker = Some(Expiration::ExpiredObjectDeleteMarker(true));
    let rules = Rule { noncurrent_expiration: Some(noncurrent), expiration: marker, ..rule("r", "") };
    let rules = configuration(vec![rules]);
    let act = |standing, now| next_action(&rules, &ObjectFacts { standing, ..object("k") }, now, Calendar::REAL);
    let since = UnixMillis(20 * DAY_MS + NOON);
    assert_eq!(
        act(Standing::Noncurrent { since, newer: 2, delete_marker: false }, day(22)),
        Some((Action::Delete, "r"))
    );
    assert_eq!(act(Standing::Noncurrent { since, newer: 1, delete_marker: false }, day(99)), None);
    assert_eq!(act(Standing::Noncurrent { since, newer: 2, delete_marker: false }, UnixMillis(day(22).0 - 1)), None);
    assert_eq!(act(Standing::DeleteMarker { alone: true }, day(11)), Some((Action::Delete, "r")));
    assert_eq!(act(Standing::DeleteMarker { alone: false }, day(99)), None);
    assert_eq!(act(Standing::Current { versioned: true }, day(99)), None);
}

#[test]
fn uploads() {
    let rules = configuration(vec![Rule { abort_upload_days: Some(7), ..rule("abort", "a/") }]);
    let due = upload_expiration(&rules, "a/k", UnixMillis(DAY_MS + 1), Calendar::REAL);
    assert_eq!(due, Some(Due { at: day(9), rule: "abort" }));
    assert_eq!(upload_expiration(&rules, "b", UnixMillis(0), Calendar::REAL), None);
}
