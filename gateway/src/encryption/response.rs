//! The headers that say how an object is encrypted. They are sent only for bytes that are.

use super::asked::{BUCKET_KEY, CONTEXT, DUAL_KMS, KEY_ID, KMS, METHOD};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use granary_protocol::encryption::{EncryptionMode, ObjectEncryption};
use http::header::{HeaderMap, HeaderName, HeaderValue};

const CUSTOMER_ALGORITHM: HeaderName = HeaderName::from_static("x-amz-server-side-encryption-customer-algorithm");
const CUSTOMER_MD5: HeaderName = HeaderName::from_static("x-amz-server-side-encryption-customer-key-md5");

/// What reads and writes answer.
pub fn insert_encryption(headers: &mut HeaderMap, kept: Option<&ObjectEncryption>) {
    let Some(kept) = kept else { return };
    match &kept.mode {
        EncryptionMode::S3 => {
            headers.insert(METHOD, HeaderValue::from_static("AES256"));
        }
        EncryptionMode::Kms { key_id, context: _, bucket_key } => {
            insert_kms(headers, KMS, key_id);
            if *bucket_key {
                headers.insert(BUCKET_KEY, HeaderValue::from_static("true"));
            }
        }
        EncryptionMode::DualKms { key_id, context: _ } => insert_kms(headers, DUAL_KMS, key_id),
        EncryptionMode::Customer { key_md5 } => {
            let md5 = STANDARD.encode(key_md5);
            headers.insert(CUSTOMER_ALGORITHM, HeaderValue::from_static("AES256"));
            headers.insert(CUSTOMER_MD5, HeaderValue::from_str(&md5).expect("base64 is visible ASCII"));
        }
    }
}

fn insert_kms(headers: &mut HeaderMap, method: &'static str, key_id: &str) {
    headers.insert(METHOD, HeaderValue::from_static(method));
    if let Ok(key_id) = HeaderValue::from_str(key_id) {
        headers.insert(KEY_ID, key_id);
    }
}

/// What PUT, copy and the creation of an upload answer: the context they were given as well.
pub fn insert_new_encryption(headers: &mut HeaderMap, kept: Option<&ObjectEncryption>) {
    insert_encryption(headers, kept);
    let Some(kept) = kept else { return };
    if let EncryptionMode::Kms { context: Some(context), .. } | EncryptionMode::DualKms { context: Some(context), .. } =
        &kept.mode
        && let Ok(context) = HeaderValue::from_str(context)
    {
        headers.insert(CONTEXT, context);
    }
}
