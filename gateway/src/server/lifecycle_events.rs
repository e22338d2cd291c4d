//! What rules and restores did, told in the bucket's own way: notifications and lines of the access log.
//!
//! The namenode queues it with the action itself, under a target of its own; a gateway that delivers events turns it into
//! messages for the targets of the bucket, which join the queue.

use super::bucket_settings::BucketSettings;
use super::log_delivery::{destination, note};
use super::state::GatewayState;
use crate::access_log::AccessRecord;
use crate::notifications::{EventKind, MessageContext, ObjectEvent, message_of};
use crate::ops::text::version_text;
use granary_protocol::bucket::Versioning;
use granary_protocol::event::NewEvent;
use granary_protocol::lifecycle::{LifecycleEventKind, LifecycleHappened};
use granary_protocol::object::StorageClass;
use granary_protocol::{ErrorCode, VersionId};

/// Who it is, in messages and in logs, as AWS calls it.
const PRINCIPAL: &str = "s3.amazonaws.com";
const REQUESTER: &str = "AmazonS3";

/// Tells of something a rule or a restore did.
///
/// # Errors
/// Why it must be tried again.
pub(super) async fn tell(state: &GatewayState, body: &[u8]) -> Result<(), String> {
    let happened: LifecycleHappened = match postcard::from_bytes(body) {
        Ok(happened) => happened,
        Err(error) => {
            tracing::error!(%error, "what a lifecycle rule did cannot be read");
            return Ok(());
        }
    };
    let settings = match state.settings.get(&happened.bucket).await {
        Ok(settings) => settings,
        Err(failure) if failure.code == ErrorCode::NoSuchBucket => return Ok(()),
        Err(failure) => return Err(failure.to_string()),
    };
    // Messages first: queueing them can fail, and what is tried again must not be logged twice.
    let messages = messages(state, &settings, &happened);
    if !messages.is_empty() {
        state.client.append_events(messages).await.map_err(|failure| failure.to_string())?;
    }
    log(state, &settings, &happened);
    Ok(())
}

fn version_of(settings: &BucketSettings, version: VersionId) -> Option<String> {
    (settings.info.versioning != Versioning::Off).then(|| version_text(version))
}

fn messages(state: &GatewayState, settings: &BucketSettings, happened: &LifecycleHappened) -> Vec<NewEvent> {
    // A document that cannot be read was reported by its reader.
    let Ok(Some(configuration)) = settings.notification() else { return Vec::new() };
    let request_id = state.request_ids.next();
    let context = MessageContext {
        region: &state.config.region,
        bucket: settings.info.name.as_str(),
        bucket_owner: settings.info.owner.as_str(),
        principal: PRINCIPAL,
        source_ip: PRINCIPAL,
        request_id: request_id.as_str(),
        host_id: state.request_ids.host_id().to_str().unwrap_or_default(),
        now: state.now(),
    };
    let kind = match happened.kind {
        LifecycleEventKind::Deleted => EventKind::ExpirationDelete,
        LifecycleEventKind::Hidden => EventKind::ExpirationMarker,
        LifecycleEventKind::Moved { to, .. } => EventKind::Transition { to },
        LifecycleEventKind::RestoreCompleted { class, until } => EventKind::RestoreCompleted { class, until },
        LifecycleEventKind::RestoreExpired { .. } => EventKind::RestoreDelete,
    };
    let event = ObjectEvent {
        kind,
        key: happened.key.as_str().to_owned(),
        size: Some(happened.size),
        etag: Some(happened.etag.to_string()),
        version: version_of(settings, happened.version),
        at: Some(happened.at),
    };
    let wants = configuration
        .targets
        .iter()
        .filter(|target| target.wants(event.kind.name(), &event.key) && state.targets.find(&target.arn).is_some());
    wants
        .map(|target| NewEvent { target: target.arn.clone(), body: message_of(&context, &event, &target.id) })
        .collect()
}

fn log(state: &GatewayState, settings: &BucketSettings, happened: &LifecycleHappened) {
    let Some(destination) = destination(settings) else { return };
    let Some(operation) = operation(happened.kind) else { return };
    let request_id = state.request_ids.next();
    let version = version_of(settings, happened.version);
    let record = AccessRecord {
        bucket_owner: settings.info.owner.as_str(),
        bucket: settings.info.name.as_str(),
        at: happened.at,
        requester: Some(REQUESTER),
        request_id: request_id.as_str(),
        operation: operation.to_owned(),
        key: Some(happened.key.as_str()),
        object_size: Some(happened.size),
        version_id: version.as_deref(),
        host_id: state.request_ids.host_id().to_str().unwrap_or_default(),
        region: &state.config.region,
        ..AccessRecord::default()
    };
    note(state, destination, &record);
}

/// AWS's names of lifecycle operations in access logs. A restored copy that became readable is none.
///
/// Source: "Monitoring lifecycle with server access logs", Amazon S3 user guide.
fn operation(kind: LifecycleEventKind) -> Option<&'static str> {
    Some(match kind {
        LifecycleEventKind::Deleted => "S3.EXPIRE.OBJECT",
        LifecycleEventKind::Hidden => "S3.CREATE.DELETEMARKER",
        LifecycleEventKind::Moved { to, .. } => match to {
            StorageClass::Standard => "S3.TRANSITION_STANDARD.OBJECT",
            StorageClass::StandardIa => "S3.TRANSITION_SIA.OBJECT",
            StorageClass::OnezoneIa => "S3.TRANSITION_ZIA.OBJECT",
            StorageClass::IntelligentTiering => "S3.TRANSITION_INT.OBJECT",
            StorageClass::GlacierIr => "S3.TRANSITION_GIR.OBJECT",
            StorageClass::Glacier => "S3.TRANSITION.OBJECT",
            StorageClass::DeepArchive => "S3.TRANSITION_GDA.OBJECT",
        },
        LifecycleEventKind::RestoreExpired { .. } => "S3.EXPIRE.RESTORED",
        LifecycleEventKind::RestoreCompleted { .. } => return None,
    })
}
