//! `x-amz-grant-*` headers: `id="…", uri="…", emailAddress="…"`.

use super::group_of_uri;
use granary_protocol::CanonicalId;
use granary_protocol::acl::{GRANTS_MAX, Grantee, Permission};

/// The headers with what each grants, in the order their grants are kept.
pub const GRANT_HEADERS: [(&str, Permission); 5] = [
    ("x-amz-grant-read", Permission::Read),
    ("x-amz-grant-write", Permission::Write),
    ("x-amz-grant-read-acp", Permission::ReadAcp),
    ("x-amz-grant-write-acp", Permission::WriteAcp),
    ("x-amz-grant-full-control", Permission::FullControl),
];

/// A grantee as a request names it. Whether there is such a user is the caller's to find out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GranteeName {
    /// A canonical id or a group.
    Known(Grantee),
    /// An address.
    Email(String),
}

/// A grant that a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestedGrant {
    /// To whom.
    pub grantee: GranteeName,
    /// What.
    pub permission: Permission,
}

/// Why a list is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AclError {
    /// Not `name="value"` elements: `InvalidArgument`.
    #[error("Argument format not recognized")]
    Format,
    /// A group there is not: `InvalidArgument`.
    #[error("Invalid group uri")]
    Group,
    /// Not a canonical id: `InvalidArgument`.
    #[error("Invalid id")]
    Id,
    /// More grants than a list may have: `InvalidArgument`.
    #[error("The list has more than {GRANTS_MAX} grants")]
    TooMany,
}

/// Reads the value of one header.
///
/// # Errors
/// [`AclError`].
pub fn parse_grant_header(value: &str, permission: Permission) -> Result<Vec<RequestedGrant>, AclError> {
    let mut grants = Vec::new();
    for element in value.split(',') {
        let (name, value) = element.trim().split_once('=').ok_or(AclError::Format)?;
        let value = value.trim();
        let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value);
        let grantee = match name.trim().to_ascii_lowercase().as_str() {
            "id" if value.is_empty() => return Err(AclError::Id),
            "id" => GranteeName::Known(Grantee::User(CanonicalId::from(value))),
            "uri" => GranteeName::Known(group_of_uri(value).ok_or(AclError::Group)?),
            "emailaddress" => GranteeName::Email(value.to_owned()),
            _ => return Err(AclError::Format),
        };
        grants.push(RequestedGrant { grantee, permission });
        if grants.len() > GRANTS_MAX {
            return Err(AclError::TooMany);
        }
    }
    Ok(grants)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grantees_are_read_quoted_or_bare() {
        let read = |value| parse_grant_header(value, Permission::Read);
        let value = r#"id="abc", uri="http://acs.amazonaws.com/groups/global/AllUsers",emailAddress="a@b.c", id=x"#;
        let grantees: Vec<_> = read(value).unwrap().into_iter().map(|grant| grant.grantee).collect();
        let user = |id: &str| GranteeName::Known(Grantee::User(CanonicalId::from(id)));
        let email = GranteeName::Email("a@b.c".to_owned());
        assert_eq!(grantees, [user("abc"), GranteeName::Known(Grantee::AllUsers), email, user("x")]);
        assert_eq!(read("uri=http://example.com/x"), Err(AclError::Group));
        assert_eq!(read("id="), Err(AclError::Id));
        assert_eq!(read("user=x"), Err(AclError::Format));
        assert_eq!(read(""), Err(AclError::Format));
        assert_eq!(read(&vec!["id=x"; 101].join(",")), Err(AclError::TooMany));
    }
}
