//! Takes what soft state plans for coded groups through Raft: the leader's background work on redundancy.

use crate::command::Action;
use crate::service::Namenode;
use crate::state;
use granary_protocol::{ErrorCode, Failure, UnixMillis};

/// Blocks that changed their class and are settled by one command.
const CLASS_CHANGES_MAX: usize = 250;
/// Such commands at one look.
const COMMANDS_PER_LOOK: usize = 4;

/// Has blocks that changed their class ask for the replicas of the new one.
pub(crate) async fn settle_classes(namenode: &Namenode) {
    for _ in 0..COMMANDS_PER_LOOK {
        match settle_some_classes(namenode).await {
            Ok(true) => {}
            Ok(false) => return,
            Err(failure) => return tracing::debug!(%failure, "blocks cannot be given the replicas of their class now"),
        }
    }
}

async fn settle_some_classes(namenode: &Namenode) -> Result<bool, Failure> {
    let changes = namenode.look(|view| state::class_changes(view, CLASS_CHANGES_MAX))?;
    if changes.is_empty() {
        return Ok(false);
    }
    let blocks = namenode.applied.with_blocks(|blocks| {
        let asks = |class| (class, blocks.fresh_replicas(class));
        changes.into_iter().map(|(block, class)| (block, class.map(asks))).collect()
    });
    namenode.propose(Action::SettleClasses { blocks }).await?;
    Ok(true)
}

/// Plans once, and proposes what was planned, one command after another.
pub(crate) async fn step(namenode: &Namenode, now: UnixMillis) {
    let planned = namenode.applied.with_blocks(|blocks| blocks.plan_groups(now));
    for action in planned {
        let what = format!("{action:?}");
        match namenode.propose(action).await {
            Ok(_) => tracing::info!(command = what, "coded groups"),
            Err(failure) if matches!(failure.code, ErrorCode::NotLeader { .. } | ErrorCode::DeadlineExceeded) => {
                tracing::debug!(%failure, command = what, "coded groups wait for another leader");
                return;
            }
            // Its blocks have changed since it was planned; the next plan knows.
            Err(failure) => tracing::debug!(%failure, command = what, "a plan for coded groups came too late"),
        }
    }
}
