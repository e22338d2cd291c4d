//! Named identity policies, and to whom they are attached.

use super::json::{Json, parse_json};
use super::refusal::Refused;
use super::signed::Signed;
use super::users::{done, required};
use crate::error::{S3Error, S3ErrorCode};
use crate::server::GatewayState;
use axum::extract::State;
use granary_access::Policy;
use granary_protocol::ErrorCode;
use granary_protocol::admin::{AttachmentQuestion, DoneAnswer, PoliciesAnswer, PolicyQuestion};
use std::sync::Arc;

/// Policies of one answer: 20 KiB each at most.
const PAGE_MAX: u32 = 50;
const NAME_BYTES_MAX: usize = 128;

/// Policies that are made when they are first attached by their name.
const BUILT_IN: [(&str, &str); 4] = [
    (
        "readonly",
        r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:Get*","s3:List*"],"Resource":"*"}]}"#,
    ),
    ("readwrite", r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}"#),
    (
        "writeonly",
        r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:PutObject","s3:AbortMultipartUpload","s3:ListMultipartUploadParts"],"Resource":"*"}]}"#,
    ),
    (
        "consoleAdmin",
        r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:*","admin:*"],"Resource":"*"}]}"#,
    ),
];

/// `GET /-/granary/v1/policies[?after=]`
pub(super) async fn list(
    State(state): State<Arc<GatewayState>>,
    signed: Signed,
) -> Result<Json<PoliciesAnswer>, Refused> {
    let after = signed.query.get_non_empty("after").map(str::to_owned);
    let (policies, truncated) = state.client.list_policies(after, PAGE_MAX).await?;
    let policies = policies.into_iter().map(|policy| PolicyQuestion { name: policy.name, document: policy.document });
    Ok(Json(PoliciesAnswer { policies: policies.collect(), truncated }))
}

/// `PUT /-/granary/v1/policies`
pub(super) async fn put(State(state): State<Arc<GatewayState>>, signed: Signed) -> Result<Json<DoneAnswer>, Refused> {
    let wanted: PolicyQuestion = parse_json(&signed.body)?;
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || b"+=,.@_-".contains(&byte);
    if !(1..=NAME_BYTES_MAX).contains(&wanted.name.len()) || !wanted.name.bytes().all(is_word) {
        let message = "A policy's name is 1 to 128 letters, digits and +=,.@_-";
        return Err(S3Error::invalid_argument(message, "name", wanted.name).into());
    }
    Policy::parse_identity(wanted.document.as_bytes())
        .map_err(|error| S3Error::with_message(S3ErrorCode::MalformedPolicy, error.to_string()))?;
    state.client.put_policy(wanted.name, wanted.document).await?;
    Ok(done())
}

/// `DELETE /-/granary/v1/policies?name=`
pub(super) async fn remove(
    State(state): State<Arc<GatewayState>>,
    signed: Signed,
) -> Result<Json<DoneAnswer>, Refused> {
    state.client.remove_policy(required(&signed, "name")?).await?;
    Ok(done())
}

/// `POST /-/granary/v1/policies/attachments`
pub(super) async fn attach(
    State(state): State<Arc<GatewayState>>,
    signed: Signed,
) -> Result<Json<DoneAnswer>, Refused> {
    let AttachmentQuestion { user, policy, attached } = parse_json(&signed.body)?;
    let built_in = BUILT_IN.iter().find(|(name, _)| *name == policy);
    match (state.client.attach_policy(user.clone(), policy.clone(), attached).await, built_in) {
        (Err(failure), Some((name, document))) if attached && failure.code == ErrorCode::NoSuchEntity => {
            // Either of the two may be missing; a missing user must not leave a policy behind.
            state.client.get_user(user.clone()).await?;
            state.client.put_policy((*name).to_owned(), (*document).to_owned()).await?;
            state.client.attach_policy(user, policy, attached).await?;
        }
        (other, _) => other?,
    }
    Ok(done())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_built_in_can_be_read() {
        for (name, document) in BUILT_IN {
            assert!(Policy::parse_identity(document.as_bytes()).is_ok(), "{name}");
        }
    }
}
