//! Requests that rows alone answer, without a word from soft state.

use super::view::View;
use super::{
    buckets, classes, contents, delegations, encryption_keys, jobs, lifecycle, listing, policies, reads, restores,
    settings, uploads, users, version_listing,
};
use crate::error::{Rejection, refuse};
use granary_protocol::ErrorCode;
use granary_protocol::lifecycle::LifecycleStatus;
use granary_protocol::namenode::{NamenodeReply, NamenodeRequest};

/// Answers a read as it is documented at the request.
///
/// # Errors
/// The request's own, and `InvalidArgument` for a request that is not such a read.
pub fn query<V: View + ?Sized>(view: &V, request: NamenodeRequest) -> Result<NamenodeReply, Rejection> {
    use NamenodeReply as R;
    use NamenodeRequest as Q;
    Ok(match request {
        Q::GetBucket { bucket } => R::Bucket(buckets::get_bucket(view, &bucket)?),
        Q::GetBucketSettings { bucket } => R::BucketSettings(Box::new(settings::get_bucket_settings(view, &bucket)?)),
        Q::ListBuckets { prefix, after, limit } => {
            let (buckets, truncated) = buckets::list_buckets(view, &prefix, after.as_ref(), limit)?;
            R::Buckets { buckets, truncated }
        }
        Q::ListObjects { bucket, prefix, delimiter, after, limit } => {
            R::Listing(listing::list_objects(view, &bucket, &prefix, &delimiter, &after, limit)?)
        }
        Q::ListVersions { bucket, prefix, delimiter, after, limit } => {
            R::Versions(version_listing::list_versions(view, &bucket, &prefix, &delimiter, &after, limit)?)
        }
        Q::ListObjectParts { bucket, key, version, after, limit } => {
            let (object, parts_count, parts, truncated) =
                reads::list_object_parts(view, &bucket, &key, version, after, limit)?;
            R::ObjectParts { object: Box::new(object), parts_count, parts, truncated }
        }
        Q::GetUpload { bucket, key, upload } => {
            R::UploadFound(Box::new(uploads::get_upload(view, &bucket, &key, upload)?))
        }
        Q::ListParts { bucket, key, upload, after, limit } => {
            let (upload, parts, truncated) = uploads::list_parts(view, &bucket, &key, upload, after, limit)?;
            R::Parts { upload: Box::new(upload), parts, truncated }
        }
        Q::ListUploads { bucket, prefix, delimiter, after, limit } => {
            R::Uploads(uploads::list_uploads(view, &bucket, &prefix, &delimiter, &after, limit)?)
        }
        Q::RecordsAlive { records } => R::Alive(contents::records_alive(view, &records)?),
        Q::GetUser { name } => R::User(Box::new(users::get_user(view, &name)?)),
        Q::ListUsers { after, limit } => {
            let (users, truncated) = users::list_users(view, after.as_deref(), limit)?;
            R::Users { users, truncated }
        }
        Q::FindAccessKey { access_key } => R::KeyHolder(users::find_access_key(view, &access_key)?.map(Box::new)),
        Q::FindOwners { owners } => R::Owners(users::find_owners(view, &owners)?),
        Q::ListPolicies { after, limit } => {
            let (policies, truncated) = policies::list_policies(view, after.as_deref(), limit)?;
            R::Policies { policies, truncated }
        }
        Q::GetDelegationTerm { token } => R::DelegationTerm(delegations::get_delegation_term(view, &token)?),
        Q::GetEncryptionKey { key_id } => R::EncryptionKey(encryption_keys::get_encryption_key(view, &key_id)?),
        Q::ListEncryptionKeys { after, limit } => {
            let (keys, truncated) = encryption_keys::list_encryption_keys(view, after.as_deref(), limit)?;
            R::EncryptionKeys { keys, truncated }
        }
        Q::ListLifecycleBuckets { after, limit } => {
            let (buckets, next) = lifecycle::list_lifecycle_buckets(view, after.as_ref(), limit)?;
            R::LifecycleBuckets { buckets, next }
        }
        Q::ScanVersions { bucket, prefix, from, limit } => {
            R::Scanned(lifecycle::scan_versions(view, &bucket, &prefix, &from, limit)?)
        }
        Q::GetLifecycleStatus => R::LifecycleStatus(LifecycleStatus {
            buckets: lifecycle::list_progress(view)?,
            moves_waiting: classes::moves_waiting(view)?,
            restores: restores::count_restores(view)?,
        }),
        Q::QueryJobs(query) => R::JobRows(Box::new(jobs::query_jobs(view, &query)?)),
        Q::GetRestores { bucket, versions } => R::Restores(restores::get_restores(view, &bucket, &versions)?),
        _ => return Err(refuse(ErrorCode::InvalidArgument, "not a read that rows alone answer")),
    })
}
