//! The unit of atomic writing: a list of puts and deletes in the order they were asked for.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::EngineError;
use super::contract::{KEY_BYTES_MAX, VALUE_BYTES_MAX};

/// One change of one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WriteOp {
    /// Sets the value of a key, present or not.
    Put {
        /// 1 to [`KEY_BYTES_MAX`] bytes.
        key: Bytes,
        /// 0 to [`VALUE_BYTES_MAX`] bytes.
        value: Bytes,
    },
    /// Removes a key, present or not.
    Delete {
        /// 1 to [`KEY_BYTES_MAX`] bytes.
        key: Bytes,
    },
}

/// Changes that take effect together. Of several changes to one key the last one counts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WriteBatch {
    ops: Vec<WriteOp>,
}

impl WriteBatch {
    /// A batch that changes nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a put.
    pub fn put(&mut self, key: impl Into<Bytes>, value: impl Into<Bytes>) {
        self.ops.push(WriteOp::Put { key: key.into(), value: value.into() });
    }

    /// Adds a delete.
    pub fn delete(&mut self, key: impl Into<Bytes>) {
        self.ops.push(WriteOp::Delete { key: key.into() });
    }

    /// Adds all changes of `later` behind those of this batch, so that many commands can share one atomic write.
    pub fn append(&mut self, mut later: WriteBatch) {
        self.ops.append(&mut later.ops);
    }

    /// The changes in the order they were added.
    pub fn ops(&self) -> &[WriteOp] {
        &self.ops
    }

    /// How many changes the batch holds.
    pub fn len(&self) -> usize {
        self.ops.len()
    }

    /// True where the batch changes nothing.
    pub fn is_empty(&self) -> bool {
        self.ops.is_empty()
    }

    /// The net effect: each key once, ascending, with its new value or `None` where it goes. Adapters write this and not
    /// the list, because an engine may stamp all changes of a batch with one sequence number and then cannot order two
    /// changes of one key.
    ///
    /// # Errors
    /// [`EngineError::KeyLength`] and [`EngineError::ValueLength`].
    pub(super) fn into_net_changes(self) -> Result<BTreeMap<Bytes, Option<Bytes>>, EngineError> {
        let mut changes = BTreeMap::new();
        for op in self.ops {
            let (key, value) = match op {
                WriteOp::Put { key, value } => (key, Some(value)),
                WriteOp::Delete { key } => (key, None),
            };
            if key.is_empty() || key.len() > KEY_BYTES_MAX {
                return Err(EngineError::KeyLength { key_bytes: key.len() });
            }
            if let Some(value) = &value
                && value.len() > VALUE_BYTES_MAX
            {
                return Err(EngineError::ValueLength { value_bytes: value.len() });
            }
            changes.insert(key, value);
        }
        Ok(changes)
    }
}
