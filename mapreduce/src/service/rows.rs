//! The rows of jobs in the namenode's state, read and changed by the requests for them.

use bytes::Bytes;
use granary_protocol::jobs::*;
use granary_protocol::namenode::{NamenodeReply, NamenodeRequest, NamenodeService};
use granary_protocol::{ErrorCode, Failure, UploadId};
use std::sync::Arc;

/// Rows asked for at once.
const ROWS_PER_REQUEST: u32 = 1_000;

#[derive(Clone)]
pub(super) struct Rows {
    pub namenode: Arc<dyn NamenodeService>,
}

impl Rows {
    pub fn new(namenode: Arc<dyn NamenodeService>) -> Rows {
        Rows { namenode }
    }

    pub async fn change(&self, change: JobChange) -> Result<NamenodeReply, Failure> {
        self.namenode.call(NamenodeRequest::ChangeJobs(Box::new(change))).await
    }

    /// A change that is answered `Done`.
    pub async fn carry_out(&self, change: JobChange) -> Result<(), Failure> {
        match self.change(change).await? {
            NamenodeReply::Done => Ok(()),
            other => Err(unexpected(&other)),
        }
    }

    pub async fn take_over(&self) -> Result<u32, Failure> {
        match self.change(JobChange::TakeOver).await? {
            NamenodeReply::JobsEpoch(epoch) => Ok(epoch),
            other => Err(unexpected(&other)),
        }
    }

    pub async fn create(&self, record: JobRecord) -> Result<JobId, Failure> {
        match self.change(JobChange::Create { record: Box::new(record) }).await? {
            NamenodeReply::JobCreated(job) => Ok(job),
            other => Err(unexpected(&other)),
        }
    }

    /// One of the two changes that open an output.
    pub async fn open_output(&self, change: JobChange) -> Result<UploadId, Failure> {
        match self.change(change).await? {
            NamenodeReply::Upload(upload) => Ok(upload),
            other => Err(unexpected(&other)),
        }
    }

    async fn query(&self, query: JobsQuery) -> Result<JobRows, Failure> {
        match self.namenode.call(NamenodeRequest::QueryJobs(query)).await? {
            NamenodeReply::JobRows(rows) => Ok(*rows),
            other => Err(unexpected(&other)),
        }
    }

    pub async fn job(&self, job: JobId) -> Result<JobRecord, Failure> {
        match self.query(JobsQuery::Job { job }).await? {
            JobRows::Jobs(mut jobs) if jobs.len() == 1 => Ok(jobs.remove(0).1),
            _ => Err(Failure::from(ErrorCode::Internal)),
        }
    }

    /// Shows all jobs, in the order of their submission. Their specifications may be long: a page of them is held.
    pub async fn each_job(&self, mut visit: impl FnMut(JobId, JobRecord) + Send) -> Result<(), Failure> {
        let mut after = None;
        loop {
            let JobRows::Jobs(page) = self.query(JobsQuery::Jobs { after, limit: ROWS_PER_REQUEST }).await? else {
                return Err(Failure::from(ErrorCode::Internal));
            };
            let Some((last, _)) = page.last() else { return Ok(()) };
            after = Some(*last);
            for (job, record) in page {
                visit(job, record);
            }
        }
    }

    /// The tasks of a job that are done.
    pub async fn tasks(&self, job: JobId) -> Result<Vec<(TaskName, TaskRecord)>, Failure> {
        let mut all: Vec<(TaskName, TaskRecord)> = Vec::new();
        loop {
            let after = all.last().map(|(task, _)| *task);
            let query = JobsQuery::Tasks { job, after, limit: ROWS_PER_REQUEST };
            let JobRows::Tasks(page) = self.query(query).await? else { return Err(Failure::from(ErrorCode::Internal)) };
            if page.is_empty() {
                return Ok(all);
            }
            all.extend(page);
        }
    }

    pub async fn page(&self, query: JobsQuery) -> Result<Bytes, Failure> {
        match self.query(query).await? {
            JobRows::Page(page) => Ok(page),
            _ => Err(Failure::from(ErrorCode::Internal)),
        }
    }
}

pub(super) fn unexpected(reply: &NamenodeReply) -> Failure {
    tracing::error!(?reply, "the namenode answered with another reply than the request's");
    Failure::from(ErrorCode::Internal)
}
