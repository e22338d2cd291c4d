//! How this crate words its refusals.
//!
//! Its public error is [`Failure`], the same as the services': a door maps one closed list of codes, wherever a request
//! was refused. Codes that only a writer or reader of blocks understands do not leave this crate: what it could not
//! cure itself it hands on as `Unavailable`, which tells the user to try again.

use granary_protocol::namenode::NamenodeReply;
use granary_protocol::{Advice, ErrorCode, Failure};

/// A refusal that another attempt may not meet.
pub(crate) fn unavailable(detail: impl Into<String>) -> Failure {
    Failure::new(ErrorCode::Unavailable, detail)
}

/// A service answered something else than documented.
pub(crate) fn unexpected(reply: &NamenodeReply) -> Failure {
    let text = format!("{reply:?}");
    let variant = text.split(['(', '{', ' ']).next().unwrap_or_default();
    Failure::new(ErrorCode::Internal, format!("the namenode answered {variant} to another question"))
}

/// The failure as a user of objects sees it: block-level codes become `Unavailable`.
pub(crate) fn for_user(failure: Failure) -> Failure {
    match failure.code.advice() {
        Advice::GiveUp | Advice::OtherLeader | Advice::Retry => failure,
        Advice::OtherReplica => unavailable(failure.to_string()),
    }
}

/// Whether a writer cures this by writing the same bytes again elsewhere.
pub(crate) fn asks_for_rewrite(code: &ErrorCode) -> bool {
    matches!(code, ErrorCode::LeaseExpired | ErrorCode::StaleGeneration)
}
