//! Names of buckets and objects, checked once when they enter.
//!
//! Invariants: a [`BucketName`] can be a DNS name below a base domain; an [`ObjectKey`] is 1 to 1,024 bytes of UTF-8 and
//! is otherwise opaque: `.`, `..`, `//`, a leading `/`, `\` and NUL are ordinary characters of it.

use std::fmt;
use std::net::Ipv4Addr;

use crate::error::{S3Error, S3ErrorCode};

/// Longest object key, in bytes of UTF-8.
pub const KEY_BYTES_MAX: usize = 1024;

/// Prefixes and suffixes AWS keeps for itself; a client that meets them expects behaviour no plain bucket has.
const RESERVED_PREFIXES: [&str; 3] = ["xn--", "sthree-", "amzn-s3-demo-"];
const RESERVED_SUFFIXES: [&str; 5] = ["-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3"];

/// A valid bucket name ("Bucket naming rules", Amazon S3 user guide).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BucketName(String);

impl BucketName {
    /// Checks the rules: 3–63 of `a-z0-9.-`, labels that start and end with a letter or digit, not an IPv4 address, no
    /// reserved prefix or suffix. Otherwise `InvalidBucketName`.
    pub fn parse(name: impl Into<String>) -> Result<Self, S3Error> {
        let name = name.into();
        if is_valid_bucket_name(&name) {
            Ok(Self(name))
        } else {
            Err(S3Error::new(S3ErrorCode::InvalidBucketName).field("BucketName", name))
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name, owned.
    pub fn into_string(self) -> String {
        self.0
    }
}

fn is_valid_bucket_name(name: &str) -> bool {
    (3..=63).contains(&name.len())
        && name.split('.').all(is_valid_label)
        && name.parse::<Ipv4Addr>().is_err()
        && !looks_like_ipv4(name)
        && !RESERVED_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
        && !RESERVED_SUFFIXES.iter().any(|suffix| name.ends_with(suffix))
}

fn is_valid_label(label: &str) -> bool {
    let bytes = label.as_bytes();
    let ends_ok = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    ends_ok(bytes.first())
        && ends_ok(bytes.last())
        && bytes.iter().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'-')
}

/// "Formatted as an IP address" covers `999.1.1.1` and `01.2.3.4`, which are no addresses.
fn looks_like_ipv4(name: &str) -> bool {
    name.split('.').count() == 4 && name.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
}

/// A valid object key. Ordered by its UTF-8 bytes, as listings are.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectKey(String);

impl ObjectKey {
    /// Accepts any text of 1 to 1,024 bytes; longer is `KeyTooLongError`, empty is `InvalidArgument`.
    pub fn parse(key: impl Into<String>) -> Result<Self, S3Error> {
        let key = key.into();
        match key.len() {
            0 => Err(S3Error::with_message(S3ErrorCode::InvalidArgument, "A key must be specified")),
            1..=KEY_BYTES_MAX => Ok(Self(key)),
            too_long => Err(S3Error::new(S3ErrorCode::KeyTooLongError)
                .field("Size", too_long.to_string())
                .field("MaxSizeAllowed", KEY_BYTES_MAX.to_string())),
        }
    }

    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The key, owned.
    pub fn into_string(self) -> String {
        self.0
    }
}

impl fmt::Display for BucketName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bucket_rules() {
        let longest = "a".repeat(63);
        for good in ["abc", "a-b", "a.b", "1.2.3", "a--b", "my-bucket.2024", "123", longest.as_str(), "s3alias"] {
            assert!(BucketName::parse(good).is_ok(), "{good}");
        }
        let too_long = "a".repeat(64);
        for bad in [
            "",
            "ab",
            "Abc",
            "a_b",
            "a..b",
            ".abc",
            "abc.",
            "-abc",
            "abc-",
            "a.-b",
            "a-.b",
            "192.168.5.4",
            "999.1.1.1",
            "a b",
            "a/b",
            "bücket",
            "xn--abc",
            "sthree-x",
            "amzn-s3-demo-x",
            "abc-s3alias",
            "abc--ol-s3",
            "abc.mrap",
            "abc--x-s3",
            "abc--table-s3",
            "a\0b",
            too_long.as_str(),
        ] {
            assert_eq!(BucketName::parse(bad).unwrap_err().code(), S3ErrorCode::InvalidBucketName, "{bad}");
        }
    }

    #[test]
    fn key_rules() {
        for good in [".", "..", "/", "//", "../../etc/passwd", "\\", "a\0b", "é", &"k".repeat(1024)] {
            assert_eq!(ObjectKey::parse(good).unwrap().as_str(), good);
        }
        assert_eq!(ObjectKey::parse("").unwrap_err().code(), S3ErrorCode::InvalidArgument);
        let error = ObjectKey::parse("é".repeat(513)).unwrap_err();
        assert_eq!(error.code(), S3ErrorCode::KeyTooLongError);
        assert_eq!(error.get_field("Size"), Some("1026"));
    }
}
