//! AWS's documentation as a table: what a rule says of an object at a moment.
//!
//! Sources: "Lifecycle configuration elements", "Examples of S3 Lifecycle configurations", "Expiring objects",
//! "Transitioning objects", "How conflicts are resolved", Amazon S3 user guide.
//!
//! Moments are days since 1970, with a fraction; objects are written on day 10 at noon unless said otherwise. Rules and
//! objects are written as words; see [`rule`] and [`Subject::read`].

use super::super::calendar::{Calendar, DAY_MS};
use super::*;
use granary_protocol::object::Tag;

fn at(day: f64) -> UnixMillis {
    UnixMillis((day * DAY_MS as f64).round() as u64)
}

fn class(name: &str) -> StorageClass {
    match name {
        "IA" => StorageClass::StandardIa,
        "ZIA" => StorageClass::OnezoneIa,
        "INT" => StorageClass::IntelligentTiering,
        "GIR" => StorageClass::GlacierIr,
        "GL" => StorageClass::Glacier,
        "DA" => StorageClass::DeepArchive,
        other => StorageClass::from_name(other).unwrap(),
    }
}

fn when(text: &str) -> When {
    match text.strip_prefix('d') {
        Some(date) => When::Date(at(date.parse().unwrap())),
        None => When::Days(text.parse().unwrap()),
    }
}

/// `days/kept`
fn noncurrent(text: &str) -> (i32, Option<i32>) {
    match text.split_once('/') {
        Some((days, kept)) => (days.parse().unwrap(), Some(kept.parse().unwrap())),
        None => (text.parse().unwrap(), None),
    }
}

/// `exp=3`, `exp=d14` (a date), `marker`, `tr=IA@30`, `nexp=5/2`, `ntr=GL@5/2`, `abort=7`, `prefix=a/`, `tag=k:v`, `gt=10`,
/// `lt=20`, `off`.
fn rule(id: usize, text: &str) -> Rule {
    let mut filter = Filter::default();
    let mut rule = Rule {
        id: format!("r{}", id + 1),
        enabled: true,
        scope: Scope::Prefix(String::new()),
        expiration: None,
        transitions: Vec::new(),
        noncurrent_expiration: None,
        noncurrent_transitions: Vec::new(),
        abort_upload_days: None,
    };
    for word in text.split_whitespace() {
        let (name, value) = word.split_once('=').unwrap_or((word, ""));
        match name {
            "exp" => rule.expiration = Some(Expiration::At(when(value))),
            "marker" => rule.expiration = Some(Expiration::ExpiredObjectDeleteMarker(value != "no")),
            "tr" => {
                let (to, moment) = value.split_once('@').unwrap();
                rule.transitions.push(Transition { when: when(moment), class: class(to) });
            }
            "nexp" => {
                let (days, newer_versions) = noncurrent(value);
                rule.noncurrent_expiration = Some(NoncurrentExpiration { days, newer_versions });
            }
            "ntr" => {
                let (to, moment) = value.split_once('@').unwrap();
                let (days, newer_versions) = noncurrent(moment);
                let class = class(to);
                rule.noncurrent_transitions.push(NoncurrentTransition { days, newer_versions, class });
            }
            "abort" => rule.abort_upload_days = Some(value.parse().unwrap()),
            "prefix" => filter.prefix = Some(value.to_owned()),
            "tag" => {
                let (key, value) = value.split_once(':').unwrap();
                filter.tags.push(Tag { key: key.to_owned(), value: value.to_owned() });
            }
            "gt" => filter.size_greater_than = Some(value.parse().unwrap()),
            "lt" => filter.size_less_than = Some(value.parse().unwrap()),
            "off" => rule.enabled = false,
            other => panic!("{other}"),
        }
    }
    rule.scope = Scope::Filter(filter);
    rule
}

/// Rules are divided by `;`; `varies` and `any` at the beginning set the minimum size.
fn configuration(text: &str) -> LifecycleConfiguration {
    let (minimum_size, text) = match text.split_once("! ") {
        Some(("varies", rest)) => (TransitionMinimumSize::VariesByStorageClass, rest),
        Some(("any", rest)) => (TransitionMinimumSize::Unlimited, rest),
        Some((other, _)) => panic!("{other}"),
        None => (TransitionMinimumSize::AllClasses128K, text),
    };
    let rules = text.split(';').enumerate().map(|(id, text)| rule(id, text)).collect();
    LifecycleConfiguration { rules, minimum_size }
}

/// `key=a/k`, `size=5`, `tag=k:v`, `in=IA`, `at=10.5` (written), `ver` (a current version of a versioned bucket),
/// `non=20.5/2` (noncurrent since, behind two others), `nonmarker=20.5/2`, `dm` (a delete marker), `alone` (one alone).
struct Subject {
    key: String,
    size: u64,
    tags: Vec<Tag>,
    class: StorageClass,
    written: UnixMillis,
    standing: Standing,
}

impl Subject {
    fn read(text: &str) -> Subject {
        let mut subject = Subject {
            key: "k".to_owned(),
            size: 1 << 20,
            tags: Vec::new(),
            class: StorageClass::Standard,
            written: at(10.5),
            standing: Standing::Current { versioned: false },
        };
        for word in text.split_whitespace() {
            let (name, value) = word.split_once('=').unwrap_or((word, ""));
            let behind = |delete_marker| {
                let (since, newer) = value.split_once('/').unwrap();
                let (since, newer) = (at(since.parse().unwrap()), newer.parse().unwrap());
                Standing::Noncurrent { since, newer, delete_marker }
            };
            match name {
                "key" => subject.key = value.to_owned(),
                "size" => subject.size = value.parse().unwrap(),
                "tag" => {
                    let (key, value) = value.split_once(':').unwrap();
                    subject.tags.push(Tag { key: key.to_owned(), value: value.to_owned() });
                }
                "in" => subject.class = class(value),
                "at" => subject.written = at(value.parse().unwrap()),
                "ver" => subject.standing = Standing::Current { versioned: true },
                "non" => subject.standing = behind(false),
                "nonmarker" => subject.standing = behind(true),
                "dm" => subject.standing = Standing::DeleteMarker { alone: false },
                "alone" => subject.standing = Standing::DeleteMarker { alone: true },
                other => panic!("{other}"),
            }
        }
        subject
    }

    fn facts(&self) -> ObjectFacts<'_> {
        ObjectFacts {
            key: &self.key,
            size: self.size,
            tags: &self.tags,
            written: self.written,
            class: self.class,
            standing: self.standing,
        }
    }
}

/// Rules, an object, a moment, and what is to be done: `-`, `delete`, `hide` or a class, with the rule that says so.
#[rustfmt::skip]
const CASES: &[(&str, &str, f64, &str)] = &[
    // Expiration after days: rounded up to the next midnight, UTC.
    ("exp=3", "", 10.5, "-"), ("exp=3", "", 13.5, "-"), ("exp=3", "", 13.999, "-"), ("exp=3", "", 14.0, "delete r1"),
    ("exp=3", "", 99.0, "delete r1"), ("exp=1", "", 11.0, "-"), ("exp=1", "", 12.0, "delete r1"),
    ("exp=3", "at=10", 13.999, "-"), ("exp=3", "at=10", 14.0, "delete r1"), ("exp=3", "at=10.999", 14.0, "delete r1"),
    ("exp=3", "at=11", 14.0, "-"), ("exp=365", "", 375.9, "-"), ("exp=365", "", 376.0, "delete r1"),
    ("exp=3 off", "", 99.0, "-"), ("exp=3", "size=0", 14.0, "delete r1"), ("exp=3", "size=1", 14.0, "delete r1"),
    ("exp=3", "in=GL", 14.0, "delete r1"), ("exp=3", "in=DA", 14.0, "delete r1"), ("exp=3", "in=IA", 14.0, "delete r1"),
    // Expiration in a bucket with versions hides, and touches neither old versions nor markers that hide something.
    ("exp=3", "ver", 13.9, "-"), ("exp=3", "ver", 14.0, "hide r1"), ("exp=3", "ver in=GL", 14.0, "hide r1"),
    ("exp=3", "non=20.5/0", 99.0, "-"), ("exp=3", "dm", 99.0, "-"), ("exp=3", "nonmarker=20.5/0", 99.0, "-"),
    // A marker that hides nothing goes by age under Days, at once under ExpiredObjectDeleteMarker.
    ("exp=3", "alone", 13.9, "-"), ("exp=3", "alone", 14.0, "delete r1"), ("exp=d20", "alone", 20.0, "delete r1"),
    ("marker", "alone", 10.6, "delete r1"), ("marker", "dm", 99.0, "-"), ("marker=no", "alone", 99.0, "-"),
    ("marker", "ver", 99.0, "-"), ("marker", "non=20.5/0", 99.0, "-"), ("marker", "", 99.0, "-"),
    ("marker off", "alone", 99.0, "-"), ("marker prefix=a/", "alone", 99.0, "-"),
    ("marker prefix=a/", "alone key=a/k", 99.0, "delete r1"), ("nexp=1;marker", "alone", 10.6, "delete r2"),
    // Dates: from that midnight on, for what is older and what is newer alike.
    ("exp=d14", "", 13.999, "-"), ("exp=d14", "", 14.0, "delete r1"), ("exp=d14", "at=20", 20.0, "delete r1"),
    ("exp=d14", "ver", 14.0, "hide r1"), ("tr=GL@d14", "", 13.9, "-"), ("tr=GL@d14", "", 14.0, "GLACIER r1"),
    ("tr=GL@d14", "at=20", 20.1, "GLACIER r1"), ("tr=GL@d14;exp=d15", "in=GL", 15.0, "delete r2"),
    // Transitions after days.
    ("tr=IA@30", "", 40.9, "-"), ("tr=IA@30", "", 41.0, "STANDARD_IA r1"), ("tr=ZIA@30", "", 41.0, "ONEZONE_IA r1"),
    ("tr=INT@5", "", 16.0, "INTELLIGENT_TIERING r1"), ("tr=GIR@5", "", 16.0, "GLACIER_IR r1"),
    ("tr=GL@5", "", 15.9, "-"), ("tr=GL@5", "", 16.0, "GLACIER r1"), ("tr=DA@5", "", 16.0, "DEEP_ARCHIVE r1"),
    ("tr=GL@0", "", 10.5, "GLACIER r1"), ("tr=GL@0", "", 10.4, "-"), ("tr=GL@0", "at=10.75", 10.8, "GLACIER r1"),
    ("tr=GL@5 off", "", 99.0, "-"), ("tr=GL@5", "ver", 16.0, "GLACIER r1"), ("tr=GL@5", "dm", 99.0, "-"),
    ("tr=GL@5", "alone", 99.0, "-"), ("tr=GL@5", "non=11.5/0", 99.0, "-"),
    // Several transitions of one rule: each when it is due, and the coldest where several are.
    ("tr=IA@30 tr=GL@60", "", 41.0, "STANDARD_IA r1"), ("tr=IA@30 tr=GL@60", "in=IA", 41.0, "-"),
    ("tr=IA@30 tr=GL@60", "in=IA", 70.9, "-"), ("tr=IA@30 tr=GL@60", "in=IA", 71.0, "GLACIER r1"),
    ("tr=IA@30 tr=GL@60", "", 71.0, "GLACIER r1"), ("tr=IA@30 tr=GL@60 tr=DA@90", "", 101.0, "DEEP_ARCHIVE r1"),
    ("tr=IA@30 tr=GL@60 exp=365", "in=GL", 375.9, "-"), ("tr=IA@30 tr=GL@60 exp=365", "in=GL", 376.0, "delete r1"),
    ("tr=IA@30 tr=GL@60 exp=365", "", 376.0, "delete r1"), ("tr=IA@30 exp=365", "ver", 376.0, "STANDARD_IA r1"),
    // The waterfall: never to a warmer class, nor to the same.
    ("tr=IA@30", "in=IA", 99.0, "-"), ("tr=IA@30", "in=INT", 99.0, "-"), ("tr=IA@30", "in=ZIA", 99.0, "-"),
    ("tr=IA@30", "in=GIR", 99.0, "-"), ("tr=IA@30", "in=GL", 99.0, "-"), ("tr=IA@30", "in=DA", 99.0, "-"),
    ("tr=INT@5", "in=IA", 99.0, "INTELLIGENT_TIERING r1"), ("tr=INT@5", "in=ZIA", 99.0, "-"),
    ("tr=ZIA@30", "in=IA", 99.0, "ONEZONE_IA r1"), ("tr=ZIA@30", "in=INT", 99.0, "ONEZONE_IA r1"),
    ("tr=GIR@5", "in=ZIA", 99.0, "GLACIER_IR r1"), ("tr=GIR@5", "in=GL", 99.0, "-"),
    ("tr=GL@5", "in=GIR", 99.0, "GLACIER r1"), ("tr=GL@5", "in=INT", 99.0, "GLACIER r1"), ("tr=GL@5", "in=DA", 99.0, "-"),
    ("tr=DA@5", "in=GL", 99.0, "DEEP_ARCHIVE r1"), ("tr=DA@5", "in=DA", 99.0, "-"),
    // Small objects: below 128 KiB nothing moves, unless the rule names a size or the header lets archives have them.
    ("tr=IA@30", "size=131071", 99.0, "-"), ("tr=IA@30", "size=131072", 99.0, "STANDARD_IA r1"),
    ("tr=GL@5", "size=131071", 99.0, "-"), ("tr=DA@5", "size=0", 99.0, "-"),
    ("varies! tr=GL@5", "size=100", 99.0, "GLACIER r1"), ("varies! tr=DA@5", "size=100", 99.0, "DEEP_ARCHIVE r1"),
    ("varies! tr=IA@30", "size=100", 99.0, "-"), ("varies! tr=GIR@5", "size=100", 99.0, "-"),
    ("varies! tr=INT@5", "size=100", 99.0, "-"), ("varies! tr=ZIA@30", "size=100", 99.0, "-"),
    ("any! tr=IA@30", "size=1", 99.0, "STANDARD_IA r1"), ("any! tr=INT@5", "size=0", 99.0, "INTELLIGENT_TIERING r1"),
    ("tr=IA@30 gt=50", "size=100", 99.0, "STANDARD_IA r1"), ("tr=IA@30 gt=100", "size=100", 99.0, "-"),
    ("tr=IA@30 lt=200", "size=100", 99.0, "STANDARD_IA r1"), ("tr=GL@5 lt=100", "size=100", 99.0, "-"),
    ("ntr=IA@30", "non=20.5/0 size=100", 99.0, "-"), ("varies! ntr=GL@5", "non=20.5/0 size=100", 99.0, "GLACIER r1"),
    ("exp=3 gt=131072", "size=5", 99.0, "-"),
    // Filters: prefix.
    ("exp=3 prefix=logs/", "key=logs/a", 99.0, "delete r1"), ("exp=3 prefix=logs/", "key=logs", 99.0, "-"),
    ("exp=3 prefix=logs/", "key=log/a", 99.0, "-"), ("exp=3 prefix=logs", "key=logs2/a", 99.0, "delete r1"),
    ("exp=3 prefix=logs/", "key=a/logs/b", 99.0, "-"), ("exp=3 prefix=Logs/", "key=logs/a", 99.0, "-"),
    ("exp=3 prefix=é", "key=é/ü", 99.0, "delete r1"), ("exp=3 prefix=", "key=any", 99.0, "delete r1"),
    // Filters: tags; all must be there, more may be.
    ("exp=3 tag=k:v", "tag=k:v", 99.0, "delete r1"), ("exp=3 tag=k:v", "", 99.0, "-"), ("exp=3 tag=k:v", "tag=k:w", 99.0, "-"),
    ("exp=3 tag=k:v", "tag=K:v", 99.0, "-"), ("exp=3 tag=k:v", "tag=a:b tag=k:v", 99.0, "delete r1"),
    ("exp=3 tag=k:v tag=l:w", "tag=k:v", 99.0, "-"), ("exp=3 tag=k:v tag=l:w", "tag=l:w tag=k:v", 99.0, "delete r1"),
    ("exp=3 tag=k:", "tag=k:", 99.0, "delete r1"), ("exp=3 tag=k:", "tag=k:v", 99.0, "-"),
    ("nexp=3 tag=k:v", "non=20.5/0 tag=k:v", 99.0, "delete r1"), ("nexp=3 tag=k:v", "non=20.5/0", 99.0, "-"),
    // Filters: sizes; both bounds are outside.
    ("exp=3 gt=10", "size=10", 99.0, "-"), ("exp=3 gt=10", "size=11", 99.0, "delete r1"),
    ("exp=3 lt=10", "size=10", 99.0, "-"), ("exp=3 lt=10", "size=9", 99.0, "delete r1"), ("exp=3 gt=0", "size=0", 99.0, "-"),
    ("exp=3 gt=5 lt=10", "size=7", 99.0, "delete r1"), ("exp=3 gt=5 lt=10", "size=5", 99.0, "-"),
    // Filters: And.
    ("exp=3 prefix=a/ tag=k:v gt=5", "key=a/k tag=k:v size=6", 99.0, "delete r1"),
    ("exp=3 prefix=a/ tag=k:v gt=5", "key=b/k tag=k:v size=6", 99.0, "-"),
    ("exp=3 prefix=a/ tag=k:v gt=5", "key=a/k size=6", 99.0, "-"),
    ("exp=3 prefix=a/ tag=k:v gt=5", "key=a/k tag=k:v size=5", 99.0, "-"),
    // Noncurrent versions: counted from when the next version was written.
    ("nexp=3", "non=20.5/0", 23.9, "-"), ("nexp=3", "non=20.5/0", 24.0, "delete r1"), ("nexp=3", "non=20.5/9", 24.0, "delete r1"),
    ("nexp=3", "", 99.0, "-"), ("nexp=3", "ver", 99.0, "-"), ("nexp=3", "alone", 99.0, "-"), ("nexp=3", "dm", 99.0, "-"),
    ("nexp=3", "nonmarker=20.5/0", 24.0, "delete r1"), ("nexp=3 off", "non=20.5/0", 99.0, "-"),
    ("nexp=3 prefix=a/", "non=20.5/0", 99.0, "-"), ("nexp=3", "non=20.5/0 in=GL", 24.0, "delete r1"),
    // So many newer noncurrent versions stay.
    ("nexp=3/2", "non=20.5/0", 99.0, "-"), ("nexp=3/2", "non=20.5/1", 99.0, "-"), ("nexp=3/2", "non=20.5/2", 23.9, "-"),
    ("nexp=3/2", "non=20.5/2", 24.0, "delete r1"), ("nexp=3/100", "non=20.5/99", 99.0, "-"),
    ("nexp=3/100", "non=20.5/100", 99.0, "delete r1"), ("nexp=3/5;nexp=9", "non=20.5/0", 29.9, "-"),
    ("nexp=3/5;nexp=9", "non=20.5/0", 30.0, "delete r2"),
    // Noncurrent transitions.
    ("ntr=GL@0", "non=20.5/0", 20.9, "-"), ("ntr=GL@0", "non=20.5/0", 21.0, "GLACIER r1"),
    ("ntr=IA@30", "non=20.5/0", 50.9, "-"), ("ntr=IA@30", "non=20.5/0", 51.0, "STANDARD_IA r1"),
    ("ntr=IA@30 ntr=GL@60", "non=20.5/0 in=IA", 81.0, "GLACIER r1"), ("ntr=GL@5/1", "non=20.5/0", 99.0, "-"),
    ("ntr=GL@5/1", "non=20.5/1", 99.0, "GLACIER r1"), ("ntr=GL@5", "nonmarker=20.5/0", 99.0, "-"), ("ntr=GL@5", "ver", 99.0, "-"),
    ("ntr=GL@5 nexp=9", "non=20.5/0", 26.0, "GLACIER r1"), ("ntr=GL@5 nexp=9", "non=20.5/0 in=GL", 30.0, "delete r1"),
    ("ntr=GL@5 nexp=9/3", "non=20.5/2", 30.0, "GLACIER r1"), ("ntr=GL@5 nexp=9/3", "non=20.5/2 in=GL", 99.0, "-"),
    // Conflicts: deleting before moving, moving before hiding, the colder class before the warmer, the first of equals.
    ("exp=3;tr=GL@3", "", 14.0, "delete r1"), ("tr=GL@3;exp=3", "", 14.0, "delete r2"), ("exp=3;tr=GL@3", "ver", 14.0, "GLACIER r2"),
    ("exp=3;tr=GL@3", "ver in=GL", 14.0, "hide r1"), ("tr=IA@30;tr=GL@30", "", 41.0, "GLACIER r2"),
    ("tr=GL@30;tr=IA@30", "", 41.0, "GLACIER r1"), ("tr=DA@30;tr=GL@30;tr=IA@30", "", 41.0, "DEEP_ARCHIVE r1"),
    ("exp=3;exp=3", "", 14.0, "delete r1"), ("exp=9;exp=3", "", 14.0, "delete r2"), ("exp=3;exp=9", "", 14.0, "delete r1"),
    ("exp=365;tr=IA@30 prefix=logs/", "key=logs/a", 41.0, "STANDARD_IA r2"),
    ("exp=3 prefix=a/;exp=5 prefix=a/b/", "key=a/b/k", 14.0, "delete r1"), ("nexp=5;ntr=GL@5", "non=20.5/0", 26.0, "delete r1"),
    ("exp=3 off;tr=GL@5", "", 14.0, "-"), ("exp=3 off;tr=GL@5", "", 16.0, "GLACIER r2"),
    ("exp=d14;exp=9", "", 14.0, "delete r1"), ("abort=3", "", 99.0, "-"),
];

#[test]
fn the_table_has_at_least_150_cases() {
    assert!(CASES.len() >= 150, "{}", CASES.len());
}

#[test]
fn every_case_of_the_table() {
    for (rules, subject, now, expected) in CASES {
        let configuration = configuration(rules);
        let subject = Subject::read(subject);
        let action = next_action(&configuration, &subject.facts(), at(*now), Calendar::REAL);
        let shown = match action {
            None => "-".to_owned(),
            Some((Action::Delete, rule)) => format!("delete {rule}"),
            Some((Action::Hide, rule)) => format!("hide {rule}"),
            Some((Action::Move(class), rule)) => format!("{} {rule}", class.name()),
        };
        assert_eq!(shown, *expected, "{rules:?} of {:?} at {now}", subject.facts());
    }
}

/// Numbers that look random and are the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

fn random_rules(dice: &mut Dice) -> String {
    let mut rules = Vec::new();
    for _ in 0..=dice.roll(3) {
        let mut words = Vec::new();
        match dice.roll(4) {
            0 => words.push(format!("exp={}", 1 + dice.roll(30))),
            1 => words.push(format!("exp=d{}", 5 + dice.roll(40))),
            2 => words.push("marker".to_owned()),
            _ => {}
        }
        for class in ["IA", "INT", "ZIA", "GIR", "GL", "DA"] {
            if dice.roll(4) == 0 {
                words.push(format!("tr={class}@{}", dice.roll(30)));
            }
            if dice.roll(5) == 0 {
                words.push(format!("ntr={class}@{}/{}", dice.roll(20), 1 + dice.roll(3)));
            }
        }
        if dice.roll(3) == 0 {
            words.push(format!("nexp={}/{}", 1 + dice.roll(20), 1 + dice.roll(3)));
        }
        let filters = ["prefix=a/", "prefix=b/", "tag=k:v", "gt=100", "lt=200000", "off", "", ""];
        words.push(filters[dice.roll(filters.len() as u64) as usize].to_owned());
        rules.push(words.join(" "));
    }
    rules.join(";")
}

fn random_subject(dice: &mut Dice) -> String {
    let standings = ["", "ver", "dm", "alone", "non=12.25/0", "non=12.25/1", "non=12.25/2", "nonmarker=12.25/3"];
    let standing = standings[dice.roll(standings.len() as u64) as usize];
    let key = ["a/k", "b/k", "c"][dice.roll(3) as usize];
    let size = [50, 150, 131_072, 500_000][dice.roll(4) as usize];
    let tag = ["", "tag=k:v"][dice.roll(2) as usize];
    format!("key={key} size={size} {tag} {standing}")
}

/// What the documentation says, word by word, of one midnight: written without the code above.
fn naive(configuration: &LifecycleConfiguration, facts: &ObjectFacts<'_>, midnight: u64) -> Option<Action> {
    let order =
        ["STANDARD", "STANDARD_IA", "INTELLIGENT_TIERING", "ONEZONE_IA", "GLACIER_IR", "GLACIER", "DEEP_ARCHIVE"];
    let place = |class: StorageClass| order.iter().position(|name| *name == class.name()).unwrap();
    let passed = |since: UnixMillis, days: i32| midnight > since.0 / DAY_MS + u64::try_from(days).unwrap();
    let (mut deletes, mut hides, mut moves) = (false, false, None::<StorageClass>);
    for rule in configuration.rules.iter().filter(|rule| rule.enabled) {
        let Scope::Filter(filter) = &rule.scope else { panic!("rules of this test have filters") };
        let fits = filter.prefix.as_ref().is_none_or(|prefix| facts.key.starts_with(prefix.as_str()))
            && filter.tags.iter().all(|tag| facts.tags.contains(tag))
            && filter.size_greater_than.is_none_or(|least| facts.size as i64 > least)
            && filter.size_less_than.is_none_or(|most| (facts.size as i64) < most);
        if !fits {
            continue;
        }
        let due = |when: When| match when {
            When::Days(days) => passed(facts.written, days),
            When::Date(date) => midnight * DAY_MS >= date.0,
        };
        let expires = match rule.expiration {
            Some(Expiration::At(when)) => due(when),
            Some(Expiration::ExpiredObjectDeleteMarker(flag)) => {
                flag && matches!(facts.standing, Standing::DeleteMarker { .. }) && midnight * DAY_MS >= facts.written.0
            }
            None => false,
        };
        let mut candidates = Vec::new();
        match facts.standing {
            Standing::Current { versioned } => {
                deletes |= expires && !versioned;
                hides |= expires && versioned;
                let zero = |when| when == When::Days(0) && midnight * DAY_MS >= facts.written.0;
                candidates.extend(rule.transitions.iter().filter(|t| due(t.when) || zero(t.when)).map(|t| t.class));
            }
            Standing::Noncurrent { since, newer, delete_marker } => {
                let enough = |kept: Option<i32>| newer as i32 >= kept.unwrap_or(0);
                deletes |=
                    rule.noncurrent_expiration.is_some_and(|e| passed(since, e.days) && enough(e.newer_versions));
                if !delete_marker {
                    let due = rule
                        .noncurrent_transitions
                        .iter()
                        .filter(|t| passed(since, t.days) && enough(t.newer_versions));
                    candidates.extend(due.map(|t| t.class));
                }
            }
            Standing::DeleteMarker { alone } => deletes |= alone && expires,
        }
        let sized = filter.size_greater_than.is_some() || filter.size_less_than.is_some();
        for class in candidates {
            let large = facts.size >= 131_072 || sized;
            let colder_than_now = place(class) > place(facts.class);
            if large && colder_than_now && moves.is_none_or(|so_far| place(class) > place(so_far)) {
                moves = Some(class);
            }
        }
    }
    match (deletes, moves, hides) {
        (true, _, _) => Some(Action::Delete),
        (false, Some(class), _) => Some(Action::Move(class)),
        (false, None, true) => Some(Action::Hide),
        (false, None, false) => None,
    }
}

/// The life of an object, looked at every midnight by the naive model, and only when `outlook` says so by the rules.
#[test]
fn looking_when_told_to_finds_what_looking_every_day_finds() {
    const END: u64 = 60;
    for seed in 1..=4_000u64 {
        let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let (rules, subject) = (random_rules(&mut dice), random_subject(&mut dice));
        let configuration = configuration(&rules);
        let subject = Subject::read(&subject);
        let (mut daily, mut told) = (Vec::new(), Vec::new());
        let mut facts = subject.facts();
        for midnight in 11..END {
            if let Some(action) = naive(&configuration, &facts, midnight) {
                daily.push((midnight, action));
                match action {
                    Action::Move(class) => facts.class = class,
                    Action::Delete | Action::Hide => break,
                }
            }
        }
        let (mut facts, mut now, mut looks) = (subject.facts(), at(11.0), 0);
        while now < at(END as f64) {
            looks += 1;
            let Outlook { action, next } = outlook(&configuration, &facts, now, Calendar::REAL);
            if let Some((action, _)) = action {
                told.push((now.0 / DAY_MS, action));
                match action {
                    Action::Move(class) => facts.class = class,
                    Action::Delete | Action::Hide => break,
                }
                // What else is due may follow at once, at the next midnight here.
                now = at((now.0 / DAY_MS + 1) as f64);
                continue;
            }
            let Some(next) = next else { break };
            assert!(next > now);
            now = next;
        }
        assert_eq!(told, daily, "seed {seed}: {rules:?}, {:?}", subject.facts());
        assert!(looks < 50, "seed {seed}: {looks} looks");
    }
}
