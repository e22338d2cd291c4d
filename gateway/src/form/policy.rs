//! The policy document of a form: what its signer allowed, until when.
//!
//! Invariants: every field of the form is covered by a condition, except the few AWS exempts; `$bucket` is the bucket the
//! request was sent to, whatever a field says; a condition that is not understood refuses the whole document.
//!
//! Source: "POST policy", Amazon S3 API reference.

use super::fields::FormFields;
use crate::error::{S3Error, S3ErrorCode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Fields no condition needs to cover; besides them those whose names begin with one of [`EXEMPT_PREFIXES`].
const EXEMPT: [&str; 5] = ["policy", "file", "x-amz-signature", "awsaccesskeyid", "signature"];
/// What is ignored, and checksums of the file: those can only make an upload fail.
const EXEMPT_PREFIXES: [&str; 2] = ["x-ignore-", "x-amz-checksum-"];

/// A policy that was parsed, not yet compared with anything.
#[derive(Debug)]
pub(crate) struct PostPolicy {
    expires_at_s: i64,
    conditions: Vec<Condition>,
}

/// What a policy is compared with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PolicyScope<'r> {
    /// The bucket the request was sent to.
    pub bucket: &'r str,
    /// The fields before the file, `${filename}` expanded.
    pub fields: &'r FormFields,
    /// Unix seconds.
    pub now_s: i64,
}

#[derive(Debug, PartialEq, Eq)]
enum Condition {
    Equals { field: String, value: String },
    StartsWith { field: String, prefix: String },
    LengthRange { min: u64, max: u64 },
}

impl PostPolicy {
    /// Reads the `policy` field.
    ///
    /// # Errors
    /// `InvalidPolicyDocument`
    pub(crate) fn parse(base64: &str) -> Result<Self, S3Error> {
        // Line breaks that a tool put into the text are not part of it.
        let base64: String = base64.chars().filter(|character| !character.is_ascii_whitespace()).collect();
        let json = STANDARD.decode(base64).map_err(|_| invalid("Invalid Policy: Invalid base64 encoding."))?;
        let json = String::from_utf8(json).map_err(|_| invalid("Invalid Policy: Invalid JSON."))?;
        let document: Value =
            serde_json::from_str(&plain_escapes(&json)).map_err(|_| invalid("Invalid Policy: Invalid JSON."))?;
        let Value::Object(members) = document else { return Err(invalid("Invalid Policy: Invalid JSON.")) };
        if let Some(name) = members.keys().find(|name| !matches!(name.as_str(), "expiration" | "conditions")) {
            return Err(invalid(format!("Invalid Policy: Unexpected: '{name}'")));
        }
        let expiration =
            members.get("expiration").ok_or_else(|| invalid("Invalid Policy: Policy missing expiration."))?;
        let conditions =
            members.get("conditions").ok_or_else(|| invalid("Invalid Policy: Policy missing conditions."))?;
        let Value::Array(conditions) = conditions else {
            return Err(invalid("Invalid Policy: Invalid 'conditions' value: must be a List."));
        };
        Ok(Self {
            expires_at_s: parse_expiration(expiration)?,
            conditions: conditions.iter().map(Condition::parse).collect::<Result<_, _>>()?,
        })
    }

    /// Compares the policy with a form. Answers the range of the file's length, if one is set.
    ///
    /// # Errors
    /// `AccessDenied` with AWS's `Invalid according to Policy: …`.
    pub(crate) fn check(&self, scope: PolicyScope<'_>) -> Result<Option<(u64, u64)>, S3Error> {
        if scope.now_s >= self.expires_at_s {
            return Err(denied("Policy expired."));
        }
        let mut range: Option<(u64, u64)> = None;
        for condition in &self.conditions {
            match condition {
                Condition::LengthRange { min, max } => {
                    let (lowest, highest) = range.unwrap_or((0, u64::MAX));
                    range = Some((lowest.max(*min), highest.min(*max)));
                }
                other if other.holds(scope) => {}
                other => return Err(denied(format!("Policy Condition failed: {}", other.shown()))),
            }
        }
        let named = scope.fields.iter().map(|(name, _)| name);
        match std::iter::once("bucket").chain(named).find(|name| !self.covers(name)) {
            Some(name) => Err(denied(format!("Extra input fields: {name}"))),
            None => Ok(range),
        }
    }

    fn covers(&self, name: &str) -> bool {
        EXEMPT.contains(&name)
            || EXEMPT_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
            || self.conditions.iter().any(|condition| condition.field() == Some(name))
    }
}

impl Condition {
    fn parse(value: &Value) -> Result<Self, S3Error> {
        match value {
            Value::Object(members) => {
                let mut members = members.iter();
                let (Some((field, value)), None) = (members.next(), members.next()) else {
                    return Err(invalid(
                        "Invalid Policy: Invalid Simple-Condition: Simple-Conditions must have exactly one property \
                         specified.",
                    ));
                };
                let value = value
                    .as_str()
                    .ok_or_else(|| invalid("Invalid Policy: Invalid Simple-Condition: value must be a string."))?;
                Ok(Self::Equals { field: field.to_ascii_lowercase(), value: value.to_owned() })
            }
            Value::Array(items) => Self::parse_list(items),
            _ => Err(invalid("Invalid Policy: Invalid Condition: must be a List or an Object.")),
        }
    }

    fn parse_list(items: &[Value]) -> Result<Self, S3Error> {
        let [operator, first, second] = items else {
            return Err(invalid("Invalid Policy: Invalid Condition: wrong number of arguments."));
        };
        let operator = operator.as_str().unwrap_or_default().to_ascii_lowercase();
        if operator == "content-length-range" {
            return match (as_length(first), as_length(second)) {
                (Some(min), Some(max)) if min <= max => Ok(Self::LengthRange { min, max }),
                (_, _) => Err(invalid("Invalid Policy: Invalid content-length-range arguments.")),
            };
        }
        let field = first.as_str().and_then(|name| name.strip_prefix('$')).filter(|name| !name.is_empty());
        let (Some(field), Some(value)) = (field, second.as_str()) else {
            return Err(invalid(
                "Invalid Policy: Invalid Condition: a field is written as $name and its value as a string.",
            ));
        };
        let (field, value) = (field.to_ascii_lowercase(), value.to_owned());
        match operator.as_str() {
            "eq" => Ok(Self::Equals { field, value }),
            "starts-with" => Ok(Self::StartsWith { field, prefix: value }),
            other => Err(invalid(format!("Invalid Policy: Invalid Condition: unknown operation '{other}'."))),
        }
    }

    fn field(&self) -> Option<&str> {
        match self {
            Self::Equals { field, .. } | Self::StartsWith { field, .. } => Some(field),
            Self::LengthRange { .. } => None,
        }
    }

    fn holds(&self, scope: PolicyScope<'_>) -> bool {
        let actual = |field: &str| match field {
            // A field of this name must not say otherwise.
            "bucket" => scope.fields.get("bucket").is_none_or(|named| named == scope.bucket).then_some(scope.bucket),
            other => scope.fields.get(other),
        };
        match self {
            Self::Equals { field, value } => actual(field).is_some_and(|actual| actual == value),
            Self::StartsWith { field, prefix } => {
                // Any value will do, and so will none.
                let Some(actual) = actual(field) else { return prefix.is_empty() };
                match field.as_str() {
                    // Several types are a list, of which each must be allowed.
                    "content-type" => actual.split(',').all(|one| one.trim_start().starts_with(prefix)),
                    _ => actual.starts_with(prefix.as_str()),
                }
            }
            Self::LengthRange { .. } => true,
        }
    }

    /// The condition as AWS repeats it.
    fn shown(&self) -> String {
        match self {
            Self::Equals { field, value } => format!("[\"eq\", \"${field}\", \"{value}\"]"),
            Self::StartsWith { field, prefix } => format!("[\"starts-with\", \"${field}\", \"{prefix}\"]"),
            Self::LengthRange { min, max } => format!("[\"content-length-range\", {min}, {max}]"),
        }
    }
}

/// `\$` and `\v`, which AWS's documents may hold and JSON does not know.
fn plain_escapes(json: &str) -> String {
    let mut plain = String::with_capacity(json.len());
    let mut characters = json.chars();
    while let Some(character) = characters.next() {
        match (character, if character == '\\' { characters.next() } else { None }) {
            ('\\', Some('$')) => plain.push('$'),
            ('\\', Some('v')) => plain.push_str("\\u000b"),
            (first, second) => {
                plain.push(first);
                plain.extend(second);
            }
        }
    }
    plain
}

fn parse_expiration(value: &Value) -> Result<i64, S3Error> {
    let text = value.as_str().unwrap_or_default();
    let is_utc = text.len() <= 40 && text.as_bytes().get(10) == Some(&b'T') && text.ends_with('Z');
    let at = if is_utc { OffsetDateTime::parse(text, &Rfc3339).ok() } else { None };
    at.map(OffsetDateTime::unix_timestamp)
        .ok_or_else(|| invalid(format!("Invalid Policy: Invalid 'expiration' value: '{text}'")))
}

fn as_length(value: &Value) -> Option<u64> {
    match value {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

fn invalid(message: impl Into<std::borrow::Cow<'static, str>>) -> S3Error {
    S3Error::with_message(S3ErrorCode::InvalidPolicyDocument, message)
}

fn denied(reason: impl std::fmt::Display) -> S3Error {
    S3Error::with_message(S3ErrorCode::AccessDenied, format!("Invalid according to Policy: {reason}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_S: i64 = 1_800_000_000;

    fn parse(json: &str) -> Result<PostPolicy, S3Error> {
        PostPolicy::parse(&STANDARD.encode(json))
    }

    fn with_conditions(conditions: &str) -> Result<PostPolicy, S3Error> {
        parse(&format!("{{\"expiration\": \"2099-01-01T00:00:00.000Z\", \"conditions\": [{conditions}]}}"))
    }

    fn check(conditions: &str, pairs: &[(&str, &str)]) -> Result<Option<(u64, u64)>, String> {
        let mut fields = FormFields::default();
        for (name, value) in pairs {
            fields.push(name, (*value).to_owned()).unwrap();
        }
        let policy = with_conditions(conditions).unwrap();
        policy.check(PolicyScope { bucket: "bucket", fields: &fields, now_s: NOW_S }).map_err(|error| {
            assert_eq!(error.code(), S3ErrorCode::AccessDenied);
            error.message().strip_prefix("Invalid according to Policy: ").unwrap().to_owned()
        })
    }

    #[test]
    fn what_the_signer_allowed_passes() {
        let conditions = r#"{"bucket": "bucket"}, ["StArTs-With", "$Key", "user/"], ["eq", "$ACL", "private"],
            ["starts-with", "$Content-Type", "image/"], ["starts-with", "$x-amz-meta-any", ""],
            ["content-length-range", 1, "10"]"#;
        let fields = [
            ("KEY", "user/a"),
            ("acl", "private"),
            ("Content-Type", "image/png, image/gif"),
            ("x-amz-meta-any", "anything"),
            ("x-ignore-this", "y"),
            ("policy", "p"),
            ("x-amz-signature", "s"),
        ];
        assert_eq!(check(conditions, &fields), Ok(Some((1, 10))));
    }

    #[test]
    fn whatever_else_does_not() {
        let key = ("key", "user/a");
        let bucket = r#"{"bucket": "bucket"}"#;
        let any_key = r#"{"bucket": "bucket"}, ["starts-with", "$key", ""]"#;
        for (conditions, fields, reason) in [
            (bucket, &[key][..], "Extra input fields: key"),
            (r#"["starts-with", "$key", ""]"#, &[key], "Extra input fields: bucket"),
            (any_key, &[key, ("acl", "public-read")], "Extra input fields: acl"),
            (any_key, &[key, ("x-amz-date", "x")], "Extra input fields: x-amz-date"),
            (any_key, &[key, ("bucket", "other")], r#"Policy Condition failed: ["eq", "$bucket", "bucket"]"#),
            (r#"{"bucket": "other"}"#, &[key], r#"Policy Condition failed: ["eq", "$bucket", "other"]"#),
            (
                r#"{"bucket": "other"}"#,
                &[key, ("bucket", "other")],
                r#"Policy Condition failed: ["eq", "$bucket", "other"]"#,
            ),
            (
                r#"{"bucket": "bucket"}, ["starts-with", "$key", "userx"]"#,
                &[key],
                r#"Policy Condition failed: ["starts-with", "$key", "userx"]"#,
            ),
            (
                r#"{"bucket": "bucket"}, {"key": "user/a"}, ["eq", "$key", "user/b"]"#,
                &[key],
                r#"Policy Condition failed: ["eq", "$key", "user/b"]"#,
            ),
            (
                r#"{"bucket": "bucket"}, {"key": "user/a"}, ["starts-with", "$x-amz-meta-a", "x"]"#,
                &[key],
                r#"Policy Condition failed: ["starts-with", "$x-amz-meta-a", "x"]"#,
            ),
            (
                r#"{"bucket": "bucket"}, {"key": "user/a"}, ["starts-with", "$content-type", "image/"]"#,
                &[key, ("content-type", "image/png,text/html")],
                r#"Policy Condition failed: ["starts-with", "$content-type", "image/"]"#,
            ),
        ] {
            assert_eq!(check(conditions, fields), Err(reason.to_owned()), "{conditions}");
        }
    }

    #[test]
    fn ranges_intersect() {
        let conditions = r#"{"bucket": "bucket"}, ["content-length-range", 0, 10], ["content-length-range", 5, 20]"#;
        assert_eq!(check(conditions, &[]), Ok(Some((5, 10))));
        assert_eq!(check(r#"{"bucket": "bucket"}"#, &[]), Ok(None));
        // Anything is nothing, too; and a checksum of the file needs no leave.
        let any = r#"{"bucket": "bucket"}, ["starts-with", "$x-amz-meta-a", ""]"#;
        assert_eq!(check(any, &[("x-amz-checksum-sha256", "x")]), Ok(None));
    }

    #[test]
    fn time_runs_out() {
        let policy = parse(r#"{"expiration": "2027-01-15T08:00:00Z", "conditions": [{"bucket": "b"}]}"#).unwrap();
        let fields = FormFields::default();
        let at = |now_s| policy.check(PolicyScope { bucket: "b", fields: &fields, now_s }).map_err(|e| e.to_string());
        assert_eq!(at(NOW_S - 1), Ok(None));
        assert_eq!(at(NOW_S), Err("AccessDenied: Invalid according to Policy: Policy expired.".to_owned()));
    }

    #[test]
    fn escapes_of_dollar_and_tab() {
        let policy = with_conditions(r#"["starts-with", "$key", "\$a\v\\$"]"#).unwrap();
        let prefix = "$a\u{b}\\$".to_owned();
        assert_eq!(policy.conditions, [Condition::StartsWith { field: "key".to_owned(), prefix }]);
    }

    #[test]
    fn a_document_that_is_not_understood_allows_nothing() {
        let expiration = r#""expiration": "2099-01-01T00:00:00Z""#;
        for document in [
            "".to_owned(),
            "[]".to_owned(),
            "{".to_owned(),
            format!("{{{expiration}}}"),
            r#"{"conditions": []}"#.to_owned(),
            format!(r#"{{{expiration}, "CONDITIONS": []}}"#),
            format!(r#"{{{expiration}, "conditions": {{}}}}"#),
            format!(r#"{{{expiration}, "conditions": [], "x": 1}}"#),
            r#"{"expiration": "2099-01-01 00:00:00+00:00", "conditions": []}"#.to_owned(),
            r#"{"expiration": 1, "conditions": []}"#.to_owned(),
        ] {
            assert_eq!(parse(&document).unwrap_err().code(), S3ErrorCode::InvalidPolicyDocument, "{document}");
        }
        for condition in [
            "{}",
            r#"{"a": "b", "c": "d"}"#,
            r#"{"a": 1}"#,
            "[]",
            r#""a""#,
            r#"["eq", "$key"]"#,
            r#"["eq", "key", "v"]"#,
            r#"["eq", "$", "v"]"#,
            r#"["eq", "$key", 1]"#,
            r#"["matches", "$key", "v"]"#,
            r#"["content-length-range", 0]"#,
            r#"["content-length-range", -1, 0]"#,
            r#"["content-length-range", 2, 1]"#,
            r#"["content-length-range", 0, 1.5]"#,
        ] {
            assert_eq!(
                with_conditions(condition).unwrap_err().code(),
                S3ErrorCode::InvalidPolicyDocument,
                "{condition}"
            );
        }
        assert_eq!(PostPolicy::parse("!").unwrap_err().code(), S3ErrorCode::InvalidPolicyDocument);
    }
}
