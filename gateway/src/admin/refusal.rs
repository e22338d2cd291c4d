//! How admin routes refuse: the S3 error's code and status, as JSON.

use super::json::Json;
use crate::error::{S3Error, S3ErrorCode};
use crate::server::{Refusal, s3_code_of};
use axum::response::{IntoResponse, Response};
use granary_protocol::Failure;
use serde::Serialize;

/// `{"code", "message"}`: an S3 error code and what a person reads.
#[derive(Serialize)]
struct ErrorAnswer<'e> {
    code: &'e str,
    message: &'e str,
}

/// Why an admin request was not served.
#[derive(Debug)]
pub(crate) struct Refused(pub S3Error);

impl From<S3Error> for Refused {
    fn from(error: S3Error) -> Self {
        Self(error)
    }
}

impl From<S3ErrorCode> for Refused {
    fn from(code: S3ErrorCode) -> Self {
        Self(S3Error::new(code))
    }
}

impl From<Failure> for Refused {
    /// Whoever holds the root key may read the detail.
    fn from(failure: Failure) -> Self {
        let code = s3_code_of(&failure.code);
        tracing::debug!(%failure, "admin request refused");
        Self(match failure.detail.is_empty() {
            true => S3Error::new(code),
            false => S3Error::with_message(code, failure.detail),
        })
    }
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::S3(error) => error.into(),
            Refusal::Store(failure) => failure.into(),
        }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let error = self.0;
        let body = ErrorAnswer { code: error.code().as_str(), message: error.message() };
        (error.status(), Json(body)).into_response()
    }
}
