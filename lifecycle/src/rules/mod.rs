//! The rule language: its model, what makes a configuration valid, and what it says about an object.
//!
//! Nothing here reads a clock. Source: "Managing the lifecycle of objects", Amazon S3 user guide, and the API reference
//! of `PutBucketLifecycleConfiguration`.

mod error;
mod evaluate;
mod model;
mod validate;

pub use error::{Fault, RuleError};
pub use evaluate::{Action, Due, ObjectFacts, Standing, expiration_of, next_action, upload_expiration};
pub use model::{
    Expiration, Filter, LifecycleConfiguration, NoncurrentExpiration, NoncurrentTransition, Rule, Scope, Transition,
    TransitionMinimumSize, When,
};
pub use validate::{RULES_MAX, validate};
