//! Encrypted files through Hadoop's protocols.
//!
//! Hadoop's clients read blocks of plaintext from datanodes. The namenode's door cuts an encrypted file into blocks of its
//! plaintext ([`cut`]) and gives each a token that says which sealed bytes it is ([`SealedBlock`]); a datanode's door reads
//! those, wherever they are, opens them and serves what the block has ([`SealedReads`]). The namenode has no key; a data key
//! travels in the token as it is kept, sealed under a key of the store. See `docs/decisions`.

mod cut;
mod locator;
mod reads;
mod token;

pub use locator::{Locator, ShownFile};
pub use reads::{SealedReads, SealedSource};
pub use token::SealedBlock;
pub(crate) use token::is_sealed;
