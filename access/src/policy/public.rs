//! Whether a policy is public.
//!
//! A policy is public unless each of its Allows names fixed principals, or is restricted to fixed values of a key that
//! says where requests come from or for whom. A fixed value has no wildcard and no variable in it.
//!
//! Source: "Blocking public access to your Amazon S3 storage: The meaning of public", Amazon S3 user guide.

use super::principal::Principal;
use super::{Effect, Policy, Statement};
use crate::condition::{Condition, IpBlock, Quantifier, Test};

/// Keys that make a statement not public when they are fixed.
const RESTRICTING_KEYS: &[&str] = &[
    "aws:PrincipalAccount",
    "aws:PrincipalArn",
    "aws:PrincipalOrgID",
    "aws:PrincipalOrgPaths",
    "aws:SourceAccount",
    "aws:SourceArn",
    "aws:SourceOrgID",
    "aws:SourceOwner",
    "aws:SourceVpc",
    "aws:SourceVpce",
    "aws:userid",
    "s3:DataAccessPointAccount",
    "s3:DataAccessPointArn",
    "s3:x-amz-server-side-encryption-aws-kms-key-id",
];

impl Policy {
    /// Whether it lets the public in.
    pub fn is_public(&self) -> bool {
        self.statements.iter().any(Statement::is_public)
    }
}

impl Statement {
    fn is_public(&self) -> bool {
        let names_everybody = self
            .principals
            .as_ref()
            .is_none_or(|principals| principals.negated || principals.items.contains(&Principal::Everybody));
        self.effect == Effect::Allow && names_everybody && !self.conditions.iter().any(restricts)
    }
}

fn restricts(condition: &Condition) -> bool {
    let operator = condition.operator();
    // Conditions that hold without the key restrict nobody who leaves it out.
    if operator.negated || operator.if_exists || operator.quantifier == Quantifier::All {
        return false;
    }
    let key = condition.key();
    match operator.test {
        Test::IpAddress => {
            key.eq_ignore_ascii_case("aws:SourceIp")
                && condition
                    .values()
                    .iter()
                    .all(|value| IpBlock::parse(value.text()).is_some_and(|block| !block.is_wide()))
        }
        Test::StringEquals | Test::StringEqualsIgnoreCase | Test::StringLike | Test::ArnLike => {
            RESTRICTING_KEYS.iter().any(|known| known.eq_ignore_ascii_case(key))
                && condition.values().iter().all(|value| value.is_fixed())
        }
        _ => false,
    }
}
