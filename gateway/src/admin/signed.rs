//! The extractor of admin routes: a request signed by the operator, or by a user whom an identity policy allows the
//! route's action, its body verified.

use super::refusal::Refused;
use crate::body::{BodyReader, BodySpec};
use crate::request::Query;
use crate::server::GatewayState;
use axum::extract::{FromRequest, Request};
use bytes::Bytes;
use http::Method;
use http::request::Parts;
use std::sync::Arc;

const PREFIX: &str = "/-/granary/v1/";
/// The largest body of an admin request.
pub(super) const BODY_BYTES_MAX: u64 = 64 << 10;

/// A request that was authenticated and allowed.
pub(super) struct Signed {
    /// The query, decoded.
    pub query: Query,
    /// The body, verified.
    pub body: Bytes,
}

/// The action that policies name: `admin:GetStatus`, `admin:ChangeUsers`; the resource is the first word of the path.
fn action_of(parts: &Parts) -> String {
    let resource = parts.uri.path().trim_start_matches(PREFIX).split('/').next().unwrap_or_default();
    let words = resource.split('-').map(|word| {
        let (first, rest) = word.split_at_checked(1).unwrap_or_default();
        format!("{}{rest}", first.to_ascii_uppercase())
    });
    let verb = if parts.method == Method::GET { "Get" } else { "Change" };
    format!("admin:{verb}{}", words.collect::<String>())
}

impl FromRequest<Arc<GatewayState>> for Signed {
    type Rejection = Refused;

    async fn from_request(request: Request, state: &Arc<GatewayState>) -> Result<Self, Refused> {
        let (parts, body) = request.into_parts();
        let payload = state.authenticate_admin(&parts, &action_of(&parts)).await?;
        let query = Query::parse(parts.uri.query())?;
        let spec = BodySpec::from_headers(payload, &parts.headers)?.limit(BODY_BYTES_MAX)?;
        let (body, _digests) = BodyReader::new(body, spec, state.verifiers.clone()).collect().await?;
        Ok(Self { query, body })
    }
}
