//! How an open replica becomes a finalized one.
//!
//! In this order, so that a crash at any point leaves either the open replica or the finalized one: cut the data, sync
//! it; write the sums beside it, sync them; move the sums, move the data (from here on it is finalized), sync both
//! directories. Sums in `finalized/` without data belong to nothing, or to the open replica whose data was about to follow.

use std::fs;
use std::io;
use std::sync::{Arc, PoisonError};

use granary_protocol::namenode::{ReplicaChange, ReplicaReport, ReplicaState};
use granary_protocol::{BlockId, GenerationStamp};

use crate::chunk_sums::{ChunkSums, check_chunks, sums_file_bytes};
use crate::create::stale;
use crate::disk;
use crate::error::{ReplicaError, is_full};
use crate::layout::{ReplicaName, sums_new_path, sums_path};
use crate::open_replica::{OpenReplica, Purpose, WriteState};
use crate::volume::{Replica, Volume};

impl Volume {
    /// Answers a request to finalize: the replica is cut to `length`, its generation becomes `generation`. A replica
    /// below `known`, the generation that the caller's permission names, is not the one meant. Blocks.
    pub(crate) fn finalize_as(
        &self,
        block: BlockId,
        known: GenerationStamp,
        generation: GenerationStamp,
        length: u32,
    ) -> Result<(), ReplicaError> {
        self.check_in_service()?;
        let _one_at_a_time = self.structure.lock().unwrap_or_else(PoisonError::into_inner);
        let replica = self.replicas().get(&block).cloned();
        let not_found = |reason: String| ReplicaError::NotFound { block, reason };
        let replica = replica.ok_or_else(|| not_found("none on this volume".to_owned()))?;
        let has = replica.generation();
        if has < known {
            return Err(not_found(format!("generation {has} here, {known} asked for")));
        }
        if has > generation {
            let reason = format!("generation {has} here, {generation} asked for");
            return Err(ReplicaError::Stale { block, reason });
        }
        match replica {
            Replica::Open(open) => self.finalize(&open, generation, length),
            Replica::Finalized { length: had, .. } if has == generation && had == length => Ok(()),
            Replica::Finalized { length: had, .. } if had < length => {
                Err(not_found(format!("{had} bytes here, {length} asked for")))
            }
            Replica::Finalized { .. } if has == generation => Err(ReplicaError::Stale {
                block,
                reason: "finalized at this generation with another length".to_owned(),
            }),
            Replica::Finalized { kind, length: had, .. } => {
                let open = self.reopen(ReplicaName { block, generation: has, kind }, had)?;
                self.finalize(&open, generation, length)
            }
        }
    }

    /// Finalizes an open replica at its first `length` bytes. Whoever writes it is stopped. Blocks.
    ///
    /// After [`ReplicaError::DiskFull`] the replica is as open as before; after any other error of the disk it is gone.
    pub(crate) fn finalize(
        &self,
        replica: &Arc<OpenReplica>,
        generation: GenerationStamp,
        length: u32,
    ) -> Result<(), ReplicaError> {
        self.check_in_service()?;
        let name = ReplicaName { generation, ..replica.name };
        let mut state = replica.lock();
        if let Some(reason) = state.closed {
            return Err(stale(name, reason));
        }
        let written = replica.written();
        if length > written {
            let reason = format!("{written} bytes here, {length} asked for");
            return Err(ReplicaError::NotFound { block: name.block, reason });
        }
        let occupied = state.file_bytes;
        let finalized = self.finalize_files(replica, &mut state, name, length);
        self.count_freed(occupied.saturating_sub(state.file_bytes));
        match finalized {
            Ok(true) => {}
            Ok(false) => {
                drop(state);
                self.condemn_open(replica, "the chunk to cut does not match its checksum");
                let reason = "the chunk to cut does not match its checksum".to_owned();
                return Err(ReplicaError::Corrupt { block: name.block, generation, reason });
            }
            Err(error) => {
                drop(state);
                if !is_full(&error) {
                    self.condemn_open(replica, "it could not be finalized");
                }
                return Err(self.disk_error(name, error));
            }
        }
        state.closed = Some("it is finalized");
        self.unpromise(&mut state);
        self.count_freed(state.file_bytes);
        self.count_growth(&mut state, u64::from(length) + sums_file_bytes(length));
        drop(state);
        self.enter_finalized(replica, name, length)
    }

    /// The work on files. `Ok(false)`: the data does not match its sums.
    fn finalize_files(
        &self,
        replica: &OpenReplica,
        state: &mut WriteState,
        name: ReplicaName,
        length: u32,
    ) -> io::Result<bool> {
        if !replica.cut(state, length)? {
            return Ok(false);
        }
        let sums_new = sums_new_path(&replica.path);
        self.pace.timed(|| replica.sync_data())?;
        replica.write_sums(&sums_new)?;
        let directory = self.layout.finalized_of(name.block);
        let path = directory.join(name.data());
        fs::rename(&sums_new, sums_path(&path))?;
        fs::rename(&replica.path, &path)?;
        disk::sync_directory(&directory)?;
        disk::sync_directory(replica.path.parent().expect("a replica's file lies in a directory"))?;
        replica.mark_synced();
        // What hflush-like syncs left; a leftover does no harm.
        let _ = disk::remove_if_present(&sums_path(&replica.path));
        Ok(true)
    }

    fn enter_finalized(&self, replica: &Arc<OpenReplica>, name: ReplicaName, length: u32) -> Result<(), ReplicaError> {
        let entry = Replica::Finalized { generation: name.generation, kind: name.kind, length };
        let before = {
            let mut replicas = self.replicas();
            match replicas.get(&name.block) {
                // Possible for a copy only: while it was made, the block came here another way.
                Some(other) if !is(other, replica) && other.generation() >= name.generation => Err(()),
                _ => Ok(replicas.insert(name.block, entry.clone())),
            }
        };
        match before {
            Ok(Some(older)) if !is(&older, replica) => self.erase(name.block, older),
            Ok(_) => {}
            Err(()) => {
                self.erase(name.block, entry);
                return Err(stale(name, "this volume has the block at that generation or a later one"));
            }
        }
        self.context.metrics.replicas_finalized.add(1);
        let report =
            ReplicaReport { block: name.block, generation: name.generation, length, state: ReplicaState::Finalized };
        self.context.changes.push(ReplicaChange::Finalized(self.id, report));
        Ok(())
    }

    /// Takes a finalized replica back to `rbw/`, to be cut or renamed by the one path that does it safely.
    fn reopen(&self, name: ReplicaName, length: u32) -> Result<Arc<OpenReplica>, ReplicaError> {
        let from = self.finalized_path(name);
        let to = self.layout.rbw().join(name.data());
        let io_error = |error| self.disk_error(name, error);
        let files = self.open_files(name, length).map_err(io_error)?;
        let bytes = disk::read_up_to(&files.data, 0, length as usize).map_err(io_error)?;
        if check_chunks(&bytes, &files.sums(0, length).map_err(io_error)?).is_err() {
            self.condemn_finalized(name, "checksum mismatch while reopening it");
            let reason = "checksum mismatch".to_owned();
            return Err(ReplicaError::Corrupt { block: name.block, generation: name.generation, reason });
        }
        self.files().remove(name.block);
        // Sums stay behind until the data has moved: recovery looks for them in both places.
        fs::rename(&from, &to).map_err(io_error)?;
        fs::rename(sums_path(&from), sums_path(&to)).map_err(io_error)?;
        let file = fs::File::options().read(true).write(true).open(&to).map_err(io_error)?;
        let open = Arc::new(OpenReplica::recovered(name, to, file, ChunkSums::of(&bytes), length.into()));
        debug_assert_eq!(open.purpose, Purpose::Recovered);
        self.count_freed(sums_file_bytes(length));
        self.replicas().insert(name.block, Replica::Open(open.clone()));
        Ok(open)
    }
}

fn is(entry: &Replica, replica: &Arc<OpenReplica>) -> bool {
    matches!(entry, Replica::Open(open) if Arc::ptr_eq(open, replica))
}
