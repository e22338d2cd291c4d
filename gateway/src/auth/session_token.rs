//! Temporary credentials that no server remembers: the token says whom they stand for, under a secret of the cluster.
//!
//! A token is a claim in JSON and an HMAC over it; the secret key is another HMAC over the claim. Who holds a token can
//! read it but not change it, and cannot make the secret key of it. Whether the key that asked for it still opens
//! anything is looked up whenever the token is used.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use granary_protocol::user::TokenKey;
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use subtle::ConstantTimeEq;

/// The longest token that is read: a session policy of 2,048 characters and the rest.
const TOKEN_BYTES_MAX: usize = 8 << 10;
const SEAL_LABEL: &[u8] = b"granary session token 1";
const SECRET_LABEL: &[u8] = b"granary session secret 1";

/// What a token says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionClaim {
    /// The temporary access key.
    pub access_key_id: String,
    /// The key that asked for it, whose user it stands for.
    pub parent_key_id: String,
    /// When it ends, Unix seconds.
    pub expires_at_s: i64,
    /// The name of the role asked for.
    pub role: String,
    /// The name of the session.
    pub session: String,
    /// The session's policy, JSON.
    pub policy: Option<String>,
}

impl SessionClaim {
    /// The token.
    pub fn seal(&self, key: &TokenKey) -> String {
        let claim = self.bytes();
        format!("{}.{}", URL_SAFE_NO_PAD.encode(&claim), URL_SAFE_NO_PAD.encode(mac(key, SEAL_LABEL, &claim)))
    }

    /// The secret key that goes with it.
    pub fn secret_access_key(&self, key: &TokenKey) -> String {
        URL_SAFE_NO_PAD.encode(mac(key, SECRET_LABEL, &self.bytes()))
    }

    /// Reads a token. `None` unless it was made under this key.
    pub fn open(token: &str, key: &TokenKey) -> Option<SessionClaim> {
        if token.len() > TOKEN_BYTES_MAX {
            return None;
        }
        let (claim, seal) = token.split_once('.')?;
        let claim = URL_SAFE_NO_PAD.decode(claim).ok()?;
        let seal = URL_SAFE_NO_PAD.decode(seal).ok()?;
        if !bool::from(mac(key, SEAL_LABEL, &claim).as_slice().ct_eq(&seal)) {
            return None;
        }
        serde_json::from_slice(&claim).ok()
    }

    fn bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("strings and a number are JSON")
    }
}

fn mac(key: &TokenKey, label: &[u8], claim: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(&key.0).expect("HMAC takes keys of any length");
    mac.update(label);
    mac.update(&[0]);
    mac.update(claim);
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn claim() -> SessionClaim {
        SessionClaim {
            access_key_id: "ASIAEXAMPLE".to_owned(),
            parent_key_id: "AKIAEXAMPLE".to_owned(),
            expires_at_s: 1_700_000_000,
            role: "reader".to_owned(),
            session: "s".to_owned(),
            policy: Some("{}".to_owned()),
        }
    }

    #[test]
    fn only_the_cluster_that_sealed_a_token_opens_it() {
        let (key, other) = (TokenKey([1; 32]), TokenKey([2; 32]));
        let token = claim().seal(&key);
        assert_eq!(SessionClaim::open(&token, &key), Some(claim()));
        assert_eq!(SessionClaim::open(&token, &other), None);
        assert_ne!(claim().secret_access_key(&key), claim().secret_access_key(&other));
        let longer = SessionClaim { expires_at_s: i64::MAX, ..claim() };
        assert_ne!(claim().secret_access_key(&key), longer.secret_access_key(&key));
        let (_, seal) = token.split_once('.').unwrap();
        let forged = format!("{}.{seal}", URL_SAFE_NO_PAD.encode(longer.bytes()));
        assert_eq!(SessionClaim::open(&forged, &key), None);
        assert_eq!(SessionClaim::open(&token[..token.len() - 1], &key), None);
    }

    proptest! {
        #[test]
        fn nothing_panics(token in ".{0,60}") {
            prop_assert_eq!(SessionClaim::open(&token, &TokenKey([0; 32])), None);
        }
    }
}
