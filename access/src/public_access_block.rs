//! The four settings that keep a bucket from becoming public.
//!
//! Source: "Blocking public access to your Amazon S3 storage", Amazon S3 user guide.

use serde::{Deserialize, Serialize};

/// A bucket's settings. Stored as JSON with the names AWS uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct PublicAccessBlock {
    /// Requests that would set a public list are refused.
    pub block_public_acls: bool,
    /// Grants to the public count for nothing.
    pub ignore_public_acls: bool,
    /// Public policies are refused.
    pub block_public_policy: bool,
    /// A public policy lets nobody in but the bucket's owner.
    pub restrict_public_buckets: bool,
}

impl PublicAccessBlock {
    /// Everything blocked.
    pub const ALL: PublicAccessBlock = PublicAccessBlock {
        block_public_acls: true,
        ignore_public_acls: true,
        block_public_policy: true,
        restrict_public_buckets: true,
    };

    /// Reads the stored document: nothing is blocked without one, everything by one that cannot be read.
    pub fn from_document(document: Option<&[u8]>) -> Self {
        match document {
            None => Self::default(),
            Some(document) => serde_json::from_slice(document).unwrap_or(Self::ALL),
        }
    }

    /// The document to be stored.
    pub fn to_document(self) -> Vec<u8> {
        serde_json::to_vec(&self).expect("four booleans are JSON")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_read_blocks_everything() {
        let one = PublicAccessBlock { ignore_public_acls: true, ..PublicAccessBlock::default() };
        assert_eq!(PublicAccessBlock::from_document(Some(&one.to_document())), one);
        assert_eq!(PublicAccessBlock::from_document(None), PublicAccessBlock::default());
        assert_eq!(PublicAccessBlock::from_document(Some(b"{}")), PublicAccessBlock::ALL);
        assert_eq!(PublicAccessBlock::from_document(Some(b"x")), PublicAccessBlock::ALL);
    }
}
