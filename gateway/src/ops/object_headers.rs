//! What a client stores beside the bytes: system headers, user metadata, storage class.

use crate::body::stored_content_encoding;
use crate::error::{S3Error, S3ErrorCode};
use crate::request::decode_header_text;
use granary_protocol::object::{ObjectHeaders, StorageClass};
use http::{HeaderMap, HeaderValue};

/// User metadata, names and values together: 2 KB.
const USER_METADATA_BYTES_MAX: usize = 2048;
/// System metadata together. Far more than AWS's documented 2 KB for all of PUT's headers, and bounded.
const SYSTEM_METADATA_BYTES_MAX: usize = 8192;
const USER_PREFIX: &str = "x-amz-meta-";

/// Headers kept with an object and returned unchanged.
const SYSTEM_HEADERS: [&str; 7] = [
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-type",
    "expires",
    "x-amz-website-redirect-location",
];

/// Reads what is to be stored beside an object.
///
/// # Errors
/// `MetadataTooLarge`, or `InvalidArgument` for values that are no UTF-8.
pub(super) fn read_object_headers(headers: &HeaderMap) -> Result<ObjectHeaders, S3Error> {
    let mut kept = ObjectHeaders::default();
    for (name, value) in headers {
        let name = name.as_str();
        if let Some(user) = name.strip_prefix(USER_PREFIX) {
            add_user(&mut kept.user, user, &decode_header_text(value.as_bytes()));
        } else if SYSTEM_HEADERS.contains(&name) {
            let value = match name {
                "content-encoding" => stored_content_encoding(text(name, value)?),
                _ => Some(text(name, value)?.to_owned()).filter(|value| !value.is_empty()),
            };
            kept.system.extend(value.map(|value| (name.to_owned(), value)));
        }
    }
    check_size(&kept.user, USER_METADATA_BYTES_MAX)?;
    check_size(&kept.system, SYSTEM_METADATA_BYTES_MAX)?;
    if let Some((_, location)) = kept.system.iter().find(|(name, _)| name == "x-amz-website-redirect-location") {
        check_redirect(location)?;
    }
    Ok(kept)
}

/// Lines of one name are one value, as HTTP says.
fn add_user(user: &mut Vec<(String, String)>, name: &str, value: &str) {
    match user.iter_mut().find(|(other, _)| other == name) {
        Some((_, values)) => {
            values.push(',');
            values.push_str(value);
        }
        None => user.push((name.to_owned(), value.to_owned())),
    }
}

fn text<'a>(name: &str, value: &'a HeaderValue) -> Result<&'a str, S3Error> {
    std::str::from_utf8(value.as_bytes()).map(str::trim).map_err(|_| {
        S3Error::invalid_argument("Metadata must be UTF-8", name, String::from_utf8_lossy(value.as_bytes()))
    })
}

fn check_size(pairs: &[(String, String)], bytes_max: usize) -> Result<(), S3Error> {
    let bytes: usize = pairs.iter().map(|(name, value)| name.len() + value.len()).sum();
    if bytes <= bytes_max {
        return Ok(());
    }
    Err(S3Error::new(S3ErrorCode::MetadataTooLarge)
        .field("Size", bytes.to_string())
        .field("MaxSizeAllowed", bytes_max.to_string()))
}

fn check_redirect(location: &str) -> Result<(), S3Error> {
    if ["/", "http://", "https://"].iter().any(|start| location.starts_with(start)) {
        return Ok(());
    }
    Err(S3Error::invalid_argument(
        "The website redirect location must have a prefix of 'http://' or 'https://' or '/'.",
        "x-amz-website-redirect-location",
        location,
    ))
}

/// `x-amz-storage-class`, STANDARD if absent.
///
/// # Errors
/// `InvalidStorageClass` for a class this store does not have.
pub(super) fn storage_class(headers: &HeaderMap) -> Result<StorageClass, S3Error> {
    let Some(value) = headers.get("x-amz-storage-class") else { return Ok(StorageClass::Standard) };
    let name = value.to_str().unwrap_or_default().trim();
    StorageClass::from_name(name)
        .ok_or_else(|| S3Error::new(S3ErrorCode::InvalidStorageClass).field("StorageClassRequested", name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderName;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.append(HeaderName::from_static(name), HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        map
    }

    #[test]
    fn keeps_what_belongs_to_the_object() {
        let kept = read_object_headers(&headers(&[
            ("content-type", "text/plain"),
            ("content-encoding", "aws-chunked,gzip"),
            ("content-length", "5"),
            ("cache-control", ""),
            ("x-amz-meta-a", "=?UTF-8?Q?=C3=A9?="),
            ("x-amz-meta-b", "1"),
            ("x-amz-meta-b", "2"),
            ("x-amz-date", "now"),
        ]))
        .unwrap();
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(kept.system, [pair("content-type", "text/plain"), pair("content-encoding", "gzip")]);
        assert_eq!(kept.user, [pair("a", "é"), pair("b", "1,2")]);
        assert!(read_object_headers(&headers(&[("content-encoding", "aws-chunked")])).unwrap().system.is_empty());
    }

    #[test]
    fn bounds() {
        let fits = "v".repeat(2047);
        assert!(read_object_headers(&headers(&[("x-amz-meta-a", &fits)])).is_ok());
        let error = read_object_headers(&headers(&[("x-amz-meta-ab", &fits)])).unwrap_err();
        assert_eq!(error.code(), S3ErrorCode::MetadataTooLarge);
        let error = read_object_headers(&headers(&[("x-amz-website-redirect-location", "x")])).unwrap_err();
        assert_eq!(error.code(), S3ErrorCode::InvalidArgument);
        let error = storage_class(&headers(&[("x-amz-storage-class", "REDUCED_REDUNDANCY")])).unwrap_err();
        assert_eq!(error.code(), S3ErrorCode::InvalidStorageClass);
    }
}
