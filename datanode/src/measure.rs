//! How much a volume has of a block whose writer has fallen silent.
//!
//! The namenode asks every member of the pipeline and ends the block where all of them have its bytes. Whoever wrote is
//! shut out first, by a generation that only the namenode gave out: what is told does not grow afterwards.

use granary_protocol::block::BLOCK_BYTES_MAX;
use granary_protocol::namenode::{ReplicaChange, ReplicaReport, ReplicaState};
use granary_protocol::{BlockId, GenerationStamp};

use crate::error::ReplicaError;
use crate::volume::{Replica, Volume};

impl Volume {
    /// Takes the block's replica from its writer, at `generation`, and tells the namenode how long it is. One that is
    /// finalized stays as it is. Blocks.
    ///
    /// # Errors
    /// [`ReplicaError::NotFound`] without a replica, and the disk's own.
    pub(crate) fn measure(&self, block: BlockId, generation: GenerationStamp) -> Result<(), ReplicaError> {
        let finalized = match self.replicas().get(&block) {
            Some(Replica::Finalized { generation, length, .. }) => Some((*generation, *length)),
            _ => None,
        };
        let report = match finalized {
            Some((generation, length)) => ReplicaReport { block, generation, length, state: ReplicaState::Finalized },
            None => {
                let open = self.resume(block, GenerationStamp(0), generation, 0..=BLOCK_BYTES_MAX)?;
                ReplicaReport { block, generation, length: open.written(), state: ReplicaState::Recovering }
            }
        };
        self.context.changes.push(ReplicaChange::Measured(self.id, report));
        self.context.changes.hurry();
        Ok(())
    }
}
