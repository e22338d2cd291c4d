//! Access control lists: how they change, what new entries inherit, how they are shown. The rules of HDFS' `AclTransformation`.
//!
//! Kept are the entries beyond the mode bits. While the access scope has any, the group bits of the permission are the mask
//! and the group's own entry is kept here; a default scope that has any is whole: owner, group, mask and others are in it.

use super::access;
use super::queries;
use super::records::Attributes;
use super::settings;
use crate::error::{Rejection, refuse};
use crate::state::transaction::Transaction;
use crate::state::view::View;
use granary_protocol::ErrorCode;
use granary_protocol::filesystem::{
    ACL_ENTRIES_MAX, AclChange, AclEntry, AclEntryKind, AclScope, AclStatus, FsCaller, FsPath, FsReply,
};
use std::collections::BTreeMap;

/// A scope's entries by whom they are for.
type Entries = BTreeMap<(AclEntryKind, Option<String>), u8>;

pub(super) fn status<V: View + ?Sized>(view: &V, caller: &FsCaller, path: &FsPath) -> Result<AclStatus, Rejection> {
    let place = queries::existing(view, caller, path)?;
    let inode = access::inode(view, &place)?;
    Ok(AclStatus {
        owner: inode.owner,
        group: inode.group,
        sticky: inode.permission & access::STICKY != 0,
        entries: inode.acl,
        permission: inode.permission,
    })
}

pub(super) fn change(
    tx: &mut Transaction<'_>,
    caller: &FsCaller,
    path: &FsPath,
    change: &AclChange,
) -> Result<FsReply, Rejection> {
    let place = queries::existing(tx, caller, path)?;
    access::check_owner(tx, caller, &place)?;
    let directory = place.is_directory();
    let permission = access::inode(tx, &place)?.permission;
    settings::change(tx, &place, |attributes| {
        let (mut access_scope, mut default_scope) = (whole_access(attributes, permission), default_of(attributes));
        apply(&mut access_scope, &mut default_scope, change)?;
        if !directory && !default_scope.is_empty() {
            let detail = "Invalid ACL: only directories may have a default ACL.";
            return Err(refuse(ErrorCode::FileSystemRefused, detail));
        }
        store(attributes, permission, access_scope, default_scope, change)
    })?;
    Ok(FsReply::Done)
}

/// The access scope with owner, group, others and, if there are others than these, the mask.
fn whole_access(attributes: &Attributes, permission: u16) -> Entries {
    use AclEntryKind::{Group, Mask, Other, User};
    let bits = |shift: u16| ((permission >> shift) & 7) as u8;
    let mut entries: Entries = attributes
        .acl
        .iter()
        .filter(|entry| entry.scope == AclScope::Access)
        .map(|entry| ((entry.kind, entry.name.clone()), entry.permission))
        .collect();
    entries.insert((User, None), bits(6));
    entries.insert((Other, None), bits(0));
    match entries.contains_key(&(Group, None)) {
        true => entries.insert((Mask, None), bits(3)),
        false => entries.insert((Group, None), bits(3)),
    };
    entries
}

fn default_of(attributes: &Attributes) -> Entries {
    let defaults = attributes.acl.iter().filter(|entry| entry.scope == AclScope::Default);
    defaults.map(|entry| ((entry.kind, entry.name.clone()), entry.permission)).collect()
}

fn apply(access_scope: &mut Entries, default_scope: &mut Entries, change: &AclChange) -> Result<(), Rejection> {
    let mut scope = |of: AclScope, f: &mut dyn FnMut(&mut Entries)| match of {
        AclScope::Access => f(access_scope),
        AclScope::Default => f(default_scope),
    };
    match change {
        AclChange::Modify(entries) => {
            check_spec(entries)?;
            for entry in entries {
                scope(entry.scope, &mut |of| {
                    of.insert((entry.kind, entry.name.clone()), entry.permission & 7);
                });
            }
        }
        AclChange::Remove(entries) => {
            for entry in entries {
                scope(entry.scope, &mut |of| {
                    of.remove(&(entry.kind, entry.name.clone()));
                });
            }
        }
        AclChange::RemoveDefault => default_scope.clear(),
        AclChange::RemoveAll => {
            default_scope.clear();
            access_scope.retain(|(kind, name), _| name.is_none() && *kind != AclEntryKind::Mask);
        }
        AclChange::Set(entries) => {
            check_spec(entries)?;
            let has = |of: AclScope| entries.iter().any(|entry| entry.scope == of);
            if has(AclScope::Access) {
                access_scope.clear();
            }
            default_scope.clear();
            for entry in entries {
                let key = (entry.kind, entry.name.clone());
                match entry.scope {
                    AclScope::Access => access_scope.insert(key, entry.permission & 7),
                    AclScope::Default => default_scope.insert(key, entry.permission & 7),
                };
            }
        }
    }
    Ok(())
}

fn check_spec(entries: &[AclEntry]) -> Result<(), Rejection> {
    let named =
        |entry: &AclEntry| entry.name.is_some() && matches!(entry.kind, AclEntryKind::Mask | AclEntryKind::Other);
    if entries.iter().any(named) {
        return Err(refuse(ErrorCode::FileSystemRefused, "Invalid ACL: this entry type must not have a name"));
    }
    Ok(())
}

/// Makes both scopes whole and writes them.
fn store(
    attributes: &mut Attributes,
    permission: u16,
    mut access_scope: Entries,
    mut default_scope: Entries,
    change: &AclChange,
) -> Result<(), Rejection> {
    use AclEntryKind::{Group, Mask, Other, User};
    let names_mask = |scope: AclScope| match change {
        AclChange::Modify(entries) | AclChange::Set(entries) => {
            entries.iter().any(|entry| entry.scope == scope && entry.kind == Mask)
        }
        _ => false,
    };
    for kind in [User, Group, Other] {
        if !access_scope.contains_key(&(kind, None)) {
            let detail = "Invalid ACL: the user, group and other entries are required.";
            return Err(refuse(ErrorCode::FileSystemRefused, detail));
        }
    }
    complete_mask(&mut access_scope, names_mask(AclScope::Access));
    if !default_scope.is_empty() {
        for kind in [User, Group, Other] {
            let like_access = access_scope.get(&(kind, None)).copied().unwrap_or(0);
            default_scope.entry((kind, None)).or_insert(like_access);
        }
        complete_mask(&mut default_scope, names_mask(AclScope::Default));
    }
    if access_scope.len() > ACL_ENTRIES_MAX || default_scope.len() > ACL_ENTRIES_MAX {
        let detail = format!("Invalid ACL: ACL has more than {ACL_ENTRIES_MAX} entries");
        return Err(refuse(ErrorCode::FileSystemRefused, detail));
    }
    let bits = |entries: &Entries, kind| u16::from(entries.get(&(kind, None)).copied().unwrap_or(0));
    let extended = access_scope.contains_key(&(Mask, None));
    let group = if extended { Mask } else { Group };
    attributes.permission = Some(
        (permission & access::STICKY)
            | bits(&access_scope, User) << 6
            | bits(&access_scope, group) << 3
            | bits(&access_scope, Other),
    );
    let entry = |scope, ((kind, name), permission): ((AclEntryKind, Option<String>), u8)| AclEntry {
        scope,
        kind,
        name,
        permission,
    };
    let beyond =
        |((kind, name), _): &((AclEntryKind, Option<String>), u8)| extended && (name.is_some() || *kind == Group);
    attributes.acl = access_scope.into_iter().filter(beyond).map(|kept| entry(AclScope::Access, kept)).collect();
    attributes.acl.extend(default_scope.into_iter().map(|kept| entry(AclScope::Default, kept)));
    attributes.acl.sort();
    Ok(())
}

/// A scope with named entries has a mask: the one named, or what group and named entries together allow. Others have none.
fn complete_mask(entries: &mut Entries, named: bool) {
    use AclEntryKind::{Group, Mask};
    let extended = entries.keys().any(|(_, name)| name.is_some());
    if !extended {
        if !named {
            entries.remove(&(Mask, None));
        }
        return;
    }
    if !named {
        let grouped = entries.iter().filter(|((kind, name), _)| name.is_some() || *kind == Group);
        let union = grouped.fold(0, |union, (_, permission)| union | permission);
        entries.insert((Mask, None), union);
    }
}

/// Gives a new entry its permission and, from the default list of the directory it is made in, its own list. With such a
/// list the maker's mask does not count.
pub(super) fn inherit(
    attributes: &mut Attributes,
    above: &Attributes,
    masked: u16,
    unmasked: Option<u16>,
    directory: bool,
) {
    use AclEntryKind::{Group, Mask, Other, User};
    let defaults = default_of(above);
    if defaults.is_empty() {
        attributes.permission = Some(masked & 0o1777);
        return;
    }
    let asked = unmasked.unwrap_or(masked);
    let cut = |kind, shift: u16| {
        let default = u16::from(defaults.get(&(kind, None)).copied().unwrap_or(0));
        default & (asked >> shift) & 7
    };
    let extended = defaults.contains_key(&(Mask, None));
    let group = if extended { cut(Mask, 3) } else { cut(Group, 3) };
    attributes.permission = Some((asked & access::STICKY) | cut(User, 6) << 6 | group << 3 | cut(Other, 0));
    if extended {
        let kept = defaults.iter().filter(|((kind, name), _)| name.is_some() || *kind == Group);
        attributes.acl = kept
            .map(|((kind, name), permission)| AclEntry {
                scope: AclScope::Access,
                kind: *kind,
                name: name.clone(),
                permission: *permission,
            })
            .collect();
    }
    if directory {
        attributes.acl.extend(above.acl.iter().filter(|entry| entry.scope == AclScope::Default).cloned());
    }
    attributes.acl.sort();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(scope: AclScope, kind: AclEntryKind, name: Option<&str>, permission: u8) -> AclEntry {
        AclEntry { scope, kind, name: name.map(str::to_owned), permission }
    }

    fn changed(attributes: &Attributes, change: &AclChange) -> Result<Attributes, Rejection> {
        let mut attributes = attributes.clone();
        let permission = attributes.permission.unwrap();
        let (mut access_scope, mut default_scope) = (whole_access(&attributes, permission), default_of(&attributes));
        apply(&mut access_scope, &mut default_scope, change)?;
        store(&mut attributes, permission, access_scope, default_scope, change)?;
        Ok(attributes)
    }

    #[test]
    fn a_named_entry_brings_a_mask_and_takes_it_along() {
        use AclEntryKind::{Group, User};
        let plain = Attributes { permission: Some(0o640), ..Attributes::default() };
        let bob = entry(AclScope::Access, User, Some("bob"), 7);
        let with_bob = changed(&plain, &AclChange::Modify(vec![bob.clone()])).unwrap();
        assert_eq!(with_bob.permission, Some(0o670), "the mask is the union");
        assert_eq!(with_bob.acl, [bob.clone(), entry(AclScope::Access, Group, None, 4)]);
        let without = changed(&with_bob, &AclChange::Remove(vec![bob])).unwrap();
        assert_eq!((without.permission, without.acl), (Some(0o640), Vec::new()), "the group has its own bits again");
        let none = changed(&with_bob, &AclChange::RemoveAll).unwrap();
        assert_eq!((none.permission, none.acl), (Some(0o640), Vec::new()));
    }

    #[test]
    fn a_default_list_is_completed_and_inherited() {
        use AclEntryKind::{Group, User};
        let plain = Attributes { permission: Some(0o750), ..Attributes::default() };
        let ops = entry(AclScope::Default, Group, Some("ops"), 7);
        let above = changed(&plain, &AclChange::Modify(vec![ops])).unwrap();
        assert_eq!(above.permission, Some(0o750));
        assert_eq!(above.acl.len(), 5, "owner, group, ops, mask, others: {:?}", above.acl);
        let mut file = Attributes::default();
        inherit(&mut file, &above, 0o600, Some(0o666), false);
        assert_eq!(file.permission, Some(0o660), "the mask of the maker does not count");
        assert!(file.acl.contains(&entry(AclScope::Access, Group, Some("ops"), 7)));
        assert!(file.acl.iter().all(|entry| entry.scope == AclScope::Access));
        let mut directory = Attributes::default();
        inherit(&mut directory, &above, 0o700, Some(0o777), true);
        assert!(directory.acl.iter().filter(|entry| entry.scope == AclScope::Default).count() == 5);
        assert!(!directory.acl.iter().any(|entry| entry.kind == User && entry.scope == AclScope::Access));
    }

    #[test]
    fn a_list_without_the_three_classes_is_refused() {
        let plain = Attributes { permission: Some(0o640), ..Attributes::default() };
        let alone = AclChange::Set(vec![entry(AclScope::Access, AclEntryKind::User, Some("bob"), 7)]);
        assert!(changed(&plain, &alone).is_err());
    }
}
