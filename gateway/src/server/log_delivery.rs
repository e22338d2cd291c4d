//! Access logs on their way into buckets: what is noted about a request, and the worker that delivers.
//!
//! A log object is written by a PutObject like any other, made by the logging service: the target's policy or list must
//! allow it, and the target's encryption and events apply. What this writes is logged where its bucket is logged, but
//! never in a log that it delivers itself.

use super::bucket_settings::BucketSettings;
use super::dispatch::{InternalRequest, serve_internally};
use super::operation::Operation;
use super::refusal::Refusal;
use super::request::{RequestBody, S3Response};
use super::request_facts::RequestFacts;
use super::state::GatewayState;
use crate::access_log::{AccessRecord, LogDestination, LogKeyFormat, ReadyLog, log_key};
use crate::auth::Identity;
use crate::documents::{KeyFormat, LoggingGrantee};
use crate::error::S3Error;
use crate::request::{self, ObjectKey};
use bytes::Bytes;
use granary_protocol::BucketName;
use http::HeaderMap;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use http_body::Body as _;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Who delivers.
pub(super) const LOGGING_SERVICE: &str = "logging.s3.amazonaws.com";
/// How long the last delivery may take when the gateway stops.
const LAST_DELIVERY: Duration = Duration::from_secs(10);

/// Where the lines of a bucket go; `None` if it is not logged.
pub(super) fn destination(settings: &BucketSettings) -> Option<LogDestination> {
    // A document that cannot be read was reported by its reader.
    let target = settings.logging().ok()??.target.as_ref()?;
    let format = match target.key_format {
        KeyFormat::Unnamed | KeyFormat::Simple => LogKeyFormat::Simple,
        KeyFormat::Partitioned { by_event_time: true } => LogKeyFormat::ByEventTime,
        KeyFormat::Partitioned { by_event_time: false } => LogKeyFormat::ByDeliveryTime,
    };
    Some(LogDestination {
        source: settings.info.name.as_str().to_owned(),
        target: target.bucket.clone(),
        prefix: target.prefix.clone(),
        format,
    })
}

/// Adds a request's line to those that wait.
pub(super) fn note(state: &GatewayState, destination: LogDestination, record: &AccessRecord<'_>) {
    if state.access_log.add(destination, record.at, &record.to_line()) {
        state.access_log_full.notify_one();
    }
}

/// Delivers every interval, and once more at the end, after the last request.
pub(super) async fn run(state: Arc<GatewayState>, stopped: CancellationToken) {
    let interval = Duration::from_secs(state.config.access_log_interval_s);
    loop {
        let ends = tokio::select! {
            () = stopped.cancelled() => true,
            () = state.access_log_full.notified() => false,
            () = tokio::time::sleep(interval) => false,
        };
        if !ends {
            deliver_all(&state).await;
            continue;
        }
        if tokio::time::timeout(LAST_DELIVERY, deliver_all(&state)).await.is_err() {
            tracing::warn!("access logs could not be delivered before the end");
        }
        return;
    }
}

async fn deliver_all(state: &Arc<GatewayState>) {
    let (ready, dropped) = state.access_log.take();
    if dropped > 0 {
        tracing::warn!(lines = dropped, "access log lines were dropped: more came than could be delivered");
    }
    for log in ready {
        let (source, target) = (log.destination.source.clone(), log.destination.target.clone());
        if let Err(error) = deliver(state, log).await {
            tracing::warn!(source, target, %error, "an access log was not delivered");
        }
    }
}

async fn deliver(state: &Arc<GatewayState>, log: ReadyLog) -> Result<(), S3Error> {
    let LogDestination { source, target, prefix, format } = log.destination;
    let refused = |failure| Refusal::from(failure).into_error("-");
    let settings = state.settings.get(&BucketName(target.clone())).await.map_err(refused)?;
    let at = if format == LogKeyFormat::ByEventTime { log.since } else { state.now() };
    let account = state.config.account.account_id.as_str();
    let request_id = state.request_ids.next();
    let key = log_key(format, &prefix, (account, &state.config.region, &source), at, request_id.number());
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(log.lines.len()));
    if settings.ownership().acls_count() {
        let of_source = state.settings.get(&BucketName(source.clone())).await.map_err(refused)?;
        if let Some(target) = of_source.logging()?.and_then(|logging| logging.target.as_ref()) {
            add_grants(&mut headers, &target.grants, settings.info.owner.as_str());
        }
    }
    let request = InternalRequest {
        bucket: request::BucketName::parse(target)?,
        key: ObjectKey::parse(key)?,
        headers,
        settings,
        authenticated: state.authenticator.service(LOGGING_SERVICE),
        body: RequestBody::of_bytes(Bytes::from(log.lines), state),
    };
    let facts = RequestFacts { request_id, peer: None, identity: Identity::Service(LOGGING_SERVICE) };
    let put = serve_internally(state, Operation::PutObject, &facts, request);
    Box::pin(put).await.map(drop).map_err(|refusal| refusal.into_error(request_id.as_str()))
}

/// The rights on log objects that the configuration gives, as a request for them: the owner keeps its own.
fn add_grants(headers: &mut HeaderMap, grants: &[(LoggingGrantee, String)], owner: &str) {
    let quoted = |grantee: &LoggingGrantee| match grantee {
        LoggingGrantee::User(id) => Some(format!("id=\"{id}\"")),
        LoggingGrantee::Group(uri) => Some(format!("uri=\"{uri}\"")),
        LoggingGrantee::Email(_) => None,
    };
    let of = |permission: &str| {
        grants.iter().filter(|(_, given)| given == permission).filter_map(|(grantee, _)| quoted(grantee)).collect()
    };
    // Writing means nothing on an object.
    let (readers, mut owners): (Vec<String>, Vec<String>) = (of("READ"), of("FULL_CONTROL"));
    if readers.is_empty() && owners.is_empty() {
        return;
    }
    owners.push(format!("id=\"{owner}\""));
    for (name, grantees) in [("x-amz-grant-read", readers), ("x-amz-grant-full-control", owners)] {
        if let (false, Ok(value)) = (grantees.is_empty(), HeaderValue::from_str(&grantees.join(", "))) {
            headers.insert(name, value);
        }
    }
}

/// The size of the object that was read, as far as a successful answer says it.
pub(super) fn object_size(response: &S3Response) -> Option<u64> {
    let header = |name| response.headers().get(name)?.to_str().ok();
    match header("content-range") {
        Some(range) => range.rsplit_once('/')?.1.parse().ok(),
        None => header("content-length").map_or(response.body().size_hint().exact(), |length| length.parse().ok()),
    }
}
