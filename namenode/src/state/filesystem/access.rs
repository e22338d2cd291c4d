//! Who may do what by mode bits and lists: the rules of HDFS' `FSPermissionChecker`.

use super::attributes::{self, Inode};
use super::records::Attributes;
use super::resolve::{Found, Place, Step};
use crate::error::{Rejection, refuse};
use crate::state::view::View;
use granary_protocol::ErrorCode;
use granary_protocol::filesystem::{AclEntryKind, AclScope, FsCaller, FsPath};

pub(super) const READ: u8 = 4;
pub(super) const WRITE: u8 = 2;
pub(super) const EXECUTE: u8 = 1;
/// Entries of a directory with it go by their owner, the directory's, or a superuser alone.
pub(super) const STICKY: u16 = 0o1000;

/// Whether the mode bits and the list let the caller do all of `wanted`.
pub(super) fn allows(caller: &FsCaller, inode: &Inode, wanted: u8) -> bool {
    let has = |bits: u8| bits & wanted == wanted;
    let bits = |shift: u16| ((inode.permission >> shift) & 7) as u8;
    if caller.superuser {
        return true;
    }
    if caller.user == inode.owner {
        return has(bits(6));
    }
    let listed = inode.acl.iter().filter(|entry| entry.scope == AclScope::Access);
    let mask = bits(3);
    let mut in_a_group = false;
    let mut group_listed = false;
    for entry in listed {
        let named = |name: &str| match &entry.name {
            Some(of) => of == name,
            None => inode.group == name,
        };
        match entry.kind {
            AclEntryKind::User if entry.name.as_ref() == Some(&caller.user) => return has(entry.permission & mask),
            AclEntryKind::Group => {
                group_listed |= entry.name.is_none();
                if caller.groups.iter().any(|group| named(group)) {
                    in_a_group = true;
                    if has(entry.permission & mask) {
                        return true;
                    }
                }
            }
            _ => {}
        }
    }
    if !group_listed && caller.groups.contains(&inode.group) {
        return has(mask);
    }
    !in_a_group && has(bits(0))
}

/// Refuses in HDFS' words unless the caller may do `wanted`.
pub(super) fn check(caller: &FsCaller, path: &str, inode: &Inode, wanted: u8) -> Result<(), Rejection> {
    match allows(caller, inode, wanted) {
        true => Ok(()),
        false => Err(denied(caller, path, inode, wanted)),
    }
}

fn denied(caller: &FsCaller, path: &str, inode: &Inode, wanted: u8) -> Rejection {
    let Inode { owner, group, permission, directory, .. } = inode;
    let kind = if *directory { 'd' } else { '-' };
    let detail = format!(
        "Permission denied: user={}, access={}, inode=\"{path}\":{owner}:{group}:{kind}{}{}",
        caller.user,
        action_name(wanted),
        symbolic(*permission),
        if inode.acl.is_empty() { "" } else { "+" },
    );
    refuse(ErrorCode::AccessDenied, detail)
}

fn action_name(wanted: u8) -> &'static str {
    match wanted & 7 {
        0 => "NONE",
        1 => "EXECUTE",
        2 => "WRITE",
        3 => "WRITE_EXECUTE",
        4 => "READ",
        5 => "READ_EXECUTE",
        6 => "READ_WRITE",
        _ => "ALL",
    }
}

/// `rwxr-x---`, with `t` or `T` where the sticky bit is set.
fn symbolic(permission: u16) -> String {
    let mut text = String::with_capacity(9);
    for shift in [6, 3, 0] {
        let bits = permission >> shift;
        for (bit, letter) in [(4, 'r'), (2, 'w'), (1, 'x')] {
            text.push(if bits & bit != 0 { letter } else { '-' });
        }
    }
    if permission & STICKY != 0 {
        let last = text.pop();
        text.push(if last == Some('x') { 't' } else { 'T' });
    }
    text
}

/// Refuses unless the caller may pass all directories above the entry.
pub(super) fn check_traverse<V: View + ?Sized>(
    view: &V,
    caller: &FsCaller,
    place: &Place<'_>,
) -> Result<(), Rejection> {
    if caller.superuser {
        return Ok(());
    }
    for depth in 0..place.above.len() {
        let inode = directory(view, place, depth)?;
        check(caller, &path_to(&place.above[..=depth]), &inode, EXECUTE)?;
    }
    Ok(())
}

/// Refuses unless the caller may do `wanted` in the innermost directory above the entry that exists: its parent, unless
/// some are missing.
pub(super) fn check_above<V: View + ?Sized>(
    view: &V,
    caller: &FsCaller,
    place: &Place<'_>,
    wanted: u8,
) -> Result<(), Rejection> {
    if caller.superuser {
        return Ok(());
    }
    check_traverse(view, caller, place)?;
    match place.above.len() {
        0 if caller.makes_buckets => Ok(()),
        0 => check(caller, "/", &Inode::root(), wanted),
        depth => check(caller, &path_to(&place.above), &directory(view, place, depth - 1)?, wanted),
    }
}

/// Refuses unless the caller may do `wanted` with the entry, which exists.
pub(super) fn check_entry<V: View + ?Sized>(
    view: &V,
    caller: &FsCaller,
    place: &Place<'_>,
    wanted: u8,
) -> Result<(), Rejection> {
    if caller.superuser {
        return Ok(());
    }
    check_traverse(view, caller, place)?;
    check(caller, place.path.as_str(), &inode(view, place)?, wanted)
}

/// Refuses unless the entry is the caller's.
pub(super) fn check_owner<V: View + ?Sized>(view: &V, caller: &FsCaller, place: &Place<'_>) -> Result<(), Rejection> {
    if caller.superuser {
        return Ok(());
    }
    check_traverse(view, caller, place)?;
    match inode(view, place)?.owner == caller.user {
        true => Ok(()),
        false => {
            let detail = format!("Permission denied. user={} is not the owner of inode={}", caller.user, place.path);
            Err(refuse(ErrorCode::AccessDenied, detail))
        }
    }
}

/// Refuses what a sticky bit of the parent forbids.
pub(super) fn check_sticky<V: View + ?Sized>(view: &V, caller: &FsCaller, place: &Place<'_>) -> Result<(), Rejection> {
    if caller.superuser || place.above.is_empty() {
        return Ok(());
    }
    let parent = directory(view, place, place.above.len() - 1)?;
    if parent.permission & STICKY == 0 || parent.owner == caller.user {
        return Ok(());
    }
    let entry = inode(view, place)?;
    if entry.owner == caller.user {
        return Ok(());
    }
    let detail = format!(
        "Permission denied by sticky bit: user={}, path=\"{}\":{}:{}:{}{}, parent=\"{}\":{}:{}:d{}",
        caller.user,
        place.path,
        entry.owner,
        entry.group,
        if entry.directory { 'd' } else { '-' },
        symbolic(entry.permission),
        path_to(&place.above),
        parent.owner,
        parent.group,
        symbolic(parent.permission),
    );
    Err(refuse(ErrorCode::AccessDenied, detail))
}

/// Refuses everybody but superusers.
pub(super) fn check_superuser(caller: &FsCaller) -> Result<(), Rejection> {
    match caller.superuser {
        true => Ok(()),
        false => {
            let detail = format!("Access denied for user {}. Superuser privilege is required", caller.user);
            Err(refuse(ErrorCode::AccessDenied, detail))
        }
    }
}

/// What the access to an entry that exists is judged by.
pub(super) fn inode<V: View + ?Sized>(view: &V, place: &Place<'_>) -> Result<Inode, Rejection> {
    let attributes: Attributes = match &place.found {
        Found::Root => return Ok(Inode::root()),
        Found::Nothing => return Err(refuse(ErrorCode::FileNotFound, super::resolve::missing(place.path))),
        Found::Directory { id, .. } => attributes::of_directory(view, *id)?,
        Found::File { attributes, .. } => (**attributes).clone(),
        Found::Open { record, .. } => record.attributes.clone(),
    };
    Ok(Inode::of(view, place.bucket()?, &attributes, place.is_directory())?)
}

/// The directory at `depth` above the entry.
fn directory<V: View + ?Sized>(view: &V, place: &Place<'_>, depth: usize) -> Result<Inode, Rejection> {
    let attributes = attributes::of_directory(view, place.above[depth].directory)?;
    Ok(Inode::of(view, place.bucket()?, &attributes, true)?)
}

/// The text of the path of these directories.
pub(super) fn path_to(above: &[Step]) -> String {
    above.iter().map(|step| format!("/{}", step.name)).collect()
}

/// Refuses a component that is longer than new ones may be.
pub(super) fn check_components(path: &FsPath) -> Result<(), Rejection> {
    use granary_protocol::filesystem::COMPONENT_BYTES_MAX;
    match path.components().find(|component| component.len() > COMPONENT_BYTES_MAX) {
        None => Ok(()),
        Some(long) => {
            let detail = format!(
                "The maximum path component name limit of {long} in directory {} is exceeded: limit={} length={}",
                path.parent().unwrap_or_else(FsPath::root),
                COMPONENT_BYTES_MAX,
                long.len()
            );
            Err(refuse(ErrorCode::FileSystemRefused, detail))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use granary_protocol::filesystem::AclEntry;

    fn inode(permission: u16, acl: Vec<AclEntry>) -> Inode {
        Inode { owner: "olga".to_owned(), group: "staff".to_owned(), permission, acl, directory: true }
    }

    fn caller(user: &str, groups: &[&str]) -> FsCaller {
        let groups = groups.iter().map(|group| (*group).to_owned()).collect();
        FsCaller { user: user.to_owned(), groups, ..FsCaller::default() }
    }

    fn entry(kind: AclEntryKind, name: Option<&str>, permission: u8) -> AclEntry {
        AclEntry { scope: AclScope::Access, kind, name: name.map(str::to_owned), permission }
    }

    #[test]
    fn the_first_class_that_fits_decides() {
        let inode = inode(0o470, Vec::new());
        assert!(allows(&caller("olga", &["staff"]), &inode, READ));
        assert!(!allows(&caller("olga", &["staff"]), &inode, WRITE), "the owner's bits, though the group's would do");
        assert!(allows(&caller("tom", &["staff"]), &inode, READ | WRITE | EXECUTE));
        assert!(!allows(&caller("tom", &["other"]), &inode, READ));
        assert!(allows(&FsCaller { superuser: true, ..caller("root", &[]) }, &inode, 7));
    }

    #[test]
    fn named_entries_are_cut_by_the_mask() {
        let acl = vec![
            entry(AclEntryKind::User, Some("tom"), 7),
            entry(AclEntryKind::Group, None, 4),
            entry(AclEntryKind::Group, Some("ops"), 6),
        ];
        let inode = inode(0o750, acl);
        assert!(allows(&caller("tom", &[]), &inode, READ | EXECUTE));
        assert!(!allows(&caller("tom", &[]), &inode, WRITE), "the mask is r-x");
        assert!(allows(&caller("ann", &["staff"]), &inode, READ));
        assert!(!allows(&caller("ann", &["staff"]), &inode, EXECUTE), "the group's own entry is r--");
        assert!(allows(&caller("ann", &["ops"]), &inode, READ));
        assert!(!allows(&caller("ann", &["ops"]), &inode, WRITE));
        assert!(!allows(&caller("eve", &["none"]), &inode, READ));
    }

    #[test]
    fn permissions_are_written_as_ls_writes_them() {
        assert_eq!(symbolic(0o1777), "rwxrwxrwt");
        assert_eq!(symbolic(0o1640), "rw-r----T");
        assert_eq!(symbolic(0o755), "rwxr-xr-x");
    }
}
