//! Short secrets that the store keeps for itself, such as the credentials of other stores: sealed under a random key, which
//! is sealed under the store's key. The context is authenticated: a secret opens only where it belongs.

use crate::data_key::{DataKey, derive};
use crate::key_store::{KeyName, KeyStore, KeyStoreError};
use crate::wrapping::WRAPPED_BYTES;
use ring::aead::{Aad, NONCE_LEN, Nonce};
use zeroize::Zeroizing;

const PURPOSE: &[u8] = b"granary secret 1";

/// Seals `secret` for `context`: the sealed key, then the secret and its tag.
///
/// # Errors
/// The key store's.
pub async fn seal_secret(store: &dyn KeyStore, context: &[u8], secret: &[u8]) -> Result<Vec<u8>, KeyStoreError> {
    let key = DataKey::generate()?;
    let mut sealed = store.wrap(&KeyName::Store, context, &key).await?;
    assert_eq!(sealed.len(), WRAPPED_BYTES, "a wrapped key has one length");
    let mut bytes = Zeroizing::new(secret.to_vec());
    let once = derive(key.expose(), &[], PURPOSE);
    let tag = once.seal_in_place_separate_tag(only_nonce(), Aad::from(context), &mut bytes);
    sealed.extend_from_slice(&bytes);
    sealed.extend_from_slice(tag.expect("a secret is shorter than what AES-GCM can seal").as_ref());
    Ok(sealed)
}

/// Opens what [`seal_secret`] made.
///
/// # Errors
/// `NotAuthentic` for anything else, and the key store's.
pub async fn open_secret(
    store: &dyn KeyStore,
    context: &[u8],
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, KeyStoreError> {
    let strange = || KeyStoreError::NotAuthentic("of the store".to_owned());
    let (wrapped, rest) = sealed.split_at_checked(WRAPPED_BYTES).ok_or_else(strange)?;
    let key = store.unwrap(&KeyName::Store, context, wrapped).await?;
    let once = derive(key.expose(), &[], PURPOSE);
    let mut bytes = Zeroizing::new(rest.to_vec());
    let length = match once.open_in_place(only_nonce(), Aad::from(context), &mut bytes) {
        Ok(plain) => plain.len(),
        Err(_) => return Err(strange()),
    };
    bytes.truncate(length);
    Ok(bytes)
}

/// Every key seals one secret.
fn only_nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; NONCE_LEN])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key_store::{KeyDescription, MasterKeyStanding};
    use crate::wrapping;
    use futures_util::future::BoxFuture;

    /// One key for everything.
    struct OneKey(DataKey);

    impl KeyStore for OneKey {
        fn wrap<'a>(
            &'a self,
            _key: &'a KeyName,
            context: &'a [u8],
            data_key: &'a DataKey,
        ) -> BoxFuture<'a, Result<Vec<u8>, KeyStoreError>> {
            Box::pin(async move { Ok(wrapping::wrap(&self.0, context, data_key)?) })
        }

        fn unwrap<'a>(
            &'a self,
            _key: &'a KeyName,
            context: &'a [u8],
            wrapped: &'a [u8],
        ) -> BoxFuture<'a, Result<DataKey, KeyStoreError>> {
            let opened = wrapping::unwrap(&self.0, context, wrapped);
            Box::pin(async move { opened.ok_or_else(|| KeyStoreError::NotAuthentic("one".to_owned())) })
        }

        fn master_key(&self, _reseals: bool) -> BoxFuture<'_, Result<MasterKeyStanding, KeyStoreError>> {
            Box::pin(async { Ok(MasterKeyStanding::default()) })
        }

        fn create<'a>(&'a self, _name: &'a str) -> BoxFuture<'a, Result<(), KeyStoreError>> {
            Box::pin(async { Ok(()) })
        }

        fn list(
            &self,
            _after: Option<String>,
            _limit: u32,
        ) -> BoxFuture<'_, Result<(Vec<KeyDescription>, bool), KeyStoreError>> {
            Box::pin(async { Ok((Vec::new(), false)) })
        }

        fn set_disabled<'a>(&'a self, _name: &'a str, _disabled: bool) -> BoxFuture<'a, Result<(), KeyStoreError>> {
            Box::pin(async { Ok(()) })
        }
    }

    #[tokio::test]
    async fn a_secret_opens_only_where_it_belongs() {
        let (store, other) = (OneKey(DataKey::new([1; 32])), OneKey(DataKey::new([2; 32])));
        let sealed = seal_secret(&store, b"here", b"wJalrXUtnFEMI").await.unwrap();
        assert!(!sealed.windows(4).any(|window| window == b"wJal"));
        assert_eq!(open_secret(&store, b"here", &sealed).await.unwrap().as_slice(), b"wJalrXUtnFEMI");
        assert!(open_secret(&store, b"there", &sealed).await.is_err());
        assert!(open_secret(&other, b"here", &sealed).await.is_err());
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(open_secret(&store, b"here", &changed).await.is_err(), "byte {at}");
        }
        assert!(open_secret(&store, b"here", &sealed[..WRAPPED_BYTES - 1]).await.is_err());
        assert_ne!(seal_secret(&store, b"here", b"wJalrXUtnFEMI").await.unwrap(), sealed);
    }
}
