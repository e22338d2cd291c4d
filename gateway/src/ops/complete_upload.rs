//! CompleteMultipartUpload: the named parts become the object. Only metadata move, so it is quick whatever the size.

use super::Outcome;
use super::bucket_lifecycle::{Expiring, insert_expiration};
use super::checksums::{algorithm_of, checksum_of, kept_algorithm, kept_type, shown, type_of};
use super::events::announce_write;
use super::response_headers::describe_written_version;
use super::text::parse_etag;
use super::upload::upload_id;
use super::write_condition::{LongCondition, explain_unwritten};
use super::xml_reader::{XmlDocument, malformed};
use super::xml_writer::Xml;
use crate::checksum::{
    Checksum, ChecksumAlgorithm, ChecksumType, PartChecksum, composite_checksum, full_object_checksum, multipart_etag,
};
use crate::encryption::{CustomerKey, check_upload_key, insert_encryption};
use crate::error::{S3Error, S3ErrorCode};
use crate::notifications::EventKind;
use crate::server::{GatewayState, Refusal, S3Request};
use granary_protocol::namenode::CompletedPart;
use granary_protocol::object::{
    ETag, OBJECT_BYTES_MAX, ObjectChecksum, PAGE_ENTRIES_MAX, PART_BYTES_MIN, PARTS_MAX, PartInfo, UploadInfo,
};
use granary_protocol::{ErrorCode, UploadId};
use http::HeaderMap;

/// Elements of the largest document: a part has at most eight.
const ELEMENTS_MAX: usize = PARTS_MAX as usize * 8 + 16;

/// A part as the client names it.
#[derive(Debug, PartialEq, Eq)]
struct NamedPart {
    number: u16,
    md5: [u8; 16],
    checksum: Option<Checksum>,
}

/// Joins the parts named into the object.
pub(super) async fn complete_upload(state: &GatewayState, mut request: S3Request) -> Outcome {
    let upload = upload_id(&request)?;
    let condition = LongCondition::read(state, &request).await?;
    let spec = request.document_spec()?;
    let document = request.document(spec, state.config.complete_xml_bytes_max).await?;
    let named = parse(&document)?;
    let etag = object_etag(&named)?;
    // Gone: completed before, perhaps by this request's first attempt. The namenode knows.
    let stored = stored_parts(state, &request, upload).await?;
    let checksum = match &stored {
        Some((info, parts)) => {
            // Its parts are sealed already: as on AWS a key is needed only by an upload created with a checksum algorithm, but
            // one that is sent must be theirs.
            let customer = CustomerKey::of_object(&request.headers)?;
            if customer.is_some() || info.checksum.is_some() {
                check_upload_key(info.details.encryption.as_ref(), customer.as_ref())?;
            }
            judge(&named, info, parts, &request.headers)?
        }
        None => None,
    };
    let made = stored.map(|(info, parts)| (size_of(&named, &parts), info));
    let completed = named
        .into_iter()
        .map(|part| CompletedPart { number: part.number, md5: part.md5, checksum: part.checksum.map(named_checksum) })
        .collect();
    let settled = condition.settle(state, &request.bucket, &request.key).await?;
    let settings = request.settings().clone();
    let (bucket, key) = (request.bucket, request.key);
    let completing =
        state.client.complete_upload(bucket.clone(), key.clone(), upload, completed, etag, checksum, settled.condition);
    let outcome = completing.await.map_err(|failure| explain_unwritten(settled.basis, failure))?;
    let mut xml = Xml::document("CompleteMultipartUploadResult", 512);
    xml.element("Location", &format!("/{bucket}/{key}"));
    xml.element("Bucket", bucket.as_str());
    xml.element("Key", key.as_str());
    xml.plain("ETag", format_args!("&quot;{}&quot;", outcome.etag));
    if let Some(checksum) = &outcome.checksum {
        if let Some(value) = shown(checksum, outcome.etag.parts) {
            xml.plain(algorithm_of(checksum.algorithm).xml_element(), value);
        }
        xml.plain("ChecksumType", type_of(checksum.kind).name());
    }
    let mut response = xml.into_response();
    describe_written_version(response.headers_mut(), &outcome);
    if let Some((size, info)) = &made {
        let (tags, written) = (&info.details.tags, outcome.modified);
        let completed = Expiring { key: key.as_str(), size: *size, tags, written, class: info.class };
        insert_expiration(response.headers_mut(), &settings, &completed);
        insert_encryption(response.headers_mut(), info.details.encryption.as_ref());
    }
    let size = made.map(|(size, _)| size);
    announce_write(&mut response, EventKind::CreatedComplete, &key, size, &outcome);
    Ok(response)
}

/// Bytes of the object that the named parts make.
fn size_of(named: &[NamedPart], stored: &[PartInfo]) -> u64 {
    let size = |part: &NamedPart| {
        let at = stored.binary_search_by_key(&part.number, |stored| stored.number).ok()?;
        Some(stored[at].size)
    };
    named.iter().filter_map(size).sum()
}

/// A checksum as the metadata command names it. A part's covers the part.
fn named_checksum(checksum: Checksum) -> ObjectChecksum {
    super::checksums::full_object(&checksum)
}

/// The upload and all its parts by number; `None` if there is no such upload.
async fn stored_parts(
    state: &GatewayState,
    request: &S3Request,
    upload: UploadId,
) -> Result<Option<(UploadInfo, Vec<PartInfo>)>, Refusal> {
    let mut parts: Vec<PartInfo> = Vec::new();
    loop {
        let after = parts.last().map_or(0, |part| part.number);
        let (bucket, key) = (request.bucket.clone(), request.key.clone());
        let (info, page, truncated) = match state.client.list_parts(bucket, key, upload, after, PAGE_ENTRIES_MAX).await
        {
            Err(failure) if failure.code == ErrorCode::NoSuchUpload => return Ok(None),
            other => other?,
        };
        let is_last = !truncated || page.is_empty();
        parts.extend(page);
        if is_last {
            return Ok(Some((info, parts)));
        }
    }
}

/// Checks the parts named against those stored, and the request's promises about the whole.
///
/// # Errors
/// `InvalidPart`, `EntityTooSmall`, `EntityTooLarge`, `BadDigest`, `InvalidRequest`. The namenode checks existence, tags,
/// order and sizes again where they cannot change any more.
fn judge(
    named: &[NamedPart],
    info: &UploadInfo,
    stored: &[PartInfo],
    headers: &HeaderMap,
) -> Result<Option<ObjectChecksum>, S3Error> {
    let mut used = Vec::with_capacity(named.len());
    for part in named {
        let at = stored.binary_search_by_key(&part.number, |stored| stored.number).map_err(|_| invalid_part(part))?;
        let found = &stored[at];
        let kept = found.checksum.as_ref().and_then(checksum_of);
        if found.md5 != part.md5 || (info.checksum.is_some() && part.checksum.is_some() && part.checksum != kept) {
            return Err(invalid_part(part));
        }
        used.push((found, kept));
    }
    if let Some((small, _)) = used.iter().rev().skip(1).find(|(part, _)| part.size < PART_BYTES_MIN) {
        return Err(S3Error::new(S3ErrorCode::EntityTooSmall)
            .field("ProposedSize", small.size.to_string())
            .field("MinSizeAllowed", PART_BYTES_MIN.to_string())
            .field("PartNumber", small.number.to_string())
            .field("ETag", hex::encode(small.md5)));
    }
    let size: u64 = used.iter().map(|(part, _)| part.size).sum();
    check_size(size, headers)?;
    let (algorithm, kind) = match info.checksum {
        Some((algorithm, kind)) => (algorithm_of(algorithm), type_of(kind)),
        None => (ChecksumAlgorithm::Crc64Nvme, ChecksumType::FullObject),
    };
    let of_parts: Option<Vec<PartChecksum>> =
        used.iter().map(|(part, kept)| kept.map(|checksum| PartChecksum { checksum, length: part.size })).collect();
    let computed = of_parts.and_then(|parts| match kind {
        ChecksumType::Composite => composite_checksum(algorithm, &parts),
        ChecksumType::FullObject => full_object_checksum(algorithm, &parts),
    });
    check_promised(headers, kind, computed.as_ref(), named.len())?;
    Ok(computed.map(|checksum| ObjectChecksum {
        algorithm: kept_algorithm(algorithm),
        kind: kept_type(kind),
        value: checksum.as_bytes().to_vec(),
    }))
}

fn check_size(size: u64, headers: &HeaderMap) -> Result<(), S3Error> {
    if size > OBJECT_BYTES_MAX {
        return Err(S3Error::new(S3ErrorCode::EntityTooLarge)
            .field("ProposedSize", size.to_string())
            .field("MaxSizeAllowed", OBJECT_BYTES_MAX.to_string()));
    }
    let Some(value) = headers.get("x-amz-mp-object-size") else { return Ok(()) };
    let promised: Option<u64> = value.to_str().ok().and_then(|text| text.trim().parse().ok());
    match promised {
        Some(promised) if promised == size => Ok(()),
        Some(promised) => Err(S3Error::invalid_request(format!(
            "The provided 'x-amz-mp-object-size' header value {promised} does not match what was computed: {size}"
        ))),
        None => Err(S3Error::invalid_request("Value for x-amz-mp-object-size header is invalid.")),
    }
}

/// `x-amz-checksum-…` here is the object's, and `x-amz-checksum-type` must be what the upload was created with.
fn check_promised(
    headers: &HeaderMap,
    kind: ChecksumType,
    computed: Option<&Checksum>,
    parts: usize,
) -> Result<(), S3Error> {
    if let Some(named) = headers.get("x-amz-checksum-type") {
        let named = named.to_str().ok().and_then(ChecksumType::from_name);
        if named != Some(kind) {
            return Err(S3Error::invalid_request(format!(
                "The upload was created using the {} checksum mode. The complete request must use the same checksum mode.",
                kind.name()
            )));
        }
    }
    for algorithm in ChecksumAlgorithm::ALL {
        let Some(value) = headers.get(algorithm.header_name()) else { continue };
        let text = value.to_str().unwrap_or_default().trim();
        let (base64, suffix_holds) = match text.split_once('-') {
            None => (text, true),
            Some((base64, count)) => (base64, count.parse() == Ok(parts)),
        };
        let promised = Checksum::parse(algorithm, base64, "header")?;
        if computed != Some(&promised) || !suffix_holds {
            let message = format!("The {} you specified did not match the calculated checksum.", algorithm.name());
            return Err(S3Error::with_message(S3ErrorCode::BadDigest, message));
        }
    }
    Ok(())
}

fn invalid_part(part: &NamedPart) -> S3Error {
    S3Error::new(S3ErrorCode::InvalidPart)
        .field("PartNumber", part.number.to_string())
        .field("ETag", hex::encode(part.md5))
}

/// The tag of the object, which depends on the parts named alone.
fn object_etag(named: &[NamedPart]) -> Result<ETag, S3Error> {
    parse_etag(&multipart_etag(named.iter().map(|part| &part.md5)))
        .ok_or_else(|| S3Error::new(S3ErrorCode::InternalError))
}

fn parse(document: &[u8]) -> Result<Vec<NamedPart>, S3Error> {
    let mut xml = XmlDocument::open(document, "CompleteMultipartUpload", ELEMENTS_MAX)?;
    let mut parts: Vec<NamedPart> = Vec::new();
    while let Some(name) = xml.next_child()? {
        if name != "Part" {
            xml.skip()?;
            continue;
        }
        let part = parse_part(&mut xml)?;
        match parts.last_mut() {
            Some(last) if last.number > part.number => return Err(S3Error::new(S3ErrorCode::InvalidPartOrder)),
            // Sent twice and named each time: what was sent last replaced what was there, and is what is named last.
            Some(last) if last.number == part.number => *last = part,
            Some(_) | None => parts.push(part),
        }
    }
    xml.finish()?;
    // Ascending numbers up to 10,000: there can be no 10,001st part.
    if parts.is_empty() { Err(malformed()) } else { Ok(parts) }
}

fn parse_part(xml: &mut XmlDocument<'_>) -> Result<NamedPart, S3Error> {
    let (mut number, mut etag, mut checksum) = (None, None, None);
    while let Some(name) = xml.next_child()? {
        match name.as_str() {
            "PartNumber" => number = Some(xml.parsed::<u32>()?),
            "ETag" => etag = Some(xml.text()?),
            other => match ChecksumAlgorithm::ALL.into_iter().find(|algorithm| algorithm.xml_element() == other) {
                Some(algorithm) => {
                    let text = xml.text()?;
                    checksum = Some(Checksum::from_base64(algorithm, text.trim()).ok_or_else(malformed)?);
                }
                None => xml.skip()?,
            },
        }
    }
    let (number, etag) = (number.ok_or_else(malformed)?, etag.ok_or_else(malformed)?);
    let number = u16::try_from(number).ok().filter(|number| (1..=PARTS_MAX).contains(number)).ok_or_else(|| {
        let message = "PartNumber must be an integer between 1 and 10000, inclusive";
        S3Error::invalid_argument(message, "PartNumber", number.to_string())
    })?;
    match parse_etag(&etag) {
        Some(ETag { md5, parts: None }) => Ok(NamedPart { number, md5, checksum }),
        Some(_) | None => {
            Err(S3Error::new(S3ErrorCode::InvalidPart).field("PartNumber", number.to_string()).field("ETag", etag))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(number: &str, etag: &str) -> String {
        format!("<Part><ETag>{etag}</ETag><PartNumber>{number}</PartNumber></Part>")
    }

    fn document(parts: &str) -> String {
        format!("<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>")
    }

    #[test]
    fn reads_parts() {
        let tag = "ab".repeat(16);
        let text = document(&format!(
            "{}<Part><PartNumber>7</PartNumber><ETag>&quot;{tag}&quot;</ETag><ChecksumCRC32>y/Q5Jg==</ChecksumCRC32></Part>",
            part("1", &tag)
        ));
        let parts = parse(text.as_bytes()).unwrap();
        assert_eq!(parts[0], NamedPart { number: 1, md5: [0xab; 16], checksum: None });
        assert_eq!((parts[1].number, parts[1].checksum.unwrap().to_base64().as_str()), (7, "y/Q5Jg=="));
        let twice = document(&(part("1", &tag) + &part("1", &"cd".repeat(16))));
        assert_eq!(parse(twice.as_bytes()).unwrap(), [NamedPart { number: 1, md5: [0xcd; 16], checksum: None }]);
    }

    #[test]
    fn refuses_parts_that_cannot_be() {
        let tag = "ab".repeat(16);
        for (parts, code) in [
            (String::new(), S3ErrorCode::MalformedXML),
            (part("2", &tag) + &part("1", &tag), S3ErrorCode::InvalidPartOrder),
            (part("0", &tag), S3ErrorCode::InvalidArgument),
            (part("10001", &tag), S3ErrorCode::InvalidArgument),
            (part("x", &tag), S3ErrorCode::MalformedXML),
            (part("1", "x"), S3ErrorCode::InvalidPart),
            ("<Part><PartNumber>1</PartNumber></Part>".to_owned(), S3ErrorCode::MalformedXML),
        ] {
            assert_eq!(parse(document(&parts).as_bytes()).unwrap_err().code(), code, "{parts}");
        }
    }

    #[test]
    fn ten_thousand_parts_fit() {
        let tag = "ab".repeat(16);
        let parts: String = (1..=10_000).map(|number| part(&number.to_string(), &tag)).collect();
        let text = document(&parts);
        assert!(text.len() < 4 << 20);
        assert_eq!(parse(text.as_bytes()).unwrap().len(), 10_000);
    }
}
