//! What a configuration says about an object, an upload or a delete marker.
//!
//! Where several rules apply, AWS's precedence decides: deleting for good before moving, moving before hiding behind a
//! delete marker, the colder class before the warmer, the earlier expiration before the later.

use super::model::*;
use super::validate::{DAY_MS, waterfall};
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
    /// An older version, since when, and how many noncurrent ones are newer than it.
    Noncurrent { since: UnixMillis, newer: u32 },
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

/// When a current version expires, if a rule says so: the earliest moment of all rules, the first rule of equals.
pub fn expiration_of<'c>(configuration: &'c LifecycleConfiguration, object: &ObjectFacts<'_>) -> Option<Due<'c>> {
    let due = covering(configuration, object).filter_map(|rule| match rule.expiration {
        Some(Expiration::At(when)) => Some(Due { at: moment(when, object.written), rule: rule.id.as_str() }),
        Some(Expiration::ExpiredObjectDeleteMarker(_)) | None => None,
    });
    due.min_by_key(|due| due.at)
}

/// When an upload that is not completed is aborted, if a rule says so.
pub fn upload_expiration<'c>(
    configuration: &'c LifecycleConfiguration,
    key: &str,
    initiated: UnixMillis,
) -> Option<Due<'c>> {
    let rules = configuration.rules.iter().filter(|rule| rule.enabled && key.starts_with(rule.scope.prefix()));
    let due = rules.filter_map(|rule| {
        let days = rule.abort_upload_days?;
        Some(Due { at: days_after(initiated, days), rule: rule.id.as_str() })
    });
    due.min_by_key(|due| due.at)
}

/// What is to be done with a version now, and by which rule.
pub fn next_action<'c>(
    configuration: &'c LifecycleConfiguration,
    object: &ObjectFacts<'_>,
    now: UnixMillis,
) -> Option<(Action, &'c str)> {
    let mut best: Option<(Action, &'c str)> = None;
    for rule in covering(configuration, object) {
        for action in due_actions(configuration.minimum_size, rule, object, now) {
            if best.is_none_or(|(so_far, _)| weight(action) > weight(so_far)) {
                best = Some((action, rule.id.as_str()));
            }
        }
    }
    best
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

fn due_actions(
    minimum_size: TransitionMinimumSize,
    rule: &Rule,
    object: &ObjectFacts<'_>,
    now: UnixMillis,
) -> Vec<Action> {
    let may_move = |class: StorageClass| {
        waterfall(class) > waterfall(object.class) && is_worth_moving(minimum_size, rule, object.size, class)
    };
    let mut actions = Vec::new();
    match object.standing {
        Standing::Current { versioned } => {
            if let Some(Expiration::At(when)) = rule.expiration
                && moment(when, object.written) <= now
            {
                actions.push(if versioned { Action::Hide } else { Action::Delete });
            }
            let due = |transition: &&Transition| {
                let at = match transition.when {
                    // Zero days: from the moment it was written.
                    When::Days(0) => object.written,
                    when => moment(when, object.written),
                };
                at <= now && may_move(transition.class)
            };
            actions.extend(rule.transitions.iter().filter(due).map(|transition| Action::Move(transition.class)));
        }
        Standing::Noncurrent { since, newer } => {
            let is_kept = |kept: Option<i32>| kept.is_some_and(|kept| i64::from(newer) < i64::from(kept));
            if let Some(expiration) = rule.noncurrent_expiration
                && days_after(since, expiration.days) <= now
                && !is_kept(expiration.newer_versions)
            {
                actions.push(Action::Delete);
            }
            let due = |transition: &&NoncurrentTransition| {
                days_after(since, transition.days) <= now
                    && !is_kept(transition.newer_versions)
                    && may_move(transition.class)
            };
            actions.extend(
                rule.noncurrent_transitions.iter().filter(due).map(|transition| Action::Move(transition.class)),
            );
        }
        Standing::DeleteMarker { alone: true } => match rule.expiration {
            Some(Expiration::ExpiredObjectDeleteMarker(true)) => actions.push(Action::Delete),
            Some(Expiration::At(when)) if moment(when, object.written) <= now => actions.push(Action::Delete),
            Some(_) | None => {}
        },
        Standing::DeleteMarker { alone: false } => {}
    }
    actions
}

/// Small objects stay where they are unless the rule names a size, or the bucket lets them go to the archives.
fn is_worth_moving(minimum_size: TransitionMinimumSize, rule: &Rule, size: u64, class: StorageClass) -> bool {
    let is_archive = matches!(class, StorageClass::Glacier | StorageClass::DeepArchive);
    size >= MOVED_BYTES_MIN
        || rule.scope.names_size()
        || (is_archive && minimum_size == TransitionMinimumSize::VariesByStorageClass)
}

fn moment(when: When, written: UnixMillis) -> UnixMillis {
    match when {
        When::Days(days) => days_after(written, days),
        When::Date(date) => date,
    }
}

/// So many days later, and then the next midnight, UTC.
fn days_after(start: UnixMillis, days: i32) -> UnixMillis {
    let days = u64::try_from(days).unwrap_or(0);
    UnixMillis((start.0 / DAY_MS).saturating_add(days).saturating_add(1).saturating_mul(DAY_MS))
}

#[cfg(test)]
#[path = "evaluate_tests.rs"]
mod tests;
