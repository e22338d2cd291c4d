//! From a path to what is there.

use super::attributes;
use super::records::{Attributes, OpenFileRecord};
use crate::error::{Rejection, StateError, refuse};
use crate::state::layout;
use crate::state::path::{self, EntryRow};
use crate::state::records::{BucketHead, BucketRecord, DirectoryRecord, ObjectHead, ObjectRecord};
use crate::state::view::{self, View, inconsistent};
use granary_protocol::bucket::Versioning;
use granary_protocol::filesystem::{FileId, FsPath};
use granary_protocol::object::ObjectDetails;
use granary_protocol::{BucketName, CanonicalId, DirectoryId, ErrorCode, ObjectKey, UnixMillis};

/// The bucket of a path.
pub(super) struct Bucket {
    pub(super) name: BucketName,
    pub(super) head: BucketHead,
    pub(super) owner: CanonicalId,
    pub(super) created: UnixMillis,
}

/// A directory on the way to an entry; the bucket's root is the first.
pub(super) struct Step {
    pub(super) directory: DirectoryId,
    /// Without its slash.
    pub(super) name: String,
}

/// A path and what was found on it.
pub(super) struct Place<'p> {
    pub(super) path: &'p FsPath,
    /// `None` for `/` and where there is no such bucket.
    pub(super) bucket: Option<Bucket>,
    /// The directories that exist above the entry, outermost first; none above a bucket.
    pub(super) above: Vec<Step>,
    /// Whether they are all.
    pub(super) whole: bool,
    pub(super) found: Found,
}

/// What is at a path.
pub(super) enum Found {
    Nothing,
    /// `/`.
    Root,
    Directory {
        id: DirectoryId,
        /// `None` for the root of a bucket.
        record: Option<DirectoryRecord>,
    },
    File {
        head: Box<ObjectHead>,
        details: Box<ObjectDetails>,
        attributes: Box<Attributes>,
    },
    /// A file being written, whatever object it hides.
    Open {
        id: FileId,
        record: Box<OpenFileRecord>,
    },
}

impl<'p> Place<'p> {
    pub(super) fn exists(&self) -> bool {
        !matches!(self.found, Found::Nothing)
    }

    pub(super) fn is_directory(&self) -> bool {
        matches!(self.found, Found::Root | Found::Directory { .. })
    }

    pub(super) fn is_file(&self) -> bool {
        matches!(self.found, Found::File { .. } | Found::Open { .. })
    }

    /// The bucket of a place that is in one.
    pub(super) fn bucket(&self) -> Result<&Bucket, Rejection> {
        self.bucket.as_ref().ok_or_else(|| refuse(ErrorCode::FileNotFound, missing(self.path)))
    }

    /// The directory the entry is in, or would be. Not to be asked of `/` and buckets.
    pub(super) fn parent(&self) -> DirectoryId {
        self.above.last().expect("an entry of a bucket is in a directory").directory
    }

    /// Which directories are shown here.
    fn shows(&self) -> Shows {
        self.bucket.as_ref().map_or(Shows::Listed, Bucket::shows)
    }

    /// The key of a file at this path.
    pub(super) fn key(&self) -> ObjectKey {
        ObjectKey::from(self.path.bucket_and_key().map_or("", |(_, key)| key))
    }

    /// The key of the marker of the directory the entry is in; empty for the root of a bucket.
    pub(super) fn parent_key(&self) -> &'p str {
        let key = self.path.bucket_and_key().map_or("", |(_, key)| key);
        key.rfind('/').map_or("", |slash| &key[..=slash])
    }

    /// The key of the marker of a directory at this path.
    pub(super) fn marker_key(&self) -> ObjectKey {
        ObjectKey(format!("{}/", self.key().0))
    }

    /// Whether it is a bucket, there or not.
    pub(super) fn is_bucket(&self) -> bool {
        !self.path.is_root() && self.path.components().count() == 1
    }
}

/// What a person is told of a path where there is nothing.
pub(super) fn missing(path: &FsPath) -> String {
    format!("File does not exist: {path}")
}

/// Looks a path up.
///
/// # Errors
/// `ParentNotDirectory` where something above it is a file.
pub(super) fn resolve<'p, V: View + ?Sized>(view: &V, path: &'p FsPath) -> Result<Place<'p>, Rejection> {
    let nothing = Place { path, bucket: None, above: Vec::new(), whole: true, found: Found::Nothing };
    let Some((name, key)) = path.bucket_and_key() else { return Ok(Place { found: Found::Root, ..nothing }) };
    let Some(bucket) = bucket(view, &name)? else { return Ok(Place { whole: key.is_empty(), ..nothing }) };
    let root = bucket.head.root;
    let mut place = Place { bucket: Some(bucket), ..nothing };
    if key.is_empty() {
        place.found = Found::Directory { id: root, record: None };
        return Ok(place);
    }
    place.above.push(Step { directory: root, name: name.0.clone() });
    let mut components = key.split('/').peekable();
    let mut path_bytes = 1 + name.0.len();
    while let Some(component) = components.next() {
        let parent = place.parent();
        if components.peek().is_none() {
            place.found = find(view, parent, component, place.shows())?;
            break;
        }
        path_bytes += 1 + component.len();
        match directory(view, parent, component, place.shows())? {
            Some(record) => place.above.push(Step { directory: record.id, name: component.to_owned() }),
            None if is_file(view, parent, component)? => {
                let detail = format!("{} (is not a directory)", &path.as_str()[..path_bytes]);
                return Err(refuse(ErrorCode::ParentNotDirectory, detail));
            }
            None => {
                place.whole = false;
                break;
            }
        }
    }
    Ok(place)
}

/// A bucket by its name.
pub(super) fn bucket<V: View + ?Sized>(view: &V, name: &BucketName) -> Result<Option<Bucket>, StateError> {
    let record: Option<BucketRecord> = view::read(view, &layout::bucket(name))?;
    Ok(record.map(|record| Bucket {
        name: name.clone(),
        head: record.head,
        owner: record.owner,
        created: record.created,
    }))
}

/// Which directories of a bucket are shown.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Shows {
    /// Every one: where versions are not kept, one that S3 does not list has files that are being written.
    All,
    /// Those that S3 lists.
    Listed,
}

impl Shows {
    pub(super) fn directory(self, record: &DirectoryRecord) -> bool {
        record.listed || self == Shows::All
    }
}

impl Bucket {
    pub(super) fn shows(&self) -> Shows {
        match self.head.versioning {
            Versioning::Off => Shows::All,
            Versioning::Enabled | Versioning::Suspended => Shows::Listed,
        }
    }
}

/// A directory that is shown.
pub(super) fn directory<V: View + ?Sized>(
    view: &V,
    parent: DirectoryId,
    name: &str,
    shows: Shows,
) -> Result<Option<DirectoryRecord>, StateError> {
    let found = path::get_directory(view, parent, &row_name(name))?;
    Ok(found.filter(|record| shows.directory(record)))
}

/// The name of a directory's row.
pub(super) fn row_name(name: &str) -> Vec<u8> {
    let mut row_name = Vec::with_capacity(name.len() + 1);
    row_name.extend_from_slice(name.as_bytes());
    row_name.push(b'/');
    row_name
}

fn find<V: View + ?Sized>(view: &V, parent: DirectoryId, name: &str, shows: Shows) -> Result<Found, StateError> {
    if let Some(found) = find_file(view, parent, name)? {
        return Ok(found);
    }
    Ok(match directory(view, parent, name, shows)? {
        Some(record) => Found::Directory { id: record.id, record: Some(record) },
        None => Found::Nothing,
    })
}

/// The file of this name: one that is being written, or an object.
pub(super) fn find_file<V: View + ?Sized>(
    view: &V,
    parent: DirectoryId,
    name: &str,
) -> Result<Option<Found>, StateError> {
    if let Some(id) = view::read::<_, FileId>(view, &layout::open_name(parent, name.as_bytes()))? {
        return Ok(Some(Found::Open { id, record: Box::new(open_file(view, id)?) }));
    }
    let key = layout::entry(parent, name.as_bytes());
    let Some(row) = view.get(&key)? else { return Ok(None) };
    let ObjectRecord { head, details } = path::decode_object(&key, &row)?;
    if head.delete_marker {
        return Ok(None);
    }
    let attributes = attributes::of_file(view, parent, name)?;
    Ok(Some(Found::File { head: Box::new(head), details: Box::new(details), attributes: Box::new(attributes) }))
}

fn is_file<V: View + ?Sized>(view: &V, parent: DirectoryId, name: &str) -> Result<bool, StateError> {
    if view.get(&layout::open_name(parent, name.as_bytes()))?.is_some() {
        return Ok(true);
    }
    let key = layout::entry(parent, name.as_bytes());
    match view.get(&key)? {
        Some(row) => match path::decode_entry(&key, &row)? {
            EntryRow::Object(_) => Ok(!path::decode_object_head(&key, &row)?.delete_marker),
            EntryRow::Directory(_) => Ok(false),
        },
        None => Ok(false),
    }
}

pub(super) fn open_file<V: View + ?Sized>(view: &V, id: FileId) -> Result<OpenFileRecord, StateError> {
    view::read(view, &layout::open_file(id))?
        .ok_or_else(|| inconsistent(format!("file {} is open and has no record", id.0)))
}
