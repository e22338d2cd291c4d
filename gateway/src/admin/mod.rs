//! The admin routes below `/-/granary/v1/`: JSON, signed with the root key exactly like an S3 request.
//!
//! `-` can be no bucket, so none of these paths is ever an S3 request. One route, enrolment, is unsigned: the join token in
//! its body is the credential.

mod blocks;
mod cluster;
mod enrol;
mod json;
mod kms_keys;
mod refusal;
mod signed;

use crate::server::GatewayState;
use axum::Router;
use axum::routing::{get, post};
use std::sync::Arc;

/// All routes.
pub(crate) fn routes() -> Router<Arc<GatewayState>> {
    Router::new()
        .route("/-/granary/v1/status", get(cluster::status))
        .route("/-/granary/v1/space", get(cluster::space))
        .route("/-/granary/v1/datanode-intent", post(cluster::set_datanode_intent))
        .route("/-/granary/v1/blocks", get(blocks::blocks))
        .route("/-/granary/v1/join-tokens", post(enrol::create_join_token))
        .route("/-/granary/v1/enrol", post(enrol::enrol))
        .route("/-/granary/v1/kms-keys", get(kms_keys::list).post(kms_keys::create).put(kms_keys::set_disabled))
}
