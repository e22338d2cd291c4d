//! The namespace as a file system, as Hadoop means one: directories that stay, files that are written under a lease,
//! owners and permissions, renames of whole trees.
//!
//! The entries are those of S3. What Hadoop adds to them lives in tables of its own, keyed like the entry; without a row
//! the defaults of [`attributes`] hold. A file that is being written is no object yet: it is in `open_file`, under its
//! directory and name, hides an object of the same key from the file system alone, and becomes the object when it is
//! closed.
//!
//! **Names.** A directory is shown while S3 would list anything in it. Where an object and a directory have one name
//! (`a` and `a/b`), the file is shown, and what lies in the directory is reached by its full path. Names that no path can
//! spell (empty, `.`, `..`, with a colon) are not shown.

mod access;
mod acl;
mod append;
mod attributes;
mod blocks;
mod clear;
mod concat;
mod content;
mod create;
mod delete;
mod directories;
mod lease;
mod listing;
mod open;
mod perform;
mod policies;
mod queries;
mod quota;
mod reclaim;
mod records;
mod recovery;
mod rename;
mod resolve;
mod retry;
mod settings;
mod small;
mod status;
mod xattrs;

pub(super) use attributes::{forget_directory, forget_file};
pub use blocks::{UnplacedBlock, block_to_place, placement_of};
pub use clear::clear_bytes_for;
pub use lease::{EXPIRED_HOLDERS_MAX, expired_holders};
pub(crate) use perform::perform;
pub use queries::{Answer, FoundBlock, FoundFile, FoundListing, query};
pub use quota::{LimitedDirectory, any_limits, limits_on, missing_names, taken};
pub use reclaim::{is_deleted_by_pages, next_detached};
pub use recovery::{RecoveringFile, recovering};
pub use retry::recalled;
pub(super) use small::forget as forget_small;
pub use small::{SmallContent, small_contents};

#[cfg(test)]
pub(super) use records::{Attributes, DetachedRecord, OpenFileRecord};
