//! How an object is to be stored: what the request asks, else the bucket's default, else the store's. Pure.

use super::asked::Asked;
use super::customer_key::CustomerKey;
use crate::documents::{DefaultAlgorithm, DefaultEncryption};
use crate::error::{S3Error, S3ErrorCode};
use granary_protocol::encryption::EncryptionMode;
use granary_sealing::{DEFAULT_KMS_KEY, NotAKey, parse_key_id};

/// What keys are called here.
#[derive(Clone, Debug)]
pub struct KeyRealm {
    /// The store's region.
    pub region: String,
    /// The account that owns the default key.
    pub account_id: String,
}

/// How an object is to be stored.
#[derive(Debug)]
pub enum Plan {
    /// As it is.
    Clear,
    /// Sealed under the store's own key.
    S3,
    /// Sealed under a KMS key.
    Kms {
        /// The key, as responses show it.
        shown: String,
        /// The encryption context.
        context: Option<String>,
        /// In how many layers, and with a bucket key or not.
        layers: KmsLayers,
    },
    /// Sealed under the client's key.
    Customer(CustomerKey),
}

/// How a KMS key is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KmsLayers {
    /// SSE-KMS.
    One {
        /// Whether a bucket key is used.
        bucket_key: bool,
    },
    /// DSSE-KMS, for which there are no bucket keys: whether one is asked for does not matter.
    Two,
}

impl KmsLayers {
    fn new(dual_layer: bool, bucket_key: bool) -> Self {
        if dual_layer { Self::Two } else { Self::One { bucket_key } }
    }
}

impl Plan {
    /// Decides. `default` is the bucket's, `by_default` what holds without one.
    ///
    /// # Errors
    /// `KMS.NotFoundException` for a key id that can name no key; `AccessDenied` for a customer's key where the bucket
    /// takes none.
    pub fn new(
        asked: Asked,
        default: Option<&DefaultEncryption>,
        by_default: Plan,
        realm: &KeyRealm,
    ) -> Result<Self, S3Error> {
        let default_bucket_key = default.is_some_and(|default| default.bucket_key);
        match asked {
            Asked::Customer(_) if default.is_some_and(|default| default.customer_keys_blocked == Some(true)) => {
                Err(S3Error::new(S3ErrorCode::AccessDenied))
            }
            Asked::Customer(key) => Ok(Self::Customer(key)),
            Asked::S3 => Ok(Self::S3),
            Asked::Kms { key_id, context, bucket_key, dual_layer } => {
                let layers = KmsLayers::new(dual_layer, bucket_key.unwrap_or(default_bucket_key));
                Self::kms(key_id, context, layers, realm)
            }
            Asked::Nothing { bucket_key } => match default.map(|default| &default.algorithm) {
                Some(DefaultAlgorithm::S3) => Ok(Self::S3),
                Some(DefaultAlgorithm::Kms { key_id, dual_layer }) => {
                    let layers = KmsLayers::new(*dual_layer, bucket_key.unwrap_or(default_bucket_key));
                    Self::kms(key_id.clone(), None, layers, realm)
                }
                None => Ok(by_default),
            },
        }
    }

    fn kms(
        key_id: Option<String>,
        context: Option<String>,
        layers: KmsLayers,
        realm: &KeyRealm,
    ) -> Result<Self, S3Error> {
        let shown = key_id
            .unwrap_or_else(|| format!("arn:aws:kms:{}:{}:alias/{DEFAULT_KMS_KEY}", realm.region, realm.account_id));
        check_key_id(&shown, &realm.region)?;
        Ok(Self::Kms { shown, context, layers })
    }

    /// The mode that is kept with the object; `None` in clear.
    pub fn mode(&self) -> Option<EncryptionMode> {
        match self {
            Self::Clear => None,
            Self::S3 => Some(EncryptionMode::S3),
            Self::Kms { shown, context, layers, .. } => {
                let (key_id, context) = (shown.clone(), context.clone());
                Some(match *layers {
                    KmsLayers::One { bucket_key } => EncryptionMode::Kms { key_id, context, bucket_key },
                    KmsLayers::Two => EncryptionMode::DualKms { key_id, context },
                })
            }
            Self::Customer(key) => Some(EncryptionMode::Customer { key_md5: key.md5 }),
        }
    }
}

/// Judges whether `named` can be a key, in a store of this region.
///
/// # Errors
/// `KMS.NotFoundException`, as AWS answers whatever is no key.
fn check_key_id(named: &str, region: &str) -> Result<(), S3Error> {
    parse_key_id(named, region)
        .map(|_name| ())
        .map_err(|NotAKey(message)| S3Error::with_message(S3ErrorCode::KmsNotFoundException, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn realm() -> KeyRealm {
        KeyRealm { region: "us-east-1".to_owned(), account_id: "111122223333".to_owned() }
    }

    fn asked_kms(key_id: Option<&str>, bucket_key: Option<bool>) -> Asked {
        Asked::Kms { key_id: key_id.map(str::to_owned), context: None, bucket_key, dual_layer: false }
    }

    #[test]
    fn the_request_wins_over_the_bucket_and_the_bucket_over_the_store() {
        let nothing = || Asked::Nothing { bucket_key: None };
        let kms = DefaultEncryption {
            algorithm: DefaultAlgorithm::Kms { key_id: Some("k".to_owned()), dual_layer: false },
            bucket_key: true,
            customer_keys_blocked: None,
        };
        let plan = |asked, default: Option<&DefaultEncryption>| {
            Plan::new(asked, default, Plan::Clear, &realm()).unwrap().mode()
        };
        let mode = |key_id: &str, bucket_key| {
            Some(EncryptionMode::Kms { key_id: key_id.to_owned(), context: None, bucket_key })
        };
        assert_eq!(plan(nothing(), None), None);
        assert_eq!(plan(nothing(), Some(&DefaultEncryption::default())), Some(EncryptionMode::S3));
        assert_eq!(plan(nothing(), Some(&kms)), mode("k", true));
        assert_eq!(plan(Asked::Nothing { bucket_key: Some(false) }, Some(&kms)), mode("k", false));
        assert_eq!(plan(Asked::S3, Some(&kms)), Some(EncryptionMode::S3));
        assert_eq!(plan(asked_kms(Some("l"), None), Some(&kms)), mode("l", true));
        assert_eq!(plan(asked_kms(Some("l"), Some(false)), Some(&kms)), mode("l", false));
        let default_key = "arn:aws:kms:us-east-1:111122223333:alias/aws/s3";
        assert_eq!(plan(asked_kms(None, None), None), mode(default_key, false));
        assert_eq!(Plan::new(nothing(), None, Plan::S3, &realm()).unwrap().mode(), Some(EncryptionMode::S3));
        let dual = |key_id: &str| Some(EncryptionMode::DualKms { key_id: key_id.to_owned(), context: None });
        let asked_dual = Asked::Kms { key_id: None, context: None, bucket_key: Some(true), dual_layer: true };
        assert_eq!(plan(asked_dual, Some(&kms)), dual(default_key));
        let algorithm = DefaultAlgorithm::Kms { key_id: Some("k".to_owned()), dual_layer: true };
        let default = DefaultEncryption { algorithm, ..kms };
        assert_eq!(plan(nothing(), Some(&default)), dual("k"));
        assert_eq!(plan(asked_kms(Some("l"), None), Some(&default)), mode("l", true));
    }
}
