//! What a configuration says about an object, an upload or a delete marker.
//!
//! Where several rules apply, AWS's precedence decides: deleting for good before moving, moving before hiding behind a
//! delete marker, the colder class before the warmer, the earlier expiration before the later.

use super::calendar::Calendar;
use super::model::*;
use super::validate::waterfall;
use granary_protocol::UnixMillis;
use granary_protocol::object::{StorageClass, Tag};

/// Smaller objects are not moved unless a rule names a size.
const MOVED_BYTES_MIN: u64 = 128 << 10;

/// What is known of a version.
#[derive(Clone, Copy, Debug)]
pub struct ObjectFacts<'a> {
    /// Its key.
    pub key: &'a str,
    /// Bytes.
    pub size: u64,
    /// Its tags.
    pub tags: &'a [Tag],
    /// When it was written.
    pub written: UnixMillis,
    /// Where it is stored.
    pub class: StorageClass,
    /// What it is among the versions of its key.
    pub standing: Standing,
}

/// What a version is among the versions of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The current version of a bucket that keeps versions (`true`) or does not.
    Current { versioned: bool },
    /// An older version or delete marker, since when, and how many noncurrent ones are newer than it.
    Noncurrent { since: UnixMillis, newer: u32, delete_marker: bool },
    /// The current version is a delete marker; whether nothing is behind it.
    DeleteMarker { alone: bool },
}

/// What is to be done with a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Delete it for good.
    Delete,
    /// Hide it behind a delete marker.
    Hide,
    /// Change its storage class.
    Move(StorageClass),
}

/// Something that happens at a moment, and which rule says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due<'c> {
    /// The midnight from which it may happen.
    pub at: UnixMillis,
    /// The rule's id.
    pub rule: &'c str,
}

/// Something a rule wants of a version, and from when on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Planned<'c> {
    /// What.
    pub action: Action,
    /// From when on it may happen; `None` while enough newer versions are missing.
    pub at: Option<UnixMillis>,
    /// The rule.
    pub rule: &'c Rule,
}

/// What is to be done with a version now, and when to look again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outlook<'c> {
    /// The action that is due and outweighs all others that are, with its rule.
    pub action: Option<(Action, &'c Rule)>,
    /// The earliest later moment at which a further action becomes due, if nothing else changes.
    pub next: Option<UnixMillis>,
}

/// When a current version expires, if a rule says so: the earliest moment of all rules, the first rule of equals.
pub fn expiration_of<'c>(
    configuration: &'c LifecycleConfiguration,
    object: &ObjectFacts<'_>,
    calendar: Calendar,
) -> Option<Due<'c>> {
    let due = covering(configuration, object).filter_map(|rule| match rule.expiration {
        Some(Expiration::At(when)) => Some(Due { at: moment(calendar, when, object.written), rule: rule.id.as_str() }),
        Some(Expiration::ExpiredObjectDeleteMarker(_)) | None => None,
    });
    due.min_by_key(|due| due.at)
}

/// When an upload that is not completed is aborted, if a rule says so.
pub fn upload_expiration<'c>(
    configuration: &'c LifecycleConfiguration,
    key: &str,
    initiated: UnixMillis,
    calendar: Calendar,
) -> Option<Due<'c>> {
    let rules = configuration.rules.iter().filter(|rule| rule.enabled && rule.scope.covers(key, 0, &[]));
    let due = rules.filter_map(|rule| {
        let days = rule.abort_upload_days?;
        Some(Due { at: calendar.after(initiated, days), rule: rule.id.as_str() })
    });
    due.min_by_key(|due| due.at)
}

/// What is to be done with a version now, and by which rule.
pub fn next_action<'c>(
    configuration: &'c LifecycleConfiguration,
    object: &ObjectFacts<'_>,
    now: UnixMillis,
    calendar: Calendar,
) -> Option<(Action, &'c str)> {
    outlook(configuration, object, now, calendar).action.map(|(action, rule)| (action, rule.id.as_str()))
}

/// What is to be done with a version now, and when the next thing is.
pub fn outlook<'c>(
    configuration: &'c LifecycleConfiguration,
    object: &ObjectFacts<'_>,
    now: UnixMillis,
    calendar: Calendar,
) -> Outlook<'c> {
    let mut outlook = Outlook { action: None, next: None };
    for Planned { action, at, rule } in planned(configuration, object, calendar) {
        match at {
            Some(at) if at <= now => {
                if outlook.action.is_none_or(|(so_far, _)| weight(action) > weight(so_far)) {
                    outlook.action = Some((action, rule));
                }
            }
            Some(at) => outlook.next = Some(outlook.next.map_or(at, |next: UnixMillis| next.min(at))),
            None => {}
        }
    }
    outlook
}

/// Everything the rules want of a version, whenever it is due, in the order of the rules.
pub fn planned<'c>(
    configuration: &'c LifecycleConfiguration,
    object: &ObjectFacts<'_>,
    calendar: Calendar,
) -> Vec<Planned<'c>> {
    let mut plans = Vec::new();
    for rule in covering(configuration, object) {
        plan(configuration.minimum_size, rule, object, calendar, &mut plans);
    }
    plans
}

fn covering<'c>(configuration: &'c LifecycleConfiguration, object: &ObjectFacts<'_>) -> impl Iterator<Item = &'c Rule> {
    let rules = configuration.rules.iter().filter(|rule| rule.enabled);
    rules.filter(move |rule| rule.scope.covers(object.key, object.size, object.tags))
}

/// Deleting for good outweighs moving, moving outweighs hiding, and colder classes outweigh warmer ones.
fn weight(action: Action) -> usize {
    match action {
        Action::Hide => 0,
        Action::Move(class) => 1 + waterfall(class),
        Action::Delete => 1 + StorageClass::ALL.len(),
    }
}

fn plan<'c>(
    minimum_size: TransitionMinimumSize,
    rule: &'c Rule,
    object: &ObjectFacts<'_>,
    calendar: Calendar,
    plans: &mut Vec<Planned<'c>>,
) {
    let mut add = |action, at| plans.push(Planned { action, at, rule });
    let may_move = |class: StorageClass| {
        waterfall(class) > waterfall(object.class) && is_worth_moving(minimum_size, rule, object.size, class)
    };
    match object.standing {
        Standing::Current { versioned } => {
            if let Some(Expiration::At(when)) = rule.expiration {
                let action = if versioned { Action::Hide } else { Action::Delete };
                add(action, Some(moment(calendar, when, object.written)));
            }
            for transition in rule.transitions.iter().filter(|transition| may_move(transition.class)) {
                let at = match transition.when {
                    // Zero days: from the moment it was written.
                    When::Days(0) => object.written,
                    when => moment(calendar, when, object.written),
                };
                add(Action::Move(transition.class), Some(at));
            }
        }
        Standing::Noncurrent { since, newer, delete_marker } => {
            let is_kept = |kept: Option<i32>| kept.is_some_and(|kept| i64::from(newer) < i64::from(kept));
            if let Some(expiration) = rule.noncurrent_expiration {
                let at = calendar.after(since, expiration.days);
                add(Action::Delete, (!is_kept(expiration.newer_versions)).then_some(at));
            }
            let movable = |transition: &&NoncurrentTransition| !delete_marker && may_move(transition.class);
            for transition in rule.noncurrent_transitions.iter().filter(movable) {
                let at = calendar.after(since, transition.days);
                add(Action::Move(transition.class), (!is_kept(transition.newer_versions)).then_some(at));
            }
        }
        Standing::DeleteMarker { alone: true } => match rule.expiration {
            Some(Expiration::ExpiredObjectDeleteMarker(true)) => add(Action::Delete, Some(object.written)),
            Some(Expiration::At(when)) => add(Action::Delete, Some(moment(calendar, when, object.written))),
            Some(Expiration::ExpiredObjectDeleteMarker(false)) | None => {}
        },
        Standing::DeleteMarker { alone: false } => {}
    }
}

/// Small objects stay where they are unless the rule names a size, or the bucket lets them go to the archives.
fn is_worth_moving(minimum_size: TransitionMinimumSize, rule: &Rule, size: u64, class: StorageClass) -> bool {
    let allowed = match minimum_size {
        TransitionMinimumSize::AllClasses128K => false,
        TransitionMinimumSize::VariesByStorageClass => class.is_archive(),
        TransitionMinimumSize::Unlimited => true,
    };
    size >= MOVED_BYTES_MIN || rule.scope.names_size() || allowed
}

fn moment(calendar: Calendar, when: When, written: UnixMillis) -> UnixMillis {
    match when {
        When::Days(days) => calendar.after(written, days),
        When::Date(date) => date,
    }
}

#[cfg(test)]
#[path = "evaluate_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "table_tests.rs"]
mod table;
