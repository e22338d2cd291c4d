//! `BucketLoggingStatus`: where the access log of a bucket goes. A bucket without one is not logged.

use super::Document;
use crate::error::S3Error;
use crate::ops::Element;
use crate::ops::xml_reader::malformed;
use crate::ops::xml_writer::Xml;
use crate::request::BucketName;
use bytes::Bytes;
use granary_protocol::acl::GRANTS_MAX;
use granary_protocol::bucket::BucketDocument;

const ELEMENTS_MAX: usize = GRANTS_MAX * 8 + 16;
const PREFIX_BYTES_MAX: usize = 1024;

/// Whether a bucket is logged, and where to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LoggingConfiguration {
    /// `None`: not logged.
    pub target: Option<LoggingTarget>,
}

/// Where log objects go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LoggingTarget {
    /// The bucket, of the same owner.
    pub bucket: String,
    /// What the keys of log objects begin with.
    pub prefix: String,
    /// Rights on the log objects: grantee and `FULL_CONTROL`, `READ` or `WRITE`.
    pub grants: Vec<(LoggingGrantee, String)>,
    /// What follows the prefix.
    pub key_format: KeyFormat,
}

/// Whom a right on log objects is given to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LoggingGrantee {
    /// A user's canonical id.
    User(String),
    /// A group's URI.
    Group(String),
    /// An e-mail address, which names nobody here.
    Email(String),
}

/// The keys of log objects after the prefix.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum KeyFormat {
    /// Not named: as [`KeyFormat::Simple`].
    #[default]
    Unnamed,
    /// `YYYY-MM-DD-hh-mm-ss-UniqueString`.
    Simple,
    /// `account/region/bucket/YYYY/MM/DD/…`, by the time of the event (`true`) or of the delivery.
    Partitioned { by_event_time: bool },
}

impl Document for LoggingConfiguration {
    const KIND: BucketDocument = BucketDocument::Logging;

    fn parse(text: &[u8]) -> Result<Self, S3Error> {
        let root = Element::parse(text, "BucketLoggingStatus", ELEMENTS_MAX)?;
        let enabled = root.only(&["LoggingEnabled"])?.optional("LoggingEnabled")?;
        Ok(Self { target: enabled.map(read_target).transpose()? })
    }

    fn to_xml(&self) -> Bytes {
        let mut xml = Xml::document("BucketLoggingStatus", 256);
        if let Some(target) = &self.target {
            xml.open("LoggingEnabled");
            xml.element("TargetBucket", &target.bucket);
            xml.element("TargetPrefix", &target.prefix);
            if !target.grants.is_empty() {
                xml.open("TargetGrants");
                target.grants.iter().for_each(|(grantee, permission)| write_grant(&mut xml, grantee, permission));
                xml.close("TargetGrants");
            }
            write_key_format(&mut xml, target.key_format);
            xml.close("LoggingEnabled");
        }
        xml.into_bytes()
    }
}

fn read_target(element: &Element) -> Result<LoggingTarget, S3Error> {
    element.only(&["TargetBucket", "TargetPrefix", "TargetGrants", "TargetObjectKeyFormat"])?;
    let bucket = element.required_text("TargetBucket")?.trim().to_owned();
    BucketName::parse(bucket.clone())?;
    let prefix = element.required_text("TargetPrefix")?;
    if prefix.len() > PREFIX_BYTES_MAX {
        return Err(S3Error::invalid_argument("The target prefix is too long", "TargetPrefix", ""));
    }
    let grants = match element.optional("TargetGrants")? {
        None => Vec::new(),
        Some(grants) => grants.only(&["Grant"])?.children().iter().map(read_grant).collect::<Result<_, _>>()?,
    };
    let key_format = element.optional("TargetObjectKeyFormat")?.map(read_key_format).transpose()?;
    Ok(LoggingTarget { bucket, prefix, grants, key_format: key_format.unwrap_or_default() })
}

fn read_grant(element: &Element) -> Result<(LoggingGrantee, String), S3Error> {
    let grantee = element.only(&["Grantee", "Permission"])?.required("Grantee")?;
    grantee.only(&["ID", "DisplayName", "URI", "EmailAddress"])?;
    let texts = (grantee.optional_text("ID")?, grantee.optional_text("URI")?, grantee.optional_text("EmailAddress")?);
    let grantee = match texts {
        (Some(id), None, None) => LoggingGrantee::User(id),
        (None, Some(uri), None) => LoggingGrantee::Group(uri),
        (None, None, Some(email)) => LoggingGrantee::Email(email),
        (_, _, _) => return Err(malformed()),
    };
    let permission = element.required_text("Permission")?;
    match permission.trim() {
        permission @ ("FULL_CONTROL" | "READ" | "WRITE") => Ok((grantee, permission.to_owned())),
        _ => Err(malformed()),
    }
}

fn read_key_format(element: &Element) -> Result<KeyFormat, S3Error> {
    element.only(&["SimplePrefix", "PartitionedPrefix"])?;
    match (element.optional("SimplePrefix")?, element.optional("PartitionedPrefix")?) {
        (Some(_), None) => Ok(KeyFormat::Simple),
        (None, Some(partitioned)) => {
            let source = partitioned.only(&["PartitionDateSource"])?.optional_text("PartitionDateSource")?;
            match source.as_deref().map(str::trim) {
                Some("EventTime") => Ok(KeyFormat::Partitioned { by_event_time: true }),
                Some("DeliveryTime") | None => Ok(KeyFormat::Partitioned { by_event_time: false }),
                Some(_) => Err(malformed()),
            }
        }
        (Some(_), Some(_)) | (None, None) => Err(malformed()),
    }
}

fn write_grant(xml: &mut Xml, grantee: &LoggingGrantee, permission: &str) {
    let (kind, tag, text) = match grantee {
        LoggingGrantee::User(id) => ("CanonicalUser", "ID", id),
        LoggingGrantee::Group(uri) => ("Group", "URI", uri),
        LoggingGrantee::Email(email) => ("AmazonCustomerByEmail", "EmailAddress", email),
    };
    xml.open("Grant");
    xml.open(&format!("Grantee xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xsi:type=\"{kind}\""));
    xml.element(tag, text);
    xml.close("Grantee");
    xml.element("Permission", permission);
    xml.close("Grant");
}

fn write_key_format(xml: &mut Xml, format: KeyFormat) {
    if format == KeyFormat::Unnamed {
        return;
    }
    xml.open("TargetObjectKeyFormat");
    match format {
        KeyFormat::Unnamed | KeyFormat::Simple => xml.element("SimplePrefix", ""),
        KeyFormat::Partitioned { by_event_time } => {
            xml.open("PartitionedPrefix");
            xml.element("PartitionDateSource", if by_event_time { "EventTime" } else { "DeliveryTime" });
            xml.close("PartitionedPrefix");
        }
    }
    xml.close("TargetObjectKeyFormat");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(inner: &str) -> Result<LoggingConfiguration, S3Error> {
        LoggingConfiguration::parse(format!("<BucketLoggingStatus>{inner}</BucketLoggingStatus>").as_bytes())
    }

    fn enabled(inner: &str) -> String {
        format!(
            "<LoggingEnabled><TargetBucket>logs</TargetBucket><TargetPrefix>p/</TargetPrefix>{inner}</LoggingEnabled>"
        )
    }

    #[test]
    fn round_trip() {
        assert_eq!(parse("").unwrap(), LoggingConfiguration::default());
        let grant = |grantee: &str| format!("<Grant><Grantee>{grantee}</Grantee><Permission>READ</Permission></Grant>");
        let grants = [grant("<ID>i</ID>"), grant("<URI>u</URI>"), grant("<EmailAddress>e</EmailAddress>")].concat();
        for inner in [
            String::new(),
            format!("<TargetGrants>{grants}</TargetGrants>"),
            "<TargetObjectKeyFormat><SimplePrefix/></TargetObjectKeyFormat>".to_owned(),
            "<TargetObjectKeyFormat><PartitionedPrefix><PartitionDateSource>EventTime</PartitionDateSource>\
             </PartitionedPrefix></TargetObjectKeyFormat>"
                .to_owned(),
        ] {
            let read = parse(&enabled(&inner)).unwrap();
            assert_eq!(LoggingConfiguration::parse(&read.to_xml()).unwrap(), read, "{inner}");
        }
    }

    #[test]
    fn what_is_refused() {
        for inner in [
            "<LoggingEnabled/>",
            "<LoggingEnabled><TargetBucket>logs</TargetBucket></LoggingEnabled>",
            &enabled("").replace("logs", "A"),
            &enabled("<TargetObjectKeyFormat/>"),
            &enabled("<TargetGrants><Grant><Grantee/><Permission>READ</Permission></Grant></TargetGrants>"),
            &enabled(
                "<TargetGrants><Grant><Grantee><ID>i</ID></Grantee><Permission>READ_ACP</Permission></Grant>\
                 </TargetGrants>",
            ),
        ] {
            assert!(parse(inner).is_err(), "{inner}");
        }
    }
}
