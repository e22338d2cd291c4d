//! The S3 operations, one file a family, and the one place that calls them.
//!
//! Every operation gets a request that was authenticated and allowed, and returns a response or a refusal. None of them
//! decides what another request may see at the same time: conditions and versions are settled where the metadata change.

mod acl;
mod acl_document;
mod acl_request;
mod archive;
mod bucket;
mod bucket_access;
mod bucket_configuration;
mod bucket_documents;
mod bucket_lifecycle;
mod bucket_unbuilt;
mod checksums;
mod complete_upload;
mod copied_content;
mod copy_object;
mod copy_source;
mod cors;
mod create_bucket;
mod delete_object;
mod delete_objects;
mod events;
mod form_headers;
mod get_object;
mod list_buckets;
mod list_objects;
mod list_parts;
mod list_uploads;
mod list_versions;
mod lock_headers;
mod new_object;
mod object_attributes;
mod object_headers;
mod object_lock;
mod object_lock_configuration;
mod object_tagging;
mod owners;
mod page;
mod post_object;
mod put_object;
mod refused_headers;
mod rename_object;
mod response_headers;
mod restore_object;
mod rewrite;
mod store_body;
mod tag_set;
pub(crate) mod text;
mod upload;
mod upload_part;
mod upload_part_copy;
mod version;
mod write_condition;
mod xml_element;
pub(crate) mod xml_reader;
pub(crate) mod xml_writer;

pub(crate) use cors::{CrossOrigin, add_cors, preflight};
pub(crate) use form_headers::headers_of_form;
pub(crate) use lock_headers::wants_bypass;
pub(crate) use post_object::FormReply;
pub(crate) use response_headers::last_modified_value;
pub(crate) use tag_set::parse_object_tagging;
pub(crate) use text::{parse_version, version_text};
pub(crate) use xml_element::Element;

use crate::server::{GatewayState, Operation, Refusal, S3Request, S3Response};
use std::sync::Arc;

/// What every operation returns.
type Outcome = Result<S3Response, Refusal>;

/// Runs an operation. What it has in common with all others is checked here first.
///
/// Only HeadObject's future is part of this one: every request's future is as large as the largest it holds, and is copied
/// once as a whole.
pub(crate) async fn run(operation: Operation, state: &Arc<GatewayState>, request: Box<S3Request>) -> Outcome {
    match operation {
        Operation::HeadObject => get_object::head_object(state, &request).await,
        Operation::GetObject => Box::pin(get_object::get_object(state, &request)).await,
        Operation::PutObject => Box::pin(put_object::put_object(state, request)).await,
        Operation::PostObject => Box::pin(post_object::post_object(state, request)).await,
        Operation::DeleteObject => Box::pin(delete_object::delete_object(state, *request)).await,
        Operation::ListBuckets => Box::pin(list_buckets::list_buckets(state, *request)).await,
        Operation::CreateBucket => Box::pin(create_bucket::create_bucket(state, *request)).await,
        Operation::HeadBucket => Box::pin(bucket::head_bucket(state, *request)).await,
        Operation::DeleteBucket => Box::pin(bucket::delete_bucket(state, *request)).await,
        Operation::GetBucketLocation => Box::pin(bucket::get_bucket_location(state, *request)).await,
        Operation::GetBucketVersioning => Box::pin(bucket_configuration::get_bucket_versioning(state, *request)).await,
        Operation::PutBucketVersioning => Box::pin(bucket_configuration::put_bucket_versioning(state, *request)).await,
        Operation::GetBucketTagging => Box::pin(bucket_configuration::get_bucket_tagging(state, *request)).await,
        Operation::PutBucketTagging => Box::pin(bucket_configuration::put_bucket_tagging(state, *request)).await,
        Operation::DeleteBucketTagging => Box::pin(bucket_configuration::delete_bucket_tagging(state, *request)).await,
        Operation::GetBucketCors => Box::pin(bucket_configuration::get_bucket_cors(state, *request)).await,
        Operation::PutBucketCors => Box::pin(bucket_configuration::put_bucket_cors(state, *request)).await,
        Operation::DeleteBucketCors => Box::pin(bucket_configuration::delete_bucket_cors(state, *request)).await,
        Operation::GetBucketEncryption => Box::pin(bucket_configuration::get_bucket_encryption(state, *request)).await,
        Operation::PutBucketEncryption => Box::pin(bucket_configuration::put_bucket_encryption(state, *request)).await,
        Operation::DeleteBucketEncryption => {
            Box::pin(bucket_configuration::delete_bucket_encryption(state, *request)).await
        }
        Operation::GetBucketWebsite => Box::pin(bucket_configuration::get_bucket_website(state, *request)).await,
        Operation::PutBucketWebsite => Box::pin(bucket_configuration::put_bucket_website(state, *request)).await,
        Operation::DeleteBucketWebsite => Box::pin(bucket_configuration::delete_bucket_website(state, *request)).await,
        Operation::GetBucketLogging => Box::pin(bucket_configuration::get_bucket_logging(state, *request)).await,
        Operation::PutBucketLogging => Box::pin(bucket_configuration::put_bucket_logging(state, *request)).await,
        Operation::GetBucketRequestPayment => {
            Box::pin(bucket_configuration::get_bucket_request_payment(state, *request)).await
        }
        Operation::PutBucketRequestPayment => {
            Box::pin(bucket_configuration::put_bucket_request_payment(state, *request)).await
        }
        Operation::GetBucketNotificationConfiguration => {
            Box::pin(bucket_configuration::get_bucket_notification(state, *request)).await
        }
        Operation::PutBucketNotificationConfiguration => {
            Box::pin(bucket_configuration::put_bucket_notification(state, *request)).await
        }
        Operation::GetBucketAccelerateConfiguration => {
            Box::pin(bucket_configuration::get_bucket_accelerate(state, *request)).await
        }
        Operation::PutBucketAccelerateConfiguration => {
            Box::pin(bucket_configuration::put_bucket_accelerate(state, *request)).await
        }
        Operation::GetBucketPolicy => Box::pin(bucket_access::get_bucket_policy(state, *request)).await,
        Operation::PutBucketPolicy => Box::pin(bucket_access::put_bucket_policy(state, *request)).await,
        Operation::DeleteBucketPolicy => Box::pin(bucket_access::delete_bucket_policy(state, *request)).await,
        Operation::GetBucketPolicyStatus => Box::pin(bucket_access::get_bucket_policy_status(state, *request)).await,
        Operation::GetPublicAccessBlock => Box::pin(bucket_access::get_public_access_block(state, *request)).await,
        Operation::PutPublicAccessBlock => Box::pin(bucket_access::put_public_access_block(state, *request)).await,
        Operation::DeletePublicAccessBlock => {
            Box::pin(bucket_access::delete_public_access_block(state, *request)).await
        }
        Operation::GetBucketOwnershipControls => {
            Box::pin(bucket_access::get_bucket_ownership_controls(state, *request)).await
        }
        Operation::PutBucketOwnershipControls => {
            Box::pin(bucket_access::put_bucket_ownership_controls(state, *request)).await
        }
        Operation::DeleteBucketOwnershipControls => {
            Box::pin(bucket_access::delete_bucket_ownership_controls(state, *request)).await
        }
        Operation::GetBucketLifecycleConfiguration => {
            Box::pin(bucket_lifecycle::get_bucket_lifecycle(state, *request)).await
        }
        Operation::PutBucketLifecycleConfiguration => {
            Box::pin(bucket_lifecycle::put_bucket_lifecycle(state, *request)).await
        }
        Operation::DeleteBucketLifecycle => Box::pin(bucket_lifecycle::delete_bucket_lifecycle(state, *request)).await,
        Operation::GetBucketReplication => bucket_unbuilt::get_replication(&request),
        Operation::DeleteBucketReplication => bucket_unbuilt::delete_replication(),
        Operation::GetBucketAnalyticsConfiguration
        | Operation::DeleteBucketAnalyticsConfiguration
        | Operation::GetBucketInventoryConfiguration
        | Operation::DeleteBucketInventoryConfiguration
        | Operation::GetBucketMetricsConfiguration
        | Operation::DeleteBucketMetricsConfiguration
        | Operation::GetBucketIntelligentTieringConfiguration
        | Operation::DeleteBucketIntelligentTieringConfiguration => bucket_unbuilt::no_configuration(&request),
        Operation::ListBucketAnalyticsConfigurations => {
            bucket_unbuilt::empty_list("ListBucketAnalyticsConfigurationResult")
        }
        Operation::ListBucketInventoryConfigurations => bucket_unbuilt::empty_list("ListInventoryConfigurationsResult"),
        Operation::ListBucketMetricsConfigurations => bucket_unbuilt::empty_list("ListMetricsConfigurationsResult"),
        Operation::ListBucketIntelligentTieringConfigurations => {
            bucket_unbuilt::empty_list("ListBucketIntelligentTieringConfigurationsOutput")
        }
        Operation::ListObjects => Box::pin(list_objects::list_objects(state, *request)).await,
        Operation::ListObjectsV2 => Box::pin(list_objects::list_objects_v2(state, *request)).await,
        Operation::ListMultipartUploads => Box::pin(list_uploads::list_uploads(state, *request)).await,
        Operation::DeleteObjects => Box::pin(delete_objects::delete_objects(state, *request)).await,
        Operation::CopyObject => Box::pin(copy_object::copy_object(state, *request)).await,
        Operation::CreateMultipartUpload => Box::pin(upload::create_upload(state, *request)).await,
        Operation::AbortMultipartUpload => Box::pin(upload::abort_upload(state, *request)).await,
        Operation::UploadPart => Box::pin(upload_part::upload_part(state, *request)).await,
        Operation::UploadPartCopy => Box::pin(upload_part_copy::upload_part_copy(state, *request)).await,
        Operation::CompleteMultipartUpload => Box::pin(complete_upload::complete_upload(state, *request)).await,
        Operation::ListObjectVersions => Box::pin(list_versions::list_object_versions(state, *request)).await,
        Operation::GetBucketAcl => Box::pin(acl::get_bucket_acl(state, *request)).await,
        Operation::PutBucketAcl => Box::pin(acl::put_bucket_acl(state, *request)).await,
        Operation::GetObjectAcl => Box::pin(acl::get_object_acl(state, *request)).await,
        Operation::PutObjectAcl => Box::pin(acl::put_object_acl(state, *request)).await,
        Operation::GetObjectLockConfiguration => {
            Box::pin(object_lock_configuration::get_object_lock_configuration(*request)).await
        }
        Operation::PutObjectLockConfiguration => {
            Box::pin(object_lock_configuration::put_object_lock_configuration(state, *request)).await
        }
        Operation::GetObjectAttributes => Box::pin(object_attributes::get_object_attributes(state, *request)).await,
        Operation::GetObjectTagging => Box::pin(object_tagging::get_object_tagging(state, *request)).await,
        Operation::PutObjectTagging => Box::pin(object_tagging::put_object_tagging(state, *request)).await,
        Operation::DeleteObjectTagging => Box::pin(object_tagging::delete_object_tagging(state, *request)).await,
        Operation::GetObjectRetention => Box::pin(object_lock::get_object_retention(state, *request)).await,
        Operation::PutObjectRetention => Box::pin(object_lock::put_object_retention(state, *request)).await,
        Operation::GetObjectLegalHold => Box::pin(object_lock::get_object_legal_hold(state, *request)).await,
        Operation::PutObjectLegalHold => Box::pin(object_lock::put_object_legal_hold(state, *request)).await,
        Operation::RenameObject => Box::pin(rename_object::rename_object(state, *request)).await,
        Operation::RestoreObject => Box::pin(restore_object::restore_object(state, *request)).await,
        Operation::ListParts => Box::pin(list_parts::list_parts(state, *request)).await,
    }
}
