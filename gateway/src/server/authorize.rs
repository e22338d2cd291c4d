//! May this caller do this? Deny by default.
//!
//! In this version the root user may do everything and nobody else anything. An anonymous caller gets the same answer
//! whether the bucket exists or not, because nothing was looked up.

use crate::auth::{Identity, Principal};
use crate::error::{S3Error, S3ErrorCode};

/// The principal, if it may go on.
pub(super) fn authorize(identity: &Identity) -> Result<&Principal, S3Error> {
    match identity {
        Identity::Principal(principal) if principal.is_root => Ok(principal),
        Identity::Principal(_) | Identity::Anonymous => Err(S3Error::new(S3ErrorCode::AccessDenied)),
    }
}
