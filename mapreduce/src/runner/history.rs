//! Histories of jobs as objects, in a bucket that is made when the first is written.

use bytes::Bytes;
use granary_client::Client;
use granary_protocol::namenode::{NewObject, WriteCondition};
use granary_protocol::object::{ETag, ObjectDetails, ObjectLock, StorageClass};
use granary_protocol::{BucketName, CanonicalId, ErrorCode, Failure, ObjectKey};
use md5::{Digest, Md5};

/// The region that buckets made here are in, as for all of a store.
const REGION: &str = "us-east-1";

/// Writes a history; the operator owns it.
pub(super) async fn write(
    client: &Client,
    operator: CanonicalId,
    bucket: BucketName,
    key: ObjectKey,
    lines: Bytes,
) -> Result<(), Failure> {
    match client.get_bucket(bucket.clone()).await {
        Err(failure) if failure.code == ErrorCode::NoSuchBucket => {
            let made = client.create_bucket(bucket.clone(), operator.clone(), REGION.to_owned(), false, Vec::new());
            match made.await.map_err(|failure| failure.code) {
                // Another runner has made it meanwhile.
                Ok(()) | Err(ErrorCode::BucketAlreadyOwnedByYou) => {}
                Err(code) => return Err(code.into()),
            }
        }
        Err(failure) => return Err(failure),
        // A bucket of somebody else's is not written to.
        Ok(info) if info.owner != operator => {
            return Err(Failure::new(ErrorCode::AccessDenied, format!("{bucket} is not the operator's")));
        }
        Ok(_) => {}
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
