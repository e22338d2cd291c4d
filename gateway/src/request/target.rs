//! Which bucket and key a request names, from its Host and raw path.
//!
//! Invariants: the path is split on raw `/` before decoding, so an escaped slash never moves the border between bucket
//! and key; nothing in a key is resolved or collapsed. Virtual-hosted style is only recognised under the configured base
//! domains; an address or `localhost` is always path style.

use std::net::{Ipv4Addr, Ipv6Addr};

use http::header::HOST;
use http::request::Parts;

use super::decode::percent_decode_utf8;
use super::name::{BucketName, ObjectKey};
use crate::error::{S3Error, S3ErrorCode};

/// Where the bucket's name was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressingStyle {
    /// `http://host/bucket/key`
    Path,
    /// `http://bucket.host/key`
    VirtualHosted,
}

/// What the request is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resource {
    /// The service itself: `/`.
    Service,
    /// A bucket.
    Bucket(BucketName),
    /// An object in a bucket.
    Object(BucketName, ObjectKey),
}

impl Resource {
    /// The bucket, if one is named.
    pub fn bucket(&self) -> Option<&BucketName> {
        match self {
            Resource::Service => None,
            Resource::Bucket(bucket) | Resource::Object(bucket, _) => Some(bucket),
        }
    }

    /// The key, if one is named.
    pub fn key(&self) -> Option<&ObjectKey> {
        match self {
            Resource::Service | Resource::Bucket(_) => None,
            Resource::Object(_, key) => Some(key),
        }
    }
}

/// A parsed request target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestTarget {
    /// How the bucket was addressed.
    pub style: AddressingStyle,
    /// What is addressed.
    pub resource: Resource,
}

impl RequestTarget {
    /// Reads `host` (the Host header or `:authority`, port allowed) and the raw path of the target.
    ///
    /// `InvalidURI`: bad escapes, invalid UTF-8, an empty bucket segment before a key, a path without leading `/`.
    /// `InvalidBucketName`, `KeyTooLongError`: as [`BucketName::parse`] and [`ObjectKey::parse`].
    pub fn parse(host: &str, raw_path: &str, base_domains: &BaseDomains) -> Result<Self, S3Error> {
        let path = raw_path.strip_prefix('/').ok_or_else(|| S3Error::new(S3ErrorCode::InvalidURI))?;
        let resource = match base_domains.bucket_label(host) {
            Some(bucket) => {
                let bucket = BucketName::parse(bucket)?;
                let resource = resource_in(bucket, path)?;
                return Ok(Self { style: AddressingStyle::VirtualHosted, resource });
            }
            None if path.is_empty() => Resource::Service,
            None => {
                let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
                if bucket.is_empty() {
                    return Err(S3Error::new(S3ErrorCode::InvalidURI));
                }
                resource_in(BucketName::parse(percent_decode_utf8(bucket.as_bytes())?)?, key)?
            }
        };
        Ok(Self { style: AddressingStyle::Path, resource })
    }
}

fn resource_in(bucket: BucketName, raw_key: &str) -> Result<Resource, S3Error> {
    if raw_key.is_empty() {
        return Ok(Resource::Bucket(bucket));
    }
    let key = ObjectKey::parse(percent_decode_utf8(raw_key.as_bytes())?)?;
    Ok(Resource::Object(bucket, key))
}

/// The domains below which the first labels of a Host are a bucket.
#[derive(Clone, Debug, Default)]
pub struct BaseDomains {
    domains: Vec<String>,
}

impl BaseDomains {
    /// Domains without port, any case; a trailing dot is dropped. Longer ones win over their own suffixes.
    pub fn new<S: AsRef<str>>(domains: impl IntoIterator<Item = S>) -> Self {
        let mut domains: Vec<String> = domains
            .into_iter()
            .map(|domain| domain.as_ref().trim_matches('.').to_ascii_lowercase())
            .filter(|domain| !domain.is_empty())
            .collect();
        domains.sort_by_key(|domain| std::cmp::Reverse(domain.len()));
        Self { domains }
    }

    /// Whether this is one of the domains.
    pub(crate) fn contains(&self, domain: &str) -> bool {
        self.domains.iter().any(|other| other.eq_ignore_ascii_case(domain.trim_matches('.')))
    }

    /// The bucket part of a Host below one of the domains, lower-cased, not yet validated.
    pub(crate) fn bucket_label(&self, host: &str) -> Option<String> {
        let name = host_name(host);
        if self.domains.is_empty() || is_address(name) {
            return None;
        }
        let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
        for domain in &self.domains {
            if name == *domain {
                return None;
            }
            let bucket = name.strip_suffix(domain.as_str()).and_then(|rest| rest.strip_suffix('.'));
            if let Some(bucket) = bucket.filter(|bucket| !bucket.is_empty()) {
                return Some(bucket.to_owned());
            }
        }
        None
    }
}

/// The host a request was sent to, port included: the `Host` header, or the authority of an absolute or HTTP/2 target.
/// `InvalidRequest` if there is none, more than one, or if the two disagree: the signature and the bucket's name hang on it.
pub fn request_host(parts: &Parts) -> Result<&str, S3Error> {
    let mut values = parts.headers.get_all(HOST).iter();
    let header = values.next().map(|value| value.to_str().map(str::trim));
    let authority = parts.uri.authority().map(|authority| authority.as_str());
    match (header, values.next(), authority) {
        (Some(Ok(host)), None, None) => Ok(host),
        (Some(Ok(host)), None, Some(authority)) if host.eq_ignore_ascii_case(authority) => Ok(host),
        (None, _, Some(authority)) => Ok(authority),
        (Some(_), _, _) | (None, _, None) => Err(S3Error::invalid_request("A request needs exactly one Host header")),
    }
}

/// The host without its port; brackets of an IPv6 address stay.
fn host_name(host: &str) -> &str {
    if host.starts_with('[') {
        return host.find(']').map_or(host, |end| &host[..=end]);
    }
    host.split_once(':').map_or(host, |(name, _)| name)
}

fn is_address(name: &str) -> bool {
    let bracketed = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    match bracketed {
        Some(inner) => inner.parse::<Ipv6Addr>().is_ok(),
        None => name.parse::<Ipv4Addr>().is_ok() || name.eq_ignore_ascii_case("localhost"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(host: &str, path: &str) -> Result<RequestTarget, S3Error> {
        RequestTarget::parse(host, path, &BaseDomains::new(["s3.example.com", "Example.com.", "localhost"]))
    }

    fn object(bucket: &str, key: &str) -> Resource {
        Resource::Object(BucketName::parse(bucket).unwrap(), ObjectKey::parse(key).unwrap())
    }

    #[test]
    fn path_style_is_literal() {
        for (path, key) in [
            ("/bucket/key", "key"),
            ("/bucket//key", "/key"),
            ("/bucket/a//b", "a//b"),
            ("/bucket/../../etc/passwd", "../../etc/passwd"),
            ("/bucket/./.", "./."),
            ("/bucket/%2e%2e/%2E", "../."),
            ("/bucket/a%2Fb", "a/b"),
            ("/bucket/%2F", "/"),
            ("/bucket/a+b%20c%2B", "a+b c+"),
            ("/bucket/%252e", "%2e"),
            ("/bucket/a/", "a/"),
            ("/bucket/\\%5C", "\\\\"),
            ("/bucket/é%C3%a9", "éé"),
            ("/bucket/a%00b", "a\0b"),
        ] {
            for host in ["127.0.0.1:9000", "[::1]:9000", "localhost", "LOCALHOST:80", "s3.example.com", "other.org", ""]
            {
                let target = parse(host, path).unwrap();
                assert_eq!(target.style, AddressingStyle::Path);
                assert_eq!(target.resource, object("bucket", key), "{host} {path}");
            }
        }
    }

    #[test]
    fn virtual_hosted_style() {
        for (host, path, resource) in [
            ("photos.s3.example.com", "/key", object("photos", "key")),
            ("photos.S3.Example.COM.:443", "//key", object("photos", "/key")),
            ("a.b.s3.example.com", "/bucket/key", object("a.b", "bucket/key")),
            ("photos.example.com", "/k", object("photos", "k")),
            ("photos.localhost:9000", "/k", object("photos", "k")),
            ("photos.s3.example.com", "/", Resource::Bucket(BucketName::parse("photos").unwrap())),
        ] {
            let target = parse(host, path).unwrap();
            assert_eq!((target.style, target.resource), (AddressingStyle::VirtualHosted, resource), "{host}{path}");
        }
        assert_eq!(parse("notexample.com", "/bucket").unwrap().style, AddressingStyle::Path);
        assert_eq!(parse("x_y.s3.example.com", "/k").unwrap_err().code(), S3ErrorCode::InvalidBucketName);
    }

    #[test]
    fn service_bucket_and_refusals() {
        assert_eq!(parse("localhost", "/").unwrap().resource, Resource::Service);
        let bucket = Resource::Bucket(BucketName::parse("bucket").unwrap());
        assert_eq!(parse("localhost", "/bucket").unwrap().resource, bucket);
        assert_eq!(parse("localhost", "/bucket/").unwrap().resource, bucket);
        assert_eq!(parse("localhost", "/%62ucket/").unwrap().resource, bucket);
        let long_key = format!("/bucket/{}", "%61".repeat(1025));
        for (path, code) in [
            ("*", S3ErrorCode::InvalidURI),
            ("//key", S3ErrorCode::InvalidURI),
            ("/bucket/%ff", S3ErrorCode::InvalidURI),
            ("/bucket/%c3", S3ErrorCode::InvalidURI),
            ("/bucket/%4", S3ErrorCode::InvalidURI),
            ("/bucket%2Fkey", S3ErrorCode::InvalidBucketName),
            ("/..%2Fx/key", S3ErrorCode::InvalidBucketName),
            ("/../key", S3ErrorCode::InvalidBucketName),
            ("/Bucket/key", S3ErrorCode::InvalidBucketName),
            (long_key.as_str(), S3ErrorCode::KeyTooLongError),
        ] {
            assert_eq!(parse("localhost", path).unwrap_err().code(), code, "{path}");
        }
        assert!(parse("localhost", &format!("/bucket/{}", "%61".repeat(1024))).is_ok());
    }
}
