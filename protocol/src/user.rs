//! Users, their keys and their policies, as the namenode keeps them for every door.

use crate::ids::{CanonicalId, UnixMillis};
use serde::{Deserialize, Serialize};

/// The most access keys of one user.
pub const ACCESS_KEYS_MAX: usize = 10;
/// The most policies attached to one user.
pub const ATTACHED_POLICIES_MAX: usize = 20;
/// The largest policy document, in bytes.
pub const POLICY_BYTES_MAX: usize = 20 << 10;

/// The secret half of an access key. Not shown by `Debug`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretKey(pub String);

impl std::fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretKey(..)")
    }
}

/// The cluster's secret under which temporary credentials are made. Not shown by `Debug`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenKey(pub [u8; 32]);

impl std::fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TokenKey(..)")
    }
}

/// A user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// Its name, unique; the last part of its ARN. Letters, digits and `+=,.@_-`, at most 64.
    pub name: String,
    /// 64 hexadecimal digits, shown as the owner of what it creates.
    pub canonical_id: CanonicalId,
    /// Twelve digits: the account that it is, in ARNs and in expected-owner headers.
    pub account_id: String,
    /// Shown beside the canonical id.
    pub display_name: String,
    /// When it was added.
    pub created: UnixMillis,
    /// Whether none of its keys opens anything.
    pub disabled: bool,
    /// Its keys.
    pub keys: Vec<AccessKey>,
    /// Names of the policies attached to it.
    pub policies: Vec<String>,
}

/// An access key of a user, without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessKey {
    /// The id that requests show: 3 to 128 letters, digits or underscores.
    pub access_key: String,
    /// When it was added.
    pub created: UnixMillis,
    /// Whether it opens nothing.
    pub disabled: bool,
}

/// What a door needs to judge a request that names an access key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyHolder {
    /// The key's secret.
    pub secret_key: SecretKey,
    /// Whose it is. Its list of keys is left empty.
    pub user: User,
    /// The documents of the policies attached to the user, JSON, in the order of `user.policies`.
    pub policies: Vec<String>,
}

/// A named identity policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedPolicy {
    /// Its name: letters, digits and `+=,.@_-`, at most 128.
    pub name: String,
    /// The JSON text as it was given.
    pub document: String,
    /// When it was last changed.
    pub changed: UnixMillis,
}

/// A key of the key store, wrapped under the master key that only gateways hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EncryptionKey {
    /// Its name, as requests give it (the last part of an ARN): at most 256 bytes.
    pub key_id: String,
    /// The key, sealed under the master key.
    pub wrapped: Vec<u8>,
    /// When it was made.
    pub created: UnixMillis,
    /// Whether new objects may be encrypted under it and old ones read.
    pub disabled: bool,
}
