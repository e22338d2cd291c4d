//! ListMultipartUploads.

use super::Outcome;
use super::checksums::{algorithm_of, type_of};
use super::owners::Owners;
use super::page::{page_size, wants_url_encoding};
use super::text::{parse_upload, upload_text};
use super::xml_writer::Xml;
use crate::error::S3Error;
use crate::server::{GatewayState, S3Request};
use granary_protocol::namenode::{UploadAfter, UploadListing};

/// Answers with a page of a bucket's uploads, by key and then by age.
pub(super) async fn list_uploads(state: &GatewayState, request: S3Request) -> Outcome {
    let query = &request.query;
    let limit = page_size(query, "max-uploads")?;
    let url_encoded = wants_url_encoding(query)?;
    let text = |name| query.get(name).unwrap_or_default();
    let (prefix, delimiter, key_marker) = (text("prefix"), text("delimiter"), text("key-marker"));
    // Without a key the upload marker means nothing, and AWS ignores it.
    let upload_marker = query.get_non_empty("upload-id-marker").filter(|_| !key_marker.is_empty());
    let upload = upload_marker.map(parse_upload).transpose().map_err(|_| {
        S3Error::invalid_argument("Invalid uploadId marker", "upload-id-marker", upload_marker.unwrap_or_default())
    })?;
    let after = UploadAfter { key: key_marker.to_owned(), upload };
    let listing = match limit {
        0 => {
            state.client.get_bucket(request.bucket.clone()).await?;
            UploadListing { uploads: Vec::new(), common_prefixes: Vec::new(), next: None }
        }
        limit => {
            let (prefix, delimiter) = (prefix.to_owned(), delimiter.to_owned());
            state.client.list_uploads(request.bucket.clone(), prefix, delimiter, after, limit).await?
        }
    };
    let owners = Owners::find(state, listing.uploads.iter().map(|upload| &upload.owner)).await?;
    let mut xml = Xml::document("ListMultipartUploadsResult", 512 + listing.uploads.len() * 512);
    xml.element("Bucket", request.bucket.as_str());
    xml.encode_names(url_encoded);
    xml.name("KeyMarker", key_marker);
    xml.element("UploadIdMarker", upload_marker.unwrap_or_default());
    // At the end of the list they name its last upload, if that is what it ends with.
    let last = listing.uploads.last().filter(|_| listing.common_prefixes.is_empty());
    let (next_key, next_upload) = match (&listing.next, last) {
        (Some(next), _) => (next.key.as_str(), next.upload),
        (None, Some(last)) => (last.key.as_str(), Some(last.upload)),
        (None, None) => ("", None),
    };
    xml.name("NextKeyMarker", next_key);
    xml.element("NextUploadIdMarker", &next_upload.map(upload_text).unwrap_or_default());
    xml.name("Prefix", prefix);
    if !delimiter.is_empty() {
        xml.name("Delimiter", delimiter);
    }
    if url_encoded {
        xml.element("EncodingType", "url");
    }
    xml.plain("MaxUploads", limit);
    xml.plain("IsTruncated", listing.next.is_some());
    for upload in &listing.uploads {
        xml.open("Upload");
        xml.name("Key", upload.key.as_str());
        xml.element("UploadId", &upload_text(upload.upload));
        owners.push(&mut xml, "Initiator", &upload.owner);
        owners.push(&mut xml, "Owner", &upload.owner);
        xml.plain("StorageClass", upload.class.name());
        xml.time("Initiated", upload.initiated);
        if let Some((algorithm, kind)) = upload.checksum {
            xml.plain("ChecksumAlgorithm", algorithm_of(algorithm).name());
            xml.plain("ChecksumType", type_of(kind).name());
        }
        xml.close("Upload");
    }
    for prefix in &listing.common_prefixes {
        xml.open("CommonPrefixes");
        xml.name("Prefix", prefix);
        xml.close("CommonPrefixes");
    }
    Ok(xml.into_response())
}
