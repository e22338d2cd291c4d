//! URLs of inputs and outputs.

use crate::error::S3Error;
use crate::request;
use granary_protocol::BucketName;

/// A bucket and what follows it: a key, a prefix, a pattern, or nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub bucket: BucketName,
    pub path: String,
}

impl Place {
    /// Reads `s3://bucket/path` (also `s3a`, `s3n`) or `hdfs://authority/bucket/path` (also `webhdfs`).
    pub fn parse(url: &str) -> Result<Place, S3Error> {
        let invalid = || S3Error::invalid_request(format!("{url} is no place in the store: s3://bucket/key is meant."));
        let (scheme, rest) = url.split_once("://").ok_or_else(invalid)?;
        let place = match scheme {
            "s3" | "s3a" | "s3n" => rest,
            "hdfs" | "webhdfs" => rest.split_once('/').ok_or_else(invalid)?.1,
            _ => return Err(invalid()),
        };
        let (bucket, path) = place.split_once('/').unwrap_or((place, ""));
        let bucket = request::BucketName::parse(bucket).map_err(|_| invalid())?;
        Ok(Place { bucket: BucketName(bucket.into_string()), path: path.to_owned() })
    }

    /// The path as a directory: it ends in a slash, unless it is the whole bucket.
    pub fn prefix(&self) -> String {
        match self.path.as_str() {
            "" => String::new(),
            path if path.ends_with('/') => path.to_owned(),
            path => format!("{path}/"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_schemes_name_places() {
        let place = |bucket: &str, path: &str| Place { bucket: bucket.into(), path: path.into() };
        assert_eq!(Place::parse("s3://logs/a/b").unwrap(), place("logs", "a/b"));
        assert_eq!(Place::parse("s3a://logs").unwrap(), place("logs", ""));
        assert_eq!(Place::parse("hdfs:///logs/a/").unwrap(), place("logs", "a/"));
        assert_eq!(Place::parse("hdfs://nn:8020/logs/a").unwrap(), place("logs", "a"));
        for wrong in ["logs/a", "file:///etc/passwd", "s3://", "hdfs://nn"] {
            assert!(Place::parse(wrong).is_err(), "{wrong}");
        }
        assert_eq!([place("b", "").prefix(), place("b", "a").prefix(), place("b", "a/").prefix()], ["", "a/", "a/"]);
    }
}
