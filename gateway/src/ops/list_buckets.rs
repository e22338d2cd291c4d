//! ListBuckets.

use super::Outcome;
use super::bucket::bucket_arn;
use super::page::{parse_token, token};
use super::xml_writer::Xml;
use crate::error::{S3Error, S3ErrorCode};
use crate::server::{GatewayState, S3Request};
use granary_protocol::BucketName;
use granary_protocol::namenode::ListAfter;
use granary_protocol::object::PAGE_ENTRIES_MAX;

/// The most buckets of one answer, and what `max-buckets` may ask for.
const BUCKETS_MAX: usize = 10_000;

/// Answers with the caller's buckets by name, all of them unless `max-buckets` asks for fewer.
pub(super) async fn list_buckets(state: &GatewayState, request: S3Request) -> Outcome {
    let Some(caller) = request.caller() else { return Err(S3ErrorCode::AccessDenied.into()) };
    let query = &request.query;
    let wanted = match query.get_non_empty("max-buckets") {
        None => BUCKETS_MAX,
        Some(text) => text.parse().ok().filter(|wanted| (1..=BUCKETS_MAX).contains(wanted)).ok_or_else(|| {
            S3Error::invalid_argument("max-buckets must be an integer between 1 and 10000", "max-buckets", text)
        })?,
    };
    let prefix = query.get("prefix").unwrap_or_default();
    let mut after = match query.get_non_empty("continuation-token").map(parse_token).transpose()? {
        None | Some(ListAfter::Start) => None,
        Some(ListAfter::Key(name) | ListAfter::Prefix(name)) => Some(BucketName(name)),
    };
    let in_region = query.get_non_empty("bucket-region").is_none_or(|region| region == state.config.region);
    let mut found = Vec::new();
    let mut truncated = in_region;
    while truncated && found.len() < wanted {
        let limit = PAGE_ENTRIES_MAX.min(u32::try_from(wanted - found.len()).unwrap_or(PAGE_ENTRIES_MAX));
        let (page, more) = state.client.list_buckets(prefix.to_owned(), after.take(), limit).await?;
        truncated = more && !page.is_empty();
        after = page.last().map(|bucket| bucket.name.clone());
        found.extend(page.into_iter().filter(|bucket| bucket.owner == caller.canonical_id));
    }
    let mut xml = Xml::document("ListAllMyBucketsResult", 256 + found.len() * 128);
    xml.open("Owner");
    xml.element("ID", caller.canonical_id.as_str());
    xml.element("DisplayName", &caller.display_name);
    xml.close("Owner");
    xml.open("Buckets");
    for bucket in &found {
        xml.open("Bucket");
        xml.element("Name", bucket.name.as_str());
        xml.time("CreationDate", bucket.created);
        xml.element("BucketRegion", &bucket.region);
        xml.element("BucketArn", &bucket_arn(&bucket.name));
        xml.close("Bucket");
    }
    xml.close("Buckets");
    if !prefix.is_empty() {
        xml.element("Prefix", prefix);
    }
    if let (true, Some(last)) = (truncated, found.last()) {
        xml.element("ContinuationToken", &token(&ListAfter::Key(last.name.0.clone())));
    }
    Ok(xml.into_response())
}
