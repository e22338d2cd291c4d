//! ListParts.

use super::Outcome;
use super::bucket_lifecycle::insert_abort_date;
use super::checksums::{algorithm_of, shown, type_of};
use super::owners::Owners;
use super::page::page_size;
use super::text::upload_text;
use super::upload::upload_id;
use super::xml_writer::Xml;
use crate::error::S3Error;
use crate::server::{GatewayState, S3Request};
use granary_protocol::object::ETag;

/// Answers with a page of an upload's parts by number.
pub(super) async fn list_parts(state: &GatewayState, request: S3Request) -> Outcome {
    let upload = upload_id(&request)?;
    let limit = page_size(&request.query, "max-parts")?;
    let after = match request.query.get_non_empty("part-number-marker") {
        None => 0,
        Some(text) => text.parse::<u32>().map(|marker| u16::try_from(marker).unwrap_or(u16::MAX)).map_err(|_| {
            let message = "Argument part-number-marker must be an integer between 0 and 2147483647";
            S3Error::invalid_argument(message, "part-number-marker", text)
        })?,
    };
    let settings = request.settings().clone();
    let (bucket, key) = (request.bucket, request.key);
    let (info, parts, truncated) = match limit {
        0 => (state.client.get_upload(bucket.clone(), key.clone(), upload).await?, Vec::new(), false),
        limit => state.client.list_parts(bucket.clone(), key.clone(), upload, after, limit).await?,
    };
    let owners = Owners::find(state, std::iter::once(&info.owner)).await?;
    let mut xml = Xml::document("ListPartsResult", 512 + parts.len() * 256);
    xml.element("Bucket", bucket.as_str());
    xml.element("Key", key.as_str());
    xml.element("UploadId", &upload_text(upload));
    owners.push(&mut xml, "Initiator", &info.owner);
    owners.push(&mut xml, "Owner", &info.owner);
    xml.plain("StorageClass", info.class.name());
    if let Some((algorithm, kind)) = info.checksum {
        xml.plain("ChecksumAlgorithm", algorithm_of(algorithm).name());
        xml.plain("ChecksumType", type_of(kind).name());
    }
    xml.plain("PartNumberMarker", after);
    xml.plain("NextPartNumberMarker", parts.last().map_or(0, |part| part.number));
    xml.plain("MaxParts", limit);
    xml.plain("IsTruncated", truncated);
    for part in &parts {
        xml.open("Part");
        xml.plain("PartNumber", part.number);
        xml.time("LastModified", part.modified);
        xml.plain("ETag", format_args!("&quot;{}&quot;", ETag { md5: part.md5, parts: None }));
        xml.plain("Size", part.size);
        // Where the upload named no algorithm the checksum is ours alone.
        if let (Some(_), Some(checksum)) = (info.checksum, &part.checksum)
            && let Some(value) = shown(checksum, None)
        {
            xml.plain(algorithm_of(checksum.algorithm).xml_element(), value);
        }
        xml.close("Part");
    }
    let mut response = xml.into_response();
    insert_abort_date(response.headers_mut(), &settings, key.as_str(), info.initiated);
    Ok(response)
}
