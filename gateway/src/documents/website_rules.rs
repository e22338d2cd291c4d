//! `RoutingRules` of a web site: when a request is redirected, and where to.

use super::website::{checked_host, read_protocol};
use crate::error::S3Error;
use crate::ops::Element;
use crate::ops::xml_reader::malformed;
use crate::ops::xml_writer::Xml;

const RULES_MAX: usize = 50;
const KEY_BYTES_MAX: usize = 1024;

/// A redirect and its condition. Without a condition it always applies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RoutingRule {
    /// What keys begin with.
    pub key_prefix: Option<String>,
    /// The 4xx or 5xx the request would get.
    pub error_code: Option<u16>,
    /// Where to.
    pub redirect: RedirectTo,
}

/// Where a request is sent. What is not named stays as in the request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RedirectTo {
    pub protocol: Option<Protocol>,
    pub host: Option<String>,
    /// Replaces what the condition's prefix matched.
    pub replace_prefix: Option<String>,
    /// Replaces the key. Never beside `replace_prefix`.
    pub replace_key: Option<String>,
    /// 301 if not named.
    pub code: Option<u16>,
}

/// How a browser is to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Http,
    Https,
}

impl Protocol {
    /// As in documents and URLs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

/// Reads `RoutingRules`.
pub(super) fn read_rules(element: &Element) -> Result<Vec<RoutingRule>, S3Error> {
    let rules = element.only(&["RoutingRule"])?.children();
    if rules.len() > RULES_MAX {
        return Err(S3Error::invalid_request(format!(
            "{} routing rules provided, the number of routing rules in a website configuration is limited to \
             {RULES_MAX}.",
            rules.len()
        )));
    }
    rules.iter().map(read_rule).collect()
}

fn read_rule(element: &Element) -> Result<RoutingRule, S3Error> {
    let (mut key_prefix, mut error_code) = (None, None);
    element.only(&["Condition", "Redirect"])?;
    if let Some(condition) = element.optional("Condition")? {
        condition.only(&["KeyPrefixEquals", "HttpErrorCodeReturnedEquals"])?;
        key_prefix = condition.optional_text("KeyPrefixEquals")?;
        let text = condition.optional_text("HttpErrorCodeReturnedEquals")?;
        error_code = text.map(|text| status(text.trim(), 400..600, "error", "4XX or 5XX")).transpose()?;
        if key_prefix.is_none() && error_code.is_none() {
            return Err(S3Error::invalid_request(
                "Condition cannot be empty. To redirect all requests without a condition, the condition element \
                 shouldn't be present.",
            ));
        }
    }
    Ok(RoutingRule { key_prefix, error_code, redirect: read_redirect(element.required("Redirect")?)? })
}

fn read_redirect(element: &Element) -> Result<RedirectTo, S3Error> {
    element.only(&["Protocol", "HostName", "ReplaceKeyPrefixWith", "ReplaceKeyWith", "HttpRedirectCode"])?;
    if element.children().is_empty() {
        return Err(malformed());
    }
    let code = element.optional_text("HttpRedirectCode")?;
    let redirect = RedirectTo {
        protocol: read_protocol(element)?,
        host: element.optional_text("HostName")?.map(checked_host).transpose()?,
        replace_prefix: element.optional_text("ReplaceKeyPrefixWith")?,
        replace_key: element.optional_text("ReplaceKeyWith")?,
        code: code.map(|code| status(code.trim(), 301..400, "redirect", "3XX except 300")).transpose()?,
    };
    if redirect.replace_prefix.is_some() && redirect.replace_key.is_some() {
        return Err(S3Error::invalid_request("You can only define ReplaceKeyPrefix or ReplaceKey but not both."));
    }
    let too_long = |text: &Option<String>| text.as_ref().is_some_and(|text| text.len() > KEY_BYTES_MAX);
    if too_long(&redirect.replace_prefix) || too_long(&redirect.replace_key) {
        return Err(malformed());
    }
    Ok(redirect)
}

fn status(text: &str, allowed: std::ops::Range<u16>, what: &str, which: &str) -> Result<u16, S3Error> {
    text.parse().ok().filter(|status| allowed.contains(status)).ok_or_else(|| {
        S3Error::invalid_request(format!(
            "The provided HTTP {what} code ({text}) is not valid. Valid codes are {which}."
        ))
    })
}

/// Writes `RoutingRules`, if there are any.
pub(super) fn write_rules(xml: &mut Xml, rules: &[RoutingRule]) {
    if rules.is_empty() {
        return;
    }
    xml.open("RoutingRules");
    for rule in rules {
        xml.open("RoutingRule");
        if rule.key_prefix.is_some() || rule.error_code.is_some() {
            xml.open("Condition");
            optional(xml, "KeyPrefixEquals", rule.key_prefix.as_deref());
            optional(xml, "HttpErrorCodeReturnedEquals", rule.error_code.map(|code| code.to_string()).as_deref());
            xml.close("Condition");
        }
        let redirect = &rule.redirect;
        xml.open("Redirect");
        optional(xml, "Protocol", redirect.protocol.map(Protocol::name));
        optional(xml, "HostName", redirect.host.as_deref());
        optional(xml, "ReplaceKeyPrefixWith", redirect.replace_prefix.as_deref());
        optional(xml, "ReplaceKeyWith", redirect.replace_key.as_deref());
        optional(xml, "HttpRedirectCode", redirect.code.map(|code| code.to_string()).as_deref());
        xml.close("Redirect");
        xml.close("RoutingRule");
    }
    xml.close("RoutingRules");
}

fn optional(xml: &mut Xml, tag: &str, text: Option<&str>) {
    if let Some(text) = text {
        xml.element(tag, text);
    }
}
