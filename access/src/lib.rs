//! Who may do what: the policy language, access control lists, ownership, the public access block, and the one decision
//! that follows from them.
//!
//! Pure: facts in, decision out. No I/O, no clock; the moment of a request is one of the facts. What is asked by which
//! operation, and where the facts come from, is the doors' business, so that every door asks the same authorizer.

pub mod acl;
mod action;
pub mod authorizer;
mod caller;
mod condition;
mod context;
mod json;
mod operation;
mod ownership;
mod pattern;
mod policy;
mod public_access_block;

pub use action::{Action, ResourceKind};
pub use caller::{Caller, PolicySource, Requester, Session};
pub use context::RequestContext;
pub use operation::{OperationTraits, required_actions};
pub use ownership::ObjectOwnership;
pub use policy::{POLICY_BYTES_MAX, Policy, PolicyError, Question, Verdict};
pub use public_access_block::PublicAccessBlock;
