//! GetObjectAttributes: size, tag, checksum, class and parts of a version in one answer.
//!
//! Source: GetObjectAttributes, Amazon S3 API reference.

use super::Outcome;
use super::checksums::{algorithm_of, shown, type_of};
use super::response_headers::last_modified_value;
use super::version::{explain, insert_version, requested_version};
use super::xml_writer::Xml;
use crate::encryption::{CustomerKey, check_key};
use crate::error::S3Error;
use crate::server::{GatewayState, Refusal, S3Request};
use granary_protocol::VersionId;
use granary_protocol::namenode::Window;
use granary_protocol::object::{ObjectVersion, PAGE_ENTRIES_MAX, PartInfo};
use http::HeaderMap;
use http::header::LAST_MODIFIED;

const ATTRIBUTES: &str = "x-amz-object-attributes";

/// What is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Asked {
    etag: bool,
    checksum: bool,
    parts: bool,
    class: bool,
    size: bool,
}

impl Asked {
    /// # Errors
    /// `InvalidArgument` for an attribute there is not, `InvalidRequest` for none.
    fn read(headers: &HeaderMap) -> Result<Self, S3Error> {
        let mut asked = Self::default();
        for value in headers.get_all(ATTRIBUTES) {
            for name in value.to_str().unwrap_or_default().split(',').map(str::trim).filter(|name| !name.is_empty()) {
                let wanted = match name {
                    "ETag" => &mut asked.etag,
                    "Checksum" => &mut asked.checksum,
                    "ObjectParts" => &mut asked.parts,
                    "StorageClass" => &mut asked.class,
                    "ObjectSize" => &mut asked.size,
                    other => {
                        let message = "Invalid attribute name specified.";
                        return Err(S3Error::invalid_argument(message, ATTRIBUTES, other));
                    }
                };
                *wanted = true;
            }
        }
        if asked == Self::default() {
            return Err(S3Error::invalid_request(
                "The x-amz-object-attributes header specifying the attributes to be retrieved is either missing or empty",
            ));
        }
        Ok(asked)
    }
}

/// Which parts are asked for.
struct PartsPage {
    after: u16,
    limit: u32,
}

impl PartsPage {
    fn read(headers: &HeaderMap) -> Result<Self, S3Error> {
        let after = number(headers, "x-amz-part-number-marker")?.unwrap_or(0);
        let limit = number(headers, "x-amz-max-parts")?.unwrap_or(PAGE_ENTRIES_MAX);
        Ok(Self { after: u16::try_from(after).unwrap_or(u16::MAX), limit: limit.min(PAGE_ENTRIES_MAX) })
    }
}

fn number(headers: &HeaderMap, name: &'static str) -> Result<Option<u32>, S3Error> {
    let Some(text) = headers.get(name).map(|value| value.to_str().unwrap_or_default().trim()) else { return Ok(None) };
    match text.parse::<i32>().ok().and_then(|number| u32::try_from(number).ok()) {
        Some(number) => Ok(Some(number)),
        None => {
            let message = match text.parse::<i64>() {
                Ok(..0) => format!("Argument {name} must be an integer between 0 and 2147483647"),
                Ok(_) | Err(_) => format!("Provided {name} not an integer or within integer range"),
            };
            Err(S3Error::invalid_argument(message, name, text))
        }
    }
}

/// The parts of the answer.
struct Parts {
    count: u16,
    parts: Vec<PartInfo>,
    truncated: bool,
}

/// Answers with the attributes asked for.
pub(super) async fn get_object_attributes(state: &GatewayState, request: S3Request) -> Outcome {
    let version = requested_version(&request)?;
    let customer = CustomerKey::of_object(&request.headers)?;
    let asked = Asked::read(&request.headers)?;
    let page = PartsPage::read(&request.headers)?;
    let (object, parts) = find(state, &request, version, asked.parts.then_some(&page)).await?;
    check_key(object.details.encryption.as_ref(), customer.as_ref())?;
    let mut xml = Xml::document("GetObjectAttributesResponse", 512);
    if asked.etag {
        xml.plain("ETag", object.etag);
    }
    if asked.checksum {
        push_checksum(&mut xml, &object);
    }
    if let Some(parts) = parts.filter(|parts| parts.count > 0) {
        push_parts(&mut xml, &parts, &page);
    }
    if asked.class {
        xml.element("StorageClass", object.class.name());
    }
    if asked.size {
        xml.plain("ObjectSize", object.size);
    }
    let mut response = xml.into_response();
    let headers = response.headers_mut();
    headers.insert(LAST_MODIFIED, last_modified_value(object.modified));
    insert_version(headers, object.version, request.versioning());
    Ok(response)
}

/// The version, and its parts if a page of them is asked for: both of the same moment.
async fn find(
    state: &GatewayState,
    request: &S3Request,
    version: Option<VersionId>,
    page: Option<&PartsPage>,
) -> Result<(ObjectVersion, Option<Parts>), Refusal> {
    let (bucket, key) = (request.bucket.clone(), request.key.clone());
    let found = match page {
        None => {
            let read = state.client.get_object(bucket, key, version, Window::Nothing).await;
            read.map(|read| (read.object, None))
        }
        Some(page) => {
            // With no part asked for there is still to say whether there is one.
            let limit = page.limit.max(1);
            let listed = state.client.list_object_parts(bucket, key, version, page.after, limit).await;
            listed.map(|(object, count, mut parts, truncated)| {
                let truncated = truncated || parts.len() > page.limit as usize;
                parts.truncate(page.limit as usize);
                (object, Some(Parts { count, parts, truncated }))
            })
        }
    };
    found.map_err(|failure| explain(&request.bucket, &request.key, version, failure))
}

fn push_checksum(xml: &mut Xml, object: &ObjectVersion) {
    let Some(checksum) = &object.checksum else { return };
    xml.open("Checksum");
    if let Some(value) = shown(checksum, object.etag.parts) {
        xml.plain(algorithm_of(checksum.algorithm).xml_element(), value);
    }
    xml.plain("ChecksumType", type_of(checksum.kind).name());
    xml.close("Checksum");
}

fn push_parts(xml: &mut Xml, parts: &Parts, page: &PartsPage) {
    xml.open("ObjectParts");
    xml.plain("PartsCount", parts.count);
    xml.plain("PartNumberMarker", page.after);
    if let Some(last) = parts.parts.last() {
        xml.plain("NextPartNumberMarker", last.number);
    }
    xml.plain("MaxParts", page.limit);
    xml.plain("IsTruncated", parts.truncated);
    for part in &parts.parts {
        xml.open("Part");
        xml.plain("PartNumber", part.number);
        xml.plain("Size", part.size);
        if let Some(checksum) = &part.checksum
            && let Some(value) = shown(checksum, None)
        {
            xml.plain(algorithm_of(checksum.algorithm).xml_element(), value);
        }
        xml.close("Part");
    }
    xml.close("ObjectParts");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::S3ErrorCode;
    use http::HeaderName;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.append(HeaderName::from_static(name), http::HeaderValue::from_static(value));
        }
        map
    }

    #[test]
    fn attributes_are_named_in_one_header_or_several() {
        let asked = Asked::read(&headers(&[(ATTRIBUTES, "ETag, ObjectSize"), (ATTRIBUTES, "ObjectParts")])).unwrap();
        assert_eq!(asked, Asked { etag: true, size: true, parts: true, ..Asked::default() });
        let code = |pairs: &[(&'static str, &'static str)]| Asked::read(&headers(pairs)).unwrap_err().code();
        assert_eq!(code(&[(ATTRIBUTES, "etag")]), S3ErrorCode::InvalidArgument);
        assert_eq!(code(&[(ATTRIBUTES, " ,")]), S3ErrorCode::InvalidRequest);
        assert_eq!(code(&[]), S3ErrorCode::InvalidRequest);
    }

    #[test]
    fn pages_of_parts_are_bounded() {
        let page = PartsPage::read(&headers(&[("x-amz-part-number-marker", "70000"), ("x-amz-max-parts", "5000")]));
        let page = page.unwrap();
        assert_eq!((page.after, page.limit), (u16::MAX, PAGE_ENTRIES_MAX));
        for value in ["-1", "x", "2147483648"] {
            assert!(PartsPage::read(&headers(&[("x-amz-max-parts", value)])).is_err(), "{value}");
        }
    }
}
