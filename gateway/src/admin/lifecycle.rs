//! What lifecycle rules have done, and what they will do to one object.

use super::json::Json;
use super::refusal::Refused;
use super::signed::Signed;
use crate::error::{S3Error, S3ErrorCode};
use crate::ops::text::{parse_version, version_text};
use crate::request;
use crate::server::GatewayState;
use axum::extract::State;
use granary_lifecycle::rules::{
    Action, Calendar, LifecycleConfiguration, ObjectFacts, Planned, Rule, Standing, next_action, planned,
};
use granary_protocol::admin::{LifecycleExplanation, PlanExplanation, RuleExplanation};
use granary_protocol::bucket::Versioning;
use granary_protocol::lifecycle::{LIFECYCLE_PAGE_MAX, LifecycleStatus, ScanPosition, ScannedStanding, ScannedVersion};
use granary_protocol::{BucketName, ObjectKey, UnixMillis, VersionId};
use std::sync::Arc;

/// `GET /-/granary/v1/lifecycle`
pub(super) async fn status(
    State(state): State<Arc<GatewayState>>,
    _: Signed,
) -> Result<Json<LifecycleStatus>, Refused> {
    Ok(Json(state.client.lifecycle_status().await?))
}

/// `GET /-/granary/v1/lifecycle/explanation?bucket=&key=[&version=]`
pub(super) async fn explain(
    State(state): State<Arc<GatewayState>>,
    signed: Signed,
) -> Result<Json<LifecycleExplanation>, Refused> {
    let text = |name| signed.query.get(name).unwrap_or_default();
    let bucket = BucketName(request::BucketName::parse(text("bucket"))?.into_string());
    let key = ObjectKey(request::ObjectKey::parse(text("key"))?.into_string());
    let version = signed.query.get_non_empty("version").map(parse_version).transpose()?;
    let settings = state.settings.fetch(&bucket).await?;
    let found = find(&state, &bucket, &key, version).await?;
    let found = found.ok_or_else(|| S3Error::new(S3ErrorCode::NoSuchKey).field("Key", key.as_str()))?;
    let none = LifecycleConfiguration::default();
    let rules = settings.lifecycle()?.map_or(&none, |stored| &stored.0);
    let calendar = state.config.lifecycle.calendar();
    let versioned = settings.info.versioning != Versioning::Off;
    Ok(Json(explanation(&bucket, &found, rules, versioned, calendar, state.now())))
}

async fn find(
    state: &GatewayState,
    bucket: &BucketName,
    key: &ObjectKey,
    version: Option<VersionId>,
) -> Result<Option<ScannedVersion>, Refused> {
    let mut from = ScanPosition { key: key.0.clone(), seen: None };
    loop {
        let page = state.client.scan_versions(bucket.clone(), key.0.clone(), from, LIFECYCLE_PAGE_MAX).await?;
        for scanned in page.versions {
            if scanned.key != *key {
                return Ok(None);
            }
            if version.is_none_or(|version| version == scanned.version) {
                return Ok(Some(scanned));
            }
        }
        match page.next {
            Some(next) => from = next,
            None => return Ok(None),
        }
    }
}

fn explanation(
    bucket: &BucketName,
    found: &ScannedVersion,
    rules: &LifecycleConfiguration,
    versioned: bool,
    calendar: Calendar,
    now: UnixMillis,
) -> LifecycleExplanation {
    let standing = match found.standing {
        ScannedStanding::Current { alone } if found.delete_marker => Standing::DeleteMarker { alone },
        ScannedStanding::Current { .. } => Standing::Current { versioned },
        ScannedStanding::Noncurrent { since, newer } => {
            Standing::Noncurrent { since, newer, delete_marker: found.delete_marker }
        }
    };
    let facts = ObjectFacts {
        key: found.key.as_str(),
        size: found.size,
        tags: &found.tags,
        written: found.written,
        class: found.class,
        standing,
    };
    let plans = planned(rules, &facts, calendar);
    let explain_rule = |rule: &Rule| explain_rule(rule, &facts, &plans);
    LifecycleExplanation {
        bucket: bucket.clone(),
        key: found.key.clone(),
        version: version_text(found.version),
        class: found.class,
        size: found.size,
        written: found.written,
        standing: standing_text(standing),
        locked: found.lock.keeps(now, false),
        day_ms: calendar.day_ms(),
        now,
        next: next_action(rules, &facts, now, calendar).map(|(action, rule)| (action_text(action), rule.to_owned())),
        rules: rules.rules.iter().map(explain_rule).collect(),
    }
}

fn explain_rule(rule: &Rule, facts: &ObjectFacts<'_>, plans: &[Planned<'_>]) -> RuleExplanation {
    let mine = plans.iter().filter(|plan| std::ptr::eq(plan.rule, rule));
    let plans: Vec<PlanExplanation> =
        mine.map(|plan| PlanExplanation { action: action_text(plan.action), at: plan.at }).collect();
    let why_not = match (why_not(rule, facts), plans.is_empty()) {
        (Some(why), _) => Some(why.to_owned()),
        (None, true) => Some("it asks for nothing of such a version: its class, size or standing".to_owned()),
        (None, false) => None,
    };
    RuleExplanation { rule: rule.id.clone(), filter: rule.scope.to_string(), why_not, plans }
}

/// Why a rule does not cover an object.
fn why_not(rule: &Rule, facts: &ObjectFacts<'_>) -> Option<&'static str> {
    let ObjectFacts { key, size, tags, .. } = *facts;
    match () {
        () if !rule.enabled => Some("it is disabled"),
        () if !key.starts_with(rule.scope.prefix()) => Some("the key does not begin with its prefix"),
        () if !rule.scope.tags().all(|tag| tags.contains(tag)) => Some("the version has not all of its tags"),
        () if !rule.scope.covers(key, size, tags) => Some("the size is outside its bounds"),
        () => None,
    }
}

fn action_text(action: Action) -> String {
    match action {
        Action::Delete => "delete for good".to_owned(),
        Action::Hide => "hide behind a delete marker".to_owned(),
        Action::Move(class) => format!("move to {}", class.name()),
    }
}

fn standing_text(standing: Standing) -> String {
    match standing {
        Standing::Current { versioned: true } => "current version".to_owned(),
        Standing::Current { versioned: false } => "current version, in a bucket without versions".to_owned(),
        Standing::Noncurrent { newer, delete_marker, .. } => {
            let what = if delete_marker { "delete marker" } else { "version" };
            format!("noncurrent {what}, behind {newer} newer noncurrent ones")
        }
        Standing::DeleteMarker { alone: true } => "delete marker that hides nothing".to_owned(),
        Standing::DeleteMarker { alone: false } => "delete marker".to_owned(),
    }
}
