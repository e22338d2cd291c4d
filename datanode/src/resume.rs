//! How an unfinished replica passes from a writer whose pipeline failed to the one that continues it.
//!
//! The bytes stay, the generation rises: whoever wrote before is shut out at once, and the replica is told from those of
//! members that were left behind. The sums are written under the new name before the data moves there, so that a crash
//! at any point leaves one name with both.

use std::fs;
use std::ops::RangeInclusive;
use std::sync::{Arc, PoisonError};

use granary_protocol::block::BLOCK_BYTES_MAX;
use granary_protocol::{BlockId, GenerationStamp};

use crate::create::stale;
use crate::disk;
use crate::error::ReplicaError;
use crate::layout::{ReplicaName, sums_path};
use crate::open_replica::OpenReplica;
use crate::volume::{Replica, Volume};

impl Volume {
    /// Hands the block's unfinished replica, at least of generation `known`, to a new writer at `generation`. It keeps
    /// what readers may have seen and at least the first of `bytes`, which its writer was told of; the rest is cut off,
    /// because it was never acknowledged. More than the last of `bytes` was never sent, so it is not the replica meant.
    /// Repeating it is harmless. Blocks.
    ///
    /// # Errors
    /// [`ReplicaError::NotFound`] without a replica of that many bytes, [`ReplicaError::Stale`] after a later
    /// generation, and the disk's own.
    pub(crate) fn resume(
        &self,
        block: BlockId,
        known: GenerationStamp,
        generation: GenerationStamp,
        bytes: RangeInclusive<u32>,
    ) -> Result<Arc<OpenReplica>, ReplicaError> {
        self.check_in_service()?;
        let _one_at_a_time = self.structure.lock().unwrap_or_else(PoisonError::into_inner);
        let not_found = |reason: String| ReplicaError::NotFound { block, reason };
        let found = self.replicas().get(&block).cloned();
        let Some(Replica::Open(old)) = found else { return Err(not_found("no unfinished replica".to_owned())) };
        let (has, name) = (old.name.generation, ReplicaName { generation, ..old.name });
        if has < known {
            return Err(not_found(format!("generation {has} here, {known} asked for")));
        }
        if has > generation {
            return Err(stale(name, "this volume has the block at a later generation"));
        }
        let mut state = old.lock();
        if let Some(reason) = state.closed {
            return Err(stale(name, reason));
        }
        let keep = old.visible().max(*bytes.start());
        if keep > old.written() || keep > *bytes.end() {
            return Err(not_found(format!("{} bytes here, of which {} shown", old.written(), old.visible())));
        }
        self.unpromise(&mut state);
        let promised_bytes = u64::from(BLOCK_BYTES_MAX - keep);
        if !self.promise(promised_bytes).map_err(|error| self.disk_error(name, error))? {
            self.context.metrics.disk_full.add(1);
            return Err(ReplicaError::DiskFull { block });
        }
        let occupied = state.file_bytes;
        let handed_over = (|| {
            if !old.cut(&mut state, keep)? {
                return Ok(None);
            }
            let path = self.layout.rbw().join(name.data());
            if path != old.path {
                old.write_sums(&sums_path(&path))?;
                fs::rename(&old.path, &path)?;
                disk::sync_directory(&self.layout.rbw())?;
                disk::remove_if_present(&sums_path(&old.path))?;
            }
            old.handed_over(&state, name, path, promised_bytes).map(Some)
        })();
        self.count_freed(occupied.saturating_sub(state.file_bytes));
        let next = match handed_over {
            Ok(Some(next)) => Arc::new(next),
            failed => {
                self.take_back_promise(promised_bytes);
                drop(state);
                self.condemn_open(&old, "it could not be handed to another writer");
                return Err(match failed {
                    Err(error) => self.disk_error(name, error),
                    Ok(_) => {
                        let reason = "the chunk to cut does not match its checksum".to_owned();
                        ReplicaError::Corrupt { block, generation: has, reason }
                    }
                });
            }
        };
        state.closed = Some("another writer has continued it");
        self.replicas().insert(block, Replica::Open(next.clone()));
        Ok(next)
    }
}
