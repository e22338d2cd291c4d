//! The state of the cluster and its space, as the leading namenode measures them.

use super::json::Json;
use super::refusal::Refused;
use super::signed::Signed;
use crate::server::GatewayState;
use axum::extract::State;
use granary_protocol::admin::{ClusterStatus, SpaceReport};
use std::sync::Arc;

/// `GET /-/granary/v1/status`
pub(super) async fn status(State(state): State<Arc<GatewayState>>, _: Signed) -> Result<Json<ClusterStatus>, Refused> {
    Ok(Json(state.client.status().await?))
}

/// `GET /-/granary/v1/space`
pub(super) async fn space(State(state): State<Arc<GatewayState>>, _: Signed) -> Result<Json<SpaceReport>, Refused> {
    Ok(Json(state.client.space().await?))
}
