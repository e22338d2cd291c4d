//! Access control lists as parameters write them: `user::rwx,group:sales:r-x,default:user:bob:rw-`.

use super::error::WebError;
use granary_protocol::filesystem::{AclEntry, AclEntryKind, AclScope};

/// The entries of `text`; with `permissions`, each must say what it permits, else none may.
///
/// # Errors
/// The first part that is no entry.
pub fn parse(text: &str, permissions: bool) -> Result<Vec<AclEntry>, WebError> {
    let invalid = |part: &str| WebError::parameter("aclspec", format!("Invalid ACL entry: {part}"));
    text.split(',').map(|part| entry(part, permissions).ok_or_else(|| invalid(part))).collect()
}

fn entry(part: &str, permissions: bool) -> Option<AclEntry> {
    let (scope, rest) = match part.strip_prefix("default:") {
        Some(rest) => (AclScope::Default, rest),
        None => (AclScope::Access, part),
    };
    let mut fields = rest.split(':');
    let kind = match fields.next()?.to_ascii_lowercase().as_str() {
        "user" => AclEntryKind::User,
        "group" => AclEntryKind::Group,
        "mask" => AclEntryKind::Mask,
        "other" => AclEntryKind::Other,
        _ => return None,
    };
    let name = fields.next().filter(|name| !name.is_empty()).map(str::to_owned);
    let permission = match (fields.next(), permissions) {
        (Some(text), true) => symbolic(text)?,
        (None | Some(""), false) => 0,
        _ => return None,
    };
    fields.next().is_none().then_some(AclEntry { scope, kind, name, permission })
}

/// `r-x` as three bits.
pub fn symbolic(text: &str) -> Option<u8> {
    let letters: [char; 3] = text.chars().collect::<Vec<_>>().try_into().ok()?;
    letters.iter().zip([('r', 4), ('w', 2), ('x', 1)]).try_fold(0, |bits, (letter, (wanted, bit))| match *letter {
        '-' => Some(bits),
        letter if letter.eq_ignore_ascii_case(&wanted) => Some(bits | bit),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::json::acl_entry;
    use super::*;

    #[test]
    fn entries_are_read_as_they_are_written() {
        let text = "user::rwx,user:bob:r--,group::r-x,default:mask::-w-,other::---";
        let entries = parse(text, true).unwrap();
        assert_eq!(entries.iter().map(acl_entry).collect::<Vec<_>>().join(","), text);
        assert_eq!(parse("user:bob,group:x:", false).unwrap().len(), 2);
        for bad in ["", "user", "user:bob:r-", "someone:bob:rwx", "user:bob:rwx:more", "user:bob:wrx"] {
            assert!(parse(bad, true).is_err(), "{bad:?}");
        }
        assert!(parse("user:bob:rwx", false).is_err());
    }
}
