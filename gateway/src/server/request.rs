//! A request as operations see it, and its body.

use super::body::ResponseBody;
use super::metrics::Metrics;
use super::state::GatewayState;
use crate::auth::{AuthMethod, AuthenticatedRequest, PayloadMode};
use crate::body::{BodyReader, BodySpec};
use crate::error::S3Error;
use crate::request::{Query, Resource};
use bytes::Bytes;
use granary_protocol::{BucketName, ObjectKey};
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use std::error::Error;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::Sleep;

/// How much of a refused request's body is read, and for how long, to keep its connection.
const DRAIN_BYTES_MAX: usize = 64 << 10;
const DRAIN_WITHIN: Duration = Duration::from_millis(500);

/// What operations answer.
pub(crate) type S3Response = http::Response<ResponseBody>;

/// A request that was authenticated and allowed. Only dispatch makes one.
pub(crate) struct S3Request {
    /// The bucket; empty for operations on the service.
    pub bucket: BucketName,
    /// The key; empty for operations on the service or a bucket.
    pub key: ObjectKey,
    /// The decoded query.
    pub query: Query,
    /// The headers.
    pub headers: HeaderMap,
    method: AuthMethod,
    payload: PayloadMode,
    body: RequestBody,
}

impl S3Request {
    pub(super) fn new(
        resource: Resource,
        query: Query,
        headers: HeaderMap,
        authenticated: AuthenticatedRequest,
        body: RequestBody,
    ) -> Self {
        let (bucket, key) = match resource {
            Resource::Service => (String::new(), String::new()),
            Resource::Bucket(bucket) => (bucket.into_string(), String::new()),
            Resource::Object(bucket, key) => (bucket.into_string(), key.into_string()),
        };
        let method = authenticated.method();
        let (_authorized, payload) = authenticated.into_parts();
        Self { bucket: BucketName(bucket), key: ObjectKey(key), query, headers, method, payload, body }
    }

    /// Whether somebody signed it.
    pub fn is_signed(&self) -> bool {
        self.method != AuthMethod::Anonymous
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
        BodyReader::new(self.body.take(), spec)
    }

    /// A whole document in memory, of at most `bytes_max`, verified.
    pub async fn document(&mut self, spec: BodySpec, bytes_max: u64) -> Result<Bytes, S3Error> {
        let spec = spec.limit(bytes_max).map_err(|_| document_too_large())?;
        match self.read_body(spec).collect().await {
            Ok((document, _digests)) => Ok(document),
            Err(error) if error.code() == crate::error::S3ErrorCode::EntityTooLarge => Err(document_too_large()),
            Err(error) => Err(error),
        }
    }
}

fn document_too_large() -> S3Error {
    S3Error::new(crate::error::S3ErrorCode::MaxMessageLengthExceeded)
}

/// A request's bytes: counted, and given up when the client stalls.
pub(crate) struct RequestBody {
    incoming: Option<Incoming>,
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
        Self { incoming: Some(incoming), metrics, stall_timeout: state.config.stall_timeout(), stall: None, end }
    }

    pub(super) fn end_mark(&self) -> BodyEnd {
        self.end.clone()
    }

    fn take(&mut self) -> Self {
        let metrics = self.metrics.clone();
        let end = self.end.clone();
        Self { incoming: self.incoming.take(), metrics, stall_timeout: self.stall_timeout, stall: None, end }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = Box<dyn Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = &mut *self;
        let Some(incoming) = &mut this.incoming else { return Poll::Ready(None) };
        if let Poll::Ready(frame) = Pin::new(incoming).poll_frame(context) {
            this.stall = None;
            match &frame {
                Some(Ok(frame)) => this.metrics.received(frame.data_ref().map_or(0, Bytes::len)),
                Some(Err(_)) => {}
                None => this.end.reached(),
            }
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        let timeout = this.stall_timeout;
        let stall = this.stall.get_or_insert_with(|| Box::pin(tokio::time::sleep(timeout)));
        match stall.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Some(Err(Stalled.into()))),
            Poll::Pending => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}
