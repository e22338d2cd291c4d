//! The keys of encrypted inputs and outputs. None is kept beyond the object it is of.

use super::TaskRunner;
use granary_protocol::encryption::{EncryptionMode, ObjectEncryption, SealSalt};
use granary_protocol::{ErrorCode, Failure};
use granary_sealing::{
    DataKey, KeyStore, KeyStoreError, StreamSealer, TagKey, hides_md5, key_name_of, open_data_key, wrapping_context,
};

/// What an output's bytes are sealed with.
pub(super) struct OutputSeal {
    data_key: DataKey,
    /// Of its parts, where their MD5 is not to be seen.
    tags: Option<TagKey>,
}

impl OutputSeal {
    /// The sealer of a part, and the salt that is kept with it.
    pub fn part(&self) -> Result<(StreamSealer, SealSalt), Failure> {
        let salt = new_salt()?;
        Ok((StreamSealer::new(&self.data_key, &salt), salt))
    }

    /// The tag of a part by its MD5.
    pub fn tag(&self, md5: [u8; 16]) -> [u8; 16] {
        self.tags.as_ref().map_or(md5, |tags| tags.tag(&md5))
    }
}

impl TaskRunner {
    /// The data key of an encrypted input.
    ///
    /// # Errors
    /// `Unsupported` without a master key; `AccessDenied` for a key that is disabled or its owner's alone.
    pub(super) async fn data_key(&self, kept: &ObjectEncryption) -> Result<DataKey, Failure> {
        match open_data_key(self.key_store()?, kept).await {
            Ok(Some(key)) => Ok(key),
            Ok(None) => {
                Err(Failure::new(ErrorCode::AccessDenied, "it is encrypted with a key that only its owner has"))
            }
            Err(error) => Err(refused(error)),
        }
    }

    /// Makes the data key of an output, and what is kept of it.
    ///
    /// # Errors
    /// As [`TaskRunner::data_key`].
    pub(super) async fn output_seal(&self, mode: &EncryptionMode) -> Result<(OutputSeal, ObjectEncryption), Failure> {
        let keys = self.key_store()?;
        let only_clients = || Failure::new(ErrorCode::InvalidArgument, "only a client has the key of the output");
        let name = key_name_of(mode).map_err(refused)?.ok_or_else(only_clients)?;
        let data_key = DataKey::generate().map_err(no_randomness)?;
        let wrapped_key = keys.wrap(&name, &wrapping_context(mode), &data_key).await.map_err(refused)?;
        let kept = ObjectEncryption { mode: mode.clone(), wrapped_key, salt: new_salt()? };
        let tags = hides_md5(mode).then(|| TagKey::new(&data_key));
        Ok((OutputSeal { data_key, tags }, kept))
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
