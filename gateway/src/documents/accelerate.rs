//! `AccelerateConfiguration`: a status that is kept and shown. Every road to this store is the same one.

use super::Document;
use crate::error::S3Error;
use crate::ops::Element;
use crate::ops::xml_reader::malformed;
use crate::ops::xml_writer::Xml;
use bytes::Bytes;
use granary_protocol::bucket::BucketDocument;

const ELEMENTS_MAX: usize = 4;

/// Whether acceleration is on. A bucket that never had it has no status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum AccelerateConfiguration {
    /// Never switched on.
    #[default]
    Never,
    /// On.
    Enabled,
    /// Off again.
    Suspended,
}

impl Document for AccelerateConfiguration {
    const KIND: BucketDocument = BucketDocument::Accelerate;

    fn parse(text: &[u8]) -> Result<Self, S3Error> {
        let root = Element::parse(text, "AccelerateConfiguration", ELEMENTS_MAX)?;
        match root.only(&["Status"])?.required_text("Status")?.trim() {
            "Enabled" => Ok(Self::Enabled),
            "Suspended" => Ok(Self::Suspended),
            _ => Err(malformed()),
        }
    }

    fn to_xml(&self) -> Bytes {
        let mut xml = Xml::document("AccelerateConfiguration", 64);
        match self {
            Self::Never => {}
            Self::Enabled => xml.element("Status", "Enabled"),
            Self::Suspended => xml.element("Status", "Suspended"),
        }
        xml.into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses() {
        for status in [AccelerateConfiguration::Enabled, AccelerateConfiguration::Suspended] {
            assert_eq!(AccelerateConfiguration::parse(&status.to_xml()).unwrap(), status);
        }
        assert!(AccelerateConfiguration::parse(&AccelerateConfiguration::Never.to_xml()).is_err());
        assert!(
            AccelerateConfiguration::parse(b"<AccelerateConfiguration><Status>On</Status></AccelerateConfiguration>")
                .is_err()
        );
    }
}
