//! An S3 request's way: parse, authenticate, authorize, find the operation, run it, finish the response.

use super::authorize::authorize;
use super::body::ResponseBody;
use super::bucket_settings::BucketSettings;
use super::events::{make_room_for_events, queue_events};
use super::front::Link;
use super::hoisted::add_hoisted;
use super::operation::{Operation, Route, Scope, allowed_methods, route, subresource};
use super::post_form::open_form;
use super::read_ahead::read_ahead;
use super::refusal::Refusal;
use super::request::{RequestBody, S3Request, S3Response, Sender};
use super::request_facts::RequestFacts;
use super::request_id::RequestId;
use super::request_log::Log;
use super::state::GatewayState;
use super::website::answer_page;
use crate::access_log::resource_type;
use crate::auth::{AuthMethod, AuthenticatedRequest};
use crate::encryption::refuse_customer_key;
use crate::error::{HOST_ID_HEADER, REQUEST_ID_HEADER, S3Error, S3ErrorCode};
use crate::ops::{self, CrossOrigin};
use crate::request::{ObjectKey, Query, RequestTarget, Resource, request_host};
use crate::sts;
use granary_protocol::{BucketName, ErrorCode};
use http::header::{ALLOW, CONNECTION, CONTENT_LENGTH, EXPECT, ORIGIN, SERVER};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request};
use http_body::Body as _;
use hyper::body::Incoming;
use std::sync::Arc;
use std::time::Instant;

/// Answers a request, whatever it is.
pub(super) async fn answer(state: &Arc<GatewayState>, request: Request<Incoming>, link: Link) -> S3Response {
    let started = Instant::now();
    let _in_flight = state.metrics.request_begins();
    let request_id = state.request_ids.next();
    let (parts, incoming) = request.into_parts();
    let (method, uri) = (parts.method.clone(), parts.uri.clone());
    let body = RequestBody::new(incoming, state);
    let body_end = body.end_mark();
    // Reading on would tell a client that waits for permission to send.
    let may_drain = !parts.headers.contains_key(EXPECT);
    let mut log = Log::new(request_id, link.peer);
    let cross_origin = if method == Method::OPTIONS { None } else { CrossOrigin::of(&method, &parts.headers) };
    let outcome = match website_bucket(state, &parts) {
        Some(bucket) => Ok(Box::pin(answer_page(state, &parts, bucket, &mut log)).await),
        None => admit(state, parts, body, link, &mut log).await,
    };
    let mut response = outcome.unwrap_or_else(|refusal| {
        let error = refusal.into_error(request_id.as_str()).or_resource(|| uri.path().to_owned());
        log.error = Some(error.code());
        let host_id = state.request_ids.host_id().to_str().unwrap_or_default();
        error.to_response(request_id.as_str(), host_id, &method).map(ResponseBody::Known)
    });
    if let (Some(cross_origin), Some(bucket)) = (&cross_origin, &log.bucket) {
        Box::pin(ops::add_cors(state, cross_origin, bucket, &mut response)).await;
    }
    let closes = body_end.is_unread() && !(may_drain && body_end.drain().await);
    finish(state, &mut response, request_id, closes);
    let (status, took) = (response.status().as_u16(), started.elapsed());
    state.metrics.answered(log.operation, status, took);
    if let ResponseBody::Known(bytes) = response.body() {
        state.metrics.sent(bytes.len());
    }
    tracing::debug!(
        request_id = request_id.as_str(),
        operation = log.operation.map_or("Other", Operation::name),
        bucket = log.bucket.as_ref().map(BucketName::as_str).unwrap_or_default(),
        status,
        bytes = response.body().size_hint().exact().unwrap_or_default(),
        ms = took.as_millis() as u64,
        "request"
    );
    log.note(state, &method, &uri, &response, took);
    response
}

async fn admit(
    state: &Arc<GatewayState>,
    mut parts: Parts,
    body: RequestBody,
    link: Link,
    log: &mut Log,
) -> Result<S3Response, Refusal> {
    check_header_bytes(&parts.headers, state.config.header_bytes_max)?;
    let target = RequestTarget::parse(request_host(&parts)?, parts.uri.path(), &state.domains)?;
    if parts.method == Method::POST && matches!(target.resource, Resource::Service) {
        return Ok(Box::pin(sts::answer(state, parts, body, link.peer, log.facts.request_id)).await);
    }
    let bucket = target.resource.bucket().map(|bucket| BucketName(bucket.as_str().to_owned()));
    if parts.method == Method::OPTIONS {
        let is_object = matches!(target.resource, Resource::Object(..));
        return Box::pin(ops::preflight(state, bucket, is_object, &parts.headers)).await;
    }
    if parts.headers.contains_key(ORIGIN) || tracing::enabled!(tracing::Level::DEBUG) {
        log.bucket.clone_from(&bucket);
    }
    let authenticated = state.authenticator.authenticate(&parts, Some(&target), state.now_s()).await?;
    log.identify(&authenticated);
    let query = Query::parse(parts.uri.query())?;
    if authenticated.method() == AuthMethod::QueryString {
        add_hoisted(&mut parts.headers, &query)?;
    }
    let scope = match &target.resource {
        Resource::Service => Scope::Service,
        Resource::Bucket(_) => Scope::Bucket,
        Resource::Object(..) => Scope::Object,
    };
    let operation = match route(scope, &parts.method, &query, parts.headers.contains_key("x-amz-copy-source"))? {
        Route::Serve(operation) => operation,
        Route::NotImplemented(name) => return Err(not_implemented(name).into()),
        Route::Refused(_, code) => return Err(code.into()),
        Route::MethodNotAllowed => return Err(method_not_allowed(scope, &parts.method, &query).into()),
    };
    log.operation = Some(operation);
    let resource = resource_type(scope == Scope::Object, subresource(scope, &query), parts.method.as_str());
    let mut request = match (&target.resource, operation) {
        (Resource::Bucket(name), Operation::PostObject) => {
            let opened = open_form(state, &parts, &target, name.clone(), &authenticated, body);
            let (form, authenticated) = Box::pin(opened).await?;
            log.identify(&authenticated);
            let settings = settings_of(state, operation, bucket).await?;
            log.settle(settings, Some(form.key.as_str()), "OBJECT", &parts.headers);
            Box::new(S3Request::of_form(form, log.settings.clone(), Sender::new(authenticated, state, link.peer)))
        }
        (_, _) => {
            let settings = settings_of(state, operation, bucket).await?;
            log.settle(settings, target.resource.key().map(ObjectKey::as_str), resource, &parts.headers);
            let sender = Sender::new(authenticated, state, link.peer);
            Box::new(S3Request::new(target.resource, query, parts.headers, log.settings.clone(), sender, body))
        }
    };
    read_ahead(state, operation, &mut request).await?;
    authorize(state, operation, &request).await?;
    if !link.is_private && !state.config.encryption.customer_keys_in_clear {
        refuse_customer_key(&request.headers)?;
    }
    make_room_for_events(state, operation, log.settings.as_deref()).await?;
    let mut response = run_allowed(state, operation, request).await?;
    queue_events(state, log.settings.as_deref(), &log.facts, &mut response).await;
    Ok(response)
}

/// Runs an operation that was allowed. Who may not list the bucket is not told which keys it has.
async fn run_allowed(
    state: &Arc<GatewayState>,
    operation: Operation,
    request: Box<S3Request>,
) -> Result<S3Response, Refusal> {
    // Decided before the operation: it takes the request away.
    let may_know = request.settings_if_any().is_none_or(|settings| request.may_list(settings, request.key.as_str()));
    ops::run(operation, state, request).await.map_err(|refusal| match may_know {
        true => refusal,
        false => refusal.without_existence(),
    })
}

/// A request on an object that this server makes itself: allowed or refused like any other, and told of like any other.
pub(super) async fn serve_internally(
    state: &Arc<GatewayState>,
    operation: Operation,
    facts: &RequestFacts,
    request: InternalRequest,
) -> Result<S3Response, Refusal> {
    let InternalRequest { bucket, key, headers, settings, authenticated, body } = request;
    let sender = Sender::new(authenticated, state, facts.peer);
    let resource = Resource::Object(bucket, key);
    let request = Box::new(S3Request::new(resource, Query::default(), headers, Some(settings.clone()), sender, body));
    authorize(state, operation, &request).await?;
    make_room_for_events(state, operation, Some(&settings)).await?;
    let mut response = run_allowed(state, operation, request).await?;
    queue_events(state, Some(&settings), facts, &mut response).await;
    Ok(response)
}

/// What [`serve_internally`] is asked.
pub(super) struct InternalRequest {
    pub bucket: crate::request::BucketName,
    pub key: ObjectKey,
    pub headers: HeaderMap,
    pub settings: Arc<BucketSettings>,
    pub authenticated: AuthenticatedRequest,
    pub body: RequestBody,
}

/// The bucket whose site a request is for.
fn website_bucket(state: &GatewayState, parts: &Parts) -> Option<String> {
    state.website_domains.bucket_label(request_host(parts).ok()?)
}

/// The settings of the request's bucket, which must exist unless it is to be created.
async fn settings_of(
    state: &GatewayState,
    operation: Operation,
    bucket: Option<BucketName>,
) -> Result<Option<Arc<BucketSettings>>, Refusal> {
    match bucket {
        Some(bucket) if operation != Operation::CreateBucket => match state.settings.get(&bucket).await {
            Err(failure) if failure.code == ErrorCode::NoSuchBucket => {
                Err(S3Error::new(S3ErrorCode::NoSuchBucket).field("BucketName", bucket.as_str()).into())
            }
            found => Ok(Some(found?)),
        },
        Some(_) | None => Ok(None),
    }
}

fn finish(state: &GatewayState, response: &mut S3Response, request_id: RequestId, closes: bool) {
    let headers = response.headers_mut();
    headers.insert(REQUEST_ID_HEADER, request_id.header_value());
    headers.insert(HOST_ID_HEADER, state.request_ids.host_id().clone());
    headers.insert(SERVER, HeaderValue::from_static("Granary"));
    if closes {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    if let Some(length) = response.body().size_hint().exact()
        && !response.headers().contains_key(CONTENT_LENGTH)
        && !matches!(response.status().as_u16(), 204 | 304)
    {
        response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
}

fn check_header_bytes(headers: &HeaderMap, bytes_max: usize) -> Result<(), S3Error> {
    let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    if bytes <= bytes_max {
        return Ok(());
    }
    Err(S3Error::new(S3ErrorCode::RequestHeaderSectionTooLarge).field("MaxSizeAllowed", bytes_max.to_string()))
}

fn not_implemented(name: &'static str) -> S3Error {
    S3Error::with_message(S3ErrorCode::NotImplemented, format!("{name} is not implemented"))
}

fn method_not_allowed(scope: Scope, method: &Method, query: &Query) -> S3Error {
    let error = S3Error::new(S3ErrorCode::MethodNotAllowed).field("Method", method.as_str()).field(
        "ResourceType",
        match scope {
            Scope::Service => "SERVICE",
            Scope::Bucket => "BUCKET",
            Scope::Object => "OBJECT",
        },
    );
    match HeaderValue::from_str(&allowed_methods(scope, query)) {
        Ok(allowed) => error.header(ALLOW, allowed),
        Err(_) => error,
    }
}
