//! Keys sealed under keys.
//!
//! A wrapped key is `1 | salt (16) | sealed key (32) | tag (16)`. Each wrapping has a key of its own, derived from the
//! wrapping key and a random salt, so a wrapping key may be used for as many objects as a store can hold. The context is
//! authenticated: a wrapped key opens only where it belongs.

use crate::data_key::{DataKey, KEY_BYTES, derive};
use ring::aead::{Aad, NONCE_LEN, Nonce};

/// The format above.
const VERSION: u8 = 1;
const SALT_BYTES: usize = 16;
const TAG_BYTES: usize = 16;
/// Bytes of a wrapped key.
pub const WRAPPED_BYTES: usize = 1 + SALT_BYTES + KEY_BYTES + TAG_BYTES;

const PURPOSE: &[u8] = b"granary key wrapping 1";

/// Seals `key` under `wrapping`, for `context`.
///
/// # Errors
/// When the machine has no random bytes to give.
pub fn wrap(wrapping: &DataKey, context: &[u8], key: &DataKey) -> Result<Vec<u8>, getrandom::Error> {
    let mut salt = [0; SALT_BYTES];
    getrandom::fill(&mut salt)?;
    let mut sealed = Vec::with_capacity(WRAPPED_BYTES);
    sealed.push(VERSION);
    sealed.extend_from_slice(&salt);
    sealed.extend_from_slice(key.expose());
    let once = derive(wrapping.expose(), &salt, PURPOSE);
    let tag = once
        .seal_in_place_separate_tag(only_nonce(), Aad::from(context), &mut sealed[1 + SALT_BYTES..])
        .expect("a key is shorter than what AES-GCM can seal");
    sealed.extend_from_slice(tag.as_ref());
    Ok(sealed)
}

/// Opens what [`wrap`] made; `None` if it was not made under this key for this context.
pub fn unwrap(wrapping: &DataKey, context: &[u8], wrapped: &[u8]) -> Option<DataKey> {
    let (version, rest) = wrapped.split_first()?;
    if *version != VERSION || wrapped.len() != WRAPPED_BYTES {
        return None;
    }
    let (salt, sealed) = rest.split_at(SALT_BYTES);
    let mut sealed: [u8; KEY_BYTES + TAG_BYTES] = sealed.try_into().ok()?;
    let once = derive(wrapping.expose(), salt, PURPOSE);
    let key = once.open_in_place(only_nonce(), Aad::from(context), &mut sealed).ok()?;
    let key = DataKey::new((&*key).try_into().ok()?);
    zeroize::Zeroize::zeroize(&mut sealed);
    Some(key)
}

/// Every derived key seals once.
fn only_nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; NONCE_LEN])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrapped_key_opens_only_where_it_belongs() {
        let (outer, other) = (DataKey::new([1; 32]), DataKey::new([2; 32]));
        let wrapped = wrap(&outer, b"context", &DataKey::new([3; 32])).unwrap();
        assert_eq!(wrapped.len(), WRAPPED_BYTES);
        assert!(!wrapped.windows(4).any(|window| window == [3; 4]));
        assert_eq!(unwrap(&outer, b"context", &wrapped).unwrap().expose(), &[3; 32]);
        assert!(unwrap(&other, b"context", &wrapped).is_none());
        assert!(unwrap(&outer, b"another", &wrapped).is_none());
        assert!(unwrap(&outer, b"context", &wrapped[..wrapped.len() - 1]).is_none());
        assert!(unwrap(&outer, b"context", &[]).is_none());
        for at in 0..wrapped.len() {
            let mut changed = wrapped.clone();
            changed[at] ^= 1;
            assert!(unwrap(&outer, b"context", &changed).is_none(), "byte {at}");
        }
    }

    #[test]
    fn wrapping_twice_looks_different() {
        let outer = DataKey::new([1; 32]);
        let wrapped = || wrap(&outer, b"", &DataKey::new([3; 32])).unwrap();
        assert_ne!(wrapped(), wrapped());
    }
}
