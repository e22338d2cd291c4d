//! SSE-C: the key a request brings along.
//!
//! The key is used and forgotten. What is kept of it is its MD5, by which the client shows later that it has the same.
//!
//! Source: "Using server-side encryption with customer-provided keys (SSE-C)", Amazon S3 user guide.

use crate::error::{S3Error, S3ErrorCode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use granary_sealing::{DataKey, KEY_BYTES};
use http::HeaderMap;
use md5::{Digest as _, Md5};
use subtle::ConstantTimeEq as _;

/// The argument that AWS names in every error about a customer's key.
const ARGUMENT: &str = "x-amz-server-side-encryption";

/// The three headers that bring a key.
struct Names {
    /// What all three begin with.
    prefix: &'static str,
    algorithm: &'static str,
    key: &'static str,
    md5: &'static str,
}

const OBJECT: Names = Names {
    prefix: "x-amz-server-side-encryption-customer-",
    algorithm: "x-amz-server-side-encryption-customer-algorithm",
    key: "x-amz-server-side-encryption-customer-key",
    md5: "x-amz-server-side-encryption-customer-key-md5",
};
const COPY_SOURCE: Names = Names {
    prefix: "x-amz-copy-source-server-side-encryption-customer-",
    algorithm: "x-amz-copy-source-server-side-encryption-customer-algorithm",
    key: "x-amz-copy-source-server-side-encryption-customer-key",
    md5: "x-amz-copy-source-server-side-encryption-customer-key-md5",
};

/// A key that a client sent.
#[derive(Debug)]
pub struct CustomerKey {
    pub(super) key: DataKey,
    pub(super) md5: [u8; 16],
}

impl CustomerKey {
    /// The key for the object a request reads or writes.
    ///
    /// # Errors
    /// As AWS: `InvalidArgument`, and `InvalidEncryptionAlgorithmError` for anything but AES256.
    pub fn of_object(headers: &HeaderMap) -> Result<Option<Self>, S3Error> {
        Self::read(headers, &OBJECT)
    }

    /// The key of a copy's source.
    ///
    /// # Errors
    /// As [`CustomerKey::of_object`].
    pub fn of_copy_source(headers: &HeaderMap) -> Result<Option<Self>, S3Error> {
        Self::read(headers, &COPY_SOURCE)
    }

    /// Whether this is the key whose MD5 was kept.
    pub(super) fn is_of(&self, key_md5: &[u8; 16]) -> bool {
        self.md5.ct_eq(key_md5).into()
    }

    fn read(headers: &HeaderMap, names: &Names) -> Result<Option<Self>, S3Error> {
        if !headers.keys().any(|name| name.as_str().starts_with(names.prefix)) {
            return Ok(None);
        }
        let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or_default().trim());
        let present = |name: &str| text(name).filter(|text| !text.is_empty());
        let (algorithm, key, md5) = (present(names.algorithm), present(names.key), present(names.md5));
        if algorithm.is_none() && key.is_none() && md5.is_none() {
            return Ok(None);
        }
        let algorithm = algorithm.ok_or_else(|| invalid(MISSING_ALGORITHM))?;
        if algorithm != "AES256" {
            return Err(S3Error::with_message(
                S3ErrorCode::InvalidEncryptionAlgorithmError,
                "The Encryption request you specified is not valid. Supported value: AES256.",
            )
            .field("ArgumentName", ARGUMENT)
            .field("ArgumentValue", algorithm));
        }
        let key = key.ok_or_else(|| invalid(MISSING_KEY))?;
        let sent_md5 = md5.ok_or_else(|| invalid(MISSING_MD5))?;
        let decoded = zeroize::Zeroizing::new(STANDARD.decode(key).map_err(|_| invalid(WRONG_KEY))?);
        let key: [u8; KEY_BYTES] = decoded.as_slice().try_into().map_err(|_| invalid(WRONG_KEY))?;
        let md5: [u8; 16] = Md5::digest(key).into();
        if STANDARD.decode(sent_md5).ok().as_deref() != Some(&md5[..]) {
            return Err(invalid(WRONG_MD5));
        }
        Ok(Some(Self { key: DataKey::new(key), md5 }))
    }
}

/// Refuses a request that brings a key through a connection that others may listen to.
///
/// # Errors
/// `InvalidRequest`, as AWS answers over plain HTTP.
pub fn refuse_customer_key(headers: &HeaderMap) -> Result<(), S3Error> {
    let names = [OBJECT.algorithm, OBJECT.key, OBJECT.md5, COPY_SOURCE.algorithm, COPY_SOURCE.key, COPY_SOURCE.md5];
    match names.iter().any(|name| headers.contains_key(*name)) {
        false => Ok(()),
        true => Err(S3Error::invalid_request(
            "Requests specifying Server Side Encryption with Customer provided keys must be made over a secure connection.",
        )),
    }
}

const MISSING_ALGORITHM: &str = "Requests specifying Server Side Encryption with Customer provided keys must provide a \
    valid encryption algorithm.";
const MISSING_KEY: &str = "Requests specifying Server Side Encryption with Customer provided keys must provide an \
    appropriate secret key.";
const MISSING_MD5: &str = "Requests specifying Server Side Encryption with Customer provided keys must provide the client \
    calculated MD5 of the secret key.";
const WRONG_KEY: &str = "The secret key was invalid for the specified algorithm.";
const WRONG_MD5: &str = "The calculated MD5 hash of the key did not match the hash that was provided.";

/// `InvalidArgument` that does not repeat the value: it might be a key.
fn invalid(message: &'static str) -> S3Error {
    S3Error::with_message(S3ErrorCode::InvalidArgument, message).field("ArgumentName", ARGUMENT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderName, HeaderValue};

    const KEY: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pairs = pairs.iter();
        pairs.map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())).collect()
    }

    fn md5() -> String {
        STANDARD.encode(Md5::digest([1; 32]))
    }

    #[test]
    fn a_key_is_read_with_its_hash() {
        let sent = headers(&[(OBJECT.algorithm, "AES256"), (OBJECT.key, KEY), (OBJECT.md5, &md5())]);
        let key = CustomerKey::of_object(&sent).unwrap().unwrap();
        assert_eq!(key.key.expose(), &[1; 32]);
        assert!(key.is_of(&Md5::digest([1; 32]).into()) && !key.is_of(&[0; 16]));
        assert!(CustomerKey::of_copy_source(&sent).unwrap().is_none());
        assert!(CustomerKey::of_object(&HeaderMap::new()).unwrap().is_none());
        assert!(!format!("{key:?}").contains(KEY));
    }

    #[test]
    fn refusals_are_those_of_aws() {
        use S3ErrorCode::{InvalidArgument, InvalidEncryptionAlgorithmError};
        let md5 = md5();
        let short = STANDARD.encode([1; 16]);
        let zero = STANDARD.encode([0; 16]);
        for (algorithm, key, md5, code, message) in [
            ("", KEY, md5.as_str(), InvalidArgument, MISSING_ALGORITHM),
            ("AES256", "", "", InvalidArgument, MISSING_KEY),
            ("AES256", KEY, "", InvalidArgument, MISSING_MD5),
            ("AES256", "x", md5.as_str(), InvalidArgument, WRONG_KEY),
            ("AES256", short.as_str(), md5.as_str(), InvalidArgument, WRONG_KEY),
            ("AES256", KEY, zero.as_str(), InvalidArgument, WRONG_MD5),
            (
                "KMS",
                KEY,
                md5.as_str(),
                InvalidEncryptionAlgorithmError,
                "The Encryption request you specified is not valid. Supported value: AES256.",
            ),
        ] {
            for names in [OBJECT, COPY_SOURCE] {
                let sent = headers(&[(names.algorithm, algorithm), (names.key, key), (names.md5, md5)]);
                let error = CustomerKey::read(&sent, &names).unwrap_err();
                assert_eq!((error.code(), error.message()), (code, message));
                assert_eq!(error.get_field("ArgumentName"), Some(ARGUMENT));
                assert!(!error.to_xml("", "").contains(KEY), "a key is not repeated");
            }
        }
    }
}
