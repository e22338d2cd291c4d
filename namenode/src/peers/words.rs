//! What peers say to each other about themselves, before and beside Raft.

use granary_protocol::{ClusterId, NodeName, PeerId};
use serde::{Deserialize, Serialize};

/// Method numbers. Raft's own are in [`crate::raft::network::method`].
pub(crate) mod method {
    /// [`super::Introduce`], answered by [`super::Introduced`].
    pub(crate) const INTRODUCE: u16 = 204;
    /// [`super::Admit`], answered by [`super::Admitted`].
    pub(crate) const ADMIT: u16 = 205;
}

/// One first peer to another: this is my disk.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Introduce {
    pub peer: PeerId,
    pub incarnation: u64,
}

/// The other's disk.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Introduced {
    pub peer: PeerId,
    pub incarnation: u64,
}

/// The leader to a peer that is to join: take this number, unless you have one. Without a number it only asks.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Admit {
    pub cluster: ClusterId,
    pub name: NodeName,
    pub peer: Option<PeerId>,
}

/// Who it is, and how much it has heard from datanodes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Admitted {
    /// Its number; `None` for one that waits to be admitted.
    pub peer: Option<PeerId>,
    /// Good replicas that live datanodes have reported to it.
    pub replicas_live: u64,
}
