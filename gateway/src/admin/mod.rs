//! The admin routes below `/-/granary/v1/`: JSON, signed exactly like an S3 request by the root key, or by a
//! user whom an identity policy allows the route's action (`admin:GetStatus`, `admin:ChangeUsers` …).
//!
//! `-` can be no bucket, so none of these paths is ever an S3 request. One route, enrolment, is unsigned: the join token in
//! its body is the credential.

mod archive_targets;
mod blocks;
mod cluster;
mod enrol;
mod json;
mod kms_keys;
mod lifecycle;
mod master_key;
mod metadata;
mod policies;
mod refusal;
mod signed;
mod users;

pub(crate) use refusal::Refused;

use crate::server::GatewayState;
use axum::Router;
use axum::routing::{get, post};
use std::sync::Arc;

/// All routes.
pub(crate) fn routes() -> Router<Arc<GatewayState>> {
    Router::new()
        .route("/-/granary/v1/status", get(cluster::status))
        .route("/-/granary/v1/space", get(cluster::space))
        .route("/-/granary/v1/classes", get(cluster::classes))
        .route(
            "/-/granary/v1/archive-targets",
            get(archive_targets::list).put(archive_targets::set).delete(archive_targets::remove),
        )
        .route("/-/granary/v1/datanode-intent", post(cluster::set_datanode_intent))
        .route("/-/granary/v1/volume-drain", post(cluster::set_volume_drain))
        .route("/-/granary/v1/metadata", get(metadata::page))
        .route("/-/granary/v1/namenodes", post(cluster::change_namenodes))
        .route("/-/granary/v1/blocks", get(blocks::blocks))
        .route("/-/granary/v1/lifecycle", get(lifecycle::status))
        .route("/-/granary/v1/lifecycle/explanation", get(lifecycle::explain))
        .route("/-/granary/v1/join-tokens", post(enrol::create_join_token))
        .route("/-/granary/v1/enrol", post(enrol::enrol))
        .route("/-/granary/v1/kms-keys", get(kms_keys::list).post(kms_keys::create).put(kms_keys::set_disabled))
        .route("/-/granary/v1/master-key", get(master_key::status).post(master_key::rotate))
        .route("/-/granary/v1/users", get(users::list).post(users::add).delete(users::remove))
        .route("/-/granary/v1/users/state", post(users::set_state))
        .route("/-/granary/v1/keys", post(users::add_key).delete(users::remove_key))
        .route("/-/granary/v1/keys/state", post(users::set_key_state))
        .route("/-/granary/v1/policies", get(policies::list).put(policies::put).delete(policies::remove))
        .route("/-/granary/v1/policies/attachments", post(policies::attach))
}
