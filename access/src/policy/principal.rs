//! Whom a statement names.

use super::error::PolicyError;
use crate::caller::{Caller, Requester};
use crate::json::Json;

/// The most principals of one statement.
const PRINCIPALS_MAX: usize = 500;

/// One principal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Principal {
    /// `*`: everybody, with or without credentials.
    Everybody,
    /// All of an account.
    Account(String),
    /// A user. Without an account: any user of this name, or of this canonical id.
    User { account: Option<String>, name: String },
    /// Every session of a role.
    Role { account: String, name: String },
    /// One session of a role.
    Session { account: String, role: String, name: String },
    /// The account with this canonical id.
    Canonical(String),
    /// A service.
    Service(String),
    /// A federated identity; this store has none.
    Federated,
}

/// Reads a `Principal` or `NotPrincipal` element.
pub(super) fn parse_principals(element: &Json) -> Result<Vec<Principal>, PolicyError> {
    let members = match element {
        Json::Text(text) if text == "*" => return Ok(vec![Principal::Everybody]),
        Json::Object(members) if !members.is_empty() => members,
        _ => return Err(PolicyError::InvalidPrincipal),
    };
    let mut principals = Vec::new();
    for (kind, names) in members {
        for name in names.one_or_more() {
            let name = name.text().ok_or(PolicyError::InvalidPrincipal)?;
            let principal = parse_principal(kind, name).ok_or(PolicyError::InvalidPrincipal)?;
            principals.push(principal);
        }
    }
    if principals.is_empty() || principals.len() > PRINCIPALS_MAX {
        return Err(PolicyError::InvalidPrincipal);
    }
    Ok(principals)
}

fn parse_principal(kind: &str, name: &str) -> Option<Principal> {
    match kind {
        "AWS" => parse_aws(name),
        "CanonicalUser" => is_canonical_id(name).then(|| Principal::Canonical(name.to_ascii_lowercase())),
        "Service" => {
            let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
            (!name.is_empty() && name.bytes().all(is_name)).then(|| Principal::Service(name.to_ascii_lowercase()))
        }
        "Federated" => (!name.is_empty() && !name.contains('*')).then_some(Principal::Federated),
        _ => None,
    }
}

fn parse_aws(name: &str) -> Option<Principal> {
    if name == "*" {
        return Some(Principal::Everybody);
    }
    if is_account_id(name) {
        return Some(Principal::Account(name.to_owned()));
    }
    let mut elements = name.splitn(6, ':');
    let mut next = || elements.next();
    let ("arn", "aws", service, "", account, resource) = (next()?, next()?, next()?, next()?, next()?, next()?) else {
        return None;
    };
    if name.contains(['*', '?', '$']) {
        return None;
    }
    match (service, resource.split_once('/')) {
        ("iam", None) if resource == "root" && is_account_name(account) => Some(Principal::Account(account.to_owned())),
        ("iam", Some(("user", user))) if !user.is_empty() => match account {
            "" => Some(Principal::User { account: None, name: last_of_path(user)? }),
            _ if is_account_name(account) => {
                Some(Principal::User { account: Some(account.to_owned()), name: last_of_path(user)? })
            }
            _ => None,
        },
        ("iam", Some(("role", role))) if is_account_name(account) => {
            Some(Principal::Role { account: account.to_owned(), name: last_of_path(role)? })
        }
        ("sts", Some(("assumed-role", session))) if is_account_name(account) => {
            let (role, session) = session.split_once('/')?;
            let is_whole = !role.is_empty() && !session.is_empty() && !session.contains('/');
            is_whole.then(|| Principal::Session {
                account: account.to_owned(),
                role: role.to_owned(),
                name: session.to_owned(),
            })
        }
        _ => None,
    }
}

/// A name without the path in front of it: names are unique without their paths.
fn last_of_path(name: &str) -> Option<String> {
    name.rsplit('/').next().filter(|last| !last.is_empty()).map(str::to_owned)
}

fn is_account_id(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// An account in an ARN. Names beside AWS's twelve digits are read, as other stores call their tenants so; an account
/// that is none of this store's matches nobody.
fn is_account_name(text: &str) -> bool {
    const ACCOUNT_BYTES_MAX: usize = 64;
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    (1..=ACCOUNT_BYTES_MAX).contains(&text.len()) && text.bytes().all(is_name)
}

fn is_canonical_id(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

impl Principal {
    /// Whether a requester is meant.
    pub fn matches(&self, requester: Requester<'_>) -> bool {
        match (self, requester) {
            (Principal::Everybody, _) => true,
            (Principal::Service(name), Requester::Service(service)) => name == service,
            (_, Requester::Caller(caller)) => self.names(caller),
            (_, Requester::Anonymous | Requester::Service(_)) => false,
        }
    }

    fn names(&self, caller: &Caller) -> bool {
        let is_user = |name: &str| (name == caller.user && !caller.is_root) || name == caller.canonical_id.as_str();
        match self {
            Principal::Account(account) => *account == caller.account_id,
            // The account is the user; the sessions it makes are not.
            Principal::User { account, name } => {
                caller.session.is_none()
                    && is_user(name)
                    && account.as_ref().is_none_or(|account| *account == caller.account_id)
            }
            Principal::Canonical(id) => *id == caller.canonical_id.as_str(),
            Principal::Role { account, name } => {
                *account == caller.account_id && caller.session.as_ref().is_some_and(|session| session.role == *name)
            }
            Principal::Session { account, role, name } => {
                *account == caller.account_id
                    && caller.session.as_ref().is_some_and(|session| session.role == *role && session.name == *name)
            }
            Principal::Everybody => true,
            Principal::Service(_) | Principal::Federated => false,
        }
    }
}
