//! The `x-amz-copy-source` header: `[/]bucket/key[?versionId=id]`, percent-encoded.
//!
//! Decoded by the same rules as a path-style URL: `+` is a plus, an escaped slash never ends the bucket's name.

use super::decode::percent_decode_utf8;
use super::name::{BucketName, ObjectKey};
use crate::error::S3Error;

/// A parsed copy source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopySource {
    /// The source bucket.
    pub bucket: BucketName,
    /// The source key.
    pub key: ObjectKey,
    /// The version asked for; the current one if absent.
    pub version_id: Option<String>,
}

const VERSION_SUFFIX: &str = "versionId=";

impl CopySource {
    /// Parses the header's bytes (raw UTF-8 is accepted). A raw `?` may only introduce `versionId`: a `?` in a key must
    /// be escaped, or the header could be read two ways. `InvalidArgument` otherwise; names as their own parsers say.
    pub fn parse(header: &[u8]) -> Result<Self, S3Error> {
        let text = std::str::from_utf8(header).map_err(|_| malformed("", "Invalid copy source encoding"))?;
        let (path, version_id) = match text.split_once('?') {
            None => (text, None),
            Some((path, query)) => {
                let version =
                    query.strip_prefix(VERSION_SUFFIX).filter(|raw| !raw.is_empty() && !raw.contains(['?', '&']));
                let version = version.ok_or_else(|| malformed(text, "Invalid copy source object version"))?;
                (path, Some(decode(version, text)?))
            }
        };
        let path = path.strip_prefix('/').unwrap_or(path);
        let (bucket, key) =
            path.split_once('/').filter(|(bucket, key)| !bucket.is_empty() && !key.is_empty()).ok_or_else(|| {
                malformed(text, "Copy Source must mention the source bucket and key: sourcebucket/sourcekey")
            })?;
        Ok(Self {
            bucket: BucketName::parse(decode(bucket, text)?)?,
            key: ObjectKey::parse(decode(key, text)?)?,
            version_id,
        })
    }
}

fn decode(raw: &str, header: &str) -> Result<String, S3Error> {
    percent_decode_utf8(raw.as_bytes()).map_err(|_| malformed(header, "Invalid copy source encoding"))
}

fn malformed(header: &str, message: &'static str) -> S3Error {
    S3Error::invalid_argument(message, "x-amz-copy-source", header)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::S3ErrorCode;

    #[test]
    fn accepts() {
        for (header, key, version) in [
            ("bucket/key", "key", None),
            ("/bucket/key", "key", None),
            ("/bucket//key", "/key", None),
            ("bucket/a%2Fb%3Fversion%49d%3D1", "a/b?versionId=1", None),
            ("bucket/../x", "../x", None),
            ("bucket/a+b%20c", "a+b c", None),
            ("bucket/é", "é", None),
            ("bucket/key?versionId=null", "key", Some("null")),
            ("bucket/key?versionId=a%2Bb", "key", Some("a+b")),
        ] {
            let source = CopySource::parse(header.as_bytes()).unwrap();
            assert_eq!((source.bucket.as_str(), source.key.as_str()), ("bucket", key), "{header}");
            assert_eq!(source.version_id.as_deref(), version, "{header}");
        }
    }

    #[test]
    fn refuses() {
        for header in [
            "",
            "/",
            "bucket",
            "bucket/",
            "//key",
            "bucket/key?",
            "bucket/key?versionId=",
            "bucket/key?x=1",
            "bucket/key?versionId=1&x=2",
            "bucket/k?a?versionId=1",
            "bucket/%ff",
            "bucket/%4",
        ] {
            assert_eq!(
                CopySource::parse(header.as_bytes()).unwrap_err().code(),
                S3ErrorCode::InvalidArgument,
                "{header}"
            );
        }
        assert!(CopySource::parse(b"bucket/\xff").is_err());
        assert_eq!(CopySource::parse(b"bu%2Fcket/key").unwrap_err().code(), S3ErrorCode::InvalidBucketName);
    }
}
