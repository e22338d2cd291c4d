//! How replicas go: on command, because a newer one took their place, or because they turned out to be bad.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::sync::{Arc, PoisonError};

use granary_protocol::block::BlockKind;
use granary_protocol::namenode::ReplicaChange;
use granary_protocol::{BlockId, GenerationStamp};

use crate::chunk_sums::sums_file_bytes;
use crate::disk;
use crate::layout::{FileRole, ReplicaName, sums_new_path, sums_path};
use crate::open_replica::OpenReplica;
use crate::volume::{Replica, Volume};

/// Bad replicas kept in `corrupt/` of a volume until the namenode has them removed: 2 GiB at most.
const CORRUPT_REPLICAS_MAX: usize = 16;

impl Volume {
    /// Removes the block's replica of this or a lower generation, whatever its state; nothing there is fine. Blocks.
    pub(crate) fn remove(&self, block: BlockId, generation: GenerationStamp) {
        if self.failed().is_some() {
            return;
        }
        let _one_at_a_time = self.structure.lock().unwrap_or_else(PoisonError::into_inner);
        let removed = {
            let mut replicas = self.replicas();
            match replicas.get(&block) {
                Some(replica) if replica.generation() <= generation => replicas.remove(&block),
                _ => None,
            }
        };
        match removed {
            Some(replica) => {
                let had = replica.generation();
                self.erase(block, replica);
                self.context.metrics.replicas_removed.add(1);
                self.context.changes.push(ReplicaChange::Removed(self.id, block, had));
            }
            None => self.remove_corrupt(block, generation),
        }
    }

    /// Deletes the files of a replica that the map does not have any more. A file that will not go is found again at
    /// the next start.
    pub(crate) fn erase(&self, block: BlockId, replica: Replica) {
        match replica {
            Replica::Open(open) => self.discard(&open, "the replica was removed"),
            Replica::Finalized { generation, kind, length } => {
                self.files().remove(block);
                let path = self.finalized_path(ReplicaName { block, generation, kind });
                // Data first: sums without data are known to be garbage, data without sums look like damage.
                self.log_failure(block, disk::remove_if_present(&path));
                self.log_failure(block, disk::remove_if_present(&sums_path(&path)));
                self.count_freed(u64::from(length) + sums_file_bytes(length));
            }
        }
    }

    /// Deletes an open replica's files and stops whoever writes it. The map is the caller's business.
    pub(crate) fn discard(&self, replica: &OpenReplica, reason: &'static str) {
        let mut state = replica.lock();
        if state.closed.replace(reason).is_some() {
            return;
        }
        self.unpromise(&mut state);
        self.count_freed(state.file_bytes);
        for path in [replica.path.clone(), sums_path(&replica.path), sums_new_path(&replica.path)] {
            self.log_failure(replica.name.block, disk::remove_if_present(&path));
        }
    }

    /// Takes a finalized replica out of service: it stays in `corrupt/` until the namenode has it removed. Blocks.
    pub(crate) fn condemn_finalized(&self, name: ReplicaName, reason: &str) {
        let removed = {
            let mut replicas = self.replicas();
            match replicas.get(&name.block) {
                Some(Replica::Finalized { generation, length, .. }) if *generation == name.generation => {
                    let length = *length;
                    replicas.remove(&name.block);
                    Some(length)
                }
                _ => None,
            }
        };
        let Some(length) = removed else { return };
        self.files().remove(name.block);
        let from = self.finalized_path(name);
        let to = self.layout.corrupt().join(name.data());
        self.log_failure(name.block, fs::rename(&from, &to));
        self.log_failure(name.block, fs::rename(sums_path(&from), sums_path(&to)));
        self.count_freed(u64::from(length) + sums_file_bytes(length));
        self.prune_corrupt();
        self.announce_corrupt(name, reason);
    }

    /// Removes the oldest bad replicas beyond the bound. They are kept for people only.
    fn prune_corrupt(&self) {
        let Ok(entries) = fs::read_dir(self.layout.corrupt()) else { return };
        let mut kept: Vec<_> = entries
            .flatten()
            .filter_map(|entry| {
                let (name, role) = ReplicaName::parse(entry.file_name().to_str()?)?;
                let condemned = entry.metadata().ok()?.ctime();
                (role == FileRole::Data).then_some((condemned, name))
            })
            .collect();
        kept.sort_unstable_by_key(|(condemned, name)| (*condemned, name.block));
        for (_, name) in kept.iter().take(kept.len().saturating_sub(CORRUPT_REPLICAS_MAX)) {
            self.remove_corrupt(name.block, name.generation);
        }
    }

    /// Takes an open replica out of service after its disk failed it; its files go, nothing in them can be trusted.
    pub(crate) fn condemn_open(&self, replica: &Arc<OpenReplica>, reason: &str) {
        let had = self.forget(replica);
        self.discard(replica, "the disk failed the replica");
        if had {
            self.announce_corrupt(replica.name, reason);
        }
    }

    /// Takes an open replica out of the map, if it is the one there.
    pub(crate) fn forget(&self, replica: &Arc<OpenReplica>) -> bool {
        let mut replicas = self.replicas();
        match replicas.get(&replica.name.block) {
            Some(Replica::Open(open)) if Arc::ptr_eq(open, replica) => {
                replicas.remove(&replica.name.block);
                true
            }
            _ => false,
        }
    }

    fn announce_corrupt(&self, name: ReplicaName, reason: &str) {
        tracing::warn!(volume = %self.id, block = %name.block, generation = %name.generation, reason, "corrupt replica");
        self.context.metrics.replicas_corrupt.add(1);
        self.context.changes.push(ReplicaChange::Corrupt(self.id, name.block, name.generation));
    }

    fn remove_corrupt(&self, block: BlockId, generation: GenerationStamp) {
        for kind in [BlockKind::Owned, BlockKind::Packed, BlockKind::Parity] {
            let path = self.layout.corrupt().join(ReplicaName { block, generation, kind }.data());
            self.log_failure(block, disk::remove_if_present(&path));
            self.log_failure(block, disk::remove_if_present(&sums_path(&path)));
        }
    }

    fn log_failure(&self, block: BlockId, done: std::io::Result<()>) {
        if let Err(error) = done {
            tracing::warn!(volume = %self.id, %block, %error, "a file of the replica could not be moved or removed");
            if error.kind() != std::io::ErrorKind::NotFound {
                self.count_io_error(&error);
            }
        }
    }
}
