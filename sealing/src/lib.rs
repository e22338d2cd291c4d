//! Sealed contents and the keys they are under, for every door that shows them.
//!
//! Each object has a random data key, kept with it sealed under the store's key (SSE-S3), a key of the key store (SSE-KMS)
//! or the client's (SSE-C), or a second one under the store's key as well (DSSE-KMS). Its bytes are sealed in segments under keys derived from that ([`granary_protocol::encryption`]).
//! No key in clear leaves the memory of the process that opens it. Who may read what, and which mode an object gets, is
//! decided elsewhere.

mod data_key;
mod key_name;
mod key_store;
mod layers;
mod local_key_store;
mod master_key;
mod object_key;
mod opener;
mod reader;
#[cfg(test)]
mod seal_tests;
mod sealer;
mod secret;
mod segment;
pub mod wrapping;
mod writer;

pub use data_key::{DataKey, KEY_BYTES, TagKey};
pub use key_name::{NotAKey, is_key_name, parse_key_id};
pub use key_store::{
    DEFAULT_KMS_KEY, KEY_NAME_BYTES_MAX, KeyDescription, KeyName, KeyStore, KeyStoreError, MasterKeyStanding,
};
pub use layers::LayerKeys;
pub use local_key_store::{CACHED_FOR, LocalKeyStore};
pub use master_key::{MasterKey, NotAMasterKey};
pub use object_key::{hides_md5, key_name_of, open_data_keys, wrap_data_keys, wrapping_context};
pub use opener::{OpenError, WindowOpener};
pub use reader::ObjectReader;
pub use sealer::StreamSealer;
pub use secret::{open_secret, seal_secret};
pub use writer::ObjectWriter;
