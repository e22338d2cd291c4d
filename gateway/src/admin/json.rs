//! JSON in and out.

use super::signed::BODY_BYTES_MAX;
use crate::error::S3Error;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A value that is answered as a JSON document.
pub(super) struct Json<T>(pub T);

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.0) {
            Ok(document) => ([(CONTENT_TYPE, "application/json")], document).into_response(),
            Err(error) => {
                tracing::error!(%error, "an admin answer has no JSON form");
                StatusCode::INTERNAL_SERVER_ERROR.into_response()
            }
        }
    }
}

/// Reads a JSON document.
///
/// # Errors
/// `InvalidRequest`.
pub(super) fn parse_json<T: DeserializeOwned>(body: &[u8]) -> Result<T, S3Error> {
    assert!(body.len() as u64 <= BODY_BYTES_MAX, "bodies are limited before they are parsed");
    serde_json::from_slice(body)
        .map_err(|error| S3Error::invalid_request(format!("The body is not as expected: {error}")))
}
