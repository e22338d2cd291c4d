//! Handing the leadership to another peer before this one goes, so that nobody has to wait for an election.
//!
//! Voters that hear from a leader give their vote to nobody for a while, which would make a leader that goes in order as slow
//! to replace as one that has died. So the leader, while it lets no command begin, has the other voters promise their vote of
//! the next term to one peer that has the whole log, promises its own last, which ends its leadership, and tells that peer to
//! stand for election. A promise is no more than a vote given without looking at the candidate's log: the candidate still asks
//! for the vote, and whoever has more of the log refuses then. If anything of this fails, the peers elect a leader as
//! they do when one has died.

use super::change::knows_replicas;
use crate::raft::network::{self, PeerConnection};
use crate::raft::{PeerNode, Raft};
use crate::service::Namenode;
use futures_util::future::join_all;
use openraft::Vote;
use std::collections::BTreeSet;
use std::time::Duration;

/// How long all of it may take. Commands wait for it at most so long.
const HAND_OVER_TIMEOUT: Duration = Duration::from_secs(3);
/// How long another peer may take to answer one question; one that takes longer does not become the leader.
const ANSWER_TIMEOUT: Duration = Duration::from_millis(500);
/// How long the successor may take to catch up, after no command begins any more.
const CATCH_UP_TIMEOUT: Duration = Duration::from_secs(1);

/// A voter that may become the leader.
struct Successor {
    id: u64,
    node: PeerNode,
    /// The last entry of the log that it is known to have.
    matched: u64,
    /// Replicas that datanodes have reported to it.
    replicas_live: u64,
}

impl Namenode {
    /// Has another voter lead instead of this peer; whether this peer does not lead any more, or did not to begin with.
    /// `false` where there is no other voter that could.
    pub async fn hand_over(&self) -> bool {
        if !self.is_leader() {
            return true;
        }
        match tokio::time::timeout(HAND_OVER_TIMEOUT, self.try_hand_over()).await {
            Ok(Some(successor)) => {
                tracing::info!(%successor, "the leadership was handed over");
                true
            }
            Ok(None) => !self.is_leader(),
            Err(_) => {
                tracing::warn!("the leadership could not be handed over in time");
                !self.is_leader()
            }
        }
    }

    async fn try_hand_over(&self) -> Option<PeerNode> {
        let successors = self.successors().await;
        let _held = self.proposer.hold().await;
        for successor in successors {
            if self.has_all(successor.id).await {
                return self.yield_to(&successor).await.then_some(successor.node);
            }
        }
        None
    }

    /// The other voters that answer, the best first.
    async fn successors(&self) -> Vec<Successor> {
        let metrics = self.raft.metrics().borrow().clone();
        let membership = metrics.membership_config.membership();
        let voters: BTreeSet<u64> = membership.voter_ids().filter(|id| *id != metrics.id).collect();
        let others = membership.nodes().filter(|(id, _)| voters.contains(id));
        let answers = join_all(others.map(async |(id, node)| {
            let asked = tokio::time::timeout(ANSWER_TIMEOUT, self.admit_peer(&node.name, &node.address, None)).await;
            let asked = asked.ok()?.ok().filter(|asked| asked.peer.is_some_and(|peer| peer.0 == *id))?;
            let matched = metrics.replication.as_ref().and_then(|progress| progress.get(id).copied()).flatten();
            let matched = matched.map_or(0, |log_id| log_id.index);
            Some(Successor { id: *id, node: node.clone(), matched, replicas_live: asked.replicas_live })
        }));
        let mut successors: Vec<Successor> = answers.await.into_iter().flatten().collect();
        let known = self.replicas_live();
        let rank = |successor: &Successor| (knows_replicas(successor.replicas_live, known), successor.matched);
        successors.sort_by_key(|successor| std::cmp::Reverse(rank(successor)));
        successors
    }

    /// Waits for a peer to have everything that is in the log of this one.
    async fn has_all(&self, peer: u64) -> bool {
        let mut metrics = self.raft.metrics();
        let caught_up = metrics.wait_for(|now| {
            let matched = now.replication.as_ref().and_then(|progress| progress.get(&peer).copied()).flatten();
            matched.map(|log_id| log_id.index) >= now.last_log_index
        });
        matches!(tokio::time::timeout(CATCH_UP_TIMEOUT, caught_up).await, Ok(Ok(_)))
    }

    /// Ends this peer's leadership in favour of another; whether somebody else is known to lead then.
    async fn yield_to(&self, successor: &Successor) -> bool {
        let metrics = self.raft.metrics().borrow().clone();
        let promised = Vote::new(metrics.current_term + 1, successor.id);
        let membership = metrics.membership_config.membership();
        let voters: BTreeSet<u64> = membership.voter_ids().collect();
        let others = membership
            .nodes()
            .filter(|(id, _)| voters.contains(id) && **id != metrics.id && **id != successor.id)
            .map(async |(id, node)| self.connect_to(*id, node).promise(promised, ANSWER_TIMEOUT).await);
        for failed in join_all(others).await.into_iter().filter_map(Result::err) {
            tracing::debug!(%failed, "a voter does not promise its vote");
        }
        let own = network::promise(&self.raft, promised).await;
        let asked = match own {
            Ok(true) => self.connect_to(successor.id, &successor.node).campaign(ANSWER_TIMEOUT).await.is_ok(),
            Ok(false) | Err(_) => false,
        };
        asked && another_leads(&self.raft, metrics.id).await
    }

    fn connect_to(&self, id: u64, node: &PeerNode) -> PeerConnection {
        PeerConnection::new(id, node, self.security.clone())
    }
}

async fn another_leads(raft: &Raft, own: u64) -> bool {
    let mut metrics = raft.server_metrics();
    // Bounded by the time that all of it may take.
    metrics.wait_for(|now| now.current_leader.is_some_and(|leader| leader != own)).await.is_ok()
}
