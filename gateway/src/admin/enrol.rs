//! Join tokens, and the certificates they are spent on.

use super::json::{Json, parse_json};
use super::refusal::Refused;
use super::signed::{BODY_BYTES_MAX, Signed};
use crate::error::{S3Error, S3ErrorCode};
use crate::server::GatewayState;
use axum::extract::{Request, State};
use granary_protocol::admin::{EnrolAnswer, EnrolQuestion, JoinTokenAnswer, JoinTokenQuestion};
use granary_protocol::namenode::{NamenodeReply, NamenodeRequest, NodeRole};
use granary_protocol::{ErrorCode, Failure, NodeName};
use http_body_util::{BodyExt, Limited};
use std::sync::Arc;

/// The longest a join token may live: a week.
const LIFETIME_MS_MAX: u64 = 7 * 24 * 3600 * 1000;
/// The longest name and secret worth asking the namenode about.
const WORD_BYTES_MAX: usize = 256;

/// `POST /-/granary/v1/join-tokens`
pub(super) async fn create_join_token(
    State(state): State<Arc<GatewayState>>,
    signed: Signed,
) -> Result<Json<JoinTokenAnswer>, Refused> {
    let wanted: JoinTokenQuestion = parse_json(&signed.body)?;
    if !(1..=LIFETIME_MS_MAX).contains(&wanted.lifetime_ms) {
        let given = wanted.lifetime_ms.to_string();
        return Err(S3Error::invalid_argument("A join token lives 1 ms to 7 days", "lifetime_ms", given).into());
    }
    let (name, lifetime_ms) = (wanted.name.map(NodeName), wanted.lifetime_ms);
    let request = match (wanted.role.as_deref(), name) {
        (None, name) => NamenodeRequest::CreateJoinToken { name, lifetime_ms },
        (Some("namenode"), Some(name)) => NamenodeRequest::CreateNamenodeToken { name, lifetime_ms },
        (Some("namenode"), None) => {
            return Err(S3Error::invalid_argument("A namenode's token needs its name", "name", "").into());
        }
        (Some(other), _) => {
            return Err(S3Error::invalid_argument("role must be namenode or left out", "role", other).into());
        }
    };
    match state.client.call(request).await? {
        NamenodeReply::JoinToken { secret } => Ok(Json(JoinTokenAnswer { token: secret })),
        _other => Err(unexpected().into()),
    }
}

/// `POST /-/granary/v1/enrol`. Nobody signed this: few at a time, small, and refused without saying why.
pub(super) async fn enrol(
    State(state): State<Arc<GatewayState>>,
    request: Request,
) -> Result<Json<EnrolAnswer>, Refused> {
    let Ok(_turn) = state.enrolments.try_acquire() else { return Err(S3ErrorCode::SlowDown.into()) };
    let body_bytes_max = usize::try_from(BODY_BYTES_MAX).unwrap_or(usize::MAX);
    let body = Limited::new(request.into_body(), body_bytes_max).collect().await;
    let body = body.map_err(|_| S3Error::invalid_request("The body is too large or ended early"))?.to_bytes();
    let wanted: EnrolQuestion = parse_json(&body)?;
    if wanted.name.len() > WORD_BYTES_MAX || wanted.secret.len() > WORD_BYTES_MAX {
        return Err(S3Error::invalid_request("The name or secret is too long").into());
    }
    let role = [NodeRole::Namenode, NodeRole::Datanode, NodeRole::Gateway]
        .into_iter()
        .find(|role| role.name() == wanted.role)
        .ok_or_else(|| S3Error::invalid_argument("role must be namenode, datanode or gateway", "role", &wanted.role))?;
    let node = NodeName(wanted.name);
    let request = NamenodeRequest::Enrol { secret: wanted.secret, name: node.clone(), role, csr_pem: wanted.csr_pem };
    match state.client.call(request).await {
        Ok(NamenodeReply::Enrolled { certificate_pem, ca_pem }) => {
            tracing::info!(%node, role = role.name(), "node enrolled");
            Ok(Json(EnrolAnswer { certificate_pem, ca_pem }))
        }
        Ok(_other) => Err(unexpected().into()),
        Err(failure) => {
            tracing::warn!(%node, %failure, "enrolment refused");
            Err(match failure.code {
                ErrorCode::AccessDenied | ErrorCode::InvalidToken => S3ErrorCode::AccessDenied.into(),
                code => Failure::from(code).into(),
            })
        }
    }
}

fn unexpected() -> Failure {
    Failure::new(ErrorCode::Internal, "the namenode answered another question")
}
