//! A naive model of the namespace: every version of every key in a list, every content as pieces of leaves.

use super::fixture::etag;
use crate::state::FoundExtent;
use granary_protocol::block::Extent;
use granary_protocol::bucket::Versioning;
use granary_protocol::namenode::WriteCondition;
use granary_protocol::object::{ETag, ObjectLock, Tag};
use granary_protocol::{ContentId, ErrorCode, UploadId, VersionId};
use std::collections::BTreeMap;

/// Bytes of a leaf content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    pub leaf: ContentId,
    pub offset: u64,
    pub length: u64,
}

#[derive(Clone, Debug)]
pub struct Version {
    pub id: VersionId,
    pub marker: bool,
    pub etag: ETag,
    pub pieces: Vec<Piece>,
    pub tags: Vec<Tag>,
    pub lock: ObjectLock,
}

impl Version {
    pub fn size(&self) -> u64 {
        self.pieces.iter().map(|piece| piece.length).sum()
    }
}

#[derive(Default)]
pub struct Model {
    pub versioning: Versioning,
    /// Oldest first, current last.
    pub keys: BTreeMap<String, Vec<Version>>,
    pub uploads: BTreeMap<UploadId, (String, BTreeMap<u16, Vec<Piece>>)>,
    /// Where each leaf is. Kept after the leaf is gone.
    pub leaves: BTreeMap<ContentId, Vec<Extent>>,
}

impl Model {
    pub fn current(&self, key: &str) -> Option<&Version> {
        self.keys.get(key)?.last()
    }

    /// The current version that is not a marker.
    pub fn visible(&self, key: &str) -> Option<&Version> {
        self.current(key).filter(|version| !version.marker)
    }

    pub fn check(&self, key: &str, condition: &WriteCondition) -> Result<(), ErrorCode> {
        match (self.visible(key), &condition.if_match) {
            (Some(_), _) if condition.if_absent => Err(ErrorCode::PreconditionFailed),
            (None, Some(_)) => Err(ErrorCode::NoSuchKey),
            (Some(version), Some(Some(etag))) if version.etag != *etag => Err(ErrorCode::PreconditionFailed),
            _ => Ok(()),
        }
    }

    /// `id` is what the state chose; whether it may be that is checked here.
    pub fn write(&mut self, key: &str, mut version: Version, id: VersionId) {
        assert_eq!(self.versioning == Versioning::Enabled, id != VersionId::NULL);
        version.id = id;
        let versions = self.keys.entry(key.to_owned()).or_default();
        if id == VersionId::NULL {
            versions.retain(|old| old.id != VersionId::NULL);
        }
        assert!(versions.iter().all(|old| old.id < id || id == VersionId::NULL));
        versions.push(version);
    }

    /// Deletes without a version; whether a marker is to be made.
    pub fn delete(&mut self, key: &str) -> bool {
        if self.versioning == Versioning::Off {
            self.keys.remove(key);
        }
        self.versioning != Versioning::Off
    }

    pub fn version_mut(&mut self, key: &str, id: VersionId) -> Option<&mut Version> {
        self.keys.get_mut(key)?.iter_mut().find(|version| version.id == id)
    }

    /// Gives the only version of a key another key.
    pub fn rename(&mut self, source: &str, key: &str) {
        let versions = self.keys.remove(source).expect("the source exists");
        self.keys.insert(key.to_owned(), versions);
    }

    /// Deletes a version; whether it was a marker.
    pub fn delete_version(&mut self, key: &str, id: VersionId) -> bool {
        let Some(versions) = self.keys.get_mut(key) else { return false };
        let removed = versions.iter().position(|version| version.id == id).map(|at| versions.remove(at));
        if versions.is_empty() {
            self.keys.remove(key);
        }
        removed.is_some_and(|version| version.marker)
    }

    /// Where bytes of a version are, in runs as long as can be.
    pub fn runs(&self, pieces: &[Piece], offset: u64, length: u64) -> Vec<Extent> {
        let mut runs = Vec::new();
        for piece in cut(pieces, offset, length) {
            let mut at = 0;
            for extent in &self.leaves[&piece.leaf] {
                let end = at + u64::from(extent.length);
                let (from, until) = (at.max(piece.offset), end.min(piece.offset + piece.length));
                if from < until {
                    let offset = extent.offset + (from - at) as u32;
                    push(&mut runs, Extent { offset, length: (until - from) as u32, ..*extent });
                }
                at = end;
            }
        }
        runs
    }
}

/// The pieces that bytes of a sequence of pieces are.
pub fn cut(pieces: &[Piece], offset: u64, length: u64) -> Vec<Piece> {
    let mut at = 0;
    let mut found = Vec::new();
    for piece in pieces {
        let (from, until) = (at.max(offset), (at + piece.length).min(offset + length));
        if from < until {
            found.push(Piece { leaf: piece.leaf, offset: piece.offset + from - at, length: until - from });
        }
        at += piece.length;
    }
    found
}

/// What was located, in runs as long as can be; checks that it has no gaps.
pub fn found_runs(found: &[FoundExtent], offset: u64) -> Vec<Extent> {
    let mut runs = Vec::new();
    let mut at = offset;
    for extent in found {
        assert_eq!(extent.content_offset, at);
        at += u64::from(extent.extent.length);
        push(&mut runs, extent.extent);
    }
    runs
}

fn push(runs: &mut Vec<Extent>, extent: Extent) {
    match runs.last_mut() {
        Some(last) if last.block == extent.block && last.offset + last.length == extent.offset => {
            last.length += extent.length;
        }
        _ => runs.push(extent),
    }
}

pub fn version(pieces: Vec<Piece>) -> Version {
    let size = pieces.iter().map(|piece| piece.length).sum();
    Version {
        id: VersionId::NULL,
        marker: false,
        etag: etag(size),
        pieces,
        tags: Vec::new(),
        lock: ObjectLock::default(),
    }
}
