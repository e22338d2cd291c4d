//! The `x-amz-rename-source` header: a key, or `/bucket/key` of the same bucket, percent-encoded.

use super::decode::percent_decode_utf8;
use super::name::ObjectKey;
use crate::error::S3Error;

const SOURCE: &str = "x-amz-rename-source";

/// The key that a rename in `bucket` starts from.
///
/// # Errors
/// `InvalidArgument`; `KeyTooLongError`.
pub fn parse_rename_source(header: &[u8], bucket: &str) -> Result<ObjectKey, S3Error> {
    let wrong = |message: &'static str| {
        S3Error::invalid_argument(message, SOURCE, String::from_utf8_lossy(header).into_owned())
    };
    let path = percent_decode_utf8(header).map_err(|_| wrong("Invalid rename source encoding"))?;
    let key = match path.strip_prefix('/') {
        None => path.as_str(),
        Some(rest) => match rest.strip_prefix(bucket).and_then(|rest| rest.strip_prefix('/')) {
            Some(key) => key,
            None => return Err(wrong("The rename source must be in the bucket of its destination")),
        },
    };
    if key.is_empty() {
        return Err(wrong("Rename source must mention the source key"));
    }
    ObjectKey::parse(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::S3ErrorCode;

    #[test]
    fn a_source_is_a_key_of_this_bucket() {
        for (header, key) in [
            ("a/b", "a/b"),
            ("/bucket/a%20b%2F", "a b/"),
            ("/bucket//a", "/a"),
            ("bucket/a", "bucket/a"),
            ("../a", "../a"),
        ] {
            assert_eq!(parse_rename_source(header.as_bytes(), "bucket").unwrap().as_str(), key, "{header}");
        }
        for header in ["", "/", "/bucket/", "/other/a", "/bucketa/b", "%ff", "a%"] {
            assert_eq!(
                parse_rename_source(header.as_bytes(), "bucket").unwrap_err().code(),
                S3ErrorCode::InvalidArgument,
                "{header}"
            );
        }
    }
}
