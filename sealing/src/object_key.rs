//! Which keys of the key store an object's data keys are under, and what is authenticated with them.

use crate::key_name::parse_kept_key_id;
use crate::key_store::{KeyName, KeyStore, KeyStoreError};
use crate::layers::LayerKeys;
use granary_protocol::encryption::{EncryptionMode, ObjectEncryption};

/// What is authenticated with the data key of an outer layer.
const OUTER_CONTEXT: &[u8] = b"granary data key outer layer";

/// What is authenticated with a wrapped data key: it opens only as the mode it was sealed for.
pub fn wrapping_context(mode: &EncryptionMode) -> Vec<u8> {
    match mode {
        EncryptionMode::S3 => b"granary data key s3".to_vec(),
        EncryptionMode::Kms { key_id, context, .. } => {
            kms_context(b"granary data key kms\0", key_id, context.as_deref())
        }
        EncryptionMode::DualKms { key_id, context } => {
            kms_context(b"granary data key inner layer\0", key_id, context.as_deref())
        }
        EncryptionMode::Customer { .. } => b"granary data key customer".to_vec(),
    }
}

fn kms_context(purpose: &[u8], key_id: &str, context: Option<&str>) -> Vec<u8> {
    [purpose, key_id.as_bytes(), b"\0", context.unwrap_or_default().as_bytes()].concat()
}

/// The key above an object's data key, that of the inner layer if there are two; `None` if only the client has it (SSE-C). Which region an ARN names was judged when
/// the object was written.
///
/// # Errors
/// `InvalidName` for an id that can name no key.
pub fn key_name_of(mode: &EncryptionMode) -> Result<Option<KeyName>, KeyStoreError> {
    match mode {
        EncryptionMode::S3 => Ok(Some(KeyName::Store)),
        EncryptionMode::Kms { key_id, .. } | EncryptionMode::DualKms { key_id, .. } => {
            parse_kept_key_id(key_id).map(Some).map_err(|_| KeyStoreError::InvalidName(key_id.clone()))
        }
        EncryptionMode::Customer { .. } => Ok(None),
    }
}

/// Whether objects of this mode have tags that say nothing of their bytes, as AWS has it for all modes but SSE-S3.
pub fn hides_md5(mode: &EncryptionMode) -> bool {
    match mode {
        EncryptionMode::S3 => false,
        EncryptionMode::Kms { .. } | EncryptionMode::DualKms { .. } | EncryptionMode::Customer { .. } => true,
    }
}

/// Wraps the data keys of an object under keys of the store; `None` if they are to be under the client's (SSE-C).
///
/// # Errors
/// The key store's.
pub async fn wrap_data_keys(
    store: &dyn KeyStore,
    mode: &EncryptionMode,
    keys: &LayerKeys,
) -> Result<Option<Vec<u8>>, KeyStoreError> {
    assert_eq!(mode.is_dual_layer(), keys.inner.is_some(), "an object has a data key for each of its layers");
    let Some(name) = key_name_of(mode)? else { return Ok(None) };
    let context = wrapping_context(mode);
    let Some(inner) = &keys.inner else { return store.wrap(&name, &context, &keys.outer).await.map(Some) };
    let inner = store.wrap(&name, &context, inner).await?;
    let outer = store.wrap(&KeyName::Store, OUTER_CONTEXT, &keys.outer).await?;
    Ok(Some(joined(&outer, &inner)))
}

/// Opens the data keys of an object that are under keys of the store; `None` if only the client can (SSE-C).
///
/// # Errors
/// The key store's; `NotAuthentic` for what is not one wrapped key for each layer.
pub async fn open_data_keys(store: &dyn KeyStore, kept: &ObjectEncryption) -> Result<Option<LayerKeys>, KeyStoreError> {
    let Some(name) = key_name_of(&kept.mode)? else { return Ok(None) };
    let context = wrapping_context(&kept.mode);
    if !kept.mode.is_dual_layer() {
        let only = store.unwrap(&name, &context, &kept.wrapped_key).await?;
        return Ok(Some(only.into()));
    }
    let not_two = || KeyStoreError::NotAuthentic("the data keys of two layers".to_owned());
    let (outer, inner) = parted(&kept.wrapped_key).ok_or_else(not_two)?;
    let inner = store.unwrap(&name, &context, inner).await?;
    let outer = store.unwrap(&KeyName::Store, OUTER_CONTEXT, outer).await?;
    Ok(Some(LayerKeys::dual(outer, inner)))
}

/// The wrapped keys of two layers as one: `length of the outer one (2 bytes, big endian) | outer | inner`.
fn joined(outer: &[u8], inner: &[u8]) -> Vec<u8> {
    let length = u16::try_from(outer.len()).expect("a wrapped key has some dozen bytes");
    [&length.to_be_bytes()[..], outer, inner].concat()
}

/// Undoes [`joined`].
fn parted(both: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, keys) = both.split_first_chunk::<2>()?;
    keys.split_at_checked(usize::from(u16::from_be_bytes(*length)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_data_key_of_one_mode_is_none_of_another() {
        let kms = |key_id: &str, context: Option<&str>| EncryptionMode::Kms {
            key_id: key_id.to_owned(),
            context: context.map(str::to_owned),
            bucket_key: false,
        };
        let contexts = [
            wrapping_context(&EncryptionMode::S3),
            wrapping_context(&EncryptionMode::Customer { key_md5: [0; 16] }),
            wrapping_context(&kms("a", None)),
            wrapping_context(&kms("b", None)),
            wrapping_context(&kms("a", Some("e30="))),
            wrapping_context(&EncryptionMode::DualKms { key_id: "a".to_owned(), context: None }),
            OUTER_CONTEXT.to_vec(),
        ];
        for (at, context) in contexts.iter().enumerate() {
            assert!(!contexts[..at].contains(context));
        }
    }

    #[test]
    fn a_customers_key_is_none_of_the_stores() {
        let mode = EncryptionMode::Customer { key_md5: [0; 16] };
        assert_eq!(key_name_of(&mode).unwrap(), None);
        assert_eq!(key_name_of(&EncryptionMode::S3).unwrap(), Some(KeyName::Store));
        let kms = |key_id: &str| EncryptionMode::Kms { key_id: key_id.to_owned(), context: None, bucket_key: false };
        let named = key_name_of(&kms("arn:aws:kms:eu-west-1:1:key/k")).unwrap();
        assert_eq!(named, Some(KeyName::Kms("k".to_owned())));
        assert!(matches!(key_name_of(&kms("no key")), Err(KeyStoreError::InvalidName(_))));
        let dual = EncryptionMode::DualKms { key_id: "alias/k".to_owned(), context: None };
        assert_eq!(key_name_of(&dual).unwrap(), Some(KeyName::Kms("k".to_owned())));
    }

    #[test]
    fn two_wrapped_keys_are_told_apart() {
        let both = joined(b"outer", b"inner key");
        assert_eq!(parted(&both), Some((&b"outer"[..], &b"inner key"[..])));
        assert_eq!(parted(&[]), None);
        assert_eq!(parted(&both[..4]), None);
    }
}
