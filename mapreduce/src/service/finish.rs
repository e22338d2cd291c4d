//! The end of a job: everything of it that runs is ended, its output becomes visible or goes, its history is written.

use super::rows::unexpected;
use super::{JobService, KEPT_MS, document};
use crate::placement::{self, Event};
use granary_protocol::bucket::BucketInfo;
use granary_protocol::jobs::{JobChange, JobId, JobRecord, JobState, RunnerOrder};
use granary_protocol::namenode::{NamenodeReply, NamenodeRequest};
use granary_protocol::{Advice, BucketName, ErrorCode, Failure, ObjectKey, UnixMillis};
use std::sync::Arc;
use std::time::Duration;
use time::OffsetDateTime;

/// The bucket of histories, made when the first is written.
const HISTORY_BUCKET: &str = "granary-jobs";
/// Its region where the job had no output bucket to go by.
const DEFAULT_REGION: &str = "us-east-1";
const PAUSE: Duration = Duration::from_millis(250);
/// Histories longer than this are not kept as objects: one fits into an order.
const HISTORY_BYTES_MAX: usize = 8 << 20;

impl JobService {
    /// Ends a job in this state. Nothing if it is ending already.
    pub(super) async fn end(self: &Arc<Self>, job: JobId, state: JobState, reason: String) {
        let followups = {
            let mut board = self.board();
            if let Some(entry) = board.jobs.get_mut(&job) {
                if entry.ending {
                    return;
                }
                entry.ending = true;
            }
            board.give_up_planning(job);
            // What has succeeded runs no more; of all else nothing is to run on.
            board.tell(Event::JobKilled { job: placement::JobId(job.0) })
        };
        self.follow(followups);
        match self.finish(job, state, reason).await {
            Ok(state) => {
                let history = self.history_order(job).await;
                self.board().ended(job, state, history);
                tracing::info!(%job, "a job has ended");
            }
            // Another leader ends it.
            Err(failure) => tracing::debug!(%job, %failure, "a job was not ended here"),
        }
    }

    /// Writes the end of a job; answers how it ended.
    async fn finish(&self, job: JobId, state: JobState, reason: String) -> Result<JobState, Failure> {
        let (mut state, mut reason) = (state, reason);
        loop {
            let summary = document::summary_of(self.board().jobs.get(&job));
            let change = JobChange::Finish { job, state, reason: reason.clone(), summary };
            let Err(failure) = self.rows.carry_out(change).await else { return Ok(state) };
            match failure.code {
                ErrorCode::NotLeader { .. } => return Err(failure),
                _ if !self.board().is_active() => return Err(failure),
                _ if failure.code.advice() != Advice::GiveUp => tokio::time::sleep(PAUSE).await,
                // It ended otherwise.
                ErrorCode::NoSuchEntity => return Err(failure),
                ErrorCode::Conflict => match self.rows.job(job).await?.state {
                    ended if ended.is_final() => return Ok(ended),
                    _ if state == JobState::Succeeded => (state, reason) = unpublished(&failure),
                    _ => return Err(failure),
                },
                _ if state == JobState::Succeeded => {
                    (state, reason) = unpublished(&failure);
                }
                _ => {
                    tracing::error!(%job, %failure, "a job cannot be ended");
                    return Err(failure);
                }
            }
        }
    }

    /// The order to keep a job's history as an object; `None` where that cannot be.
    async fn history_order(&self, job: JobId) -> Option<RunnerOrder> {
        let record = self.rows.job(job).await.ok()?;
        if let Err(failure) = self.make_history_bucket(&record).await {
            tracing::warn!(%job, %failure, "there is no bucket for the histories of jobs");
            return None;
        }
        let tasks = self.rows.tasks(job).await.ok()?;
        let lines = document::history(job, &record, &tasks);
        let ended = record.finished.unwrap_or(record.submitted);
        (lines.len() <= HISTORY_BYTES_MAX).then(|| RunnerOrder::WriteHistory {
            job,
            operator: record.operator.clone(),
            bucket: BucketName::from(HISTORY_BUCKET),
            key: ObjectKey(format!("history/{}/{job}.jsonl", day_of(ended))),
            lines,
        })
    }

    /// The bucket of histories, in the region of the store's others. Whose it is is looked at when it is written to.
    async fn make_history_bucket(&self, record: &JobRecord) -> Result<(), Failure> {
        let bucket = BucketName::from(HISTORY_BUCKET);
        match self.find_bucket(bucket.clone()).await {
            Err(failure) if failure.code == ErrorCode::NoSuchBucket => {}
            found => return found.map(drop),
        }
        let region = match &record.output {
            Some(place) => self.find_bucket(place.bucket.clone()).await.map(|info| info.region).ok(),
            None => None,
        };
        let request = NamenodeRequest::CreateBucket {
            bucket,
            owner: record.operator.clone(),
            region: region.unwrap_or_else(|| DEFAULT_REGION.to_owned()),
            object_lock: false,
            documents: Vec::new(),
        };
        match self.rows.namenode.call(request).await {
            // The history of another job came first.
            Err(failure) if failure.code == ErrorCode::BucketAlreadyOwnedByYou => Ok(()),
            made => made.map(drop),
        }
    }

    async fn find_bucket(&self, bucket: BucketName) -> Result<BucketInfo, Failure> {
        match self.rows.namenode.call(NamenodeRequest::GetBucket { bucket }).await? {
            NamenodeReply::Bucket(info) => Ok(info),
            other => Err(unexpected(&other)),
        }
    }

    /// Lets jobs go that ended long ago.
    pub(super) async fn forget_old(&self) {
        let now = self.now();
        let mut old = Vec::new();
        let look = |job, record: JobRecord| {
            if record.finished.is_some_and(|finished| finished.0.saturating_add(KEPT_MS) < now.0) {
                old.push(job);
            }
        };
        // What was not seen now is seen next time.
        let _ = self.rows.each_job(look).await;
        for job in old {
            if let Err(failure) = self.rows.carry_out(JobChange::Forget { job }).await {
                tracing::debug!(%job, %failure, "an old job stays for now");
            }
        }
    }
}

fn unpublished(failure: &Failure) -> (JobState, String) {
    (JobState::Failed, format!("the output could not be published: {failure}"))
}

/// `2026/11/21`, in UTC.
fn day_of(moment: UnixMillis) -> String {
    let seconds = i64::try_from(moment.0 / 1000).unwrap_or(0);
    let date = OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH).date();
    format!("{:04}/{:02}/{:02}", date.year(), u8::from(date.month()), date.day())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn histories_are_filed_by_day() {
        assert_eq!(day_of(UnixMillis(0)), "1970/01/01");
        assert_eq!(day_of(UnixMillis(1_795_300_000_000)), "2026/11/21");
    }
}
