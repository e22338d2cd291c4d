//! What makes a lifecycle configuration valid, as `PutBucketLifecycleConfiguration` documents and answers it.

use super::calendar::{Calendar, DAY_MS};
use super::error::RuleError;
use super::model::*;
use granary_protocol::UnixMillis;
use granary_protocol::object::{StorageClass, Tag};
use std::collections::BTreeSet;

/// The most rules of one configuration.
pub const RULES_MAX: usize = 1000;
const ID_CHARACTERS_MAX: usize = 255;
const PREFIX_BYTES_MAX: usize = 1024;
const TAG_KEY_CHARACTERS_MAX: usize = 128;
const TAG_VALUE_CHARACTERS_MAX: usize = 256;
/// Noncurrent versions a rule may keep.
const NEWER_VERSIONS_MAX: i32 = 100;
/// Days an object stays where it is before it may move to, or on from, an infrequent access class.
const INFREQUENT_DAYS_MIN: i32 = 30;

/// Checks a whole configuration. With shortened days, classes need not be entered late: that is what days are shortened
/// for.
///
/// # Errors
/// The first fault found, rule by rule.
pub fn validate(configuration: &LifecycleConfiguration, calendar: Calendar) -> Result<(), RuleError> {
    let rules = &configuration.rules;
    match rules.len() {
        0 => return Err(RuleError::NoRules),
        1..=RULES_MAX => {}
        _ => return Err(RuleError::TooManyRules),
    }
    let filtered = rules.iter().filter(|rule| matches!(rule.scope, Scope::Filter(_))).count();
    if filtered != 0 && filtered != rules.len() {
        return Err(RuleError::MixedForms);
    }
    let mut ids = BTreeSet::new();
    for rule in rules {
        check_rule(rule, calendar)?;
        if !ids.insert(rule.id.as_str()) {
            return Err(RuleError::SameId);
        }
    }
    Ok(())
}

fn check_rule(rule: &Rule, calendar: Calendar) -> Result<(), RuleError> {
    if rule.id.chars().count() > ID_CHARACTERS_MAX {
        return Err(RuleError::IdTooLong);
    }
    if rule.scope.prefix().len() > PREFIX_BYTES_MAX {
        return Err(RuleError::PrefixTooLong);
    }
    if let Scope::Filter(filter) = &rule.scope {
        check_filter(filter)?;
    }
    let acts = rule.expiration.is_some()
        || rule.noncurrent_expiration.is_some()
        || rule.abort_upload_days.is_some()
        || !rule.transitions.is_empty()
        || !rule.noncurrent_transitions.is_empty();
    if !acts {
        return Err(RuleError::NoAction);
    }
    check_scope_suits(rule)?;
    check_current(rule, calendar)?;
    check_noncurrent(rule, calendar)?;
    match rule.abort_upload_days {
        Some(..=0) => {
            Err(RuleError::NotPositive { days: "DaysAfterInitiation", action: "AbortIncompleteMultipartUpload" })
        }
        Some(_) | None => Ok(()),
    }
}

fn check_filter(filter: &Filter) -> Result<(), RuleError> {
    let conditions = usize::from(filter.prefix.is_some())
        + filter.tags.len()
        + usize::from(filter.size_greater_than.is_some())
        + usize::from(filter.size_less_than.is_some());
    if filter.and && conditions < 2 {
        return Err(RuleError::TooFewConditions);
    }
    if let Some(beside) = &filter.beside {
        check_filter(beside)?;
    }
    filter.tags.iter().try_for_each(check_tag)?;
    let keys: BTreeSet<&str> = filter.tags.iter().map(|tag| tag.key.as_str()).collect();
    if keys.len() != filter.tags.len() {
        return Err(RuleError::SameTagKey);
    }
    match (filter.size_greater_than, filter.size_less_than) {
        (Some(..=-1), _) => Err(RuleError::NegativeSize("ObjectSizeGreaterThan")),
        (_, Some(..=-1)) => Err(RuleError::NegativeSize("ObjectSizeLessThan")),
        (Some(least), Some(most)) if most <= least => Err(RuleError::SizesExclude),
        (_, _) => Ok(()),
    }
}

fn check_tag(tag: &Tag) -> Result<(), RuleError> {
    if tag.key.is_empty() || tag.key.chars().count() > TAG_KEY_CHARACTERS_MAX {
        return Err(RuleError::TagKey);
    }
    if tag.value.chars().count() > TAG_VALUE_CHARACTERS_MAX {
        return Err(RuleError::TagValue);
    }
    Ok(())
}

/// Markers and uploads have neither tags nor a size.
fn check_scope_suits(rule: &Rule) -> Result<(), RuleError> {
    let tagged = rule.scope.names_tag();
    let sized = rule.scope.names_size();
    if matches!(rule.expiration, Some(Expiration::ExpiredObjectDeleteMarker(_))) {
        match (tagged, sized) {
            (true, _) => return Err(RuleError::MarkerWithTags),
            (false, true) => return Err(RuleError::MarkerWithSize),
            (false, false) => {}
        }
    }
    match (rule.abort_upload_days.is_some(), tagged, sized) {
        (true, true, _) => Err(RuleError::AbortWithTags),
        (true, false, true) => Err(RuleError::AbortWithSize),
        (_, _, _) => Ok(()),
    }
}

fn check_current(rule: &Rule, calendar: Calendar) -> Result<(), RuleError> {
    let expiration = match rule.expiration {
        Some(Expiration::At(when)) => Some(when),
        Some(Expiration::ExpiredObjectDeleteMarker(_)) | None => None,
    };
    if let Some(When::Days(..=0)) = expiration {
        return Err(RuleError::NotPositive { days: "Days", action: "Expiration" });
    }
    if rule.transitions.iter().any(|transition| matches!(transition.when, When::Days(..=-1))) {
        return Err(RuleError::Negative { days: "Days", action: "Transition" });
    }
    let dates = expiration.into_iter().chain(rule.transitions.iter().map(|transition| transition.when));
    for when in dates {
        if let When::Date(UnixMillis(ms)) = when
            && ms % DAY_MS != 0
        {
            return Err(RuleError::NotMidnight);
        }
    }
    let by_days = rule.transitions.iter().filter(|transition| matches!(transition.when, When::Days(_))).count();
    if by_days != 0 && by_days != rule.transitions.len() {
        return Err(RuleError::MixedTransitions { filter: rule.scope.to_string() });
    }
    let steps: Vec<Step> = rule.transitions.iter().map(Step::of_current).collect();
    check_steps(&rule.scope, &steps, calendar, "Days", "Transition")?;
    let Some(expiration) = expiration else { return Ok(()) };
    for transition in &rule.transitions {
        let (what, later) = match (expiration, transition.when) {
            (When::Days(expires), When::Days(moves)) => ("Days", expires > moves),
            (When::Date(expires), When::Date(moves)) => ("Date", expires > moves),
            (_, _) => return Err(RuleError::MixedExpiration { filter: rule.scope.to_string() }),
        };
        if !later {
            return Err(RuleError::ExpiresBeforeTransition {
                what,
                expiration: "Expiration",
                transition: "Transition",
                filter: rule.scope.to_string(),
            });
        }
    }
    Ok(())
}

fn check_noncurrent(rule: &Rule, calendar: Calendar) -> Result<(), RuleError> {
    const EXPIRATION: &str = "NoncurrentVersionExpiration";
    const TRANSITION: &str = "NoncurrentVersionTransition";
    let expiration = rule.noncurrent_expiration;
    if expiration.is_some_and(|expiration| expiration.days <= 0) {
        return Err(RuleError::NotPositive { days: "NoncurrentDays", action: EXPIRATION });
    }
    if rule.noncurrent_transitions.iter().any(|transition| transition.days < 0) {
        return Err(RuleError::Negative { days: "NoncurrentDays", action: TRANSITION });
    }
    let kept = expiration.and_then(|expiration| expiration.newer_versions).map(|newer| (EXPIRATION, newer));
    let also = rule.noncurrent_transitions.iter().filter_map(|transition| transition.newer_versions);
    for (action, newer) in kept.into_iter().chain(also.map(|newer| (TRANSITION, newer))) {
        match newer {
            ..=0 => return Err(RuleError::NewerNotPositive(action)),
            1..=NEWER_VERSIONS_MAX if matches!(rule.scope, Scope::Filter(_)) => {}
            1..=NEWER_VERSIONS_MAX => return Err(RuleError::NewerWithoutFilter),
            _ => return Err(RuleError::NewerTooMany(action)),
        }
    }
    let steps: Vec<Step> = rule.noncurrent_transitions.iter().map(Step::of_noncurrent).collect();
    check_steps(&rule.scope, &steps, calendar, "NoncurrentDays", TRANSITION)?;
    let last = rule.noncurrent_transitions.iter().map(|transition| transition.days).max();
    match (expiration, last) {
        (Some(expiration), Some(last)) if expiration.days <= last => Err(RuleError::ExpiresBeforeTransition {
            what: "NoncurrentDays",
            expiration: EXPIRATION,
            transition: TRANSITION,
            filter: rule.scope.to_string(),
        }),
        (_, _) => Ok(()),
    }
}

/// A transition as far as the order of classes is concerned.
#[derive(Clone, Copy)]
struct Step {
    /// Days, or whole days since 1970 for a date.
    day: i64,
    by_days: bool,
    class: StorageClass,
}

impl Step {
    fn of_current(transition: &Transition) -> Step {
        let (day, by_days) = match transition.when {
            When::Days(days) => (i64::from(days), true),
            When::Date(date) => (i64::try_from(date.0 / DAY_MS).unwrap_or(i64::MAX), false),
        };
        Step { day, by_days, class: transition.class }
    }

    fn of_noncurrent(transition: &NoncurrentTransition) -> Step {
        Step { day: i64::from(transition.days), by_days: true, class: transition.class }
    }
}

/// Classes are entered at most once, in the order of the waterfall; infrequent access not before 30 days, and left not
/// before another 30.
fn check_steps(
    scope: &Scope,
    steps: &[Step],
    calendar: Calendar,
    days: &'static str,
    action: &'static str,
) -> Result<(), RuleError> {
    let infrequent_days_min = if calendar.is_shortened() { 0 } else { INFREQUENT_DAYS_MIN };
    let mut classes = BTreeSet::new();
    for step in steps {
        if step.class == StorageClass::Standard {
            return Err(RuleError::ClassNotATarget(step.class));
        }
        if !classes.insert(step.class) {
            return Err(RuleError::SameClass { action, filter: scope.to_string() });
        }
        if step.by_days && is_infrequent(step.class) && step.day < i64::from(infrequent_days_min) {
            return Err(RuleError::TooEarlyForClass { days, action, class: step.class });
        }
    }
    let mut ordered = steps.to_vec();
    ordered.sort_by_key(|step| waterfall(step.class));
    for pair in ordered.windows(2) {
        let (earlier, later) = (pair[0], pair[1]);
        let rest = if is_infrequent(earlier.class) { infrequent_days_min } else { 0 };
        let by = if rest > 0 { "30 days more" } else { "greater" };
        if later.day <= earlier.day || later.day - earlier.day < i64::from(rest) {
            return Err(RuleError::ClassOrder {
                days,
                action,
                by,
                later: later.class,
                earlier: earlier.class,
                filter: scope.to_string(),
            });
        }
    }
    Ok(())
}

fn is_infrequent(class: StorageClass) -> bool {
    matches!(class, StorageClass::StandardIa | StorageClass::OnezoneIa)
}

/// The place of a class in AWS's order of transitions.
pub(super) fn waterfall(class: StorageClass) -> usize {
    StorageClass::ALL.iter().position(|other| *other == class).expect("every class is among all")
}

#[cfg(test)]
#[path = "validate_tests.rs"]
mod tests;
