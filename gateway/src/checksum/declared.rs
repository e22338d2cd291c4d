//! Which checksum a request promises for its body, and where: a header now or a trailer after the bytes.

use base64::Engine as _;
use http::HeaderMap;

use super::algorithm::{Checksum, ChecksumAlgorithm, ChecksumType};
use crate::error::{S3Error, S3ErrorCode};

const HEADER_PREFIX: &str = "x-amz-checksum-";
/// Headers that share the prefix and carry no checksum.
const NOT_VALUES: [&str; 3] = ["x-amz-checksum-mode", "x-amz-checksum-type", "x-amz-checksum-algorithm"];

/// At most one checksum promised for a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum DeclaredChecksum {
    /// None.
    #[default]
    Absent,
    /// Sent before the body.
    Header(Checksum),
    /// Follows the body in an aws-chunked trailer of the algorithm's header name.
    Trailer(ChecksumAlgorithm),
}

impl DeclaredChecksum {
    /// Reads `x-amz-checksum-*`, `x-amz-trailer` and `x-amz-sdk-checksum-algorithm`.
    ///
    /// `InvalidRequest`: more than one checksum, a trailer that is no checksum, an SDK algorithm that disagrees or has no
    /// checksum to go with it. `BadDigest`: a malformed value. `NotImplemented`: an algorithm this server does not know, which must not
    /// be taken for "no checksum".
    pub fn from_headers(headers: &HeaderMap) -> Result<Self, S3Error> {
        let is_value = |name: &str| name.starts_with(HEADER_PREFIX) && !NOT_VALUES.contains(&name);
        if headers.iter().filter(|(name, _)| is_value(name.as_str()) || *name == "x-amz-trailer").count() > 1 {
            return Err(S3Error::invalid_request(
                "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.",
            ));
        }
        let mut declared = Self::Absent;
        for (name, value) in headers {
            declared = match name.as_str() {
                "x-amz-trailer" => Self::Trailer(trailer_algorithm(text(value, "x-amz-trailer")?)?),
                other if is_value(other) => {
                    let algorithm = ChecksumAlgorithm::from_header_name(other)
                        .ok_or_else(|| S3Error::new(S3ErrorCode::NotImplemented).field("Header", other))?;
                    Self::Header(Checksum::parse(algorithm, text(value, other)?, "header")?)
                }
                _other_header => continue,
            };
        }
        declared.check_sdk_algorithm(headers)?;
        Ok(declared)
    }

    /// The algorithm promised, if any.
    pub fn algorithm(&self) -> Option<ChecksumAlgorithm> {
        match self {
            Self::Absent => None,
            Self::Header(checksum) => Some(checksum.algorithm()),
            Self::Trailer(algorithm) => Some(*algorithm),
        }
    }

    fn check_sdk_algorithm(&self, headers: &HeaderMap) -> Result<(), S3Error> {
        let Some(value) = headers.get("x-amz-sdk-checksum-algorithm") else { return Ok(()) };
        let named = ChecksumAlgorithm::from_name(text(value, "x-amz-sdk-checksum-algorithm")?);
        match (named, self.algorithm()) {
            (Some(named), Some(sent)) if named == sent => Ok(()),
            (Some(_), None) => Err(S3Error::invalid_request(
                "x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers were found.",
            )),
            (None, _) | (Some(_), Some(_)) => {
                Err(S3Error::invalid_request("Value for x-amz-sdk-checksum-algorithm header is invalid."))
            }
        }
    }
}

fn trailer_algorithm(value: &str) -> Result<ChecksumAlgorithm, S3Error> {
    ChecksumAlgorithm::from_header_name(value.trim())
        .ok_or_else(|| S3Error::invalid_request("The value specified in the x-amz-trailer header is not supported"))
}

fn text<'a>(value: &'a http::HeaderValue, name: &str) -> Result<&'a str, S3Error> {
    value.to_str().map(str::trim).map_err(|_| S3Error::invalid_request(format!("Value for {name} header is invalid.")))
}

/// `Content-MD5`, if sent: 16 bytes in base64, otherwise `InvalidDigest`. Two of them are refused.
pub fn parse_content_md5(headers: &HeaderMap) -> Result<Option<[u8; 16]>, S3Error> {
    let mut values = headers.get_all("content-md5").iter();
    let Some(value) = values.next() else { return Ok(None) };
    let decoded = base64::engine::general_purpose::STANDARD.decode(value.as_bytes()).ok();
    match (decoded.and_then(|bytes| bytes.try_into().ok()), values.next()) {
        (Some(md5), None) => Ok(Some(md5)),
        (_, _) => {
            Err(S3Error::new(S3ErrorCode::InvalidDigest)
                .field("Content-MD5", String::from_utf8_lossy(value.as_bytes())))
        }
    }
}

/// `x-amz-checksum-algorithm` of CreateMultipartUpload, CopyObject and directory-like calls.
pub fn requested_algorithm(headers: &HeaderMap) -> Result<Option<ChecksumAlgorithm>, S3Error> {
    let Some(value) = headers.get("x-amz-checksum-algorithm") else { return Ok(None) };
    ChecksumAlgorithm::from_name(text(value, "x-amz-checksum-algorithm")?).map(Some).ok_or_else(|| {
        S3Error::invalid_request(
            "Checksum algorithm provided is unsupported. Please try again with any of the valid types: \
             [CRC32, CRC32C, CRC64NVME, SHA1, SHA256]",
        )
    })
}

/// `x-amz-checksum-type`, or the algorithm's default; `InvalidRequest` for a pair S3 does not offer.
pub fn requested_type(headers: &HeaderMap, algorithm: ChecksumAlgorithm) -> Result<ChecksumType, S3Error> {
    let Some(value) = headers.get("x-amz-checksum-type") else { return Ok(ChecksumType::default_for(algorithm)) };
    let kind = ChecksumType::from_name(text(value, "x-amz-checksum-type")?)
        .ok_or_else(|| S3Error::invalid_request("Value for x-amz-checksum-type header is invalid."))?;
    if kind.is_allowed_for(algorithm) {
        return Ok(kind);
    }
    Err(S3Error::invalid_request(format!(
        "The {} checksum type cannot be used with the {} checksum algorithm.",
        kind.name(),
        algorithm.name().to_ascii_lowercase()
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderName, HeaderValue};

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.append(name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap());
        }
        map
    }

    #[test]
    fn one_checksum_or_none() {
        let read = |pairs: &[(&str, &str)]| DeclaredChecksum::from_headers(&headers(pairs));
        assert_eq!(
            read(&[("x-amz-checksum-mode", "ENABLED"), ("x-amz-checksum-type", "COMPOSITE")]).unwrap(),
            DeclaredChecksum::Absent
        );
        let value = Checksum::from_base64(ChecksumAlgorithm::Crc32, "y/Q5Jg==").unwrap();
        assert_eq!(
            read(&[("x-amz-checksum-crc32", "y/Q5Jg=="), ("x-amz-sdk-checksum-algorithm", "CRC32")]).unwrap(),
            DeclaredChecksum::Header(value)
        );
        assert_eq!(
            read(&[("x-amz-trailer", "X-Amz-Checksum-Crc64nvme")]).unwrap(),
            DeclaredChecksum::Trailer(ChecksumAlgorithm::Crc64Nvme)
        );
        for (pairs, code) in [
            (
                &[("x-amz-checksum-crc32", "y/Q5Jg=="), ("x-amz-checksum-sha1", "98O8HYCOBHMq32eZZczDTKeuNEE=")][..],
                S3ErrorCode::InvalidRequest,
            ),
            (
                &[("x-amz-checksum-crc32", "y/Q5Jg=="), ("x-amz-checksum-crc32", "y/Q5Jg==")],
                S3ErrorCode::InvalidRequest,
            ),
            (
                &[("x-amz-checksum-crc32", "y/Q5Jg=="), ("x-amz-trailer", "x-amz-checksum-crc32")],
                S3ErrorCode::InvalidRequest,
            ),
            (&[("x-amz-checksum-crc32", "nonsense")], S3ErrorCode::BadDigest),
            (&[("x-amz-trailer", "x-amz-meta-a")], S3ErrorCode::InvalidRequest),
            (&[("x-amz-trailer", "x-amz-checksum-crc32, x-amz-checksum-sha1")], S3ErrorCode::InvalidRequest),
            (&[("x-amz-sdk-checksum-algorithm", "CRC32")], S3ErrorCode::InvalidRequest),
            (
                &[("x-amz-checksum-crc32", "y/Q5Jg=="), ("x-amz-sdk-checksum-algorithm", "SHA1")],
                S3ErrorCode::InvalidRequest,
            ),
            (&[("x-amz-checksum-sha512", "AAAA")], S3ErrorCode::NotImplemented),
        ] {
            assert_eq!(read(pairs).unwrap_err().code(), code, "{pairs:?}");
        }
    }

    #[test]
    fn content_md5() {
        let read = |pairs: &[(&str, &str)]| parse_content_md5(&headers(pairs));
        assert_eq!(read(&[]).unwrap(), None);
        assert!(read(&[("content-md5", "1B2M2Y8AsgTpgAmY7PhCfg==")]).unwrap().is_some());
        for pairs in [
            &[("content-md5", "")][..],
            &[("content-md5", "1B2M2Y8AsgTpgAmY7PhC")],
            &[("content-md5", "d41d8cd98f00b204e9800998ecf8427e")],
            &[("content-md5", "1B2M2Y8AsgTpgAmY7PhCfg=="), ("content-md5", "1B2M2Y8AsgTpgAmY7PhCfg==")],
        ] {
            assert_eq!(read(pairs).unwrap_err().code(), S3ErrorCode::InvalidDigest, "{pairs:?}");
        }
    }

    #[test]
    fn types_and_algorithms() {
        let pairs = headers(&[("x-amz-checksum-type", "FULL_OBJECT"), ("x-amz-checksum-algorithm", "crc32")]);
        assert_eq!(requested_algorithm(&pairs).unwrap(), Some(ChecksumAlgorithm::Crc32));
        assert_eq!(requested_type(&pairs, ChecksumAlgorithm::Crc32).unwrap(), ChecksumType::FullObject);
        assert!(requested_type(&pairs, ChecksumAlgorithm::Sha1).is_err());
        let none = HeaderMap::new();
        assert_eq!(requested_type(&none, ChecksumAlgorithm::Crc64Nvme).unwrap(), ChecksumType::FullObject);
        assert_eq!(requested_type(&none, ChecksumAlgorithm::Sha256).unwrap(), ChecksumType::Composite);
        assert!(requested_algorithm(&headers(&[("x-amz-checksum-algorithm", "SHA512")])).is_err());
    }
}
