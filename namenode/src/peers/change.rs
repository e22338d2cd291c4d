//! Changes of the membership, a step at a time: whoever asks repeats the request until it is answered `done`.
//!
//! Nothing of a change is kept beside the membership itself, so that any leader can go on where the last one stopped: a
//! newcomer that has no number gets one; one that is no member becomes a learner; a learner that holds the log and has
//! heard from the datanodes becomes a voter, in the same joint change in which the old one goes.

use super::words::{Admit, Admitted, method};
use crate::command::Action;
use crate::raft::PeerNode;
use crate::service::Namenode;
use bytes::Bytes;
use granary_protocol::admin::{PeerChange, PeerChangeProgress};
use granary_protocol::namenode::NamenodeReply;
use granary_protocol::{ErrorCode, Failure, NodeName, PeerId};
use granary_rpc::{RpcClient, RpcClientConfig, RpcError};
use openraft::ChangeMembers;
use openraft::error::{ClientWriteError, RaftError};
use std::collections::BTreeSet;
use std::time::Duration;

/// How long a newcomer may take to answer.
const CALL_TIMEOUT: Duration = Duration::from_secs(3);
/// Calls to a newcomer that cannot be reached, and the time between them.
const CALLS_MAX: u32 = 20;
const CALL_AGAIN: Duration = Duration::from_millis(100);
/// How long a change of the membership may take.
const CHANGE_TIMEOUT: Duration = Duration::from_secs(15);
/// Entries a learner may be behind when it becomes a voter.
const ENTRIES_BEHIND_MAX: u64 = 64;
/// Peers a cluster has at most, learners included.
const PEERS_MAX: usize = 15;

/// A member as this leader sees it.
struct Member {
    id: u64,
    node: PeerNode,
    votes: bool,
}

impl Namenode {
    /// One step of a change; `done` when there is nothing left to do.
    pub(crate) async fn change_peers(&self, change: PeerChange) -> Result<PeerChangeProgress, Failure> {
        self.reads.admit().await?;
        self.leads_as_member()?;
        if self.raft.metrics().borrow().membership_config.membership().get_joint_config().len() > 1 {
            // Half a change, of this leader or of one before it, is finished first.
            self.change(ChangeMembers::AddVoterIds(BTreeSet::new()), true).await?;
            return Ok(PeerChangeProgress::going_on("finishing the change that was under way"));
        }
        match change {
            PeerChange::Add { name, address } => self.bring_in(&name, &address, None).await,
            PeerChange::Remove { name } => self.let_go(&name).await,
            PeerChange::Replace { old, name, address } => self.bring_in(&name, &address, Some(&old)).await,
        }
    }

    /// A leader that has removed itself replicates on until another one is elected, but changes nothing any more.
    fn leads_as_member(&self) -> Result<(), Failure> {
        let metrics = self.raft.metrics().borrow().clone();
        let votes = metrics.membership_config.membership().voter_ids().any(|id| id == metrics.id);
        if metrics.state.is_leader() && votes {
            Ok(())
        } else {
            Err(Failure::new(ErrorCode::NotLeader { leader: None }, "this namenode does not lead any more"))
        }
    }

    /// Makes the peer at `address` a voter, in the place of `old` if that is given.
    async fn bring_in(
        &self,
        name: &NodeName,
        address: &str,
        old: Option<&NodeName>,
    ) -> Result<PeerChangeProgress, Failure> {
        let members = self.members();
        if members.iter().any(|member| member.node.address.is_empty()) {
            return Err(invalid("this namenode has no internal port: its store is one process".to_owned()));
        }
        let asked = self.admit_peer(name, address, None).await?;
        let Some(number) = asked.peer else { return self.admit_newcomer(&members, name, address, old).await };
        let Some(newcomer) = members.iter().find(|member| member.id == number.0) else {
            return self.add_learner(&members, number, name, address).await;
        };
        if newcomer.node.address != address || newcomer.node.name != *name {
            return Err(invalid(format!("peer {number} is {}", newcomer.node)));
        }
        let leaves: BTreeSet<u64> = members
            .iter()
            .filter(|member| member.id != number.0 && old.is_some_and(|old| member.node.name == *old))
            .map(|member| member.id)
            .collect();
        if newcomer.votes && leaves.is_empty() {
            return Ok(PeerChangeProgress { done: true, note: format!("{name} votes as peer {number}") });
        }
        if let Some(waiting) = self.what_it_lacks(number, &asked) {
            return Ok(PeerChangeProgress::going_on(&format!("{name}: {waiting}")));
        }
        let mut voters: BTreeSet<u64> = members.iter().filter(|member| member.votes).map(|member| member.id).collect();
        voters.insert(number.0);
        voters.retain(|voter| !leaves.contains(voter));
        self.leave_to_another(&leaves).await?;
        self.change(ChangeMembers::ReplaceAllVoters(voters), false).await?;
        Ok(PeerChangeProgress::going_on(&format!("{name} votes as peer {number}")))
    }

    async fn admit_newcomer(
        &self,
        members: &[Member],
        name: &NodeName,
        address: &str,
        old: Option<&NodeName>,
    ) -> Result<PeerChangeProgress, Failure> {
        let namesake = members.iter().find(|member| member.node.name == *name);
        if let Some(namesake) = namesake.filter(|namesake| old != Some(&namesake.node.name)) {
            let why = format!("{} is a peer already, and the one at {address} is empty: replace it", namesake.node);
            return Err(invalid(why));
        }
        if let Some(old) = old.filter(|old| !members.iter().any(|member| member.node.name == **old)) {
            return Err(Failure::new(ErrorCode::NoSuchEntity, format!("no namenode is called {old}")));
        }
        let highest = members.iter().map(|member| member.id).max().unwrap_or(0);
        let allotted = self.propose(Action::AllotPeer { above: PeerId(highest) }).await?;
        let NamenodeReply::PeerAllotted(number) = allotted else {
            return Err(Failure::new(ErrorCode::Internal, "a number was answered with another reply"));
        };
        self.admit_peer(name, address, Some(number)).await?;
        Ok(PeerChangeProgress::going_on(&format!("{name} is peer {number}")))
    }

    async fn add_learner(
        &self,
        members: &[Member],
        number: PeerId,
        name: &NodeName,
        address: &str,
    ) -> Result<PeerChangeProgress, Failure> {
        if members.len() >= PEERS_MAX {
            return Err(Failure::new(ErrorCode::LimitExceeded, format!("a cluster has at most {PEERS_MAX} peers")));
        }
        let node = PeerNode { name: name.clone(), address: address.to_owned() };
        let added = tokio::time::timeout(CHANGE_TIMEOUT, self.raft.add_learner(number.0, node, false)).await;
        added.map_err(|_| too_slow())?.map_err(change_failed)?;
        tracing::info!(peer = %number, %name, address, "a namenode learns");
        Ok(PeerChangeProgress::going_on(&format!("{name} learns as peer {number}")))
    }

    /// Why a learner must not vote yet.
    fn what_it_lacks(&self, number: PeerId, asked: &Admitted) -> Option<String> {
        let metrics = self.raft.metrics().borrow().clone();
        let last = metrics.last_log_index.unwrap_or(0);
        let progress = metrics.replication.as_ref().and_then(|replication| replication.get(&number.0).copied());
        let matched = progress.flatten().map_or(0, |log_id| log_id.index);
        if number.0 != metrics.id && matched + ENTRIES_BEHIND_MAX < last {
            return Some(format!("catching up, {matched} of {last} entries"));
        }
        let known = self.replicas_live();
        if !knows_replicas(asked.replicas_live, known) {
            return Some(format!("datanodes have told it of {} of {known} replicas", asked.replicas_live));
        }
        (asked.replicas_live == 0 && known > 0).then(|| "no datanode has reported to it yet".to_owned())
    }

    async fn let_go(&self, name: &NodeName) -> Result<PeerChangeProgress, Failure> {
        let members = self.members();
        let goes: BTreeSet<u64> =
            members.iter().filter(|member| member.node.name == *name).map(|member| member.id).collect();
        let voters: BTreeSet<u64> = members.iter().filter(|member| member.votes).map(|member| member.id).collect();
        if goes.is_empty() {
            return Ok(PeerChangeProgress { done: true, note: format!("{name} is no peer") });
        }
        let stay: BTreeSet<u64> = voters.difference(&goes).copied().collect();
        if stay.is_empty() {
            return Err(invalid(format!("{name} is the only namenode that votes")));
        }
        let change = match stay.len() == voters.len() {
            true => ChangeMembers::RemoveNodes(goes.clone()),
            false => ChangeMembers::ReplaceAllVoters(stay),
        };
        self.leave_to_another(&goes).await?;
        self.change(change, false).await?;
        Ok(PeerChangeProgress::going_on(&format!("{name} is no longer a peer")))
    }

    /// If this peer is one that goes, has another one lead first, which then goes on with the change: a leader that removes
    /// itself leaves the others to find out that there is none. Where no other can lead, it does remove itself.
    async fn leave_to_another(&self, going: &BTreeSet<u64>) -> Result<(), Failure> {
        if !going.contains(&self.raft.metrics().borrow().id) || !self.hand_over().await {
            return Ok(());
        }
        let metrics = self.raft.metrics().borrow().clone();
        let leader = metrics.current_leader.filter(|leader| *leader != metrics.id);
        let node = leader.and_then(|leader| metrics.membership_config.membership().get_node(&leader).cloned());
        let leader = node.map(|node| node.address);
        Err(Failure::new(ErrorCode::NotLeader { leader }, "another namenode leads now, and goes on"))
    }

    async fn change(&self, change: ChangeMembers<u64, PeerNode>, retain: bool) -> Result<(), Failure> {
        let changed = tokio::time::timeout(CHANGE_TIMEOUT, self.raft.change_membership(change, retain)).await;
        let response = changed.map_err(|_| too_slow())?.map_err(change_failed)?;
        tracing::info!(membership = ?response.membership, "the namenodes have changed");
        Ok(())
    }

    fn members(&self) -> Vec<Member> {
        let metrics = self.raft.metrics().borrow().clone();
        let membership = metrics.membership_config.membership();
        let voters: BTreeSet<u64> = membership.voter_ids().collect();
        membership
            .nodes()
            .map(|(id, node)| Member { id: *id, node: node.clone(), votes: voters.contains(id) })
            .collect()
    }

    /// Asks the peer at `address` who it is; with a number, gives it that.
    pub(super) async fn admit_peer(
        &self,
        name: &NodeName,
        address: &str,
        number: Option<PeerId>,
    ) -> Result<Admitted, Failure> {
        let expected = granary_rpc::NodeName::new(name.as_str()).map_err(|error| invalid(error.to_string()))?;
        let mutual = matches!(self.security, granary_rpc::Security::MutualTls(_));
        let config = RpcClientConfig { expected_peer: mutual.then_some(expected), ..RpcClientConfig::default() };
        let client = RpcClient::with_config(address, self.security.clone(), config);
        let cluster = self.cluster()?;
        let question = Admit { cluster, name: name.clone(), peer: number };
        let body =
            postcard::to_stdvec(&question).map_err(|error| Failure::new(ErrorCode::Internal, error.to_string()))?;
        let body = Bytes::from(body);
        let mut failed = None;
        for _ in 0..CALLS_MAX {
            match client.call(method::ADMIT, body.clone(), CALL_TIMEOUT).await {
                Ok(answer) => {
                    return postcard::from_bytes(&answer)
                        .map_err(|error| Failure::new(ErrorCode::Malformed, format!("{name}'s answer: {error}")));
                }
                Err(RpcError::Remote(refusal)) => {
                    return Err(postcard::from_bytes(&refusal).unwrap_or_else(|error| {
                        Failure::new(ErrorCode::Malformed, format!("{name}'s refusal: {error}"))
                    }));
                }
                // One that has just got its number opens its port anew.
                Err(error @ RpcError::ConnectFailed { .. }) => failed = Some(error),
                Err(error) => {
                    failed = Some(error);
                    break;
                }
            }
            tokio::time::sleep(CALL_AGAIN).await;
        }
        let error = failed.map_or_else(String::new, |error| error.to_string());
        Err(invalid(format!("no empty namenode called {name} answers at {address}: {error}")))
    }
}

/// Whether a peer that knows of so many replicas would lead about as well as one that knows of `known`.
pub(super) fn knows_replicas(replicas_live: u64, known: u64) -> bool {
    // Those written in this moment are known to the leader first.
    replicas_live + 2 * ENTRIES_BEHIND_MAX >= known || replicas_live >= known / 100 * 95
}

fn invalid(why: String) -> Failure {
    Failure::new(ErrorCode::InvalidArgument, why)
}

fn too_slow() -> Failure {
    Failure::new(ErrorCode::DeadlineExceeded, "no quorum agreed in time; repeat the request to see what became of it")
}

fn change_failed(error: RaftError<u64, ClientWriteError<u64, PeerNode>>) -> Failure {
    match error {
        RaftError::APIError(ClientWriteError::ForwardToLeader(forward)) => {
            let leader = forward.leader_node.map(|node| node.address);
            Failure::new(ErrorCode::NotLeader { leader }, "this namenode does not lead")
        }
        RaftError::APIError(ClientWriteError::ChangeMembershipError(error)) => {
            Failure::new(ErrorCode::Unavailable, error.to_string())
        }
        RaftError::Fatal(error) => Failure::new(ErrorCode::Unavailable, error.to_string()),
    }
}
