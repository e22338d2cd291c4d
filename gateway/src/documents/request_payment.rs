//! `RequestPaymentConfiguration`: who pays for requests. A bucket without one: its owner.

use super::Document;
use crate::error::S3Error;
use crate::ops::Element;
use crate::ops::xml_reader::malformed;
use crate::ops::xml_writer::Xml;
use bytes::Bytes;
use granary_protocol::bucket::BucketDocument;

const ELEMENTS_MAX: usize = 4;

/// Who pays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum RequestPayment {
    /// The bucket's owner.
    #[default]
    BucketOwner,
    /// Whoever asks, and says so with `x-amz-request-payer`.
    Requester,
}

impl Document for RequestPayment {
    const KIND: BucketDocument = BucketDocument::RequestPayment;

    fn parse(text: &[u8]) -> Result<Self, S3Error> {
        let root = Element::parse(text, "RequestPaymentConfiguration", ELEMENTS_MAX)?;
        match root.only(&["Payer"])?.required_text("Payer")?.trim() {
            "BucketOwner" => Ok(Self::BucketOwner),
            "Requester" => Ok(Self::Requester),
            _ => Err(malformed()),
        }
    }

    fn to_xml(&self) -> Bytes {
        let mut xml = Xml::document("RequestPaymentConfiguration", 64);
        let payer = match self {
            Self::BucketOwner => "BucketOwner",
            Self::Requester => "Requester",
        };
        xml.element("Payer", payer);
        xml.into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payers() {
        for payer in [RequestPayment::BucketOwner, RequestPayment::Requester] {
            assert_eq!(RequestPayment::parse(&payer.to_xml()).unwrap(), payer);
        }
        for bad in ["", "<Payer>Nobody</Payer>", "<Payer>Requester</Payer><Payer>Requester</Payer>"] {
            let text = format!("<RequestPaymentConfiguration>{bad}</RequestPaymentConfiguration>");
            assert!(RequestPayment::parse(text.as_bytes()).is_err(), "{bad}");
        }
    }
}
