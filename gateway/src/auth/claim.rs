//! What a request claims about its sender, read and bounded but not yet believed.
//!
//! Every refusal that needs no secret happens here: double or foreign credentials, malformed or foreign scopes, clocks,
//! unsigned headers. What is left is one comparison.

use std::borrow::Cow;

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};

use super::amz_date::AmzDate;
use super::payload::{DeclaredPayload, UNSIGNED_PAYLOAD};
use super::sigv2::QueryClaim;
use crate::error::{S3Error, S3ErrorCode};
use crate::request::{parse_http_date, percent_decode};

/// The one algorithm of version 4 that is verified.
pub(super) const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const TERMINATOR: &str = "aws4_request";
/// How far a client's clock may be off, either way.
pub(super) const CLOCK_SKEW_MAX_S: i64 = 15 * 60;
/// Longest life of a presigned URL: a week.
pub(super) const EXPIRES_MAX_S: u32 = 604_800;

/// Where the signature stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ClaimKind {
    Header,
    Presigned { expires_s: u32 },
}

/// What a request presents to say who sent it.
#[derive(Debug)]
pub(super) enum Presented<'r> {
    /// No credentials at all.
    Nothing,
    /// Signature Version 4, in the header or the query.
    Version4(Claim<'r>),
    /// Signature Version 2, in the query.
    Version2(QueryClaim<'r>),
}

/// A claim of identity by Signature Version 4, ready to be verified.
#[derive(Debug)]
pub(super) struct Claim<'r> {
    pub(super) kind: ClaimKind,
    pub(super) credential: CredentialScope<'r>,
    pub(super) signed_headers: Cow<'r, str>,
    pub(super) signature: Cow<'r, str>,
    pub(super) signed_at: AmzDate,
    pub(super) session_token: Option<Cow<'r, str>>,
    /// The last line of the canonical request.
    pub(super) payload_hash: Cow<'r, str>,
    pub(super) payload: DeclaredPayload,
}

/// `access key id/date/region/service/aws4_request`, checked against the region and the service expected.
#[derive(Debug)]
pub(super) struct CredentialScope<'r> {
    text: Cow<'r, str>,
    access_key_len: usize,
    date: [u8; 8],
    service: &'static str,
}

impl CredentialScope<'_> {
    /// The whole text.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn access_key_id(&self) -> &str {
        &self.text[..self.access_key_len]
    }

    /// `date/region/service/aws4_request`
    pub(super) fn scope(&self) -> &str {
        &self.text[self.access_key_len + 1..]
    }

    pub(super) fn service(&self) -> &'static str {
        self.service
    }

    pub(super) fn date(&self) -> &str {
        std::str::from_utf8(&self.date).expect("eight ASCII digits")
    }
}

/// The head of a request, as far as authentication looks at it.
#[derive(Clone, Copy)]
pub(super) struct Head<'r> {
    pub(super) headers: &'r HeaderMap,
    pub(super) raw_query: &'r str,
}

/// Reads what is presented. Credentials in two places, or of two versions, are refused.
pub(super) fn read_claim<'r>(
    head: Head<'r>,
    region: &str,
    service: &'static str,
    now_s: i64,
) -> Result<Presented<'r>, S3Error> {
    let mut authorizations = head.headers.get_all(AUTHORIZATION).iter();
    let authorization = authorizations.next();
    let query = QueryCredentials::read(head.raw_query)?;
    let version4 = query.any_of_version4();
    let mechanisms = [authorization.is_some(), authorizations.next().is_some(), version4, query.version2];
    if mechanisms.into_iter().filter(|present| *present).count() > 1 {
        return Err(S3Error::invalid_argument(
            "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string parameter or \
             the Authorization header should be specified",
            "Authorization",
            authorization.map(scheme_of).unwrap_or_default(),
        ));
    }
    match authorization {
        Some(value) => claim_from_header(head, value, region, service, now_s).map(Presented::Version4),
        None if query.version2 => QueryClaim::read(head, now_s).map(Presented::Version2),
        None if version4 => claim_from_query(head, query, region, service, now_s).map(Presented::Version4),
        None => Ok(Presented::Nothing),
    }
}

/// The payload of a request whose signature, if any, says nothing about it: unsigned unless a header describes it.
pub(super) fn undeclared_payload(headers: &HeaderMap) -> Result<DeclaredPayload, S3Error> {
    single(headers, "x-amz-content-sha256")?.map_or(Ok(DeclaredPayload::Unsigned), DeclaredPayload::parse)
}

fn claim_from_header<'r>(
    head: Head<'r>,
    value: &'r HeaderValue,
    region: &str,
    service: &'static str,
    now_s: i64,
) -> Result<Claim<'r>, S3Error> {
    let text = value.to_str().map_err(|_| header_malformed("the header holds bytes that are not ASCII"))?;
    let (scheme, rest) = text.split_once(' ').unwrap_or((text, ""));
    match scheme {
        ALGORITHM => {}
        "AWS" | "AWS4-ECDSA-P256-SHA256" => return Err(unsupported_mechanism()),
        // The scheme only: the rest may be a password meant for another server.
        other => return Err(S3Error::invalid_argument("Unsupported Authorization Type", "Authorization", other)),
    }
    let fields = AuthorizationFields::parse(rest)?;
    let signed_at = header_date(head.headers)?;
    let credential =
        parse_credential(Cow::Borrowed(fields.credential), region, service, &signed_at, ClaimKind::Header)?;
    if (now_s - signed_at.unix_s()).abs() > CLOCK_SKEW_MAX_S {
        return Err(S3Error::new(S3ErrorCode::RequestTimeTooSkewed)
            .field("RequestTime", signed_at.as_str())
            .field("ServerTime", iso8601(now_s))
            .field("MaxAllowedSkewMilliseconds", (CLOCK_SKEW_MAX_S * 1000).to_string()));
    }
    check_signed_headers(head.headers, fields.signed_headers, ClaimKind::Header)?;
    let payload_hash = single(head.headers, "x-amz-content-sha256")?
        .ok_or_else(|| S3Error::invalid_request("Missing required header for this request: x-amz-content-sha256"))?;
    Ok(Claim {
        kind: ClaimKind::Header,
        credential,
        signed_headers: Cow::Borrowed(fields.signed_headers),
        signature: Cow::Borrowed(fields.signature),
        signed_at,
        session_token: single(head.headers, "x-amz-security-token")?.map(Cow::Borrowed),
        payload: DeclaredPayload::parse(payload_hash)?,
        payload_hash: Cow::Borrowed(payload_hash),
    })
}

struct AuthorizationFields<'r> {
    credential: &'r str,
    signed_headers: &'r str,
    signature: &'r str,
}

impl<'r> AuthorizationFields<'r> {
    /// `Credential=…, SignedHeaders=…, Signature=…` in any order, each exactly once.
    fn parse(text: &'r str) -> Result<Self, S3Error> {
        let (mut credential, mut signed_headers, mut signature) = (None, None, None);
        for part in text.split(',') {
            let (name, value) =
                part.trim().split_once('=').ok_or_else(|| header_malformed("a component has no value"))?;
            let slot = match name {
                "Credential" => &mut credential,
                "SignedHeaders" => &mut signed_headers,
                "Signature" => &mut signature,
                _unknown => return Err(header_malformed("a component is unknown")),
            };
            if slot.replace(value).is_some() {
                return Err(header_malformed("a component appears twice"));
            }
        }
        match (credential, signed_headers, signature) {
            (Some(credential), Some(signed_headers), Some(signature)) => {
                Ok(Self { credential, signed_headers, signature })
            }
            (None, _, _) => Err(header_malformed("the Credential is missing")),
            (_, None, _) => Err(header_malformed("the SignedHeaders are missing")),
            (_, _, None) => Err(header_malformed("the Signature is missing")),
        }
    }
}

/// `x-amz-date`, or `Date` in either of its spellings.
fn header_date(headers: &HeaderMap) -> Result<AmzDate, S3Error> {
    let parsed = match single(headers, "x-amz-date")? {
        Some(text) => AmzDate::parse(text),
        None => single(headers, "date")?
            .and_then(|text| AmzDate::parse(text).or_else(|| AmzDate::from_unix_s(parse_http_date(text)?))),
    };
    parsed.ok_or_else(|| {
        S3Error::with_message(
            S3ErrorCode::AccessDenied,
            "AWS authentication requires a valid Date or x-amz-date header",
        )
    })
}

/// The authentication parameters of a query. Names are compared after decoding, so no spelling slips past.
#[derive(Default)]
struct QueryCredentials<'r> {
    algorithm: Option<Cow<'r, str>>,
    credential: Option<Cow<'r, str>>,
    date: Option<Cow<'r, str>>,
    expires: Option<Cow<'r, str>>,
    signed_headers: Option<Cow<'r, str>>,
    signature: Option<Cow<'r, str>>,
    token: Option<Cow<'r, str>>,
    content_sha256: Option<Cow<'r, str>>,
    /// Whether there is a parameter of Signature Version 2.
    version2: bool,
}

impl<'r> QueryCredentials<'r> {
    fn read(raw: &'r str) -> Result<Self, S3Error> {
        let mut found = Self::default();
        for piece in raw.split('&') {
            let (name, value) = piece.split_once('=').unwrap_or((piece, ""));
            let decoded_name = decode(name);
            let slot = match decoded_name.as_deref() {
                Some("X-Amz-Algorithm") => &mut found.algorithm,
                Some("X-Amz-Credential") => &mut found.credential,
                Some("X-Amz-Date") => &mut found.date,
                Some("X-Amz-Expires") => &mut found.expires,
                Some("X-Amz-SignedHeaders") => &mut found.signed_headers,
                Some("X-Amz-Signature") => &mut found.signature,
                Some("X-Amz-Security-Token") => &mut found.token,
                Some("X-Amz-Content-Sha256") => &mut found.content_sha256,
                Some("AWSAccessKeyId" | "Signature") => {
                    found.version2 = true;
                    continue;
                }
                Some(_) | None => continue,
            };
            let value = decode(value).ok_or_else(|| query_error("An X-Amz- parameter is not valid UTF-8"))?;
            if slot.replace(value).is_some() {
                return Err(query_error("An X-Amz- authentication parameter was specified more than once"));
            }
        }
        Ok(found)
    }

    /// Whether the query tries to authenticate with version 4. One parameter is enough: half a signature is not
    /// "anonymous".
    fn any_of_version4(&self) -> bool {
        self.algorithm.is_some()
            || self.credential.is_some()
            || self.signature.is_some()
            || self.signed_headers.is_some()
            || self.expires.is_some()
            || self.date.is_some()
            || self.token.is_some()
    }
}

/// One name or value of a query; `None` for bad escapes and invalid UTF-8.
pub(super) fn decode(raw: &str) -> Option<Cow<'_, str>> {
    if !raw.contains(['%', '+']) {
        return Some(Cow::Borrowed(raw));
    }
    let bytes = match raw.contains('+') {
        true => percent_decode(raw.replace('+', " ").as_bytes()),
        false => percent_decode(raw.as_bytes()),
    };
    String::from_utf8(bytes.ok()?).ok().map(Cow::Owned)
}

fn claim_from_query<'r>(
    head: Head<'r>,
    query: QueryCredentials<'r>,
    region: &str,
    service: &'static str,
    now_s: i64,
) -> Result<Claim<'r>, S3Error> {
    let (Some(algorithm), Some(credential), Some(date), Some(expires), Some(signed_headers), Some(signature)) =
        (query.algorithm, query.credential, query.date, query.expires, query.signed_headers, query.signature)
    else {
        return Err(query_error(
            "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, X-Amz-Signature, \
             X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters.",
        ));
    };
    if algorithm != ALGORITHM {
        return Err(query_error("X-Amz-Algorithm only supports \"AWS4-HMAC-SHA256\""));
    }
    let expires_s = parse_expires(&expires)?;
    let kind = ClaimKind::Presigned { expires_s };
    let signed_at = AmzDate::parse(&date)
        .ok_or_else(|| query_error("X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\""))?;
    let credential = parse_credential(credential, region, service, &signed_at, kind)?;
    check_presigned_window(&signed_at, expires_s, now_s)?;
    check_signed_headers(head.headers, &signed_headers, kind)?;
    let header_hash = single(head.headers, "x-amz-content-sha256")?;
    let (payload_hash, payload) = presigned_payload(query.content_sha256, header_hash, &signed_headers)?;
    Ok(Claim {
        kind,
        credential,
        signed_headers,
        signature,
        signed_at,
        session_token: query.token,
        payload_hash,
        payload,
    })
}

/// A presigned request signs `UNSIGNED-PAYLOAD` unless it names a hash in the query or signs the header. A header it
/// does not sign still describes the body, and is still checked against it.
fn presigned_payload<'r>(
    query_hash: Option<Cow<'r, str>>,
    header_hash: Option<&'r str>,
    signed_headers: &str,
) -> Result<(Cow<'r, str>, DeclaredPayload), S3Error> {
    if let (Some(query_hash), Some(header_hash)) = (&query_hash, header_hash)
        && query_hash != header_hash
    {
        return Err(query_error("X-Amz-Content-Sha256 and the x-amz-content-sha256 header differ"));
    }
    let header_is_signed = signed_headers.split(';').any(|name| name == "x-amz-content-sha256");
    let declared = header_hash.map(DeclaredPayload::parse).transpose()?;
    let hash = match (query_hash, header_hash) {
        (Some(hash), _) => hash,
        (None, Some(hash)) if header_is_signed => Cow::Borrowed(hash),
        (None, Some(_) | None) => Cow::Borrowed(UNSIGNED_PAYLOAD),
    };
    let payload = match declared {
        Some(payload) => payload,
        None => DeclaredPayload::parse(&hash)?,
    };
    Ok((hash, payload))
}

fn parse_expires(text: &str) -> Result<u32, S3Error> {
    if text.strip_prefix('-').is_some_and(|rest| rest.parse::<u64>().is_ok()) {
        return Err(out_of_bounds("X-Amz-Expires must be non-negative"));
    }
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(query_error("X-Amz-Expires should be a number"));
    }
    match text.parse() {
        Ok(0) => Err(out_of_bounds("Request has expired")),
        Ok(expires_s) if expires_s <= EXPIRES_MAX_S => Ok(expires_s),
        Ok(_) | Err(_) => Err(out_of_bounds(
            "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than 604800 seconds",
        )),
    }
}

/// A request that nobody may have made for so long is one that is not valid now, as if it had expired.
fn out_of_bounds(message: &'static str) -> S3Error {
    S3Error::with_message(S3ErrorCode::AccessDenied, message)
}

fn check_presigned_window(signed_at: &AmzDate, expires_s: u32, now_s: i64) -> Result<(), S3Error> {
    if signed_at.unix_s() - now_s > CLOCK_SKEW_MAX_S {
        return Err(S3Error::with_message(S3ErrorCode::AccessDenied, "Request is not valid yet"));
    }
    let expires_at_s = signed_at.unix_s() + i64::from(expires_s);
    if now_s > expires_at_s {
        return Err(S3Error::with_message(S3ErrorCode::AccessDenied, "Request has expired")
            .field("X-Amz-Expires", expires_s.to_string())
            .field("Expires", iso8601(expires_at_s))
            .field("ServerTime", iso8601(now_s)));
    }
    Ok(())
}

/// Reads a scope and checks every element of it. Access key ids hold no slash, so five elements are all there are.
pub(super) fn parse_credential<'r>(
    text: Cow<'r, str>,
    region: &str,
    service: &'static str,
    signed_at: &AmzDate,
    kind: ClaimKind,
) -> Result<CredentialScope<'r>, S3Error> {
    let mut elements = text.split('/');
    let mut next = || elements.next().filter(|element| !element.is_empty());
    let (Some(access_key_id), Some(date), Some(asked_region), Some(asked_service), Some(terminator), None) =
        (next(), next(), next(), next(), next(), elements.next())
    else {
        return Err(scope_error(
            kind,
            "the Credential is mal-formed; expecting \"<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request\".".to_owned(),
        ));
    };
    let access_key_len = access_key_id.len();
    if date != signed_at.date() {
        let message = format!(
            "Invalid credential date \"{date}\". This date is not the same as X-Amz-Date: \"{}\".",
            signed_at.date()
        );
        return Err(scope_error(kind, message));
    }
    if asked_region != region {
        let message = format!("the region '{asked_region}' is wrong; expecting '{region}'");
        return Err(scope_error(kind, message).field("Region", region));
    }
    if asked_service != service {
        return Err(scope_error(
            kind,
            format!("incorrect service \"{asked_service}\". This endpoint belongs to \"{service}\"."),
        ));
    }
    if terminator != TERMINATOR {
        return Err(scope_error(
            kind,
            format!("incorrect terminal \"{terminator}\". This endpoint uses \"{TERMINATOR}\"."),
        ));
    }
    let date = signed_at.date().as_bytes().try_into().expect("a date is eight characters");
    Ok(CredentialScope { text, access_key_len, date, service })
}

/// `host` and every `x-amz-*` header present must be signed, and every signed header must be present.
///
/// `x-amz-content-sha256` and `x-amz-date` are exempt: the signature covers their values elsewhere, or (presigned) they
/// decide nothing that an attacker with the URL could not decide anyway.
fn check_signed_headers(headers: &HeaderMap, signed_headers: &str, kind: ClaimKind) -> Result<(), S3Error> {
    let mut host_is_signed = false;
    for name in signed_headers.split(';') {
        host_is_signed |= name == "host";
        if name != "host" && !headers.contains_key(name) {
            return Err(S3Error::with_message(
                S3ErrorCode::AccessDenied,
                "A signed header is missing from the request",
            )
            .field("HeadersMissing", name));
        }
    }
    if !host_is_signed {
        let message = "the host header must be signed";
        return Err(match kind {
            ClaimKind::Header => header_malformed(message),
            ClaimKind::Presigned { .. } => query_error(message),
        });
    }
    let is_signed = |name: &str| signed_headers.split(';').any(|signed| signed == name);
    let exempt = |name: &str| matches!(name, "x-amz-content-sha256" | "x-amz-date");
    let unsigned = headers
        .keys()
        .map(|name| name.as_str())
        .find(|name| name.starts_with("x-amz-") && !exempt(name) && !is_signed(name));
    match unsigned {
        None => Ok(()),
        Some(name) => Err(S3Error::with_message(
            S3ErrorCode::AccessDenied,
            "There were headers present in the request which were not signed",
        )
        .field("HeadersNotSigned", name)),
    }
}

/// The only value of a header that must not be ambiguous.
pub(super) fn single<'r>(headers: &'r HeaderMap, name: &'static str) -> Result<Option<&'r str>, S3Error> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(S3Error::invalid_request(format!("The {name} header was specified more than once")));
    }
    value
        .to_str()
        .map(|text| Some(text.trim()))
        .map_err(|_| S3Error::invalid_request(format!("Value for {name} header is invalid.")))
}

fn scheme_of(value: &HeaderValue) -> String {
    String::from_utf8_lossy(value.as_bytes()).split(' ').next().unwrap_or_default().to_owned()
}

fn scope_error(kind: ClaimKind, message: String) -> S3Error {
    match kind {
        ClaimKind::Header => header_malformed(&message),
        ClaimKind::Presigned { .. } => query_error(format!("Error parsing the X-Amz-Credential parameter; {message}")),
    }
}

fn header_malformed(why: &str) -> S3Error {
    S3Error::with_message(
        S3ErrorCode::AuthorizationHeaderMalformed,
        format!("The authorization header is malformed; {why}"),
    )
}

pub(super) fn query_error(message: impl Into<Cow<'static, str>>) -> S3Error {
    S3Error::with_message(S3ErrorCode::AuthorizationQueryParametersError, message)
}

pub(super) fn unsupported_mechanism() -> S3Error {
    S3Error::invalid_request(
        "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.",
    )
}

pub(super) fn iso8601(unix_s: i64) -> String {
    AmzDate::from_unix_s(unix_s).map(|date| date.to_iso8601()).unwrap_or_default()
}
