//! `WebsiteConfiguration`: how a bucket is served as a web site.
//!
//! Source: "Hosting a static website using Amazon S3", user guide.

use super::Document;
use super::website_rules::{Protocol, RoutingRule, read_rules, write_rules};
use crate::error::{S3Error, S3ErrorCode};
use crate::ops::Element;
use crate::ops::xml_reader::malformed;
use crate::ops::xml_writer::Xml;
use bytes::Bytes;
use granary_protocol::bucket::BucketDocument;

const ELEMENTS_MAX: usize = 1024;
const TEXT_BYTES_MAX: usize = 1024;

/// What a web site answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum WebsiteConfiguration {
    /// Every request is sent to another host.
    RedirectAll {
        /// Where to.
        host: String,
        /// With which protocol; that of the request if it is not named.
        protocol: Option<Protocol>,
    },
    /// Objects, with an index.
    Site(IndexedWebsite),
}

/// A site made of the bucket's objects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct IndexedWebsite {
    /// What is appended to a key that ends in a slash.
    pub index_suffix: String,
    /// The object shown with a 4xx.
    pub error_key: Option<String>,
    /// Redirects, the first that applies.
    pub rules: Vec<RoutingRule>,
}

impl Document for WebsiteConfiguration {
    const KIND: BucketDocument = BucketDocument::Website;

    fn parse(text: &[u8]) -> Result<Self, S3Error> {
        let root = Element::parse(text, "WebsiteConfiguration", ELEMENTS_MAX)?;
        root.only(&["IndexDocument", "ErrorDocument", "RedirectAllRequestsTo", "RoutingRules"])?;
        if let Some(redirect) = root.optional("RedirectAllRequestsTo")? {
            return match root.children().len() {
                1 => read_redirect_all(redirect),
                _ => Err(S3Error::invalid_request(
                    "RedirectAllRequestsTo cannot be provided in conjunction with other Routing Rules.",
                )),
            };
        }
        let index = root.optional("IndexDocument")?.ok_or_else(|| {
            invalid("A value for IndexDocument Suffix must be provided if RedirectAllRequestsTo is empty")
        })?;
        let index_suffix = index.only(&["Suffix"])?.required_text("Suffix")?;
        if index_suffix.is_empty() || index_suffix.contains('/') || index_suffix.len() > TEXT_BYTES_MAX {
            return Err(invalid("The IndexDocument Suffix is not well formed"));
        }
        let error = root.optional("ErrorDocument")?;
        let error_key = error.map(|error| error.only(&["Key"])?.required_text("Key")).transpose()?;
        if error_key.as_ref().is_some_and(|key| key.is_empty() || key.len() > TEXT_BYTES_MAX) {
            return Err(invalid("The ErrorDocument Key is not well formed"));
        }
        let rules = root.optional("RoutingRules")?.map(read_rules).transpose()?;
        if rules.as_ref().is_some_and(Vec::is_empty) {
            return Err(malformed());
        }
        let rules = rules.unwrap_or_default();
        Ok(Self::Site(IndexedWebsite { index_suffix, error_key, rules }))
    }

    fn to_xml(&self) -> Bytes {
        let mut xml = Xml::document("WebsiteConfiguration", 512);
        match self {
            Self::RedirectAll { host, protocol } => {
                xml.open("RedirectAllRequestsTo");
                xml.element("HostName", host);
                if let Some(protocol) = protocol {
                    xml.element("Protocol", protocol.name());
                }
                xml.close("RedirectAllRequestsTo");
            }
            Self::Site(site) => {
                xml.open("IndexDocument");
                xml.element("Suffix", &site.index_suffix);
                xml.close("IndexDocument");
                if let Some(key) = &site.error_key {
                    xml.open("ErrorDocument");
                    xml.element("Key", key);
                    xml.close("ErrorDocument");
                }
                write_rules(&mut xml, &site.rules);
            }
        }
        xml.into_bytes()
    }
}

fn read_redirect_all(element: &Element) -> Result<WebsiteConfiguration, S3Error> {
    let host = element.only(&["HostName", "Protocol"])?.required_text("HostName")?;
    if host.is_empty() {
        return Err(malformed());
    }
    Ok(WebsiteConfiguration::RedirectAll { host: checked_host(host)?, protocol: read_protocol(element)? })
}

/// A host name goes into a `Location` header: visible ASCII, and no longer than one may be.
pub(super) fn checked_host(host: String) -> Result<String, S3Error> {
    match !host.is_empty() && host.len() <= TEXT_BYTES_MAX && host.bytes().all(|byte| byte.is_ascii_graphic()) {
        true => Ok(host),
        false => Err(invalid("The HostName is not well formed")),
    }
}

/// The `Protocol` inside an element.
pub(super) fn read_protocol(element: &Element) -> Result<Option<Protocol>, S3Error> {
    match element.optional_text("Protocol")?.as_deref().map(str::trim) {
        None => Ok(None),
        Some("http") => Ok(Some(Protocol::Http)),
        Some("https") => Ok(Some(Protocol::Https)),
        Some(_) => Err(S3Error::invalid_request(
            "Invalid protocol, protocol can be http or https. If not defined the protocol will be selected \
             automatically.",
        )),
    }
}

fn invalid(message: &'static str) -> S3Error {
    S3Error::with_message(S3ErrorCode::InvalidArgument, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(inner: &str) -> Result<WebsiteConfiguration, S3Error> {
        WebsiteConfiguration::parse(format!("<WebsiteConfiguration>{inner}</WebsiteConfiguration>").as_bytes())
    }

    const INDEX: &str = "<IndexDocument><Suffix>index.html</Suffix></IndexDocument>";

    fn with_rule(inner: &str) -> String {
        format!("{INDEX}<RoutingRules><RoutingRule>{inner}</RoutingRule></RoutingRules>")
    }

    #[test]
    fn round_trip() {
        for inner in [
            INDEX.to_owned(),
            format!("{INDEX}<ErrorDocument><Key>e/404.html</Key></ErrorDocument>"),
            "<RedirectAllRequestsTo><HostName>example.com</HostName><Protocol>https</Protocol></RedirectAllRequestsTo>"
                .to_owned(),
            with_rule(
                "<Condition><KeyPrefixEquals>docs/</KeyPrefixEquals><HttpErrorCodeReturnedEquals>404\
                 </HttpErrorCodeReturnedEquals></Condition><Redirect><Protocol>http</Protocol><HostName>h</HostName>\
                 <ReplaceKeyPrefixWith>d/</ReplaceKeyPrefixWith><HttpRedirectCode>302</HttpRedirectCode></Redirect>",
            ),
            with_rule("<Redirect><ReplaceKeyWith>k</ReplaceKeyWith></Redirect>"),
        ] {
            let read = parse(&inner).unwrap();
            assert_eq!(WebsiteConfiguration::parse(&read.to_xml()).unwrap(), read, "{inner}");
        }
    }

    #[test]
    fn what_is_refused() {
        use S3ErrorCode::*;
        let redirect = "<RedirectAllRequestsTo><HostName>h</HostName></RedirectAllRequestsTo>";
        let to_host = "<Redirect><HostName>h</HostName></Redirect>";
        for (inner, code) in [
            (String::new(), InvalidArgument),
            (INDEX.replace("index.html", ""), InvalidArgument),
            (INDEX.replace("index.html", "a/b"), InvalidArgument),
            (format!("{INDEX}{redirect}"), InvalidRequest),
            (format!("{INDEX}<ErrorDocument><Key/></ErrorDocument>"), InvalidArgument),
            (redirect.replace("</HostName>", "</HostName><Protocol>ftp</Protocol>"), InvalidRequest),
            (redirect.replace(">h<", ">h&#13;&#10;X: y<"), InvalidArgument),
            (with_rule(""), MalformedXML),
            (with_rule("<Redirect/>"), MalformedXML),
            (with_rule(&format!("<Condition/>{to_host}")), InvalidRequest),
            (
                with_rule(
                    "<Redirect><ReplaceKeyWith>a</ReplaceKeyWith><ReplaceKeyPrefixWith>b</ReplaceKeyPrefixWith>\
                           </Redirect>",
                ),
                InvalidRequest,
            ),
            (
                with_rule(&to_host.replace("</Redirect>", "<HttpRedirectCode>300</HttpRedirectCode></Redirect>")),
                InvalidRequest,
            ),
            (
                with_rule(&format!(
                    "<Condition><HttpErrorCodeReturnedEquals>200</HttpErrorCodeReturnedEquals></Condition>{to_host}"
                )),
                InvalidRequest,
            ),
            (
                format!(
                    "{INDEX}<RoutingRules>{}</RoutingRules>",
                    format!("<RoutingRule>{to_host}</RoutingRule>").repeat(51)
                ),
                InvalidRequest,
            ),
        ] {
            assert_eq!(parse(&inner).unwrap_err().code(), code, "{inner}");
        }
    }
}
