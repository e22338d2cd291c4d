//! From a request for a page to the key it means, or to where it is redirected.

use crate::documents::{IndexedWebsite, Protocol, RoutingRule};
use crate::request::uri_encode_into;

/// A request for a page.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SiteRequest<'r> {
    /// The key as it was asked for, before an index is appended; may be empty.
    pub key: &'r str,
    /// `Host`, port included.
    pub host: &'r str,
    pub is_tls: bool,
}

/// Where a browser is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Redirection {
    pub status: u16,
    pub location: String,
}

/// The key that is read: at the end of a directory, its index.
pub(crate) fn index_key(site: &IndexedWebsite, key: &str) -> String {
    match key.is_empty() || key.ends_with('/') {
        true => format!("{key}{}", site.index_suffix),
        false => key.to_owned(),
    }
}

/// For a key that is not there: the key of its index if it is a directory after all, and the redirect to that.
pub(crate) fn index_of_directory(site: &IndexedWebsite, key: &str) -> Option<(String, Redirection)> {
    if key.is_empty() || key.ends_with('/') {
        return None;
    }
    // The redirect names no host, so a key that begins with a slash would be read as one.
    if key.starts_with('/') {
        return None;
    }
    let location = format!("/{}/", encoded(key));
    Some((format!("{key}/{}", site.index_suffix), Redirection { status: 302, location }))
}

/// `RedirectAllRequestsTo`.
pub(crate) fn redirect_all(host: &str, protocol: Option<Protocol>, request: SiteRequest<'_>) -> Redirection {
    Redirection { status: 301, location: url(protocol, host, request.key, request) }
}

/// The first rule that applies: before the object is read with `error` `None`, afterwards with the status it failed with.
pub(crate) fn redirect_of_rules(
    rules: &[RoutingRule],
    error: Option<u16>,
    request: SiteRequest<'_>,
) -> Option<Redirection> {
    let applies = |rule: &&RoutingRule| {
        rule.error_code == error && request.key.starts_with(rule.key_prefix.as_deref().unwrap_or_default())
    };
    let rule = rules.iter().find(applies)?;
    let redirect = &rule.redirect;
    let key = match (&redirect.replace_key, &redirect.replace_prefix) {
        (Some(key), _) => key.clone(),
        (None, Some(prefix)) => {
            let matched = rule.key_prefix.as_deref().unwrap_or_default();
            format!("{prefix}{}", &request.key[matched.len()..])
        }
        (None, None) => request.key.to_owned(),
    };
    let host = redirect.host.as_deref().unwrap_or(request.host);
    Some(Redirection { status: redirect.code.unwrap_or(301), location: url(redirect.protocol, host, &key, request) })
}

fn url(protocol: Option<Protocol>, host: &str, key: &str, request: SiteRequest<'_>) -> String {
    let own = if request.is_tls { "https" } else { "http" };
    format!("{}://{host}/{}", protocol.map_or(own, Protocol::name), encoded(key))
}

fn encoded(key: &str) -> String {
    let mut out = Vec::with_capacity(key.len());
    uri_encode_into(&mut out, key.as_bytes(), true);
    String::from_utf8(out).expect("percent-encoding yields ASCII")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::documents::RedirectTo;

    fn site() -> IndexedWebsite {
        IndexedWebsite { index_suffix: "index.html".to_owned(), error_key: None, rules: Vec::new() }
    }

    fn request(key: &str) -> SiteRequest<'_> {
        SiteRequest { key, host: "b.site.example:80", is_tls: false }
    }

    #[test]
    fn directories_have_an_index() {
        for (key, read) in [("", "index.html"), ("a/", "a/index.html"), ("a", "a"), ("a/b.html", "a/b.html")] {
            assert_eq!(index_key(&site(), key), read);
        }
        let (key, redirection) = index_of_directory(&site(), "a b/c").unwrap();
        assert_eq!((key.as_str(), redirection.location.as_str()), ("a b/c/index.html", "/a%20b/c/"));
        for key in ["", "a/", "/evil.example"] {
            assert_eq!(index_of_directory(&site(), key), None, "{key}");
        }
    }

    #[test]
    fn everything_is_sent_elsewhere() {
        let to = |protocol| redirect_all("www.example", protocol, request("a/b c"));
        assert_eq!(to(None), Redirection { status: 301, location: "http://www.example/a/b%20c".to_owned() });
        assert_eq!(to(Some(Protocol::Https)).location, "https://www.example/a/b%20c");
    }

    #[test]
    fn the_first_rule_that_applies_decides() {
        let rule = |key_prefix: Option<&str>, error_code, redirect: RedirectTo| RoutingRule {
            key_prefix: key_prefix.map(str::to_owned),
            error_code,
            redirect,
        };
        let text = |text: &str| Some(text.to_owned());
        let rules = [
            rule(Some("docs/"), None, RedirectTo { replace_prefix: text("documents/"), ..RedirectTo::default() }),
            rule(
                Some("old/"),
                None,
                RedirectTo { replace_key: text("gone.html"), code: Some(302), ..RedirectTo::default() },
            ),
            rule(
                Some("images/"),
                Some(404),
                RedirectTo { host: text("other.example"), protocol: Some(Protocol::Https), ..RedirectTo::default() },
            ),
            rule(None, Some(404), RedirectTo { replace_prefix: text("report-404/"), ..RedirectTo::default() }),
        ];
        for (key, error, expected) in [
            ("docs/a.html", None, Some((301, "http://b.site.example:80/documents/a.html"))),
            ("old/x", None, Some((302, "http://b.site.example:80/gone.html"))),
            ("images/x", None, None),
            ("images/x", Some(404), Some((301, "https://other.example/images/x"))),
            ("y", Some(404), Some((301, "http://b.site.example:80/report-404/y"))),
            ("y", Some(403), None),
        ] {
            let found = redirect_of_rules(&rules, error, request(key));
            let found = found.as_ref().map(|redirection| (redirection.status, redirection.location.as_str()));
            assert_eq!(found, expected, "{key} {error:?}");
        }
    }
}
