//! Whose access key is this? The root key, kept in memory; the users' keys, asked of the namenode and kept for a second;
//! and temporary credentials, which their token describes.
//!
//! Invariants: there is no default key; what is known of a key is never older than [`KEPT_FOR`]; a user that was removed
//! or a key that was disabled opens nothing after that time, nor do the temporary credentials made with it.

use crate::auth::{Credential, CredentialStore, CredentialStoreError, Principal, Secret, SessionClaim};
use crate::config::Account;
use futures_util::future::BoxFuture;
use granary_access::{Caller, PolicySource, Session};
use granary_client::Client;
use granary_protocol::user::{KeyHolder, TokenKey};
use granary_protocol::{CanonicalId, Failure};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::OnceCell;

/// How old what is known of a key may be.
const KEPT_FOR: Duration = Duration::from_secs(1);
/// Keys remembered at once, unknown ones included.
const KEYS_MAX: usize = 4096;
/// The longest access key id that is looked up.
const ACCESS_KEY_BYTES_MAX: usize = 128;

/// The root key. There is no default one.
#[derive(Clone, Debug)]
pub struct RootCredentials {
    /// Shown in requests.
    pub access_key_id: String,
    /// Signs them.
    pub secret_access_key: Secret,
}

/// Knows every access key.
pub(crate) struct PrincipalStore {
    root: Credential,
    client: Client,
    known: Mutex<HashMap<String, Entry>>,
    token_key: OnceCell<TokenKey>,
}

#[derive(Clone)]
struct Entry {
    found: Option<(Instant, Option<Known>)>,
    /// Held by whoever asks, so that others wait for one answer instead of asking for as many.
    asking: Arc<tokio::sync::Mutex<()>>,
}

/// A key that opens something, and what was read to find that out: read again only when it changed.
#[derive(Clone)]
struct Known {
    holder: Arc<KeyHolder>,
    credential: Credential,
}

impl PrincipalStore {
    pub fn new(root: RootCredentials, account: &Account, client: Client) -> Self {
        let caller = Caller {
            canonical_id: CanonicalId(account.canonical_id.clone()),
            account_id: account.account_id.clone(),
            user: "root".to_owned(),
            display_name: account.display_name.clone(),
            is_root: true,
            policies: Vec::new(),
            session: None,
        };
        let principal = Principal { access_key_id: root.access_key_id.into(), caller: Arc::new(caller) };
        let root = credential(root.secret_access_key, principal);
        Self { root, client, known: Mutex::default(), token_key: OnceCell::new() }
    }

    /// Whether this is the root key's id.
    pub fn is_root_key(&self, access_key_id: &str) -> bool {
        *self.root.principal.access_key_id == *access_key_id
    }

    /// The secret under which temporary credentials are made.
    pub async fn token_key(&self) -> Result<&TokenKey, Failure> {
        self.token_key.get_or_try_init(|| self.client.get_token_key()).await
    }

    async fn find(&self, access_key_id: &str) -> Result<Option<Credential>, CredentialStoreError> {
        if *self.root.principal.access_key_id == *access_key_id {
            return Ok(Some(self.root.clone()));
        }
        if access_key_id.len() > ACCESS_KEY_BYTES_MAX {
            return Ok(None);
        }
        if let Some(known) = self.fresh(access_key_id) {
            return Ok(known.map(|known| known.credential));
        }
        let asking = self.entry(access_key_id).asking.clone();
        let _one_at_a_time = asking.lock().await;
        if let Some(known) = self.fresh(access_key_id) {
            return Ok(known.map(|known| known.credential));
        }
        let asked_at = Instant::now();
        let holder = self.client.find_access_key(access_key_id.to_owned()).await.map_err(unavailable)?;
        let before = self.entry(access_key_id).found.and_then(|(_, known)| known);
        let known = holder.map(|holder| match before {
            Some(before) if *before.holder == holder => before,
            Some(_) | None => Known::new(access_key_id, holder),
        });
        if let Some(entry) = self.known().get_mut(access_key_id) {
            entry.found = Some((asked_at, known.clone()));
        }
        Ok(known.map(|known| known.credential))
    }

    async fn find_session(&self, access_key_id: &str, token: &str) -> Result<Option<Credential>, CredentialStoreError> {
        let key = self.token_key().await.map_err(unavailable)?;
        let claim = SessionClaim::open(token, key).filter(|claim| claim.access_key_id == access_key_id);
        let claim = claim.ok_or(CredentialStoreError::InvalidToken)?;
        let Some(parent) = self.find(&claim.parent_key_id).await? else { return Ok(None) };
        let secret = Secret::new(claim.secret_access_key(key));
        let session = Session {
            policy: claim.policy.as_deref().map(PolicySource::identity),
            role: claim.role,
            name: claim.session,
        };
        let caller = Caller { session: Some(session), ..(*parent.principal.caller).clone() };
        let principal = Principal { access_key_id: access_key_id.into(), caller: Arc::new(caller) };
        Ok(Some(Credential {
            session_token: Some(Secret::new(token)),
            expires_at_s: Some(claim.expires_at_s),
            ..credential(secret, principal)
        }))
    }

    fn fresh(&self, access_key_id: &str) -> Option<Option<Known>> {
        let known = self.known();
        let (at, found) = known.get(access_key_id)?.found.as_ref()?;
        (at.elapsed() < KEPT_FOR).then(|| found.clone())
    }

    fn entry(&self, access_key_id: &str) -> Entry {
        let mut known = self.known();
        if known.len() >= KEYS_MAX && !known.contains_key(access_key_id) {
            // Strangers' inventions first; if those are not enough, everything is asked for again.
            known.retain(|_, entry| matches!(&entry.found, Some((_, Some(_)))));
            if known.len() >= KEYS_MAX {
                known.clear();
            }
        }
        known.entry(access_key_id.to_owned()).or_insert_with(|| Entry { found: None, asking: Arc::default() }).clone()
    }

    fn known(&self) -> MutexGuard<'_, HashMap<String, Entry>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn new(access_key_id: &str, holder: KeyHolder) -> Known {
        let user = &holder.user;
        let caller = Caller {
            canonical_id: user.canonical_id.clone(),
            account_id: user.account_id.clone(),
            user: user.name.clone(),
            display_name: user.display_name.clone(),
            is_root: false,
            policies: holder.policies.iter().map(|document| PolicySource::identity(document)).collect(),
            session: None,
        };
        let principal = Principal { access_key_id: access_key_id.into(), caller: Arc::new(caller) };
        let credential = credential(Secret::new(holder.secret_key.0.as_str()), principal);
        Known { holder: Arc::new(holder), credential }
    }
}

fn credential(secret_access_key: Secret, principal: Principal) -> Credential {
    Credential { secret_access_key, session_token: None, expires_at_s: None, principal }
}

fn unavailable(failure: Failure) -> CredentialStoreError {
    CredentialStoreError::Unavailable { reason: failure.to_string() }
}

impl CredentialStore for PrincipalStore {
    fn lookup<'a>(
        &'a self,
        access_key_id: &'a str,
        session_token: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Option<Credential>, CredentialStoreError>> {
        if session_token.is_none() && self.is_root_key(access_key_id) {
            return Box::pin(std::future::ready(Ok(Some(self.root.clone()))));
        }
        Box::pin(async move {
            match session_token {
                Some(token) => self.find_session(access_key_id, token).await,
                None => self.find(access_key_id).await,
            }
        })
    }
}
