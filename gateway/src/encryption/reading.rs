//! Who may read an encrypted object's bytes, as AWS answers.
//!
//! Source: "Using server-side encryption with customer-provided keys (SSE-C)", Amazon S3 user guide.

use super::customer_key::CustomerKey;
use crate::error::{S3Error, S3ErrorCode};
use granary_protocol::encryption::{EncryptionMode, ObjectEncryption};

/// Judges the key sent with a request for an object that is kept so.
///
/// # Errors
/// `InvalidRequest` where a key is missing or not needed; `InvalidArgument` for another key than the object's.
pub fn check_key(kept: Option<&ObjectEncryption>, sent: Option<&CustomerKey>) -> Result<(), S3Error> {
    match (kept.map(|kept| &kept.mode), sent) {
        (Some(EncryptionMode::Customer { key_md5 }), Some(sent)) if sent.is_of(key_md5) => Ok(()),
        (Some(EncryptionMode::Customer { .. }), Some(_)) => Err(S3Error::with_message(
            S3ErrorCode::InvalidArgument,
            "Requests specifying Server Side Encryption with Customer provided keys must provide the correct secret key.",
        )
        .field("ArgumentName", "x-amz-server-side-encryption")),
        (Some(EncryptionMode::Customer { .. }), None) => Err(key_required()),
        (Some(EncryptionMode::S3 | EncryptionMode::Kms { .. } | EncryptionMode::DualKms { .. }) | None, Some(_)) => {
            Err(S3Error::invalid_request("The encryption parameters are not applicable to this object."))
        }
        (Some(EncryptionMode::S3 | EncryptionMode::Kms { .. } | EncryptionMode::DualKms { .. }) | None, None) => Ok(()),
    }
}

/// Judges the key sent with a part or with the completion of an upload that was created so.
///
/// # Errors
/// `InvalidRequest`.
pub fn check_upload_key(kept: Option<&ObjectEncryption>, sent: Option<&CustomerKey>) -> Result<(), S3Error> {
    let message = match (kept.map(|kept| &kept.mode), sent) {
        (Some(EncryptionMode::Customer { key_md5 }), Some(sent)) if sent.is_of(key_md5) => return Ok(()),
        (Some(EncryptionMode::S3 | EncryptionMode::Kms { .. } | EncryptionMode::DualKms { .. }) | None, None) => {
            return Ok(());
        }
        (Some(EncryptionMode::Customer { .. }), Some(_)) => {
            "The provided encryption parameters did not match the ones used originally."
        }
        (Some(EncryptionMode::Customer { .. }), None)
        | (Some(EncryptionMode::S3 | EncryptionMode::Kms { .. } | EncryptionMode::DualKms { .. }) | None, Some(_)) => {
            "The multipart upload initiate requested encryption. Subsequent part requests must include the appropriate \
             encryption parameters."
        }
    };
    Err(S3Error::invalid_request(message))
}

pub(super) fn key_required() -> S3Error {
    S3Error::invalid_request(
        "The object was stored using a form of Server Side Encryption. The correct parameters must be provided to \
         retrieve the object.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use granary_protocol::encryption::SealSalt;
    use granary_sealing::DataKey;

    fn kept(mode: EncryptionMode) -> Option<ObjectEncryption> {
        Some(ObjectEncryption { mode, wrapped_key: Vec::new(), salt: SealSalt([0; 16]) })
    }

    fn sent(md5: u8) -> Option<CustomerKey> {
        Some(CustomerKey { key: DataKey::new([0; 32]), md5: [md5; 16] })
    }

    #[test]
    fn keys_are_judged() {
        use S3ErrorCode::{InvalidArgument, InvalidRequest};
        let customer = || kept(EncryptionMode::Customer { key_md5: [1; 16] });
        let kms = EncryptionMode::Kms { key_id: "k".to_owned(), context: None, bucket_key: false };
        for (kept, sent, read, upload) in [
            (customer(), sent(1), None, None),
            (customer(), sent(2), Some(InvalidArgument), Some(InvalidRequest)),
            (customer(), None, Some(InvalidRequest), Some(InvalidRequest)),
            (None, None, None, None),
            (None, sent(1), Some(InvalidRequest), Some(InvalidRequest)),
            (kept(EncryptionMode::S3), None, None, None),
            (kept(EncryptionMode::S3), sent(1), Some(InvalidRequest), Some(InvalidRequest)),
            (kept(kms), sent(1), Some(InvalidRequest), Some(InvalidRequest)),
        ] {
            assert_eq!(check_key(kept.as_ref(), sent.as_ref()).err().map(|error| error.code()), read);
            assert_eq!(check_upload_key(kept.as_ref(), sent.as_ref()).err().map(|error| error.code()), upload);
        }
    }
}
