//! What a peer answers about itself, from its first moment on: before it has a number, before it may vote, and later.
//!
//! The port opens before the peer is ready, because first peers must be able to find each other and a new one must be
//! found by the leader. Until then everything else is `Unavailable`.

use super::identity::Identity;
use super::words::{Admit, Admitted, Introduce, Introduced};
use crate::config::PeerConfig;
use crate::service::Namenode;
use crate::startup::NamenodeError;
use granary_protocol::{ErrorCode, Failure, NodeName, PeerId};
use granary_rpc::PeerIdentity;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use tokio::sync::Notify;

/// A peer as others meet it.
#[derive(Default)]
pub struct PeerDoor {
    state: Mutex<Option<State>>,
    admitted: Notify,
    namenode: OnceLock<Arc<Namenode>>,
}

struct State {
    identity: Identity,
    /// The name in its certificate.
    name: NodeName,
    /// The first peers as configured; empty for one that joins.
    first: Vec<PeerConfig>,
    /// Whether it may speak Raft.
    votes: bool,
}

impl PeerDoor {
    /// A door behind which nobody is yet.
    pub fn new() -> Arc<PeerDoor> {
        Arc::default()
    }

    pub(crate) fn open(&self, identity: Identity, name: NodeName, first: Vec<PeerConfig>, votes: bool) {
        *self.state() = Some(State { identity, name, first, votes });
    }

    /// The peer runs.
    pub(crate) fn serve(&self, namenode: Arc<Namenode>) {
        // A door serves one peer; a second start would be a mistake of ours.
        assert!(self.namenode.set(namenode).is_ok(), "a door serves one peer");
    }

    /// The peer, once it runs.
    pub(crate) fn namenode(&self) -> Option<&Arc<Namenode>> {
        self.namenode.get()
    }

    /// The peer and its number, once it may speak Raft.
    pub(crate) fn raft_peer(&self) -> Option<(&Arc<Namenode>, PeerId)> {
        let number = self.state().as_ref().filter(|state| state.votes).and_then(|state| state.identity.peer)?;
        Some((self.namenode.get()?, number))
    }

    /// All first peers have met.
    pub(crate) fn founded(&self, founders: BTreeMap<PeerId, u64>) -> Result<(), NamenodeError> {
        if let Some(state) = self.state().as_mut() {
            state.identity.founders = founders;
            state.identity.save()?;
            state.votes = true;
        }
        Ok(())
    }

    /// Waits until the peer has a number.
    pub(crate) async fn number(&self) -> PeerId {
        loop {
            let notified = self.admitted.notified();
            if let Some(peer) = self.state().as_ref().and_then(|state| state.identity.peer) {
                return peer;
            }
            notified.await;
        }
    }

    /// Answers another first peer.
    pub(crate) fn introduce(&self, asking: &PeerIdentity, question: &Introduce) -> Result<Introduced, Failure> {
        let state = self.state();
        let state = state.as_ref().ok_or_else(starting)?;
        let own = state.identity.peer.ok_or_else(starting)?;
        let configured = state.first.iter().find(|first| first.peer == question.peer);
        let named =
            |first: &PeerConfig| asking.node.as_ref().is_none_or(|node| node.name.as_str() == first.name.as_str());
        if !configured.is_some_and(named) {
            return Err(denied(format!("peer {} is not one of the first peers of {}", question.peer, state.name)));
        }
        let known = state.identity.founders.get(&question.peer);
        if state.votes && known != Some(&question.incarnation) {
            return Err(denied(format!(
                "the cluster exists, and {} knows peer {} with another disk: what that one had promised is gone, so it may \
                 not come back under its number; replace it (granary admin namenode replace)",
                state.name, question.peer
            )));
        }
        Ok(Introduced { peer: own, incarnation: state.identity.incarnation })
    }

    /// Answers the leader: takes the number it gives, if this peer waits for one.
    pub(crate) fn admit(&self, question: &Admit) -> Result<Admitted, Failure> {
        let mut state = self.state();
        let state = state.as_mut().ok_or_else(starting)?;
        if question.name != state.name {
            return Err(denied(format!("this is {}, not {}", state.name, question.name)));
        }
        if let (None, Some(_)) = (state.identity.peer, question.peer) {
            state.identity.peer = question.peer;
            if let Err(error) = state.identity.save() {
                state.identity.peer = None;
                return Err(Failure::new(ErrorCode::DiskFailed, error.to_string()));
            }
            state.votes = true;
            tracing::info!(peer = ?question.peer, cluster = %question.cluster, "admitted to the cluster");
            self.admitted.notify_waiters();
        }
        let peer = state.identity.peer.filter(|_| state.votes);
        let replicas_live = self.namenode.get().map_or(0, |namenode| namenode.replicas_live());
        Ok(Admitted { peer, replicas_live })
    }

    fn state(&self) -> MutexGuard<'_, Option<State>> {
        self.state.lock().expect("no thread panicked while it held this lock")
    }
}

fn starting() -> Failure {
    Failure::new(ErrorCode::Unavailable, "this namenode is not ready yet")
}

fn denied(why: String) -> Failure {
    Failure::new(ErrorCode::AccessDenied, why)
}
