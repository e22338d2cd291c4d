//! The token service on the same door: POST / with a form that names an action, signed for the service `sts`.
//!
//! GetCallerIdentity says who signed. AssumeRole makes temporary credentials of the caller that its session policy bounds:
//! a role is a name for the session here, it brings no rights of its own. Nothing is remembered about a session.
//!
//! Source: AWS Security Token Service API reference, version 2011-06-15.

mod assume_role;
mod form;
mod reply;

use crate::error::{S3Error, S3ErrorCode};
use crate::server::{GatewayState, Peer, RequestBody, RequestId, S3Response, Sender};
use form::StsForm;
use granary_access::{Caller, authorizer};
use http::HeaderValue;
use http::request::Parts;
use http_body_util::{BodyExt as _, Limited};
use reply::{StsError, failed, succeeded};
use sha2::{Digest, Sha256};
use std::sync::Arc;

/// The largest form: a policy of 2,048 characters, percent-encoded, and the rest.
const FORM_BYTES_MAX: usize = 64 << 10;
const HASH_HEADER: &str = "x-amz-content-sha256";

/// Answers a request to the token service.
pub(crate) async fn answer(
    state: &Arc<GatewayState>,
    parts: Parts,
    body: RequestBody,
    peer: Option<Peer>,
    request_id: RequestId,
) -> S3Response {
    match run(state, parts, body, peer).await {
        Ok(result) => succeeded(result, request_id.as_str()),
        Err(error) => failed(&error, request_id.as_str()),
    }
}

/// What an action answers with: its name and the elements of its result.
struct ActionResult {
    action: &'static str,
    elements: String,
}

async fn run(
    state: &GatewayState,
    mut parts: Parts,
    body: RequestBody,
    peer: Option<Peer>,
) -> Result<ActionResult, StsError> {
    let body = Limited::new(body, FORM_BYTES_MAX).collect().await;
    let body = body.map_err(|_| StsError::validation("The request body is too large or ended early"))?.to_bytes();
    let hash = hex::encode(Sha256::digest(&body));
    match parts.headers.get(HASH_HEADER) {
        Some(declared) if declared.as_bytes() != hash.as_bytes() => {
            return Err(S3Error::new(S3ErrorCode::SignatureDoesNotMatch).into());
        }
        Some(_) => {}
        None => {
            let value = HeaderValue::from_str(&hash).expect("hexadecimal digits are visible ASCII");
            parts.headers.insert(HASH_HEADER, value);
        }
    }
    let authenticated = state.authenticator.authenticate_sts(&parts, state.now_s()).await?;
    let access_key_id = authenticated.identity().principal().map(|principal| principal.access_key_id.clone());
    let sender = Sender::new(authenticated, state, peer);
    let (Some(caller), Some(access_key_id)) = (sender.caller().cloned(), access_key_id) else {
        return Err(S3Error::new(S3ErrorCode::MissingAuthenticationToken).into());
    };
    let form = StsForm::parse(&body)?;
    match form.action()? {
        "GetCallerIdentity" => Ok(caller_identity(&caller)),
        "AssumeRole" => {
            let context = sender.context(&parts.headers);
            let role = assume_role::RoleRequest::read(&form)?;
            role.check_account(&caller)?;
            match authorizer::decide_own(&caller, "sts:AssumeRole", &role.arn, &context).is_allowed() {
                true => assume_role::assume_role(state, &caller, &access_key_id, role).await,
                false => Err(role.denied(&caller)),
            }
        }
        other => Err(StsError::invalid_action(other)),
    }
}

/// Says who signed; nobody needs a right for that.
fn caller_identity(caller: &Caller) -> ActionResult {
    let mut elements = String::new();
    reply::push(&mut elements, "Arn", &caller.arn());
    reply::push(&mut elements, "UserId", &caller.unique_id());
    reply::push(&mut elements, "Account", &caller.account_id);
    ActionResult { action: "GetCallerIdentity", elements }
}
