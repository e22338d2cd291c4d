//! What the clients of a run asked for and were told, by key: the evidence that the invariants judge.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A content, by which it is known again: see [`crate::content`].
pub type ContentTag = u64;

/// What was asked, with what was found where the answer says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Write it, or with `None` delete what there is.
    Write(Option<ContentTag>),
    /// Write it if there is nothing; done.
    WriteIfAbsent(ContentTag),
    /// Write it if there is nothing; refused, so there was something.
    FoundSomething,
    /// Read; this was found.
    Read(Option<ContentTag>),
}

/// An operation on one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operation {
    pub action: Action,
    /// When it was asked, in nanoseconds of the run.
    pub called: u64,
    /// When it was answered; `None` if never, or not clearly: it may have taken effect at any time since, or not at all.
    pub returned: Option<u64>,
}

/// A version that must be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    pub key: String,
    pub version: granary_protocol::VersionId,
    pub content: ContentTag,
}

#[derive(Default)]
struct Records {
    keys: BTreeMap<String, Vec<Operation>>,
    kept: Vec<Kept>,
    violations: Vec<String>,
}

/// The history of a run.
#[derive(Default)]
pub struct History {
    records: Mutex<Records>,
}

impl History {
    fn records(&self) -> MutexGuard<'_, Records> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An operation is asked for; the number under which it is answered. A write counts as possible from now on.
    pub fn called(&self, key: &str, action: Action, now: u64) -> usize {
        let mut records = self.records();
        let operations = records.keys.entry(key.to_owned()).or_default();
        operations.push(Operation { action, called: now, returned: None });
        operations.len() - 1
    }

    /// It was answered, with this.
    pub fn returned(&self, key: &str, number: usize, action: Action, now: u64) {
        let mut records = self.records();
        let operation = records.keys.get_mut(key).and_then(|operations| operations.get_mut(number));
        if let Some(operation) = operation {
            *operation = Operation { action, returned: Some(now), ..*operation };
        }
    }

    /// A version was acknowledged that nothing may remove.
    pub fn keeps(&self, kept: Kept) {
        self.records().kept.push(kept);
    }

    /// Something that must not be.
    pub fn violation(&self, what: String) {
        self.records().violations.push(what);
    }

    /// What must not be, and was.
    pub fn violations(&self) -> Vec<String> {
        self.records().violations.clone()
    }

    /// Versions that nothing may have removed.
    pub fn kept(&self) -> Vec<Kept> {
        self.records().kept.clone()
    }

    /// Operations by key.
    pub fn keys(&self) -> BTreeMap<String, Vec<Operation>> {
        self.records().keys.clone()
    }
}
