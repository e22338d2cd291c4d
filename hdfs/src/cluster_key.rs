//! The cluster's token key, with which the doors sign what clients carry from one of them to another.

use granary_protocol::namenode::{NamenodeReply, NamenodeRequest, NamenodeService};
use granary_protocol::user::TokenKey;
use granary_protocol::{ErrorCode, Failure};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::sync::{Arc, OnceLock};

/// Bytes of a signature.
pub const SIGNATURE_BYTES: usize = 32;

/// The key, asked for when it is first needed.
pub struct ClusterKey {
    namenode: Arc<dyn NamenodeService>,
    key: OnceLock<TokenKey>,
}

impl ClusterKey {
    /// The key that `namenode` hands out.
    pub fn new(namenode: Arc<dyn NamenodeService>) -> ClusterKey {
        ClusterKey { namenode, key: OnceLock::new() }
    }

    /// The key.
    ///
    /// # Errors
    /// The namenode's.
    pub async fn get(&self) -> Result<&TokenKey, Failure> {
        if let Some(key) = self.key.get() {
            return Ok(key);
        }
        match self.namenode.call(NamenodeRequest::GetTokenKey).await? {
            NamenodeReply::TokenKey(key) => Ok(self.key.get_or_init(|| key)),
            _ => Err(ErrorCode::Internal.into()),
        }
    }
}

/// Signs `message`; `domain` keeps signatures of one kind apart from those of others under the same key.
pub fn sign(key: &TokenKey, domain: &[u8], message: &[u8]) -> [u8; SIGNATURE_BYTES] {
    mac(key, domain, message).finalize().into_bytes().into()
}

/// Whether [`sign`] made `signature` of this. Takes as long whatever is wrong with it.
pub fn is_signed(key: &TokenKey, domain: &[u8], message: &[u8], signature: &[u8]) -> bool {
    mac(key, domain, message).verify_slice(signature).is_ok()
}

fn mac(key: &TokenKey, domain: &[u8], message: &[u8]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(&key.0).expect("HMAC takes a key of any length");
    mac.update(domain);
    mac.update(message);
    mac
}
