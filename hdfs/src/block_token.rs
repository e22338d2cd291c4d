//! Block tokens as Hadoop's clients carry them: an opaque identifier that they hand back untouched.

use crate::proto::Token;
use granary_protocol::token::BlockToken;

/// The kind Hadoop's own block tokens have.
pub(crate) const KIND: &str = "HDFS_BLOCK_TOKEN";
/// The longest identifier read.
const IDENTIFIER_BYTES_MAX: usize = 512;

/// The token for a client.
pub fn to_hadoop(token: &BlockToken) -> Token {
    let identifier = postcard::to_stdvec(token).expect("a token is plain data");
    Token { identifier, password: Vec::new(), kind: KIND.to_owned(), service: String::new() }
}

/// The token that a client brings; `None` if it is none of this store's. What it allows is the datanode's to verify.
pub fn from_hadoop(token: &Token) -> Option<BlockToken> {
    if token.identifier.len() > IDENTIFIER_BYTES_MAX {
        return None;
    }
    match postcard::take_from_bytes(&token.identifier) {
        Ok((token, [])) => Some(token),
        Ok(_) | Err(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use granary_protocol::block::Extent;
    use granary_protocol::token::{AccessMode, BlockKey};
    use granary_protocol::{BlockId, GenerationStamp, UnixMillis};

    #[test]
    fn a_token_comes_back_as_it_went() {
        let key = BlockKey { id: 3, secret: [9; 32], expires: UnixMillis(9_000) };
        let extent = Extent { block: BlockId(7), offset: 4096, length: 100 };
        let token = BlockToken::sign(&key, extent, GenerationStamp(2), AccessMode::Read, UnixMillis(8_000));
        let carried = to_hadoop(&token);
        assert_eq!(from_hadoop(&carried), Some(token));
        for identifier in [Vec::new(), vec![0xff; 40], [carried.identifier.as_slice(), &[0]].concat()] {
            assert_eq!(from_hadoop(&Token { identifier, ..Token::default() }), None);
        }
    }
}
