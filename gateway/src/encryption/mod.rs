//! Server-side encryption as requests ask for it: headers, defaults, customers' keys, and the refusals. Keys, and the sealing
//! and opening of bytes, are `granary_sealing`'s.

mod asked;
mod customer_key;
mod plan;
mod reading;
mod response;
mod service;

pub(crate) use asked::{Asked, refuse_method_on_read};
pub(crate) use customer_key::{CustomerKey, refuse_customer_key};
pub(crate) use granary_sealing::hides_md5;
pub(crate) use plan::{KeyRealm, Plan};
pub(crate) use reading::{check_key, check_upload_key};
pub(crate) use response::{insert_encryption, insert_new_encryption};
pub(crate) use service::{ContentSeal, Encryption, TagRule, opaque_tag};
