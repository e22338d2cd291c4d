//! What a client is told instead of an answer: an exception's class and message as JSON, under Hadoop's http status.

use crate::exception::{JavaException, RemoteException};
use axum::response::{IntoResponse, Response};
use granary_protocol::Failure;
use http::{StatusCode, header};
use serde_json::json;

/// A refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebError {
    status: StatusCode,
    class: &'static str,
    message: String,
}

impl WebError {
    /// A parameter that cannot be, as Hadoop words it.
    pub fn parameter(name: &str, reason: impl std::fmt::Display) -> WebError {
        let message = format!("Invalid value for webhdfs parameter \"{name}\": {reason}");
        WebError { status: StatusCode::BAD_REQUEST, class: "java.lang.IllegalArgumentException", message }
    }

    /// Nobody that may be believed.
    pub fn unauthenticated(message: impl Into<String>) -> WebError {
        WebError {
            status: StatusCode::UNAUTHORIZED,
            class: "java.lang.SecurityException",
            message: format!("Failed to obtain user group information: {}", message.into()),
        }
    }

    /// Something that the operation is there for and this store does not do.
    pub fn unsupported(message: impl Into<String>) -> WebError {
        RemoteException::new(JavaException::UnsupportedOperation, message).into()
    }

    /// An `IOException` without a class of its own.
    pub fn io(message: impl Into<String>) -> WebError {
        RemoteException::new(JavaException::Io, message).into()
    }
}

impl From<RemoteException> for WebError {
    fn from(exception: RemoteException) -> WebError {
        WebError {
            status: status_of(exception.class),
            class: exception.class.class_name(),
            // Stack traces and further lines are for logs.
            message: exception.message.lines().next().unwrap_or_default().to_owned(),
        }
    }
}

impl From<Failure> for WebError {
    fn from(failure: Failure) -> WebError {
        RemoteException::from(failure).into()
    }
}

/// The status under which Hadoop's servers send an exception.
fn status_of(class: JavaException) -> StatusCode {
    match class {
        JavaException::FileNotFound => StatusCode::NOT_FOUND,
        JavaException::IllegalArgument | JavaException::InvalidPath | JavaException::UnsupportedOperation => {
            StatusCode::BAD_REQUEST
        }
        JavaException::NoSuchMethod
        | JavaException::NoSuchProtocol
        | JavaException::RpcServer
        | JavaException::VersionMismatch => StatusCode::INTERNAL_SERVER_ERROR,
        // The family of IOException.
        _ => StatusCode::FORBIDDEN,
    }
}

/// A class's name without its package and the class around it.
fn simple_name(class: &str) -> &str {
    class.rsplit(['.', '$']).next().unwrap_or(class)
}

impl IntoResponse for WebError {
    fn into_response(self) -> Response {
        let body = json!({ "RemoteException": {
            "exception": simple_name(self.class),
            "javaClassName": self.class,
            "message": self.message,
        }});
        (self.status, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exceptions_have_their_status_and_their_short_name() {
        assert_eq!(simple_name(JavaException::FileNotFound.class_name()), "FileNotFoundException");
        assert_eq!(simple_name(JavaException::InvalidToken.class_name()), "InvalidToken");
        let status = |class| WebError::from(RemoteException::new(class, "a\nb")).status.as_u16();
        assert_eq!(status(JavaException::FileNotFound), 404);
        assert_eq!(status(JavaException::AccessControl), 403);
        assert_eq!(status(JavaException::Standby), 403);
        assert_eq!(status(JavaException::UnsupportedOperation), 400);
        assert_eq!(WebError::from(RemoteException::new(JavaException::Io, "a\nb")).message, "a");
        let bogus = WebError::parameter("op", "BOGUS is not a valid PUT operation.");
        assert_eq!(bogus.message, "Invalid value for webhdfs parameter \"op\": BOGUS is not a valid PUT operation.");
    }
}
