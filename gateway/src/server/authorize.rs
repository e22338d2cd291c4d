//! May this caller do this? Deny by default.
//!
//! In this version the root user and the store's own services may do everything and nobody else anything. An anonymous caller gets the same answer
//! whether the bucket exists or not, because nothing was looked up.

use crate::auth::{Identity, Principal};
use crate::error::{S3Error, S3ErrorCode};

/// Whether it may go on.
pub(super) fn authorize(identity: &Identity) -> Result<(), S3Error> {
    match identity {
        Identity::Principal(Principal { is_root: true, .. }) | Identity::Service(_) => Ok(()),
        Identity::Principal(_) | Identity::Anonymous => Err(S3Error::new(S3ErrorCode::AccessDenied)),
    }
}
