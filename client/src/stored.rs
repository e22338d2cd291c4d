//! A content whose bytes are durable and that nothing refers to yet.

use crate::error::{asks_for_rewrite, for_user};
use crate::owned::OwnedBlocks;
use crate::shared::Shared;
use bytes::Bytes;
use granary_protocol::block::Extent;
use granary_protocol::namenode::{NamenodeReply, NamenodeRequest, NewContent};
use granary_protocol::object::StorageClass;
use granary_protocol::{ErrorCode, Failure};
use std::sync::Arc;

/// How often a small content is written again because its lease or block was lost before the commit.
const REWRITES_MAX: u32 = 3;

/// Durable bytes on their way to becoming an object or a part: what [`crate::ContentWriter::finish`] returns and
/// [`crate::Client::put_object`] and [`crate::Client::put_part`] take.
///
/// Dropped without a commit, its space is given back: blocks of a large content at once, records of a small one by
/// compaction. A small content keeps its bytes in memory until it is committed, so that a lease lost in between costs
/// a rewrite and not an error; a large one does not, and fails with `Unavailable` instead.
pub struct StoredContent {
    shared: Arc<Shared>,
    new: NewContent,
    kind: StoredKind,
}

enum StoredKind {
    Packed { payload: Vec<Bytes>, class: StorageClass },
    Owned { blocks: Arc<OwnedBlocks> },
}

impl StoredContent {
    pub(crate) fn owned(shared: Arc<Shared>, new: NewContent, blocks: Arc<OwnedBlocks>) -> Self {
        Self { shared, new, kind: StoredKind::Owned { blocks } }
    }

    /// Writes a small content through the packer.
    pub(crate) async fn pack(shared: Arc<Shared>, payload: Vec<Bytes>, class: StorageClass) -> Result<Self, Failure> {
        let new = pack(&shared, &payload, class).await?;
        Ok(Self { shared, new, kind: StoredKind::Packed { payload, class } })
    }

    /// The content as the namenode will be told of it.
    pub fn new_content(&self) -> &NewContent {
        &self.new
    }

    /// Bytes.
    pub fn length(&self) -> u64 {
        self.new.extents.iter().map(|extent| u64::from(extent.length)).sum()
    }

    /// Sends the request that makes this content visible, writing the content again where that cures a refusal.
    pub(crate) async fn commit(
        mut self,
        request: impl Fn(NewContent) -> NamenodeRequest,
    ) -> Result<NamenodeReply, Failure> {
        let mut rewrites = 0;
        loop {
            let failure = match self.shared.namenode.call(request(self.new.clone())).await {
                Ok(reply) => {
                    self.forget();
                    return Ok(reply);
                }
                Err(failure) => failure,
            };
            if failure.code == ErrorCode::LeaseExpired {
                self.shared.lease.lost(self.new.content.lease());
            }
            match &self.kind {
                StoredKind::Packed { payload, class } if asks_for_rewrite(&failure.code) && rewrites < REWRITES_MAX => {
                    rewrites += 1;
                    self.new = pack(&self.shared, payload, *class).await?;
                }
                // Dropping this abandons the blocks of a large content. If the request took effect after all they are
                // no longer the lease's to abandon; if it is still on its way it will be refused.
                _ => return Err(for_user(failure)),
            }
        }
    }

    fn forget(&self) {
        if let StoredKind::Owned { blocks } = &self.kind {
            blocks.forget();
        }
    }
}

async fn pack(shared: &Arc<Shared>, payload: &[Bytes], class: StorageClass) -> Result<NewContent, Failure> {
    let packed = shared.packer(class).store(shared, payload.to_vec(), None).await?;
    let extents: Vec<Extent> = vec![packed.extent];
    Ok(NewContent { content: packed.content, extents, stored_on: Vec::new() })
}
