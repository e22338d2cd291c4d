//! Access control lists, as buckets and objects keep them. What they mean is judged elsewhere.

use crate::ids::CanonicalId;
use serde::{Deserialize, Serialize};

/// The most grants of one list, as AWS limits them.
pub const GRANTS_MAX: usize = 100;

/// The grants of a bucket or an object. `None` in its place is the `private` list: the owner alone, with full control.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acl {
    /// In the order they were given, at most [`GRANTS_MAX`].
    pub grants: Vec<Grant>,
}

/// A right given to somebody.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Grant {
    /// To whom.
    pub grantee: Grantee,
    /// What.
    pub permission: Permission,
}

/// Whom a grant names.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Grantee {
    /// A user.
    User(CanonicalId),
    /// Everybody, with or without credentials.
    AllUsers,
    /// Everybody with credentials.
    AuthenticatedUsers,
    /// The service that delivers access logs.
    LogDelivery,
}

/// A right of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Permission {
    /// `FULL_CONTROL`: the four others together.
    FullControl,
    /// `READ`
    Read,
    /// `WRITE`
    Write,
    /// `READ_ACP`
    ReadAcp,
    /// `WRITE_ACP`
    WriteAcp,
}
