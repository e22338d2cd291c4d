//! [`Encryption`]: makes, wraps and opens the data keys of objects, wherever the key above them is.

use super::asked::Asked;
use super::customer_key::CustomerKey;
use super::plan::{KeyRealm, Plan};
use crate::documents::DefaultEncryption;
use crate::error::{S3Error, S3ErrorCode};
use crate::server::Refusal;
use granary_protocol::encryption::{EncryptionMode, ObjectEncryption, SealSalt};
use granary_protocol::{ErrorCode, Failure};
use granary_sealing::{
    KeyStore, KeyStoreError, LayerKeys, StreamSealer, TagKey, hides_md5, open_data_keys, wrap_data_keys, wrapping,
    wrapping_context,
};
use std::sync::Arc;

/// Server-side encryption as one gateway does it.
pub struct Encryption {
    /// `None` without a master key: SSE-C works, everything else is refused.
    keys: Option<Arc<dyn KeyStore>>,
    realm: KeyRealm,
    /// Whether an object is sealed under the store's key when neither request nor bucket say anything.
    seals_by_default: bool,
}

/// An object that is to be sealed: what is kept with it, and its data keys.
pub struct NewSeal {
    /// What is kept with the object.
    pub kept: ObjectEncryption,
    keys: LayerKeys,
}

/// A content that is to be sealed, an object's or a part's.
pub struct ContentSeal {
    /// What is kept with the content.
    pub salt: SealSalt,
    /// Seals it.
    pub sealer: StreamSealer,
    /// What its tag is.
    pub tag: TagRule,
}

/// What the entity tag of a sealed content is.
pub enum TagRule {
    /// The MD5.
    Md5,
    /// Random, which says nothing of the bytes.
    Random,
    /// Made of the MD5 and a key: says nothing of the bytes to anybody else, and is the same when a part is sent again.
    Keyed(TagKey),
}

impl NewSeal {
    /// For the object written in one piece. To be called once: a salt seals one content.
    pub fn content(&self) -> ContentSeal {
        let salt = self.kept.salt;
        let tag = if hides_md5(&self.kept.mode) { TagRule::Random } else { TagRule::Md5 };
        ContentSeal { salt, sealer: StreamSealer::new(&self.keys, &salt), tag }
    }
}

impl Encryption {
    /// With a key store, if there is one.
    pub fn new(keys: Option<Arc<dyn KeyStore>>, realm: KeyRealm, seals_by_default: bool) -> Self {
        Self { keys, realm, seals_by_default }
    }

    /// The key store, for its administration.
    ///
    /// # Errors
    /// `NotImplemented` without one.
    pub fn keys(&self) -> Result<&dyn KeyStore, S3Error> {
        self.keys.as_deref().ok_or_else(|| {
            S3Error::with_message(
                S3ErrorCode::NotImplemented,
                "Server-side encryption with keys of the store is not available: this gateway has no master key",
            )
        })
    }

    /// How an object is to be stored.
    ///
    /// # Errors
    /// See [`Plan::new`].
    pub fn plan(&self, asked: Asked, default: Option<&DefaultEncryption>) -> Result<Plan, S3Error> {
        let by_default = if self.seals_by_default { Plan::S3 } else { Plan::Clear };
        Plan::new(asked, default, by_default, &self.realm)
    }

    /// The same for the copy of an object that is sealed or not: a copy is never less protected than its source by
    /// default. (AWS seals every object, so there the bucket's default always says something.)
    ///
    /// # Errors
    /// See [`Plan::new`].
    pub fn plan_copy(
        &self,
        asked: Asked,
        default: Option<&DefaultEncryption>,
        source: Option<&ObjectEncryption>,
    ) -> Result<Plan, S3Error> {
        let keeps_sealed = source.is_some() && self.keys.is_some();
        let by_default = if self.seals_by_default || keeps_sealed { Plan::S3 } else { Plan::Clear };
        Plan::new(asked, default, by_default, &self.realm)
    }

    /// What a bucket shows as its default encryption: what is done to its objects.
    pub fn shown_default(&self, default: Option<&DefaultEncryption>) -> Option<DefaultEncryption> {
        default.cloned().or_else(|| self.seals_by_default.then(DefaultEncryption::default))
    }

    /// Makes the data keys of an object; `None` for one in clear.
    ///
    /// # Errors
    /// Those of the key store, in AWS's words.
    pub async fn begin(&self, plan: &Plan) -> Result<Option<NewSeal>, Refusal> {
        let Some(mode) = plan.mode() else { return Ok(None) };
        let keys = LayerKeys::generate(&mode).map_err(no_randomness)?;
        let Some(kept) = self.wrap(plan, new_salt()?, &keys).await? else { return Ok(None) };
        Ok(Some(NewSeal { kept, keys }))
    }

    /// Seals existing data keys for another plan of as many layers, so that the bytes need not change; `None` for one in
    /// clear, which bytes that are sealed cannot be.
    ///
    /// # Errors
    /// As [`Encryption::begin`].
    pub async fn wrap(
        &self,
        plan: &Plan,
        salt: SealSalt,
        keys: &LayerKeys,
    ) -> Result<Option<ObjectEncryption>, Refusal> {
        let Some(mode) = plan.mode() else { return Ok(None) };
        let wrapped_key = match plan {
            Plan::Customer(customer) => {
                Some(wrapping::wrap(&customer.key, &wrapping_context(&mode), keys.outer()).map_err(no_randomness)?)
            }
            Plan::Clear | Plan::S3 | Plan::Kms { .. } => {
                wrap_data_keys(self.keys()?, &mode, keys).await.map_err(refusal)?
            }
        };
        Ok(wrapped_key.map(|wrapped_key| ObjectEncryption { mode, wrapped_key, salt }))
    }

    /// The seal of the next part of an upload whose object will be kept so.
    ///
    /// # Errors
    /// As [`Encryption::data_keys`].
    pub async fn part(&self, kept: &ObjectEncryption, customer: Option<&CustomerKey>) -> Result<ContentSeal, Refusal> {
        let keys = self.data_keys(kept, customer).await?;
        let salt = new_salt()?;
        let hides = hides_md5(&kept.mode);
        let tag = if hides { TagRule::Keyed(TagKey::new(keys.outer())) } else { TagRule::Md5 };
        Ok(ContentSeal { salt, sealer: StreamSealer::new(&keys, &salt), tag })
    }

    /// Opens the data keys of an object. The client's key must have been judged: [`super::check_key`].
    ///
    /// # Errors
    /// Those of the key store, in AWS's words; `InternalError` when what was kept is not authentic.
    pub async fn data_keys(
        &self,
        kept: &ObjectEncryption,
        customer: Option<&CustomerKey>,
    ) -> Result<LayerKeys, Refusal> {
        if let EncryptionMode::Customer { .. } = kept.mode {
            let customer = customer.ok_or_else(super::reading::key_required)?;
            let opened = wrapping::unwrap(&customer.key, &wrapping_context(&kept.mode), &kept.wrapped_key);
            return opened.map(LayerKeys::from).ok_or_else(|| {
                Failure::new(ErrorCode::Internal, "a data key does not open under its customer's key").into()
            });
        }
        let opened = open_data_keys(self.keys()?, kept).await.map_err(refusal)?;
        opened.ok_or_else(|| super::reading::key_required().into())
    }
}

/// A tag that says nothing of the bytes.
///
/// # Errors
/// `InternalError` when the machine has no random bytes to give.
pub fn opaque_tag() -> Result<[u8; 16], Refusal> {
    let mut tag = [0; 16];
    getrandom::fill(&mut tag).map_err(no_randomness)?;
    Ok(tag)
}

fn new_salt() -> Result<SealSalt, Refusal> {
    opaque_tag().map(SealSalt)
}

fn no_randomness(error: getrandom::Error) -> Refusal {
    Failure::new(ErrorCode::Internal, format!("no random numbers: {error}")).into()
}

/// What a client is told of a key store's refusal.
pub fn refusal(error: KeyStoreError) -> Refusal {
    let internal = |error: KeyStoreError| Failure::new(ErrorCode::Internal, error.to_string()).into();
    match error {
        KeyStoreError::NotFound(name) | KeyStoreError::InvalidName(name) => {
            S3Error::with_message(S3ErrorCode::KmsNotFoundException, format!("Invalid keyId '{name}'")).into()
        }
        KeyStoreError::Disabled(name) => {
            S3Error::with_message(S3ErrorCode::KmsDisabledException, format!("{name} is disabled.")).into()
        }
        KeyStoreError::Unavailable(failure) => failure.into(),
        error @ (KeyStoreError::WrongMasterKey(_) | KeyStoreError::NotAuthentic(_) | KeyStoreError::Randomness(_)) => {
            internal(error)
        }
    }
}
