//! The `Range` header, as S3 reads it: one range or none.
//!
//! RFC 9110 §14 lets a server ignore ranges it does not like; S3 ignores malformed ones and lists of several, and answers
//! the whole object. A well-formed range that touches no byte is `InvalidRange` (416).

use http::HeaderValue;
use http::header::CONTENT_RANGE;

use crate::error::{S3Error, S3ErrorCode};

/// A well-formed single range, before the object's length is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByteRange {
    /// `bytes=first-last`, inclusive.
    Closed { first: u64, last: u64 },
    /// `bytes=first-`
    From { first: u64 },
    /// `bytes=-length`: the last bytes.
    Suffix { length: u64 },
}

/// The bytes to send: `first..=last` of `object_length`; never empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResolvedRange {
    /// Offset of the first byte.
    pub first: u64,
    /// Offset of the last byte, inclusive.
    pub last: u64,
    /// Length of the whole object, in bytes.
    pub object_length: u64,
}

impl ByteRange {
    /// Reads the header's value; `None` means "as if it were not there".
    pub fn parse(value: &str) -> Option<Self> {
        let (unit, set) = value.trim().split_once('=')?;
        if !unit.eq_ignore_ascii_case("bytes") {
            return None;
        }
        let (first, last) = set.trim().split_once('-')?;
        match (first.is_empty(), last.is_empty()) {
            (true, true) => None,
            (true, false) => Some(Self::Suffix { length: parse_offset(last)? }),
            (false, true) => Some(Self::From { first: parse_offset(first)? }),
            (false, false) => {
                let (first, last) = (parse_offset(first)?, parse_offset(last)?);
                (first <= last).then_some(Self::Closed { first, last })
            }
        }
    }

    /// The bytes of an object of `object_length` bytes, or `InvalidRange` with the `Content-Range: bytes */length` that
    /// RFC 9110 asks for.
    pub fn resolve(self, object_length: u64) -> Result<ResolvedRange, S3Error> {
        let (first, last) = match self {
            Self::Closed { first, last } => (first, last),
            Self::From { first } => (first, u64::MAX),
            Self::Suffix { length: 0 } => return Err(self.unsatisfiable(object_length)),
            Self::Suffix { length } => (object_length.saturating_sub(length), u64::MAX),
        };
        if first >= object_length {
            return Err(self.unsatisfiable(object_length));
        }
        Ok(ResolvedRange { first, last: last.min(object_length - 1), object_length })
    }

    fn unsatisfiable(self, object_length: u64) -> S3Error {
        let requested = match self {
            Self::Closed { first, last } => format!("bytes={first}-{last}"),
            Self::From { first } => format!("bytes={first}-"),
            Self::Suffix { length } => format!("bytes=-{length}"),
        };
        let error = S3Error::new(S3ErrorCode::InvalidRange)
            .field("RangeRequested", requested)
            .field("ActualObjectSize", object_length.to_string());
        match HeaderValue::from_str(&format!("bytes */{object_length}")) {
            Ok(value) => error.header(CONTENT_RANGE, value),
            Err(_) => error,
        }
    }
}

/// Digits only; a number too large for any object saturates, because the range it starts is well-formed.
fn parse_offset(digits: &str) -> Option<u64> {
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(digits.parse().unwrap_or(u64::MAX))
}

impl ResolvedRange {
    /// How many bytes the range has: at least one.
    pub fn length(&self) -> u64 {
        self.last - self.first + 1
    }

    /// The value of `Content-Range`.
    pub fn content_range(&self) -> String {
        format!("bytes {}-{}/{}", self.first, self.last, self.object_length)
    }
}

/// `x-amz-copy-source-range`: unlike `Range`, only `bytes=first-last`, and anything else is an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CopySourceRange {
    /// Offset of the first byte.
    pub first: u64,
    /// Offset of the last byte, inclusive.
    pub last: u64,
}

impl CopySourceRange {
    /// `InvalidArgument` unless the value is `bytes=first-last` with `first <= last`.
    pub fn parse(value: &str) -> Result<Self, S3Error> {
        match ByteRange::parse(value) {
            Some(ByteRange::Closed { first, last }) => Ok(Self { first, last }),
            Some(ByteRange::From { .. } | ByteRange::Suffix { .. }) | None => Err(S3Error::invalid_argument(
                "The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the \
                 zero-based offsets of the first and last bytes to copy",
                "x-amz-copy-source-range",
                value,
            )),
        }
    }

    /// The bytes of a source of `source_length` bytes; a range past its end is refused, not shortened.
    pub fn resolve(self, source_length: u64) -> Result<ResolvedRange, S3Error> {
        if self.last >= source_length {
            let message = format!("Range specified is not valid for source object of size: {source_length}");
            return Err(S3Error::with_message(S3ErrorCode::InvalidRange, message)
                .field("RangeRequested", format!("bytes={}-{}", self.first, self.last))
                .field("ActualObjectSize", source_length.to_string()));
        }
        Ok(ResolvedRange { first: self.first, last: self.last, object_length: source_length })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolves() {
        for (value, length, expected) in [
            ("bytes=0-0", 10, (0, 0)),
            ("bytes=2-5", 10, (2, 5)),
            ("Bytes=2-500", 10, (2, 9)),
            ("bytes=9-", 10, (9, 9)),
            ("bytes=-3", 10, (7, 9)),
            ("bytes=-300", 10, (0, 9)),
            ("bytes=0-99999999999999999999999", 10, (0, 9)),
        ] {
            let range = ByteRange::parse(value).unwrap().resolve(length).unwrap();
            assert_eq!((range.first, range.last), expected, "{value}");
        }
        let range = ByteRange::parse("bytes=2-5").unwrap().resolve(10).unwrap();
        assert_eq!((range.length(), range.content_range()), (4, "bytes 2-5/10".to_owned()));
    }

    #[test]
    fn ignores_malformed_and_multiple() {
        for value in [
            "",
            "bytes",
            "bytes=",
            "bytes=-",
            "bytes=5-2",
            "bytes=a-b",
            "bytes=0-1,3-4",
            "items=0-1",
            "bytes=+1-2",
            "bytes=1-2-3",
            "bytes=--1",
            "bytes=1 - 2",
            "0-1",
        ] {
            assert_eq!(ByteRange::parse(value), None, "{value}");
        }
    }

    #[test]
    fn unsatisfiable_says_the_length() {
        for (value, length) in [
            ("bytes=10-", 10),
            ("bytes=10-12", 10),
            ("bytes=-0", 10),
            ("bytes=0-", 0),
            ("bytes=-5", 0),
            ("bytes=0-0", 0),
        ] {
            let error = ByteRange::parse(value).unwrap().resolve(length).unwrap_err();
            assert_eq!(error.code(), S3ErrorCode::InvalidRange, "{value}");
            let response = error.to_response("r", "h", &http::Method::GET);
            assert_eq!(response.headers()["content-range"], format!("bytes */{length}").as_str());
        }
    }

    #[test]
    fn copy_source_range_is_strict() {
        assert_eq!(CopySourceRange::parse("bytes=0-4").unwrap().resolve(5).unwrap().length(), 5);
        assert_eq!(
            CopySourceRange::parse("bytes=0-5").unwrap().resolve(5).unwrap_err().code(),
            S3ErrorCode::InvalidRange
        );
        for value in ["bytes=0-", "bytes=-1", "0-1", "bytes=2-1"] {
            assert_eq!(CopySourceRange::parse(value).unwrap_err().code(), S3ErrorCode::InvalidArgument, "{value}");
        }
    }
}
