//! What a leader does by itself for the file system: closes the files of writers that have fallen silent, ends blocks of
//! files under recovery, removes what is left of deleted trees.

use crate::command::FileSystemAction;
use crate::service::Namenode;
use crate::state::filesystem::{anything_detached, expired_holders, recovering};
use granary_protocol::{Advice, Failure, UnixMillis};

/// Steps of reclaiming at one tick at most: deleted trees go while others work.
const RECLAIM_STEPS_PER_TICK: usize = 20;

/// One look.
pub(crate) async fn step(namenode: &Namenode, now: UnixMillis) {
    if let Err(failure) = expire(namenode, now).await {
        tracing::debug!(%failure, "writers of files cannot be expired now");
    }
    if let Err(failure) = recover(namenode, now).await {
        tracing::debug!(%failure, "files cannot be recovered now");
    }
    if let Err(failure) = reclaim(namenode).await {
        tracing::debug!(%failure, "deleted trees cannot be reclaimed now");
    }
}

async fn expire(namenode: &Namenode, now: UnixMillis) -> Result<(), Failure> {
    for holder in namenode.look(|view| expired_holders(view, now))? {
        tracing::info!(%holder, "a writer of files has been silent beyond the hard limit");
        order_for_one(namenode, FileSystemAction::ExpireHolder { holder }).await?;
    }
    Ok(())
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

async fn recover(namenode: &Namenode, now: UnixMillis) -> Result<(), Failure> {
    for file in namenode.look(|view| recovering(view))? {
        let measured =
            namenode.applied.with_blocks(|blocks| blocks.measure(file.block, file.generation, file.visible, now));
        let Some((length, members)) = measured else { continue };
        tracing::info!(file = file.file.0, block = %file.block, length, "a file is recovered from its silent writer");
        let (file, block) = (file.file, file.block);
        order_for_one(namenode, FileSystemAction::FinishRecovery { file, block, length, members }).await?;
    }
    Ok(())
}

async fn reclaim(namenode: &Namenode) -> Result<(), Failure> {
    for _ in 0..RECLAIM_STEPS_PER_TICK {
        if !namenode.look(|view| anything_detached(view))? {
            break;
        }
        namenode.order_action(FileSystemAction::Reclaim).await?;
    }
    Ok(())
}
