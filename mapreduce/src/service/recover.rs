//! A new leader: jobs and what is done of them from the rows, what runs from the runners.

use super::job::Job;
use super::{JobService, document, plan};
use crate::spec::JobSpec;
use bytes::Bytes;
use granary_protocol::Failure;
use granary_protocol::jobs::{JobId, JobRecord, JobState, JobsQuery, TaskKind};
use std::sync::Arc;
use std::time::Duration;

/// How long runners are given to say what still runs before anything new is started.
const HOLDING: Duration = Duration::from_secs(3);

impl JobService {
    /// Reads all jobs that have not ended, and goes on with them.
    pub(super) async fn take_over(self: &Arc<Self>) -> Result<(), Failure> {
        let epoch = self.rows.take_over().await?;
        let mut jobs: Vec<(JobId, JobRecord)> = Vec::new();
        let keep = |job, record: JobRecord| {
            if !record.state.is_final() {
                jobs.push((job, record));
            }
        };
        self.rows.each_job(keep).await?;
        let running = jobs.iter().any(|(_, record)| record.state == JobState::Running);
        self.board().renew(epoch);
        for (job, record) in jobs {
            match serde_json::from_slice::<JobSpec>(&record.spec) {
                Ok(spec) if record.state == JobState::Running => self.resume(job, record, spec).await?,
                Ok(spec) => {
                    self.board().planning.insert(job);
                    let planning = self.clone().plan_and_start(job, spec, epoch);
                    self.tasks.spawn(self.components.shutdown.clone().run_until_cancelled_owned(planning));
                }
                Err(error) => tracing::error!(%job, %error, "a job's specification cannot be read"),
            }
        }
        self.board().activate(running.then_some(HOLDING));
        tracing::info!(epoch, "the job service leads");
        Ok(())
    }

    async fn resume(self: &Arc<Self>, id: JobId, record: JobRecord, spec: JobSpec) -> Result<(), Failure> {
        let cuts = self.rows.page(JobsQuery::Plan { job: id, page: 0 }).await?;
        let mut splits: Vec<Bytes> = Vec::new();
        for page in 1..record.plan_pages {
            splits.extend(plan::decode::<Vec<Bytes>>(&self.rows.page(JobsQuery::Plan { job: id, page }).await?)?);
        }
        let maps = self.relocate(&splits).await?;
        let mut job = Job::new(record, spec, splits, cuts);
        for (task, record) in self.rows.tasks(id).await? {
            let place = document::locality_in(&record.result).filter(|_| task.kind == TaskKind::Map);
            if let Some(place) = place {
                job.locality[place] += 1;
                job.locality_bytes[place] += plan::split_bytes(&job.splits, task.index);
            }
            job.task_done(task, document::done_of(record));
        }
        let followups = self.board().begin(id, job, maps);
        self.follow(followups);
        Ok(())
    }
}
