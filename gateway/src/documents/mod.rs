//! The documents of a bucket's configuration: what they say, read from XML as strictly as AWS reads it, and written back.
//!
//! Pure: no I/O, nothing of a request. What is stored is the document as this module writes it, so that what is stored
//! reads back the same, and what a client gets is what it sent, in AWS's normal form. Rules that need other buckets, keys
//! or documents are checked by the operations that store them.

mod accelerate;
mod cors;
mod create_bucket;
mod encryption;
mod lifecycle;
mod logging;
mod notification;
mod ownership;
mod public_access;
mod request_payment;
mod tagging;
mod versioning;
mod website;
mod website_rules;

pub(crate) use accelerate::AccelerateConfiguration;
pub(crate) use cors::{CorsConfiguration, CorsRule};
pub(crate) use create_bucket::CreateBucketConfiguration;
pub(crate) use encryption::{DefaultAlgorithm, DefaultEncryption};
pub(crate) use lifecycle::StoredLifecycle;
pub use lifecycle::lifecycle_rules;
pub(crate) use logging::{KeyFormat, LoggingConfiguration, LoggingGrantee, LoggingTarget};
pub(crate) use notification::NotificationConfiguration;
pub(crate) use ownership::{parse_ownership_controls, write_ownership_controls};
pub(crate) use public_access::{parse_public_access_block, write_public_access_block};
pub(crate) use request_payment::RequestPayment;
pub(crate) use tagging::{BucketTagging, check_tags, parse_tag_set, write_tag_set};
pub(crate) use versioning::VersioningConfiguration;
pub(crate) use website::{IndexedWebsite, WebsiteConfiguration};
#[cfg(test)]
pub(crate) use website_rules::RedirectTo;
pub(crate) use website_rules::{Protocol, RoutingRule};

use crate::error::S3Error;
use bytes::Bytes;
use granary_protocol::bucket::BucketDocument;

/// A document that is kept as XML.
pub(crate) trait Document: Sized {
    /// Where the bucket keeps it.
    const KIND: BucketDocument;

    /// Reads what a client sent, or what was stored.
    ///
    /// # Errors
    /// `MalformedXML`, and what else AWS answers for the document alone.
    fn parse(text: &[u8]) -> Result<Self, S3Error>;

    /// The document as it is stored and returned.
    fn to_xml(&self) -> Bytes;
}
