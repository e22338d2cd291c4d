//! Principals, their secrets, and where both come from.

use std::fmt;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use granary_access::Caller;
use subtle::ConstantTimeEq;

/// A secret access key or session token. Never printed, compared in constant time.
#[derive(Clone)]
pub struct Secret(Arc<str>);

impl Secret {
    /// Wraps a secret.
    pub fn new(secret: impl Into<Arc<str>>) -> Self {
        Self(secret.into())
    }

    /// The secret itself: for deriving a signing key, nothing else.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }

    /// Whether two handles hold the same secret; free for clones of one.
    pub(super) fn is_same_as(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.ct_eq(&other.0)
    }

    /// Equality in time that depends on the lengths only.
    pub fn ct_eq(&self, other: &str) -> bool {
        self.0.as_bytes().ct_eq(other.as_bytes()).into()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Who a request acts for. What it may do is asked elsewhere, about this value.
#[derive(Clone, Debug, PartialEq)]
pub struct Principal {
    /// The key the request was signed with.
    pub access_key_id: Arc<str>,
    /// The identity every door shares.
    pub caller: Arc<Caller>,
}

/// The caller of a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Identity {
    /// Sent no credentials at all.
    Anonymous,
    /// Proved who it is.
    Principal(Principal),
    /// A service of this store, by the name policies know it: `logging.s3.amazonaws.com`.
    Service(&'static str),
}

impl Identity {
    /// The principal, unless anonymous.
    pub fn principal(&self) -> Option<&Principal> {
        match self {
            Identity::Anonymous | Identity::Service(_) => None,
            Identity::Principal(principal) => Some(principal),
        }
    }
}

/// What a store knows about an access key.
#[derive(Clone, Debug)]
pub struct Credential {
    /// Signs requests.
    pub secret_access_key: Secret,
    /// For temporary credentials: the token that must accompany every request.
    pub session_token: Option<Secret>,
    /// For temporary credentials: the second after which they are refused, Unix time.
    pub expires_at_s: Option<i64>,
    /// Whom it stands for.
    pub principal: Principal,
}

/// Why a store has no answer. The request is refused, never let through.
#[derive(Debug, thiserror::Error)]
pub enum CredentialStoreError {
    /// It could not be asked: 503.
    #[error("credential store unavailable: {reason}")]
    Unavailable {
        /// For the log; clients are not told.
        reason: String,
    },
    /// The session token was not made here, or for another key: `InvalidToken`.
    #[error("session token is not valid")]
    InvalidToken,
}

/// Looks up access keys.
pub trait CredentialStore: Send + Sync + 'static {
    /// `Ok(None)` for a key that does not exist or is disabled. Temporary credentials are found by the session token that
    /// comes with them. Called once per request: answer from memory.
    fn lookup<'a>(
        &'a self,
        access_key_id: &'a str,
        session_token: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Option<Credential>, CredentialStoreError>>;
}
