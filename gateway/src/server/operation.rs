//! Which operation a request asks for: one table over method, scope and subresource.
//!
//! Everything AWS documents has a row. What is not built answers 501 at once, because SDKs retry 500 but not 501; a method
//! a resource does not have is 405. Query parameters that are no subresource (`prefix`, `x-id`, `X-Amz-Date` …) do not
//! take part; two subresources at once are refused.
//!
//! Source: "Actions", Amazon S3 API reference.

use crate::error::{S3Error, S3ErrorCode};
use crate::request::Query;
use http::Method;

/// Expands the operations into the enum and their names.
macro_rules! operations {
    ($($name:ident)+) => {
        /// An operation that is served.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Operation {
            $(#[doc = concat!("S3's `", stringify!($name), "`.")] $name,)+
        }

        impl Operation {
            /// All of them.
            pub const ALL: &'static [Operation] = &[$(Operation::$name,)+];

            /// The name S3 uses.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Operation::$name => stringify!($name),)+
                }
            }
        }
    };
}

operations! {
    ListBuckets
    CreateBucket HeadBucket DeleteBucket GetBucketLocation GetBucketVersioning PutBucketVersioning
    GetBucketTagging PutBucketTagging DeleteBucketTagging
    GetBucketPolicy PutBucketPolicy DeleteBucketPolicy GetBucketPolicyStatus
    GetPublicAccessBlock PutPublicAccessBlock DeletePublicAccessBlock
    GetBucketOwnershipControls PutBucketOwnershipControls DeleteBucketOwnershipControls
    GetBucketCors PutBucketCors DeleteBucketCors
    GetBucketEncryption PutBucketEncryption DeleteBucketEncryption
    GetBucketLifecycleConfiguration PutBucketLifecycleConfiguration DeleteBucketLifecycle
    GetBucketWebsite PutBucketWebsite DeleteBucketWebsite
    GetBucketNotificationConfiguration PutBucketNotificationConfiguration
    GetBucketLogging PutBucketLogging
    GetBucketRequestPayment PutBucketRequestPayment
    GetBucketAccelerateConfiguration PutBucketAccelerateConfiguration
    GetBucketReplication DeleteBucketReplication
    GetBucketAnalyticsConfiguration DeleteBucketAnalyticsConfiguration ListBucketAnalyticsConfigurations
    GetBucketInventoryConfiguration DeleteBucketInventoryConfiguration ListBucketInventoryConfigurations
    GetBucketMetricsConfiguration DeleteBucketMetricsConfiguration ListBucketMetricsConfigurations
    GetBucketIntelligentTieringConfiguration DeleteBucketIntelligentTieringConfiguration
    ListBucketIntelligentTieringConfigurations
    ListObjects ListObjectsV2 ListObjectVersions ListMultipartUploads DeleteObjects PostObject
    GetBucketAcl PutBucketAcl GetObjectLockConfiguration PutObjectLockConfiguration
    GetObjectAcl PutObjectAcl GetObjectAttributes GetObjectTagging PutObjectTagging DeleteObjectTagging
    GetObjectRetention PutObjectRetention GetObjectLegalHold PutObjectLegalHold RenameObject RestoreObject
    PutObject GetObject HeadObject DeleteObject CopyObject
    CreateMultipartUpload UploadPart UploadPartCopy CompleteMultipartUpload AbortMultipartUpload ListParts
}

impl Operation {
    /// Whether it changes objects, so that somebody may want to be told.
    pub(super) const fn changes_object(self) -> bool {
        matches!(
            self,
            Self::PutObject
                | Self::PostObject
                | Self::CopyObject
                | Self::CompleteMultipartUpload
                | Self::DeleteObject
                | Self::DeleteObjects
                | Self::RenameObject
                | Self::RestoreObject
                | Self::PutObjectTagging
                | Self::DeleteObjectTagging
                | Self::PutObjectAcl
        )
    }
}

impl Operation {
    /// Whether a write makes an object, rather than a part of one: `s3:ObjectCreationOperation` of policies. `None` for what
    /// needs no `s3:PutObject`.
    pub(super) const fn creates_object(self) -> Option<bool> {
        match self {
            Self::PutObject | Self::PostObject | Self::CopyObject | Self::CompleteMultipartUpload => Some(true),
            Self::CreateMultipartUpload | Self::UploadPart | Self::UploadPartCopy => Some(false),
            _ => None,
        }
    }
}

/// What a request's target is, as far as the table cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// `/`
    Service,
    /// A bucket.
    Bucket,
    /// An object.
    Object,
}

/// Where the table leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// Serve it.
    Serve(Operation),
    /// Known to AWS, not built here: 501.
    NotImplemented(&'static str),
    /// Known to AWS, which refuses it to everybody, or to everybody new.
    Refused(&'static str, S3ErrorCode),
    /// No such operation: 405.
    MethodNotAllowed,
}

/// Subresources that are operations of their own here, and all that AWS knows besides.
/// `(scope, subresource, [(method, operation)])`.
type Row = (Scope, &'static str, &'static [(&'static str, Route)]);

const fn missing(name: &'static str) -> Route {
    Route::NotImplemented(name)
}

use Operation as Op;
use Route::Serve;
use Scope::{Bucket, Object, Service};

const TABLE: &[Row] = &[
    (Service, "", &[("GET", Serve(Op::ListBuckets))]),
    (
        Bucket,
        "",
        &[
            ("GET", Serve(Op::ListObjects)),
            ("HEAD", Serve(Op::HeadBucket)),
            ("PUT", Serve(Op::CreateBucket)),
            ("DELETE", Serve(Op::DeleteBucket)),
            ("POST", Serve(Op::PostObject)),
        ],
    ),
    (Bucket, "location", &[("GET", Serve(Op::GetBucketLocation))]),
    (Bucket, "versioning", &[("GET", Serve(Op::GetBucketVersioning)), ("PUT", Serve(Op::PutBucketVersioning))]),
    (Bucket, "uploads", &[("GET", Serve(Op::ListMultipartUploads))]),
    (Bucket, "delete", &[("POST", Serve(Op::DeleteObjects))]),
    (Bucket, "versions", &[("GET", Serve(Op::ListObjectVersions))]),
    (Bucket, "acl", &[("GET", Serve(Op::GetBucketAcl)), ("PUT", Serve(Op::PutBucketAcl))]),
    (Bucket, "abac", &[("GET", missing("GetBucketAbac")), ("PUT", missing("PutBucketAbac"))]),
    (
        Bucket,
        "accelerate",
        &[("GET", Serve(Op::GetBucketAccelerateConfiguration)), ("PUT", Serve(Op::PutBucketAccelerateConfiguration))],
    ),
    (
        Bucket,
        "analytics",
        &[
            ("GET", Serve(Op::GetBucketAnalyticsConfiguration)),
            ("PUT", missing("PutBucketAnalyticsConfiguration")),
            ("DELETE", Serve(Op::DeleteBucketAnalyticsConfiguration)),
        ],
    ),
    (
        Bucket,
        "cors",
        &[
            ("GET", Serve(Op::GetBucketCors)),
            ("PUT", Serve(Op::PutBucketCors)),
            ("DELETE", Serve(Op::DeleteBucketCors)),
        ],
    ),
    (
        Bucket,
        "encryption",
        &[
            ("GET", Serve(Op::GetBucketEncryption)),
            ("PUT", Serve(Op::PutBucketEncryption)),
            ("DELETE", Serve(Op::DeleteBucketEncryption)),
        ],
    ),
    (
        Bucket,
        "intelligent-tiering",
        &[
            ("GET", Serve(Op::GetBucketIntelligentTieringConfiguration)),
            ("PUT", missing("PutBucketIntelligentTieringConfiguration")),
            ("DELETE", Serve(Op::DeleteBucketIntelligentTieringConfiguration)),
        ],
    ),
    (
        Bucket,
        "inventory",
        &[
            ("GET", Serve(Op::GetBucketInventoryConfiguration)),
            ("PUT", missing("PutBucketInventoryConfiguration")),
            ("DELETE", Serve(Op::DeleteBucketInventoryConfiguration)),
        ],
    ),
    (
        Bucket,
        "lifecycle",
        &[
            ("GET", Serve(Op::GetBucketLifecycleConfiguration)),
            ("PUT", Serve(Op::PutBucketLifecycleConfiguration)),
            ("DELETE", Serve(Op::DeleteBucketLifecycle)),
        ],
    ),
    (Bucket, "logging", &[("GET", Serve(Op::GetBucketLogging)), ("PUT", Serve(Op::PutBucketLogging))]),
    (
        Bucket,
        "metadataConfiguration",
        &[
            ("GET", missing("GetBucketMetadataConfiguration")),
            ("POST", missing("CreateBucketMetadataConfiguration")),
            ("DELETE", missing("DeleteBucketMetadataConfiguration")),
        ],
    ),
    (
        Bucket,
        "metadataTable",
        &[
            ("GET", missing("GetBucketMetadataTableConfiguration")),
            ("POST", missing("CreateBucketMetadataTableConfiguration")),
            ("DELETE", missing("DeleteBucketMetadataTableConfiguration")),
        ],
    ),
    (Bucket, "metadataAnnotationTable", &[("PUT", missing("UpdateBucketMetadataAnnotationTableConfiguration"))]),
    (Bucket, "metadataInventoryTable", &[("PUT", missing("UpdateBucketMetadataInventoryTableConfiguration"))]),
    (Bucket, "metadataJournalTable", &[("PUT", missing("UpdateBucketMetadataJournalTableConfiguration"))]),
    (
        Bucket,
        "metrics",
        &[
            ("GET", Serve(Op::GetBucketMetricsConfiguration)),
            ("PUT", missing("PutBucketMetricsConfiguration")),
            ("DELETE", Serve(Op::DeleteBucketMetricsConfiguration)),
        ],
    ),
    (
        Bucket,
        "notification",
        &[
            ("GET", Serve(Op::GetBucketNotificationConfiguration)),
            ("PUT", Serve(Op::PutBucketNotificationConfiguration)),
        ],
    ),
    (
        Bucket,
        "object-lock",
        &[("GET", Serve(Op::GetObjectLockConfiguration)), ("PUT", Serve(Op::PutObjectLockConfiguration))],
    ),
    (
        Bucket,
        "ownershipControls",
        &[
            ("GET", Serve(Op::GetBucketOwnershipControls)),
            ("PUT", Serve(Op::PutBucketOwnershipControls)),
            ("DELETE", Serve(Op::DeleteBucketOwnershipControls)),
        ],
    ),
    (
        Bucket,
        "policy",
        &[
            ("GET", Serve(Op::GetBucketPolicy)),
            ("PUT", Serve(Op::PutBucketPolicy)),
            ("DELETE", Serve(Op::DeleteBucketPolicy)),
        ],
    ),
    (Bucket, "policyStatus", &[("GET", Serve(Op::GetBucketPolicyStatus))]),
    (
        Bucket,
        "publicAccessBlock",
        &[
            ("GET", Serve(Op::GetPublicAccessBlock)),
            ("PUT", Serve(Op::PutPublicAccessBlock)),
            ("DELETE", Serve(Op::DeletePublicAccessBlock)),
        ],
    ),
    (
        Bucket,
        "replication",
        &[
            ("GET", Serve(Op::GetBucketReplication)),
            ("PUT", missing("PutBucketReplication")),
            ("DELETE", Serve(Op::DeleteBucketReplication)),
        ],
    ),
    (
        Bucket,
        "requestPayment",
        &[("GET", Serve(Op::GetBucketRequestPayment)), ("PUT", Serve(Op::PutBucketRequestPayment))],
    ),
    (Bucket, "session", &[("GET", missing("CreateSession"))]),
    (
        Bucket,
        "tagging",
        &[
            ("GET", Serve(Op::GetBucketTagging)),
            ("PUT", Serve(Op::PutBucketTagging)),
            ("DELETE", Serve(Op::DeleteBucketTagging)),
        ],
    ),
    (
        Bucket,
        "website",
        &[
            ("GET", Serve(Op::GetBucketWebsite)),
            ("PUT", Serve(Op::PutBucketWebsite)),
            ("DELETE", Serve(Op::DeleteBucketWebsite)),
        ],
    ),
    (
        Object,
        "",
        &[
            ("GET", Serve(Op::GetObject)),
            ("HEAD", Serve(Op::HeadObject)),
            ("PUT", Serve(Op::PutObject)),
            ("DELETE", Serve(Op::DeleteObject)),
        ],
    ),
    (Object, "uploads", &[("POST", Serve(Op::CreateMultipartUpload))]),
    (
        Object,
        "uploadId",
        &[
            ("PUT", Serve(Op::UploadPart)),
            ("POST", Serve(Op::CompleteMultipartUpload)),
            ("GET", Serve(Op::ListParts)),
            ("DELETE", Serve(Op::AbortMultipartUpload)),
        ],
    ),
    (Object, "acl", &[("GET", Serve(Op::GetObjectAcl)), ("PUT", Serve(Op::PutObjectAcl))]),
    (
        Object,
        "annotation",
        &[
            ("GET", missing("GetObjectAnnotation")),
            ("PUT", missing("PutObjectAnnotation")),
            ("DELETE", missing("DeleteObjectAnnotation")),
        ],
    ),
    (Object, "attributes", &[("GET", Serve(Op::GetObjectAttributes))]),
    (Object, "encryption", &[("PUT", missing("UpdateObjectEncryption"))]),
    (Object, "legal-hold", &[("GET", Serve(Op::GetObjectLegalHold)), ("PUT", Serve(Op::PutObjectLegalHold))]),
    (Object, "renameObject", &[("PUT", Serve(Op::RenameObject))]),
    (Object, "restore", &[("POST", Serve(Op::RestoreObject))]),
    (Object, "retention", &[("GET", Serve(Op::GetObjectRetention)), ("PUT", Serve(Op::PutObjectRetention))]),
    (Object, "select", &[("POST", Route::Refused("SelectObjectContent", S3ErrorCode::MethodNotAllowed))]),
    (
        Object,
        "tagging",
        &[
            ("GET", Serve(Op::GetObjectTagging)),
            ("PUT", Serve(Op::PutObjectTagging)),
            ("DELETE", Serve(Op::DeleteObjectTagging)),
        ],
    ),
    // No object has a torrent any more.
    (Object, "torrent", &[("GET", Route::Refused("GetObjectTorrent", S3ErrorCode::NoSuchKey))]),
];

/// The operation a request asks for. `has_copy_source` says whether it carries `x-amz-copy-source`.
///
/// # Errors
/// `InvalidArgument` when the query names two subresources, as AWS answers.
pub fn route(scope: Scope, method: &Method, query: &Query, has_copy_source: bool) -> Result<Route, S3Error> {
    let subresource = subresource_of(scope, query)?;
    let Some((_, _, methods)) = TABLE.iter().find(|(in_scope, name, _)| *in_scope == scope && *name == subresource)
    else {
        return Ok(Route::MethodNotAllowed);
    };
    let found = methods.iter().find(|(name, _)| *name == method.as_str()).map(|(_, route)| *route);
    // A subresource of which nothing is built is not built for any method: AWS keeps adding some.
    let unbuilt = methods.iter().all(|(_, route)| matches!(route, Route::NotImplemented(_)));
    let otherwise = if unbuilt { methods.first().map(|(_, route)| *route) } else { None };
    Ok(match found.or(otherwise).unwrap_or(Route::MethodNotAllowed) {
        Serve(Op::PutObject) if has_copy_source => Serve(Op::CopyObject),
        Serve(Op::UploadPart) if has_copy_source => Serve(Op::UploadPartCopy),
        Serve(Op::ListObjects) if query.get("list-type") == Some("2") => Serve(Op::ListObjectsV2),
        Serve(operation) if !query.contains("id") => Serve(list_form(operation)),
        found => found,
    })
}

/// Configurations of which a bucket may have several are listed where no `id` is named.
fn list_form(operation: Operation) -> Operation {
    match operation {
        Op::GetBucketAnalyticsConfiguration => Op::ListBucketAnalyticsConfigurations,
        Op::GetBucketInventoryConfiguration => Op::ListBucketInventoryConfigurations,
        Op::GetBucketMetricsConfiguration => Op::ListBucketMetricsConfigurations,
        Op::GetBucketIntelligentTieringConfiguration => Op::ListBucketIntelligentTieringConfigurations,
        other => other,
    }
}

/// The methods a request's target would have taken, for `Allow`.
pub(super) fn allowed_methods(scope: Scope, query: &Query) -> String {
    let subresource = subresource_of(scope, query).unwrap_or_default();
    let rows = TABLE.iter().filter(|(in_scope, name, _)| *in_scope == scope && *name == subresource);
    rows.flat_map(|(_, _, methods)| methods.iter().map(|(method, _)| *method)).collect::<Vec<_>>().join(", ")
}

/// The subresource a query names; empty if none, or more than one.
pub(super) fn subresource(scope: Scope, query: &Query) -> &'static str {
    subresource_of(scope, query).unwrap_or_default()
}

fn subresource_of(scope: Scope, query: &Query) -> Result<&'static str, S3Error> {
    let mut found = "";
    for (parameter, _) in query.iter() {
        let known = TABLE.iter().find(|(in_scope, name, _)| *in_scope == scope && *name == parameter);
        let Some((_, name, _)) = known.filter(|(_, name, _)| !name.is_empty()) else { continue };
        if !found.is_empty() && found != *name {
            return Err(S3Error::with_message(S3ErrorCode::InvalidArgument, "Conflicting query string parameters")
                .field("ResourceType", format!("{found}, {name}")));
        }
        found = name;
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn routed(scope: Scope, method: &str, query: &str) -> Route {
        let query = Query::parse(Some(query)).unwrap();
        route(scope, &Method::from_bytes(method.as_bytes()).unwrap(), &query, false).unwrap()
    }

    #[test]
    fn every_operation_is_reached() {
        let mut reached: Vec<Operation> = TABLE
            .iter()
            .flat_map(|(_, _, methods)| methods.iter())
            .filter_map(|(_, route)| if let Serve(operation) = route { Some(*operation) } else { None })
            .collect();
        // Those that a header or a parameter selects.
        for (scope, method, query, copy) in [
            (Object, "PUT", "", true),
            (Object, "PUT", "uploadId=1&partNumber=1", true),
            (Bucket, "GET", "list-type=2", false),
            (Bucket, "GET", "analytics", false),
            (Bucket, "GET", "inventory", false),
            (Bucket, "GET", "metrics", false),
            (Bucket, "GET", "intelligent-tiering", false),
        ] {
            let query = Query::parse(Some(query)).unwrap();
            let Ok(Serve(operation)) = route(scope, &method.parse().unwrap(), &query, copy) else { panic!() };
            reached.push(operation);
        }
        for operation in Operation::ALL {
            assert_eq!(reached.iter().filter(|other| *other == operation).count(), 1, "{operation:?}");
        }
    }

    #[test]
    fn a_few_by_hand() {
        for (scope, method, query, expected) in [
            (Service, "GET", "x-id=ListBuckets", Serve(Op::ListBuckets)),
            (Service, "POST", "", Route::MethodNotAllowed),
            (Bucket, "GET", "prefix=uploads&delimiter=%2F", Serve(Op::ListObjects)),
            (Bucket, "GET", "list-type=2&prefix=a", Serve(Op::ListObjectsV2)),
            (Bucket, "GET", "list-type=1", Serve(Op::ListObjects)),
            (Bucket, "GET", "uploads", Serve(Op::ListMultipartUploads)),
            (Bucket, "POST", "delete=", Serve(Op::DeleteObjects)),
            (Bucket, "POST", "", Serve(Op::PostObject)),
            (Bucket, "PUT", "replication", Route::NotImplemented("PutBucketReplication")),
            (Bucket, "GET", "analytics&id=a", Serve(Op::GetBucketAnalyticsConfiguration)),
            (Bucket, "GET", "analytics", Serve(Op::ListBucketAnalyticsConfigurations)),
            (Bucket, "PUT", "analytics&id=a", Route::NotImplemented("PutBucketAnalyticsConfiguration")),
            (Bucket, "DELETE", "versioning", Route::MethodNotAllowed),
            (Bucket, "GET", "lifecycle", Serve(Op::GetBucketLifecycleConfiguration)),
            // A bucket's subresource is an ordinary parameter of an object.
            (Object, "GET", "lifecycle", Serve(Op::GetObject)),
            (Object, "GET", "uploadId=x", Serve(Op::ListParts)),
            (Object, "DELETE", "uploadId=x", Serve(Op::AbortMultipartUpload)),
            (Object, "GET", "tagging&versionId=x", Serve(Op::GetObjectTagging)),
            (
                Object,
                "POST",
                "select&select-type=2",
                Route::Refused("SelectObjectContent", S3ErrorCode::MethodNotAllowed),
            ),
            (Object, "PATCH", "", Route::MethodNotAllowed),
            (Bucket, "PUT", "metadataTable", Route::NotImplemented("GetBucketMetadataTableConfiguration")),
        ] {
            assert_eq!(routed(scope, method, query), expected, "{method} {query}");
        }
        let both = Query::parse(Some("acl&tagging")).unwrap();
        assert_eq!(route(Object, &Method::GET, &both, false).unwrap_err().code(), S3ErrorCode::InvalidArgument);
    }

    proptest! {
        #[test]
        fn every_method_and_subresource_has_an_answer(
            scope in prop::sample::select(vec![Service, Bucket, Object]),
            method in prop::sample::select(vec!["GET", "HEAD", "PUT", "POST", "DELETE", "PATCH", "OPTIONS", "TRACE", "PURGE"]),
            row in 0..TABLE.len(),
            noise in "[a-zA-Z-]{0,12}",
            copy: bool,
        ) {
            let subresource = TABLE[row].1;
            let query = Query::parse(Some(&format!("{subresource}&x-id={noise}"))).unwrap();
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            let answer = route(scope, &method, &query, copy).unwrap();
            if let Route::NotImplemented(name) = answer {
                prop_assert!(!name.is_empty());
            }
            if matches!(answer, Route::MethodNotAllowed) {
                prop_assert!(!allowed_methods(scope, &query).split(", ").any(|allowed| allowed == method.as_str()));
            }
        }
    }
}
