//! `docs/s3-compatibility.md`: every operation of AWS's service model, and what this store does with it.
//!
//! The table is made from the router, so that it cannot say more than is served; a test fails while the file is not what
//! this makes of it. `GRANARY_WRITE_DOCS=1 cargo test -p granary-gateway compatibility` writes the file.

use super::operation::Scope::{Bucket, Object, Service};
use super::operation::{Operation, Route, Scope, route};
use crate::request::Query;
use std::fmt::Write as _;
use std::path::PathBuf;

/// The operations of botocore's model of S3, each as a request: where, method, query.
#[rustfmt::skip]
const MODEL: &[(&str, Scope, &str, &str)] = &[
    ("AbortMultipartUpload", Object, "DELETE", "uploadId=1"),
    ("CompleteMultipartUpload", Object, "POST", "uploadId=1"),
    ("CopyObject", Object, "PUT", ""),
    ("CreateBucket", Bucket, "PUT", ""),
    ("CreateBucketMetadataConfiguration", Bucket, "POST", "metadataConfiguration"),
    ("CreateBucketMetadataTableConfiguration", Bucket, "POST", "metadataTable"),
    ("CreateMultipartUpload", Object, "POST", "uploads"),
    ("DeleteBucket", Bucket, "DELETE", ""),
    ("DeleteBucketAnalyticsConfiguration", Bucket, "DELETE", "analytics&id=a"),
    ("DeleteBucketCors", Bucket, "DELETE", "cors"),
    ("DeleteBucketEncryption", Bucket, "DELETE", "encryption"),
    ("DeleteBucketIntelligentTieringConfiguration", Bucket, "DELETE", "intelligent-tiering&id=a"),
    ("DeleteBucketInventoryConfiguration", Bucket, "DELETE", "inventory&id=a"),
    ("DeleteBucketLifecycle", Bucket, "DELETE", "lifecycle"),
    ("DeleteBucketMetadataConfiguration", Bucket, "DELETE", "metadataConfiguration"),
    ("DeleteBucketMetadataTableConfiguration", Bucket, "DELETE", "metadataTable"),
    ("DeleteBucketMetricsConfiguration", Bucket, "DELETE", "metrics&id=a"),
    ("DeleteBucketOwnershipControls", Bucket, "DELETE", "ownershipControls"),
    ("DeleteBucketPolicy", Bucket, "DELETE", "policy"),
    ("DeleteBucketReplication", Bucket, "DELETE", "replication"),
    ("DeleteBucketTagging", Bucket, "DELETE", "tagging"),
    ("DeleteBucketWebsite", Bucket, "DELETE", "website"),
    ("DeleteObject", Object, "DELETE", ""),
    ("DeleteObjectAnnotation", Object, "DELETE", "annotation"),
    ("DeleteObjectTagging", Object, "DELETE", "tagging"),
    ("DeleteObjects", Bucket, "POST", "delete"),
    ("DeletePublicAccessBlock", Bucket, "DELETE", "publicAccessBlock"),
    ("GetBucketAbac", Bucket, "GET", "abac"),
    ("GetBucketAccelerateConfiguration", Bucket, "GET", "accelerate"),
    ("GetBucketAcl", Bucket, "GET", "acl"),
    ("GetBucketAnalyticsConfiguration", Bucket, "GET", "analytics&id=a"),
    ("GetBucketCors", Bucket, "GET", "cors"),
    ("GetBucketEncryption", Bucket, "GET", "encryption"),
    ("GetBucketIntelligentTieringConfiguration", Bucket, "GET", "intelligent-tiering&id=a"),
    ("GetBucketInventoryConfiguration", Bucket, "GET", "inventory&id=a"),
    ("GetBucketLifecycle", Bucket, "GET", "lifecycle"),
    ("GetBucketLifecycleConfiguration", Bucket, "GET", "lifecycle"),
    ("GetBucketLocation", Bucket, "GET", "location"),
    ("GetBucketLogging", Bucket, "GET", "logging"),
    ("GetBucketMetadataConfiguration", Bucket, "GET", "metadataConfiguration"),
    ("GetBucketMetadataTableConfiguration", Bucket, "GET", "metadataTable"),
    ("GetBucketMetricsConfiguration", Bucket, "GET", "metrics&id=a"),
    ("GetBucketNotification", Bucket, "GET", "notification"),
    ("GetBucketNotificationConfiguration", Bucket, "GET", "notification"),
    ("GetBucketOwnershipControls", Bucket, "GET", "ownershipControls"),
    ("GetBucketPolicy", Bucket, "GET", "policy"),
    ("GetBucketPolicyStatus", Bucket, "GET", "policyStatus"),
    ("GetBucketReplication", Bucket, "GET", "replication"),
    ("GetBucketRequestPayment", Bucket, "GET", "requestPayment"),
    ("GetBucketTagging", Bucket, "GET", "tagging"),
    ("GetBucketVersioning", Bucket, "GET", "versioning"),
    ("GetBucketWebsite", Bucket, "GET", "website"),
    ("GetObject", Object, "GET", ""),
    ("GetObjectAcl", Object, "GET", "acl"),
    ("GetObjectAnnotation", Object, "GET", "annotation"),
    ("GetObjectAttributes", Object, "GET", "attributes"),
    ("GetObjectLegalHold", Object, "GET", "legal-hold"),
    ("GetObjectLockConfiguration", Bucket, "GET", "object-lock"),
    ("GetObjectRetention", Object, "GET", "retention"),
    ("GetObjectTagging", Object, "GET", "tagging"),
    ("GetObjectTorrent", Object, "GET", "torrent"),
    ("GetPublicAccessBlock", Bucket, "GET", "publicAccessBlock"),
    ("HeadBucket", Bucket, "HEAD", ""),
    ("HeadObject", Object, "HEAD", ""),
    ("ListBucketAnalyticsConfigurations", Bucket, "GET", "analytics"),
    ("ListBucketIntelligentTieringConfigurations", Bucket, "GET", "intelligent-tiering"),
    ("ListBucketInventoryConfigurations", Bucket, "GET", "inventory"),
    ("ListBucketMetricsConfigurations", Bucket, "GET", "metrics"),
    ("ListBuckets", Service, "GET", ""),
    ("ListMultipartUploads", Bucket, "GET", "uploads"),
    ("ListObjectAnnotations", Object, "GET", "annotation"),
    ("ListObjectVersions", Bucket, "GET", "versions"),
    ("ListObjects", Bucket, "GET", ""),
    ("ListObjectsV2", Bucket, "GET", "list-type=2"),
    ("ListParts", Object, "GET", "uploadId=1"),
    ("PutBucketAbac", Bucket, "PUT", "abac"),
    ("PutBucketAccelerateConfiguration", Bucket, "PUT", "accelerate"),
    ("PutBucketAcl", Bucket, "PUT", "acl"),
    ("PutBucketAnalyticsConfiguration", Bucket, "PUT", "analytics&id=a"),
    ("PutBucketCors", Bucket, "PUT", "cors"),
    ("PutBucketEncryption", Bucket, "PUT", "encryption"),
    ("PutBucketIntelligentTieringConfiguration", Bucket, "PUT", "intelligent-tiering&id=a"),
    ("PutBucketInventoryConfiguration", Bucket, "PUT", "inventory&id=a"),
    ("PutBucketLifecycle", Bucket, "PUT", "lifecycle"),
    ("PutBucketLifecycleConfiguration", Bucket, "PUT", "lifecycle"),
    ("PutBucketLogging", Bucket, "PUT", "logging"),
    ("PutBucketMetricsConfiguration", Bucket, "PUT", "metrics&id=a"),
    ("PutBucketNotification", Bucket, "PUT", "notification"),
    ("PutBucketNotificationConfiguration", Bucket, "PUT", "notification"),
    ("PutBucketOwnershipControls", Bucket, "PUT", "ownershipControls"),
    ("PutBucketPolicy", Bucket, "PUT", "policy"),
    ("PutBucketReplication", Bucket, "PUT", "replication"),
    ("PutBucketRequestPayment", Bucket, "PUT", "requestPayment"),
    ("PutBucketTagging", Bucket, "PUT", "tagging"),
    ("PutBucketVersioning", Bucket, "PUT", "versioning"),
    ("PutBucketWebsite", Bucket, "PUT", "website"),
    ("PutObject", Object, "PUT", ""),
    ("PutObjectAcl", Object, "PUT", "acl"),
    ("PutObjectAnnotation", Object, "PUT", "annotation"),
    ("PutObjectLegalHold", Object, "PUT", "legal-hold"),
    ("PutObjectLockConfiguration", Bucket, "PUT", "object-lock"),
    ("PutObjectRetention", Object, "PUT", "retention"),
    ("PutObjectTagging", Object, "PUT", "tagging"),
    ("PutPublicAccessBlock", Bucket, "PUT", "publicAccessBlock"),
    ("RenameObject", Object, "PUT", "renameObject"),
    ("RestoreObject", Object, "POST", "restore"),
    ("SelectObjectContent", Object, "POST", "select&select-type=2"),
    ("UpdateBucketMetadataAnnotationTableConfiguration", Bucket, "PUT", "metadataAnnotationTable"),
    ("UpdateBucketMetadataInventoryTableConfiguration", Bucket, "PUT", "metadataInventoryTable"),
    ("UpdateBucketMetadataJournalTableConfiguration", Bucket, "PUT", "metadataJournalTable"),
    ("UpdateObjectEncryption", Object, "PUT", "encryption"),
    ("UploadPart", Object, "PUT", "uploadId=1&partNumber=1"),
    ("UploadPartCopy", Object, "PUT", "uploadId=1&partNumber=1"),
];

/// Operations of the model that are about something else than general purpose buckets.
const NOT_APPLICABLE: &[(&str, &str)] = &[
    ("CreateSession", "directory buckets"),
    ("ListDirectoryBuckets", "directory buckets"),
    ("WriteGetObjectResponse", "Object Lambda"),
];

/// Older names of operations that are served under their newer one.
const OLD_NAMES: &[(&str, Operation)] = &[
    ("GetBucketLifecycle", Operation::GetBucketLifecycleConfiguration),
    ("GetBucketNotification", Operation::GetBucketNotificationConfiguration),
    ("PutBucketLifecycle", Operation::PutBucketLifecycleConfiguration),
    ("PutBucketNotification", Operation::PutBucketNotificationConfiguration),
];

/// Operations that are served with a refusal, whatever the request, or with an answer that is always the same.
const ALWAYS: &[(Operation, &str)] = &[
    (Operation::GetBucketReplication, "refused: 404 ReplicationConfigurationNotFoundError (no bucket has one)"),
    (Operation::DeleteBucketReplication, "works: 204 (no bucket has one)"),
    (Operation::GetBucketAnalyticsConfiguration, "refused: 404 NoSuchConfiguration (no bucket has one)"),
    (Operation::DeleteBucketAnalyticsConfiguration, "refused: 404 NoSuchConfiguration (no bucket has one)"),
    (Operation::ListBucketAnalyticsConfigurations, "works: an empty list"),
    (Operation::GetBucketInventoryConfiguration, "refused: 404 NoSuchConfiguration (no bucket has one)"),
    (Operation::DeleteBucketInventoryConfiguration, "refused: 404 NoSuchConfiguration (no bucket has one)"),
    (Operation::ListBucketInventoryConfigurations, "works: an empty list"),
    (Operation::GetBucketMetricsConfiguration, "refused: 404 NoSuchConfiguration (no bucket has one)"),
    (Operation::DeleteBucketMetricsConfiguration, "refused: 404 NoSuchConfiguration (no bucket has one)"),
    (Operation::ListBucketMetricsConfigurations, "works: an empty list"),
    (Operation::GetBucketIntelligentTieringConfiguration, "refused: 404 NoSuchConfiguration (no bucket has one)"),
    (Operation::DeleteBucketIntelligentTieringConfiguration, "refused: 404 NoSuchConfiguration (no bucket has one)"),
    (Operation::ListBucketIntelligentTieringConfigurations, "works: an empty list"),
];

/// What is worth knowing about operations that work.
const NOTES: &[(Operation, &str)] = &[
    (Operation::CreateBucket, "whether lists count in a new bucket is the setting `new_buckets`"),
    (Operation::RenameObject, "in buckets that keep no versions"),
    (Operation::RestoreObject, "restores that select from an archive are refused: 501 NotImplemented"),
    (Operation::PutBucketVersioning, "MFA Delete is refused: 501 NotImplemented"),
    (Operation::PutBucketLifecycleConfiguration, "see docs/lifecycle.md"),
    (Operation::PutBucketAccelerateConfiguration, "kept and shown; there is only one road to this store"),
    (Operation::PutBucketRequestPayment, "kept and shown; nobody is billed"),
    (Operation::DeleteBucketEncryption, "returns to what the store does by default"),
    (
        Operation::GetBucketEncryption,
        "404 ServerSideEncryptionConfigurationNotFoundError where neither bucket nor store encrypts by default",
    ),
];

const HEAD: &str = "# S3 operations

Every operation of AWS's S3 service model, and what this store does with it. Made by the gateway's tests from its routing
table; `GRANARY_WRITE_DOCS=1 cargo test -p granary-gateway compatibility` writes it anew.

Semantics and error codes are AWS's, the present ones where they have changed. Differences:

- New buckets show `BucketOwnerEnforced`, as on AWS, and nothing in them is public; but as long as nobody has chosen ownership, an
  access control list that the owner puts is accepted, and public access is not blocked until somebody says so. With the setting
  `new_buckets = \"guarded\"` buckets are created exactly as AWS does since April 2023, with `\"open\"` as it did before
  (`access-control.md`).
- `If-None-Match` with a tag is a condition on writes, too; AWS answers 501. So are `If-Match: *`, `If-Match` on a delete that names a
  version, `x-amz-if-match-size` and `x-amz-if-match-last-modified-time`.
- A presigned URL whose `X-Amz-Expires` is not 1 to 604800 is answered 403 `AccessDenied`, as one that has expired (AWS: 400
  `AuthorizationQueryParametersError`).
- A read with another SSE-C key than the object's is 400 `InvalidArgument` (AWS: 403 `AccessDenied`).
- `x-amz-confirm-remove-self-bucket-access` has no effect: no policy keeps a bucket's owner from its policy.
- Copies of multipart objects keep their ETag, and their parts: no byte is read for a copy.
- A checksum header that can be no checksum is `BadDigest` (AWS: `InvalidRequest`), a part number that an object does not have is 400
  `InvalidPart` (AWS: 416 `InvalidPartNumber`), more than ten tags are `InvalidTag` (AWS: `BadRequest`), a copied range beyond the
  source's end is `InvalidRange` (AWS: `InvalidArgument`).
- GetBucketPolicyStatus answers for buckets without a policy, too, and counts public lists.
- PUT with `Transfer-Encoding: chunked` and no length is accepted.

| operation | here |
|---|---|
";

fn answer(name: &str, scope: Scope, method: &str, query: &str) -> String {
    let query = Query::parse(Some(query)).unwrap();
    let has_copy_source = matches!(name, "CopyObject" | "UploadPartCopy");
    match route(scope, &method.parse().unwrap(), &query, has_copy_source).unwrap() {
        Route::Serve(operation) => {
            let old_name = OLD_NAMES.iter().any(|(old, new)| *old == name && *new == operation);
            assert!(old_name || operation.name() == name, "{name} is routed to {operation:?}");
            let always = ALWAYS.iter().find(|(other, _)| *other == operation);
            let note = NOTES.iter().find(|(other, _)| *other == operation);
            match (always, note, old_name) {
                (Some((_, text)), _, _) => (*text).to_owned(),
                (None, _, true) => format!("works, as {}", operation.name()),
                (None, Some((_, note)), false) => format!("works; {note}"),
                (None, None, false) => "works".to_owned(),
            }
        }
        Route::NotImplemented(_) => "refused: 501 NotImplemented".to_owned(),
        Route::Refused(_, code) => format!("refused: {} {code}", code.status_u16()),
        Route::MethodNotAllowed => "refused: 405 MethodNotAllowed".to_owned(),
    }
}

fn rendered() -> String {
    let mut rows: Vec<(&str, String)> = MODEL
        .iter()
        .map(|(name, scope, method, query)| (*name, answer(name, *scope, method, query)))
        .chain(NOT_APPLICABLE.iter().map(|(name, what)| (*name, format!("not applicable: {what}"))))
        .collect();
    rows.push(("PostObject (browser form)", answer("PostObject", Bucket, "POST", "")));
    rows.push(("CORS preflight (OPTIONS)", "works".to_owned()));
    rows.sort_unstable();
    let mut text = HEAD.to_owned();
    for (name, answer) in rows {
        writeln!(text, "| {name} | {answer} |").unwrap();
    }
    text
}

#[test]
fn the_compatibility_table_is_what_the_router_does() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/s3-compatibility.md");
    let rendered = rendered();
    if std::env::var_os("GRANARY_WRITE_DOCS").is_some() {
        std::fs::write(&path, &rendered).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == rendered,
        "docs/s3-compatibility.md is stale: GRANARY_WRITE_DOCS=1 cargo test -p granary-gateway compatibility"
    );
}

#[test]
fn every_served_operation_is_in_the_model() {
    for operation in Operation::ALL.iter().filter(|operation| **operation != Operation::PostObject) {
        assert!(MODEL.iter().any(|(name, ..)| *name == operation.name()), "{operation:?}");
    }
}

/// An unknown subresource would be an ordinary parameter, and a PUT of it a PUT of the object.
#[test]
fn no_operation_of_the_model_is_taken_for_another() {
    for (name, scope, method, query) in MODEL {
        answer(name, *scope, method, query);
    }
}
