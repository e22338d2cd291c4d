//! Policies: statements that allow or deny actions on resources to principals under conditions.
//!
//! A policy that is here was read whole: what the language does not have is refused, never skipped. Which statements
//! apply to a request is judged here; what follows from all policies together is judged in [`crate::authorizer`].
//!
//! Source: "IAM JSON policy reference", IAM user guide.

mod bucket_policy;
mod condition_key;
mod error;
mod parse;
pub(crate) mod principal;
mod public;
#[cfg(test)]
mod tests;

pub use error::PolicyError;

use crate::action::Action;
use crate::caller::Requester;
use crate::condition::Condition;
use crate::context::RequestContext;
use crate::pattern::{Case, Pattern};
use principal::Principal;

/// The largest policy, in bytes.
pub const POLICY_BYTES_MAX: usize = granary_protocol::user::POLICY_BYTES_MAX;

/// A policy as it was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    statements: Vec<Statement>,
}

#[derive(Clone, Debug, PartialEq)]
struct Statement {
    effect: Effect,
    /// `None` in identity policies: whoever they are attached to.
    principals: Option<Listed<Principal>>,
    actions: Listed<Pattern>,
    resources: Listed<Pattern>,
    conditions: Vec<Condition>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effect {
    Allow,
    Deny,
}

/// An element or its negation: `Action` or `NotAction`.
#[derive(Clone, Debug, PartialEq)]
struct Listed<T> {
    items: Vec<T>,
    negated: bool,
}

impl<T> Listed<T> {
    fn covers(&self, matches: impl Fn(&T) -> bool) -> bool {
        self.items.iter().any(matches) != self.negated
    }
}

/// What a policy says about a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// A statement denies it: nothing else counts.
    Deny,
    /// A statement allows it.
    Allow,
    /// No statement applies.
    Silent,
}

/// What is asked of a policy.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// Who asks.
    pub requester: Requester<'a>,
    /// The action's name, with its service: `s3:GetObject`.
    pub action: &'a str,
    /// The resource's ARN.
    pub resource: &'a str,
    /// The rest.
    pub context: &'a RequestContext,
}

impl Policy {
    /// What it says.
    pub fn evaluate(&self, question: &Question<'_>) -> Verdict {
        let mut verdict = Verdict::Silent;
        for statement in self.statements.iter().filter(|statement| statement.applies(question)) {
            match statement.effect {
                Effect::Deny => return Verdict::Deny,
                Effect::Allow => verdict = Verdict::Allow,
            }
        }
        verdict
    }

    /// Whether what it says about an action may depend on the tags of the object that is there.
    pub fn asks_for_existing_tags(&self, action: Action) -> bool {
        const PREFIX: &str = "s3:ExistingObjectTag/";
        let is_tag = |key: &str| key.get(..PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(PREFIX));
        self.statements.iter().filter(|statement| statement.could_cover(action.name())).any(|statement| {
            let patterns =
                statement.resources.items.iter().chain(statement.conditions.iter().flat_map(Condition::values));
            statement.conditions.iter().any(|condition| is_tag(condition.key()))
                || patterns.flat_map(Pattern::variables).any(is_tag)
        })
    }
}

impl Statement {
    fn applies(&self, question: &Question<'_>) -> bool {
        self.could_cover(question.action)
            && self
                .principals
                .as_ref()
                .is_none_or(|principals| principals.covers(|principal| principal.matches(question.requester)))
            && self.resources.covers(|resource| resource.matches(question.resource, question.context, Case::Sensitive))
            && self.conditions.iter().all(|condition| condition.holds(question.context))
    }

    fn could_cover(&self, action: &str) -> bool {
        self.actions.covers(|pattern| pattern.could_match(action, Case::Insensitive))
    }
}
