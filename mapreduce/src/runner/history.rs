//! Histories of jobs as objects, in the bucket that the job service has made for them.

use bytes::Bytes;
use granary_client::Client;
use granary_protocol::namenode::{NewObject, WriteCondition};
use granary_protocol::object::{ETag, ObjectDetails, ObjectLock, StorageClass};
use granary_protocol::{BucketName, CanonicalId, ErrorCode, Failure, ObjectKey};
use md5::{Digest, Md5};

/// Writes a history; the operator owns it.
pub(super) async fn write(
    client: &Client,
    operator: CanonicalId,
    bucket: BucketName,
    key: ObjectKey,
    lines: Bytes,
) -> Result<(), Failure> {
    // A bucket of somebody else's is not written to.
    if client.get_bucket(bucket.clone()).await?.owner != operator {
        return Err(Failure::new(ErrorCode::AccessDenied, format!("{bucket} is not the operator's")));
    }
    let object = NewObject {
        size: lines.len() as u64,
        etag: ETag { md5: Md5::digest(&lines).into(), parts: None },
        owner: operator,
        class: StorageClass::Standard,
        checksum: None,
        lock: ObjectLock::default(),
        details: ObjectDetails::default(),
    };
    let mut writer = client.writer(Some(lines.len() as u64), StorageClass::Standard);
    writer.write(lines).await?;
    let content = writer.finish().await?;
    client.put_object(bucket, key, content, object, WriteCondition::default()).await.map(drop)
}
