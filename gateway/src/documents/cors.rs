//! `CORSConfiguration`: which pages of other origins may do what, and the answer to each of their questions.
//!
//! Invariant: everything that goes into a response header was checked to be a header's value when it was stored, or came
//! in as one. Source: "Using cross-origin resource sharing", Amazon S3 user guide.

use super::Document;
use crate::error::S3Error;
use crate::ops::Element;
use crate::ops::xml_reader::malformed;
use crate::ops::xml_writer::Xml;
use bytes::Bytes;
use granary_protocol::bucket::BucketDocument;
use http::HeaderName;

const RULES_MAX: usize = 100;
const ID_CHARACTERS_MAX: usize = 255;
/// AWS bounds the document by 64 KB; this is more than fits.
const ELEMENTS_MAX: usize = 4096;
const METHODS: [&str; 5] = ["GET", "PUT", "POST", "DELETE", "HEAD"];

/// The rules of a bucket, in order: the first that matches answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct CorsConfiguration {
    /// At least one.
    pub rules: Vec<CorsRule>,
}

/// One rule.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct CorsRule {
    /// A name for people.
    pub id: Option<String>,
    /// Patterns of request headers, `*` at most once each.
    pub allowed_headers: Vec<String>,
    /// Of [`METHODS`].
    pub allowed_methods: Vec<String>,
    /// Patterns of origins, `*` at most once each.
    pub allowed_origins: Vec<String>,
    /// Response headers a page may read.
    pub expose_headers: Vec<String>,
    /// How long a browser may remember a preflight's answer.
    pub max_age_seconds: Option<i32>,
}

impl CorsConfiguration {
    /// The rule for a request of a page of `origin` with `method` and the headers it asks to send.
    pub fn rule_for(&self, origin: &str, method: &str, headers: &[&str]) -> Option<&CorsRule> {
        self.rules.iter().find(|rule| rule.allows(origin, method, headers))
    }
}

impl CorsRule {
    fn allows(&self, origin: &str, method: &str, headers: &[&str]) -> bool {
        self.allowed_methods.iter().any(|allowed| allowed == method)
            && self.allowed_origins.iter().any(|pattern| matches(pattern, origin))
            && headers.iter().all(|header| {
                let header = header.to_ascii_lowercase();
                self.allowed_headers.iter().any(|pattern| matches(&pattern.to_ascii_lowercase(), &header))
            })
    }

    /// Whether every origin is allowed, by the pattern `*`. The answer then is the same for all, and without credentials.
    pub fn allows_any_origin(&self) -> bool {
        self.allowed_origins.iter().any(|pattern| pattern == "*")
    }
}

/// At most one `*`, which stands for any text.
fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((start, end)) => text.len() >= start.len() + end.len() && text.starts_with(start) && text.ends_with(end),
    }
}

impl Document for CorsConfiguration {
    const KIND: BucketDocument = BucketDocument::Cors;

    fn parse(text: &[u8]) -> Result<Self, S3Error> {
        let root = Element::parse(text, "CORSConfiguration", ELEMENTS_MAX)?;
        let rules = root.only(&["CORSRule"])?.children();
        match rules.len() {
            0 => Err(malformed()),
            1..=RULES_MAX => Ok(Self { rules: rules.iter().map(read_rule).collect::<Result<_, _>>()? }),
            _ => {
                Err(S3Error::invalid_request("The number of CORS rules should not exceed allowed limit of 100 rules."))
            }
        }
    }

    fn to_xml(&self) -> Bytes {
        let mut xml = Xml::document("CORSConfiguration", self.rules.len() * 256);
        for rule in &self.rules {
            xml.open("CORSRule");
            if let Some(id) = &rule.id {
                xml.element("ID", id);
            }
            for (tag, texts) in [
                ("AllowedMethod", &rule.allowed_methods),
                ("AllowedOrigin", &rule.allowed_origins),
                ("AllowedHeader", &rule.allowed_headers),
                ("ExposeHeader", &rule.expose_headers),
            ] {
                texts.iter().for_each(|text| xml.element(tag, text));
            }
            if let Some(seconds) = rule.max_age_seconds {
                xml.plain("MaxAgeSeconds", seconds);
            }
            xml.close("CORSRule");
        }
        xml.into_bytes()
    }
}

fn read_rule(element: &Element) -> Result<CorsRule, S3Error> {
    element.only(&["ID", "AllowedHeader", "AllowedMethod", "AllowedOrigin", "ExposeHeader", "MaxAgeSeconds"])?;
    let texts = |name: &str| -> Result<Vec<String>, S3Error> {
        element.all(name).map(|child| child.text().map(|text| text.trim().to_owned())).collect()
    };
    let rule = CorsRule {
        id: element.optional_text("ID")?,
        allowed_headers: texts("AllowedHeader")?,
        allowed_methods: texts("AllowedMethod")?,
        allowed_origins: texts("AllowedOrigin")?,
        expose_headers: texts("ExposeHeader")?,
        max_age_seconds: element.optional("MaxAgeSeconds")?.map(Element::parsed).transpose()?,
    };
    check_rule(&rule)?;
    Ok(rule)
}

fn check_rule(rule: &CorsRule) -> Result<(), S3Error> {
    if rule.allowed_methods.is_empty() || rule.allowed_origins.is_empty() {
        return Err(malformed());
    }
    if rule.max_age_seconds.is_some_and(|seconds| seconds < 0) {
        return Err(malformed());
    }
    if rule.id.as_ref().is_some_and(|id| id.chars().count() > ID_CHARACTERS_MAX) {
        return Err(S3Error::invalid_request("CORS rule ID should not exceed allowed limit of 255 characters."));
    }
    if let Some(method) = rule.allowed_methods.iter().find(|method| !METHODS.contains(&method.as_str())) {
        return Err(S3Error::invalid_request(format!(
            "Found unsupported HTTP method in CORS config. Unsupported method is {method}"
        )));
    }
    for (what, patterns) in [("AllowedOrigin", &rule.allowed_origins), ("AllowedHeader", &rule.allowed_headers)] {
        if let Some(pattern) = patterns.iter().find(|pattern| pattern.matches('*').count() > 1) {
            return Err(S3Error::invalid_request(format!("{what} \"{pattern}\" can not have more than one wildcard.")));
        }
    }
    for header in &rule.expose_headers {
        if header.contains('*') {
            return Err(S3Error::invalid_request(format!(
                "ExposeHeader \"{header}\" contains wildcard. We currently do not support wildcard for ExposeHeader."
            )));
        }
        if HeaderName::from_bytes(header.as_bytes()).is_err() {
            return Err(S3Error::invalid_request(format!("ExposeHeader \"{header}\" contains invalid character.")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::S3ErrorCode;

    fn parse(rules: &str) -> Result<CorsConfiguration, S3Error> {
        CorsConfiguration::parse(format!("<CORSConfiguration>{rules}</CORSConfiguration>").as_bytes())
    }

    const SIMPLE: &str = "<CORSRule><AllowedMethod>GET</AllowedMethod><AllowedOrigin>*</AllowedOrigin></CORSRule>";

    #[test]
    fn round_trip() {
        let read = parse(
            "<CORSRule><ID>one</ID><AllowedHeader>x-amz-*</AllowedHeader><AllowedMethod>PUT</AllowedMethod>\
             <AllowedMethod>HEAD</AllowedMethod><AllowedOrigin>https://*.example.com</AllowedOrigin>\
             <ExposeHeader>ETag</ExposeHeader><MaxAgeSeconds>0</MaxAgeSeconds></CORSRule>",
        )
        .unwrap();
        assert_eq!(CorsConfiguration::parse(&read.to_xml()).unwrap(), read);
        assert_eq!(read.rules[0].max_age_seconds, Some(0));
        assert_eq!(parse(&SIMPLE.repeat(100)).unwrap().rules.len(), 100);
    }

    #[test]
    fn what_is_refused() {
        let rule = |more: &str| SIMPLE.replace("</CORSRule>", &format!("{more}</CORSRule>"));
        for (rules, code) in [
            (String::new(), S3ErrorCode::MalformedXML),
            (SIMPLE.repeat(101), S3ErrorCode::InvalidRequest),
            ("<CORSRule><AllowedMethod>GET</AllowedMethod></CORSRule>".to_owned(), S3ErrorCode::MalformedXML),
            ("<CORSRule><AllowedOrigin>*</AllowedOrigin></CORSRule>".to_owned(), S3ErrorCode::MalformedXML),
            (rule("<AllowedMethod>PATCH</AllowedMethod>"), S3ErrorCode::InvalidRequest),
            (rule("<AllowedMethod>get</AllowedMethod>"), S3ErrorCode::InvalidRequest),
            (rule("<AllowedOrigin>http://*.*</AllowedOrigin>"), S3ErrorCode::InvalidRequest),
            (rule("<AllowedHeader>**</AllowedHeader>"), S3ErrorCode::InvalidRequest),
            (rule("<ExposeHeader>*</ExposeHeader>"), S3ErrorCode::InvalidRequest),
            (rule("<ExposeHeader>a&#13;&#10;Set-Cookie: b</ExposeHeader>"), S3ErrorCode::InvalidRequest),
            (rule("<MaxAgeSeconds>soon</MaxAgeSeconds>"), S3ErrorCode::MalformedXML),
            (rule("<MaxAgeSeconds>-1</MaxAgeSeconds>"), S3ErrorCode::MalformedXML),
            (rule(&format!("<ID>{}</ID>", "i".repeat(256))), S3ErrorCode::InvalidRequest),
            (rule("<Other/>"), S3ErrorCode::MalformedXML),
        ] {
            assert_eq!(parse(&rules).unwrap_err().code(), code, "{rules}");
        }
    }

    #[test]
    fn patterns() {
        for (pattern, text, expected) in [
            ("*", "http://any", true),
            ("*suffix", "foo.suffix", true),
            ("*suffix", "foo.suffix.get", false),
            ("start*end", "startend", true),
            ("start*end", "start1end", true),
            ("start*end", "0start12end", false),
            ("start*tend", "startend", false),
            ("prefix*", "prefix.suffix", true),
            ("prefix*", "bla.prefix", false),
            ("http://a", "http://a", true),
            ("http://a", "http://A", false),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn the_first_rule_that_allows_all_of_it() {
        let rules = parse(
            "<CORSRule><ID>get</ID><AllowedMethod>GET</AllowedMethod><AllowedOrigin>http://*</AllowedOrigin></CORSRule>\
             <CORSRule><ID>put</ID><AllowedMethod>PUT</AllowedMethod><AllowedMethod>GET</AllowedMethod>\
             <AllowedOrigin>http://a</AllowedOrigin><AllowedHeader>X-Amz-*</AllowedHeader></CORSRule>",
        )
        .unwrap();
        let id = |origin, method, headers: &[&str]| {
            rules.rule_for(origin, method, headers).map(|rule| rule.id.clone().unwrap())
        };
        assert_eq!(id("http://a", "GET", &[]).as_deref(), Some("get"));
        assert_eq!(id("http://a", "GET", &["x-amz-DATE"]).as_deref(), Some("put"));
        assert_eq!(id("http://a", "PUT", &["x-amz-date", "content-type"]), None);
        assert_eq!(id("http://b", "PUT", &[]), None);
        assert_eq!(id("ftp://b", "GET", &[]), None);
    }
}
