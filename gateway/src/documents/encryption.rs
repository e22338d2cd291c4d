//! `ServerSideEncryptionConfiguration`: how objects are encrypted that do not say it themselves.
//!
//! A bucket without one has what the store does by default.

use super::Document;
use crate::error::{S3Error, S3ErrorCode};
use crate::ops::Element;
use crate::ops::xml_reader::malformed;
use crate::ops::xml_writer::Xml;
use bytes::Bytes;
use granary_protocol::bucket::BucketDocument;

const ELEMENTS_MAX: usize = 16;
/// The longest name of a key, as KMS bounds its ARNs.
const KEY_ID_BYTES_MAX: usize = 2048;

/// The default encryption of a bucket.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct DefaultEncryption {
    /// Which kind.
    pub algorithm: DefaultAlgorithm,
    /// Whether requests for a bucket key are implied.
    pub bucket_key: bool,
    /// Whether uploads with the client's own key are refused; `None` if the document does not say.
    pub customer_keys_blocked: Option<bool>,
}

/// The kinds of encryption a bucket can default to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum DefaultAlgorithm {
    /// `AES256`: SSE-S3.
    #[default]
    S3,
    /// `aws:kms` or `aws:kms:dsse`: SSE-KMS, in one layer or two, with this key or the store's default one.
    Kms {
        /// The key as the document names it: an id, an alias or an ARN.
        key_id: Option<String>,
        /// Whether in two layers.
        dual_layer: bool,
    },
}

impl Document for DefaultEncryption {
    const KIND: BucketDocument = BucketDocument::Encryption;

    fn parse(text: &[u8]) -> Result<Self, S3Error> {
        let root = Element::parse(text, "ServerSideEncryptionConfiguration", ELEMENTS_MAX)?;
        let rule = root.only(&["Rule"])?.required("Rule")?;
        rule.only(&["ApplyServerSideEncryptionByDefault", "BucketKeyEnabled", "BlockedEncryptionTypes"])?;
        if rule.children().is_empty() {
            return Err(malformed());
        }
        let by_default = rule.optional("ApplyServerSideEncryptionByDefault")?;
        let blocked = rule.optional("BlockedEncryptionTypes")?;
        Ok(Self {
            algorithm: by_default.map(read_algorithm).transpose()?.unwrap_or_default(),
            bucket_key: rule.optional_flag("BucketKeyEnabled")?.unwrap_or_default(),
            customer_keys_blocked: blocked.map(read_blocked).transpose()?,
        })
    }

    fn to_xml(&self) -> Bytes {
        let mut xml = Xml::document("ServerSideEncryptionConfiguration", 512);
        xml.open("Rule");
        xml.open("ApplyServerSideEncryptionByDefault");
        match &self.algorithm {
            DefaultAlgorithm::S3 => xml.element("SSEAlgorithm", "AES256"),
            DefaultAlgorithm::Kms { key_id, dual_layer } => {
                xml.element("SSEAlgorithm", if *dual_layer { "aws:kms:dsse" } else { "aws:kms" });
                if let Some(key_id) = key_id {
                    xml.element("KMSMasterKeyID", key_id);
                }
            }
        }
        xml.close("ApplyServerSideEncryptionByDefault");
        xml.plain("BucketKeyEnabled", self.bucket_key);
        if let Some(blocked) = self.customer_keys_blocked {
            xml.open("BlockedEncryptionTypes");
            xml.element("EncryptionType", if blocked { "SSE-C" } else { "NONE" });
            xml.close("BlockedEncryptionTypes");
        }
        xml.close("Rule");
        xml.into_bytes()
    }
}

fn read_algorithm(element: &Element) -> Result<DefaultAlgorithm, S3Error> {
    element.only(&["SSEAlgorithm", "KMSMasterKeyID"])?;
    let key_id = element.optional_text("KMSMasterKeyID")?.filter(|key_id| !key_id.is_empty());
    if key_id.as_ref().is_some_and(|key_id| key_id.len() > KEY_ID_BYTES_MAX) {
        return Err(malformed());
    }
    match (element.required_text("SSEAlgorithm")?.trim(), key_id) {
        ("AES256", None) => Ok(DefaultAlgorithm::S3),
        ("AES256", Some(_)) => Err(S3Error::with_message(
            S3ErrorCode::InvalidArgument,
            "a KMSMasterKeyID is not applicable if the default sse algorithm is not aws:kms or aws:kms:dsse",
        )),
        ("aws:kms", key_id) => Ok(DefaultAlgorithm::Kms { key_id, dual_layer: false }),
        ("aws:kms:dsse", key_id) => Ok(DefaultAlgorithm::Kms { key_id, dual_layer: true }),
        (_, _) => Err(malformed()),
    }
}

fn read_blocked(element: &Element) -> Result<bool, S3Error> {
    match element.only(&["EncryptionType"])?.required_text("EncryptionType")?.trim() {
        "SSE-C" => Ok(true),
        "NONE" => Ok(false),
        _ => Err(malformed()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(rule: &str) -> Result<DefaultEncryption, S3Error> {
        let text = format!("<ServerSideEncryptionConfiguration>{rule}</ServerSideEncryptionConfiguration>");
        DefaultEncryption::parse(text.as_bytes())
    }

    fn by_default(inner: &str) -> String {
        format!("<Rule><ApplyServerSideEncryptionByDefault>{inner}</ApplyServerSideEncryptionByDefault></Rule>")
    }

    #[test]
    fn round_trip() {
        let in_layers =
            |key_id: Option<&str>, dual_layer| DefaultAlgorithm::Kms { key_id: key_id.map(str::to_owned), dual_layer };
        let kms = |key_id| in_layers(key_id, false);
        for (inner, algorithm) in [
            ("<SSEAlgorithm>AES256</SSEAlgorithm>", DefaultAlgorithm::S3),
            ("<SSEAlgorithm>aws:kms</SSEAlgorithm>", kms(None)),
            ("<SSEAlgorithm>aws:kms</SSEAlgorithm><KMSMasterKeyID>k</KMSMasterKeyID>", kms(Some("k"))),
            ("<SSEAlgorithm>aws:kms:dsse</SSEAlgorithm>", in_layers(None, true)),
        ] {
            let read = parse(&by_default(inner)).unwrap();
            assert_eq!(read.algorithm, algorithm);
            assert_eq!(DefaultEncryption::parse(&read.to_xml()).unwrap(), read);
        }
        let blocked = "<Rule><BlockedEncryptionTypes><EncryptionType>SSE-C</EncryptionType></BlockedEncryptionTypes>\
                       <BucketKeyEnabled>true</BucketKeyEnabled></Rule>";
        let read = parse(blocked).unwrap();
        assert_eq!((read.bucket_key, read.customer_keys_blocked), (true, Some(true)));
        assert_eq!(DefaultEncryption::parse(&read.to_xml()).unwrap(), read);
    }

    #[test]
    fn what_is_refused() {
        let s3 = by_default("<SSEAlgorithm>AES256</SSEAlgorithm>");
        for (rule, code) in [
            ("", S3ErrorCode::MalformedXML),
            ("<Rule/>", S3ErrorCode::MalformedXML),
            (&s3.repeat(2), S3ErrorCode::MalformedXML),
            (&by_default(""), S3ErrorCode::MalformedXML),
            (&by_default("<SSEAlgorithm>aes256</SSEAlgorithm>"), S3ErrorCode::MalformedXML),
            (
                &by_default("<SSEAlgorithm>AES256</SSEAlgorithm><KMSMasterKeyID>k</KMSMasterKeyID>"),
                S3ErrorCode::InvalidArgument,
            ),
        ] {
            assert_eq!(parse(rule).unwrap_err().code(), code, "{rule}");
        }
    }
}
