//! The state of the cluster and its space, as the leading namenode measures them.

use super::json::{Json, parse_json};
use super::refusal::Refused;
use super::signed::Signed;
use crate::server::GatewayState;
use axum::extract::State;
use granary_lifecycle::LifecycleSettings;
use granary_protocol::admin::{
    ClusterStatus, DatanodeIntentQuestion, PeerChange, PeerChangeProgress, SpaceReport, VolumeDrainQuestion,
};
use granary_protocol::lifecycle::RestoreTier;
use granary_protocol::namenode::{NamenodeReply, NamenodeRequest};
use granary_protocol::object::StorageClass;
use granary_protocol::redundancy::ClassReport;
use granary_protocol::{ErrorCode, Failure, NodeName};
use std::sync::Arc;

/// `GET /-/granary/v1/status`
pub(super) async fn status(State(state): State<Arc<GatewayState>>, _: Signed) -> Result<Json<ClusterStatus>, Refused> {
    Ok(Json(state.client.status().await?))
}

/// `POST /-/granary/v1/datanode-intent`
pub(super) async fn set_datanode_intent(
    State(state): State<Arc<GatewayState>>,
    signed: Signed,
) -> Result<Json<()>, Refused> {
    let DatanodeIntentQuestion { name, intent } = parse_json(&signed.body)?;
    state.client.call(NamenodeRequest::SetDatanodeIntent { name: NodeName(name), intent }).await?;
    Ok(Json(()))
}

/// `POST /-/granary/v1/volume-drain`
pub(super) async fn set_volume_drain(
    State(state): State<Arc<GatewayState>>,
    signed: Signed,
) -> Result<Json<()>, Refused> {
    let VolumeDrainQuestion { volume, drain } = parse_json(&signed.body)?;
    state.client.call(NamenodeRequest::SetVolumeDrain { volume, drain }).await?;
    Ok(Json(()))
}

/// `POST /-/granary/v1/namenodes`: one step of a change, to be repeated until it is done.
pub(super) async fn change_namenodes(
    State(state): State<Arc<GatewayState>>,
    signed: Signed,
) -> Result<Json<PeerChangeProgress>, Refused> {
    let change: PeerChange = parse_json(&signed.body)?;
    match state.client.call(NamenodeRequest::ChangePeers(change)).await? {
        NamenodeReply::PeersChanged(progress) => Ok(Json(progress)),
        _other => Err(Failure::new(ErrorCode::Internal, "the namenode answered another question").into()),
    }
}

/// `GET /-/granary/v1/space`
pub(super) async fn space(State(state): State<Arc<GatewayState>>, _: Signed) -> Result<Json<SpaceReport>, Refused> {
    Ok(Json(state.client.space().await?))
}

/// `GET /-/granary/v1/classes`
pub(super) async fn classes(State(state): State<Arc<GatewayState>>, _: Signed) -> Result<Json<ClassReport>, Refused> {
    let mut report = state.client.classes().await?;
    for status in &mut report.classes {
        if let Some(class) = StorageClass::from_name(&status.class).filter(|class| class.is_archive()) {
            status.restore = restore_times(&state.config.lifecycle, class);
        }
    }
    Ok(Json(report))
}

/// The tiers of a class, and how long each takes.
fn restore_times(settings: &LifecycleSettings, class: StorageClass) -> String {
    let tiers = [RestoreTier::Expedited, RestoreTier::Standard, RestoreTier::Bulk].into_iter();
    let times = tiers.filter_map(|tier| {
        let seconds = settings.restore_delay_ms(class, tier)? as f64 / 1000.0;
        Some(format!("{} {seconds} s", tier.name()))
    });
    times.collect::<Vec<_>>().join(", ")
}
