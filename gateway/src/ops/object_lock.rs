//! Retention and legal hold of a version: Get- and PutObjectRetention, Get- and PutObjectLegalHold.
//!
//! That a lock can only be loosened by those who may is checked where it changes.

use super::Outcome;
use super::lock_headers::{legal_hold, legal_hold_name, mode_name, retain_until, retention_mode, wants_bypass};
use super::object_tagging::amend;
use super::version::{explain, insert_version, requested_version};
use super::xml_reader::{XmlDocument, malformed};
use super::xml_writer::Xml;
use crate::error::{S3Error, S3ErrorCode};
use crate::server::{GatewayState, Refusal, ResponseBody, S3Request, S3Response};
use bytes::Bytes;
use granary_protocol::UnixMillis;
use granary_protocol::namenode::{ObjectChange, Window};
use granary_protocol::object::{ObjectVersion, Retention};

const ELEMENTS_MAX: usize = 16;

/// Answers with a version's retention.
pub(super) async fn get_object_retention(state: &GatewayState, request: S3Request) -> Outcome {
    let object = locked_object(state, &request).await?;
    let retention = object.lock.retention.ok_or(S3ErrorCode::NoSuchObjectLockConfiguration)?;
    let mut xml = Xml::document("Retention", 128);
    xml.element("Mode", mode_name(retention.mode));
    xml.time("RetainUntilDate", retention.until);
    let mut response = xml.into_response();
    insert_version(response.headers_mut(), object.version, request.versioning());
    Ok(response)
}

/// Sets, changes or takes back a version's retention.
pub(super) async fn put_object_retention(state: &GatewayState, mut request: S3Request) -> Outcome {
    let version = requested_version(&request)?;
    let document = lock_document(state, &mut request).await?;
    check_bucket_locks(&request)?;
    let retention = parse_retention(&document, state.now())?;
    let bypass_governance = wants_bypass(&request.headers);
    let change = ObjectChange::Retention { retention, bypass_governance };
    let changed = amend(state, &request, version, change).await?;
    let mut response = S3Response::new(ResponseBody::empty());
    insert_version(response.headers_mut(), changed, request.versioning());
    Ok(response)
}

/// Answers with a version's legal hold.
pub(super) async fn get_object_legal_hold(state: &GatewayState, request: S3Request) -> Outcome {
    let object = locked_object(state, &request).await?;
    let mut xml = Xml::document("LegalHold", 64);
    xml.element("Status", legal_hold_name(object.lock.legal_hold));
    let mut response = xml.into_response();
    insert_version(response.headers_mut(), object.version, request.versioning());
    Ok(response)
}

/// Sets or takes back a version's legal hold.
pub(super) async fn put_object_legal_hold(state: &GatewayState, mut request: S3Request) -> Outcome {
    let version = requested_version(&request)?;
    let document = lock_document(state, &mut request).await?;
    check_bucket_locks(&request)?;
    let held = parse_legal_hold(&document)?;
    let changed = amend(state, &request, version, ObjectChange::LegalHold(held)).await?;
    let mut response = S3Response::new(ResponseBody::empty());
    insert_version(response.headers_mut(), changed, request.versioning());
    Ok(response)
}

async fn locked_object(state: &GatewayState, request: &S3Request) -> Result<ObjectVersion, Refusal> {
    let version = requested_version(request)?;
    check_bucket_locks(request)?;
    let (bucket, key) = (request.bucket.clone(), request.key.clone());
    let found = state.client.get_object(bucket, key, version, Window::Nothing).await;
    Ok(found.map_err(|failure| explain(&request.bucket, &request.key, version, failure))?.object)
}

fn check_bucket_locks(request: &S3Request) -> Result<(), S3Error> {
    match request.settings().info.object_lock {
        Some(_) => Ok(()),
        None => Err(S3Error::invalid_request("Bucket is missing Object Lock Configuration")),
    }
}

/// The document of a request about locks, which must come with a digest.
pub(super) async fn lock_document(state: &GatewayState, request: &mut S3Request) -> Result<Bytes, Refusal> {
    let spec = request.body_spec()?;
    if !spec.has_content_digest() {
        let message = "Missing required header for this request: Content-MD5 OR x-amz-checksum-*";
        return Err(S3Error::invalid_request(message).into());
    }
    let document = request.document(spec, state.config.xml_bytes_max).await?;
    match document.trim_ascii().is_empty() {
        true => Err(S3ErrorCode::MissingRequestBodyError.into()),
        false => Ok(document),
    }
}

/// An empty element takes the retention back.
fn parse_retention(document: &[u8], now: UnixMillis) -> Result<Option<Retention>, S3Error> {
    let mut xml = XmlDocument::open(document, "Retention", ELEMENTS_MAX)?;
    let (mut mode, mut until) = (None, None);
    while let Some(name) = xml.next_child()? {
        match name.as_str() {
            "Mode" if mode.is_none() => mode = Some(retention_mode(xml.text()?.trim()).ok_or_else(malformed)?),
            "RetainUntilDate" if until.is_none() => until = Some(xml.text()?),
            _other => return Err(malformed()),
        }
    }
    xml.finish()?;
    match (mode, until) {
        (None, None) => Ok(None),
        (Some(mode), Some(until)) => Ok(Some(Retention { mode, until: retain_until(until.trim(), now)? })),
        (Some(_), None) | (None, Some(_)) => Err(malformed()),
    }
}

fn parse_legal_hold(document: &[u8]) -> Result<bool, S3Error> {
    let mut xml = XmlDocument::open(document, "LegalHold", ELEMENTS_MAX)?;
    let mut held = None;
    while let Some(name) = xml.next_child()? {
        match name.as_str() {
            "Status" if held.is_none() => held = Some(legal_hold(xml.text()?.trim()).ok_or_else(malformed)?),
            _other => return Err(malformed()),
        }
    }
    xml.finish()?;
    held.ok_or_else(malformed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use granary_protocol::bucket::RetentionMode;

    const NOW: UnixMillis = UnixMillis(1_800_000_000_000);

    #[test]
    fn retentions() {
        let read = |inner: &str| parse_retention(format!("<Retention>{inner}</Retention>").as_bytes(), NOW);
        let date = "<RetainUntilDate>2040-01-01T00:00:00Z</RetainUntilDate>";
        assert_eq!(
            read(&format!("<Mode>GOVERNANCE</Mode>{date}")).unwrap(),
            Some(Retention { mode: RetentionMode::Governance, until: UnixMillis(2_208_988_800_000) })
        );
        assert_eq!(read("").unwrap(), None);
        for (inner, code) in [
            ("<Mode>GOVERNANCE</Mode>".to_owned(), S3ErrorCode::MalformedXML),
            (date.to_owned(), S3ErrorCode::MalformedXML),
            (format!("<Mode>governance</Mode>{date}"), S3ErrorCode::MalformedXML),
            (format!("<Mode>GOVERNANCE</Mode>{date}<X/>"), S3ErrorCode::MalformedXML),
            (
                "<Mode>GOVERNANCE</Mode><RetainUntilDate>2020-01-01T00:00:00Z</RetainUntilDate>".to_owned(),
                S3ErrorCode::InvalidArgument,
            ),
        ] {
            assert_eq!(read(&inner).unwrap_err().code(), code, "{inner}");
        }
    }

    #[test]
    fn legal_holds() {
        let read = |inner: &str| parse_legal_hold(format!("<LegalHold>{inner}</LegalHold>").as_bytes());
        assert!(read("<Status>ON</Status>").unwrap());
        assert!(!read("<Status>OFF</Status>").unwrap());
        for bad in ["", "<Status>on</Status>", "<Status/>", "<Status>ON</Status><Status>OFF</Status>"] {
            assert_eq!(read(bad).unwrap_err().code(), S3ErrorCode::MalformedXML, "{bad}");
        }
    }
}
