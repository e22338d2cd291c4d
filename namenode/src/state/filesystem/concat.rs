//! `concat`: files become one, without a byte moving.

use super::access;
use super::append;
use super::directories;
use super::resolve::{self, Found, Place};
use super::{attributes, delete};
use crate::error::{Rejection, refuse};
use crate::state::contents;
use crate::state::records::ObjectHead;
use crate::state::transaction::Transaction;
use granary_protocol::filesystem::{FsCaller, FsPath, FsReply};
use granary_protocol::{ErrorCode, UnixMillis};
use std::collections::BTreeSet;

/// The most files joined by one call, so that a command stays small.
const SOURCES_MAX: usize = 1_000;

pub(super) fn concat(
    tx: &mut Transaction<'_>,
    caller: &FsCaller,
    target: &FsPath,
    sources: &[FsPath],
    now: UnixMillis,
) -> Result<FsReply, Rejection> {
    check_shape(target, sources)?;
    let place = resolve::resolve(tx, target)?;
    if place.exists() {
        access::check_entry(tx, caller, &place, access::WRITE)?;
    }
    let head = closed(&place)?.clone();
    let mut slices = Vec::new();
    let mut size = 0;
    take(tx, &head, &mut slices, &mut size)?;
    for source in sources {
        let from = resolve::resolve(tx, source)?;
        if from.exists() {
            access::check_entry(tx, caller, &from, access::READ)?;
            access::check_above(tx, caller, &from, access::WRITE)?;
        }
        let head = closed(&from)?;
        take(tx, head, &mut slices, &mut size)?;
    }
    let new = match slices.is_empty() {
        true => None,
        false => {
            let pieces = slices.len();
            Some((contents::insert_slices(tx, slices, &[])?, pieces))
        }
    };
    append::replace(tx, &place, &head, new, size, now)?;
    for source in sources {
        let from = resolve::resolve(tx, source)?;
        directories::keep_above(tx, &from, now)?;
        delete::remove_object(tx, &from, now)?;
    }
    attributes::touch(tx, &place.above, now)?;
    Ok(FsReply::Done)
}

fn check_shape(target: &FsPath, sources: &[FsPath]) -> Result<(), Rejection> {
    let refused = |detail: String| Err(refuse(ErrorCode::InvalidArgument, detail));
    if sources.is_empty() {
        return refused("No sources given".to_owned());
    }
    if sources.len() > SOURCES_MAX {
        return refused(format!("more than {SOURCES_MAX} sources"));
    }
    let mut seen = BTreeSet::new();
    for source in sources {
        if source == target {
            return refused(format!("concat: the src file {source} is the same with the target file {target}"));
        }
        if source.parent() != target.parent() {
            return refused(format!("Source file {source} is not in the same directory with the target {target}"));
        }
        if !seen.insert(source) {
            return refused("At least two of the source files are the same".to_owned());
        }
    }
    Ok(())
}

fn closed<'a>(place: &'a Place<'_>) -> Result<&'a ObjectHead, Rejection> {
    match &place.found {
        Found::File { head, details, .. } => {
            append::check_plain(place.path, head, details)?;
            Ok(head)
        }
        Found::Open { .. } => {
            Err(refuse(ErrorCode::InvalidArgument, format!("concat: source file {} is under construction", place.path)))
        }
        _ => Err(refuse(ErrorCode::FileNotFound, resolve::missing(place.path))),
    }
}

fn take(
    tx: &mut Transaction<'_>,
    head: &ObjectHead,
    slices: &mut Vec<crate::state::records::Slice>,
    size: &mut u64,
) -> Result<(), Rejection> {
    let Some(content) = head.content else { return Ok(()) };
    for slice in contents::slices_of(tx, content, 0, head.size)? {
        contents::push_slice(tx, slices, slice)?;
    }
    *size += head.size;
    Ok(())
}
