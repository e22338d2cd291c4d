//! `POST /v1/jobs`: a job's specification becomes a job.

use super::access;
use super::inputs::{Archived, Found, InputFinder, refuse_customers_key};
use super::place::Place;
use super::request::JobRequest;
use super::{answer, call, json, restore};
use crate::admin::Refused;
use crate::encryption::Asked;
use crate::error::{S3Error, S3ErrorCode};
use crate::server::GatewayState;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use granary_access::{Action, authorizer};
use granary_protocol::encryption::EncryptionMode;
use granary_protocol::jobs::{JobQuestion, JobsCall, JobsReply, OutputPlace, Submission, Submitter};
use granary_protocol::namenode::ListAfter;
use granary_protocol::object::StorageClass;
use granary_protocol::{CanonicalId, ObjectKey};
use http::StatusCode;
use serde_json::Value;
use std::sync::Arc;

/// The same submission under the same key is the same job.
const IDEMPOTENCY_HEADER: &str = "idempotency-key";
const TOKEN_BYTES_MAX: usize = 256;
/// The field of a specification that says how the output is encrypted: what the submitter put there does not count.
const ENCRYPTION_FIELD: &str = "output_encryption";
/// The permission to run programs of one's own.
const EXEC_NATIVE: &str = "job:ExecNative";

/// Answers 201 with the job's status.
pub(super) async fn submit(State(state): State<Arc<GatewayState>>, request: JobRequest) -> Result<Response, Refused> {
    let malformed = |error: serde_json::Error| S3Error::invalid_request(format!("The job is not as expected: {error}"));
    let mut spec: Value = serde_json::from_slice(&request.body).map_err(malformed)?;
    let archived = match spec["archived"].as_str() {
        None | Some("fail") => Archived::Fail,
        Some("skip") => Archived::Skip,
        Some("restore") => Archived::Restore,
        Some(_) => return Err(S3Error::invalid_request("archived is fail, skip or restore.").into()),
    };
    let mut finder = InputFinder::new(&state, &request, archived);
    for url in texts(&spec["inputs"]) {
        finder.add(url).await?;
    }
    let Found { inputs, to_restore } = finder.finish()?;
    check_files(&state, &request, &spec["files"]).await?;
    let (output, encryption) = match spec["output"].as_str() {
        Some(url) => open_output(&state, &request, url).await.map(|(place, encryption)| (Some(place), encryption))?,
        None => (None, None),
    };
    let text = match (encryption, spec.get(ENCRYPTION_FIELD)) {
        (None, None) => request.body.clone(),
        (encryption, _) => {
            spec[ENCRYPTION_FIELD] = serde_json::to_value(encryption).map_err(malformed)?;
            serde_json::to_vec(&spec).map_err(malformed)?.into()
        }
    };
    let may_exec_native = authorizer::decide_operation(&request.caller, EXEC_NATIVE, &request.context).is_allowed();
    let submission = Submission {
        submitter: Submitter { account: request.caller.canonical_id.clone(), user: request.caller.user.clone() },
        may_exec_native,
        operator: CanonicalId(state.config.account.canonical_id.clone()),
        spec: text,
        inputs,
        output,
        token: token(&request)?,
    };
    // Before the job is there: it waits for what was asked for, whoever dies now.
    restore::begin(&state, to_restore).await?;
    let JobsReply::Submitted { job } = call(&state, JobsCall::Submit(Box::new(submission))).await? else {
        return Err(S3ErrorCode::InternalError.into());
    };
    let status = answer(&state, &request, JobQuestion::Status { job }).await?;
    Ok((StatusCode::CREATED, json(status)).into_response())
}

fn texts(values: &Value) -> impl Iterator<Item = &str> {
    values.as_array().into_iter().flatten().filter_map(Value::as_str)
}

/// The key of the request, or one of our own: what is sent to the job service may be sent again.
fn token(request: &JobRequest) -> Result<Option<String>, S3Error> {
    let Some(token) = request.headers.get(IDEMPOTENCY_HEADER) else {
        let mut random = [0; 16];
        getrandom::fill(&mut random).map_err(|_| S3ErrorCode::InternalError)?;
        return Ok(Some(hex::encode(random)));
    };
    let token = token.to_str().ok().filter(|token| !token.is_empty() && token.len() <= TOKEN_BYTES_MAX);
    token
        .map(|token| Some(token.to_owned()))
        .ok_or_else(|| S3Error::invalid_request("The idempotency key is not valid."))
}

/// Files that are put into the tasks' directories are read as the submitter, too.
async fn check_files(state: &GatewayState, request: &JobRequest, files: &Value) -> Result<(), Refused> {
    let stored = files.as_array().into_iter().flatten().filter_map(|file| file["source"]["stored"].as_str());
    for url in stored {
        let place = Place::parse(url)?;
        let settings = state.settings.fetch(&place.bucket).await?;
        let key = ObjectKey(place.path);
        if !access::may(state, request, &settings, &key, Action::GetObject).await? {
            let message = format!("You may not read {url}.");
            return Err(S3Error::with_message(S3ErrorCode::AccessDenied, message).into());
        }
        let Some(object) = access::find(state, &settings, &key).await? else {
            return Err(S3Error::with_message(S3ErrorCode::NoSuchKey, format!("There is no {url}.")).into());
        };
        refuse_customers_key(&settings, &key, &object)?;
    }
    Ok(())
}

/// Where the output goes, and how it is encrypted there: the submitter may write there, and nothing is there yet.
async fn open_output(
    state: &GatewayState,
    request: &JobRequest,
    url: &str,
) -> Result<(OutputPlace, Option<EncryptionMode>), Refused> {
    let place = Place::parse(url)?;
    if place.path.is_empty() {
        return Err(S3Error::invalid_request("The output is a directory in a bucket, not a bucket.").into());
    }
    let prefix = place.prefix();
    let settings = state.settings.fetch(&place.bucket).await?;
    for name in ["part-00000", "_SUCCESS"] {
        let key = ObjectKey(format!("{prefix}{name}"));
        if !access::may(state, request, &settings, &key, Action::PutObject).await? {
            let message = format!("You may not write s3://{}/{key}.", place.bucket);
            return Err(S3Error::with_message(S3ErrorCode::AccessDenied, message).into());
        }
    }
    let plan = state.encryption.plan(Asked::Nothing { bucket_key: None }, settings.encryption()?)?;
    // A key that is not there or disabled is said now, and not by every task.
    state.encryption.begin(&plan).await?;
    let bucket = place.bucket.clone();
    let there = state.client.list_objects(bucket, prefix.clone(), String::new(), ListAfter::Start, 1).await?;
    let file = access::find(state, &settings, &ObjectKey(prefix.trim_end_matches('/').to_owned())).await?;
    if !there.entries.is_empty() || file.is_some() {
        let message = format!("The output {url} exists already.");
        return Err(S3Error::with_message(S3ErrorCode::OperationAborted, message).into());
    }
    Ok((OutputPlace { bucket: place.bucket, prefix, class: StorageClass::Standard }, plan.mode()))
}
