//! What a page of versions asks for, and when a bucket must be scanned again. Pure.

use crate::rules::{
    Action, Calendar, Expiration, LifecycleConfiguration, ObjectFacts, Outlook, Standing, When, outlook,
    upload_expiration,
};
use bytes::Bytes;
use granary_protocol::UnixMillis;
use granary_protocol::bucket::{BucketDocument, BucketSettings, Versioning};
use granary_protocol::event::NewEvent;
use granary_protocol::lifecycle::{
    LIFECYCLE_TARGET, LifecycleAct, LifecycleEventKind, LifecycleHappened, LifecycleProgress, LifecycleStep,
    ScannedStanding, ScannedVersion,
};
use granary_protocol::object::UploadInfo;

/// Of a day: so long after a scan began a rule with no delay is looked for again.
const AT_ONCE_DIVISOR: u64 = 24;
/// The shortest time from the beginning of one scan of a bucket to the next: a fiftieth of a shortened day.
const SPACING_DIVISOR: u64 = 50;
const SPACING_MS_MAX: u64 = 60_000;

/// Judges the versions of one bucket by its rules.
pub(super) struct Judge<'r> {
    rules: &'r LifecycleConfiguration,
    settings: &'r BucketSettings,
    calendar: Calendar,
    names_tags: bool,
    is_told: bool,
}

impl<'r> Judge<'r> {
    pub fn new(rules: &'r LifecycleConfiguration, settings: &'r BucketSettings, calendar: Calendar) -> Self {
        let listens = |kind: &BucketDocument| matches!(kind, BucketDocument::Notification | BucketDocument::Logging);
        Self {
            rules,
            settings,
            calendar,
            names_tags: rules.rules.iter().any(|rule| rule.enabled && rule.scope.names_tag()),
            is_told: settings.documents.iter().any(|(kind, _)| listens(kind)),
        }
    }

    /// What the keys of every rule that counts begin with: nothing else need be scanned.
    pub fn prefix(&self) -> String {
        let mut enabled = self.rules.rules.iter().filter(|rule| rule.enabled).map(|rule| rule.scope.prefix());
        let Some(first) = enabled.next() else { return String::new() };
        let common = enabled.fold(first, |common, other| {
            let same = common.char_indices().zip(other.chars()).find(|((_, one), two)| one != two);
            &common[..same.map_or(common.len().min(other.len()), |((at, _), _)| at)]
        });
        common.to_owned()
    }

    /// Whether any rule counts.
    pub fn has_rules(&self) -> bool {
        self.rules.rules.iter().any(|rule| rule.enabled)
    }

    /// Whether uploads are aborted by some rule.
    pub fn aborts_uploads(&self) -> bool {
        self.rules.rules.iter().any(|rule| rule.enabled && rule.abort_upload_days.is_some())
    }

    /// What is to be done with a version now; notes in `progress` when something more is due.
    pub fn judge(
        &self,
        version: &ScannedVersion,
        now: UnixMillis,
        progress: &mut LifecycleProgress,
    ) -> Option<LifecycleStep> {
        let facts = self.facts(version);
        let Outlook { action, next } = outlook(self.rules, &facts, now, self.calendar);
        progress.scanned += 1;
        note_due(progress, next);
        let (action, rule) = action?;
        let (act, kind) = match action {
            Action::Delete => (LifecycleAct::Delete, LifecycleEventKind::Deleted),
            Action::Hide => (LifecycleAct::Hide, LifecycleEventKind::Hidden),
            Action::Move(to) => {
                let from = version.class;
                (LifecycleAct::Move { from, to }, LifecycleEventKind::Moved { from, to })
            }
        };
        if act == LifecycleAct::Delete && matches!(version.standing, ScannedStanding::Noncurrent { .. }) {
            // It may leave a delete marker alone, which was judged before it.
            note_due(progress, Some(now));
        }
        if self.is_kept_by_lock(version, act, now) {
            // Locks end, or are taken back, at any time: looked at again in a day.
            note_due(progress, Some(self.calendar.after(now, 1)));
            progress.refused += 1;
            return None;
        }
        let event = self.is_told.then(|| self.event(version, kind, &rule.id, now));
        let tags = self.names_tags.then(|| version.tags.clone());
        Some(LifecycleStep { key: version.key.clone(), sequence: version.sequence, act, tags, event })
    }

    /// Spares a command that would be refused.
    fn is_kept_by_lock(&self, version: &ScannedVersion, act: LifecycleAct, now: UnixMillis) -> bool {
        let harms = match act {
            LifecycleAct::Delete => true,
            LifecycleAct::Hide => false,
            LifecycleAct::Move { to, .. } => to.is_archive(),
        };
        harms && version.lock.keeps(now, false)
    }

    fn facts<'v>(&self, version: &'v ScannedVersion) -> ObjectFacts<'v> {
        let standing = match version.standing {
            ScannedStanding::Current { alone } if version.delete_marker => Standing::DeleteMarker { alone },
            ScannedStanding::Current { .. } => {
                Standing::Current { versioned: self.settings.info.versioning != Versioning::Off }
            }
            ScannedStanding::Noncurrent { since, newer } => {
                Standing::Noncurrent { since, newer, delete_marker: version.delete_marker }
            }
        };
        ObjectFacts {
            key: version.key.as_str(),
            size: version.size,
            tags: &version.tags,
            written: version.written,
            class: version.class,
            standing,
        }
    }

    fn event(&self, version: &ScannedVersion, kind: LifecycleEventKind, rule: &str, now: UnixMillis) -> NewEvent {
        let happened = LifecycleHappened {
            bucket: self.settings.info.name.clone(),
            key: version.key.clone(),
            version: version.version,
            size: version.size,
            etag: version.etag,
            at: now,
            kind,
            rule: rule.to_owned(),
        };
        let body = postcard::to_stdvec(&happened).expect("it holds nothing postcard cannot write, and a Vec grows");
        NewEvent { target: LIFECYCLE_TARGET.to_owned(), body: Bytes::from(body) }
    }

    /// Whether an upload is to be aborted now; notes when it will be.
    pub fn is_upload_due(&self, upload: &UploadInfo, now: UnixMillis, progress: &mut LifecycleProgress) -> bool {
        let due = upload_expiration(self.rules, upload.key.as_str(), upload.initiated, self.calendar);
        let Some(due) = due else { return false };
        if due.at > now {
            note_due(progress, Some(due.at));
        }
        due.at <= now
    }

    /// When the bucket is to be scanned again, after a scan that began at `started`: when something found by it is due, or
    /// something that was not there yet could be.
    pub fn next_scan(&self, progress: &LifecycleProgress) -> Option<UnixMillis> {
        let unseen = self.earliest_unseen(progress.started);
        let next = match (progress.next_due, unseen) {
            (Some(due), Some(unseen)) => Some(due.min(unseen)),
            (due, unseen) => due.or(unseen),
        };
        let spacing_ms = (self.calendar.day_ms() / SPACING_DIVISOR).min(SPACING_MS_MAX);
        next.map(|next| next.max(UnixMillis(progress.started.0.saturating_add(spacing_ms))))
    }

    /// The earliest moment at which a rule can want something of what was written, or changed, after `started`.
    fn earliest_unseen(&self, started: UnixMillis) -> Option<UnixMillis> {
        let mut earliest: Option<UnixMillis> = None;
        let mut add = |at: UnixMillis| earliest = Some(earliest.map_or(at, |so_far| so_far.min(at)));
        let a_day_on = self.calendar.after(started, 1);
        for rule in self.rules.rules.iter().filter(|rule| rule.enabled) {
            let expiration = match rule.expiration {
                Some(Expiration::At(when)) => Some(when),
                // A marker can be left alone by any delete.
                Some(Expiration::ExpiredObjectDeleteMarker(_)) => {
                    add(a_day_on);
                    None
                }
                None => None,
            };
            for when in expiration.into_iter().chain(rule.transitions.iter().map(|transition| transition.when)) {
                add(match when {
                    When::Days(0) => UnixMillis(started.0 + self.calendar.day_ms() / AT_ONCE_DIVISOR),
                    When::Days(days) => self.calendar.after(started, days),
                    When::Date(date) => date.max(a_day_on),
                });
            }
            let noncurrent = rule.noncurrent_expiration.map(|expiration| expiration.days);
            let noncurrent = noncurrent.into_iter().chain(rule.noncurrent_transitions.iter().map(|step| step.days));
            for days in noncurrent.chain(rule.abort_upload_days) {
                add(self.calendar.after(started, days.max(1)));
            }
            // New tags bring old objects under a rule, new versions let old ones go.
            let kept = rule.noncurrent_expiration.is_some_and(|expiration| expiration.newer_versions.is_some())
                || rule.noncurrent_transitions.iter().any(|step| step.newer_versions.is_some());
            if rule.scope.names_tag() || kept {
                add(a_day_on);
            }
        }
        earliest
    }
}

fn note_due(progress: &mut LifecycleProgress, at: Option<UnixMillis>) {
    if let Some(at) = at {
        progress.next_due = Some(progress.next_due.map_or(at, |so_far| so_far.min(at)));
    }
}

#[cfg(test)]
#[path = "judge_tests.rs"]
mod tests;
