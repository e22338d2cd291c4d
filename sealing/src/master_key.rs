//! The master key: 32 bytes under which the keys of the key store are wrapped. It is in the memory of
//! the doors alone that show plaintext.

use crate::data_key::{DataKey, KEY_BYTES};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The key above all keys of the store.
pub struct MasterKey(DataKey);

/// A text that is no master key. The text is not repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a master key is {KEY_BYTES} bytes in base64")]
pub struct NotAMasterKey;

impl MasterKey {
    /// A random key.
    ///
    /// # Errors
    /// When the machine has no random bytes to give.
    pub fn generate() -> Result<Self, getrandom::Error> {
        DataKey::generate().map(Self)
    }

    /// Reads a key from base64, as its file and its environment variable hold it.
    ///
    /// # Errors
    /// Unless it is 32 bytes.
    pub fn from_base64(text: &str) -> Result<Self, NotAMasterKey> {
        let bytes = STANDARD.decode(text.trim()).map_err(|_| NotAMasterKey)?;
        let bytes: [u8; KEY_BYTES] = bytes.try_into().map_err(|_| NotAMasterKey)?;
        Ok(Self(DataKey::new(bytes)))
    }

    /// The key in base64: for the file it is kept in, nothing else.
    pub fn to_base64(&self) -> String {
        STANDARD.encode(self.0.expose())
    }

    pub(crate) fn key(&self) -> &DataKey {
        &self.0
    }
}

impl Clone for MasterKey {
    fn clone(&self) -> Self {
        Self(DataKey::new(*self.0.expose()))
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
        for bad in ["", "AAAA", "not base64!", &STANDARD.encode([0; 33])] {
            assert_eq!(MasterKey::from_base64(bad).unwrap_err(), NotAMasterKey, "{bad}");
        }
    }
}
