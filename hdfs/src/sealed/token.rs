//! What a client carries from the namenode's door to a datanode's for a block of an encrypted file.
//!
//! It is signed, so that nobody reads longer, or other bytes, than the namenode said. Beside what a block token says it has
//! the object's data key, sealed as it is kept: worthless without the key above it.

use crate::block_token::KIND;
use crate::cluster_key::{is_signed, sign};
use crate::proto::Token;
use granary_protocol::encryption::{ObjectEncryption, SealedRun};
use granary_protocol::user::TokenKey;
use granary_protocol::{BlockId, ContentId, ErrorCode, Failure, UnixMillis};
use serde::{Deserialize, Serialize};

/// Keeps these signatures apart from others under the same key; changed with the shape below.
const DOMAIN: &[u8] = b"granary sealed block 1";
/// The longest identifier read: an encryption context has up to 8 KiB.
const IDENTIFIER_BYTES_MAX: usize = 16 << 10;

/// A block of an encrypted file: plaintext of one run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedBlock {
    /// The block by which clients name it: the one that has most of its bytes.
    pub block: BlockId,
    /// Refused after this time.
    pub expires: UnixMillis,
    /// The content that has the sealed bytes.
    pub content: ContentId,
    /// Where the sealed bytes of the run, all of it, begin in the content.
    pub run_starts_at: u64,
    /// What of the run the block is.
    pub run: SealedRun,
    /// The object's data key, sealed.
    pub encryption: ObjectEncryption,
}

impl SealedBlock {
    /// The token for a client.
    pub fn to_hadoop(&self, key: &TokenKey) -> Token {
        let identifier = postcard::to_stdvec(self).expect("plain data");
        let password = sign(key, DOMAIN, &identifier).to_vec();
        Token { identifier, password, kind: KIND.to_owned(), service: String::new() }
    }

    /// The block of a token that a client brings.
    ///
    /// # Errors
    /// `InvalidToken`.
    pub fn from_hadoop(key: &TokenKey, token: &Token, now: UnixMillis) -> Result<SealedBlock, Failure> {
        let refused = |why: &str| Failure::new(ErrorCode::InvalidToken, format!("block token {why}"));
        if token.identifier.len() > IDENTIFIER_BYTES_MAX || !is_signed(key, DOMAIN, &token.identifier, &token.password)
        {
            return Err(refused("is forged"));
        }
        let block: SealedBlock = postcard::from_bytes(&token.identifier).map_err(|_| refused("cannot be read"))?;
        if now > block.expires { Err(refused("has expired")) } else { Ok(block) }
    }
}

/// Whether a token is for a block of an encrypted file. Block tokens proper carry their signature within.
pub(crate) fn is_sealed(token: &Token) -> bool {
    !token.password.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;
    use granary_protocol::encryption::{EncryptionMode, SealSalt};

    #[test]
    fn a_token_is_good_as_it_was_given_and_no_longer() {
        let salt = SealSalt([3; 16]);
        let block = SealedBlock {
            block: BlockId(7),
            expires: UnixMillis(1_000),
            content: ContentId(45),
            run_starts_at: 99,
            run: SealedRun { salt, plain_size: 10, offset: 0, length: 10 },
            encryption: ObjectEncryption { mode: EncryptionMode::S3, wrapped_key: vec![1; 65], salt },
        };
        let (key, now) = (TokenKey([1; 32]), UnixMillis(1_000));
        let token = block.to_hadoop(&key);
        assert!(is_sealed(&token));
        assert_eq!(SealedBlock::from_hadoop(&key, &token, now), Ok(block));
        let refused = |key: &TokenKey, token: &Token, now| {
            SealedBlock::from_hadoop(key, token, UnixMillis(now)).unwrap_err().code == ErrorCode::InvalidToken
        };
        assert!(refused(&key, &token, 1_001));
        assert!(refused(&TokenKey([2; 32]), &token, 0));
        for at in 0..token.identifier.len() {
            let mut changed = token.clone();
            changed.identifier[at] ^= 1;
            assert!(refused(&key, &changed, 0), "{at}");
        }
    }
}
