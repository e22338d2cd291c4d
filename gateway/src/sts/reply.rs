//! Answers and errors of the token service, in its own XML.

use super::ActionResult;
use crate::error::{S3Error, S3ErrorCode};
use crate::server::{ResponseBody, S3Response};
use bytes::Bytes;
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderValue};
use std::borrow::Cow;

const NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";

/// Why a request was refused.
#[derive(Debug)]
pub(super) struct StsError {
    code: &'static str,
    status: StatusCode,
    message: Cow<'static, str>,
}

impl StsError {
    fn new(code: &'static str, status: StatusCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code, status, message: message.into() }
    }

    /// `ValidationError`
    pub fn validation(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new("ValidationError", StatusCode::BAD_REQUEST, message)
    }

    /// `MalformedPolicyDocument`
    pub fn malformed_policy(message: String) -> Self {
        Self::new("MalformedPolicyDocument", StatusCode::BAD_REQUEST, message)
    }

    /// `AccessDenied`
    pub fn access_denied(message: String) -> Self {
        Self::new("AccessDenied", StatusCode::FORBIDDEN, message)
    }

    /// `InvalidAction`
    pub fn invalid_action(action: &str) -> Self {
        let message = format!("Could not find operation {action} for version 2011-06-15");
        Self::new("InvalidAction", StatusCode::BAD_REQUEST, message)
    }

    /// `MissingAction`
    pub fn missing_action() -> Self {
        Self::new("MissingAction", StatusCode::BAD_REQUEST, "The request is missing an action")
    }

    /// `InternalFailure`
    pub fn internal() -> Self {
        Self::new("InternalFailure", StatusCode::INTERNAL_SERVER_ERROR, "The request processing has failed")
    }

    /// `ServiceUnavailable`
    pub fn unavailable() -> Self {
        let message = "The request has failed due to a temporary failure of the server.";
        Self::new("ServiceUnavailable", StatusCode::SERVICE_UNAVAILABLE, message)
    }
}

impl From<S3Error> for StsError {
    /// The same refusals have other names here.
    fn from(error: S3Error) -> Self {
        let forbidden = StatusCode::FORBIDDEN;
        match error.code() {
            S3ErrorCode::InvalidAccessKeyId | S3ErrorCode::InvalidToken => {
                Self::new("InvalidClientTokenId", forbidden, "The security token included in the request is invalid.")
            }
            S3ErrorCode::ExpiredToken => {
                Self::new("ExpiredToken", forbidden, "The security token included in the request is expired")
            }
            S3ErrorCode::MissingAuthenticationToken => {
                Self::new("MissingAuthenticationToken", forbidden, "Request is missing Authentication Token")
            }
            S3ErrorCode::RequestTimeTooSkewed => {
                Self::new("SignatureDoesNotMatch", forbidden, error.message().to_owned())
            }
            S3ErrorCode::SignatureDoesNotMatch => Self::new(
                "SignatureDoesNotMatch",
                forbidden,
                "The request signature we calculated does not match the signature you provided. Check your AWS Secret \
                 Access Key and signing method. Consult the service documentation for details.",
            ),
            S3ErrorCode::ServiceUnavailable => Self::unavailable(),
            _ => Self::new("IncompleteSignature", StatusCode::BAD_REQUEST, error.message().to_owned()),
        }
    }
}

/// An element with text.
pub(super) fn push(xml: &mut String, tag: &str, text: &str) {
    xml.push_str(&format!("<{tag}>{}</{tag}>", quick_xml::escape::escape(text)));
}

/// The answer to an action that was done.
pub(super) fn succeeded(result: ActionResult, request_id: &str) -> S3Response {
    let ActionResult { action, elements } = result;
    respond(
        StatusCode::OK,
        format!(
            "<{action}Response xmlns=\"{NAMESPACE}\"><{action}Result>{elements}</{action}Result>\
             <ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata></{action}Response>"
        ),
    )
}

/// The answer to one that was refused.
pub(super) fn failed(error: &StsError, request_id: &str) -> S3Response {
    let mut elements = String::new();
    push(&mut elements, "Type", if error.status.is_server_error() { "Receiver" } else { "Sender" });
    push(&mut elements, "Code", error.code);
    push(&mut elements, "Message", &error.message);
    respond(
        error.status,
        format!(
            "<ErrorResponse xmlns=\"{NAMESPACE}\"><Error>{elements}</Error><RequestId>{request_id}</RequestId>\
             </ErrorResponse>"
        ),
    )
}

fn respond(status: StatusCode, xml: String) -> S3Response {
    let mut response = S3Response::new(ResponseBody::Known(Bytes::from(xml)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/xml"));
    response
}
