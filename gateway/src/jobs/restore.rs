//! Archived inputs that a job wants restored: each is asked for as its submitter's own RestoreObject would be.

use crate::admin::Refused;
use crate::error::S3Error;
use crate::server::GatewayState;
use futures_util::{StreamExt, TryStreamExt, stream};
use granary_protocol::jobs::InputFile;
use granary_protocol::lifecycle::RestoreTier;
use granary_protocol::object::StorageClass;
use granary_protocol::{Failure, UnixMillis};

/// Objects that a job may have restored.
pub(super) const RESTORED_MAX: usize = 10_000;
/// How long they can be read afterwards.
const RESTORED_DAYS: i32 = 7;
const TIER: RestoreTier = RestoreTier::Standard;
/// Requests on their way at most.
const AT_ONCE: usize = 16;

/// Asks for the restore of all of these. One that is being restored already stays as it was asked for.
///
/// # Errors
/// What the namenode answers: an object that is not archived any more, or gone.
pub(super) async fn begin(state: &GatewayState, archived: Vec<(InputFile, StorageClass)>) -> Result<(), Refused> {
    stream::iter(archived)
        .map(|(file, class)| restore(state, file, class))
        .buffer_unordered(AT_ONCE)
        .try_collect::<Vec<()>>()
        .await?;
    Ok(())
}

async fn restore(state: &GatewayState, file: InputFile, class: StorageClass) -> Result<(), Refused> {
    let settings = &state.config.lifecycle;
    let unsupported = || S3Error::invalid_request(format!("{} cannot be restored by a job.", class.name()));
    let delay_ms = settings.restore_delay_ms(class, TIER).ok_or_else(unsupported)?;
    let ready = UnixMillis(state.now().0.saturating_add(delay_ms));
    let lasts_ms = settings.calendar().after(ready, RESTORED_DAYS).0.saturating_sub(ready.0);
    let outcome = state.client.restore_object(file.bucket, file.key, Some(file.version), TIER, delay_ms, lasts_ms);
    outcome.await.map(drop).map_err(|failure: Failure| failure.into())
}
