//! The scanner: asks the namenode for pages, has them judged, sends the actions, keeps to its rate.

use super::judge::Judge;
use super::settling::Settling;
use crate::rules::LifecycleConfiguration;
use crate::settings::LifecycleSettings;
use granary_protocol::bucket::BucketDocument;
use granary_protocol::lifecycle::{
    LifecycleAct, LifecycleBucket, LifecycleProgress, LifecycleStep, ScanPosition, ScannedPage,
};
use granary_protocol::namenode::{NamenodeReply, NamenodeRequest, NamenodeService, UploadAfter, UploadListing};
use granary_protocol::{BucketName, ErrorCode, Failure, UnixMillis};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Versions judged in one step: one command's worth of actions, applied in a few milliseconds.
const PAGE_VERSIONS: u32 = 250;
/// Pages of one bucket before the next bucket has its turn.
const PAGES_PER_TURN: usize = 8;
/// Pages without an action between two commands that keep how far a scan has come.
const PAGES_UNKEPT_MAX: u32 = 16;
/// Buckets asked for at once.
const BUCKETS_PER_REQUEST: u32 = 1000;
/// Uploads asked for at once.
const UPLOADS_PER_REQUEST: u32 = 1000;
/// Restores announced at once.
const RESTORES_PER_REQUEST: u32 = 250;
/// The longest pause while nothing is due: after it, new rules are noticed. A fiftieth of a shortened day.
const PAUSE_MAX: Duration = Duration::from_secs(5);
const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSES_PER_DAY: u32 = 50;

/// Reads a bucket's stored lifecycle document, or says why it cannot be read.
pub type RulesReader = fn(&[u8]) -> Result<LifecycleConfiguration, String>;

/// What a scanner works with.
pub struct ScannerComponents {
    /// The namenode beside it.
    pub namenode: Arc<dyn NamenodeService>,
    /// Whether that namenode leads: the scanner waits while it does not.
    pub leads: Box<dyn Fn() -> bool + Send + Sync>,
    /// The store's clock.
    pub now: Box<dyn Fn() -> UnixMillis + Send + Sync>,
    /// How rules are stored is the S3 door's business.
    pub read_rules: RulesReader,
    /// Ends the scanner.
    pub shutdown: CancellationToken,
}

/// Scans the buckets that have rules.
pub struct Scanner {
    settings: LifecycleSettings,
    components: ScannerComponents,
    /// Buckets whose rules cannot be read, at a revision: said once.
    unreadable: BTreeSet<(BucketName, u64)>,
    settling: Settling,
}

/// What a turn left to do.
enum Turn {
    /// The bucket's scan goes on.
    Unfinished,
    /// Nothing before this moment, if ever.
    Until(Option<UnixMillis>),
}

impl Scanner {
    /// A scanner with these settings, which were validated.
    pub fn new(settings: LifecycleSettings, components: ScannerComponents) -> Self {
        Self { settings, components, unreadable: BTreeSet::new(), settling: Settling::default() }
    }

    /// Scans until the shutdown component is cancelled.
    pub async fn run(mut self) {
        let shutdown = self.components.shutdown.clone();
        shutdown
            .run_until_cancelled(async {
                loop {
                    let pause = self.round().await;
                    tokio::time::sleep(pause).await;
                }
            })
            .await;
    }

    /// Gives every bucket that has something due a turn; how long to pause then.
    async fn round(&mut self) -> Duration {
        if !(self.components.leads)() {
            return self.pause_max();
        }
        match self.turns().await {
            Ok(Turn::Unfinished) => Duration::ZERO,
            Ok(Turn::Until(next)) => {
                let now = (self.components.now)();
                let until = next.map(|next| Duration::from_millis(next.0.saturating_sub(now.0)));
                until.map_or(self.pause_max(), |until| until.clamp(Duration::from_millis(1), self.pause_max()))
            }
            Err(failure) => {
                tracing::debug!(%failure, "lifecycle scans pause");
                self.pause_max()
            }
        }
    }

    fn pause_max(&self) -> Duration {
        let day = Duration::from_millis(self.settings.calendar().day_ms());
        (day / PAUSES_PER_DAY).clamp(PAUSE_MIN, PAUSE_MAX)
    }

    async fn turns(&mut self) -> Result<Turn, Failure> {
        let (mut next, mut after) = (None::<UnixMillis>, None);
        // Many that are due at once are not kept waiting by pauses.
        let mut unfinished = self.settle_restores().await?;
        loop {
            let (buckets, more) = self.list_buckets(after).await?;
            for bucket in &buckets {
                match self.turn(bucket).await {
                    Ok(Turn::Unfinished) => unfinished = true,
                    Ok(Turn::Until(Some(at))) => next = Some(next.map_or(at, |so_far| so_far.min(at))),
                    Ok(Turn::Until(None)) => {}
                    // Its settings have changed, or it is gone: the next round sees it as it is.
                    Err(failure) if matches!(failure.code, ErrorCode::Conflict | ErrorCode::NoSuchBucket) => {
                        unfinished = true;
                    }
                    Err(failure) => return Err(failure),
                }
            }
            after = more;
            if after.is_none() {
                return Ok(if unfinished { Turn::Unfinished } else { Turn::Until(next) });
            }
        }
    }

    /// Scans some pages of a bucket, if it is time to.
    async fn turn(&mut self, bucket: &LifecycleBucket) -> Result<Turn, Failure> {
        let Some(rules) = self.read_rules(bucket) else { return Ok(Turn::Until(None)) };
        let judge = Judge::new(&rules, &bucket.settings, self.settings.calendar());
        if !judge.has_rules() {
            return Ok(Turn::Until(None));
        }
        let now = (self.components.now)();
        let (name, revision) = (&bucket.settings.info.name, bucket.settings.revision);
        let carried_out = bucket.progress.as_ref().map(|progress| progress.revision);
        let day_ms = self.settings.calendar().day_ms();
        if let Some(at) = self.settling.wait(name, revision, carried_out, now, day_ms) {
            return Ok(Turn::Until(Some(at)));
        }
        let mut progress = match self.begin_or_go_on(bucket, &judge, now) {
            Ok(progress) => progress,
            Err(next) => return Ok(Turn::Until(next)),
        };
        let mut unkept = 0;
        for _ in 0..PAGES_PER_TURN {
            let started = Instant::now();
            let scanned = progress.scanned;
            if self.page(bucket, &judge, &mut progress, &mut unkept).await? {
                return Ok(Turn::Until(judge.next_scan(&progress)));
            }
            self.keep_to_rate(progress.scanned - scanned, started).await;
        }
        if unkept > 0 {
            self.apply(bucket, Vec::new(), progress).await?;
        }
        Ok(Turn::Unfinished)
    }

    /// The progress to go on with, or the moment of the next scan.
    fn begin_or_go_on(
        &self,
        bucket: &LifecycleBucket,
        judge: &Judge<'_>,
        now: UnixMillis,
    ) -> Result<LifecycleProgress, Option<UnixMillis>> {
        let (revision, day_ms) = (bucket.settings.revision, self.settings.calendar().day_ms());
        let new = LifecycleProgress {
            revision,
            day_ms,
            started: now,
            position: Some(ScanPosition::default()),
            ..done_so_far(bucket.progress.as_ref())
        };
        match &bucket.progress {
            Some(progress) if progress.revision == revision && progress.day_ms == day_ms => match progress.finished {
                None => Ok(progress.clone()),
                Some(_) => match judge.next_scan(progress) {
                    Some(next) if next <= now => Ok(new),
                    next => Err(next),
                },
            },
            Some(_) | None => Ok(new),
        }
    }

    /// Scans a page. `true` when it was the last.
    async fn page(
        &self,
        bucket: &LifecycleBucket,
        judge: &Judge<'_>,
        progress: &mut LifecycleProgress,
        unkept: &mut u32,
    ) -> Result<bool, Failure> {
        let name = &bucket.settings.info.name;
        let from = progress.position.take().unwrap_or_default();
        let page = self.scan(name, judge.prefix(), from).await?;
        let now = (self.components.now)();
        let steps: Vec<LifecycleStep> =
            page.versions.iter().filter_map(|version| judge.judge(version, now, progress)).collect();
        for step in &steps {
            match step.act {
                LifecycleAct::Delete => progress.deleted += 1,
                LifecycleAct::Hide => progress.hidden += 1,
                LifecycleAct::Move { .. } => progress.moved += 1,
            }
        }
        progress.position = page.next;
        let is_last = progress.position.is_none();
        if is_last {
            if judge.aborts_uploads() {
                self.abort_uploads(name, judge, progress).await?;
            }
            progress.finished = Some((self.components.now)());
        }
        *unkept += 1;
        if is_last || !steps.is_empty() || *unkept >= PAGES_UNKEPT_MAX {
            *unkept = 0;
            *progress = self.apply(bucket, steps, progress.clone()).await?;
        }
        Ok(is_last)
    }

    /// Sends the actions of a page, and how far the scan has come with them; what it has come to with their outcome.
    async fn apply(
        &self,
        bucket: &LifecycleBucket,
        steps: Vec<LifecycleStep>,
        mut progress: LifecycleProgress,
    ) -> Result<LifecycleProgress, Failure> {
        let name = bucket.settings.info.name.clone();
        let request = NamenodeRequest::ApplyLifecycle {
            bucket: name.clone(),
            revision: bucket.settings.revision,
            steps,
            progress: progress.clone(),
        };
        match self.components.namenode.call(request).await? {
            NamenodeReply::LifecycleApplied(answers) => {
                for failure in answers.into_iter().filter_map(Result::err) {
                    progress.refused += 1;
                    tracing::debug!(bucket = %name, %failure, "a lifecycle action was not carried out");
                }
                Ok(progress)
            }
            other => Err(unexpected(&other)),
        }
    }

    async fn abort_uploads(
        &self,
        bucket: &BucketName,
        judge: &Judge<'_>,
        progress: &mut LifecycleProgress,
    ) -> Result<(), Failure> {
        let mut after = UploadAfter::default();
        loop {
            let started = Instant::now();
            let page = self.list_uploads(bucket, judge.prefix(), after).await?;
            let now = (self.components.now)();
            for upload in &page.uploads {
                if !judge.is_upload_due(upload, now, progress) {
                    continue;
                }
                let (bucket, key) = (bucket.clone(), upload.key.clone());
                let request = NamenodeRequest::AbortUpload { bucket, key, upload: upload.upload };
                match self.components.namenode.call(request).await {
                    Ok(_) => progress.aborted += 1,
                    // Completed or aborted meanwhile.
                    Err(failure) if failure.code == ErrorCode::NoSuchUpload => {}
                    Err(failure) => return Err(failure),
                }
            }
            self.keep_to_rate(page.uploads.len() as u64, started).await;
            match page.next {
                Some(next) => after = next,
                None => return Ok(()),
            }
        }
    }

    async fn keep_to_rate(&self, judged: u64, started: Instant) {
        let least = Duration::from_secs_f64(judged as f64 / self.settings.objects_per_second as f64);
        tokio::time::sleep_until(started + least).await;
    }

    fn read_rules(&mut self, bucket: &LifecycleBucket) -> Option<LifecycleConfiguration> {
        let settings = &bucket.settings;
        let (_, document) = settings.documents.iter().find(|(kind, _)| *kind == BucketDocument::Lifecycle)?;
        match (self.components.read_rules)(document) {
            Ok(rules) => Some(rules),
            Err(error) => {
                if self.unreadable.insert((settings.info.name.clone(), settings.revision)) {
                    tracing::error!(bucket = %settings.info.name, error, "lifecycle rules cannot be read");
                }
                None
            }
        }
    }

    async fn list_buckets(
        &self,
        after: Option<BucketName>,
    ) -> Result<(Vec<LifecycleBucket>, Option<BucketName>), Failure> {
        let request = NamenodeRequest::ListLifecycleBuckets { after, limit: BUCKETS_PER_REQUEST };
        match self.components.namenode.call(request).await? {
            NamenodeReply::LifecycleBuckets { buckets, next } => Ok((buckets, next)),
            other => Err(unexpected(&other)),
        }
    }

    async fn scan(&self, bucket: &BucketName, prefix: String, from: ScanPosition) -> Result<ScannedPage, Failure> {
        let request = NamenodeRequest::ScanVersions { bucket: bucket.clone(), prefix, from, limit: PAGE_VERSIONS };
        match self.components.namenode.call(request).await? {
            NamenodeReply::Scanned(page) => Ok(page),
            other => Err(unexpected(&other)),
        }
    }

    async fn list_uploads(
        &self,
        bucket: &BucketName,
        prefix: String,
        after: UploadAfter,
    ) -> Result<UploadListing, Failure> {
        let (bucket, delimiter) = (bucket.clone(), String::new());
        let request = NamenodeRequest::ListUploads { bucket, prefix, delimiter, after, limit: UPLOADS_PER_REQUEST };
        match self.components.namenode.call(request).await? {
            NamenodeReply::Uploads(page) => Ok(page),
            other => Err(unexpected(&other)),
        }
    }

    /// Announces restores that are due; whether there may be more.
    async fn settle_restores(&self) -> Result<bool, Failure> {
        let request = NamenodeRequest::SettleRestores { limit: RESTORES_PER_REQUEST };
        match self.components.namenode.call(request).await? {
            NamenodeReply::RestoresSettled(settled) => Ok(settled >= RESTORES_PER_REQUEST),
            other => Err(unexpected(&other)),
        }
    }
}

/// What earlier scans of a bucket have done: a new one goes on counting.
fn done_so_far(progress: Option<&LifecycleProgress>) -> LifecycleProgress {
    let Some(progress) = progress else { return LifecycleProgress::default() };
    let LifecycleProgress { deleted, hidden, moved, aborted, refused, .. } = *progress;
    LifecycleProgress { deleted, hidden, moved, aborted, refused, ..LifecycleProgress::default() }
}

fn unexpected(reply: &NamenodeReply) -> Failure {
    tracing::error!(?reply, "the namenode answered with another reply than the request's");
    Failure::from(ErrorCode::Internal)
}
