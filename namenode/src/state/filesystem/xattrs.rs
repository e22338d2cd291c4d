//! Extended attributes: `user` for those who may read and write the entry, `trusted` and `raw` for superusers; `security`
//! and `system` are not a client's.

use super::access;
use super::queries;
use super::settings;
use crate::error::{Rejection, refuse};
use crate::state::transaction::Transaction;
use crate::state::view::View;
use granary_protocol::ErrorCode;
use granary_protocol::filesystem::{
    FsCaller, FsPath, FsReply, XATTR_NAME_BYTES_MAX, XATTR_VALUE_BYTES_MAX, XATTRS_MAX, XAttr, XAttrName,
    XAttrNamespace,
};

/// Whether a caller may see and change attributes of this namespace.
fn may_name(caller: &FsCaller, namespace: XAttrNamespace) -> bool {
    match namespace {
        XAttrNamespace::User => true,
        XAttrNamespace::Trusted | XAttrNamespace::Raw => caller.superuser,
        XAttrNamespace::Security | XAttrNamespace::System => false,
    }
}

fn check_may(caller: &FsCaller, name: &XAttrName) -> Result<(), Rejection> {
    match may_name(caller, name.namespace) {
        true => Ok(()),
        false => {
            let detail = format!("User doesn't have permission for xattr: {}", shown(name));
            Err(refuse(ErrorCode::AccessDenied, detail))
        }
    }
}

fn shown(name: &XAttrName) -> String {
    format!("{}.{}", format!("{:?}", name.namespace).to_lowercase(), name.name)
}

fn not_found() -> Rejection {
    refuse(ErrorCode::XAttrNotFound, "At least one of the attributes provided was not found.")
}

pub(super) fn get<V: View + ?Sized>(
    view: &V,
    caller: &FsCaller,
    path: &FsPath,
    names: &[XAttrName],
) -> Result<Vec<XAttr>, Rejection> {
    for name in names {
        check_may(caller, name)?;
    }
    let place = queries::existing(view, caller, path)?;
    access::check_entry(view, caller, &place, access::READ)?;
    let all = queries::attributes_of(view, &place)?.xattrs;
    if names.is_empty() {
        return Ok(all.into_iter().filter(|attribute| may_name(caller, attribute.name.namespace)).collect());
    }
    let find = |name: &XAttrName| all.iter().find(|attribute| attribute.name == *name).cloned();
    names.iter().map(|name| find(name).ok_or_else(not_found)).collect()
}

pub(super) fn list<V: View + ?Sized>(view: &V, caller: &FsCaller, path: &FsPath) -> Result<Vec<XAttr>, Rejection> {
    let place = queries::existing(view, caller, path)?;
    let mut all = queries::attributes_of(view, &place)?.xattrs;
    all.retain(|attribute| may_name(caller, attribute.name.namespace));
    for attribute in &mut all {
        attribute.value.clear();
    }
    Ok(all)
}

pub(super) fn set(
    tx: &mut Transaction<'_>,
    caller: &FsCaller,
    path: &FsPath,
    attribute: &XAttr,
    create: bool,
    replace: bool,
) -> Result<FsReply, Rejection> {
    let XAttr { name, value } = attribute;
    check_may(caller, name)?;
    if name.name.is_empty() || name.name.len() > XATTR_NAME_BYTES_MAX || value.len() > XATTR_VALUE_BYTES_MAX {
        let detail = format!(
            "The XAttr is too big. The maximum combined size of the name and value is {XATTR_VALUE_BYTES_MAX}, but the \
             total size is {}",
            name.name.len() + value.len()
        );
        return Err(refuse(ErrorCode::InvalidArgument, detail));
    }
    let place = queries::existing(tx, caller, path)?;
    access::check_entry(tx, caller, &place, access::WRITE)?;
    settings::change(tx, &place, |attributes| {
        let at = attributes.xattrs.iter().position(|known| known.name == *name);
        match at {
            Some(_) if !replace => {
                let detail = format!("XAttr: {} already exists. The REPLACE flag must be specified.", shown(name));
                Err(refuse(ErrorCode::FileSystemRefused, detail))
            }
            None if !create => {
                let detail = format!("XAttr: {} does not exist. The CREATE flag must be specified.", shown(name));
                Err(refuse(ErrorCode::FileSystemRefused, detail))
            }
            Some(at) => {
                attributes.xattrs[at].value.clone_from(value);
                Ok(())
            }
            None if attributes.xattrs.len() >= XATTRS_MAX => {
                let detail = format!("Cannot add additional XAttr to inode, would exceed limit of {XATTRS_MAX}");
                Err(refuse(ErrorCode::FileSystemRefused, detail))
            }
            None => {
                attributes.xattrs.push(attribute.clone());
                attributes.xattrs.sort_by(|one, other| one.name.cmp(&other.name));
                Ok(())
            }
        }
    })?;
    Ok(FsReply::Done)
}

pub(super) fn remove(
    tx: &mut Transaction<'_>,
    caller: &FsCaller,
    path: &FsPath,
    name: &XAttrName,
) -> Result<FsReply, Rejection> {
    check_may(caller, name)?;
    let place = queries::existing(tx, caller, path)?;
    access::check_entry(tx, caller, &place, access::WRITE)?;
    settings::change(tx, &place, |attributes| {
        let before = attributes.xattrs.len();
        attributes.xattrs.retain(|known| known.name != *name);
        match attributes.xattrs.len() < before {
            true => Ok(()),
            false => Err(refuse(ErrorCode::XAttrNotFound, "No matching attributes found for remove operation")),
        }
    })?;
    Ok(FsReply::Done)
}
