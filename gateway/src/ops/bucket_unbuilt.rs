//! Configurations that no bucket of this store can have: replication, analytics, inventory, metrics, intelligent tiering.
//!
//! Putting one is refused by the routing table. Asking is answered as AWS answers for a bucket that has none, because
//! tools that read a whole bucket ask for all of them.

use super::Outcome;
use super::bucket_documents::no_content;
use super::xml_writer::Xml;
use crate::error::{S3Error, S3ErrorCode};
use crate::server::S3Request;

/// No replication.
pub(super) fn get_replication(request: &S3Request) -> Outcome {
    let error = S3Error::new(S3ErrorCode::ReplicationConfigurationNotFoundError);
    Err(error.field("BucketName", request.bucket.as_str()).into())
}

/// Removing what is not there is a success.
pub(super) fn delete_replication() -> Outcome {
    Ok(no_content())
}

/// No configuration of this id, or none asked for.
pub(super) fn no_configuration(request: &S3Request) -> Outcome {
    match request.query.get_non_empty("id") {
        Some(_) => Err(S3ErrorCode::NoSuchConfiguration.into()),
        None => Err(S3Error::invalid_argument("The id parameter must be given", "id", "").into()),
    }
}

/// An empty list. `root` is the element of its kind.
pub(super) fn empty_list(root: &'static str) -> Outcome {
    let mut xml = Xml::document(root, 64);
    xml.plain("IsTruncated", false);
    Ok(xml.into_response())
}
