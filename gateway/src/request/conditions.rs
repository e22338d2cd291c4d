//! Conditional requests: RFC 9110 §13.2.2 precedence with S3's rules. Pure: given what is stored, say what to do.
//!
//! Reads (GET, HEAD) may be answered "not modified"; a copy's source conditions never are, they fail instead. Writes do
//! not evaluate anything here: the condition travels with the commit and is decided atomically where the entry changes.

use http::HeaderMap;

use super::http_date::parse_http_date;
use crate::error::{S3Error, S3ErrorCode};

/// What the conditions of a read say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConditionOutcome {
    /// Answer the request.
    Proceed,
    /// 304, with the validators (`ETag`, `Last-Modified`) but no body.
    NotModified,
    /// 412.
    PreconditionFailed,
}

/// The conditional headers of a read or of a copy's source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Preconditions {
    if_match: Option<EtagCondition>,
    if_none_match: Option<EtagCondition>,
    if_modified_since_s: Option<i64>,
    if_unmodified_since_s: Option<i64>,
    /// A source condition has no cache to refresh: "not modified" is a failure.
    is_copy_source: bool,
}

impl Preconditions {
    /// `If-Match` and its siblings. Dates that are no HTTP dates are ignored, as RFC 9110 says.
    pub fn for_read(headers: &HeaderMap) -> Self {
        Self::from_names(headers, ["if-match", "if-none-match", "if-modified-since", "if-unmodified-since"], false)
    }

    /// `x-amz-copy-source-if-match` and its siblings.
    pub fn for_copy_source(headers: &HeaderMap) -> Self {
        let names = [
            "x-amz-copy-source-if-match",
            "x-amz-copy-source-if-none-match",
            "x-amz-copy-source-if-modified-since",
            "x-amz-copy-source-if-unmodified-since",
        ];
        Self::from_names(headers, names, true)
    }

    /// `x-amz-rename-source-if-match` and its siblings.
    pub fn for_rename_source(headers: &HeaderMap) -> Self {
        let names = [
            "x-amz-rename-source-if-match",
            "x-amz-rename-source-if-none-match",
            "x-amz-rename-source-if-modified-since",
            "x-amz-rename-source-if-unmodified-since",
        ];
        Self::from_names(headers, names, true)
    }

    /// The dates alone: of what is about to be replaced.
    pub fn for_write_dates(headers: &HeaderMap) -> Self {
        let all = Self::for_read(headers);
        Self { if_match: None, if_none_match: None, is_copy_source: true, ..all }
    }

    fn from_names(headers: &HeaderMap, names: [&str; 4], is_copy_source: bool) -> Self {
        let [if_match, if_none_match, if_modified_since, if_unmodified_since] = names;
        let date = |name| parse_http_date(headers.get(name)?.to_str().ok()?);
        Self {
            if_match: EtagCondition::from_headers(headers, if_match),
            if_none_match: EtagCondition::from_headers(headers, if_none_match),
            if_modified_since_s: date(if_modified_since),
            if_unmodified_since_s: date(if_unmodified_since),
            is_copy_source,
        }
    }

    /// Whether there is nothing to evaluate.
    pub fn is_empty(&self) -> bool {
        self.if_match.is_none()
            && self.if_none_match.is_none()
            && self.if_modified_since_s.is_none()
            && self.if_unmodified_since_s.is_none()
    }

    /// Evaluates against an existing object: its ETag (quoted or not) and its modification time in whole seconds.
    /// `If-Match` overrides `If-Unmodified-Since`; `If-None-Match` overrides `If-Modified-Since`, which is ignored if its date
    /// is yet to come.
    pub fn evaluate(&self, etag: &str, last_modified_s: i64, now_s: i64) -> ConditionOutcome {
        let holds = match (&self.if_match, self.if_unmodified_since_s) {
            (Some(condition), _) => condition.matches(etag, Comparison::Strong),
            (None, Some(since_s)) => last_modified_s <= since_s,
            (None, None) => true,
        };
        if !holds {
            return ConditionOutcome::PreconditionFailed;
        }
        let unchanged = match (&self.if_none_match, self.if_modified_since_s) {
            (Some(condition), _) => condition.matches(etag, Comparison::Weak),
            (None, Some(since_s)) => last_modified_s <= since_s && since_s <= now_s,
            (None, None) => false,
        };
        match (unchanged, self.is_copy_source) {
            (false, _) => ConditionOutcome::Proceed,
            (true, false) => ConditionOutcome::NotModified,
            (true, true) => ConditionOutcome::PreconditionFailed,
        }
    }
}

/// The condition of a PUT, CompleteMultipartUpload, CopyObject or DELETE on its own target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WriteCondition {
    /// `If-None-Match: *`: nothing may be there.
    MustNotExist,
    /// `If-None-Match: "etag"`: anything but this may be there, or nothing. Without quotes.
    MustNotMatch(String),
    /// `If-Match: *`: something must be there.
    MustExist,
    /// `If-Match: "etag"`: exactly this must be there. Without quotes.
    MustMatch(String),
}

impl WriteCondition {
    /// Reads the headers of a write. Both headers at once, or a list of ETags, are `NotImplemented`, as AWS answers.
    pub fn from_headers(headers: &HeaderMap) -> Result<Option<Self>, S3Error> {
        let if_match = EtagCondition::from_headers(headers, "if-match");
        let if_none_match = EtagCondition::from_headers(headers, "if-none-match");
        let unsupported = |header: &str| {
            S3Error::new(S3ErrorCode::NotImplemented)
                .field("Header", header)
                .field("additionalMessage", "Unsupported condition")
        };
        match (if_match, if_none_match) {
            (None, None) => Ok(None),
            (Some(EtagCondition::Any), None) => Ok(Some(Self::MustExist)),
            (Some(EtagCondition::OneOf(etags)), None) => match <[Etag; 1]>::try_from(etags) {
                Ok([Etag { weak: false, value }]) => Ok(Some(Self::MustMatch(value))),
                Ok(_) | Err(_) => Err(unsupported("If-Match")),
            },
            (None, Some(EtagCondition::Any)) => Ok(Some(Self::MustNotExist)),
            (None, Some(EtagCondition::OneOf(etags))) => match <[Etag; 1]>::try_from(etags) {
                Ok([Etag { value, .. }]) => Ok(Some(Self::MustNotMatch(value))),
                Err(_) => Err(unsupported("If-None-Match")),
            },
            (Some(_), Some(_)) => Err(unsupported("If-None-Match")),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum EtagCondition {
    Any,
    OneOf(Vec<Etag>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Etag {
    weak: bool,
    value: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Strong,
    Weak,
}

impl EtagCondition {
    /// S3 ETags hold no comma and may be sent without quotes, so splitting at commas is exact.
    fn from_headers(headers: &HeaderMap, name: &str) -> Option<Self> {
        let mut etags = Vec::new();
        let mut present = false;
        for value in headers.get_all(name) {
            present = true;
            let value = String::from_utf8_lossy(value.as_bytes());
            if value.trim() == "*" {
                return Some(Self::Any);
            }
            etags.extend(value.split(',').map(str::trim).filter(|part| !part.is_empty()).map(Etag::parse));
        }
        present.then_some(Self::OneOf(etags))
    }

    fn matches(&self, stored: &str, comparison: Comparison) -> bool {
        match self {
            Self::Any => true,
            Self::OneOf(etags) => {
                let stored = unquote(stored);
                etags.iter().any(|etag| etag.value == stored && (comparison == Comparison::Weak || !etag.weak))
            }
        }
    }
}

impl Etag {
    fn parse(text: &str) -> Self {
        let (weak, text) = match text.strip_prefix("W/") {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        Self { weak, value: unquote(text).to_owned() }
    }
}

fn unquote(etag: &str) -> &str {
    etag.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(etag)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderName;

    const MODIFIED_S: i64 = 784_111_777;
    const NOW_S: i64 = MODIFIED_S + 1_000_000;
    const SAME: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const EARLIER: &str = "Sun, 06 Nov 1994 08:49:36 GMT";
    const FUTURE: &str = "Sun, 06 Nov 2094 08:49:38 GMT";
    const LATER: &str = "Sun, 06 Nov 1994 08:49:38 GMT";

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn read_precedence_table() {
        use ConditionOutcome::{NotModified, PreconditionFailed, Proceed};
        for (pairs, expected) in [
            (&[][..], Proceed),
            (&[("if-match", "\"abc\"")], Proceed),
            (&[("if-match", "abc")], Proceed),
            (&[("if-match", "\"x\", \"abc\"")], Proceed),
            (&[("if-match", "*")], Proceed),
            (&[("if-match", "\"x\"")], PreconditionFailed),
            (&[("if-match", "")], PreconditionFailed),
            (&[("if-match", "W/\"abc\"")], PreconditionFailed),
            (&[("if-none-match", "\"abc\"")], NotModified),
            (&[("if-none-match", "W/\"abc\"")], NotModified),
            (&[("if-none-match", "*")], NotModified),
            (&[("if-none-match", "\"x\"")], Proceed),
            (&[("if-modified-since", SAME)], NotModified),
            (&[("if-modified-since", LATER)], NotModified),
            (&[("if-modified-since", FUTURE)], Proceed),
            (&[("if-modified-since", EARLIER)], Proceed),
            (&[("if-modified-since", "yesterday")], Proceed),
            (&[("if-unmodified-since", SAME)], Proceed),
            (&[("if-unmodified-since", EARLIER)], PreconditionFailed),
            // S3: If-Match true wins over If-Unmodified-Since false, If-None-Match false over If-Modified-Since true.
            (&[("if-match", "abc"), ("if-unmodified-since", EARLIER)], Proceed),
            (&[("if-match", "x"), ("if-unmodified-since", LATER)], PreconditionFailed),
            (&[("if-none-match", "abc"), ("if-modified-since", EARLIER)], NotModified),
            (&[("if-none-match", "x"), ("if-modified-since", LATER)], Proceed),
            (&[("if-match", "abc"), ("if-none-match", "abc")], NotModified),
            (&[("if-match", "x"), ("if-none-match", "abc")], PreconditionFailed),
        ] {
            let outcome = Preconditions::for_read(&headers(pairs)).evaluate("\"abc\"", MODIFIED_S, NOW_S);
            assert_eq!(outcome, expected, "{pairs:?}");
        }
    }

    #[test]
    fn copy_source_never_says_not_modified() {
        for pairs in [[("x-amz-copy-source-if-none-match", "abc")], [("x-amz-copy-source-if-modified-since", SAME)]] {
            let conditions = Preconditions::for_copy_source(&headers(&pairs));
            assert_eq!(conditions.evaluate("abc", MODIFIED_S, NOW_S), ConditionOutcome::PreconditionFailed);
        }
        assert!(Preconditions::for_copy_source(&headers(&[("if-match", "x")])).is_empty());
    }

    #[test]
    fn write_conditions() {
        let read = |pairs: &[(&str, &str)]| WriteCondition::from_headers(&headers(pairs));
        assert_eq!(read(&[]).unwrap(), None);
        assert_eq!(read(&[("if-none-match", "*")]).unwrap(), Some(WriteCondition::MustNotExist));
        assert_eq!(read(&[("if-match", "*")]).unwrap(), Some(WriteCondition::MustExist));
        assert_eq!(read(&[("if-match", "\"abc\"")]).unwrap(), Some(WriteCondition::MustMatch("abc".to_owned())));
        assert_eq!(read(&[("if-none-match", "\"a\"")]).unwrap(), Some(WriteCondition::MustNotMatch("a".to_owned())));
        for pairs in [
            &[("if-none-match", "a, b")][..],
            &[("if-match", "a, b")],
            &[("if-match", "W/\"a\"")],
            &[("if-match", "")],
            &[("if-none-match", "")],
            &[("if-match", "a"), ("if-none-match", "*")],
        ] {
            assert_eq!(read(pairs).unwrap_err().code(), S3ErrorCode::NotImplemented, "{pairs:?}");
        }
    }
}
