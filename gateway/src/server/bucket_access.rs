//! What of a bucket's settings decides who may do what in it, read once for all requests that share the settings.

use super::bucket_settings::BucketSettings;
use bytes::Bytes;
use granary_access::authorizer::BucketFacts;
use granary_access::{ObjectOwnership, Policy, PolicySource, PublicAccessBlock, acl};
use granary_protocol::acl::Acl;
use granary_protocol::bucket::BucketDocument;
use std::sync::Arc;

/// A bucket's policy, list and the settings around them.
pub(crate) struct BucketAccess {
    /// The policy; one that cannot be read denies.
    pub policy: Option<PolicySource>,
    policy_is_public: bool,
    acl: Option<Acl>,
    ownership: ObjectOwnership,
    block: PublicAccessBlock,
}

impl BucketAccess {
    /// Reads the documents.
    pub fn read(settings: &BucketSettings) -> BucketAccess {
        let document = |kind| settings.document(kind).map(Bytes::as_ref);
        let (mut policy, mut policy_is_public) = (None, false);
        if let Some(text) = document(BucketDocument::Policy) {
            policy = Some(match Policy::parse_resource(text) {
                Ok(parsed) => {
                    policy_is_public = parsed.is_public();
                    PolicySource::Readable(Arc::new(parsed))
                }
                Err(error) => {
                    tracing::error!(bucket = %settings.info.name, %error, "bucket policy cannot be read");
                    PolicySource::Unreadable
                }
            });
        }
        BucketAccess {
            policy,
            policy_is_public,
            acl: acl::from_document(document(BucketDocument::Acl)),
            ownership: settings.ownership(),
            block: settings.public_access_block(),
        }
    }

    /// Whether the policy, or a list that counts, lets the public in. A policy that cannot be read lets nobody in.
    pub fn is_public(&self) -> bool {
        let lists_count = self.ownership.acls_count() && !self.block.ignore_public_acls;
        self.policy_is_public || (lists_count && self.acl.as_ref().is_some_and(acl::is_public))
    }

    /// What the authorizer asks about the bucket.
    pub fn facts<'s>(&'s self, settings: &'s BucketSettings) -> BucketFacts<'s> {
        BucketFacts {
            name: settings.info.name.as_str(),
            owner: &settings.info.owner,
            policy: self.policy.as_ref(),
            policy_is_public: self.policy_is_public,
            acl: self.acl.as_ref(),
            ownership: self.ownership,
            block: self.block,
        }
    }
}
