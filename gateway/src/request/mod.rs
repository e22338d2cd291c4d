//! What a request says, before anyone decides about it: which bucket and key, which query, range and conditions.
//!
//! Everything here is pure and works on the *raw* request target: the HTTP library's normalisation, if any, is never
//! consulted. One decoder serves the URL, the copy-source header and (through [`ObjectKey`]) keys from XML and forms.

mod conditions;
mod copy_source;
mod decode;
mod encoded_word;
mod http_date;
mod name;
mod query;
mod range;
mod rename_source;
mod target;

pub use conditions::{ConditionOutcome, Preconditions, WriteCondition};
pub use copy_source::CopySource;
pub(crate) use decode::hex_value;
pub use decode::{percent_decode, uri_encode_into};
pub use encoded_word::{decode_header_text, encode_header_text};
pub(crate) use http_date::push_digits;
pub use http_date::{format_http_date, parse_http_date};
pub use name::{BucketName, KEY_BYTES_MAX, ObjectKey};
pub use query::{QUERY_PARAMETERS_MAX, Query};
pub use range::{ByteRange, CopySourceRange, ResolvedRange};
pub use rename_source::parse_rename_source;
pub use target::{AddressingStyle, BaseDomains, RequestTarget, Resource, request_host};
