//! The extractor of job routes: a signed request of somebody whom no policy denies to use jobs, its body verified.

use crate::admin::Refused;
use crate::body::{BodyReader, BodySpec};
use crate::error::{S3Error, S3ErrorCode};
use crate::request::Query;
use crate::server::{GatewayState, Peer, Sender};
use axum::extract::{FromRequest, Request};
use bytes::Bytes;
use granary_access::{Caller, RequestContext, authorizer};
use granary_protocol::jobs::SPEC_BYTES_MAX;
use http::{HeaderMap, Method};
use std::sync::Arc;

/// What policies name the routes' resource.
const RESOURCE: &str = "arn:aws:granary:::jobs";

/// A request that was authenticated and may use jobs.
pub(super) struct JobRequest {
    pub caller: Arc<Caller>,
    /// What policies may ask about it.
    pub context: RequestContext,
    pub query: Query,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// The action that policies name.
fn action_of(method: &Method) -> &'static str {
    match *method {
        Method::POST => "job:Submit",
        Method::DELETE => "job:Kill",
        _ => "job:Get",
    }
}

impl FromRequest<Arc<GatewayState>> for JobRequest {
    type Rejection = Refused;

    async fn from_request(request: Request, state: &Arc<GatewayState>) -> Result<Self, Refused> {
        let (parts, body) = request.into_parts();
        let authenticated = state.authenticator.authenticate(&parts, None, state.now_s()).await?;
        let sender = Sender::new(authenticated, state, parts.extensions.get::<Peer>().copied());
        let context = sender.context(&parts.headers);
        let (caller, payload) = sender.into_caller();
        let caller = caller.ok_or(S3ErrorCode::AccessDenied)?;
        if !authorizer::decide_own(&caller, action_of(&parts.method), RESOURCE, &context).is_allowed() {
            return Err(S3Error::new(S3ErrorCode::AccessDenied).into());
        }
        let query = Query::parse(parts.uri.query())?;
        let spec = BodySpec::from_headers(payload, &parts.headers)?.limit(SPEC_BYTES_MAX as u64)?;
        let (body, _digests) = BodyReader::new(body, spec, state.verifiers.clone()).collect().await?;
        Ok(Self { caller, context, query, headers: parts.headers, body })
    }
}
