//! `OwnershipControls`: the XML of [`ObjectOwnership`].

use crate::error::S3Error;
use crate::ops::Element;
use crate::ops::xml_reader::malformed;
use crate::ops::xml_writer::Xml;
use granary_access::ObjectOwnership;

const ELEMENTS_MAX: usize = 8;

/// Reads a request, which must have exactly one rule.
///
/// # Errors
/// `MalformedXML`.
pub(crate) fn parse_ownership_controls(text: &[u8]) -> Result<ObjectOwnership, S3Error> {
    let root = Element::parse(text, "OwnershipControls", ELEMENTS_MAX)?;
    let rule = root.only(&["Rule"])?.required("Rule")?.only(&["ObjectOwnership"])?;
    ObjectOwnership::from_name(rule.required_text("ObjectOwnership")?.trim()).ok_or_else(malformed)
}

/// The document for clients.
pub(crate) fn write_ownership_controls(ownership: ObjectOwnership) -> Xml {
    let mut xml = Xml::document("OwnershipControls", 96);
    xml.open("Rule");
    xml.element("ObjectOwnership", ownership.name());
    xml.close("Rule");
    xml
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exactly_one_rule() {
        for ownership in ["BucketOwnerEnforced", "BucketOwnerPreferred", "ObjectWriter"] {
            let ownership = ObjectOwnership::from_name(ownership).unwrap();
            let written = write_ownership_controls(ownership).into_bytes();
            assert_eq!(parse_ownership_controls(&written).unwrap(), ownership);
        }
        let rule = "<Rule><ObjectOwnership>ObjectWriter</ObjectOwnership></Rule>";
        for bad in ["", &rule.repeat(2), "<Rule/>", "<Rule><ObjectOwnership>Mine</ObjectOwnership></Rule>"] {
            let text = format!("<OwnershipControls>{bad}</OwnershipControls>");
            assert!(parse_ownership_controls(text.as_bytes()).is_err(), "{bad}");
        }
    }
}
