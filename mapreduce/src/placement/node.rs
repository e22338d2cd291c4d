//! The nodes and their slots: who is idle, and how many waiting maps have their input where.

use super::event::Locality;
use super::ids::{AttemptId, JobId, Millis, NodeId, RackId};
use std::collections::{BTreeMap, BTreeSet};

/// Nodes at most; a bound on what a wrong number can allocate.
const NODES_MAX: usize = 1 << 20;
/// Slowness of a node like any other, in thousandths.
pub(super) const USUAL: u64 = 1_000;

/// A node beyond this is slow.
const SLOW: u64 = 1_500;

/// A node, whether it is there or only known as the place of a replica.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub rack: RackId,
    pub slots: u32,
    pub alive: bool,
    /// What runs here, oldest first.
    pub running: Vec<AttemptId>,
    /// Of those, maps that read over the network.
    pub remote_reads: u32,
    /// Waiting maps of all jobs whose input is here.
    pub pressure: u32,
    /// Jobs that have a list of waiting maps for this node, each once.
    pub demand: Vec<JobId>,
    /// Time of tasks here relative to their job's mean, in thousandths, smoothed.
    pub slowness_permille: u64,
    /// Failures here, in thousandths, as of `trouble_at`.
    pub trouble: u64,
    pub trouble_at: Millis,
    /// Until then it gets nothing.
    pub quarantined_until: Millis,
}

impl Node {
    fn unknown() -> Self {
        Node {
            rack: RackId(u32::MAX),
            slots: 0,
            alive: false,
            running: Vec::new(),
            remote_reads: 0,
            pressure: 0,
            demand: Vec::new(),
            slowness_permille: USUAL,
            trouble: 0,
            trouble_at: Millis(0),
            quarantined_until: Millis(0),
        }
    }

    /// Whether tasks take so much longer here that another node is worth a wait.
    pub fn slow(&self) -> bool {
        self.slowness_permille > SLOW
    }

    pub fn free(&self) -> u32 {
        if self.alive { self.slots - self.running.len() as u32 } else { 0 }
    }
}

/// All nodes.
#[derive(Clone, Debug, Default)]
pub(super) struct Nodes {
    all: Vec<Node>,
    /// Nodes with a free slot, by rack.
    idle: BTreeMap<RackId, BTreeSet<NodeId>>,
    idle_nodes: usize,
    live: u32,
}

impl Nodes {
    pub fn get(&self, node: NodeId) -> &Node {
        &self.all[node.0 as usize]
    }

    pub fn get_mut(&mut self, node: NodeId) -> &mut Node {
        &mut self.all[node.0 as usize]
    }

    /// The node, made known if it is not.
    pub fn known(&mut self, node: NodeId) -> &mut Node {
        let index = node.0 as usize;
        assert!(index < NODES_MAX, "nodes are numbered densely");
        if self.all.len() <= index {
            self.all.resize_with(index + 1, Node::unknown);
        }
        &mut self.all[index]
    }

    /// How near a node is to an input with these replicas.
    pub fn locality(&self, replicas: &[NodeId], node: NodeId) -> Locality {
        let rack = self.get(node).rack;
        if replicas.is_empty() || replicas.contains(&node) {
            Locality::DataLocal
        } else if replicas.iter().any(|&replica| self.get(replica).rack == rack) {
            Locality::RackLocal
        } else {
            Locality::OtherLocal
        }
    }

    pub fn live(&self) -> u32 {
        self.live
    }

    pub fn live_nodes(&self) -> impl Iterator<Item = NodeId> {
        (0..).map(NodeId).zip(&self.all).filter(|(_, node)| node.alive).map(|(id, _)| id)
    }

    pub fn any_idle(&self) -> bool {
        self.idle_nodes > 0
    }

    /// Nodes with a free slot, rack by rack.
    pub fn idle(&self) -> impl Iterator<Item = NodeId> {
        self.idle.values().flatten().copied()
    }

    pub fn idle_on(&self, rack: RackId) -> impl Iterator<Item = NodeId> {
        self.idle.get(&rack).into_iter().flatten().copied()
    }

    pub fn join(&mut self, node: NodeId, rack: RackId, slots: u32) {
        let entry = self.known(node);
        assert!(!entry.alive, "a node joins once, until it is lost");
        entry.rack = rack;
        entry.slots = slots;
        entry.alive = true;
        self.live += 1;
        self.note_idle(node);
    }

    /// The node has another number of slots.
    pub fn resize(&mut self, node: NodeId, slots: u32) {
        let entry = self.known(node);
        entry.slots = slots.max(entry.running.len() as u32);
        self.note_idle(node);
    }

    /// The node is gone; what ran on it.
    pub fn lose(&mut self, node: NodeId) -> Vec<AttemptId> {
        let entry = self.known(node);
        if !entry.alive {
            return Vec::new();
        }
        entry.alive = false;
        entry.remote_reads = 0;
        let running = std::mem::take(&mut entry.running);
        self.live -= 1;
        self.note_idle(node);
        running
    }

    pub fn take_slot(&mut self, attempt: AttemptId, node: NodeId, remote: bool) {
        let entry = self.get_mut(node);
        assert!(entry.free() > 0, "a slot that is given is free");
        entry.running.push(attempt);
        entry.remote_reads += u32::from(remote);
        self.note_idle(node);
    }

    /// The attempt's slot is free again. Nothing if its node was lost before.
    pub fn give_back(&mut self, attempt: AttemptId, node: NodeId, remote: bool) {
        let entry = self.get_mut(node);
        if let Some(place) = entry.running.iter().position(|running| *running == attempt) {
            entry.running.remove(place);
            entry.remote_reads -= u32::from(remote);
            self.note_idle(node);
        }
    }

    fn note_idle(&mut self, node: NodeId) {
        let entry = &self.all[node.0 as usize];
        let set = self.idle.entry(entry.rack).or_default();
        if entry.free() > 0 {
            self.idle_nodes += usize::from(set.insert(node));
        } else {
            self.idle_nodes -= usize::from(set.remove(&node));
        }
    }
}
