//! Who asks.

use crate::policy::Policy;
use granary_protocol::CanonicalId;
use std::sync::Arc;

/// Somebody who proved who it is. Each user is an account of its own.
#[derive(Clone, Debug, PartialEq)]
pub struct Caller {
    /// The owner of what it creates.
    pub canonical_id: CanonicalId,
    /// Twelve digits.
    pub account_id: String,
    /// The user's name: the last part of its ARN.
    pub user: String,
    /// Shown beside the canonical id.
    pub display_name: String,
    /// Whether this is the store's operator, who may do everything that no Deny forbids.
    pub is_root: bool,
    /// The user's identity policies.
    pub policies: Vec<PolicySource>,
    /// Of temporary credentials: what they were made for.
    pub session: Option<Session>,
}

/// A policy that is in force: as it was read, or unreadable, which denies everything.
#[derive(Clone, Debug, PartialEq)]
pub enum PolicySource {
    /// It could be read.
    Readable(Arc<Policy>),
    /// It could not.
    Unreadable,
}

impl PolicySource {
    /// Reads a stored identity or session policy.
    pub fn identity(document: &str) -> PolicySource {
        match Policy::parse_identity(document.as_bytes()) {
            Ok(policy) => PolicySource::Readable(Arc::new(policy)),
            Err(_) => PolicySource::Unreadable,
        }
    }
}

/// What AssumeRole made temporary credentials for.
#[derive(Clone, Debug, PartialEq)]
pub struct Session {
    /// The role's name, without its path.
    pub role: String,
    /// The name the caller gave the session.
    pub name: String,
    /// What the session may do at most.
    pub policy: Option<PolicySource>,
}

impl Caller {
    /// The ARN of whoever signed: the user, the account for the operator, the session for temporary credentials.
    pub fn arn(&self) -> String {
        let account = &self.account_id;
        match &self.session {
            Some(session) => format!("arn:aws:sts::{account}:assumed-role/{}/{}", session.role, session.name),
            None => self.parent_arn(),
        }
    }

    /// `aws:PrincipalArn`: of a session, the role's.
    pub fn principal_arn(&self) -> String {
        match &self.session {
            Some(session) => format!("arn:aws:iam::{}:role/{}", self.account_id, session.role),
            None => self.parent_arn(),
        }
    }

    /// `aws:PrincipalType`.
    pub fn principal_type(&self) -> &'static str {
        match (&self.session, self.is_root) {
            (Some(_), _) => "AssumedRole",
            (None, true) => "Account",
            (None, false) => "User",
        }
    }

    /// `aws:userid`: made from the canonical id, so that a name given to somebody else later does not inherit rights.
    pub fn unique_id(&self) -> String {
        const DIGITS: usize = 17;
        let tail = |prefix: &str| {
            let digits: String = self.canonical_id.as_str().chars().take(DIGITS).collect();
            format!("{prefix}{}", digits.to_ascii_uppercase())
        };
        match (&self.session, self.is_root) {
            (Some(session), _) => format!("{}:{}", tail("AROA"), session.name),
            (None, true) => self.account_id.clone(),
            (None, false) => tail("AIDA"),
        }
    }

    fn parent_arn(&self) -> String {
        match self.is_root {
            true => format!("arn:aws:iam::{}:root", self.account_id),
            false => format!("arn:aws:iam::{}:user/{}", self.account_id, self.user),
        }
    }
}

/// On whose behalf a request is judged.
#[derive(Clone, Copy, Debug)]
pub enum Requester<'a> {
    /// Nobody in particular.
    Anonymous,
    /// Somebody.
    Caller(&'a Caller),
    /// A service of the store, such as `logging.s3.amazonaws.com`.
    Service(&'a str),
}

impl<'a> Requester<'a> {
    /// The caller, if it is one.
    pub fn caller(self) -> Option<&'a Caller> {
        match self {
            Requester::Caller(caller) => Some(caller),
            Requester::Anonymous | Requester::Service(_) => None,
        }
    }
}
