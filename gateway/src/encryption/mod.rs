//! Server-side encryption: what requests ask for, the keys, and the sealing and opening of bytes.
//!
//! Each object has a random data key, kept with it sealed under the store's key (SSE-S3), a key of the key store (SSE-KMS)
//! or the client's (SSE-C). Its bytes are sealed in segments under keys derived from that ([`granary_protocol::encryption`]).
//! No key in clear leaves the gateway's memory.

mod asked;
mod customer_key;
mod data_key;
mod key_name;
mod key_store;
mod local_key_store;
mod master_key;
mod opener;
mod plan;
mod reader;
mod reading;
mod response;
#[cfg(test)]
mod seal_tests;
mod sealer;
mod segment;
mod service;
mod wrapping;
mod writer;

pub(crate) use asked::{Asked, refuse_method_on_read};
pub(crate) use customer_key::{CustomerKey, refuse_customer_key};
pub(crate) use key_store::{KeyDescription, KeyStore, KeyStoreError};
pub(crate) use local_key_store::LocalKeyStore;
pub use master_key::{MasterKey, NotAMasterKey};
pub(crate) use plan::{KeyRealm, Plan, hides_md5};
pub(crate) use reader::ObjectReader;
pub(crate) use reading::{check_key, check_upload_key};
pub(crate) use response::{insert_encryption, insert_new_encryption};
pub(crate) use service::{ContentSeal, Encryption, TagRule, opaque_tag};
pub(crate) use writer::ObjectWriter;
