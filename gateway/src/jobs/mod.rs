//! `/v1/jobs`: batch jobs, submitted and asked about in JSON, signed exactly like an S3 request.
//!
//! This door finds a job's inputs and judges, as the submitter, whether each may be read and its output written; what then
//! becomes of the job is the job service's, behind the namenode. `v1` is too short for a bucket, so none of these paths is
//! ever an S3 request.

mod access;
mod glob;
mod inputs;
mod place;
mod request;
mod restore;
mod submit;

use crate::admin::Refused;
use crate::error::{S3Error, S3ErrorCode};
use crate::server::GatewayState;
use axum::Router;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use granary_protocol::Failure;
use granary_protocol::jobs::{JobAsker, JobId, JobQuestion, JobsCall, JobsReply};
use granary_protocol::namenode::{NamenodeReply, NamenodeRequest};
use http::header::CONTENT_TYPE;
use request::JobRequest;
use std::sync::Arc;

/// Jobs listed unless a number is given.
const LISTED: u32 = 100;

/// All routes.
pub(crate) fn routes() -> Router<Arc<GatewayState>> {
    Router::new()
        .route("/v1/jobs", get(list).post(submit::submit))
        .route("/v1/jobs/{job}", get(status).delete(kill))
        .route("/v1/jobs/{job}/{what}", get(part))
}

/// Whether the path is one of these routes'.
pub(crate) fn is_job_path(path: &str) -> bool {
    path == "/v1/jobs" || path.starts_with("/v1/jobs/")
}

/// `GET /v1/jobs?limit=`: latest first.
async fn list(State(state): State<Arc<GatewayState>>, request: JobRequest) -> Result<Response, Refused> {
    let limit = request.query.get_non_empty("limit").map_or(Ok(LISTED), str::parse);
    let limit = limit.map_err(|_| S3Error::invalid_request("limit is not a number"))?;
    ask(&state, &request, JobQuestion::List { limit }).await
}

/// `GET /v1/jobs/{job}`
async fn status(
    State(state): State<Arc<GatewayState>>,
    Path(job): Path<String>,
    request: JobRequest,
) -> Result<Response, Refused> {
    ask(&state, &request, JobQuestion::Status { job: parse(&job)? }).await
}

/// `GET /v1/jobs/{job}/tasks|logs|counters|history`
async fn part(
    State(state): State<Arc<GatewayState>>,
    Path((job, what)): Path<(String, String)>,
    request: JobRequest,
) -> Result<Response, Refused> {
    let job = parse(&job)?;
    match what.as_str() {
        "tasks" => ask(&state, &request, JobQuestion::Tasks { job }).await,
        "logs" => ask(&state, &request, JobQuestion::Logs { job }).await,
        "counters" => {
            let document = answer(&state, &request, JobQuestion::Status { job }).await?;
            let status: serde_json::Value = serde_json::from_slice(&document).unwrap_or_default();
            Ok(json(Bytes::from(status["counters"].to_string())))
        }
        "history" => {
            let lines = answer(&state, &request, JobQuestion::History { job }).await?;
            Ok(([(CONTENT_TYPE, "application/jsonl")], lines).into_response())
        }
        _ => Err(S3ErrorCode::NoSuchEntity.into()),
    }
}

/// `DELETE /v1/jobs/{job}`: ends it. One that has ended stays as it is.
async fn kill(
    State(state): State<Arc<GatewayState>>,
    Path(job): Path<String>,
    request: JobRequest,
) -> Result<Response, Refused> {
    let job = parse(&job)?;
    call(&state, JobsCall::Kill { asker: asker(&request), job }).await?;
    ask(&state, &request, JobQuestion::Status { job }).await
}

fn parse(job: &str) -> Result<JobId, S3Error> {
    JobId::parse(job).ok_or_else(|| S3Error::with_message(S3ErrorCode::NoSuchEntity, format!("There is no {job}.")))
}

fn asker(request: &JobRequest) -> JobAsker {
    JobAsker { account: request.caller.canonical_id.clone(), is_operator: request.caller.is_root }
}

async fn ask(state: &GatewayState, request: &JobRequest, question: JobQuestion) -> Result<Response, Refused> {
    Ok(json(answer(state, request, question).await?))
}

async fn answer(state: &GatewayState, request: &JobRequest, question: JobQuestion) -> Result<Bytes, Refused> {
    match call(state, JobsCall::Ask { asker: asker(request), question }).await? {
        JobsReply::Document(document) => Ok(document),
        _ => Err(S3ErrorCode::InternalError.into()),
    }
}

/// Calls the job service.
async fn call(state: &GatewayState, call: JobsCall) -> Result<JobsReply, Failure> {
    match state.client.call(NamenodeRequest::Jobs(Box::new(call))).await? {
        NamenodeReply::Jobs(reply) => Ok(*reply),
        _ => Err(Failure::from(granary_protocol::ErrorCode::Internal)),
    }
}

fn json(document: Bytes) -> Response {
    ([(CONTENT_TYPE, "application/json")], document).into_response()
}
