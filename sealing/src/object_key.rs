//! Which key of the key store an object's data key is under, and what is authenticated with it.

use crate::data_key::DataKey;
use crate::key_name::parse_kept_key_id;
use crate::key_store::{KeyName, KeyStore, KeyStoreError};
use granary_protocol::encryption::{EncryptionMode, ObjectEncryption};

/// What is authenticated with a wrapped data key: it opens only as the mode it was sealed for.
pub fn wrapping_context(mode: &EncryptionMode) -> Vec<u8> {
    match mode {
        EncryptionMode::S3 => b"granary data key s3".to_vec(),
        EncryptionMode::Kms { key_id, context, .. } => {
            let context = context.as_deref().unwrap_or_default();
            [b"granary data key kms\0", key_id.as_bytes(), b"\0", context.as_bytes()].concat()
        }
        EncryptionMode::Customer { .. } => b"granary data key customer".to_vec(),
    }
}

/// The key above an object's data key; `None` if only the client has it (SSE-C). Which region an ARN names was judged when
/// the object was written.
///
/// # Errors
/// `InvalidName` for an id that can name no key.
pub fn key_name_of(mode: &EncryptionMode) -> Result<Option<KeyName>, KeyStoreError> {
    match mode {
        EncryptionMode::S3 => Ok(Some(KeyName::Store)),
        EncryptionMode::Kms { key_id, .. } => {
            parse_kept_key_id(key_id).map(Some).map_err(|_| KeyStoreError::InvalidName(key_id.clone()))
        }
        EncryptionMode::Customer { .. } => Ok(None),
    }
}

/// Whether objects of this mode have tags that say nothing of their bytes, as AWS has it for SSE-KMS and SSE-C.
pub fn hides_md5(mode: &EncryptionMode) -> bool {
    match mode {
        EncryptionMode::S3 => false,
        EncryptionMode::Kms { .. } | EncryptionMode::Customer { .. } => true,
    }
}

/// Opens the data key of an object that is under a key of the store; `None` if only the client can (SSE-C).
///
/// # Errors
/// The key store's.
pub async fn open_data_key(keys: &dyn KeyStore, kept: &ObjectEncryption) -> Result<Option<DataKey>, KeyStoreError> {
    let Some(name) = key_name_of(&kept.mode)? else { return Ok(None) };
    keys.unwrap(&name, &wrapping_context(&kept.mode), &kept.wrapped_key).await.map(Some)
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
    }
}
