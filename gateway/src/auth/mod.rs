//! Who sent a request, proven. AWS Signature Version 4 in the header, in the query and over a POST policy; Version 2 in
//! the query only.
//!
//! Invariants: [`AuthenticatedRequest`] can only be made by [`Authenticator`], so a handler that asks for one cannot be
//! reached around the signature; every payload mode goes through the same verification; "no credentials" is a value
//! ([`Identity::Anonymous`]), never a default; a request that can be read as authenticated in two ways is refused.
//!
//! Canonicalisation and checking are pure (`sigv4`, `canonical`, `sigv2`, `claim`): the clock is a parameter, secrets come in as
//! arguments. Only [`Authenticator`] asks a store. What a principal may *do* is not decided here.
//!
//! Source: "Authenticating requests (AWS Signature Version 4)", Amazon S3 API reference.

mod amz_date;
mod authenticator;
mod canonical;
mod chunk;
mod claim;
mod identity;
mod keys;
mod payload;
mod session_token;
mod sigv2;
#[cfg(test)]
mod sigv2_tests;
mod sigv4;
#[cfg(test)]
mod tests;

pub use amz_date::AmzDate;
pub use authenticator::{AuthMethod, AuthenticatedRequest, Authenticator, PostFormCredentials};
pub use chunk::ChunkSigner;
pub use identity::{Credential, CredentialStore, CredentialStoreError, Identity, Principal, Secret};
pub use keys::{SIGNING_KEYS_MAX, SigningKey};
pub use payload::PayloadMode;
pub use session_token::SessionClaim;
