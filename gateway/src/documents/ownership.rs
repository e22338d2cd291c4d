//! `OwnershipControls`. A bucket without them behaves as one with `ObjectWriter`.

use super::Document;
use crate::error::S3Error;
use crate::ops::Element;
use crate::ops::xml_reader::malformed;
use crate::ops::xml_writer::Xml;
use bytes::Bytes;
use granary_protocol::bucket::BucketDocument;

const ELEMENTS_MAX: usize = 8;

/// Who owns objects that others write, and whether access control lists count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OwnershipControls {
    /// The bucket's owner owns everything; lists do not count. What new buckets get.
    BucketOwnerEnforced,
    /// The bucket's owner owns what is written with `bucket-owner-full-control`.
    BucketOwnerPreferred,
    /// Who writes an object owns it.
    ObjectWriter,
}

impl OwnershipControls {
    /// The word in documents and in `x-amz-object-ownership`.
    pub fn name(self) -> &'static str {
        match self {
            Self::BucketOwnerEnforced => "BucketOwnerEnforced",
            Self::BucketOwnerPreferred => "BucketOwnerPreferred",
            Self::ObjectWriter => "ObjectWriter",
        }
    }

    /// What the word means.
    pub fn from_name(name: &str) -> Option<Self> {
        let all = [Self::BucketOwnerEnforced, Self::BucketOwnerPreferred, Self::ObjectWriter];
        all.into_iter().find(|ownership| ownership.name() == name)
    }
}

impl Document for OwnershipControls {
    const KIND: BucketDocument = BucketDocument::OwnershipControls;

    fn parse(text: &[u8]) -> Result<Self, S3Error> {
        let root = Element::parse(text, "OwnershipControls", ELEMENTS_MAX)?;
        let rule = root.only(&["Rule"])?.required("Rule")?.only(&["ObjectOwnership"])?;
        Self::from_name(rule.required_text("ObjectOwnership")?.trim()).ok_or_else(malformed)
    }

    fn to_xml(&self) -> Bytes {
        let mut xml = Xml::document("OwnershipControls", 96);
        xml.open("Rule");
        xml.element("ObjectOwnership", self.name());
        xml.close("Rule");
        xml.into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exactly_one_rule() {
        for ownership in ["BucketOwnerEnforced", "BucketOwnerPreferred", "ObjectWriter"] {
            let read = OwnershipControls::from_name(ownership).unwrap();
            assert_eq!(OwnershipControls::parse(&read.to_xml()).unwrap(), read);
        }
        let rule = "<Rule><ObjectOwnership>ObjectWriter</ObjectOwnership></Rule>";
        for bad in ["", &rule.repeat(2), "<Rule/>", "<Rule><ObjectOwnership>Mine</ObjectOwnership></Rule>"] {
            let text = format!("<OwnershipControls>{bad}</OwnershipControls>");
            assert!(OwnershipControls::parse(text.as_bytes()).is_err(), "{bad}");
        }
    }
}
