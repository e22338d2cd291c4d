//! What a DeleteObjects did to each key: a log has a line for every one of them, beside the line of the request.

use crate::error::S3ErrorCode;

/// The keys of one request, in its order. Put into its response; it never leaves the process with it.
#[derive(Clone, Debug, Default)]
pub(crate) struct BatchDeleted(pub Vec<DeletedKey>);

/// One of them.
#[derive(Clone, Debug)]
pub(crate) struct DeletedKey {
    pub key: String,
    /// As the client named it.
    pub version_id: Option<String>,
    /// As a request for this key alone would have been answered.
    pub status: u16,
    pub error_code: Option<&'static str>,
}

impl BatchDeleted {
    /// Adds a key that was deleted, or why it was not.
    pub(crate) fn add(&mut self, key: &str, version_id: Option<&str>, error: Option<S3ErrorCode>) {
        self.0.push(DeletedKey {
            key: key.to_owned(),
            version_id: version_id.map(str::to_owned),
            status: error.map_or(204, S3ErrorCode::status_u16),
            error_code: error.map(S3ErrorCode::as_str),
        });
    }
}
