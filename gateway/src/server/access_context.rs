//! What policies may ask about a request: condition keys, taken from the connection, the signature, headers and query.
//!
//! Nothing in it comes from a header that a proxy would have set: the source address is the connection's.

use crate::auth::AuthMethod;
use crate::request::{CopySource, Query};
use granary_access::{Caller, RequestContext};
use granary_protocol::UnixMillis;
use granary_protocol::object::Tag;
use http::HeaderMap;
use http::header::{REFERER, USER_AGENT};
use std::net::IpAddr;

/// Headers whose values are condition keys of the same name below `s3:`.
const HEADER_KEYS: [&str; 17] = [
    "x-amz-acl",
    "x-amz-grant-full-control",
    "x-amz-grant-read",
    "x-amz-grant-read-acp",
    "x-amz-grant-write",
    "x-amz-grant-write-acp",
    "x-amz-metadata-directive",
    "x-amz-server-side-encryption",
    "x-amz-server-side-encryption-aws-kms-key-id",
    "x-amz-server-side-encryption-customer-algorithm",
    "x-amz-storage-class",
    "x-amz-website-redirect-location",
    "x-amz-object-ownership",
    "x-amz-content-sha256",
    "if-match",
    "if-none-match",
    "x-amz-object-lock-mode",
];
/// Query parameters of listings.
const QUERY_KEYS: [&str; 3] = ["prefix", "delimiter", "max-keys"];
const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// How a request reached us.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrival {
    /// The other end of the connection.
    pub remote_ip: Option<IpAddr>,
    /// Whether it came over TLS.
    pub secure: bool,
    /// The version of TLS that was agreed on: `1.2` or `1.3`.
    pub tls_version: Option<&'static str>,
    /// How it was signed.
    pub method: AuthMethod,
    /// When, Unix seconds.
    pub signed_at_s: Option<i64>,
    /// When it came.
    pub now: UnixMillis,
}

/// The keys that do not depend on what is asked: of the caller, the connection, headers and query.
pub(super) fn context_of(
    arrival: &Arrival,
    caller: Option<&Caller>,
    headers: &HeaderMap,
    query: &Query,
    region: &str,
) -> RequestContext {
    let mut context = RequestContext::new();
    add_arrival(&mut context, arrival);
    context.add("aws:ViaAWSService", "false");
    add_caller(&mut context, caller);
    context.add("aws:RequestedRegion", region);
    let text = |name: &str| headers.get(name).and_then(|value| std::str::from_utf8(value.as_bytes()).ok());
    context.add_some("aws:Referer", text(REFERER.as_str()));
    context.add_some("aws:UserAgent", text(USER_AGENT.as_str()));
    for name in HEADER_KEYS {
        if let Some(value) = text(name) {
            let key = name
                .strip_prefix("x-amz-object-lock-")
                .map_or_else(|| format!("s3:{name}"), |lock| format!("s3:object-lock-{lock}"));
            context.add(key, value.trim());
        }
    }
    for name in QUERY_KEYS {
        context.add_some(&format!("s3:{name}"), query.get(name));
    }
    context.add_some("s3:VersionId", query.get_non_empty("versionId"));
    if let Some(source) = headers.get("x-amz-copy-source").and_then(|value| CopySource::parse(value.as_bytes()).ok()) {
        context.add("s3:x-amz-copy-source", format!("{}/{}", source.bucket.as_str(), source.key.as_str()));
    }
    add_lock(&mut context, arrival, &text);
    if let Some(tags) = text("x-amz-tagging").and_then(|tags| Query::parse(Some(tags)).ok()) {
        let tags = tags.iter().map(|(key, value)| (key.to_owned(), value.unwrap_or_default().to_owned()));
        add_request_tags(&mut context, tags);
    }
    context
}

fn add_arrival(context: &mut RequestContext, arrival: &Arrival) {
    let now_s = arrival.now.0 / 1000;
    context.add("aws:EpochTime", now_s.to_string());
    // Dates are compared as moments: seconds since 1970 are as good as a calendar's date.
    context.add("aws:CurrentTime", now_s.to_string());
    context.add("aws:SecureTransport", arrival.secure.to_string());
    context.add_some("aws:SourceIp", arrival.remote_ip.map(|address| address.to_canonical().to_string()));
    context.add_some("s3:TlsVersion", arrival.tls_version);
    context.add_some("s3:authType", arrival.method.policy_name());
    if arrival.method != AuthMethod::Anonymous {
        context.add("s3:signatureversion", "AWS4-HMAC-SHA256");
    }
    if let Some(signed_at_s) = arrival.signed_at_s {
        let now_ms = i64::try_from(arrival.now.0).unwrap_or(i64::MAX);
        context.add("s3:signatureAge", now_ms.saturating_sub(signed_at_s.saturating_mul(1000)).max(0).to_string());
    }
}

fn add_caller(context: &mut RequestContext, caller: Option<&Caller>) {
    let Some(caller) = caller else {
        context.add("aws:PrincipalType", "Anonymous");
        return;
    };
    context.add("aws:PrincipalArn", caller.principal_arn());
    context.add("aws:PrincipalAccount", caller.account_id.as_str());
    context.add("aws:PrincipalType", caller.principal_type());
    context.add("aws:PrincipalIsAWSService", "false");
    context.add("aws:userid", caller.unique_id());
    if caller.session.is_none() && !caller.is_root {
        context.add("aws:username", caller.user.as_str());
    }
}

fn add_lock<'h>(context: &mut RequestContext, arrival: &Arrival, text: &impl Fn(&str) -> Option<&'h str>) {
    context.add_some("s3:object-lock-legal-hold", text("x-amz-object-lock-legal-hold"));
    add_retention(context, arrival.now, text("x-amz-object-lock-retain-until-date"));
}

/// Until when a request would lock an object.
pub(super) fn add_retention(context: &mut RequestContext, now: UnixMillis, until: Option<&str>) {
    let Some(until) = until else { return };
    context.add("s3:object-lock-retain-until-date", until);
    let format = &time::format_description::well_known::Rfc3339;
    if let Ok(moment) = time::OffsetDateTime::parse(until.trim(), format) {
        let until_ms = moment.unix_timestamp().saturating_mul(1000);
        let left_ms = until_ms.saturating_sub(i64::try_from(now.0).unwrap_or(i64::MAX));
        context.add("s3:object-lock-remaining-retention-days", (left_ms.max(0) / DAY_MS).to_string());
    }
}

/// The tags a request would set.
pub(super) fn add_request_tags(context: &mut RequestContext, tags: impl Iterator<Item = (String, String)>) {
    for (key, value) in tags {
        context.add("s3:RequestObjectTagKeys", key.as_str());
        context.add(format!("s3:RequestObjectTag/{key}"), value);
    }
}

/// The tags of the object that is there.
pub(super) fn add_existing_tags(context: &mut RequestContext, tags: &[Tag]) {
    for tag in tags {
        context.add(format!("s3:ExistingObjectTag/{}", tag.key), tag.value.as_str());
    }
}
