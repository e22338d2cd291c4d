//! `VersioningConfiguration`.

use crate::error::{S3Error, S3ErrorCode};
use crate::ops::Element;
use crate::ops::xml_reader::malformed;
use crate::ops::xml_writer::Xml;
use bytes::Bytes;
use granary_protocol::bucket::Versioning;

const ELEMENTS_MAX: usize = 8;

/// Whether versions are kept. A bucket that never had it enabled has no status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct VersioningConfiguration {
    /// What is asked for, or what is so.
    pub versioning: Versioning,
}

impl VersioningConfiguration {
    /// Reads a request.
    ///
    /// # Errors
    /// `IllegalVersioningConfigurationException` without a status; `NotImplemented` where deleting is to need a second
    /// factor, because no user of this store has one.
    pub fn parse(text: &[u8]) -> Result<Self, S3Error> {
        let root = Element::parse(text, "VersioningConfiguration", ELEMENTS_MAX)?;
        root.only(&["Status", "MfaDelete"])?;
        match root.optional_text("MfaDelete")?.as_deref().map(str::trim) {
            None | Some("Disabled") => {}
            Some("Enabled") => return Err(mfa_delete()),
            Some(_) => return Err(malformed()),
        }
        let versioning = match root.optional_text("Status")?.as_deref().map(str::trim) {
            Some("Enabled") => Versioning::Enabled,
            Some("Suspended") => Versioning::Suspended,
            Some(_) => return Err(malformed()),
            None => return Err(S3Error::new(S3ErrorCode::IllegalVersioningConfigurationException)),
        };
        Ok(Self { versioning })
    }

    /// The answer to `GetBucketVersioning`.
    pub fn to_xml(self) -> Bytes {
        let mut xml = Xml::document("VersioningConfiguration", 64);
        match self.versioning {
            Versioning::Off => {}
            Versioning::Enabled => xml.element("Status", "Enabled"),
            Versioning::Suspended => xml.element("Status", "Suspended"),
        }
        xml.into_bytes()
    }
}

fn mfa_delete() -> S3Error {
    S3Error::with_message(S3ErrorCode::NotImplemented, "MFA Delete is not supported: users have no MFA devices")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests() {
        let parse = |inner: &str| {
            let text = format!("<VersioningConfiguration>{inner}</VersioningConfiguration>");
            VersioningConfiguration::parse(text.as_bytes()).map(|read| read.versioning).map_err(|error| error.code())
        };
        assert_eq!(parse("<Status>Enabled</Status>"), Ok(Versioning::Enabled));
        assert_eq!(parse("<Status>Suspended</Status><MfaDelete>Disabled</MfaDelete>"), Ok(Versioning::Suspended));
        for (inner, code) in [
            ("", S3ErrorCode::IllegalVersioningConfigurationException),
            ("<MfaDelete>Disabled</MfaDelete>", S3ErrorCode::IllegalVersioningConfigurationException),
            ("<Status>Enabled</Status><MfaDelete>Enabled</MfaDelete>", S3ErrorCode::NotImplemented),
            ("<Status>enabled</Status>", S3ErrorCode::MalformedXML),
            ("<Status>Off</Status>", S3ErrorCode::MalformedXML),
            ("<Status/><Other/>", S3ErrorCode::MalformedXML),
        ] {
            assert_eq!(parse(inner), Err(code), "{inner}");
        }
    }
}
