//! Delegation tokens: what a user that has proved itself with an access key hands to programs that then act for it.
//!
//! A token names its user and its end and is signed with the cluster's token key; nothing is kept of it. It cannot be
//! renewed or taken back: it ends by itself after [`LIFETIME_MS`], and at once for a user that is disabled.

use super::error::WebError;
use crate::cluster_key::{ClusterKey, is_signed, sign};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use granary_protocol::UnixMillis;
use granary_protocol::namenode::NamenodeService;
use granary_protocol::user::TokenKey;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// How long a token is good: one day, as Hadoop's without renewal.
pub const LIFETIME_MS: u64 = 24 * 60 * 60 * 1000;
/// What Hadoop calls tokens of this kind.
const KIND: &[u8] = b"WEBHDFS delegation";
/// Keeps these signatures apart from others under the same key.
const DOMAIN: &[u8] = b"granary webhdfs delegation 1";
/// The longest token taken, as text.
const TEXT_BYTES_MAX: usize = 2048;

/// What a token says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Identifier {
    user: String,
    expires: UnixMillis,
}

/// Makes and reads tokens under the cluster's key, which is asked for when it is first needed.
pub struct DelegationKeys {
    key: ClusterKey,
}

impl DelegationKeys {
    /// Keys that `namenode` hands out.
    pub fn new(namenode: Arc<dyn NamenodeService>) -> DelegationKeys {
        DelegationKeys { key: ClusterKey::new(namenode) }
    }

    async fn key(&self) -> Result<&TokenKey, WebError> {
        Ok(self.key.get().await?)
    }

    /// A token with which its bearer acts as `user`.
    ///
    /// # Errors
    /// The namenode's.
    pub async fn mint(&self, user: &str, now: UnixMillis) -> Result<String, WebError> {
        let identifier = Identifier { user: user.to_owned(), expires: UnixMillis(now.0 + LIFETIME_MS) };
        Ok(seal(self.key().await?, &identifier))
    }

    /// The user that a token speaks for.
    ///
    /// # Errors
    /// It is none, is forged or has ended; the namenode's.
    pub async fn open(&self, text: &str, now: UnixMillis) -> Result<String, WebError> {
        let invalid = |reason: &str| WebError::unauthenticated(format!("{reason} token"));
        let identifier = unseal(self.key().await?, text).ok_or_else(|| invalid("invalid"))?;
        match identifier.expires > now {
            true => Ok(identifier.user),
            false => Err(invalid("expired")),
        }
    }
}

/// `Token.encodeToUrlString`: identifier, password, kind and service, each behind its length.
fn seal(key: &TokenKey, identifier: &Identifier) -> String {
    let identifier = postcard::to_stdvec(identifier).expect("plain data");
    let password = sign(key, DOMAIN, &identifier);
    let mut bytes = Vec::new();
    for field in [identifier.as_slice(), password.as_slice(), KIND, b""] {
        write_vint(&mut bytes, field.len() as u32);
        bytes.extend_from_slice(field);
    }
    URL_SAFE_NO_PAD.encode(bytes)
}

fn unseal(key: &TokenKey, text: &str) -> Option<Identifier> {
    let text = Some(text.trim_end_matches('=')).filter(|text| text.len() <= TEXT_BYTES_MAX)?;
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let mut rest = bytes.as_slice();
    let identifier = take_field(&mut rest)?;
    let password = take_field(&mut rest)?;
    is_signed(key, DOMAIN, identifier, password).then(|| postcard::from_bytes(identifier).ok()).flatten()
}

/// `WritableUtils.writeVInt` of a number that is not negative.
fn write_vint(bytes: &mut Vec<u8>, number: u32) {
    if number <= 127 {
        bytes.push(number as u8);
        return;
    }
    let all = number.to_be_bytes();
    let significant = &all[number.leading_zeros() as usize / 8..];
    bytes.push((-112i8 - significant.len() as i8) as u8);
    bytes.extend_from_slice(significant);
}

fn take_field<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (first, after) = rest.split_first()?;
    let (length, after) = match *first as i8 {
        length @ 0.. => (length as usize, after),
        marker @ -116..=-113 => {
            let (digits, after) = after.split_at_checked((-112 - i32::from(marker)) as usize)?;
            (digits.iter().fold(0, |number, digit| number << 8 | usize::from(*digit)), after)
        }
        _ => return None,
    };
    let (field, after) = after.split_at_checked(length)?;
    *rest = after;
    Some(field)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_by_who_has_the_key_and_by_nobody_else() {
        for user in ["ann".to_owned(), "x".repeat(200)] {
            let identifier = Identifier { user, expires: UnixMillis(77) };
            let text = seal(&TokenKey([1; 32]), &identifier);
            assert_eq!(unseal(&TokenKey([1; 32]), &text), Some(identifier));
            assert_eq!(unseal(&TokenKey([2; 32]), &text), None);
            for at in 0..40 {
                let mut changed = text.clone().into_bytes();
                changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
                assert_eq!(unseal(&TokenKey([1; 32]), std::str::from_utf8(&changed).unwrap()), None, "{at}");
            }
        }
        for none in ["", "AAAAAA", "!!", "____"] {
            assert_eq!(unseal(&TokenKey([1; 32]), none), None);
        }
    }
}
