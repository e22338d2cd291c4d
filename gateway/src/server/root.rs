//! The one principal of this version: the root key, kept in memory.

use crate::auth::{Credential, CredentialStore, CredentialStoreError, Principal, Secret};
use futures_util::future::BoxFuture;
use std::sync::Arc;

/// The root key. There is no default one.
#[derive(Clone, Debug)]
pub struct RootCredentials {
    /// Shown in requests.
    pub access_key_id: String,
    /// Signs them.
    pub secret_access_key: Secret,
}

/// Knows the root key and no other.
pub(super) struct RootStore {
    credential: Credential,
}

impl RootStore {
    pub(super) fn new(root: RootCredentials) -> Self {
        let access_key_id: Arc<str> = root.access_key_id.into();
        let principal = Principal { user: "root".into(), access_key_id, is_root: true };
        let secret_access_key = root.secret_access_key;
        Self { credential: Credential { secret_access_key, session_token: None, expires_at_s: None, principal } }
    }
}

impl CredentialStore for RootStore {
    fn lookup<'a>(&'a self, access_key_id: &'a str) -> BoxFuture<'a, Result<Option<Credential>, CredentialStoreError>> {
        let known = *self.credential.principal.access_key_id == *access_key_id;
        Box::pin(std::future::ready(Ok(known.then(|| self.credential.clone()))))
    }
}
