//! One configuration a documented rule.

use super::super::error::Fault;
use super::*;

fn rule() -> Rule {
    Rule {
        id: "r".to_owned(),
        enabled: true,
        scope: Scope::Filter(Filter::default()),
        expiration: None,
        transitions: Vec::new(),
        noncurrent_expiration: None,
        noncurrent_transitions: Vec::new(),
        abort_upload_days: None,
    }
}

fn days(days: i32) -> Option<Expiration> {
    Some(Expiration::At(When::Days(days)))
}

fn to(class: StorageClass, days: i32) -> Transition {
    Transition { when: When::Days(days), class }
}

fn tag(key: &str, value: &str) -> Tag {
    Tag { key: key.to_owned(), value: value.to_owned() }
}

fn judge(change: impl FnOnce(&mut Rule)) -> Result<(), RuleError> {
    let mut changed = rule();
    change(&mut changed);
    validate(&LifecycleConfiguration { rules: vec![changed], ..LifecycleConfiguration::default() }, Calendar::REAL)
}

fn fault(change: impl FnOnce(&mut Rule)) -> Fault {
    judge(change).unwrap_err().fault()
}

fn judge_filter(filter: Filter) -> Result<(), RuleError> {
    judge(|rule| {
        rule.scope = Scope::Filter(filter);
        rule.expiration = days(1);
    })
}

#[test]
fn accepts_the_whole_language() {
    judge(|rule| {
        rule.id = "é".repeat(255);
        rule.scope = Scope::Filter(Filter {
            and: true,
            prefix: Some("logs/".to_owned()),
            tags: vec![tag("a", "1"), tag("b", "")],
            size_greater_than: Some(0),
            size_less_than: Some(1 << 40),
            beside: None,
        });
        rule.expiration = days(366);
        rule.transitions = vec![
            to(StorageClass::DeepArchive, 365),
            to(StorageClass::StandardIa, 30),
            to(StorageClass::IntelligentTiering, 60),
            to(StorageClass::GlacierIr, 90),
            to(StorageClass::Glacier, 91),
        ];
        rule.noncurrent_expiration = Some(NoncurrentExpiration { days: 10, newer_versions: Some(100) });
        let class = StorageClass::Glacier;
        rule.noncurrent_transitions = vec![NoncurrentTransition { days: 0, newer_versions: Some(1), class }];
    })
    .unwrap();
    judge(|rule| rule.expiration = Some(Expiration::ExpiredObjectDeleteMarker(true))).unwrap();
    judge(|rule| rule.abort_upload_days = Some(1)).unwrap();
    judge(|rule| {
        rule.scope = Scope::Prefix(String::new());
        rule.expiration = Some(Expiration::At(When::Date(UnixMillis(DAY_MS * 20_000))));
    })
    .unwrap();
    judge(|rule| rule.transitions = vec![to(StorageClass::Glacier, 0)]).unwrap();
}

#[test]
fn configurations() {
    let with = |rules: Vec<Rule>| {
        validate(&LifecycleConfiguration { rules, ..LifecycleConfiguration::default() }, Calendar::REAL)
    };
    let numbered = |id: usize| Rule { id: id.to_string(), expiration: days(1), ..rule() };
    assert_eq!(with(Vec::new()), Err(RuleError::NoRules));
    assert_eq!(with((0..1000).map(numbered).collect()), Ok(()));
    assert_eq!(with((0..1001).map(numbered).collect()), Err(RuleError::TooManyRules));
    assert_eq!(with(vec![numbered(1), numbered(1)]), Err(RuleError::SameId));
    let old = Rule { scope: Scope::Prefix("a".to_owned()), ..numbered(2) };
    assert_eq!(with(vec![numbered(1), old]), Err(RuleError::MixedForms));
}

#[test]
fn rules_and_filters() {
    assert_eq!(judge(|_| {}), Err(RuleError::NoAction));
    assert_eq!(judge(|rule| rule.id = "a".repeat(256)), Err(RuleError::IdTooLong));
    let filter = |and, prefix: Option<&str>, tags: &[Tag], greater, less| Filter {
        and,
        prefix: prefix.map(str::to_owned),
        tags: tags.to_vec(),
        size_greater_than: greater,
        size_less_than: less,
        beside: None,
    };
    let long = "p".repeat(1025);
    for (filter, error) in [
        (filter(false, Some(long.as_str()), &[], None, None), RuleError::PrefixTooLong),
        (filter(true, Some("a"), &[], None, None), RuleError::TooFewConditions),
        (filter(false, None, &[tag("", "v")], None, None), RuleError::TagKey),
        (filter(false, None, &[tag(&"k".repeat(129), "v")], None, None), RuleError::TagKey),
        (filter(false, None, &[tag("k", &"v".repeat(257))], None, None), RuleError::TagValue),
        (filter(true, None, &[tag("k", "v"), tag("k", "w")], None, None), RuleError::SameTagKey),
        (filter(true, None, &[], Some(5), Some(5)), RuleError::SizesExclude),
        (filter(false, None, &[], Some(-1), None), RuleError::NegativeSize("ObjectSizeGreaterThan")),
    ] {
        assert_eq!(judge_filter(filter), Err(error));
    }
    let tagged = || filter(false, None, &[tag("k", "v")], None, None);
    let sized = || filter(false, None, &[], Some(1), None);
    for (filter, marker, abort) in [
        (tagged(), RuleError::MarkerWithTags, RuleError::AbortWithTags),
        (sized(), RuleError::MarkerWithSize, RuleError::AbortWithSize),
    ] {
        let scope = Scope::Filter(filter);
        let with_marker = judge(|rule| {
            rule.scope = scope.clone();
            rule.expiration = Some(Expiration::ExpiredObjectDeleteMarker(true));
        });
        assert_eq!(with_marker, Err(marker));
        let with_abort = judge(|rule| {
            rule.scope = scope.clone();
            rule.abort_upload_days = Some(1);
        });
        assert_eq!(with_abort, Err(abort));
    }
}

#[test]
fn days_and_dates() {
    assert_eq!(fault(|rule| rule.expiration = days(0)), Fault::Argument);
    assert_eq!(fault(|rule| rule.expiration = days(-1)), Fault::Argument);
    assert_eq!(fault(|rule| rule.abort_upload_days = Some(0)), Fault::Argument);
    assert_eq!(fault(|rule| rule.transitions = vec![to(StorageClass::Glacier, -1)]), Fault::Argument);
    let noncurrent = |days, newer_versions| Some(NoncurrentExpiration { days, newer_versions });
    assert_eq!(fault(|rule| rule.noncurrent_expiration = noncurrent(0, None)), Fault::Argument);
    assert_eq!(fault(|rule| rule.noncurrent_expiration = noncurrent(1, Some(0))), Fault::Argument);
    assert_eq!(fault(|rule| rule.noncurrent_expiration = noncurrent(1, Some(101))), Fault::Argument);
    let unfiltered = judge(|rule| {
        rule.scope = Scope::Prefix("a".to_owned());
        rule.noncurrent_expiration = noncurrent(1, Some(1));
    });
    assert_eq!(unfiltered, Err(RuleError::NewerWithoutFilter));
    let noon = Some(Expiration::At(When::Date(UnixMillis(DAY_MS / 2))));
    assert_eq!(judge(|rule| rule.expiration = noon), Err(RuleError::NotMidnight));
}

#[test]
fn transitions() {
    use StorageClass::*;
    let transitions = |steps: &[(StorageClass, i32)]| {
        let steps: Vec<_> = steps.iter().map(|(class, days)| to(*class, *days)).collect();
        judge(move |rule| rule.transitions = steps)
    };
    assert_eq!(transitions(&[(Standard, 1)]), Err(RuleError::ClassNotATarget(Standard)));
    for class in [StandardIa, OnezoneIa] {
        let error = transitions(&[(class, 29)]).unwrap_err();
        assert_eq!(error, RuleError::TooEarlyForClass { days: "Days", action: "Transition", class });
        assert_eq!(transitions(&[(class, 30)]), Ok(()));
    }
    assert_eq!(transitions(&[(Glacier, 1), (Glacier, 2)]).unwrap_err().fault(), Fault::Request);
    // Colder classes later, and infrequent access kept for 30 days.
    for steps in
        [[(Glacier, 40), (StandardIa, 50)], [(StandardIa, 30), (Glacier, 59)], [(Glacier, 5), (DeepArchive, 5)]]
    {
        assert!(matches!(transitions(&steps), Err(RuleError::ClassOrder { .. })), "{steps:?}");
    }
    assert_eq!(transitions(&[(StandardIa, 30), (Glacier, 60)]), Ok(()));
    let early = judge(|rule| {
        rule.transitions = vec![to(Glacier, 5)];
        rule.expiration = days(5);
    });
    assert_eq!(
        early.unwrap_err().to_string(),
        "'Days' in the Expiration action for filter '(prefix=)' must be greater than 'Days' in the Transition action"
    );
    let date = When::Date(UnixMillis(DAY_MS));
    let mixed = judge(|rule| {
        rule.transitions = vec![to(Glacier, 5)];
        rule.expiration = Some(Expiration::At(date));
    });
    assert_eq!(mixed.unwrap_err().fault(), Fault::Request);
    let mixed = fault(|rule| rule.transitions = vec![to(Glacier, 5), Transition { when: date, class: DeepArchive }]);
    assert_eq!(mixed, Fault::Request);
    let noncurrent = |days, class| NoncurrentTransition { days, newer_versions: None, class };
    assert_eq!(fault(|rule| rule.noncurrent_transitions = vec![noncurrent(29, StandardIa)]), Fault::Argument);
    let early = fault(|rule| {
        rule.noncurrent_transitions = vec![noncurrent(4, Glacier)];
        rule.noncurrent_expiration = Some(NoncurrentExpiration { days: 4, newer_versions: None });
    });
    assert_eq!(early, Fault::Argument);
}
