//! Making directories, and keeping them when what was in them goes.
//!
//! A directory is made by its marker, the zero-byte object `directory/` that S3 tools show as a folder. Only the innermost
//! one of several needs it. A directory that Hadoop empties gets one, because Hadoop's directories stay.

use super::access;
use super::acl;
use super::attributes::{self, SUPERGROUP};
use super::content;
use super::records::Attributes;
use super::resolve::{self, Bucket, Found, Place, Shows};
use crate::command::CreateBucket;
use crate::error::{Rejection, refuse};
use crate::state::buckets;
use crate::state::layout;
use crate::state::locks::Remover;
use crate::state::path::{self, KeyPath};
use crate::state::records::DirectoryCounts;
use crate::state::transaction::Transaction;
use crate::state::versions;
use crate::state::view;
use granary_protocol::filesystem::{FsCaller, FsPath, FsReply};
use granary_protocol::object::ObjectDetails;
use granary_protocol::{DirectoryId, ErrorCode, ObjectKey, UnixMillis};

/// The region of buckets that Hadoop makes, S3's default.
const REGION: &str = "us-east-1";

/// The permission of a directory that is about to be made.
#[derive(Clone, Copy)]
pub(super) struct Mode {
    /// With the maker's mask.
    pub(super) masked: u16,
    /// Without; it counts where the parent has a default list.
    pub(super) unmasked: Option<u16>,
}

pub(super) fn mkdirs(
    tx: &mut Transaction<'_>,
    caller: &FsCaller,
    path: &FsPath,
    mode: Mode,
    create_parent: bool,
    now: UnixMillis,
) -> Result<FsReply, Rejection> {
    access::check_components(path)?;
    let place = resolve::resolve(tx, path)?;
    match &place.found {
        Found::Root | Found::Directory { .. } => {
            access::check_traverse(tx, caller, &place)?;
            return Ok(FsReply::Flag(true));
        }
        Found::File { .. } | Found::Open { .. } => {
            return Err(refuse(ErrorCode::FileAlreadyExists, format!("Path is not a directory: {path}")));
        }
        Found::Nothing => {}
    }
    access::check_above(tx, caller, &place, access::WRITE)?;
    if !create_parent && !place.whole {
        let parent = path.parent().unwrap_or_else(FsPath::root);
        return Err(refuse(ErrorCode::FileNotFound, format!("Parent directory doesn't exist: {parent}")));
    }
    make(tx, caller, &place, mode, now)?;
    Ok(FsReply::Flag(true))
}

/// Makes the directory of a path where there is nothing, and those above it that are missing. The caller may.
pub(super) fn make(
    tx: &mut Transaction<'_>,
    caller: &FsCaller,
    place: &Place<'_>,
    mode: Mode,
    now: UnixMillis,
) -> Result<(), Rejection> {
    let Some((name, key)) = place.path.bucket_and_key() else { return Ok(()) };
    let made_bucket = place.bucket.is_none();
    if made_bucket {
        make_bucket(tx, caller, &name, mode, key.is_empty(), now)?;
    }
    if key.is_empty() {
        return Ok(());
    }
    let bucket = resolve::bucket(tx, &name)?.ok_or_else(|| buckets::no_such(&name))?;
    path::check_key(&place.marker_key())?;
    attributes::touch(tx, &place.above, now)?;
    put_marker(tx, &bucket, &place.marker_key(), now)?;

    let existing = if made_bucket { 0 } else { place.above.len() - 1 };
    let mut parent = bucket.head.root;
    let components: Vec<&str> = key.split('/').collect();
    for (depth, component) in components.iter().enumerate() {
        let record = path::get_directory(tx, parent, &resolve::row_name(component))?
            .ok_or_else(|| view::inconsistent(format!("directory {component} was made and does not exist")))?;
        if depth >= existing {
            let last = depth + 1 == components.len();
            let above = attributes::of_directory(tx, parent)?;
            let mut new = new_attributes(caller, &above, mode, last);
            new.modified = Some(now);
            new.link = Some((parent, (*component).to_owned()));
            attributes::put_directory(tx, record.id, &new);
        }
        parent = record.id;
    }
    Ok(())
}

/// What a directory begins with: the group and the default list of the one it is in. Those that are made on the way are
/// open to their owner.
fn new_attributes(caller: &FsCaller, above: &Attributes, mode: Mode, last: bool) -> Attributes {
    let mut attributes = Attributes {
        owner: Some(caller.user.clone()),
        group: Some(above.group.clone().unwrap_or_else(|| SUPERGROUP.to_owned())),
        ..Attributes::default()
    };
    acl::inherit(&mut attributes, above, mode.masked, mode.unmasked, true);
    if !last {
        attributes.permission = attributes.permission.map(|permission| permission | 0o300);
    }
    attributes
}

fn make_bucket(
    tx: &mut Transaction<'_>,
    caller: &FsCaller,
    name: &granary_protocol::BucketName,
    mode: Mode,
    last: bool,
    now: UnixMillis,
) -> Result<(), Rejection> {
    if !is_bucket_name(name.as_str()) {
        let detail = format!(
            "Invalid path name: /{name} would be a bucket, whose name has 3 to 63 lower-case letters, digits, dots and \
             hyphens and begins and ends with a letter or digit"
        );
        return Err(refuse(ErrorCode::InvalidPath, detail));
    }
    let create = CreateBucket {
        bucket: name.clone(),
        owner: caller.account.clone(),
        region: REGION.to_owned(),
        object_lock: false,
        documents: Vec::new(),
    };
    buckets::create(tx, &create, now)?;
    let root = buckets::head(tx, name)?.root;
    let mut new = new_attributes(caller, &Attributes::default(), mode, last);
    new.modified = Some(now);
    attributes::put_directory(tx, root, &new);
    Ok(())
}

/// The rules of S3 that keep a bucket usable through both doors.
fn is_bucket_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let label = |label: &str| {
        label.bytes().all(|byte| plain(byte) || byte == b'-')
            && label.bytes().next().is_some_and(plain)
            && label.bytes().last().is_some_and(plain)
    };
    (3..=63).contains(&name.len()) && name.split('.').all(label) && name.parse::<std::net::Ipv4Addr>().is_err()
}

/// Makes the marker of a directory, unless there is one; directories around it come with it.
pub(super) fn put_marker(
    tx: &mut Transaction<'_>,
    bucket: &Bucket,
    key: &ObjectKey,
    now: UnixMillis,
) -> Result<(), Rejection> {
    let mut path = KeyPath::resolve_directory(tx, bucket.head.root, key.as_str())?;
    let current = path.current(tx)?;
    if current.as_ref().is_some_and(|current| !current.head.delete_marker) {
        return Ok(());
    }
    let mut head = content::new_head(bucket, content::empty_etag(), 0, None, Default::default(), now);
    // A folder is no document to be kept.
    head.lock = Default::default();
    versions::install(tx, bucket.head, &mut path, current, &mut head, &ObjectDetails::default(), Remover::ordinary(now))
}

/// An entry is about to leave its directory: sees to it that the directory stays.
pub(super) fn keep_above(tx: &mut Transaction<'_>, place: &Place<'_>, now: UnixMillis) -> Result<(), Rejection> {
    if place.above.len() < 2 {
        // The root of a bucket stays anyway.
        return Ok(());
    }
    let own = match &place.found {
        Found::Open { .. } => shown_object(tx, place)?,
        // One that has nothing but files being written is not listed.
        Found::Directory { record: Some(record), .. } => record.listed,
        found => !matches!(found, Found::Nothing),
    };
    if counts(tx, place.parent())?.listed > u64::from(own) {
        return Ok(());
    }
    let Some(parent) = place.path.parent() else { return Ok(()) };
    let key = parent.bucket_and_key().map_or(String::new(), |(_, key)| format!("{key}/"));
    put_marker(tx, place.bucket()?, &ObjectKey(key), now)
}

/// Whether a file that is being written hides an object.
fn shown_object(tx: &Transaction<'_>, place: &Place<'_>) -> Result<bool, Rejection> {
    let key = place.key();
    let current = KeyPath::resolve_directory(tx, place.bucket()?.head.root, key.as_str())?.current(tx)?;
    Ok(current.is_some_and(|current| !current.head.delete_marker))
}

pub(super) fn counts(tx: &Transaction<'_>, directory: DirectoryId) -> Result<DirectoryCounts, Rejection> {
    Ok(view::read(tx, &layout::directory_counts(directory))?.unwrap_or_default())
}

/// Whether nothing is shown in a directory.
pub(super) fn is_empty(tx: &Transaction<'_>, directory: DirectoryId, shows: Shows) -> Result<bool, Rejection> {
    use crate::state::view::View;
    let rows = layout::entry(directory, b"");
    for pair in tx.scan(&rows, Some(&layout::after_prefix(&rows))) {
        let (key, row) = pair?;
        let shown = match path::decode_entry(&key, &row)? {
            path::EntryRow::Directory(record) => shows.directory(&record),
            // The marker has no name.
            path::EntryRow::Object(_) => key.len() > rows.len() && !path::decode_object_head(&key, &row)?.delete_marker,
        };
        if shown {
            return Ok(false);
        }
    }
    let open = layout::open_name(directory, b"");
    Ok(tx.scan(&open, Some(&layout::after_prefix(&open))).next().transpose()?.is_none())
}
