//! Takes what soft state plans for coded groups through Raft: the leader's background work on redundancy.

use crate::service::Namenode;
use granary_protocol::{ErrorCode, UnixMillis};

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
