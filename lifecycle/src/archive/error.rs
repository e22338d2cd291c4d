//! Why a task at an archive target did not succeed.

use granary_protocol::Failure;
use granary_sealing::KeyStoreError;
use http::StatusCode;
use rustls::pki_types::InvalidDnsNameError;
use std::io;

/// What went wrong between this store and an archive target.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The endpoint is not a URL of a host.
    #[error("{0:?} is no endpoint: write http://host[:port] or https://host[:port]")]
    NotAnEndpoint(String),
    /// The endpoint's name leads to addresses that are never connected to.
    #[error("every address of the endpoint is link-local, multicast or unspecified: such are not connected to")]
    ForbiddenAddress,
    #[error("the endpoint's name cannot be resolved: {0}")]
    Resolve(io::Error),
    #[error("no connection to the endpoint: {0}")]
    Connect(io::Error),
    #[error("the endpoint's host is no name a certificate could be for: {0}")]
    ServerName(#[from] InvalidDnsNameError),
    /// The target's authorities are not PEM certificates.
    #[error("the authorities of the target are no PEM certificates")]
    Authorities,
    #[error("http: {0}")]
    Http(#[from] hyper::Error),
    #[error("the request cannot be written: {0}")]
    Request(#[from] http::Error),
    #[error("the request cannot be signed: {0}")]
    Signing(String),
    #[error("the endpoint did not answer in time")]
    Timeout,
    /// The body of an answer ended early, or is longer than asked for.
    #[error("the endpoint's answer to {0} is not as long as it must be")]
    Length(&'static str),
    /// An answer that S3 does not give.
    #[error("the endpoint's answer to {0} is not understood")]
    Answer(&'static str),
    /// The endpoint refused.
    #[error("the endpoint answered {status} {code}: {message}")]
    Refused { status: StatusCode, code: String, message: String },
    /// The target gave other bytes than were sent to it.
    #[error(
        "the target's bytes of {key} are damaged: their CRC32C is {found:08x}, and was {sent:08x} when they were sent"
    )]
    Damaged { key: String, sent: u32, found: u32 },
    /// There is no master key, or not the one that the target's secret is sealed under.
    #[error("the target's secret key cannot be opened: {0}")]
    Secret(#[from] KeyStoreError),
    /// The target's secret key is not text.
    #[error("the target's secret key is not text")]
    NotText,
    /// The store itself.
    #[error(transparent)]
    Store(#[from] Failure),
}

impl ArchiveError {
    /// Whether the endpoint says that there is no such thing.
    pub(super) fn is_absent(&self) -> bool {
        matches!(self, Self::Refused { status, code, .. }
            if *status == StatusCode::NOT_FOUND && code != "NoSuchBucket")
    }
}
