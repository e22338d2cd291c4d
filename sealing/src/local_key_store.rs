//! The key store that comes with the store: keys wrapped under the master key and kept in the namenode.
//!
//! Invariants: a key in clear is only in this process's memory; a key once made is never replaced, so whoever makes it
//! first wins and all processes use the same one. That a key was disabled is noticed within [`CACHED_FOR`].

use crate::data_key::DataKey;
use crate::key_name::{STORE_KEY, is_key_name};
use crate::key_store::{KeyDescription, KeyName, KeyStore, KeyStoreError, MasterKeyStanding};
use crate::master_key::MasterKey;
use crate::wrapping;
use futures_util::future::BoxFuture;
use granary_client::Client;
use granary_protocol::namenode::{NamenodeReply, NamenodeRequest};
use granary_protocol::object::PAGE_ENTRIES_MAX;
use granary_protocol::user::EncryptionKey;
use granary_protocol::{ErrorCode, Failure};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// How long a fetched key is believed to be as it was.
pub const CACHED_FOR: Duration = Duration::from_secs(5);
/// The most keys kept in memory.
const CACHED_MAX: usize = 1024;

/// Keeps keys in the namenode.
pub struct LocalKeyStore {
    client: Client,
    master: MasterKey,
    /// Whether a KMS key that does not exist is made when an object is first encrypted under it.
    create_missing: bool,
    cache: Mutex<HashMap<String, Cached>>,
}

#[derive(Clone)]
struct Cached {
    key: Arc<DataKey>,
    disabled: bool,
    fetched: Instant,
}

impl LocalKeyStore {
    /// A store of the keys that `client`'s namenode keeps and `master` opens.
    pub fn new(client: Client, master: MasterKey, create_missing: bool) -> Self {
        Self { client, master, create_missing, cache: Mutex::default() }
    }

    /// The key for sealing: made now if it is missing and may be made.
    async fn key_to_seal(&self, name: &KeyName) -> Result<Arc<DataKey>, KeyStoreError> {
        let (id, may_create) = match name {
            KeyName::Store => (STORE_KEY, true),
            KeyName::Kms(name) => (name.as_str(), self.create_missing || name == crate::key_store::DEFAULT_KMS_KEY),
        };
        match self.enabled(id).await {
            Err(KeyStoreError::NotFound(_)) if may_create => {
                match self.add(id).await {
                    // Another process was quicker: its key is the key.
                    Err(KeyStoreError::Unavailable(failure)) if failure.code == ErrorCode::EntityAlreadyExists => {}
                    other => other?,
                }
                self.enabled(id).await
            }
            other => other,
        }
    }

    async fn enabled(&self, id: &str) -> Result<Arc<DataKey>, KeyStoreError> {
        let cached = match self.cached(id) {
            Some(cached) => cached,
            None => self.fetch(id).await?,
        };
        if cached.disabled { Err(KeyStoreError::Disabled(id.to_owned())) } else { Ok(cached.key) }
    }

    async fn fetch(&self, id: &str) -> Result<Cached, KeyStoreError> {
        let reply = self.client.call(NamenodeRequest::GetEncryptionKey { key_id: id.to_owned() }).await?;
        let kept = match reply {
            NamenodeReply::EncryptionKey(Some(kept)) => kept,
            NamenodeReply::EncryptionKey(None) => return Err(KeyStoreError::NotFound(id.to_owned())),
            _other => return Err(unexpected().into()),
        };
        let (key, _is_current) = self
            .master
            .open(&context(id), &kept.wrapped)
            .ok_or_else(|| KeyStoreError::WrongMasterKey(id.to_owned()))?;
        let cached = Cached { key: Arc::new(key), disabled: kept.disabled, fetched: Instant::now() };
        let mut cache = self.cache();
        if cache.len() >= CACHED_MAX {
            cache.retain(|_, cached| cached.is_fresh());
        }
        if cache.len() >= CACHED_MAX {
            cache.clear();
        }
        cache.insert(id.to_owned(), cached.clone());
        Ok(cached)
    }

    async fn add(&self, id: &str) -> Result<(), KeyStoreError> {
        let wrapped = wrapping::wrap(self.master.key(), &context(id), &DataKey::generate()?)?;
        let request = NamenodeRequest::AddEncryptionKey { key_id: id.to_owned(), wrapped };
        match self.client.call(request).await? {
            NamenodeReply::Done => {
                tracing::info!(key = id, "an encryption key was made");
                Ok(())
            }
            _other => Err(unexpected().into()),
        }
    }

    /// Seals a key anew under the current master key. `false` if another gateway has changed it meanwhile.
    async fn reseal(&self, kept: EncryptionKey, key: &DataKey) -> Result<bool, KeyStoreError> {
        let to = wrapping::wrap(self.master.key(), &context(&kept.key_id), key)?;
        let request = NamenodeRequest::ReplaceEncryptionKey { key_id: kept.key_id, from: kept.wrapped, to };
        match self.client.call(request).await {
            Ok(NamenodeReply::Done) => Ok(true),
            Ok(_other) => Err(unexpected().into()),
            Err(failure) if failure.code == ErrorCode::Conflict => Ok(false),
            Err(failure) => Err(failure.into()),
        }
    }

    /// Counts every key by the master key that opens it, the store's own included; reseals those of others if asked to.
    async fn judge_all(&self, reseals: bool) -> Result<MasterKeyStanding, KeyStoreError> {
        let mut standing = MasterKeyStanding::default();
        let mut after = None;
        loop {
            let request = NamenodeRequest::ListEncryptionKeys { after, limit: PAGE_ENTRIES_MAX };
            let NamenodeReply::EncryptionKeys { keys, truncated } = self.client.call(request).await? else {
                return Err(unexpected().into());
            };
            after = keys.last().map(|last| last.key_id.clone());
            let is_last = !truncated || keys.is_empty();
            for kept in keys {
                match self.master.open(&context(&kept.key_id), &kept.wrapped) {
                    Some((_, true)) => standing.current += 1,
                    Some((key, false)) if reseals && self.reseal(kept, &key).await? => {
                        standing.current += 1;
                        standing.resealed += 1;
                    }
                    Some((_, false)) => standing.other += 1,
                    None => standing.unknown += 1,
                }
            }
            if is_last {
                return Ok(standing);
            }
        }
    }

    fn cached(&self, id: &str) -> Option<Cached> {
        self.cache().get(id).filter(|cached| cached.is_fresh()).cloned()
    }

    fn cache(&self) -> std::sync::MutexGuard<'_, HashMap<String, Cached>> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Cached {
    fn is_fresh(&self) -> bool {
        self.fetched.elapsed() < CACHED_FOR
    }
}

/// A wrapped key is good under its own name only.
fn context(id: &str) -> Vec<u8> {
    [b"granary encryption key\0", id.as_bytes()].concat()
}

fn unexpected() -> Failure {
    Failure::new(ErrorCode::Internal, "the namenode answered another question")
}

fn check_name(name: &str) -> Result<(), KeyStoreError> {
    if is_key_name(name) { Ok(()) } else { Err(KeyStoreError::InvalidName(name.to_owned())) }
}

impl KeyStore for LocalKeyStore {
    fn wrap<'a>(
        &'a self,
        key: &'a KeyName,
        context: &'a [u8],
        data_key: &'a DataKey,
    ) -> BoxFuture<'a, Result<Vec<u8>, KeyStoreError>> {
        Box::pin(async move {
            let wrapping = self.key_to_seal(key).await?;
            Ok(wrapping::wrap(&wrapping, context, data_key)?)
        })
    }

    fn unwrap<'a>(
        &'a self,
        key: &'a KeyName,
        context: &'a [u8],
        wrapped: &'a [u8],
    ) -> BoxFuture<'a, Result<DataKey, KeyStoreError>> {
        Box::pin(async move {
            let id = match key {
                KeyName::Store => STORE_KEY,
                KeyName::Kms(name) => name.as_str(),
            };
            let wrapping = self.enabled(id).await?;
            let data_key = wrapping::unwrap(&wrapping, context, wrapped);
            data_key.ok_or_else(|| KeyStoreError::NotAuthentic(id.to_owned()))
        })
    }

    fn master_key(&self, reseals: bool) -> BoxFuture<'_, Result<MasterKeyStanding, KeyStoreError>> {
        Box::pin(self.judge_all(reseals))
    }

    fn create<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<(), KeyStoreError>> {
        Box::pin(async move {
            check_name(name)?;
            self.add(name).await
        })
    }

    fn list(
        &self,
        after: Option<String>,
        limit: u32,
    ) -> BoxFuture<'_, Result<(Vec<KeyDescription>, bool), KeyStoreError>> {
        Box::pin(async move {
            match self.client.call(NamenodeRequest::ListEncryptionKeys { after, limit }).await? {
                NamenodeReply::EncryptionKeys { keys, truncated } => {
                    let named = keys.into_iter().filter(|key| is_key_name(&key.key_id));
                    Ok((named.map(KeyDescription::from).collect(), truncated))
                }
                _other => Err(unexpected().into()),
            }
        })
    }

    fn set_disabled<'a>(&'a self, name: &'a str, disabled: bool) -> BoxFuture<'a, Result<(), KeyStoreError>> {
        Box::pin(async move {
            check_name(name)?;
            let request = NamenodeRequest::SetEncryptionKeyDisabled { key_id: name.to_owned(), disabled };
            let answer = self.client.call(request).await;
            self.cache().remove(name);
            match answer {
                Ok(NamenodeReply::Done) => Ok(()),
                Ok(_other) => Err(unexpected().into()),
                Err(failure) if failure.code == ErrorCode::NoSuchEntity => {
                    Err(KeyStoreError::NotFound(name.to_owned()))
                }
                Err(failure) => Err(failure.into()),
            }
        })
    }
}
