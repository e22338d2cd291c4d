//! What listings have in common: how many, from where, and how names are written.

use crate::error::S3Error;
use crate::request::Query;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use granary_protocol::namenode::ListAfter;
use granary_protocol::object::{KEY_BYTES_MAX, PAGE_ENTRIES_MAX};

/// A page size such as `max-keys`: 0 to 2^31-1 as AWS reads it, at most 1,000 as it is served; 1,000 if absent.
pub(super) fn page_size(query: &Query, name: &'static str) -> Result<u32, S3Error> {
    let Some(text) = query.get_non_empty(name) else { return Ok(PAGE_ENTRIES_MAX) };
    match text.parse::<i32>().ok().and_then(|number| u32::try_from(number).ok()) {
        Some(number) => Ok(number.min(PAGE_ENTRIES_MAX)),
        None => {
            let message = match text.parse::<i64>() {
                Ok(..0) => format!("Argument {name} must be an integer between 0 and 2147483647"),
                Ok(_) | Err(_) => format!("Provided {name} not an integer or within integer range"),
            };
            Err(S3Error::invalid_argument(message, name, text))
        }
    }
}

/// Whether the client wants names percent-encoded; `InvalidArgument` for another encoding than `url`.
pub(super) fn wants_url_encoding(query: &Query) -> Result<bool, S3Error> {
    match query.get_non_empty("encoding-type") {
        None => Ok(false),
        Some(text) if text.eq_ignore_ascii_case("url") => Ok(true),
        Some(other) => {
            Err(S3Error::invalid_argument("Invalid Encoding Method specified in Request", "encoding-type", other))
        }
    }
}

/// A continuation token: opaque to clients, a tagged name to us.
pub(super) fn token(after: &ListAfter) -> String {
    let (tag, name) = match after {
        ListAfter::Start => ('s', ""),
        ListAfter::Key(key) => ('k', key.as_str()),
        ListAfter::Prefix(prefix) => ('p', prefix.as_str()),
    };
    BASE64.encode(format!("1{tag}{name}"))
}

/// Reads a token back; `InvalidArgument` for one we did not make.
pub(super) fn parse_token(token: &str) -> Result<ListAfter, S3Error> {
    let wrong =
        || S3Error::invalid_argument("The continuation token provided is incorrect", "continuation-token", token);
    if token.len() > (KEY_BYTES_MAX + 2) * 4 / 3 + 3 {
        return Err(wrong());
    }
    let text = BASE64.decode(token).ok().and_then(|bytes| String::from_utf8(bytes).ok()).ok_or_else(wrong)?;
    match (text.get(..2), text.get(2..)) {
        (Some("1s"), Some("")) => Ok(ListAfter::Start),
        (Some("1k"), Some(key)) => Ok(ListAfter::Key(key.to_owned())),
        (Some("1p"), Some(prefix)) => Ok(ListAfter::Prefix(prefix.to_owned())),
        (_, _) => Err(wrong()),
    }
}

/// What becomes of a common prefix that a client's own marker lies in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MarkerInside {
    /// It comes before the marker, and is not listed again.
    Passed,
    /// It is listed if there is more in it.
    Listed,
}

/// Where a page after a client's own marker starts. A marker that is itself a common prefix of this listing stands for
/// everything below it: that is what the page before named as its last entry.
pub(super) fn after_marker(marker: &str, prefix: &str, delimiter: &str, inside: MarkerInside) -> ListAfter {
    if marker.is_empty() {
        return ListAfter::Start;
    }
    let below_prefix = marker.strip_prefix(prefix).filter(|_| !delimiter.is_empty());
    let common = below_prefix
        .and_then(|rest| rest.find(delimiter))
        .map(|at| &marker[..prefix.len() + at + delimiter.len()])
        .filter(|common| inside == MarkerInside::Passed || *common == marker);
    match common {
        Some(common) => ListAfter::Prefix(common.to_owned()),
        None => ListAfter::Key(marker.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn query(raw: &str) -> Query {
        Query::parse(Some(raw)).unwrap()
    }

    #[test]
    fn page_sizes() {
        for (raw, size) in
            [("", 1000), ("max-keys=", 1000), ("max-keys=0", 0), ("max-keys=7", 7), ("max-keys=2147483647", 1000)]
        {
            assert_eq!(page_size(&query(raw), "max-keys").unwrap(), size, "{raw}");
        }
        for raw in ["max-keys=-1", "max-keys=x", "max-keys=2147483648", "max-keys=1.5"] {
            assert!(page_size(&query(raw), "max-keys").is_err(), "{raw}");
        }
    }

    #[test]
    fn a_marker_that_is_a_common_prefix_covers_it() {
        for (marker, prefix, delimiter, expected) in [
            ("", "", "/", ListAfter::Start),
            ("a", "", "/", ListAfter::Key("a".into())),
            ("a/", "", "/", ListAfter::Prefix("a/".into())),
            ("a/", "", "", ListAfter::Key("a/".into())),
            ("a/b", "", "/", ListAfter::Key("a/b".into())),
            ("a/b/", "", "/", ListAfter::Key("a/b/".into())),
            ("a/b/", "a/", "/", ListAfter::Prefix("a/b/".into())),
            ("a/", "a/", "/", ListAfter::Key("a/".into())),
            ("axx", "a", "xx", ListAfter::Prefix("axx".into())),
            ("zz/", "a/", "/", ListAfter::Key("zz/".into())),
        ] {
            let after = after_marker(marker, prefix, delimiter, MarkerInside::Listed);
            assert_eq!(after, expected, "{marker} {prefix} {delimiter}");
        }
        let passed = |marker, prefix| after_marker(marker, prefix, "/", MarkerInside::Passed);
        assert_eq!(passed("a/b", ""), ListAfter::Prefix("a/".into()));
        assert_eq!(passed("a/b/c", "a/"), ListAfter::Prefix("a/b/".into()));
        assert_eq!(passed("a/b", "a/"), ListAfter::Key("a/b".into()));
    }

    proptest! {
        #[test]
        fn tokens_survive(name in "\\PC{0,300}", kind in 0..3) {
            let after = match kind {
                0 => ListAfter::Start,
                1 => ListAfter::Key(name),
                _ => ListAfter::Prefix(name),
            };
            prop_assert_eq!(parse_token(&token(&after)).unwrap(), after);
        }

        #[test]
        fn foreign_tokens_are_refused_or_read(text in "\\PC{0,60}") {
            let _never_panics = parse_token(&text);
        }
    }
}
