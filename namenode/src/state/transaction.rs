//! The changes of a batch of commands, before they are written: a view of the engine with the changes on top.
//!
//! Commands of one Raft entry share a transaction, see each other's changes, and reach the engine as one batch together
//! with `last_applied`. Each command can be taken back alone: a refused command leaves nothing.

use super::apply::Effect;
use super::layout;
use super::records::{BlockRecord, Counters};
use super::view::{self, View, encode};
use crate::engine::{Engine, EngineError, KEY_BYTES_MAX, Pair, Scan, VALUE_BYTES_MAX, WriteBatch};
use crate::error::{Rejection, StateError, refuse};
use bytes::Bytes;
use granary_protocol::{BlockId, ErrorCode, UnixMillis};
use serde::Serialize;
use std::cell::RefCell;
use std::collections::{BTreeMap, btree_map};
use std::iter::Peekable;
use std::ops::Bound;

/// What a row will be: a value, or gone.
type Pending = Option<Bytes>;

/// An engine and the changes that are to be written to it.
pub struct Transaction<'e> {
    engine: &'e dyn Engine,
    pending: BTreeMap<Bytes, Pending>,
    /// What the current command found pending where it wrote.
    undo: Vec<(Bytes, Option<Pending>)>,
    /// Kept decoded, because nearly every command changes them.
    counters: Counters,
    counters_before: Counters,
    formatted: bool,
    /// Rows of the engine that nearly every command reads and hardly any writes: buckets, leases and sessions.
    read: RefCell<BTreeMap<Vec<u8>, Option<Bytes>>>,
    /// Whether the current command has written a row that no engine takes.
    oversized: bool,
    effects: Vec<Effect>,
    /// When the current command was proposed.
    now: UnixMillis,
    /// Where in `effects` a block's change is: a block that changes a thousand times in one command is told of once.
    changed: BTreeMap<BlockId, usize>,
}

impl<'e> Transaction<'e> {
    /// A transaction that changes nothing yet. Nothing else may write to the engine while it lives.
    ///
    /// # Errors
    /// The engine's, or a damaged row.
    pub fn begin(engine: &'e dyn Engine) -> Result<Transaction<'e>, StateError> {
        let stored: Option<Counters> = view::read(engine, &layout::meta("counters"))?;
        let counters = stored.unwrap_or_default();
        Ok(Transaction {
            engine,
            pending: BTreeMap::new(),
            undo: Vec::new(),
            counters,
            counters_before: counters,
            formatted: stored.is_some(),
            read: RefCell::default(),
            oversized: false,
            effects: Vec::new(),
            now: UnixMillis(0),
            changed: BTreeMap::new(),
        })
    }

    /// Puts a row of the caller's own into the same batch (`last_applied` and its like). The names used by the state
    /// itself are listed in [`layout`].
    pub fn put_meta(&mut self, name: &str, value: impl Into<Bytes>) {
        self.pending.insert(layout::meta(name).into(), Some(value.into()));
    }

    /// Everything that was changed, to be written as one batch.
    pub fn into_batch(mut self) -> WriteBatch {
        if self.formatted {
            self.pending.insert(layout::meta("counters").into(), Some(encode(&self.counters).into()));
        }
        let mut batch = WriteBatch::new();
        for (key, value) in self.pending {
            match value {
                Some(value) => batch.put(key, value),
                None => batch.delete(key),
            }
        }
        batch
    }

    /// Whether the cluster was formatted, by the engine's state or by a command of this transaction.
    pub(super) fn formatted(&self) -> bool {
        self.formatted
    }

    pub(super) fn set_formatted(&mut self) {
        self.formatted = true;
    }

    /// When the current command was proposed.
    pub(super) fn now(&self) -> UnixMillis {
        self.now
    }

    pub(super) fn counters(&mut self) -> &mut Counters {
        &mut self.counters
    }

    pub(super) fn put(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.write(key, Some(value.into()));
    }

    pub(super) fn put_bytes(&mut self, key: Vec<u8>, value: Bytes) {
        self.write(key, Some(value));
    }

    pub(super) fn put_record<T: Serialize + ?Sized>(&mut self, key: Vec<u8>, record: &T) {
        self.put(key, encode(record));
    }

    pub(super) fn delete(&mut self, key: Vec<u8>) {
        self.write(key, None);
    }

    fn write(&mut self, key: Vec<u8>, value: Pending) {
        let fits = key.len() <= KEY_BYTES_MAX && value.as_ref().is_none_or(|value| value.len() <= VALUE_BYTES_MAX);
        self.oversized |= !fits;
        let key = Bytes::from(key);
        let before = self.pending.insert(key.clone(), value);
        self.undo.push((key, before));
    }

    pub(super) fn effect(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    /// Tells soft state of a block's new record; of several in one command only the last.
    pub(super) fn block_changed(&mut self, block: BlockId, record: BlockRecord) {
        let effect = Effect::BlockChanged { block, record };
        match self.changed.get(&block) {
            Some(at) => self.effects[*at] = effect,
            None => {
                self.changed.insert(block, self.effects.len());
                self.effects.push(effect);
            }
        }
    }

    /// Refuses the current command if the engine could not take what it has written: a text that no rule bounds would
    /// otherwise stop every peer, at each replay.
    pub(super) fn check_rows(&self) -> Result<(), Rejection> {
        match self.oversized {
            false => Ok(()),
            true => Err(refuse(ErrorCode::InvalidArgument, "it would take more room than one record has")),
        }
    }

    pub(super) fn start_command(&mut self, now: UnixMillis) {
        self.now = now;
        self.oversized = false;
        self.undo.clear();
        self.effects.clear();
        self.changed.clear();
        self.counters_before = self.counters;
    }

    pub(super) fn take_effects(&mut self) -> Vec<Effect> {
        self.changed.clear();
        std::mem::take(&mut self.effects)
    }

    pub(super) fn roll_back(&mut self) {
        for (key, before) in self.undo.drain(..).rev() {
            match before {
                Some(pending) => self.pending.insert(key, pending),
                None => self.pending.remove(&key),
            };
        }
        self.effects.clear();
        self.changed.clear();
        self.counters = self.counters_before;
    }
}

impl View for Transaction<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, EngineError> {
        if let Some(pending) = self.pending.get(key) {
            return Ok(pending.clone());
        }
        if !matches!(key.first(), Some(&(layout::BUCKET | layout::LEASE | layout::SESSION))) {
            return self.engine.get(key);
        }
        if let Some(value) = self.read.borrow().get(key) {
            return Ok(value.clone());
        }
        let value = self.engine.get(key)?;
        self.read.borrow_mut().insert(key.to_vec(), value.clone());
        Ok(value)
    }

    fn scan<'v>(&'v self, from: &[u8], until: Option<&[u8]>) -> Scan<'v> {
        if until.is_some_and(|until| until <= from) {
            return Box::new(std::iter::empty());
        }
        let range = (Bound::Included(from), until.map_or(Bound::Unbounded, Bound::Excluded));
        let pending = self.pending.range::<[u8], _>(range);
        Box::new(Merged { stored: self.engine.scan(from, until).peekable(), pending: pending.peekable() })
    }
}

/// Stored rows with pending ones over them.
struct Merged<'v> {
    stored: Peekable<Scan<'v>>,
    pending: Peekable<btree_map::Range<'v, Bytes, Pending>>,
}

impl Iterator for Merged<'_> {
    type Item = Result<Pair, EngineError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let Some((key, _)) = self.pending.peek() else { return self.stored.next() };
            match self.stored.peek() {
                Some(Err(_)) => return self.stored.next(),
                Some(Ok((stored, _))) if stored < *key => return self.stored.next(),
                Some(Ok((stored, _))) if stored == *key => drop(self.stored.next()),
                _ => {}
            }
            let (key, value) = self.pending.next()?;
            if let Some(value) = value {
                return Some(Ok((key.clone(), value.clone())));
            }
        }
    }
}
