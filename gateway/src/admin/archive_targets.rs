//! Archive targets: where the blocks of archived classes go. No secret is ever shown.

use super::json::{Json, parse_json};
use super::refusal::Refused;
use super::signed::Signed;
use crate::error::{S3Error, S3ErrorCode};
use crate::server::GatewayState;
use axum::extract::State;
use granary_lifecycle::archive::{Remote, check_endpoint};
use granary_protocol::admin::{ArchiveTargetDescription, ArchiveTargetList, ArchiveTargetQuestion};
use granary_protocol::archive::{ArchiveTarget, ArchiveTargetStatus};
use granary_protocol::object::StorageClass;
use granary_sealing::seal_secret;
use std::sync::Arc;

/// `GET /-/granary/v1/archive-targets`
pub(super) async fn list(
    State(state): State<Arc<GatewayState>>,
    _: Signed,
) -> Result<Json<ArchiveTargetList>, Refused> {
    let targets = state.client.archive_targets().await?;
    Ok(Json(ArchiveTargetList { targets: targets.into_iter().map(description).collect() }))
}

/// `PUT /-/granary/v1/archive-targets`: replaces the target of a class, once it has been seen to work.
pub(super) async fn set(State(state): State<Arc<GatewayState>>, signed: Signed) -> Result<Json<()>, Refused> {
    let wanted: ArchiveTargetQuestion = parse_json(&signed.body)?;
    let class = archived_class(&wanted.class)?;
    let refused = |error: &dyn std::fmt::Display| invalid(error.to_string());
    check_endpoint(&wanted.endpoint).map_err(|error| refused(&error))?;
    let keys = state.encryption.keys()?;
    let context = ArchiveTarget::secret_context(class);
    let sealed_secret = seal_secret(keys, &context, wanted.secret_key.as_bytes());
    let target = ArchiveTarget {
        endpoint: wanted.endpoint,
        bucket: wanted.bucket,
        prefix: wanted.prefix,
        region: wanted.region,
        access_key: wanted.access_key,
        sealed_secret: sealed_secret.await.map_err(super::kms_keys::refused)?,
        ca_pem: wanted.ca_pem,
    };
    let remote = Remote::new(&target, &wanted.secret_key).map_err(|error| refused(&error))?;
    if !wanted.unchecked {
        remote.try_out(&target.prefix).await.map_err(|error| refused(&error))?;
    }
    state.client.set_archive_target(class, Some(target)).await?;
    Ok(Json(()))
}

/// `DELETE /-/granary/v1/archive-targets?class=`: what is there returns, and then the target is forgotten.
pub(super) async fn remove(State(state): State<Arc<GatewayState>>, signed: Signed) -> Result<Json<()>, Refused> {
    let class = archived_class(signed.query.get("class").unwrap_or_default())?;
    state.client.set_archive_target(class, None).await?;
    Ok(Json(()))
}

fn archived_class(name: &str) -> Result<StorageClass, Refused> {
    let class = StorageClass::from_name(name).filter(|class| class.is_archive());
    class.ok_or_else(|| invalid(format!("{name:?} is no archived class: GLACIER or DEEP_ARCHIVE")))
}

fn invalid(why: String) -> Refused {
    S3Error::with_message(S3ErrorCode::InvalidArgument, why).into()
}

fn description(status: ArchiveTargetStatus) -> ArchiveTargetDescription {
    let ArchiveTargetStatus { class, target, returning, counts, .. } = status;
    ArchiveTargetDescription {
        class: class.name().to_owned(),
        endpoint: target.endpoint,
        bucket: target.bucket,
        prefix: target.prefix,
        region: target.region,
        access_key: target.access_key,
        returning,
        blocks: counts.blocks,
        bytes: counts.bytes,
        here_too: status.here_too,
        sending: counts.sending,
        waiting: status.waiting,
        waiting_bytes: status.waiting_bytes,
        wanted: status.wanted,
        wanted_bytes: status.wanted_bytes,
        garbage: counts.garbage,
        failures: status.failures,
    }
}
