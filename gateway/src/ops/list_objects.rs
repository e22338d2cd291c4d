//! ListObjects and ListObjectsV2: one page each, entries in key order.

use super::Outcome;
use super::archive::RestoreStatuses;
use super::checksums::{algorithm_of, type_of};
use super::owners::Owners;
use super::page::{MarkerInside, after_marker, page_size, parse_token, token, wants_url_encoding};
use super::xml_writer::Xml;
use crate::error::S3Error;
use crate::server::{GatewayState, Refusal, S3Request};
use granary_protocol::ObjectKey;
use granary_protocol::namenode::{ListAfter, ListEntry, Listing};
use granary_protocol::object::ObjectVersion;

/// Bytes an entry takes in the document, roughly.
const ENTRY_BYTES: usize = 420;

/// Which of the two.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ListVersion {
    One,
    Two,
}

/// What both versions ask for.
struct Asked {
    prefix: String,
    delimiter: String,
    max_keys: u32,
    url_encoded: bool,
}

impl Asked {
    fn read(request: &S3Request) -> Result<Self, S3Error> {
        let query = &request.query;
        let text = |name| query.get(name).unwrap_or_default().to_owned();
        Ok(Self {
            prefix: text("prefix"),
            delimiter: text("delimiter"),
            max_keys: page_size(query, "max-keys")?,
            url_encoded: wants_url_encoding(query)?,
        })
    }

    async fn page(&self, state: &GatewayState, request: &S3Request, after: ListAfter) -> Result<Listing, Refusal> {
        if self.max_keys == 0 {
            state.client.get_bucket(request.bucket.clone()).await?;
            return Ok(Listing { entries: Vec::new(), truncated: false });
        }
        let (prefix, delimiter) = (self.prefix.clone(), self.delimiter.clone());
        Ok(state.client.list_objects(request.bucket.clone(), prefix, delimiter, after, self.max_keys).await?)
    }

    /// Starts the document with what both versions say first. In the first version the prefix is repeated as it was asked
    /// for, whatever the encoding: SDKs decode every name there but this one. What XML cannot carry is encoded all the same.
    fn document(&self, request: &S3Request, listing: &Listing, version: ListVersion) -> Xml {
        let mut xml = Xml::document("ListBucketResult", 512 + listing.entries.len() * ENTRY_BYTES);
        xml.element("Name", request.bucket.as_str());
        xml.encode_names(self.url_encoded && (version == ListVersion::Two || !fits_xml(&self.prefix)));
        xml.name("Prefix", &self.prefix);
        xml.encode_names(self.url_encoded);
        xml.plain("MaxKeys", self.max_keys);
        if !self.delimiter.is_empty() {
            xml.name("Delimiter", &self.delimiter);
        }
        if self.url_encoded {
            xml.element("EncodingType", "url");
        }
        xml.plain("IsTruncated", listing.truncated);
        xml
    }
}

/// Whether every character of a text may stand in an XML 1.0 document.
fn fits_xml(text: &str) -> bool {
    text.chars().all(|c| !matches!(c, '\0'..='\x08' | '\x0b' | '\x0c' | '\x0e'..='\x1f' | '\u{fffe}' | '\u{ffff}'))
}

/// Version 1: goes on after `marker`.
pub(super) async fn list_objects(state: &GatewayState, request: S3Request) -> Outcome {
    let asked = Asked::read(&request)?;
    let marker = request.query.get("marker").unwrap_or_default();
    let after = after_marker(marker, &asked.prefix, &asked.delimiter, MarkerInside::Passed);
    let listing = asked.page(state, &request, after).await?;
    let mut xml = asked.document(&request, &listing, ListVersion::One);
    xml.name("Marker", marker);
    // Without a delimiter the last key is the next marker, and AWS does not repeat it.
    if listing.truncated && !asked.delimiter.is_empty() {
        match listing.next() {
            ListAfter::Start => {}
            ListAfter::Key(name) | ListAfter::Prefix(name) => xml.name("NextMarker", &name),
        }
    }
    let restores = restores_of(state, &request, &listing).await?;
    push_entries(&mut xml, &listing, Some(&owners_of(state, &listing).await?), &restores);
    Ok(xml.into_response())
}

/// Version 2: goes on from an opaque token, or after `start-after`.
pub(super) async fn list_objects_v2(state: &GatewayState, request: S3Request) -> Outcome {
    let asked = Asked::read(&request)?;
    let query = &request.query;
    let start_after = query.get_non_empty("start-after");
    let continuation = query.get("continuation-token");
    let after = match (continuation, start_after) {
        (Some(token), _) if !token.is_empty() => parse_token(token)?,
        (_, Some(name)) => after_marker(name, &asked.prefix, &asked.delimiter, MarkerInside::Listed),
        (_, None) => ListAfter::Start,
    };
    let listing = asked.page(state, &request, after).await?;
    let mut xml = asked.document(&request, &listing, ListVersion::Two);
    xml.plain("KeyCount", listing.entries.len());
    if let Some(token) = continuation {
        xml.element("ContinuationToken", token);
    }
    if let Some(name) = start_after {
        xml.name("StartAfter", name);
    }
    if listing.truncated {
        xml.element("NextContinuationToken", &token(&listing.next()));
    }
    let with_owner = query.get("fetch-owner").is_some_and(|flag| flag.eq_ignore_ascii_case("true"));
    let owners = if with_owner { Some(owners_of(state, &listing).await?) } else { None };
    let restores = restores_of(state, &request, &listing).await?;
    push_entries(&mut xml, &listing, owners.as_ref(), &restores);
    Ok(xml.into_response())
}

async fn owners_of(state: &GatewayState, listing: &Listing) -> Result<Owners, Refusal> {
    let owners = listing.entries.iter().filter_map(|entry| match entry {
        ListEntry::Object { object, .. } => Some(&object.owner),
        ListEntry::CommonPrefix(_) => None,
    });
    Owners::find(state, owners).await
}

async fn restores_of(state: &GatewayState, request: &S3Request, listing: &Listing) -> Result<RestoreStatuses, Refusal> {
    let objects = listing.entries.iter().filter_map(|entry| match entry {
        ListEntry::Object { key, object } => Some((key, object.version, object.class)),
        ListEntry::CommonPrefix(_) => None,
    });
    RestoreStatuses::find(state, request, objects).await
}

/// Objects before common prefixes; with their owners if those are known.
fn push_entries(xml: &mut Xml, listing: &Listing, owners: Option<&Owners>, restores: &RestoreStatuses) {
    for entry in &listing.entries {
        if let ListEntry::Object { key, object } = entry {
            push_object(xml, key, object, owners, restores);
        }
    }
    for entry in &listing.entries {
        if let ListEntry::CommonPrefix(prefix) = entry {
            xml.open("CommonPrefixes");
            xml.name("Prefix", prefix);
            xml.close("CommonPrefixes");
        }
    }
}

fn push_object(
    xml: &mut Xml,
    key: &ObjectKey,
    object: &ObjectVersion,
    owners: Option<&Owners>,
    restores: &RestoreStatuses,
) {
    xml.open("Contents");
    xml.name("Key", key.as_str());
    xml.time("LastModified", object.modified);
    xml.plain("ETag", format_args!("&quot;{}&quot;", object.etag));
    if let Some(checksum) = &object.checksum {
        xml.plain("ChecksumAlgorithm", algorithm_of(checksum.algorithm).name());
        xml.plain("ChecksumType", type_of(checksum.kind).name());
    }
    xml.plain("Size", object.size);
    if let Some(owners) = owners {
        owners.push(xml, "Owner", &object.owner);
    }
    xml.plain("StorageClass", object.class.name());
    restores.push(xml, key, object.version);
    xml.close("Contents");
}
