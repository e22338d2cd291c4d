//! What can go wrong in the namenode's state: a refusal, which is an ordinary reply, and a broken state, which is not.
//!
//! The two are kept apart because every peer must refuse the same commands. A refusal follows from the state alone; an
//! engine that cannot be read is one peer's misfortune, and that peer must stop instead of answering.

use crate::engine::EngineError;
use granary_protocol::{ErrorCode, Failure};

/// The applied state cannot be read or written: this peer stops until it is repaired or rebuilt from another peer.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The engine failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A row does not decode.
    #[error("a row of table {table} cannot be decoded: {detail}")]
    Undecodable {
        /// The table, as named in `state::layout`.
        table: &'static str,
        /// What the decoder said.
        detail: String,
    },
    /// Two rows contradict each other.
    #[error("the applied state contradicts itself: {detail}")]
    Inconsistent {
        /// What was found.
        detail: String,
    },
    /// The state was written by a version of Granary that this one does not know.
    #[error("the applied state has layout_version {found}; this version knows {known} only")]
    LayoutVersion {
        /// The version found.
        found: u32,
        /// The version known.
        known: u32,
    },
}

/// Why a command or a read was not answered.
#[derive(Debug, thiserror::Error)]
pub enum Rejection {
    /// A reply: the same on every peer.
    #[error(transparent)]
    Refused(#[from] Failure),
    /// This peer's state is not to be trusted.
    #[error(transparent)]
    Broken(#[from] StateError),
}

impl From<ErrorCode> for Rejection {
    fn from(code: ErrorCode) -> Self {
        Self::Refused(code.into())
    }
}

impl From<EngineError> for Rejection {
    fn from(error: EngineError) -> Self {
        Self::Broken(error.into())
    }
}

impl From<Rejection> for Failure {
    /// What a caller is told. The detail of a broken state is for the log of the peer that has it.
    fn from(rejection: Rejection) -> Self {
        match rejection {
            Rejection::Refused(failure) => failure,
            Rejection::Broken(_) => Failure::new(ErrorCode::Internal, "the namenode's state cannot be read"),
        }
    }
}

/// A refusal with a detail.
pub(crate) fn refuse(code: ErrorCode, detail: impl Into<String>) -> Rejection {
    Rejection::Refused(Failure::new(code, detail))
}
