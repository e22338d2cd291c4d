//! Block tokens: the only way to touch a datanode.
//!
//! The namenode signs what a caller may do with one block for a limited time; a datanode verifies it with the keys it
//! got from the namenode. The token also names the extent, so that a reader of a packed block sees only its object.

use crate::block::Extent;
use crate::ids::{BlockId, GenerationStamp, UnixMillis};
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use subtle::ConstantTimeEq;

/// How long a token is valid after it was issued: 10 minutes for the first byte; streams already open go on.
pub const TOKEN_LIFETIME_MS: u64 = 10 * 60 * 1000;

/// What a token allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum AccessMode {
    /// Read bytes of the extent.
    Read,
    /// Write the block as its pipeline's member, and finalize it.
    Write,
    /// Copy the whole replica to another datanode, verify it.
    Copy,
}

/// A key that tokens are signed with. Secret; shared by namenodes and datanodes.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockKey {
    /// Which key; tokens name it.
    pub id: u32,
    /// 32 random bytes.
    pub secret: [u8; 32],
    /// Tokens signed with this key are refused after this time.
    pub expires: UnixMillis,
}

impl std::fmt::Debug for BlockKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BlockKey").field("id", &self.id).field("expires", &self.expires).finish_non_exhaustive()
    }
}

/// Permission to do one thing with one block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockToken {
    /// The block and the bytes of it that may be touched.
    pub extent: Extent,
    /// The generation the holder knows.
    pub generation: GenerationStamp,
    /// What may be done.
    pub mode: AccessMode,
    /// Refused after this time.
    pub expires: UnixMillis,
    /// The key that signed it.
    pub key_id: u32,
    /// HMAC-SHA256 over all of the above.
    pub mac: [u8; 32],
}

/// Why a token does not allow what was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Signed with a key this datanode does not have.
    #[error("block token names an unknown key")]
    UnknownKey,
    /// The signature is wrong.
    #[error("block token is forged")]
    Forged,
    /// Too old.
    #[error("block token has expired")]
    Expired,
    /// For another block, extent or mode.
    #[error("block token does not cover the request")]
    NotCovered,
}

impl BlockToken {
    /// Signs permission for `mode` on `extent`.
    pub fn sign(
        key: &BlockKey,
        extent: Extent,
        generation: GenerationStamp,
        mode: AccessMode,
        expires: UnixMillis,
    ) -> BlockToken {
        let mut token = BlockToken { extent, generation, mode, expires, key_id: key.id, mac: [0; 32] };
        token.mac = token.expected_mac(key);
        token
    }

    /// Checks the signature and the time, and that the token covers `wanted` in `mode`. Constant time in the signature.
    pub fn verify(
        &self,
        keys: &[BlockKey],
        wanted: Extent,
        mode: AccessMode,
        now: UnixMillis,
    ) -> Result<(), TokenError> {
        let key = keys.iter().find(|key| key.id == self.key_id).ok_or(TokenError::UnknownKey)?;
        if !bool::from(self.expected_mac(key).ct_eq(&self.mac)) {
            return Err(TokenError::Forged);
        }
        if now > self.expires || now > key.expires {
            return Err(TokenError::Expired);
        }
        let end = |extent: &Extent| u64::from(extent.offset) + u64::from(extent.length);
        let covered = self.extent.block == wanted.block
            && self.extent.offset <= wanted.offset
            && end(&wanted) <= end(&self.extent);
        if !covered || self.mode != mode {
            return Err(TokenError::NotCovered);
        }
        Ok(())
    }

    /// The block the token is for.
    pub fn block(&self) -> BlockId {
        self.extent.block
    }

    fn expected_mac(&self, key: &BlockKey) -> [u8; 32] {
        let mut message = [0u8; 41];
        message[0..8].copy_from_slice(&self.extent.block.0.to_le_bytes());
        message[8..12].copy_from_slice(&self.extent.offset.to_le_bytes());
        message[12..16].copy_from_slice(&self.extent.length.to_le_bytes());
        message[16..24].copy_from_slice(&self.generation.0.to_le_bytes());
        message[24] = match self.mode {
            AccessMode::Read => 1,
            AccessMode::Write => 2,
            AccessMode::Copy => 3,
        };
        message[25..33].copy_from_slice(&self.expires.0.to_le_bytes());
        message[33..37].copy_from_slice(&self.key_id.to_le_bytes());
        message[37..41].copy_from_slice(b"GBT1");
        let mut mac = Hmac::<Sha256>::new_from_slice(&key.secret).expect("HMAC takes a key of any length");
        mac.update(&message);
        mac.finalize().into_bytes().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> BlockKey {
        BlockKey { id: 3, secret: [9; 32], expires: UnixMillis(10_000) }
    }

    fn extent(offset: u32, length: u32) -> Extent {
        Extent { block: BlockId(5), offset, length }
    }

    #[test]
    fn a_token_allows_exactly_what_it_says() {
        let token = BlockToken::sign(&key(), extent(100, 50), GenerationStamp(1), AccessMode::Read, UnixMillis(5_000));
        let check = |wanted, mode, now| token.verify(&[key()], wanted, mode, UnixMillis(now));
        assert_eq!(check(extent(100, 50), AccessMode::Read, 5_000), Ok(()));
        assert_eq!(check(extent(120, 10), AccessMode::Read, 0), Ok(()));
        assert_eq!(check(extent(99, 50), AccessMode::Read, 0), Err(TokenError::NotCovered));
        assert_eq!(check(extent(101, 50), AccessMode::Read, 0), Err(TokenError::NotCovered));
        assert_eq!(
            check(Extent { block: BlockId(6), ..extent(100, 50) }, AccessMode::Read, 0),
            Err(TokenError::NotCovered)
        );
        assert_eq!(check(extent(100, 50), AccessMode::Write, 0), Err(TokenError::NotCovered));
        assert_eq!(check(extent(100, 50), AccessMode::Read, 5_001), Err(TokenError::Expired));
        assert_eq!(token.verify(&[], extent(100, 50), AccessMode::Read, UnixMillis(0)), Err(TokenError::UnknownKey));
    }

    #[test]
    fn a_changed_token_is_forged() {
        let token = BlockToken::sign(&key(), extent(100, 50), GenerationStamp(1), AccessMode::Read, UnixMillis(5_000));
        let forged = [
            BlockToken { extent: extent(0, 5000), ..token.clone() },
            BlockToken { mode: AccessMode::Write, ..token.clone() },
            BlockToken { expires: UnixMillis(9_000), ..token.clone() },
            BlockToken { generation: GenerationStamp(2), ..token.clone() },
        ];
        for token in forged {
            let wanted = token.extent;
            assert_eq!(token.verify(&[key()], wanted, token.mode, UnixMillis(0)), Err(TokenError::Forged));
        }
    }
}
