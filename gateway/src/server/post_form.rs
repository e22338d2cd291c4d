//! From a browser's upload form to a request like any other: the fields become its headers, the file its body.
//!
//! Invariant: the request that comes out was authenticated by the form alone. Of the HTTP request's own headers only those
//! survive that no policy needs to cover, because they change nothing about the object.

use super::request::{FormRequest, RequestBody};
use super::state::GatewayState;
use crate::auth::{AuthMethod, AuthenticatedRequest};
use crate::error::{S3Error, S3ErrorCode};
use crate::form::{FormCredentials, FormEvent, FormFields, FormFile, FormParser, PolicyScope, PostPolicy, boundary_of};
use crate::ops::{FormReply, headers_of_form};
use crate::request::{AddressingStyle, BucketName, ObjectKey, RequestTarget, request_host, uri_encode_into};
use http::header::{CONTENT_TYPE, HOST, HeaderName, ORIGIN, REFERER, USER_AGENT};
use http::request::Parts;
use http_body_util::BodyExt as _;

/// Headers of the HTTP request that stay.
const KEPT_HEADERS: [HeaderName; 4] = [HOST, ORIGIN, REFERER, USER_AGENT];

/// Reads the form up to its file, verifies its signature and its policy. `outer` is how the HTTP request itself was
/// authenticated.
///
/// # Errors
/// Those of the parser, the credentials and the policy; `PreconditionFailed` for what is no form; `InvalidArgument` for a
/// request that is signed besides.
pub(super) async fn open_form(
    state: &GatewayState,
    parts: &Parts,
    target: &RequestTarget,
    bucket: BucketName,
    outer: &AuthenticatedRequest,
    mut body: RequestBody,
) -> Result<(FormRequest, AuthenticatedRequest), S3Error> {
    if outer.method() != AuthMethod::Anonymous {
        return Err(S3Error::invalid_argument(
            "Only one auth mechanism allowed; a form is signed by its fields",
            "Authorization",
            "",
        ));
    }
    let content_type = parts.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let boundary = boundary_of(content_type).ok_or_else(not_a_form)?;
    let (fields, parser) = read_fields(FormParser::new(boundary), &mut body).await?;
    let key = ObjectKey::parse(fields.require("key")?)?;
    let authenticator = &state.authenticator;
    let (authenticated, range) = match fields.credentials()? {
        FormCredentials::Nothing => (authenticator.anonymous(), None),
        FormCredentials::Signed(credentials) => {
            let authenticated = authenticator.authenticate_post_form(&credentials, state.now_s()).await?;
            let policy = PostPolicy::parse(fields.require("policy")?)?;
            let scope = PolicyScope { bucket: bucket.as_str(), fields: &fields, now_s: state.now_s() };
            (authenticated, policy.check(scope)?)
        }
    };
    let mut headers = headers_of_form(&fields)?;
    for name in KEPT_HEADERS {
        if let Some(value) = parts.headers.get(&name) {
            headers.insert(name, value.clone());
        }
    }
    let reply = FormReply::new(&fields, location(state, parts, target.style, &bucket, &key)?);
    let body = body.with_file(FormFile::new(parser, range));
    Ok((FormRequest { bucket, key, headers, body, reply }, authenticated))
}

/// Everything before the file, and the parser at its first byte.
async fn read_fields(mut parser: FormParser, body: &mut RequestBody) -> Result<(FormFields, FormParser), S3Error> {
    let mut fields = FormFields::default();
    loop {
        match parser.next_event()? {
            Some(FormEvent::Field { name, value }) => fields.push(&name, value)?,
            Some(FormEvent::File { filename }) => {
                fields.expand_filename(&filename);
                return Ok((fields, parser));
            }
            Some(FormEvent::Data(_) | FormEvent::FileEnd) => unreachable!("the file begins before its data"),
            None => match body.frame().await {
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        parser.push(&data);
                    }
                }
                Some(Err(error)) => {
                    tracing::debug!(%error, "form ended early");
                    return Err(S3Error::new(S3ErrorCode::IncompleteBody));
                }
                None => {
                    parser.finish()?;
                    return Err(S3Error::new(S3ErrorCode::IncorrectNumberOfFilesInPostRequest));
                }
            },
        }
    }
}

/// The URL of the object to be, as the client addresses this store.
fn location(
    state: &GatewayState,
    parts: &Parts,
    style: AddressingStyle,
    bucket: &BucketName,
    key: &ObjectKey,
) -> Result<String, S3Error> {
    let scheme = if state.config.tls.is_some() { "https" } else { "http" };
    let mut url = format!("{scheme}://{}/", request_host(parts)?).into_bytes();
    if style == AddressingStyle::Path {
        url.extend_from_slice(bucket.as_str().as_bytes());
        url.push(b'/');
    }
    uri_encode_into(&mut url, key.as_str().as_bytes(), true);
    Ok(String::from_utf8_lossy(&url).into_owned())
}

fn not_a_form() -> S3Error {
    S3Error::new(S3ErrorCode::PreconditionFailed)
        .field("Condition", "Bucket POST must be of the enclosure-type multipart/form-data")
}
