//! ListObjectVersions: a page of versions and delete markers, by key and then newest first.

use super::Outcome;
use super::archive::RestoreStatuses;
use super::checksums::{algorithm_of, type_of};
use super::owners::Owners;
use super::page::{MarkerInside, after_marker, page_size, wants_url_encoding};
use super::text::{parse_version, version_text};
use super::xml_writer::Xml;
use crate::error::S3Error;
use crate::server::{GatewayState, S3Request};
use granary_protocol::ObjectKey;
use granary_protocol::namenode::{ListAfter, VersionAfter, VersionEntry, VersionListing};
use granary_protocol::object::ObjectVersion;

/// Bytes an entry takes in the document, roughly.
const ENTRY_BYTES: usize = 480;

/// Answers with one page.
pub(super) async fn list_object_versions(state: &GatewayState, request: S3Request) -> Outcome {
    let query = &request.query;
    let text = |name| query.get(name).unwrap_or_default();
    let (prefix, delimiter, key_marker) = (text("prefix"), text("delimiter"), text("key-marker"));
    let version_marker = text("version-id-marker");
    let limit = page_size(query, "max-keys")?;
    let url_encoded = wants_url_encoding(query)?;
    let after = start(key_marker, query.get_non_empty("version-id-marker"), prefix, delimiter)?;
    let listing = match limit {
        0 => {
            state.client.get_bucket(request.bucket.clone()).await?;
            VersionListing { entries: Vec::new(), truncated: false }
        }
        limit => {
            let (prefix, delimiter) = (prefix.to_owned(), delimiter.to_owned());
            state.client.list_versions(request.bucket.clone(), prefix, delimiter, after, limit).await?
        }
    };
    let owners = Owners::find(state, versions(&listing).map(|(_, object, _)| &object.owner)).await?;
    let shown = versions(&listing).map(|(key, object, _)| (key, object.version, object.class));
    let restores = RestoreStatuses::find(state, &request, shown).await?;
    let mut xml = Xml::document("ListVersionsResult", 512 + listing.entries.len() * ENTRY_BYTES);
    xml.element("Name", request.bucket.as_str());
    xml.encode_names(url_encoded);
    xml.name("Prefix", prefix);
    xml.name("KeyMarker", key_marker);
    xml.element("VersionIdMarker", version_marker);
    push_next(&mut xml, &listing);
    xml.plain("MaxKeys", limit);
    if !delimiter.is_empty() {
        xml.name("Delimiter", delimiter);
    }
    if url_encoded {
        xml.element("EncodingType", "url");
    }
    xml.plain("IsTruncated", listing.truncated);
    for (key, object, is_latest) in versions(&listing) {
        push_version(&mut xml, &owners, &restores, key, object, is_latest);
    }
    for entry in &listing.entries {
        if let VersionEntry::CommonPrefix(prefix) = entry {
            xml.open("CommonPrefixes");
            xml.name("Prefix", prefix);
            xml.close("CommonPrefixes");
        }
    }
    Ok(xml.into_response())
}

/// Where the page starts.
///
/// # Errors
/// `InvalidArgument` for a version marker without a key marker, or one that is no version.
fn start(key: &str, version: Option<&str>, prefix: &str, delimiter: &str) -> Result<VersionAfter, S3Error> {
    const NAME: &str = "version-id-marker";
    if let Some(text) = version {
        if key.is_empty() {
            let message = "A version-id marker cannot be specified without a key marker.";
            return Err(S3Error::invalid_argument(message, NAME, text));
        }
        let version =
            parse_version(text).map_err(|_| S3Error::invalid_argument("Invalid version id specified", NAME, text))?;
        return Ok(VersionAfter::Version(key.to_owned(), version));
    }
    Ok(match after_marker(key, prefix, delimiter, MarkerInside::Passed) {
        ListAfter::Start => VersionAfter::Start,
        ListAfter::Key(key) => VersionAfter::Key(key),
        ListAfter::Prefix(prefix) => VersionAfter::Prefix(prefix),
    })
}

fn push_next(xml: &mut Xml, listing: &VersionListing) {
    match listing.entries.last().filter(|_| listing.truncated) {
        None => {}
        Some(VersionEntry::CommonPrefix(prefix)) => xml.name("NextKeyMarker", prefix),
        Some(VersionEntry::Version { key, object, .. }) => {
            xml.name("NextKeyMarker", key.as_str());
            xml.element("NextVersionIdMarker", &version_text(object.version));
        }
    }
}

fn versions(listing: &VersionListing) -> impl Iterator<Item = (&ObjectKey, &ObjectVersion, bool)> {
    listing.entries.iter().filter_map(|entry| match entry {
        VersionEntry::Version { key, object, is_latest } => Some((key, object, *is_latest)),
        VersionEntry::CommonPrefix(_) => None,
    })
}

fn push_version(
    xml: &mut Xml,
    owners: &Owners,
    restores: &RestoreStatuses,
    key: &ObjectKey,
    object: &ObjectVersion,
    is_latest: bool,
) {
    let tag = if object.delete_marker { "DeleteMarker" } else { "Version" };
    xml.open(tag);
    xml.name("Key", key.as_str());
    xml.element("VersionId", &version_text(object.version));
    xml.plain("IsLatest", is_latest);
    xml.time("LastModified", object.modified);
    if !object.delete_marker {
        xml.plain("ETag", format_args!("&quot;{}&quot;", object.etag));
        if let Some(checksum) = &object.checksum {
            xml.plain("ChecksumAlgorithm", algorithm_of(checksum.algorithm).name());
            xml.plain("ChecksumType", type_of(checksum.kind).name());
        }
        xml.plain("Size", object.size);
        xml.plain("StorageClass", object.class.name());
    }
    owners.push(xml, "Owner", &object.owner);
    restores.push(xml, key, object.version);
    xml.close(tag);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::S3ErrorCode;
    use granary_protocol::VersionId;

    #[test]
    fn pages_start_where_the_one_before_ended() {
        let version = "00000000000000ff";
        for (key, version, expected) in [
            ("", None, VersionAfter::Start),
            ("a", None, VersionAfter::Key("a".into())),
            ("a/", None, VersionAfter::Prefix("a/".into())),
            ("a", Some(version), VersionAfter::Version("a".into(), VersionId(255))),
            ("a", Some("null"), VersionAfter::Version("a".into(), VersionId::NULL)),
        ] {
            assert_eq!(start(key, version, "", "/").unwrap(), expected, "{key} {version:?}");
        }
        for (key, version) in [("", Some(version)), ("a", Some("x"))] {
            assert_eq!(start(key, version, "", "").unwrap_err().code(), S3ErrorCode::InvalidArgument);
        }
    }
}
