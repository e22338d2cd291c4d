//! Storage policies: which class new files get.

use super::access;
use super::attributes;
use super::queries;
use super::resolve::{Found, Step};
use super::settings;
use crate::error::{Rejection, StateError};
use crate::state::transaction::Transaction;
use crate::state::view::View;
use granary_protocol::filesystem::{FsCaller, FsPath, FsReply, StoragePolicy};

/// The policy of the innermost of these directories that has one.
pub(super) fn of_directories<V: View + ?Sized>(view: &V, above: &[Step]) -> Result<Option<StoragePolicy>, StateError> {
    for step in above.iter().rev() {
        if let Some(policy) = attributes::of_directory(view, step.directory)?.policy {
            return Ok(Some(policy));
        }
    }
    Ok(None)
}

pub(super) fn of_path<V: View + ?Sized>(
    view: &V,
    caller: &FsCaller,
    path: &FsPath,
) -> Result<StoragePolicy, Rejection> {
    let place = queries::existing(view, caller, path)?;
    if let Some(policy) = queries::attributes_of(view, &place)?.policy {
        return Ok(policy);
    }
    if let Found::File { head, .. } = &place.found {
        return Ok(StoragePolicy::of_class(head.class));
    }
    Ok(of_directories(view, &place.above)?.unwrap_or_default())
}

pub(super) fn set(
    tx: &mut Transaction<'_>,
    caller: &FsCaller,
    path: &FsPath,
    policy: Option<StoragePolicy>,
) -> Result<FsReply, Rejection> {
    let place = queries::existing(tx, caller, path)?;
    access::check_entry(tx, caller, &place, access::WRITE)?;
    settings::change(tx, &place, |attributes| {
        attributes.policy = policy;
        Ok(())
    })?;
    Ok(FsReply::Done)
}
