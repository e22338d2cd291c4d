//! The keys of SSE-KMS. No key is ever shown.

use super::json::{Json, parse_json};
use super::refusal::Refused;
use super::signed::Signed;
use crate::error::{S3Error, S3ErrorCode};
use crate::server::GatewayState;
use axum::extract::State;
use granary_protocol::ErrorCode;
use granary_protocol::admin::{KmsKeyDescription, KmsKeyList, KmsKeyQuestion};
use granary_protocol::object::PAGE_ENTRIES_MAX;
use granary_sealing::{KeyDescription, KeyStoreError};
use std::sync::Arc;

/// The most keys of one answer; a store with more is listed by page elsewhere.
const KEYS_MAX: usize = 100_000;

/// `GET /-/granary/v1/kms-keys`
pub(super) async fn list(State(state): State<Arc<GatewayState>>, _: Signed) -> Result<Json<KmsKeyList>, Refused> {
    let store = state.encryption.keys()?;
    let mut keys: Vec<KmsKeyDescription> = Vec::new();
    loop {
        let after = keys.last().map(|key| key.name.clone());
        let (page, truncated) = store.list(after, PAGE_ENTRIES_MAX).await.map_err(refused)?;
        let is_last = !truncated || page.is_empty() || keys.len() >= KEYS_MAX;
        keys.extend(page.into_iter().map(description));
        if is_last {
            return Ok(Json(KmsKeyList { keys }));
        }
    }
}

/// `POST /-/granary/v1/kms-keys`
pub(super) async fn create(
    State(state): State<Arc<GatewayState>>,
    signed: Signed,
) -> Result<Json<KmsKeyQuestion>, Refused> {
    let wanted: KmsKeyQuestion = parse_json(&signed.body)?;
    state.encryption.keys()?.create(&wanted.name).await.map_err(refused)?;
    Ok(Json(wanted))
}

/// `PUT /-/granary/v1/kms-keys`
pub(super) async fn set_disabled(
    State(state): State<Arc<GatewayState>>,
    signed: Signed,
) -> Result<Json<KmsKeyQuestion>, Refused> {
    let wanted: KmsKeyQuestion = parse_json(&signed.body)?;
    state.encryption.keys()?.set_disabled(&wanted.name, wanted.disabled).await.map_err(refused)?;
    Ok(Json(wanted))
}

fn description(key: KeyDescription) -> KmsKeyDescription {
    KmsKeyDescription { name: key.name, created_ms: key.created.0, disabled: key.disabled }
}

pub(super) fn refused(error: KeyStoreError) -> Refused {
    let said = |code| S3Error::with_message(code, error.to_string()).into();
    match &error {
        KeyStoreError::NotFound(_) => said(S3ErrorCode::KmsNotFoundException),
        KeyStoreError::Disabled(_) => said(S3ErrorCode::KmsDisabledException),
        KeyStoreError::InvalidName(_) => said(S3ErrorCode::InvalidArgument),
        KeyStoreError::Unavailable(failure) if failure.code == ErrorCode::EntityAlreadyExists => {
            S3Error::with_message(S3ErrorCode::OperationAborted, "There is a key of this name").into()
        }
        KeyStoreError::Unavailable(failure) => failure.clone().into(),
        KeyStoreError::WrongMasterKey(_) | KeyStoreError::NotAuthentic(_) | KeyStoreError::Randomness(_) => {
            said(S3ErrorCode::InternalError)
        }
    }
}
