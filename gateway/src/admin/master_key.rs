//! Under which master key the keys of the key store are sealed, and sealing them under a new one. No key is ever shown.

use super::json::Json;
use super::kms_keys::refused;
use super::refusal::Refused;
use super::signed::Signed;
use crate::server::GatewayState;
use axum::extract::State;
use granary_protocol::admin::MasterKeyStatus;
use std::sync::Arc;

/// `GET /-/granary/v1/master-key`
pub(super) async fn status(
    State(state): State<Arc<GatewayState>>,
    _: Signed,
) -> Result<Json<MasterKeyStatus>, Refused> {
    ask(&state, false).await
}

/// `POST /-/granary/v1/master-key`: every key is sealed under this gateway's master key.
pub(super) async fn rotate(
    State(state): State<Arc<GatewayState>>,
    _: Signed,
) -> Result<Json<MasterKeyStatus>, Refused> {
    ask(&state, true).await
}

async fn ask(state: &GatewayState, reseals: bool) -> Result<Json<MasterKeyStatus>, Refused> {
    let standing = state.encryption.keys()?.master_key(reseals).await.map_err(refused)?;
    Ok(Json(MasterKeyStatus {
        current: standing.current,
        other: standing.other,
        unknown: standing.unknown,
        resealed: standing.resealed,
    }))
}
