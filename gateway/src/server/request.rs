//! A request as operations see it, and its body.

use super::access_context::{Arrival, context_of};
use super::body::ResponseBody;
use super::bucket_settings::BucketSettings;
use super::metrics::Metrics;
use super::request_facts::Peer;
use super::state::GatewayState;
use crate::auth::{AuthMethod, AuthenticatedRequest, Identity, PayloadMode};
use crate::body::{BodyReader, BodySpec, VerifierPool};
use crate::error::{S3Error, S3ErrorCode};
use crate::form::FormFile;
use crate::ops::FormReply;
use crate::request::{self, Query, Resource};
use bytes::Bytes;
use granary_access::{Caller, RequestContext, authorizer};
use granary_protocol::bucket::Versioning;
use granary_protocol::{BucketName, CanonicalId, ObjectKey};
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use std::error::Error;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::Sleep;

/// How much of a refused request's body is read, and for how long, to keep its connection.
const DRAIN_BYTES_MAX: usize = 64 << 10;
const DRAIN_WITHIN: Duration = Duration::from_millis(500);

/// What operations answer.
pub(crate) type S3Response = http::Response<ResponseBody>;

/// Who sent a request and how it came, proven.
pub(crate) struct Sender {
    caller: Option<Arc<Caller>>,
    service: Option<&'static str>,
    arrival: Arrival,
    region: Arc<str>,
    payload: PayloadMode,
}

impl Sender {
    /// Takes apart what was authenticated.
    pub fn new(authenticated: AuthenticatedRequest, state: &GatewayState, peer: Option<Peer>) -> Self {
        let arrival = Arrival {
            remote_ip: peer.map(|peer| peer.address.ip()),
            secure: state.config.tls.is_some(),
            tls_version: peer.and_then(|peer| peer.tls_version),
            method: authenticated.method(),
            signed_at_s: authenticated.signed_at_s(),
            now: state.now(),
        };
        let (identity, payload) = authenticated.into_parts();
        let caller = identity.principal().map(|principal| principal.caller.clone());
        let service = match identity {
            Identity::Service(name) => Some(name),
            Identity::Anonymous | Identity::Principal(_) => None,
        };
        Self { caller, service, arrival, region: state.region.clone(), payload }
    }

    /// Who sent it, if anybody is known to have.
    pub fn caller(&self) -> Option<&Arc<Caller>> {
        self.caller.as_ref()
    }

    /// What policies may ask about it.
    pub fn context(&self, headers: &HeaderMap) -> RequestContext {
        context_of(&self.arrival, self.caller.as_deref(), headers, &Query::default(), &self.region)
    }

    /// Who sent it, if anybody is known to have, and how its body is framed.
    pub fn into_caller(self) -> (Option<Arc<Caller>>, PayloadMode) {
        (self.caller, self.payload)
    }

    /// Whether it may do something that is none of S3's; how its body is framed.
    ///
    /// # Errors
    /// `AccessDenied`.
    pub fn authorize_operation(self, action: &str, headers: &HeaderMap) -> Result<PayloadMode, S3Error> {
        let context = self.context(headers);
        match &self.caller {
            Some(caller) if authorizer::decide_operation(caller, action, &context).is_allowed() => Ok(self.payload),
            Some(_) | None => Err(S3Error::new(S3ErrorCode::AccessDenied)),
        }
    }
}

/// A request that was authenticated and allowed. Only dispatch makes one.
pub(crate) struct S3Request {
    /// The bucket; empty for operations on the service.
    pub bucket: BucketName,
    /// The key; empty for operations on the service or a bucket.
    pub key: ObjectKey,
    /// The decoded query.
    pub query: Query,
    /// The headers. Those of an upload form are made from its fields.
    pub headers: HeaderMap,
    /// How an upload form is answered; `None` for any other request.
    pub form: Option<FormReply>,
    settings: Option<Arc<BucketSettings>>,
    pub(super) caller: Option<Arc<Caller>>,
    pub(super) service: Option<&'static str>,
    pub(super) arrival: Arrival,
    pub(super) region: Arc<str>,
    payload: PayloadMode,
    body: RequestBody,
    /// The body, if it was read before the request was judged.
    read_ahead: Option<Bytes>,
    /// What else policies may ask, learnt before the request was judged.
    pub(super) said_ahead: RequestContext,
    /// The accounts of buckets' owners, as far as policies may ask for them.
    pub(super) accounts: Vec<(CanonicalId, Arc<str>)>,
}

impl S3Request {
    pub(super) fn new(
        resource: Resource,
        query: Query,
        headers: HeaderMap,
        settings: Option<Arc<BucketSettings>>,
        sender: Sender,
        body: RequestBody,
    ) -> Self {
        let (bucket, key) = match resource {
            Resource::Service => (String::new(), String::new()),
            Resource::Bucket(bucket) => (bucket.into_string(), String::new()),
            Resource::Object(bucket, key) => (bucket.into_string(), key.into_string()),
        };
        let Sender { caller, service, arrival, region, payload } = sender;
        let (bucket, key) = (BucketName(bucket), ObjectKey(key));
        let (read_ahead, said_ahead, accounts) = (None, RequestContext::new(), Vec::new());
        Self {
            bucket,
            key,
            query,
            headers,
            form: None,
            settings,
            caller,
            service,
            arrival,
            region,
            payload,
            body,
            read_ahead,
            said_ahead,
            accounts,
        }
    }

    /// An upload form is a request on the object it writes.
    pub(super) fn of_form(form: FormRequest, settings: Option<Arc<BucketSettings>>, sender: Sender) -> Self {
        let resource = Resource::Object(form.bucket, form.key);
        let query = Query::default();
        let request = Self::new(resource, query, form.headers, settings, sender, form.body);
        Self { form: Some(form.reply), ..request }
    }

    /// The settings of its bucket. Operations on the service and CreateBucket have none to ask for.
    pub fn settings(&self) -> &Arc<BucketSettings> {
        self.settings.as_ref().expect("dispatch fetches the settings of every bucket that must exist")
    }

    /// Whether its bucket keeps versions.
    pub fn versioning(&self) -> Versioning {
        self.settings().info.versioning
    }

    /// The same, where there may be none.
    pub(super) fn settings_if_any(&self) -> Option<&Arc<BucketSettings>> {
        self.settings.as_ref()
    }

    /// Whether somebody signed it.
    pub fn is_signed(&self) -> bool {
        self.arrival.method != AuthMethod::Anonymous
    }

    /// A header's value; one that is not visible ASCII is `InvalidRequest`.
    pub fn header(&self, name: &'static str) -> Result<Option<&str>, S3Error> {
        match self.headers.get(name).map(|value| value.to_str()) {
            None => Ok(None),
            Some(Ok(text)) => Ok(Some(text.trim())),
            Some(Err(_)) => Err(S3Error::invalid_request(format!("Value for {name} header is invalid."))),
        }
    }

    /// What the headers promise about the body.
    pub fn body_spec(&self) -> Result<BodySpec, S3Error> {
        BodySpec::from_headers(self.payload.clone(), &self.headers)
    }

    /// The same for operations where `x-amz-checksum-*` describes the object and not the body.
    pub fn document_spec(&self) -> Result<BodySpec, S3Error> {
        let mut headers = self.headers.clone();
        for algorithm in crate::checksum::ChecksumAlgorithm::ALL {
            headers.remove(algorithm.header_name());
        }
        headers.remove("x-amz-sdk-checksum-algorithm");
        BodySpec::from_headers(self.payload.clone(), &headers)
    }

    /// The body, to be read as `spec` says. The body can be read once: afterwards it is empty.
    pub fn read_body(&mut self, spec: BodySpec) -> BodyReader<RequestBody> {
        let verifiers = self.body.verifiers.clone();
        BodyReader::new(self.body.take(), spec, verifiers)
    }

    /// A whole document in memory, of at most `bytes_max`, verified.
    pub async fn document(&mut self, spec: BodySpec, bytes_max: u64) -> Result<Bytes, S3Error> {
        if let Some(document) = self.read_ahead.take() {
            return Ok(document);
        }
        let spec = spec.limit(bytes_max).map_err(|_| document_too_large())?;
        match self.read_body(spec).collect().await {
            Ok((document, _digests)) => Ok(document),
            Err(error) if error.code() == crate::error::S3ErrorCode::EntityTooLarge => Err(document_too_large()),
            Err(error) => Err(error),
        }
    }
}

impl S3Request {
    /// Keeps a body that was read before the request is judged.
    pub(super) fn keep_document(&mut self, document: Bytes) {
        self.read_ahead = Some(document);
    }
}

/// An upload form whose fields were verified and whose file is next.
pub(super) struct FormRequest {
    pub bucket: request::BucketName,
    pub key: request::ObjectKey,
    pub headers: HeaderMap,
    pub body: RequestBody,
    pub reply: FormReply,
}

fn document_too_large() -> S3Error {
    S3Error::new(crate::error::S3ErrorCode::MaxMessageLengthExceeded)
}

/// Why a body ended early: the connection, a stalled client, or an [`S3Error`] of the form around it.
type BodyFailure = Box<dyn Error + Send + Sync>;

/// A request's bytes: counted, and given up when the client stalls.
pub(crate) struct RequestBody {
    incoming: Option<Incoming>,
    /// Set instead when the bytes are here already.
    made: Option<Bytes>,
    /// Set when the bytes are those of a form's file.
    file: Option<Box<FormFile>>,
    verifiers: VerifierPool,
    metrics: Arc<Metrics>,
    stall_timeout: Duration,
    stall: Option<Pin<Box<Sleep>>>,
    end: BodyEnd,
}

/// What becomes of a body that its operation did not read to the end: it is left here when the request is dropped.
#[derive(Clone, Default)]
pub(super) struct BodyEnd(Option<Arc<Leftover>>);

#[derive(Default)]
struct Leftover {
    ended: AtomicBool,
    unread: Mutex<Option<Incoming>>,
}

impl BodyEnd {
    /// Reads what is left, if that is little and comes soon, so that the connection can serve the next request. Whether
    /// the end was reached.
    pub(super) async fn drain(&self) -> bool {
        let Some(leftover) = &self.0 else { return true };
        if leftover.ended.load(Ordering::Relaxed) {
            return true;
        }
        let unread = leftover.unread.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(unread) = unread else { return false };
        let all = Limited::new(unread, DRAIN_BYTES_MAX).collect();
        matches!(tokio::time::timeout(DRAIN_WITHIN, all).await, Ok(Ok(_)))
    }

    /// Whether bytes of the body may still be on their way.
    pub(super) fn is_unread(&self) -> bool {
        self.0.as_ref().is_some_and(|leftover| !leftover.ended.load(Ordering::Relaxed))
    }

    fn reached(&self) {
        if let Some(leftover) = &self.0 {
            leftover.ended.store(true, Ordering::Relaxed);
        }
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        if let (Some(leftover), Some(unread)) = (&self.end.0, self.incoming.take())
            && !leftover.ended.load(Ordering::Relaxed)
        {
            *leftover.unread.lock().unwrap_or_else(PoisonError::into_inner) = Some(unread);
        }
    }
}

/// The client sent nothing for too long.
#[derive(Debug, thiserror::Error)]
#[error("request body made no progress")]
struct Stalled;

impl RequestBody {
    pub(super) fn new(incoming: Incoming, state: &GatewayState) -> Self {
        let metrics = state.metrics.clone();
        let end = BodyEnd((!incoming.is_end_stream()).then(Arc::default));
        let stall_timeout = state.config.stall_timeout();
        let verifiers = state.verifiers.clone();
        Self { incoming: Some(incoming), made: None, file: None, verifiers, metrics, stall_timeout, stall: None, end }
    }

    /// Bytes this server has made itself.
    pub(super) fn of_bytes(bytes: Bytes, state: &GatewayState) -> Self {
        let (metrics, stall_timeout) = (state.metrics.clone(), state.config.stall_timeout());
        let end = BodyEnd::default();
        let verifiers = state.verifiers.clone();
        Self { incoming: None, made: Some(bytes), file: None, verifiers, metrics, stall_timeout, stall: None, end }
    }

    /// From here on the bytes are those of the file.
    pub(super) fn with_file(mut self, file: FormFile) -> Self {
        self.file = Some(Box::new(file));
        self
    }

    pub(super) fn end_mark(&self) -> BodyEnd {
        self.end.clone()
    }

    fn take(&mut self) -> Self {
        let metrics = self.metrics.clone();
        let end = self.end.clone();
        let (incoming, made, file) = (self.incoming.take(), self.made.take(), self.file.take());
        let (verifiers, stall_timeout) = (self.verifiers.clone(), self.stall_timeout);
        Self { incoming, made, file, verifiers, metrics, stall_timeout, stall: None, end }
    }

    fn poll_incoming(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyFailure>>> {
        let Some(incoming) = &mut self.incoming else {
            return Poll::Ready(self.made.take().map(|bytes| Ok(Frame::data(bytes))));
        };
        if let Poll::Ready(frame) = Pin::new(incoming).poll_frame(context) {
            self.stall = None;
            match &frame {
                Some(Ok(frame)) => self.metrics.received(frame.data_ref().map_or(0, Bytes::len)),
                Some(Err(_)) => {}
                None => self.end.reached(),
            }
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        let timeout = self.stall_timeout;
        let stall = self.stall.get_or_insert_with(|| Box::pin(tokio::time::sleep(timeout)));
        match stall.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Some(Err(Stalled.into()))),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyFailure;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = &mut *self;
        loop {
            let Some(file) = &mut this.file else { return this.poll_incoming(context) };
            match file.next_piece() {
                Ok(Some(piece)) => return Poll::Ready(Some(Ok(Frame::data(piece)))),
                Ok(None) => {}
                Err(error) => return Poll::Ready(Some(Err(error.into()))),
            }
            match ready!(this.poll_incoming(context)) {
                Some(Ok(frame)) => {
                    if let (Ok(data), Some(file)) = (frame.into_data(), &mut this.file) {
                        file.push(&data);
                    }
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => {
                    let verdict = this.file.as_ref().map_or(Ok(()), |file| file.finish());
                    return Poll::Ready(verdict.err().map(|error| Err(error.into())));
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.file.is_none() && self.made.is_none() && self.incoming.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        match (&self.file, &self.incoming) {
            (Some(_), _) => SizeHint::default(),
            (None, Some(incoming)) => incoming.size_hint(),
            (None, None) => SizeHint::with_exact(self.made.as_ref().map_or(0, Bytes::len) as u64),
        }
    }
}
