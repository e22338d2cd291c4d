//! The webhooks the operator has named, and the ARNs that mean them.
//!
//! A target is called `arn:aws:sns:REGION:ACCOUNT:NAME` in a topic configuration, `arn:aws:sqs:…` in a queue's,
//! `arn:aws:lambda:REGION:ACCOUNT:function:NAME` in a function's, and `arn:granary:webhook:REGION:ACCOUNT:NAME` anywhere:
//! whatever a client's tools insist on. Region and account may be empty; the region is this store's otherwise.

use http::Uri;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Names of targets.
const NAME_CHARACTERS_MAX: usize = 64;

/// Where events may go.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NotificationSettings {
    /// The webhooks, by the name that ARNs end in. Default: none.
    pub targets: BTreeMap<String, TargetSettings>,
    /// Whether targets may resolve to addresses of this machine or of private networks. Default false.
    pub allow_private_targets: bool,
}

/// A webhook.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TargetSettings {
    /// Where messages are posted to: `http://` or `https://`.
    pub url: String,
}

/// A target's setting that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("notification target {name}: {must}")]
pub struct TargetError {
    /// The target.
    pub name: String,
    /// What it must be.
    pub must: &'static str,
}

/// The targets, ready to be found.
#[derive(Clone, Debug)]
pub(crate) struct Targets {
    region: String,
    urls: BTreeMap<String, Uri>,
}

impl Targets {
    /// Checks the settings.
    ///
    /// # Errors
    /// The first target that cannot be used.
    pub(crate) fn new(settings: &NotificationSettings, region: &str) -> Result<Self, TargetError> {
        let mut urls = BTreeMap::new();
        for (name, target) in &settings.targets {
            let refused = |must| TargetError { name: name.clone(), must };
            let is_word = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
            if name.is_empty() || name.len() > NAME_CHARACTERS_MAX || !name.bytes().all(is_word) {
                return Err(refused("names are 1 to 64 letters, digits, dashes and underscores"));
            }
            let url: Uri = target.url.parse().map_err(|_| refused("not a URL"))?;
            let is_plain = url.authority().is_some_and(|authority| !authority.as_str().contains('@'));
            if !matches!(url.scheme_str(), Some("http" | "https")) || !is_plain {
                return Err(refused("the URL must look like https://host[:port]/path"));
            }
            urls.insert(name.clone(), url);
        }
        Ok(Self { region: region.to_owned(), urls })
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.urls.is_empty()
    }

    /// The URL an ARN stands for.
    pub(crate) fn find(&self, arn: &str) -> Option<&Uri> {
        let parts: Vec<&str> = arn.splitn(6, ':').collect();
        let ["arn", partition, service, region, account, name] = parts[..] else { return None };
        let is_ours = (region.is_empty() || region == self.region)
            && (account.is_empty() || (account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit())));
        let name = match (partition, service) {
            ("aws", "sns" | "sqs") | ("granary", "webhook") => name,
            ("aws", "lambda") => name.strip_prefix("function:")?,
            (_, _) => return None,
        };
        if is_ours { self.urls.get(name) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(name: &str, url: &str) -> NotificationSettings {
        let target = TargetSettings { url: url.to_owned() };
        NotificationSettings { targets: BTreeMap::from([(name.to_owned(), target)]), allow_private_targets: false }
    }

    #[test]
    fn arns_of_every_kind_name_a_target() {
        let targets = Targets::new(&settings("hook", "https://h.example/p?q=1"), "eu-west-1").unwrap();
        for arn in [
            "arn:aws:sns:eu-west-1:123456789012:hook",
            "arn:aws:sqs:eu-west-1:000000000000:hook",
            "arn:aws:sqs:::hook",
            "arn:aws:lambda:eu-west-1:123456789012:function:hook",
            "arn:granary:webhook:::hook",
        ] {
            assert_eq!(targets.find(arn).map(Uri::to_string).as_deref(), Some("https://h.example/p?q=1"), "{arn}");
        }
        for arn in [
            "",
            "hook",
            "arn:aws:sns:eu-west-1:123456789012:other",
            "arn:aws:sns:us-east-1:123456789012:hook",
            "arn:aws:sns:eu-west-1:me:hook",
            "arn:aws:s3:::hook",
            "arn:aws:lambda:::hook",
            "arn:aws:sns:eu-west-1:123456789012:x:hook",
            "arn:granary:sqs:::hook",
        ] {
            assert_eq!(targets.find(arn), None, "{arn}");
        }
    }

    #[test]
    fn settings_are_checked() {
        for (name, url) in [
            ("", "http://h"),
            ("a:b", "http://h"),
            ("hook", "ftp://h"),
            ("hook", "/path"),
            ("hook", "http://user:secret@h/"),
            ("hook", "http://a b"),
        ] {
            assert!(Targets::new(&settings(name, url), "us-east-1").is_err(), "{name} {url}");
        }
        assert!(Targets::new(&NotificationSettings::default(), "us-east-1").unwrap().is_empty());
    }
}
