//! The keys of encrypted inputs and outputs. None is kept beyond the object it is of.

use super::TaskRunner;
use granary_protocol::encryption::{EncryptionMode, ObjectEncryption, SealSalt};
use granary_protocol::{ErrorCode, Failure};
use granary_sealing::{
    KeyStore, KeyStoreError, LayerKeys, StreamSealer, TagKey, hides_md5, open_data_keys, wrap_data_keys,
};

/// What an output's bytes are sealed with.
pub(super) struct OutputSeal {
    keys: LayerKeys,
    /// Of its parts, where their MD5 is not to be seen.
    tags: Option<TagKey>,
}

impl OutputSeal {
    /// The sealer of a part, and the salt that is kept with it.
    pub fn part(&self) -> Result<(StreamSealer, SealSalt), Failure> {
        let salt = new_salt()?;
        Ok((StreamSealer::new(&self.keys, &salt), salt))
    }

    /// The tag of a part by its MD5.
    pub fn tag(&self, md5: [u8; 16]) -> [u8; 16] {
        self.tags.as_ref().map_or(md5, |tags| tags.tag(&md5))
    }
}

impl TaskRunner {
    /// The data keys of an encrypted input.
    ///
    /// # Errors
    /// `Unsupported` without a master key; `AccessDenied` for a key that is disabled or its owner's alone.
    pub(super) async fn data_keys(&self, kept: &ObjectEncryption) -> Result<LayerKeys, Failure> {
        match open_data_keys(self.key_store()?, kept).await {
            Ok(Some(opened)) => Ok(opened),
            Ok(None) => {
                Err(Failure::new(ErrorCode::AccessDenied, "it is encrypted with a key that only its owner has"))
            }
            Err(error) => Err(refused(error)),
        }
    }

    /// Makes the data keys of an output, and what is kept of them.
    ///
    /// # Errors
    /// As [`TaskRunner::data_keys`].
    pub(super) async fn output_seal(&self, mode: &EncryptionMode) -> Result<(OutputSeal, ObjectEncryption), Failure> {
        let only_clients = || Failure::new(ErrorCode::InvalidArgument, "only a client has the key of the output");
        let keys = LayerKeys::generate(mode).map_err(no_randomness)?;
        let wrapped_key = wrap_data_keys(self.key_store()?, mode, &keys).await.map_err(refused)?;
        let wrapped_key = wrapped_key.ok_or_else(only_clients)?;
        let kept = ObjectEncryption { mode: mode.clone(), wrapped_key, salt: new_salt()? };
        let tags = hides_md5(mode).then(|| TagKey::new(keys.outer()));
        Ok((OutputSeal { keys, tags }, kept))
    }

    fn key_store(&self) -> Result<&dyn KeyStore, Failure> {
        self.keys.as_deref().ok_or_else(|| {
            let why = "this task runner has no master key: encrypted objects are not read or written here";
            Failure::new(ErrorCode::Unsupported, why)
        })
    }
}

fn new_salt() -> Result<SealSalt, Failure> {
    let mut salt = [0; 16];
    getrandom::fill(&mut salt).map_err(no_randomness)?;
    Ok(SealSalt(salt))
}

fn no_randomness(error: getrandom::Error) -> Failure {
    Failure::new(ErrorCode::Internal, format!("no random numbers: {error}"))
}

fn refused(error: KeyStoreError) -> Failure {
    match error {
        KeyStoreError::Unavailable(failure) => failure,
        KeyStoreError::Disabled(_) | KeyStoreError::NotFound(_) | KeyStoreError::InvalidName(_) => {
            Failure::new(ErrorCode::AccessDenied, error.to_string())
        }
        error => Failure::new(ErrorCode::Internal, error.to_string()),
    }
}
