//! What the headers of an upload say about the object to be: class, metadata, tags, lock, list, owner.
//!
//! PutObject, CreateMultipartUpload, CopyObject and browser uploads read the same headers with the same rules.

use super::acl_request::{AclRules, acl_of_headers, acl_of_new_object};
use super::lock_headers::requested_lock;
use super::object_headers::{read_object_headers, storage_class};
use super::tag_set::tags_of_headers;
use crate::server::{GatewayState, Refusal, S3Request};
use granary_access::ObjectOwnership;
use granary_protocol::bucket::BucketDocument;
use granary_protocol::namenode::Window;
use granary_protocol::object::{ObjectDetails, ObjectLock, StorageClass};
use granary_protocol::{CanonicalId, ErrorCode, Failure};

/// What a request asks the object to be.
pub(super) struct ObjectSettings {
    pub owner: CanonicalId,
    pub class: StorageClass,
    pub lock: ObjectLock,
    pub details: ObjectDetails,
}

impl ObjectSettings {
    /// Reads the headers. Everything that can be wrong with them is found here, before the first byte is stored.
    pub async fn read(state: &GatewayState, request: &S3Request) -> Result<Self, Refusal> {
        let headers = &request.headers;
        let class = storage_class(headers)?;
        let lock = requested_lock(headers, state.now())?;
        if lock != ObjectLock::default() && request.settings().info.object_lock.is_none() {
            return Err(Failure::from(ErrorCode::ObjectLockNotEnabled).into());
        }
        let tags = tags_of_headers(headers)?;
        let requested = acl_of_headers(headers)?;
        let kept = read_object_headers(headers)?;
        let rules = AclRules::of(request.settings());
        let (writer, acl) =
            acl_of_new_object(state, &rules, request.caller().map(|caller| &caller.canonical_id), requested).await?;
        let owner = owner_where_undecided(state, request, &rules, writer).await?;
        let details = ObjectDetails { headers: kept, tags, acl, encryption: None };
        Ok(Self { owner, class, lock, details })
    }
}

/// The owner of an object that `writer` writes. Where nobody has chosen ownership and the bucket has no list, a stranger who
/// may write does not become the owner of what was there.
async fn owner_where_undecided(
    state: &GatewayState,
    request: &S3Request,
    rules: &AclRules<'_>,
    writer: CanonicalId,
) -> Result<CanonicalId, Refusal> {
    let has_list = request.settings().document(BucketDocument::Acl).is_some();
    if rules.ownership != ObjectOwnership::Undecided || has_list || writer == *rules.bucket_owner {
        return Ok(writer);
    }
    match state.client.get_object(request.bucket.clone(), request.key.clone(), None, Window::Nothing).await {
        Ok(read) => Ok(read.object.owner),
        Err(failure) if matches!(failure.code, ErrorCode::NoSuchKey | ErrorCode::DeleteMarker { .. }) => Ok(writer),
        Err(failure) => Err(failure.into()),
    }
}
