//! The rule language: its model, what makes a configuration valid, and what it says about an object.
//!
//! Nothing here reads a clock. Source: "Managing the lifecycle of objects", Amazon S3 user guide, and the API reference
//! of `PutBucketLifecycleConfiguration`.

mod calendar;
mod error;
mod evaluate;
mod model;
mod validate;

pub use calendar::Calendar;
pub use error::{Fault, RuleError};
pub use evaluate::{
    Action, Due, ObjectFacts, Outlook, Planned, Standing, expiration_of, next_action, outlook, planned,
    upload_expiration,
};
pub use model::{
    Expiration, Filter, LifecycleConfiguration, NoncurrentExpiration, NoncurrentTransition, Rule, Scope, Transition,
    TransitionMinimumSize, When,
};
pub use validate::{RULES_MAX, validate};
