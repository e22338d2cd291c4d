//! `PublicAccessBlockConfiguration`: the XML of [`PublicAccessBlock`].

use crate::error::S3Error;
use crate::ops::Element;
use crate::ops::xml_writer::Xml;
use granary_access::PublicAccessBlock;

const ELEMENTS_MAX: usize = 8;

/// Reads a request. What is not named is off.
///
/// # Errors
/// `MalformedXML`; `InvalidRequest` for one that names nothing.
pub(crate) fn parse_public_access_block(text: &[u8]) -> Result<PublicAccessBlock, S3Error> {
    let root = Element::parse(text, "PublicAccessBlockConfiguration", ELEMENTS_MAX)?;
    root.only(&["BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"])?;
    if root.children().is_empty() {
        return Err(S3Error::invalid_request("Must specify at least one configuration."));
    }
    let flag = |name| root.optional_flag(name).map(Option::unwrap_or_default);
    Ok(PublicAccessBlock {
        block_public_acls: flag("BlockPublicAcls")?,
        ignore_public_acls: flag("IgnorePublicAcls")?,
        block_public_policy: flag("BlockPublicPolicy")?,
        restrict_public_buckets: flag("RestrictPublicBuckets")?,
    })
}

/// The document for clients.
pub(crate) fn write_public_access_block(block: &PublicAccessBlock) -> Xml {
    let mut xml = Xml::document("PublicAccessBlockConfiguration", 256);
    xml.plain("BlockPublicAcls", block.block_public_acls);
    xml.plain("IgnorePublicAcls", block.ignore_public_acls);
    xml.plain("BlockPublicPolicy", block.block_public_policy);
    xml.plain("RestrictPublicBuckets", block.restrict_public_buckets);
    xml
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::S3ErrorCode;

    #[test]
    fn what_is_not_named_is_off() {
        let parse = |inner: &str| {
            let text = format!("<PublicAccessBlockConfiguration>{inner}</PublicAccessBlockConfiguration>");
            parse_public_access_block(text.as_bytes())
        };
        let read =
            parse("<BlockPublicPolicy>TRUE</BlockPublicPolicy><BlockPublicAcls>false</BlockPublicAcls>").unwrap();
        assert_eq!(read, PublicAccessBlock { block_public_policy: true, ..PublicAccessBlock::default() });
        let all = PublicAccessBlock::ALL;
        assert_eq!(parse_public_access_block(&write_public_access_block(&all).into_bytes()).unwrap(), all);
        assert_eq!(parse("").unwrap_err().code(), S3ErrorCode::InvalidRequest);
        for bad in ["<BlockPublicAcls>yes</BlockPublicAcls>", "<Other>true</Other>"] {
            assert_eq!(parse(bad).unwrap_err().code(), S3ErrorCode::MalformedXML);
        }
    }
}
