//! From a submission to tasks: the job's row, where its input lies, its splits, the ranges of its reduces.

use super::JobService;
use super::job::Job;
use super::sealed::SealedWindow;
use crate::placement::{InputId, MapPlan, NodeId};
use crate::plan::{self, BlockLocation, LocatedFile, PlannedSplit, Split};
use crate::spec::{Archived, JobSpec};
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use granary_protocol::encryption::EncryptionMode;
use granary_protocol::jobs::*;
use granary_protocol::namenode::{LocatedExtent, NamenodeReply, NamenodeRequest, ObjectRead, Window};
use granary_protocol::{Advice, DatanodeId, ErrorCode, Failure};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Objects that are located at a time.
const LOCATED_AT_ONCE: usize = 16;
/// About how many bytes a page of a plan or of a list of inputs takes.
const PAGE_BYTES: usize = 512 << 10;
/// How long a runner may take to sample keys.
const SAMPLE_TIMEOUT: Duration = Duration::from_secs(300);
/// How long to wait for a runner that could sample.
const RUNNER_PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(200);
/// How long a plan that fails for what may pass is made anew.
const PLAN_PATIENCE: Duration = Duration::from_secs(60);

/// A block of an input and the datanodes that hold it.
struct Located {
    offset: u64,
    length: u64,
    block: u64,
    datanodes: Vec<DatanodeId>,
}

impl JobService {
    /// Lets a submission in: its row is written. With the specification if it has to be planned now.
    pub(super) async fn admit(&self, submission: Submission) -> Result<(JobId, Option<JobSpec>), Failure> {
        let invalid = |why: String| Failure::new(ErrorCode::InvalidArgument, why);
        let Submission { submitter, may_exec_native, operator, spec: text, inputs, output, token } = submission;
        if text.len() > SPEC_BYTES_MAX || inputs.len() > INPUT_FILES_MAX {
            return Err(invalid("the job or the list of its inputs is too long".to_owned()));
        }
        let unread = text.clone();
        // A module takes time to read.
        let read = tokio::task::spawn_blocking(move || {
            let spec: JobSpec = serde_json::from_slice(&unread).map_err(|error| format!("the job: {error}"))?;
            spec.validate().map(|()| spec).map_err(|error| error.to_string())
        });
        let spec =
            read.await.map_err(|error| Failure::new(ErrorCode::Internal, error.to_string()))?.map_err(invalid)?;
        if spec.runs_native_code() && !may_exec_native {
            let why = "programs of one's own need the permission job:ExecNative";
            return Err(Failure::new(ErrorCode::AccessDenied, why));
        }
        if spec.reduces() as usize > OUTPUTS_MAX {
            return Err(invalid(format!("a job has {OUTPUTS_MAX} output files at most")));
        }
        let pages = pages(&inputs, PAGE_BYTES)?;
        let record = JobRecord {
            submitter,
            operator,
            spec: text,
            output,
            token,
            submitted: self.now(),
            started: None,
            finished: None,
            state: JobState::Planning,
            reason: String::new(),
            input_pages: pages.len() as u32,
            plan_pages: 0,
            maps: 0,
            reduces: 0,
            summary: Bytes::new(),
        };
        let job = self.rows.create(record).await?;
        // The same submission may have come before.
        let is_new = self.rows.job(job).await?.state == JobState::Planning && self.board().planning.insert(job);
        if !is_new {
            return Ok((job, None));
        }
        for (page, data) in (0..).zip(pages) {
            if let Err(failure) = self.rows.carry_out(JobChange::StoreInputs { job, page, data }).await {
                self.board().planning.remove(&job);
                return Err(failure);
            }
        }
        Ok((job, Some(spec)))
    }

    /// Makes the splits of a job and lets its tasks begin, under this epoch; a job that cannot be planned fails. What may
    /// pass is tried again for a while.
    pub(super) async fn plan_and_start(self: Arc<Self>, job: JobId, spec: JobSpec, epoch: u32) {
        let mut until = None;
        loop {
            let Err(failure) = self.clone().plan_job(job, &spec, epoch).await else { return };
            tracing::debug!(%job, %failure, "a job was not planned");
            if self.board().expect_planning(job, epoch).is_err() {
                return;
            }
            let until = *until.get_or_insert_with(|| Instant::now() + PLAN_PATIENCE);
            if failure.code.advice() == Advice::GiveUp || Instant::now() >= until {
                return self.end(job, JobState::Failed, failure.to_string()).await;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn plan_job(self: Arc<Self>, job: JobId, spec: &JobSpec, epoch: u32) -> Result<(), Failure> {
        let record = self.rows.job(job).await?;
        let mut inputs: Vec<InputFile> = Vec::new();
        for page in 0..record.input_pages {
            inputs.extend(decode::<Vec<InputFile>>(&self.rows.page(JobsQuery::Inputs { job, page }).await?)?);
        }
        if spec.archived == Archived::Restore {
            self.wait_for_restores(job, epoch, &inputs).await?;
        }
        let files = self.locate_all(&inputs).await?;
        let planned = {
            let mut board = self.board();
            let files: Vec<LocatedFile> = inputs
                .iter()
                .zip(files)
                .map(|(input, blocks)| {
                    let blocks = blocks
                        .into_iter()
                        .map(|at| BlockLocation {
                            offset: at.offset,
                            length: at.length,
                            block: InputId(at.block),
                            nodes: at.datanodes.into_iter().map(|datanode| board.node_of(datanode)).collect(),
                        })
                        .collect();
                    LocatedFile { file: planned_file(input), blocks }
                })
                .collect();
            let slots = board.slots().max(1);
            plan::plan(spec, &files, slots)
        };
        let planned = planned.map_err(|error| Failure::new(ErrorCode::InvalidArgument, error.to_string()))?;
        self.check_size(spec, planned.len())?;
        let splits: Vec<Bytes> = planned.iter().map(|planned| encode(&planned.split)).collect::<Result<_, _>>()?;
        let cuts = match spec.needs_cuts() {
            true => self.sample(job, &record, &splits).await?,
            false => Bytes::new(),
        };
        self.board().expect_planning(job, epoch)?;
        self.store_plan(job, spec, &splits, &cuts).await?;
        let started = self.rows.job(job).await?;
        let maps = planned.into_iter().map(map_plan).collect();
        let followups = {
            let mut board = self.board();
            board.expect_planning(job, epoch)?;
            board.begin(job, Job::new(started, spec.clone(), splits, cuts), maps)
        };
        self.follow(followups);
        Ok(())
    }

    fn check_size(&self, spec: &JobSpec, maps: usize) -> Result<(), Failure> {
        let too_many = |what: String| Err(Failure::new(ErrorCode::LimitExceeded, what));
        match () {
            () if maps > TASKS_MAX as usize => too_many(format!("{maps} maps; a job has {TASKS_MAX} at most")),
            () if spec.reduces() == 0 && maps > OUTPUTS_MAX => too_many(format!(
                "{maps} maps without reduces; a job has {OUTPUTS_MAX} output files at most: choose larger splits"
            )),
            () => Ok(()),
        }
    }

    async fn store_plan(&self, job: JobId, spec: &JobSpec, splits: &[Bytes], cuts: &Bytes) -> Result<(), Failure> {
        self.rows.carry_out(JobChange::StorePlan { job, page: 0, data: cuts.clone() }).await?;
        let pages = pages(splits, PAGE_BYTES)?;
        let plan_pages = pages.len() as u32 + 1;
        for (page, data) in (1..).zip(pages) {
            self.rows.carry_out(JobChange::StorePlan { job, page, data }).await?;
        }
        let (maps, reduces) = (splits.len() as u32, spec.reduces());
        self.rows.carry_out(JobChange::Start { job, maps, reduces, plan_pages }).await
    }

    /// Has a runner sample keys of the splits.
    async fn sample(&self, job: JobId, record: &JobRecord, splits: &[Bytes]) -> Result<Bytes, Failure> {
        let order = RunnerOrder::Sample { job, spec: record.spec.clone(), splits: splits.to_vec() };
        let find = async {
            loop {
                if let Some(sampled) = self.board().sample(job, order.clone()) {
                    return sampled;
                }
                tokio::time::sleep(PAUSE).await;
            }
        };
        let unavailable = |why: &str| Failure::new(ErrorCode::Unavailable, why.to_owned());
        let sampled = tokio::time::timeout(RUNNER_PATIENCE, find)
            .await
            .map_err(|_| unavailable("no task runner is there to sample keys"))?;
        match tokio::time::timeout(SAMPLE_TIMEOUT, sampled).await {
            Ok(Ok(sampled)) => sampled.map_err(|why| Failure::new(ErrorCode::InvalidArgument, why)),
            Ok(Err(_)) | Err(_) => Err(unavailable("keys could not be sampled in time")),
        }
    }

    /// Where the maps of a plan that was stored before are at home now.
    pub(super) async fn relocate(&self, splits: &[Bytes]) -> Result<Vec<MapPlan>, Failure> {
        let decoded: Vec<Split> = splits.iter().map(|split| decode(split)).collect::<Result<_, _>>()?;
        let located: Vec<Vec<Located>> = stream::iter(decoded.clone())
            .map(|split| async move {
                match &split {
                    // A split's first object is where it begins; those packed with it lie on the same nodes.
                    Split::Pieces(pieces) => match pieces.first() {
                        Some(piece) => self.locate(&stored_file(&piece.file)?, piece.offset, piece.length).await,
                        None => Ok(Vec::new()),
                    },
                    Split::Rows { .. } => Ok(Vec::new()),
                }
            })
            .buffered(LOCATED_AT_ONCE)
            .map(|located: Result<_, Failure>| match located {
                Ok(located) => Ok(located),
                // Its tasks will say what is wrong with it.
                Err(failure) if failure.code != ErrorCode::Unavailable => Ok(Vec::new()),
                Err(failure) => Err(failure),
            })
            .try_collect()
            .await?;
        let mut board = self.board();
        let plans = decoded.iter().zip(located).zip(0u64..).map(|((split, blocks), index)| {
            let longest = blocks.into_iter().max_by_key(|block| block.length);
            let input = InputId(longest.as_ref().map_or(u64::MAX - index, |block| block.block));
            let datanodes = longest.map(|block| block.datanodes).unwrap_or_default();
            let replicas: Vec<NodeId> = datanodes.into_iter().map(|datanode| board.node_of(datanode)).collect();
            MapPlan { input, bytes: split.bytes(), replicas }
        });
        Ok(plans.collect())
    }

    async fn locate_all(&self, inputs: &[InputFile]) -> Result<Vec<Vec<Located>>, Failure> {
        stream::iter(inputs.to_vec())
            .map(|input| async move { self.locate(&input, 0, input.size).await })
            .buffered(LOCATED_AT_ONCE)
            .try_collect()
            .await
    }

    /// The blocks of a range of an input, which must still be what it was.
    async fn locate(&self, input: &InputFile, offset: u64, length: u64) -> Result<Vec<Located>, Failure> {
        let window = match length {
            0 => Window::Nothing,
            _ => Window::Range { first: offset, last: Some(offset + length - 1) },
        };
        let (bucket, key) = (input.bucket.clone(), input.key.clone());
        let request = NamenodeRequest::GetObject { bucket, key, version: Some(input.version), window };
        let NamenodeReply::Object(read) = self.rows.namenode.call(request).await? else {
            return Err(Failure::from(ErrorCode::Internal));
        };
        let url = format!("s3://{}/{}", input.bucket, input.key);
        if read.object.etag != input.etag {
            return Err(Failure::new(
                ErrorCode::Conflict,
                format!("{url} has been replaced since the job was submitted"),
            ));
        }
        let mode = read.object.details.encryption.as_ref().map(|kept| &kept.mode);
        if matches!(mode, Some(EncryptionMode::Customer { .. })) {
            let why = format!("{url} is encrypted with a key that only its owner has");
            return Err(Failure::new(ErrorCode::InvalidBucketState, why));
        }
        let mut extents = read.extents.clone();
        self.locate_rest(&read, &mut extents).await?;
        Ok(extents.into_iter().map(|extent| located(&read, extent)).collect())
    }

    async fn locate_rest(&self, read: &ObjectRead, extents: &mut Vec<LocatedExtent>) -> Result<(), Failure> {
        let Some(content) = read.content else { return Ok(()) };
        let end = read.stored_offset + read.stored_length;
        loop {
            let reached = extents.last().map_or(end, |last| last.content_offset + u64::from(last.extent.length));
            if reached >= end {
                return Ok(());
            }
            let request = NamenodeRequest::LocateContent { content, offset: reached, length: end - reached };
            match self.rows.namenode.call(request).await? {
                NamenodeReply::Located(more) if !more.is_empty() => extents.extend(more),
                _ => return Err(Failure::from(ErrorCode::Internal)),
            }
        }
    }
}

fn located(read: &ObjectRead, extent: LocatedExtent) -> Located {
    let datanodes = extent.located.replicas.iter().map(|replica| replica.datanode.id).collect();
    let (mut offset, mut end) = (extent.content_offset, extent.content_offset + u64::from(extent.extent.length));
    if !read.sealed.is_empty() {
        let ObjectRead { offset: first, stored_offset, sealed, .. } = read;
        let window = SealedWindow { offset: *first, stored_offset: *stored_offset, runs: sealed };
        (offset, end) = (window.plain_offset(offset), window.plain_offset(end));
    }
    Located { offset, length: end - offset, block: extent.located.block.0, datanodes }
}

fn map_plan(planned: PlannedSplit) -> MapPlan {
    MapPlan { input: planned.input, bytes: planned.bytes, replicas: planned.nodes }
}

/// Bytes of one of the splits.
pub(super) fn split_bytes(splits: &[Bytes], map: u32) -> u64 {
    splits.get(map as usize).and_then(|split| decode::<Split>(split).ok()).map_or(0, |split| split.bytes())
}

/// An input as plans name it: its version is the store's number, its entity tag behind it.
fn planned_file(input: &InputFile) -> plan::InputFile {
    plan::InputFile {
        bucket: input.bucket.0.clone(),
        key: input.key.0.clone(),
        version: crate::version::pinned(input.version, &input.etag),
        length: input.size,
        base: input.base,
    }
}

fn stored_file(file: &plan::InputFile) -> Result<InputFile, Failure> {
    let pinned = crate::version::parse(&file.version);
    let (version, etag) = pinned.ok_or_else(|| Failure::from(ErrorCode::Malformed))?;
    Ok(InputFile {
        bucket: file.bucket.as_str().into(),
        key: file.key.as_str().into(),
        version,
        size: file.length,
        etag,
        base: file.base,
    })
}

/// Items in pages of about so many bytes.
fn pages<T: serde::Serialize>(items: &[T], page_bytes: usize) -> Result<Vec<Bytes>, Failure> {
    let mut pages = Vec::new();
    let (mut from, mut bytes) = (0, 0);
    for (place, item) in items.iter().enumerate() {
        bytes += encode(item)?.len();
        if bytes >= page_bytes {
            pages.push(encode(&&items[from..=place])?);
            (from, bytes) = (place + 1, 0);
        }
    }
    if from < items.len() {
        pages.push(encode(&&items[from..])?);
    }
    Ok(pages)
}

pub(super) fn encode<T: serde::Serialize>(value: &T) -> Result<Bytes, Failure> {
    postcard::to_stdvec(value).map(Bytes::from).map_err(|error| Failure::new(ErrorCode::Internal, error.to_string()))
}

pub(super) fn decode<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T, Failure> {
    postcard::from_bytes(bytes).map_err(|error| Failure::new(ErrorCode::Malformed, error.to_string()))
}
