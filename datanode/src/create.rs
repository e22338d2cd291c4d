//! How a replica comes to be: room is promised, the file is made, the map is told.

use std::io;
use std::sync::Arc;

use granary_protocol::block::BLOCK_BYTES_MAX;

use crate::error::{ReplicaError, is_full};
use crate::layout::ReplicaName;
use crate::open_replica::{OpenReplica, Purpose};
use crate::volume::{Replica, Volume};

impl Volume {
    /// Makes an empty replica for a writer or a copier. A replica of a lower generation gives way; one of this or a
    /// higher generation stays and the newcomer is refused. Blocks.
    pub(crate) fn create(&self, name: ReplicaName, purpose: Purpose) -> Result<Arc<OpenReplica>, ReplicaError> {
        self.check_in_service()?;
        self.check_newer(name)?;
        let promised_bytes = u64::from(BLOCK_BYTES_MAX);
        let full = || {
            self.context.metrics.disk_full.add(1);
            Err(ReplicaError::DiskFull { block: name.block })
        };
        if !self.promise(promised_bytes).map_err(|error| self.disk_error(name, error))? {
            return full();
        }
        let directory = if purpose == Purpose::Copy { self.layout.tmp() } else { self.layout.rbw() };
        let created = OpenReplica::create(name, purpose, directory.join(name.data()), promised_bytes);
        let replica = match created {
            Ok(replica) => Arc::new(replica),
            Err(error) => {
                self.take_back_promise(promised_bytes);
                return match error.kind() {
                    io::ErrorKind::AlreadyExists => Err(stale(name, "a replica of this generation is being written")),
                    _ if is_full(&error) => full(),
                    _ => Err(self.disk_error(name, error)),
                };
            }
        };
        // A copy is nobody's business until it is complete.
        if purpose != Purpose::Copy
            && let Err(error) = self.enter(&replica)
        {
            self.discard(&replica, "another replica came first");
            return Err(error);
        }
        Ok(replica)
    }

    fn check_newer(&self, name: ReplicaName) -> Result<(), ReplicaError> {
        match self.replicas().get(&name.block) {
            Some(replica) if replica.generation() >= name.generation => {
                Err(stale(name, "this volume has the block at that generation or a later one"))
            }
            _ => Ok(()),
        }
    }

    fn enter(&self, replica: &Arc<OpenReplica>) -> Result<(), ReplicaError> {
        let name = replica.name;
        let older = {
            let mut replicas = self.replicas();
            if replicas.get(&name.block).is_some_and(|replica| replica.generation() >= name.generation) {
                return Err(stale(name, "this volume has the block at that generation or a later one"));
            }
            replicas.insert(name.block, Replica::Open(replica.clone()))
        };
        if let Some(older) = older {
            self.erase(name.block, older);
        }
        Ok(())
    }

    /// Counts an error of the disk and names it.
    pub(crate) fn disk_error(&self, name: ReplicaName, error: io::Error) -> ReplicaError {
        if is_full(&error) {
            self.context.metrics.disk_full.add(1);
        } else {
            self.count_io_error(&error);
        }
        ReplicaError::io(name.block, error)
    }
}

pub(crate) fn stale(name: ReplicaName, reason: &str) -> ReplicaError {
    ReplicaError::Stale { block: name.block, reason: format!("{reason} (generation {} asked for)", name.generation) }
}
