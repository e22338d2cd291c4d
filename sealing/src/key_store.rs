//! What a key store is: it keeps keys that nobody sees, and seals data keys under them.

use crate::data_key::DataKey;
use futures_util::future::BoxFuture;
use granary_protocol::user::EncryptionKey;
use granary_protocol::{Failure, UnixMillis};

/// The KMS key of requests that name none.
pub const DEFAULT_KMS_KEY: &str = "aws/s3";
/// The longest name of a key.
pub const KEY_NAME_BYTES_MAX: usize = 256;

/// Which key of the store.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum KeyName {
    /// The store's own, for SSE-S3.
    Store,
    /// A named one, for SSE-KMS.
    Kms(String),
}

/// What is known of a named key. Nothing of it is secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyDescription {
    /// Its name.
    pub name: String,
    /// When it was made.
    pub created: UnixMillis,
    /// Whether it neither encrypts nor decrypts.
    pub disabled: bool,
}

impl From<EncryptionKey> for KeyDescription {
    fn from(key: EncryptionKey) -> Self {
        Self { name: key.key_id, created: key.created, disabled: key.disabled }
    }
}

/// How many keys of a store are sealed under which master key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MasterKeyStanding {
    /// Under the one to seal with.
    pub current: u64,
    /// Under another that this gateway has.
    pub other: u64,
    /// Under one that this gateway does not have: what is encrypted under these keys cannot be read here.
    pub unknown: u64,
    /// Of the current ones, those that were sealed anew just now.
    pub resealed: u64,
}

/// Why a key store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum KeyStoreError {
    /// There is no key of this name.
    #[error("there is no key {0:?}")]
    NotFound(String),
    /// The key was disabled.
    #[error("key {0:?} is disabled")]
    Disabled(String),
    /// A name that no key can have.
    #[error("{0:?} can be no name of a key")]
    InvalidName(String),
    /// The key is there but this process's master key does not open it.
    #[error("the master key does not open key {0:?}")]
    WrongMasterKey(String),
    /// A data key that was not sealed under this key for this context.
    #[error("a data key does not open under key {0:?}")]
    NotAuthentic(String),
    /// The keys could not be fetched or kept.
    #[error(transparent)]
    Unavailable(#[from] Failure),
    /// The machine has no randomness to give.
    #[error("no random numbers: {0}")]
    Randomness(#[from] getrandom::Error),
}

/// Keeps keys. The context given when a data key was wrapped must be given again to unwrap it.
pub trait KeyStore: Send + Sync + 'static {
    /// Seals a data key for a new object under a key that is enabled.
    fn wrap<'a>(
        &'a self,
        key: &'a KeyName,
        context: &'a [u8],
        data_key: &'a DataKey,
    ) -> BoxFuture<'a, Result<Vec<u8>, KeyStoreError>>;

    /// Opens what [`KeyStore::wrap`] made. A key that is disabled opens nothing.
    fn unwrap<'a>(
        &'a self,
        key: &'a KeyName,
        context: &'a [u8],
        wrapped: &'a [u8],
    ) -> BoxFuture<'a, Result<DataKey, KeyStoreError>>;

    /// Says under which master key the keys are sealed; before that, if asked to, seals those under another than the current
    /// one anew. Safe to repeat, and beside requests: the keys themselves do not change.
    fn master_key(&self, reseals: bool) -> BoxFuture<'_, Result<MasterKeyStanding, KeyStoreError>>;

    /// Adds a key. `Unavailable` with `EntityAlreadyExists` if there is one of this name.
    fn create<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<(), KeyStoreError>>;

    /// The named keys, by name, starting after `after`, and whether there are more. No key material is in them.
    fn list(
        &self,
        after: Option<String>,
        limit: u32,
    ) -> BoxFuture<'_, Result<(Vec<KeyDescription>, bool), KeyStoreError>>;

    /// Disables or enables a key.
    fn set_disabled<'a>(&'a self, name: &'a str, disabled: bool) -> BoxFuture<'a, Result<(), KeyStoreError>>;
}
