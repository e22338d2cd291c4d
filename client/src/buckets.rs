//! Requests about buckets and their settings, as methods.

use crate::client::Client;
use crate::metadata::{expect_done, reply};
use bytes::Bytes;
use granary_protocol::bucket::{BucketDocument, BucketInfo, BucketLock, BucketSettings, Versioning};
use granary_protocol::namenode::*;
use granary_protocol::*;

impl Client {
    /// [`NamenodeRequest::CreateBucket`].
    pub async fn create_bucket(
        &self,
        bucket: BucketName,
        owner: CanonicalId,
        region: String,
        object_lock: bool,
        documents: Vec<(BucketDocument, Bytes)>,
    ) -> Result<(), Failure> {
        let request = NamenodeRequest::CreateBucket { bucket, owner, region, object_lock, documents };
        expect_done(self.call(request).await?)
    }

    /// [`NamenodeRequest::DeleteBucket`].
    pub async fn delete_bucket(&self, bucket: BucketName) -> Result<(), Failure> {
        expect_done(self.call(NamenodeRequest::DeleteBucket { bucket }).await?)
    }

    /// [`NamenodeRequest::GetBucket`].
    pub async fn get_bucket(&self, bucket: BucketName) -> Result<BucketInfo, Failure> {
        reply!(self.call(NamenodeRequest::GetBucket { bucket }).await?, NamenodeReply::Bucket(info) => info)
    }

    /// [`NamenodeRequest::GetBucketSettings`].
    pub async fn get_bucket_settings(&self, bucket: BucketName) -> Result<BucketSettings, Failure> {
        let reply = self.call(NamenodeRequest::GetBucketSettings { bucket }).await?;
        reply!(reply, NamenodeReply::BucketSettings(settings) => *settings)
    }

    /// [`NamenodeRequest::SetVersioning`].
    pub async fn set_versioning(&self, bucket: BucketName, versioning: Versioning) -> Result<(), Failure> {
        expect_done(self.call(NamenodeRequest::SetVersioning { bucket, versioning }).await?)
    }

    /// [`NamenodeRequest::SetBucketLock`].
    pub async fn set_bucket_lock(&self, bucket: BucketName, lock: BucketLock) -> Result<(), Failure> {
        expect_done(self.call(NamenodeRequest::SetBucketLock { bucket, lock }).await?)
    }

    /// [`NamenodeRequest::SetBucketDocument`].
    pub async fn set_bucket_document(
        &self,
        bucket: BucketName,
        kind: BucketDocument,
        document: Option<Bytes>,
    ) -> Result<(), Failure> {
        expect_done(self.call(NamenodeRequest::SetBucketDocument { bucket, kind, document }).await?)
    }

    /// [`NamenodeRequest::ListBuckets`]; whether there are more comes second.
    pub async fn list_buckets(
        &self,
        prefix: String,
        after: Option<BucketName>,
        limit: u32,
    ) -> Result<(Vec<BucketInfo>, bool), Failure> {
        let reply = self.call(NamenodeRequest::ListBuckets { prefix, after, limit }).await?;
        reply!(reply, NamenodeReply::Buckets { buckets, truncated } => (buckets, truncated))
    }
}
