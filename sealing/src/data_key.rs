//! Keys in memory: a data key of 32 random bytes, and what is derived from it.
//!
//! No key here can be printed or serialized, and its bytes are overwritten when it is dropped.

use ring::aead::{AES_256_GCM, LessSafeKey, UnboundKey};
use ring::hkdf::{HKDF_SHA256, KeyType, Prk, Salt};
use zeroize::Zeroize;

/// Bytes of every key: AES-256.
pub const KEY_BYTES: usize = 32;

/// What part tags are derived for.
const TAG_PURPOSE: &[u8] = b"granary part tags 1";

/// A key in clear.
pub struct DataKey([u8; KEY_BYTES]);

impl DataKey {
    /// Takes the bytes of a key.
    pub fn new(bytes: [u8; KEY_BYTES]) -> Self {
        Self(bytes)
    }

    /// A random key.
    ///
    /// # Errors
    /// When the machine has no random bytes to give.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; KEY_BYTES];
        getrandom::fill(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// Its bytes, for a cipher and nothing else.
    pub fn expose(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }
}

impl Drop for DataKey {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl std::fmt::Debug for DataKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DataKey(…)")
    }
}

/// The AES-256-GCM key that HKDF-SHA256 makes of a secret, for one purpose. Another salt makes an unrelated key.
pub(crate) fn derive(secret: &[u8; KEY_BYTES], salt: &[u8], purpose: &[u8]) -> LessSafeKey {
    let extracted = Salt::new(HKDF_SHA256, salt).extract(secret);
    let info = [purpose];
    let okm = extracted.expand(&info, &AES_256_GCM).expect("a key is shorter than what HKDF can make");
    LessSafeKey::new(UnboundKey::from(okm))
}

/// Makes the tags of an upload's parts of their MD5s.
pub struct TagKey(Prk);

impl TagKey {
    /// The maker for the upload whose data key this is.
    pub fn new(data_key: &DataKey) -> Self {
        Self(Salt::new(HKDF_SHA256, TAG_PURPOSE).extract(data_key.expose()))
    }

    /// The tag of what has this MD5.
    pub fn tag(&self, md5: &[u8; 16]) -> [u8; 16] {
        let mut tag = [0; 16];
        let info = [&md5[..]];
        let made = self.0.expand(&info, TagLength).and_then(|okm| okm.fill(&mut tag));
        made.expect("a tag is shorter than what HKDF can make");
        tag
    }
}

struct TagLength;

impl KeyType for TagLength {
    fn len(&self) -> usize {
        16
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn part_tags_repeat_within_an_upload_only() {
        let (key, other) = (TagKey::new(&DataKey::new([1; 32])), TagKey::new(&DataKey::new([2; 32])));
        assert_eq!(key.tag(&[3; 16]), key.tag(&[3; 16]));
        assert_ne!(key.tag(&[3; 16]), key.tag(&[4; 16]));
        assert_ne!(key.tag(&[3; 16]), other.tag(&[3; 16]));
        assert_ne!(key.tag(&[3; 16]), [3; 16]);
    }
}
