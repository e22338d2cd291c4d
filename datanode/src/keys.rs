//! The keys that block tokens are checked with, as told by the namenodes. Until the first reply there are none, and
//! every token is refused.

use std::sync::{Arc, PoisonError, RwLock};

use granary_protocol::UnixMillis;
use granary_protocol::block::Extent;
use granary_protocol::token::{AccessMode, BlockKey, BlockToken, TokenError};

/// Keys kept: a namenode uses one and announces the next; the rest have not expired yet.
const KEYS_MAX: usize = 16;

/// The keys known now.
#[derive(Default)]
pub(crate) struct TokenKeys {
    keys: RwLock<Arc<[BlockKey]>>,
}

impl TokenKeys {
    /// Takes in the keys of a reply. They are merged, because peers that lag behind name older ones.
    pub(crate) fn merge(&self, told: Vec<BlockKey>, now: UnixMillis) {
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        if told.iter().all(|key| keys.contains(key)) {
            return;
        }
        let kept = keys.iter().filter(|key| key.expires >= now && told.iter().all(|new| new.id != key.id));
        let mut merged: Vec<BlockKey> = told.iter().chain(kept).cloned().collect();
        merged.sort_by_key(|key| std::cmp::Reverse(key.expires));
        merged.truncate(KEYS_MAX);
        *keys = merged.into();
    }

    /// Whether any key is known.
    pub(crate) fn any(&self) -> bool {
        !self.keys.read().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// Checks that `token` allows `mode` on `wanted` now.
    pub(crate) fn verify(
        &self,
        token: &BlockToken,
        wanted: Extent,
        mode: AccessMode,
        now: UnixMillis,
    ) -> Result<(), TokenError> {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner).clone();
        token.verify(&keys, wanted, mode, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use granary_protocol::{BlockId, GenerationStamp};

    fn key(id: u32, expires: u64) -> BlockKey {
        BlockKey { id, secret: [id as u8; 32], expires: UnixMillis(expires) }
    }

    #[test]
    fn keys_are_merged_and_old_ones_go() {
        let keys = TokenKeys::default();
        let extent = Extent { block: BlockId(1), offset: 0, length: 8 };
        let check = |signer: BlockKey, now| {
            let token = BlockToken::sign(&signer, extent, GenerationStamp(1), AccessMode::Read, UnixMillis(1_000_000));
            keys.verify(&token, extent, AccessMode::Read, UnixMillis(now))
        };
        assert_eq!(check(key(1, 100), 0), Err(TokenError::UnknownKey));
        keys.merge(vec![key(1, 100)], UnixMillis(0));
        keys.merge(vec![key(2, 200)], UnixMillis(50));
        assert_eq!(check(key(1, 100), 50), Ok(()));
        assert_eq!(check(key(2, 200), 50), Ok(()));
        keys.merge(vec![key(3, 300)], UnixMillis(150));
        assert_eq!(check(key(1, 100), 150), Err(TokenError::UnknownKey));
        keys.merge(vec![], UnixMillis(150));
        assert_eq!(check(key(3, 300), 150), Ok(()));
    }
}
