//! What a bucket's policy must be besides a policy: about that bucket, with actions and conditions that fit.

use super::condition_key::scope_of;
use super::error::PolicyError;
use super::parse::{PolicyKind, parse};
use super::{Policy, Statement};
use crate::action::{Action, ResourceKind};
use crate::pattern::{Case, Pattern};

const ARN_PREFIX: &str = "arn:aws:s3:::";

/// What a resource pattern can stand for.
struct Reach {
    bucket: bool,
    objects: bool,
}

impl Policy {
    /// Reads the policy of a bucket that is stored, leaving aside what was checked when it was put.
    ///
    /// # Errors
    /// [`PolicyError`]; a policy that cannot be read allows nothing.
    pub fn parse_resource(document: &[u8]) -> Result<Policy, PolicyError> {
        parse(document, PolicyKind::Resource)
    }

    /// Reads a policy that is about to become that of `bucket`, and refuses it as AWS does.
    ///
    /// # Errors
    /// [`PolicyError`]: `MalformedPolicy` with its text.
    pub fn parse_for_bucket(document: &[u8], bucket: &str) -> Result<Policy, PolicyError> {
        let policy = Self::parse_resource(document)?;
        for statement in &policy.statements {
            statement.check(bucket)?;
        }
        Ok(policy)
    }
}

impl Statement {
    fn check(&self, bucket: &str) -> Result<(), PolicyError> {
        let mut reach = Reach { bucket: false, objects: false };
        for resource in &self.resources.items {
            let one = reach_of(resource, bucket).ok_or(PolicyError::InvalidResource)?;
            reach.bucket |= one.bucket;
            reach.objects |= one.objects;
        }
        if self.resources.negated {
            reach = Reach { bucket: true, objects: true };
        }
        for action in &self.actions.items {
            let meant = actions_meant(action).ok_or(PolicyError::InvalidAction)?;
            let fits = |action: &Action| match action.kind() {
                ResourceKind::Account => false,
                ResourceKind::Bucket => reach.bucket,
                ResourceKind::Object => reach.objects,
            };
            if !self.actions.negated && !meant.iter().any(fits) {
                return Err(PolicyError::ActionWithoutResource);
            }
        }
        self.check_conditions()
    }

    fn check_conditions(&self) -> Result<(), PolicyError> {
        let covered: Vec<Action> =
            Action::ALL.iter().copied().filter(|action| self.could_cover(action.name())).collect();
        for condition in &self.conditions {
            let scope = scope_of(condition.key()).ok_or(PolicyError::InvalidConditionKey)?;
            if !covered.iter().any(|action| scope.includes(*action)) {
                return Err(PolicyError::ConditionWithoutAction);
            }
        }
        Ok(())
    }
}

/// What of `bucket` a pattern can stand for; `None` if nothing.
fn reach_of(resource: &Pattern, bucket: &str) -> Option<Reach> {
    if resource.text() == "*" {
        return Some(Reach { bucket: true, objects: true });
    }
    let rest = resource.text().strip_prefix(ARN_PREFIX)?;
    let parse = |text: &str| Pattern::parse(text, true);
    let reach = match rest.split_once('/') {
        // A pattern without a slash reaches objects if a `*` at its end can stand for one.
        None => Reach {
            bucket: parse(rest)?.could_match(bucket, Case::Sensitive),
            objects: rest.ends_with('*') && parse(rest)?.could_match(&format!("{bucket}/"), Case::Sensitive),
        },
        Some((name, key)) => {
            Reach { bucket: false, objects: !key.is_empty() && parse(name)?.could_match(bucket, Case::Sensitive) }
        }
    };
    (reach.bucket || reach.objects).then_some(reach)
}

/// The actions of S3 that a pattern stands for; `None` if there are none.
fn actions_meant(action: &Pattern) -> Option<Vec<Action>> {
    let matches = |candidate: &&Action| action.could_match(candidate.name(), Case::Insensitive);
    let meant: Vec<Action> = Action::ALL.iter().filter(matches).copied().collect();
    (!meant.is_empty()).then_some(meant)
}
