//! `append` and `truncate`. Contents do not change, so both make new ones that share what stays.

use super::access;
use super::attributes::{self, Kept};
use super::records::OpenFileRecord;
use super::resolve::{self, Found, Place};
use super::{content, create, lease, open, status};
use crate::error::{Rejection, refuse};
use crate::state::contents;
use crate::state::records::ObjectHead;
use crate::state::transaction::Transaction;
use granary_protocol::filesystem::{FsCaller, FsPath, FsReply};
use granary_protocol::object::ObjectDetails;
use granary_protocol::{ErrorCode, UnixMillis};

/// A closed file, about to be changed by `holder`.
///
/// # Errors
/// `FileNotFound`, what [`create::refuse_open`] says, `Unsupported` for encrypted and archived objects.
fn closed_file<'a>(
    tx: &Transaction<'_>,
    operation: &str,
    place: &'a Place<'_>,
    caller: &FsCaller,
    holder: &str,
    now: UnixMillis,
) -> Result<&'a ObjectHead, Rejection> {
    let path = place.path;
    match &place.found {
        Found::File { head, details, .. } => {
            check_plain(path, head, details)?;
            Ok(head)
        }
        Found::Open { record, .. } => {
            create::refuse_open(tx, operation, path, record, caller, holder, now)?;
            Err(refuse(ErrorCode::AlreadyBeingCreated, format!("{path} is being written")))
        }
        Found::Root | Found::Directory { .. } => {
            Err(refuse(ErrorCode::FileNotFound, format!("Path is not a file: {path}")))
        }
        Found::Nothing => Err(refuse(ErrorCode::FileNotFound, resolve::missing(path))),
    }
}

/// Refuses bytes that cannot be joined with others: those that are sealed as a whole, and those that nobody may read
/// before they are restored.
pub(super) fn check_plain(path: &FsPath, head: &ObjectHead, details: &ObjectDetails) -> Result<(), Rejection> {
    let refused =
        |why: &str| Err(refuse(ErrorCode::Unsupported, format!("{path} is {why}: its bytes cannot be changed")));
    match details.encryption {
        Some(_) => refused("encrypted"),
        None if head.class.is_archive() => refused("archived"),
        None => Ok(()),
    }
}

pub(super) fn append(
    tx: &mut Transaction<'_>,
    caller: &FsCaller,
    path: &FsPath,
    holder: &str,
    replication: u16,
    now: UnixMillis,
) -> Result<FsReply, Rejection> {
    let place = resolve::resolve(tx, path)?;
    if place.exists() {
        access::check_entry(tx, caller, &place, access::WRITE)?;
    } else {
        access::check_traverse(tx, caller, &place)?;
    }
    let head = closed_file(tx, "APPEND_FILE", &place, caller, holder, now)?.clone();
    let Found::File { attributes, .. } = &place.found else {
        return Err(refuse(ErrorCode::FileNotFound, resolve::missing(path)));
    };
    let bucket = place.bucket()?;
    let mut attributes = (**attributes).clone();
    let id = open::free_id(tx, attributes::file_id(&attributes, head.sequence))?;
    attributes.file = id;
    attributes.modified = Some(now);
    if attributes.replication == 0 {
        attributes.replication = replication;
    }
    if let Some(base) = head.content {
        // Otherwise the file could not be closed, by nobody.
        contents::check_room(tx, base)?;
        contents::acquire(tx, base)?;
    }
    let record = OpenFileRecord {
        bucket: bucket.name.clone(),
        parent: place.parent(),
        name: path.name().to_owned(),
        holder: holder.to_owned(),
        attributes,
        class: head.class,
        base: head.content,
        base_bytes: head.size,
        blocks: Vec::new(),
        last: None,
    };
    lease::renew(tx, holder, now)?;
    open::insert(tx, bucket, id, &record, &place.key())?;
    open::note_opened(tx, id, true);
    attributes::link(tx, &place.above)?;
    let status = status::of_open(tx, bucket, id, &record, String::new())?;
    Ok(FsReply::Appended { status: Box::new(status), block: None })
}

pub(super) fn truncate(
    tx: &mut Transaction<'_>,
    caller: &FsCaller,
    path: &FsPath,
    length: u64,
    holder: &str,
    now: UnixMillis,
) -> Result<FsReply, Rejection> {
    let place = resolve::resolve(tx, path)?;
    if place.exists() {
        access::check_entry(tx, caller, &place, access::WRITE)?;
    }
    let head = closed_file(tx, "TRUNCATE_FILE", &place, caller, holder, now)?.clone();
    if length > head.size {
        let detail =
            format!("Cannot truncate to a larger file size. Current size: {}, truncate size: {length}.", head.size);
        return Err(refuse(ErrorCode::InvalidArgument, detail));
    }
    let (Some(whole), true) = (head.content, length < head.size) else { return Ok(FsReply::Flag(true)) };
    let cut = content::beginning(tx, whole, length)?;
    replace(tx, &place, &head, cut, length, now)?;
    Ok(FsReply::Flag(true))
}

/// Gives a file another content, of which the caller holds a reference; what is kept beside it stays.
pub(super) fn replace(
    tx: &mut Transaction<'_>,
    place: &Place<'_>,
    head: &ObjectHead,
    new: Option<(granary_protocol::ContentId, usize)>,
    size: u64,
    now: UnixMillis,
) -> Result<(), Rejection> {
    let Found::File { attributes, .. } = &place.found else {
        return Err(refuse(ErrorCode::FileNotFound, resolve::missing(place.path)));
    };
    let bucket = place.bucket()?;
    let mut attributes = (**attributes).clone();
    attributes.file = attributes::file_id(&attributes, head.sequence);
    attributes.modified = None;
    let etag = new.map_or_else(content::empty_etag, |(content, pieces)| content::etag_of(content, pieces));
    let head = content::new_head(bucket, etag, size, new.map(|(content, _)| content), head.class, now);
    let kept = Kept { parent: place.parent(), name: place.path.name(), attributes: &attributes };
    content::install(tx, bucket, &place.key(), head, &kept, now)
}
