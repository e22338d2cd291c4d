//! Requests about lifecycles and restores, as methods.

use crate::client::Client;
use crate::metadata::reply;
use granary_protocol::lifecycle::{LifecycleStatus, Restore, RestoreOutcome, RestoreTier, ScanPosition, ScannedPage};
use granary_protocol::namenode::*;
use granary_protocol::*;

impl Client {
    /// [`NamenodeRequest::GetLifecycleStatus`].
    pub async fn lifecycle_status(&self) -> Result<LifecycleStatus, Failure> {
        reply!(self.call(NamenodeRequest::GetLifecycleStatus).await?, NamenodeReply::LifecycleStatus(status) => status)
    }

    /// [`NamenodeRequest::ScanVersions`].
    pub async fn scan_versions(
        &self,
        bucket: BucketName,
        prefix: String,
        from: ScanPosition,
        limit: u32,
    ) -> Result<ScannedPage, Failure> {
        let reply = self.call(NamenodeRequest::ScanVersions { bucket, prefix, from, limit }).await?;
        reply!(reply, NamenodeReply::Scanned(page) => page)
    }

    /// [`NamenodeRequest::RestoreObject`].
    pub async fn restore_object(
        &self,
        bucket: BucketName,
        key: ObjectKey,
        version: Option<VersionId>,
        tier: RestoreTier,
        delay_ms: u64,
        lasts_ms: u64,
    ) -> Result<RestoreOutcome, Failure> {
        let request = NamenodeRequest::RestoreObject { bucket, key, version, tier, delay_ms, lasts_ms };
        reply!(self.call(request).await?, NamenodeReply::Restored(outcome) => outcome)
    }

    /// [`NamenodeRequest::GetRestores`]: one answer a version, in order.
    pub async fn get_restores(
        &self,
        bucket: BucketName,
        versions: Vec<(ObjectKey, VersionId)>,
    ) -> Result<Vec<Option<Restore>>, Failure> {
        let reply = self.call(NamenodeRequest::GetRestores { bucket, versions }).await?;
        reply!(reply, NamenodeReply::Restores(restores) => restores)
    }
}
