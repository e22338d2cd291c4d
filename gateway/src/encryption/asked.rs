//! What a request asks for the object it writes: the encryption headers of PUT, POST, CopyObject and
//! CreateMultipartUpload. Pure.

use super::customer_key::CustomerKey;
use crate::error::S3Error;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use std::collections::HashMap;

/// `x-amz-server-side-encryption`.
pub(super) const METHOD: &str = "x-amz-server-side-encryption";
/// The KMS key.
pub(super) const KEY_ID: &str = "x-amz-server-side-encryption-aws-kms-key-id";
/// The encryption context.
pub(super) const CONTEXT: &str = "x-amz-server-side-encryption-context";
/// Whether a bucket key is used.
pub(super) const BUCKET_KEY: &str = "x-amz-server-side-encryption-bucket-key-enabled";

/// The method of SSE-KMS.
pub(super) const KMS: &str = "aws:kms";
/// The method of DSSE-KMS.
pub(super) const DUAL_KMS: &str = "aws:kms:dsse";

/// The longest encryption context, as it is sent.
const CONTEXT_BYTES_MAX: usize = 8 << 10;

/// What a request says.
#[derive(Debug)]
pub enum Asked {
    /// Nothing of a method: the bucket's default holds.
    Nothing {
        /// Whether to use a bucket key if the default is KMS, where the request says.
        bucket_key: Option<bool>,
    },
    /// SSE-S3.
    S3,
    /// SSE-KMS, in one layer or two (DSSE-KMS).
    Kms {
        /// The key, as named.
        key_id: Option<String>,
        /// The context, as sent.
        context: Option<String>,
        /// Whether to use a bucket key.
        bucket_key: Option<bool>,
        /// Whether in two layers.
        dual_layer: bool,
    },
    /// SSE-C.
    Customer(CustomerKey),
}

impl Asked {
    /// Reads the headers.
    ///
    /// # Errors
    /// `InvalidArgument` for headers that contradict each other or say nothing known, and those of [`CustomerKey::of_object`].
    pub fn read(headers: &HeaderMap) -> Result<Self, S3Error> {
        let method = text(headers, METHOD);
        let key_id = text(headers, KEY_ID);
        if let Some(customer) = CustomerKey::of_object(headers)? {
            return match method.or(key_id) {
                None => Ok(Self::Customer(customer)),
                Some(other) => Err(S3Error::invalid_argument(
                    "Server Side Encryption with Customer provided key is incompatible with the encryption method \
                     specified",
                    METHOD,
                    other,
                )),
            };
        }
        let bucket_key = bucket_key(headers)?;
        let context = text(headers, CONTEXT);
        match method {
            Some(kms @ (KMS | DUAL_KMS)) => {
                let key_id = key_id.map(str::to_owned);
                let context = context.map(check_context).transpose()?;
                Ok(Self::Kms { key_id, context, bucket_key, dual_layer: kms == DUAL_KMS })
            }
            Some(other) if other != "AES256" => {
                Err(S3Error::invalid_argument("The encryption method specified is not supported", METHOD, other))
            }
            other => match key_id.map(|_| KEY_ID).or(context.map(|_| CONTEXT)) {
                Some(only_for_kms) => Err(S3Error::invalid_argument(
                    "Server Side Encryption with AWS KMS managed key requires HTTP header \
                     x-amz-server-side-encryption : aws:kms",
                    METHOD,
                    other.unwrap_or(only_for_kms),
                )),
                None if other.is_some() => Ok(Self::S3),
                None => Ok(Self::Nothing { bucket_key }),
            },
        }
    }
}

/// Refuses a read that names a method: what an object is encrypted with is known.
///
/// # Errors
/// `InvalidArgument`.
pub fn refuse_method_on_read(headers: &HeaderMap) -> Result<(), S3Error> {
    if !headers.keys().any(|name| name.as_str().starts_with(METHOD)) {
        return Ok(());
    }
    let named = [METHOD, KEY_ID, CONTEXT, BUCKET_KEY].into_iter().find_map(|name| Some((name, text(headers, name)?)));
    match named {
        None => Ok(()),
        Some((name, value)) => {
            Err(S3Error::invalid_argument(format!("{name} header is not supported for this operation."), name, value))
        }
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    // What is no visible ASCII is passed on as something no value is.
    headers.get(name).map(|value| value.to_str().unwrap_or("?").trim()).filter(|text| !text.is_empty())
}

fn bucket_key(headers: &HeaderMap) -> Result<Option<bool>, S3Error> {
    match text(headers, BUCKET_KEY) {
        None => Ok(None),
        Some(value) if value.eq_ignore_ascii_case("true") => Ok(Some(true)),
        Some(value) if value.eq_ignore_ascii_case("false") => Ok(Some(false)),
        Some(other) => Err(S3Error::invalid_argument("The bucket key header must be true or false", BUCKET_KEY, other)),
    }
}

/// The context as it was sent, if it is what AWS takes: base64 of a JSON object whose values are strings.
fn check_context(sent: &str) -> Result<String, S3Error> {
    let decoded = STANDARD.decode(sent).ok().filter(|_| sent.len() <= CONTEXT_BYTES_MAX);
    let is_map = |json: Vec<u8>| serde_json::from_slice::<HashMap<String, String>>(&json).is_ok();
    if decoded.is_some_and(is_map) {
        return Ok(sent.to_owned());
    }
    let message = "The header 'x-amz-server-side-encryption-context' shall be Base64-encoded UTF-8 string holding JSON \
                   which represents a string-string map";
    Err(S3Error::invalid_argument(message, CONTEXT, sent))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::S3ErrorCode;
    use http::{HeaderName, HeaderValue};

    fn read(pairs: &[(&'static str, &str)]) -> Result<Asked, S3Error> {
        let pairs = pairs.iter();
        Asked::read(
            &pairs
                .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap()))
                .collect(),
        )
    }

    #[test]
    fn methods_are_read() {
        assert!(matches!(read(&[]), Ok(Asked::Nothing { bucket_key: None })));
        assert!(matches!(read(&[(BUCKET_KEY, "True")]), Ok(Asked::Nothing { bucket_key: Some(true) })));
        assert!(matches!(read(&[(METHOD, "AES256")]), Ok(Asked::S3)));
        let context = STANDARD.encode(r#"{"a":"b"}"#);
        match read(&[(METHOD, "aws:kms"), (KEY_ID, "k"), (CONTEXT, &context), (BUCKET_KEY, "false")]) {
            Ok(Asked::Kms {
                key_id: Some(key_id),
                context: Some(kept),
                bucket_key: Some(false),
                dual_layer: false,
            }) => {
                assert_eq!((key_id.as_str(), kept), ("k", context));
            }
            other => panic!("{other:?}"),
        }
        assert!(matches!(read(&[(METHOD, "aws:kms")]), Ok(Asked::Kms { key_id: None, context: None, .. })));
        let dual = read(&[(METHOD, "aws:kms:dsse"), (KEY_ID, "k")]);
        assert!(matches!(dual, Ok(Asked::Kms { key_id: Some(_), dual_layer: true, .. })));
    }

    #[test]
    fn contradictions_are_refused() {
        let key = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
        let md5 = STANDARD.encode(<md5::Md5 as md5::Digest>::digest([1; 32]));
        let customer = [
            ("x-amz-server-side-encryption-customer-algorithm", "AES256"),
            ("x-amz-server-side-encryption-customer-key", key),
            ("x-amz-server-side-encryption-customer-key-md5", &md5),
        ];
        assert!(matches!(read(&customer), Ok(Asked::Customer(_))));
        let with = |more: &[(&'static str, &'static str)]| read(&[&customer[..], more].concat());
        let not_a_map = STANDARD.encode(r#"["a"]"#);
        for refused in [
            with(&[(METHOD, "AES256")]),
            with(&[(METHOD, "aws:kms"), (KEY_ID, "k")]),
            with(&[(KEY_ID, "k")]),
            read(&[(KEY_ID, "k")]),
            read(&[(CONTEXT, "e30=")]),
            read(&[(METHOD, "AES256"), (KEY_ID, "k")]),
            read(&[(METHOD, "aes:kms")]),
            read(&[(METHOD, "aes256")]),
            with(&[(METHOD, "aws:kms:dsse")]),
            read(&[(METHOD, "aws:kms"), (BUCKET_KEY, "yes")]),
            read(&[(METHOD, "aws:kms"), (CONTEXT, "%")]),
            read(&[(METHOD, "aws:kms"), (CONTEXT, &not_a_map)]),
        ] {
            assert_eq!(refused.unwrap_err().code(), S3ErrorCode::InvalidArgument);
        }
    }

    #[test]
    fn reads_name_no_method() {
        let sent = |name: &'static str| {
            let headers = [(HeaderName::from_static(name), HeaderValue::from_static("AES256"))].into_iter().collect();
            refuse_method_on_read(&headers).map_err(|error| error.code())
        };
        assert_eq!(sent(METHOD), Err(S3ErrorCode::InvalidArgument));
        assert_eq!(sent(KEY_ID), Err(S3ErrorCode::InvalidArgument));
        assert_eq!(sent("x-amz-server-side-encryption-customer-algorithm"), Ok(()));
    }
}
