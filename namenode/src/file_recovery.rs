//! What a leader does by itself for the file system: closes the files of writers that have fallen silent, ends blocks of
//! files under recovery, removes what is left of deleted trees.

use crate::command::FileSystemAction;
use crate::service::Namenode;
use crate::state::filesystem::{EXPIRED_HOLDERS_MAX, expired_holders, next_detached, recovering};
use granary_protocol::filesystem::FileId;
use granary_protocol::{Advice, DirectoryId, Failure, UnixMillis};

/// Steps of reclaiming at one tick at most: deleted trees go while others work.
const RECLAIM_STEPS_PER_TICK: usize = 20;

/// Where the last look ended. The next one goes on there, so that what cannot be done now keeps nothing else waiting.
#[derive(Debug, Default)]
pub(crate) struct FileRecovery {
    holder: String,
    file: FileId,
    /// The directory of deleted trees.
    detached: DirectoryId,
}

impl FileRecovery {
    /// One look.
    pub(crate) async fn step(&mut self, namenode: &Namenode, now: UnixMillis) {
        if let Err(failure) = self.expire(namenode, now).await {
            tracing::debug!(%failure, "writers of files cannot be expired now");
        }
        if let Err(failure) = self.recover(namenode, now).await {
            tracing::debug!(%failure, "files cannot be recovered now");
        }
        if let Err(failure) = self.reclaim(namenode).await {
            tracing::debug!(%failure, "deleted trees cannot be reclaimed now");
        }
    }

    async fn expire(&mut self, namenode: &Namenode, now: UnixMillis) -> Result<(), Failure> {
        let holders = namenode.look(|view| expired_holders(view, &self.holder, now))?;
        self.holder = match holders.last() {
            Some(last) if holders.len() == EXPIRED_HOLDERS_MAX => last.clone(),
            _ => String::new(),
        };
        if holders.is_empty() {
            return Ok(());
        }
        tracing::debug!(?holders, "writers of files have been silent beyond the hard limit");
        match namenode.order_action(FileSystemAction::ExpireHolders { holders: holders.clone() }).await {
            Err(failure) if failure.code.advice() == Advice::GiveUp => {}
            outcome => return outcome.map(|_| ()),
        }
        for holder in holders {
            order_for_one(namenode, FileSystemAction::ExpireHolder { holder }).await?;
        }
        Ok(())
    }

    async fn recover(&mut self, namenode: &Namenode, now: UnixMillis) -> Result<(), Failure> {
        let (files, next) = namenode.look(|view| recovering(view, self.file))?;
        self.file = next.unwrap_or_default();
        for file in files {
            let measured =
                namenode.applied.with_blocks(|blocks| blocks.measure(file.block, file.generation, file.visible, now));
            let Some((length, members)) = measured else { continue };
            tracing::info!(file = file.file.0, block = %file.block, length, "a file is recovered from its silent writer");
            let (file, block) = (file.file, file.block);
            order_for_one(namenode, FileSystemAction::FinishRecovery { file, block, length, members }).await?;
        }
        Ok(())
    }

    async fn reclaim(&mut self, namenode: &Namenode) -> Result<(), Failure> {
        for _ in 0..RECLAIM_STEPS_PER_TICK {
            match namenode.look(|view| next_detached(view, self.detached))? {
                Some(directory) => {
                    self.detached = directory;
                    namenode.order_action(FileSystemAction::ReclaimFrom { directory }).await?;
                }
                // Directories may have come that are before the others.
                None if self.detached > DirectoryId(0) => self.detached = DirectoryId(0),
                None => break,
            }
        }
        Ok(())
    }
}

/// Orders what concerns one writer or file. If it is refused, the others must not wait for it.
async fn order_for_one(namenode: &Namenode, action: FileSystemAction) -> Result<(), Failure> {
    match namenode.order_action(action).await {
        Err(failure) if failure.code.advice() == Advice::GiveUp => {
            tracing::warn!(%failure, "a file cannot be taken from its silent writer");
            Ok(())
        }
        outcome => outcome.map(|_| ()),
    }
}
