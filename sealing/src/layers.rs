//! [`LayerKeys`]: the data keys of an object, one for each layer of encryption its bytes are in.
//!
//! Dual-layer encryption (DSSE-KMS) has two random keys that know nothing of each other: the bytes are encrypted under the
//! inner one with AES-256 in counter mode, and what comes of that is sealed under the outer one like the bytes of any other
//! object, which authenticates both. A segment in two layers is as long as one in one. The keys are wrapped under different
//! keys of the key store, so that none of those opens an object alone.

use crate::data_key::{DataKey, derive};
use crate::segment::{Position, TAG, cover, open, seal};
use granary_protocol::encryption::{EncryptionMode, SealSalt};
use ring::aead::LessSafeKey;

/// What the outer (or only) segment keys are derived for. Changed only together with the format of the sealed bytes.
const OUTER_PURPOSE: &[u8] = b"granary object segments 1";
/// The same for the inner ones.
const INNER_PURPOSE: &[u8] = b"granary inner segments 1";

/// The data keys of an object.
pub struct LayerKeys {
    pub(crate) outer: DataKey,
    pub(crate) inner: Option<DataKey>,
}

impl LayerKeys {
    /// Random keys for an object of this mode.
    ///
    /// # Errors
    /// When the machine has no random bytes to give.
    pub fn generate(mode: &EncryptionMode) -> Result<Self, getrandom::Error> {
        let inner = mode.is_dual_layer().then(DataKey::generate).transpose()?;
        Ok(Self { outer: DataKey::generate()?, inner })
    }

    /// Both keys of an object in two layers.
    pub fn dual(outer: DataKey, inner: DataKey) -> Self {
        Self { outer, inner: Some(inner) }
    }

    /// The key of the outer layer, which is the only one unless the object is in two.
    pub fn outer(&self) -> &DataKey {
        &self.outer
    }
}

impl From<DataKey> for LayerKeys {
    fn from(only: DataKey) -> Self {
        Self { outer: only, inner: None }
    }
}

/// What seals and opens the segments of one object or part.
pub(crate) struct SegmentKeys {
    outer: LessSafeKey,
    inner: Option<LessSafeKey>,
}

impl SegmentKeys {
    /// The keys that these and the salt make.
    pub fn new(keys: &LayerKeys, salt: &SealSalt) -> Self {
        let key = |of: &DataKey, purpose| derive(of.expose(), &salt.0, purpose);
        Self {
            outer: key(&keys.outer, OUTER_PURPOSE),
            inner: keys.inner.as_ref().map(|inner| key(inner, INNER_PURPOSE)),
        }
    }

    /// Encrypts `plain` where it lies, in all layers; its tag.
    pub fn seal(&self, position: Position, plain: &mut [u8]) -> [u8; TAG] {
        if let Some(inner) = &self.inner {
            cover(inner, position, plain);
        }
        seal(&self.outer, position, plain)
    }

    /// Decrypts where it lies what is `sealed` with its tag behind it; how many bytes of plaintext that is. `None` if this is
    /// not what was sealed there.
    pub fn open(&self, position: Position, sealed: &mut [u8]) -> Option<usize> {
        let length = open(&self.outer, position, sealed)?;
        if let Some(inner) = &self.inner {
            cover(inner, position, &mut sealed[..length]);
        }
        Some(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Position = Position { index: 3, is_last: true };

    fn sealed(keys: &LayerKeys) -> Vec<u8> {
        let mut bytes = b"plaintext".to_vec();
        let tag = SegmentKeys::new(keys, &SealSalt([5; 16])).seal(AT, &mut bytes);
        bytes.extend_from_slice(&tag);
        bytes
    }

    fn opened(keys: &LayerKeys, sealed: &[u8]) -> Option<Vec<u8>> {
        let mut bytes = sealed.to_vec();
        let length = SegmentKeys::new(keys, &SealSalt([5; 16])).open(AT, &mut bytes)?;
        bytes.truncate(length);
        Some(bytes)
    }

    #[test]
    fn both_keys_are_needed() {
        let key = |byte| DataKey::new([byte; 32]);
        let dual = LayerKeys::dual(key(1), key(2));
        let bytes = sealed(&dual);
        assert_eq!(bytes.len(), sealed(&key(1).into()).len(), "two layers are no longer than one");
        assert_eq!(opened(&dual, &bytes).unwrap(), b"plaintext");
        // Without the inner key there are bytes of the inner layer, without the outer one nothing.
        let inner_layer = opened(&key(1).into(), &bytes).unwrap();
        assert_ne!(inner_layer, b"plaintext");
        assert_ne!(opened(&LayerKeys::dual(key(1), key(3)), &bytes).unwrap(), b"plaintext");
        assert_eq!(opened(&LayerKeys::dual(key(3), key(2)), &bytes), None);
        assert_eq!(opened(&key(2).into(), &bytes), None);
        let mut flipped = bytes;
        flipped[0] ^= 1;
        assert_eq!(opened(&dual, &flipped), None);
    }
}
