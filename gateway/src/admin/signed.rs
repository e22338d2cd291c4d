//! The extractor of admin routes: a request signed with the root key, its body verified.

use super::refusal::Refused;
use crate::body::{BodyReader, BodySpec};
use crate::request::Query;
use crate::server::GatewayState;
use axum::extract::{FromRequest, Request};
use bytes::Bytes;
use std::sync::Arc;

/// The largest body of an admin request.
pub(super) const BODY_BYTES_MAX: u64 = 64 << 10;

/// A request that was authenticated and allowed.
pub(super) struct Signed {
    /// The query, decoded.
    pub query: Query,
    /// The body, verified.
    pub body: Bytes,
}

impl FromRequest<Arc<GatewayState>> for Signed {
    type Rejection = Refused;

    async fn from_request(request: Request, state: &Arc<GatewayState>) -> Result<Self, Refused> {
        let (parts, body) = request.into_parts();
        let payload = state.authenticate_admin(&parts).await?;
        let query = Query::parse(parts.uri.query())?;
        let spec = BodySpec::from_headers(payload, &parts.headers)?.limit(BODY_BYTES_MAX)?;
        let (body, _digests) = BodyReader::new(body, spec).collect().await?;
        Ok(Self { query, body })
    }
}
