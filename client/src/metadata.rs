//! The namenode's requests as methods: one a request, the reply's variant taken out. Here those about objects, uploads and
//! the cluster; buckets, users and events have files of their own.
//!
//! Nothing is decided here. Errors are the namenode's own, each with the advice of its code.

use crate::client::Client;
use crate::stored::StoredContent;
use granary_protocol::admin::{ClusterStatus, ObjectBlocks, SpaceReport};
use granary_protocol::namenode::*;
use granary_protocol::object::*;
use granary_protocol::redundancy::{ClassReport, LocatedGroup};
use granary_protocol::*;

/// Takes the documented variant out of a reply.
macro_rules! reply {
    ($reply:expr, $variant:pat => $value:expr) => {
        match $reply {
            $variant => Ok($value),
            other => Err($crate::error::unexpected(&other)),
        }
    };
}

pub(crate) use reply;

impl Client {
    /// Sends any request. The methods below are this with the reply's type.
    ///
    /// # Errors
    /// The namenode's own.
    pub async fn call(&self, request: NamenodeRequest) -> Result<NamenodeReply, Failure> {
        self.shared.namenode.call(request).await
    }

    /// [`NamenodeRequest::GetObject`]. [`Client::read`] turns the answer into bytes.
    pub async fn get_object(
        &self,
        bucket: BucketName,
        key: ObjectKey,
        version: Option<VersionId>,
        window: Window,
    ) -> Result<ObjectRead, Failure> {
        let reply = self.call(NamenodeRequest::GetObject { bucket, key, version, window }).await?;
        reply!(reply, NamenodeReply::Object(read) => *read)
    }

    /// [`NamenodeRequest::ListObjects`].
    pub async fn list_objects(
        &self,
        bucket: BucketName,
        prefix: String,
        delimiter: String,
        after: ListAfter,
        limit: u32,
    ) -> Result<Listing, Failure> {
        let reply = self.call(NamenodeRequest::ListObjects { bucket, prefix, delimiter, after, limit }).await?;
        reply!(reply, NamenodeReply::Listing(listing) => listing)
    }

    /// [`NamenodeRequest::PutObject`]: the moment a PUT takes effect. `None` for an empty object.
    ///
    /// A small content whose lease or block was lost since it was written is written again without the caller noticing;
    /// a large one is refused with `Unavailable`.
    pub async fn put_object(
        &self,
        bucket: BucketName,
        key: ObjectKey,
        content: Option<StoredContent>,
        object: NewObject,
        condition: WriteCondition,
    ) -> Result<PutOutcome, Failure> {
        let request = |content| NamenodeRequest::PutObject {
            bucket: bucket.clone(),
            key: key.clone(),
            content,
            object: object.clone(),
            condition: condition.clone(),
        };
        let reply = self.commit(content, request).await?;
        reply!(reply, NamenodeReply::Put(outcome) => outcome)
    }

    /// [`NamenodeRequest::CopyObject`].
    #[allow(clippy::too_many_arguments, reason = "the fields of one request")]
    pub async fn copy_object(
        &self,
        source_bucket: BucketName,
        source_key: ObjectKey,
        source_version: Option<VersionId>,
        source_etag: ETag,
        bucket: BucketName,
        key: ObjectKey,
        object: NewObject,
        condition: WriteCondition,
    ) -> Result<PutOutcome, Failure> {
        let request = NamenodeRequest::CopyObject {
            source_bucket,
            source_key,
            source_version,
            source_etag,
            bucket,
            key,
            object,
            condition,
        };
        reply!(self.call(request).await?, NamenodeReply::Put(outcome) => outcome)
    }

    /// [`NamenodeRequest::DeleteObjects`]: one result a target, in order.
    pub async fn delete_objects(
        &self,
        bucket: BucketName,
        objects: Vec<DeleteTarget>,
        deleter: CanonicalId,
        bypass_governance: bool,
    ) -> Result<Vec<Result<DeleteOutcome, Failure>>, Failure> {
        let request = NamenodeRequest::DeleteObjects { bucket, objects, deleter, bypass_governance };
        reply!(self.call(request).await?, NamenodeReply::Deleted(outcomes) => outcomes)
    }

    /// [`NamenodeRequest::AmendObject`]: the version that was changed.
    pub async fn amend_object(
        &self,
        bucket: BucketName,
        key: ObjectKey,
        version: Option<VersionId>,
        change: ObjectChange,
    ) -> Result<VersionId, Failure> {
        let reply = self.call(NamenodeRequest::AmendObject { bucket, key, version, change }).await?;
        reply!(reply, NamenodeReply::Amended(version) => version)
    }

    /// [`NamenodeRequest::RenameObject`].
    pub async fn rename_object(
        &self,
        bucket: BucketName,
        source: ObjectKey,
        source_condition: WriteCondition,
        key: ObjectKey,
        condition: WriteCondition,
    ) -> Result<PutOutcome, Failure> {
        let request = NamenodeRequest::RenameObject { bucket, source, source_condition, key, condition };
        reply!(self.call(request).await?, NamenodeReply::Put(outcome) => outcome)
    }

    /// [`NamenodeRequest::ListObjectParts`]: the object, how many parts it has, a page of them, whether there are more.
    pub async fn list_object_parts(
        &self,
        bucket: BucketName,
        key: ObjectKey,
        version: Option<VersionId>,
        after: u16,
        limit: u32,
    ) -> Result<(ObjectVersion, u16, Vec<PartInfo>, bool), Failure> {
        let reply = self.call(NamenodeRequest::ListObjectParts { bucket, key, version, after, limit }).await?;
        reply!(reply, NamenodeReply::ObjectParts { object, parts_count, parts, truncated } =>
            (*object, parts_count, parts, truncated))
    }

    /// [`NamenodeRequest::ListVersions`].
    pub async fn list_versions(
        &self,
        bucket: BucketName,
        prefix: String,
        delimiter: String,
        after: VersionAfter,
        limit: u32,
    ) -> Result<VersionListing, Failure> {
        let reply = self.call(NamenodeRequest::ListVersions { bucket, prefix, delimiter, after, limit }).await?;
        reply!(reply, NamenodeReply::Versions(listing) => listing)
    }

    /// [`NamenodeRequest::CreateUpload`].
    #[allow(clippy::too_many_arguments, reason = "the fields of one request")]
    pub async fn create_upload(
        &self,
        bucket: BucketName,
        key: ObjectKey,
        owner: CanonicalId,
        class: StorageClass,
        checksum: Option<(ChecksumAlgorithm, ChecksumType)>,
        lock: ObjectLock,
        details: ObjectDetails,
    ) -> Result<UploadId, Failure> {
        let request = NamenodeRequest::CreateUpload { bucket, key, owner, class, checksum, lock, details };
        reply!(self.call(request).await?, NamenodeReply::Upload(upload) => upload)
    }

    /// [`NamenodeRequest::GetUpload`].
    pub async fn get_upload(
        &self,
        bucket: BucketName,
        key: ObjectKey,
        upload: UploadId,
    ) -> Result<UploadInfo, Failure> {
        let reply = self.call(NamenodeRequest::GetUpload { bucket, key, upload }).await?;
        reply!(reply, NamenodeReply::UploadFound(info) => *info)
    }

    /// [`NamenodeRequest::PutPart`]. Rewrites as [`Client::put_object`] does.
    pub async fn put_part(
        &self,
        bucket: BucketName,
        key: ObjectKey,
        upload: UploadId,
        part: PartInfo,
        content: Option<StoredContent>,
    ) -> Result<(), Failure> {
        let request = |content| NamenodeRequest::PutPart {
            bucket: bucket.clone(),
            key: key.clone(),
            upload,
            part: part.clone(),
            content,
        };
        expect_done(self.commit(content, request).await?)
    }

    /// [`NamenodeRequest::CopyPart`].
    #[allow(clippy::too_many_arguments, reason = "the fields of one request")]
    pub async fn copy_part(
        &self,
        source_bucket: BucketName,
        source_key: ObjectKey,
        source_version: Option<VersionId>,
        source_etag: ETag,
        offset: u64,
        bucket: BucketName,
        key: ObjectKey,
        upload: UploadId,
        part: PartInfo,
    ) -> Result<(), Failure> {
        let request = NamenodeRequest::CopyPart {
            source_bucket,
            source_key,
            source_version,
            source_etag,
            offset,
            bucket,
            key,
            upload,
            part,
        };
        expect_done(self.call(request).await?)
    }

    /// [`NamenodeRequest::ListParts`]; whether there are more comes last.
    pub async fn list_parts(
        &self,
        bucket: BucketName,
        key: ObjectKey,
        upload: UploadId,
        after: u16,
        limit: u32,
    ) -> Result<(UploadInfo, Vec<PartInfo>, bool), Failure> {
        let reply = self.call(NamenodeRequest::ListParts { bucket, key, upload, after, limit }).await?;
        reply!(reply, NamenodeReply::Parts { upload, parts, truncated } => (*upload, parts, truncated))
    }

    /// [`NamenodeRequest::ListUploads`].
    pub async fn list_uploads(
        &self,
        bucket: BucketName,
        prefix: String,
        delimiter: String,
        after: UploadAfter,
        limit: u32,
    ) -> Result<UploadListing, Failure> {
        let reply = self.call(NamenodeRequest::ListUploads { bucket, prefix, delimiter, after, limit }).await?;
        reply!(reply, NamenodeReply::Uploads(listing) => listing)
    }

    /// [`NamenodeRequest::CompleteUpload`].
    #[allow(clippy::too_many_arguments, reason = "the fields of one request")]
    pub async fn complete_upload(
        &self,
        bucket: BucketName,
        key: ObjectKey,
        upload: UploadId,
        parts: Vec<CompletedPart>,
        etag: ETag,
        checksum: Option<ObjectChecksum>,
        condition: WriteCondition,
    ) -> Result<PutOutcome, Failure> {
        let request = NamenodeRequest::CompleteUpload { bucket, key, upload, parts, etag, checksum, condition };
        reply!(self.call(request).await?, NamenodeReply::Put(outcome) => outcome)
    }

    /// [`NamenodeRequest::AbortUpload`].
    pub async fn abort_upload(&self, bucket: BucketName, key: ObjectKey, upload: UploadId) -> Result<(), Failure> {
        expect_done(self.call(NamenodeRequest::AbortUpload { bucket, key, upload }).await?)
    }

    /// [`NamenodeRequest::Status`].
    pub async fn status(&self) -> Result<ClusterStatus, Failure> {
        reply!(self.call(NamenodeRequest::Status).await?, NamenodeReply::Status(status) => *status)
    }

    /// [`NamenodeRequest::Space`].
    pub async fn space(&self) -> Result<SpaceReport, Failure> {
        reply!(self.call(NamenodeRequest::Space).await?, NamenodeReply::Space(report) => *report)
    }

    /// [`NamenodeRequest::Classes`].
    pub async fn classes(&self) -> Result<ClassReport, Failure> {
        reply!(self.call(NamenodeRequest::Classes).await?, NamenodeReply::Classes(report) => *report)
    }

    /// [`NamenodeRequest::LocateGroup`].
    pub async fn locate_group(
        &self,
        block: BlockId,
        offset: u32,
        length: u32,
    ) -> Result<Option<LocatedGroup>, Failure> {
        let reply = self.call(NamenodeRequest::LocateGroup { block, offset, length }).await?;
        reply!(reply, NamenodeReply::Group(group) => group.map(|group| *group))
    }

    /// [`NamenodeRequest::DescribeBlocks`].
    pub async fn describe_blocks(&self, bucket: BucketName, key: ObjectKey) -> Result<ObjectBlocks, Failure> {
        let reply = self.call(NamenodeRequest::DescribeBlocks { bucket, key }).await?;
        reply!(reply, NamenodeReply::ObjectBlocks(blocks) => blocks)
    }

    async fn commit(
        &self,
        content: Option<StoredContent>,
        request: impl Fn(Option<NewContent>) -> NamenodeRequest,
    ) -> Result<NamenodeReply, Failure> {
        match content {
            Some(content) => content.commit(|content| request(Some(content))).await,
            None => self.call(request(None)).await,
        }
    }
}

pub(crate) fn expect_done(reply: NamenodeReply) -> Result<(), Failure> {
    reply!(reply, NamenodeReply::Done => ())
}
