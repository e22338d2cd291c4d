//! CopyObject: the copy shares the source's bytes where encryption allows; then only metadata are written.
//!
//! The copy keeps the source's tag and, unless another algorithm is asked for, its checksum: the bytes are the same. (AWS
//! rewrites the bytes, and gives the copy of a multipart object the tag of a single PUT.)

use super::Outcome;
use super::bucket_lifecycle::{Expiring, insert_expiration};
use super::checksums::{algorithm_of, shown};
use super::copied_content::CopiedContent;
use super::copy_source::Source;
use super::events::announce_write;
use super::new_object::ObjectSettings;
use super::refused_headers::refuse_unbuilt;
use super::text::version_text;
use super::version::insert_version;
use super::write_condition::{LongCondition, explain_unwritten};
use super::xml_writer::Xml;
use crate::encryption::{Asked, insert_new_encryption};
use crate::error::S3Error;
use crate::notifications::EventKind;
use crate::server::{GatewayState, S3Request};
use granary_protocol::VersionId;
use granary_protocol::namenode::NewObject;
use granary_protocol::object::{ObjectHeaders, PART_BYTES_MAX};
use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};

/// Makes a copy, with the source's headers or those of the request.
pub(super) async fn copy_object(state: &GatewayState, mut request: S3Request) -> Outcome {
    refuse_unbuilt(&request.headers)?;
    let condition = LongCondition::read(state, &request).await?;
    let replaces_headers = replaces(&request, "x-amz-metadata-directive", "Unknown metadata directive.")?;
    let replaces_tags = replaces(&request, "x-amz-tagging-directive", "Unknown tagging directive.")?;
    let ObjectSettings { owner, class, lock, mut details } = ObjectSettings::read(state, &request).await?;
    let asked = Asked::read(&request.headers)?;
    let source = Source::find(state, &mut request).await?;
    let object = &source.read.object;
    if object.size > PART_BYTES_MAX {
        return Err(S3Error::invalid_request(format!(
            "The specified copy source is larger than the maximum allowable size for a copy source: {PART_BYTES_MAX}"
        ))
        .into());
    }
    let default = request.settings().encryption()?;
    let plan = state.encryption.plan_copy(asked, default, object.details.encryption.as_ref())?;
    // A bucket's default may name another key than the one the object is under.
    let is_resealed =
        default.is_some() || plan.mode().as_ref() != object.details.encryption.as_ref().map(|kept| &kept.mode);
    let changes_nothing = !replaces_headers
        && source.version.is_none()
        && !is_resealed
        && !changes_stored_settings(&request.headers, class == object.class);
    if changes_nothing && source.bucket == request.bucket && source.key == request.key {
        return Err(S3Error::invalid_request(
            "This copy request is illegal because it is trying to copy an object to itself without changing the object's \
             metadata, storage class, website redirect location or encryption attributes.",
        )
        .into());
    }
    let content = CopiedContent::make(state, &request.headers, &source, &plan, class).await?;
    if !replaces_headers {
        details.headers = copied_headers(&object.details.headers, &request.headers);
    }
    if !replaces_tags {
        details.tags.clone_from(&object.details.tags);
    }
    details.encryption.clone_from(&content.encryption);
    let (size, checksum, tags) = (object.size, content.checksum, details.tags.clone());
    let new = NewObject { size, etag: content.etag, owner, class, checksum, lock, details };
    let (etag, source_version) = (object.etag, object.version);
    let (written_key, settings) = (request.key.clone(), request.settings().clone());
    let settled = condition.settle(state, &request.bucket, &request.key).await?;
    let (client, bucket, key) = (&state.client, request.bucket, request.key);
    let copied = match content.rewritten {
        Some(rewritten) => client.put_object(bucket, key, rewritten, new, settled.condition).await,
        None => {
            let (of_bucket, of_key, of_version) = (source.bucket, source.key, source.version);
            client.copy_object(of_bucket, of_key, of_version, etag, bucket, key, new, settled.condition).await
        }
    };
    let outcome = copied.map_err(|failure| explain_unwritten(settled.basis, failure))?;
    let mut xml = Xml::document("CopyObjectResult", 256);
    xml.time("LastModified", outcome.modified);
    xml.plain("ETag", format_args!("&quot;{}&quot;", outcome.etag));
    if let Some(checksum) = &outcome.checksum {
        if let Some(value) = shown(checksum, outcome.etag.parts) {
            xml.plain(algorithm_of(checksum.algorithm).xml_element(), value);
        }
        xml.plain("ChecksumType", super::checksums::type_of(checksum.kind).name());
    }
    let mut response = xml.into_response();
    // Unlike other writes, a copy announces the `null` version of a suspended bucket too.
    insert_version(response.headers_mut(), outcome.version, outcome.versioning);
    let written = Expiring { key: written_key.as_str(), size, tags: &tags, written: outcome.modified, class };
    insert_expiration(response.headers_mut(), &settings, &written);
    insert_new_encryption(response.headers_mut(), content.encryption.as_ref());
    announce_write(&mut response, EventKind::CreatedCopy, &written_key, Some(size), &outcome);
    if source_version != VersionId::NULL
        && let Ok(value) = HeaderValue::from_str(&version_text(source_version))
    {
        response.headers_mut().insert(HeaderName::from_static("x-amz-copy-source-version-id"), value);
    }
    Ok(response)
}

/// Whether a directive says that the request's replace the source's.
fn replaces(request: &S3Request, directive: &'static str, unknown: &'static str) -> Result<bool, S3Error> {
    match request.header(directive)? {
        None | Some("" | "COPY") => Ok(false),
        Some("REPLACE") => Ok(true),
        Some(other) => Err(S3Error::invalid_argument(unknown, directive, other)),
    }
}

/// A redirect is not copied with the metadata: it is set by the request or not at all.
fn copied_headers(source: &ObjectHeaders, request: &HeaderMap) -> ObjectHeaders {
    const REDIRECT: &str = "x-amz-website-redirect-location";
    let mut headers = source.clone();
    headers.system.retain(|(name, _)| name != REDIRECT);
    let redirect = request.get(REDIRECT).and_then(|value| std::str::from_utf8(value.as_bytes()).ok());
    headers.system.extend(redirect.map(|value| (REDIRECT.to_owned(), value.to_owned())));
    headers
}

fn changes_stored_settings(headers: &HeaderMap, same_class: bool) -> bool {
    !same_class
        || [
            "x-amz-storage-class",
            "x-amz-website-redirect-location",
            "x-amz-checksum-algorithm",
            "x-amz-server-side-encryption",
            "x-amz-server-side-encryption-customer-algorithm",
        ]
        .iter()
        .any(|name| headers.contains_key(*name))
}
