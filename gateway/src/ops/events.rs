//! What operations say they did, for whoever wants to be told.

use super::text::version_text;
use crate::notifications::{EventKind, ObjectEvent, ObjectEvents};
use crate::server::{S3Request, S3Response};
use granary_protocol::bucket::Versioning;
use granary_protocol::namenode::{DeleteOutcome, PutOutcome};
use granary_protocol::{ObjectKey, VersionId};

/// A version was written. The size is not known of an upload that was completed before.
pub(super) fn announce_write(
    response: &mut S3Response,
    kind: EventKind,
    key: &ObjectKey,
    size: Option<u64>,
    outcome: &PutOutcome,
) {
    let shows_version = outcome.versioning != Versioning::Off;
    let event = ObjectEvent {
        kind,
        key: key.as_str().to_owned(),
        size,
        etag: Some(outcome.etag.to_string()),
        version: shows_version.then(|| version_text(outcome.version)),
        at: Some(outcome.modified),
    };
    ObjectEvents::announce(response.extensions_mut(), event);
}

/// A key was deleted; `named` is the version that was asked for.
pub(super) fn announce_delete(
    response: &mut S3Response,
    key: &ObjectKey,
    named: Option<VersionId>,
    outcome: &DeleteOutcome,
) {
    // A marker that was named and removed is a version like any other.
    let made_marker = outcome.delete_marker && named.is_none();
    let kind = if made_marker { EventKind::RemovedMarker } else { EventKind::RemovedDelete };
    announce(response, kind, key, outcome.version.map(version_text));
}

/// Something beside an object's bytes was changed.
pub(super) fn announce_change(response: &mut S3Response, kind: EventKind, request: &S3Request, version: VersionId) {
    let shows_version = request.versioning() != Versioning::Off;
    announce(response, kind, &request.key, shows_version.then(|| version_text(version)));
}

fn announce(response: &mut S3Response, kind: EventKind, key: &ObjectKey, version: Option<String>) {
    let key = key.as_str().to_owned();
    let event = ObjectEvent { kind, key, size: None, etag: None, version, at: None };
    ObjectEvents::announce(response.extensions_mut(), event);
}
