//! `PublicAccessBlockConfiguration`. A bucket without one blocks nothing.

use super::Document;
use crate::error::S3Error;
use crate::ops::Element;
use crate::ops::xml_writer::Xml;
use bytes::Bytes;
use granary_protocol::bucket::BucketDocument;

const ELEMENTS_MAX: usize = 8;

/// The four settings that keep a bucket from becoming public.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PublicAccessBlockConfiguration {
    /// Refuse lists that are public.
    pub block_public_acls: bool,
    /// Treat public lists as if they were private.
    pub ignore_public_acls: bool,
    /// Refuse policies that are public.
    pub block_public_policy: bool,
    /// Where the policy is public, serve the bucket's owner only.
    pub restrict_public_buckets: bool,
}

impl PublicAccessBlockConfiguration {
    /// What new buckets get.
    pub const ALL: Self = Self {
        block_public_acls: true,
        ignore_public_acls: true,
        block_public_policy: true,
        restrict_public_buckets: true,
    };
}

impl Document for PublicAccessBlockConfiguration {
    const KIND: BucketDocument = BucketDocument::PublicAccessBlock;

    fn parse(text: &[u8]) -> Result<Self, S3Error> {
        let root = Element::parse(text, "PublicAccessBlockConfiguration", ELEMENTS_MAX)?;
        root.only(&["BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"])?;
        if root.children().is_empty() {
            return Err(S3Error::invalid_request("Must specify at least one configuration."));
        }
        let flag = |name| root.optional_flag(name).map(Option::unwrap_or_default);
        Ok(Self {
            block_public_acls: flag("BlockPublicAcls")?,
            ignore_public_acls: flag("IgnorePublicAcls")?,
            block_public_policy: flag("BlockPublicPolicy")?,
            restrict_public_buckets: flag("RestrictPublicBuckets")?,
        })
    }

    fn to_xml(&self) -> Bytes {
        let mut xml = Xml::document("PublicAccessBlockConfiguration", 256);
        xml.plain("BlockPublicAcls", self.block_public_acls);
        xml.plain("IgnorePublicAcls", self.ignore_public_acls);
        xml.plain("BlockPublicPolicy", self.block_public_policy);
        xml.plain("RestrictPublicBuckets", self.restrict_public_buckets);
        xml.into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::S3ErrorCode;

    #[test]
    fn what_is_not_named_is_off() {
        let parse = |inner: &str| {
            let text = format!("<PublicAccessBlockConfiguration>{inner}</PublicAccessBlockConfiguration>");
            PublicAccessBlockConfiguration::parse(text.as_bytes())
        };
        let read =
            parse("<BlockPublicPolicy>TRUE</BlockPublicPolicy><BlockPublicAcls>false</BlockPublicAcls>").unwrap();
        let expected = PublicAccessBlockConfiguration { block_public_policy: true, ..Default::default() };
        assert_eq!(read, expected);
        let all = PublicAccessBlockConfiguration::ALL;
        assert_eq!(PublicAccessBlockConfiguration::parse(&all.to_xml()).unwrap(), all);
        assert_eq!(parse("").unwrap_err().code(), S3ErrorCode::InvalidRequest);
        for bad in ["<BlockPublicAcls>yes</BlockPublicAcls>", "<Other>true</Other>"] {
            assert_eq!(parse(bad).unwrap_err().code(), S3ErrorCode::MalformedXML);
        }
    }
}
