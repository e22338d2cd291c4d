//! The master key: 32 bytes under which the keys of the key store are wrapped. It is in the memory of
//! the doors alone that show plaintext.
//!
//! While it is exchanged there are others besides: what they once wrapped is still opened, nothing is wrapped under them.

use crate::data_key::{DataKey, KEY_BYTES};
use crate::wrapping;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Keys at one time.
const KEYS_MAX: usize = 8;

/// The key above all keys of the store.
pub struct MasterKey {
    current: DataKey,
    others: Vec<DataKey>,
}

/// A text that is no master key. The text is not repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a master key is {KEY_BYTES} bytes in base64; up to {KEYS_MAX} of them, a line each, the one to seal with first"
)]
pub struct NotAMasterKey;

impl MasterKey {
    /// A random key.
    ///
    /// # Errors
    /// When the machine has no random bytes to give.
    pub fn generate() -> Result<Self, getrandom::Error> {
        DataKey::generate().map(|current| Self { current, others: Vec::new() })
    }

    /// Reads a key from base64, as its file and its environment variable hold it; more, a line each, are others that still
    /// open what they wrapped.
    ///
    /// # Errors
    /// Unless each is 32 bytes and there are one to eight.
    pub fn from_base64(text: &str) -> Result<Self, NotAMasterKey> {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let mut keys = lines.map(read_key).collect::<Result<Vec<_>, _>>()?;
        if keys.is_empty() || keys.len() > KEYS_MAX {
            return Err(NotAMasterKey);
        }
        Ok(Self { current: keys.remove(0), others: keys })
    }

    /// The key in base64: for the file it is kept in, nothing else.
    pub fn to_base64(&self) -> String {
        STANDARD.encode(self.current.expose())
    }

    /// The key to wrap with.
    pub(crate) fn key(&self) -> &DataKey {
        &self.current
    }

    /// Opens what this or one of the others wrapped, and whether it was this.
    pub(crate) fn open(&self, context: &[u8], wrapped: &[u8]) -> Option<(DataKey, bool)> {
        if let Some(key) = wrapping::unwrap(&self.current, context, wrapped) {
            return Some((key, true));
        }
        self.others.iter().find_map(|other| wrapping::unwrap(other, context, wrapped)).map(|key| (key, false))
    }
}

fn read_key(text: &str) -> Result<DataKey, NotAMasterKey> {
    let bytes = zeroize::Zeroizing::new(STANDARD.decode(text).map_err(|_| NotAMasterKey)?);
    let bytes: [u8; KEY_BYTES] = bytes.as_slice().try_into().map_err(|_| NotAMasterKey)?;
    Ok(DataKey::new(bytes))
}

impl Clone for MasterKey {
    fn clone(&self) -> Self {
        let copy = |key: &DataKey| DataKey::new(*key.expose());
        Self { current: copy(&self.current), others: self.others.iter().map(copy).collect() }
    }
}

impl std::fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MasterKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_goes_through_its_file() {
        let made = MasterKey::generate().unwrap();
        let read = MasterKey::from_base64(&format!("{}\n", made.to_base64())).unwrap();
        assert_eq!(read.key().expose(), made.key().expose());
        assert!(!format!("{made:?}").contains(&made.to_base64()));
        let (old, new) = (made, MasterKey::generate().unwrap());
        let both = MasterKey::from_base64(&format!("{}\n\n {}\n", new.to_base64(), old.to_base64())).unwrap();
        assert_eq!(both.key().expose(), new.key().expose());
        let key = DataKey::generate().unwrap();
        for (sealed_by, is_current) in [(&new, true), (&old, false)] {
            let wrapped = wrapping::wrap(sealed_by.key(), b"context", &key).unwrap();
            let (opened, current) = both.open(b"context", &wrapped).unwrap();
            assert_eq!((opened.expose(), current), (key.expose(), is_current));
            assert!(both.open(b"another", &wrapped).is_none());
        }
        let nine = format!("{}\n", new.to_base64()).repeat(9);
        for bad in [nine.as_str(), "", "AAAA", "not base64!", &STANDARD.encode([0; 33])] {
            assert_eq!(MasterKey::from_base64(bad).unwrap_err(), NotAMasterKey, "{bad}");
        }
    }
}
