//! Presigned URLs of Signature Version 2: `?AWSAccessKeyId=…&Signature=…&Expires=<Unix seconds>`; and its signature over
//! the policy of a POST form.
//!
//! Stock boto3 and aws-cli 1 still make them for custom endpoints. The `Authorization: AWS …` header of that version
//! stays refused, by `claim`: clients of today sign headers with version 4.
//!
//! This version signs much less than the newer one, so the rules here are about what it leaves out. Invariants: every
//! `x-amz-*` header is signed, so none can be added; a query parameter is either signed, or repeats a signed header, or
//! is one of the few that change nothing but how an answer is written. Anything else is refused, also when its signer
//! sent it: a signer who relies on `prefix` to bind learns at once that this version does not bind it.
//!
//! Pure: request, claim and secret in, verdict out.
//!
//! Source: "Signing and authenticating REST requests (AWS signature version 2)", Amazon S3 user guide.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use http::HeaderMap;
use sha1::Sha1;
use subtle::ConstantTimeEq;

use super::claim::{CLOCK_SKEW_MAX_S, EXPIRES_MAX_S, Head, decode, iso8601, query_error, single};
use super::identity::Secret;
use crate::error::{S3Error, S3ErrorCode};
use crate::request::{AddressingStyle, QUERY_PARAMETERS_MAX, RequestTarget, Resource, percent_decode, uri_encode_into};

const SECURITY_TOKEN: &str = "x-amz-security-token";

/// The parameters that are signed, sorted. A signer with a shorter list makes a signature that does not match, and one
/// with a longer list a parameter that is refused.
const SUBRESOURCES: &[&str] = &[
    "accelerate",
    "acl",
    "analytics",
    "cors",
    "delete",
    "inventory",
    "lifecycle",
    "location",
    "logging",
    "metrics",
    "notification",
    "object-lock",
    "partNumber",
    "policy",
    "replication",
    "requestPayment",
    "response-cache-control",
    "response-content-disposition",
    "response-content-encoding",
    "response-content-language",
    "response-content-type",
    "response-expires",
    "restore",
    "select",
    "select-type",
    "tagging",
    "torrent",
    "uploadId",
    "uploads",
    "versionId",
    "versioning",
    "versions",
    "website",
];

/// Unsigned, and harmless: how a listing is written, and copies of headers that only signers leave in the query.
const INERT: &[&str] = &["content-md5", "content-type", "encoding-type", "list-type"];

/// A claim of identity, ready to be verified.
#[derive(Debug)]
pub(super) struct QueryClaim<'r> {
    access_key_id: Cow<'r, str>,
    signature: Cow<'r, str>,
    /// As sent: the text is signed.
    expires: Cow<'r, str>,
    session_token: Option<Cow<'r, str>>,
    /// The signed parameters present, sorted by name.
    subresources: Vec<Subresource<'r>>,
}

#[derive(Debug)]
struct Subresource<'r> {
    name: &'static str,
    /// Decoded; `None` without `=`.
    value: Option<Cow<'r, str>>,
}

impl<'r> QueryClaim<'r> {
    /// Reads the claim of a query that holds `AWSAccessKeyId` or `Signature` and nothing of version 4.
    ///
    /// `AccessDenied` for missing parameters, bad dates, URLs past their time and parameters that would go unsigned;
    /// `AuthorizationQueryParametersError` for repeated ones and times more than a week ahead; `InvalidURI` for bad
    /// escapes.
    pub(super) fn read(head: Head<'r>, now_s: i64) -> Result<Self, S3Error> {
        let (mut access_key_id, mut signature, mut expires, mut query_token) = (None, None, None, None);
        let mut subresources: Vec<Subresource<'r>> = Vec::new();
        let mut names: Vec<Cow<'r, str>> = Vec::with_capacity(8);
        for piece in head.raw_query.split('&').filter(|piece| !piece.is_empty()) {
            if names.len() == QUERY_PARAMETERS_MAX {
                return Err(S3Error::new(S3ErrorCode::InvalidURI));
            }
            let (name, value) = match piece.split_once('=') {
                Some((name, value)) => (name, Some(decode(value).ok_or_else(invalid_uri)?)),
                None => (piece, None),
            };
            let name = decode(name).ok_or_else(invalid_uri)?;
            if names.contains(&name) {
                return Err(query_error("A query parameter was specified more than once"));
            }
            match name.as_ref() {
                "AWSAccessKeyId" => access_key_id = value,
                "Signature" => signature = value,
                "Expires" => expires = value,
                SECURITY_TOKEN => query_token = Some(value.unwrap_or_default()),
                other => match SUBRESOURCES.binary_search(&other) {
                    Ok(index) => subresources.push(Subresource { name: SUBRESOURCES[index], value }),
                    Err(_) if INERT.contains(&other) || repeats_header(head.headers, other, value.as_deref()) => {}
                    Err(_) => return Err(unsigned_parameter(other)),
                },
            }
            names.push(name);
        }
        let (Some(access_key_id), Some(signature), Some(expires)) = (access_key_id, signature, expires) else {
            return Err(denied(
                "Query-string authentication requires the Signature, Expires and AWSAccessKeyId parameters",
            ));
        };
        check_window(&expires, now_s)?;
        subresources.sort_by_key(|subresource| subresource.name);
        check_one_reading(&subresources)?;
        let session_token = one_token(query_token, single(head.headers, SECURITY_TOKEN)?)?;
        Ok(Self { access_key_id, signature, expires, session_token, subresources })
    }

    pub(super) fn access_key_id(&self) -> &str {
        &self.access_key_id
    }

    pub(super) fn session_token(&self) -> Option<&str> {
        self.session_token.as_deref()
    }
}

/// Signers leave copies of the `x-amz-*` headers they signed in the query. Such a copy must say what the header says.
fn repeats_header(headers: &HeaderMap, name: &str, value: Option<&str>) -> bool {
    let name = name.to_ascii_lowercase();
    let mut sent = headers.get_all(name.as_str()).iter();
    match (sent.next(), sent.next()) {
        (Some(sent), None) if name.starts_with("x-amz-") => {
            sent.as_bytes().trim_ascii() == value.unwrap_or_default().trim().as_bytes()
        }
        (Some(_) | None, _) => false,
    }
}

/// The token from the query or the header; both may be given if they agree.
fn one_token<'r>(query: Option<Cow<'r, str>>, header: Option<&'r str>) -> Result<Option<Cow<'r, str>>, S3Error> {
    match (query, header) {
        (Some(query), Some(header)) if query != header => Err(unsigned_parameter(SECURITY_TOKEN)),
        (Some(token), _) => Ok(Some(token)),
        (None, header) => Ok(header.map(Cow::Borrowed)),
    }
}

/// The time a URL names is its end; that it was not made for longer than a week can only be seen from here.
fn check_window(expires: &str, now_s: i64) -> Result<(), S3Error> {
    if expires.is_empty() || !expires.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(denied(format!("Invalid date (should be seconds since epoch): {expires}")));
    }
    // All digits, so the only fault left is too many of them.
    let expires_at_s = expires.parse().unwrap_or(i64::MAX);
    if now_s > expires_at_s {
        return Err(denied("Request has expired")
            .field("Expires", iso8601(expires_at_s))
            .field("ServerTime", iso8601(now_s)));
    }
    if expires_at_s.saturating_sub(now_s) > i64::from(EXPIRES_MAX_S) + CLOCK_SKEW_MAX_S {
        return Err(query_error("Expires must be less than a week (in seconds) from now"));
    }
    Ok(())
}

/// Values are signed un-encoded, so `response-content-disposition=a&uploadId=b` is signed alike whether it is one value
/// or two parameters. Those values are the only free text, often an end user's file name: beside them nothing may stand
/// that makes another operation of the request.
fn check_one_reading(subresources: &[Subresource<'_>]) -> Result<(), S3Error> {
    let is_override = |subresource: &Subresource<'_>| subresource.name.starts_with("response-");
    let selects = |subresource: &&Subresource<'_>| {
        !is_override(subresource) && !matches!(subresource.name, "versionId" | "partNumber")
    };
    match subresources.iter().find(selects) {
        Some(selecting) if subresources.iter().any(is_override) => Err(unsigned_parameter(selecting.name)),
        Some(_) | None => Ok(()),
    }
}

/// What of a request is signed besides its query.
#[derive(Clone, Copy)]
pub(super) struct SignedRequest<'r> {
    pub(super) method: &'r str,
    pub(super) raw_path: &'r str,
    pub(super) headers: &'r HeaderMap,
    /// Names the bucket, which is signed wherever it was found.
    pub(super) target: &'r RequestTarget,
}

/// How a request is written in the string to sign. All spellings of one request mean the same, so accepting any of them
/// signs no request for another meaning.
#[derive(Clone, Copy)]
struct Spelling {
    /// Path encoded as by version 4 and no `=` after an empty value, instead of both as sent.
    is_normalised: bool,
    /// `/bucket/` for `/bucket`, as signers write it whose libraries send the latter.
    has_closing_slash: bool,
}

/// What was computed when nothing matched, for the error the client gets.
pub(super) struct Mismatch {
    string_to_sign: Vec<u8>,
}

/// Checks the claim's signature against each spelling of the request, at most four comparisons. `InvalidURI` for a path
/// with bad escapes, `InvalidRequest` for repeated `Content-Type` or `Content-MD5`.
pub(super) fn verify(
    request: &SignedRequest<'_>,
    claim: &QueryClaim<'_>,
    secret: &Secret,
) -> Result<Result<(), Mismatch>, S3Error> {
    let names_bucket_only = matches!(request.target.resource, Resource::Bucket(_)) && !request.raw_path.ends_with('/');
    let mut first = None;
    for is_normalised in [false, true] {
        for has_closing_slash in [false, true] {
            if has_closing_slash && !names_bucket_only {
                continue;
            }
            let text = string_to_sign(request, claim, Spelling { is_normalised, has_closing_slash })?;
            if sign(secret, &text).as_bytes().ct_eq(claim.signature.as_bytes()).into() {
                return Ok(Ok(()));
            }
            first.get_or_insert(text);
        }
    }
    Ok(Err(Mismatch { string_to_sign: first.unwrap_or_default() }))
}

/// Whether `signature` is this secret's over a POST form's policy, as it stands in the form.
pub(super) fn policy_signature_holds(policy_base64: &str, secret: &Secret, signature: &str) -> bool {
    sign(secret, policy_base64.as_bytes()).as_bytes().ct_eq(signature.as_bytes()).into()
}

/// The base64 of the HMAC-SHA1.
fn sign(secret: &Secret, string_to_sign: &[u8]) -> String {
    let mut hmac = Hmac::<Sha1>::new_from_slice(secret.expose().as_bytes()).expect("HMAC takes keys of any length");
    hmac.update(string_to_sign);
    STANDARD.encode(hmac.finalize().into_bytes())
}

fn string_to_sign(request: &SignedRequest<'_>, claim: &QueryClaim<'_>, spelling: Spelling) -> Result<Vec<u8>, S3Error> {
    let content_md5 = single(request.headers, "content-md5")?.unwrap_or_default();
    let content_type = single(request.headers, "content-type")?.unwrap_or_default();
    let mut out = Vec::with_capacity(256);
    for line in [request.method, content_md5, content_type, &claim.expires] {
        out.extend_from_slice(line.as_bytes());
        out.push(b'\n');
    }
    push_amz_headers(&mut out, request.headers, claim.session_token());
    push_resource(&mut out, request, spelling)?;
    push_subresources(&mut out, &claim.subresources, spelling);
    Ok(out)
}

/// `name:value\n` of every `x-amz-*` header, sorted, the values of repeated ones joined by commas.
fn push_amz_headers(out: &mut Vec<u8>, headers: &HeaderMap, session_token: Option<&str>) {
    let mut names: Vec<&str> =
        headers.keys().map(|name| name.as_str()).filter(|name| name.starts_with("x-amz-")).collect();
    if session_token.is_some() && !names.contains(&SECURITY_TOKEN) {
        names.push(SECURITY_TOKEN);
    }
    names.sort_unstable();
    for name in names {
        out.extend_from_slice(name.as_bytes());
        out.push(b':');
        match session_token {
            Some(token) if name == SECURITY_TOKEN => out.extend_from_slice(token.as_bytes()),
            Some(_) | None => {
                for (index, value) in headers.get_all(name).iter().enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    out.extend_from_slice(value.as_bytes().trim_ascii());
                }
            }
        }
        out.push(b'\n');
    }
}

/// The path, below the bucket also when the host names that.
fn push_resource(out: &mut Vec<u8>, request: &SignedRequest<'_>, spelling: Spelling) -> Result<(), S3Error> {
    if let (AddressingStyle::VirtualHosted, Some(bucket)) = (request.target.style, request.target.resource.bucket()) {
        out.push(b'/');
        out.extend_from_slice(bucket.as_str().as_bytes());
    }
    if spelling.is_normalised {
        uri_encode_into(out, &percent_decode(request.raw_path.as_bytes())?, true);
    } else {
        out.extend_from_slice(request.raw_path.as_bytes());
    }
    if spelling.has_closing_slash {
        out.push(b'/');
    }
    Ok(())
}

fn push_subresources(out: &mut Vec<u8>, subresources: &[Subresource<'_>], spelling: Spelling) {
    for (index, Subresource { name, value }) in subresources.iter().enumerate() {
        out.push(if index == 0 { b'?' } else { b'&' });
        out.extend_from_slice(name.as_bytes());
        match value {
            Some(value) if !(value.is_empty() && spelling.is_normalised) => {
                out.push(b'=');
                out.extend_from_slice(value.as_bytes());
            }
            Some(_) | None => {}
        }
    }
}

impl Mismatch {
    /// `SignatureDoesNotMatch` with what a client needs to find its mistake, as AWS sends it.
    pub(super) fn into_error(self, claim: &QueryClaim<'_>) -> S3Error {
        let spaced_hex = self.string_to_sign.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ");
        S3Error::new(S3ErrorCode::SignatureDoesNotMatch)
            .field("AWSAccessKeyId", claim.access_key_id())
            .field("StringToSign", String::from_utf8_lossy(&self.string_to_sign))
            .field("SignatureProvided", claim.signature.as_ref())
            .field("StringToSignBytes", spaced_hex)
    }
}

fn unsigned_parameter(name: &str) -> S3Error {
    denied(
        "There were query parameters present in the request which Signature Version 2 does not sign. Please use \
         AWS4-HMAC-SHA256.",
    )
    .field("ParametersNotSigned", name)
}

fn denied(message: impl Into<Cow<'static, str>>) -> S3Error {
    S3Error::with_message(S3ErrorCode::AccessDenied, message)
}

fn invalid_uri() -> S3Error {
    S3Error::new(S3ErrorCode::InvalidURI)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_sorted_and_apart_from_what_is_not_signed() {
        assert!(SUBRESOURCES.is_sorted());
        assert!(INERT.iter().all(|name| !SUBRESOURCES.contains(name)));
    }
}
