//! The server around the operations: sockets, TLS, limits, authentication, dispatch, request ids, metrics.
//!
//! Invariant: an operation runs only with an [`S3Request`], which only `dispatch` makes, after the signature was verified
//! and the caller was allowed.

mod access;
mod access_context;
mod authorize;
mod body;
mod bucket_access;
mod bucket_settings;
mod clock;
#[cfg(test)]
mod compatibility;
mod connection;
mod dispatch;
mod events;
mod framing;
mod front;
mod gateway;
mod guarded;
mod health;
mod hoisted;
mod lifecycle_events;
mod log_delivery;
mod metrics;
mod operation;
mod owners;
mod post_form;
mod principals;
mod read_ahead;
mod refusal;
mod request;
mod request_facts;
mod request_id;
mod request_log;
mod state;
mod tls;
mod website;
mod write_stall;

pub use body::ResponseBody;
pub use clock::SystemClock;
pub use gateway::{Components, Gateway, StartError};
pub use operation::{Operation, Route, Scope, route};
pub use principals::RootCredentials;
pub use refusal::s3_code_of;
pub use tls::{TlsError, tls_acceptor};

pub(crate) use access::AccessTarget;
pub(crate) use body::ObjectStream;
pub(crate) use bucket_settings::BucketSettings;
pub(crate) use refusal::{Refusal, delete_marker, message_of};
pub(crate) use request::{RequestBody, S3Request, S3Response, Sender};
pub(crate) use request_facts::Peer;
pub(crate) use request_id::RequestId;
pub(crate) use state::GatewayState;
