//! OPTIONS: a browser's question, asked without credentials.
//!
//! No bucket has a CORS configuration yet, and the answer looks nothing up, so it says nothing about what exists.

use crate::error::{S3Error, S3ErrorCode};
use http::HeaderMap;

/// The refusal AWS gives: what is missing from the question, or that CORS is not enabled.
pub(crate) fn preflight(headers: &HeaderMap) -> S3Error {
    let missing = |message| S3Error::with_message(S3ErrorCode::BadRequest, message);
    if !headers.contains_key("origin") {
        return missing("Insufficient information. Origin request header needed.");
    }
    match headers.get("access-control-request-method") {
        None => missing("Insufficient information. Access-Control-Request-Method request header needed."),
        Some(method) => S3Error::new(S3ErrorCode::AccessForbidden)
            .field("Method", String::from_utf8_lossy(method.as_bytes()))
            .field("ResourceType", "BUCKET"),
    }
}
