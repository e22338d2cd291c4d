//! What placement is told, and what it answers.

use super::ids::{AttemptId, InputId, JobId, Millis, NodeId, RackId, UserId};
use serde::{Deserialize, Serialize};

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A node offers slots. A node that was lost may come back; what ran there before does not.
    NodeJoined { node: NodeId, rack: RackId, slots: u32 },
    /// A node offers slots, in which these attempts run already: a successor takes over what an earlier service started.
    /// Attempts of jobs or tasks that are not known, or are done, are left out, and take no slot.
    NodeReturned { node: NodeId, rack: RackId, slots: u32, running: Vec<AttemptId> },
    /// A node offers another number of slots, never fewer than are in use.
    NodeResized { node: NodeId, slots: u32 },
    /// A node is gone, with what ran on it and the map outputs it kept.
    NodeLost { node: NodeId },
    /// A job is to be run.
    JobSubmitted(JobPlan),
    /// A job is not wanted any more.
    JobKilled { job: JobId },
    /// Where a map's input lies now.
    ReplicasChanged { job: JobId, map: u32, replicas: Vec<NodeId> },
    /// How far an attempt has come.
    AttemptProgressed { attempt: AttemptId, permille: u16 },
    /// An attempt has done its task. Of a map, with the bytes that reduces will read.
    AttemptSucceeded { attempt: AttemptId, output_bytes: u64 },
    /// An attempt ended without a result.
    AttemptFailed { attempt: AttemptId },
    /// An attempt ended without a result, through no fault of its own or of its node.
    AttemptLost { attempt: AttemptId },
    /// A task was done before this state began. To be told before any node joins.
    TaskFound { task: super::TaskId, node: NodeId, output_bytes: u64 },
    /// The output of a map that had succeeded cannot be read any more.
    MapOutputLost { job: JobId, map: u32 },
    /// The time asked for by [`Action::WakeAt`] has come.
    Timer,
}

/// A job before it begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobPlan {
    pub job: JobId,
    pub user: UserId,
    /// The user's part of the cluster relative to others, from 1.
    pub user_weight: u32,
    pub maps: Vec<MapPlan>,
    pub reduces: u32,
    /// Whether a task may run twice at a time. Not for tasks with effects outside of the store.
    pub speculative: bool,
    /// The number of a task's first attempt: a successor counts on from where none of its predecessors can have been.
    pub first_attempt: u32,
    /// Attempts of a task that may fail before the job does; the policy's number if none is given.
    pub failures_max: Option<u32>,
}

/// A split and where it lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MapPlan {
    pub input: InputId,
    pub bytes: u64,
    /// Nodes that hold all of it, the order does not matter. None: the task is at home everywhere.
    pub replicas: Vec<NodeId>,
}

/// How near a task runs to its input. The names are those of Hadoop's counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Locality {
    /// On a node that holds it, or there is none to hold.
    DataLocal,
    /// On the rack of one.
    RackLocal,
    /// Elsewhere.
    OtherLocal,
}

/// Why an attempt is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KillReason {
    /// Another attempt of the task was faster.
    Overtaken,
    /// Its job has ended.
    JobEnded,
    /// A map of its job has to run again and there is no slot but this one.
    SlotNeeded,
}

/// Something to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Start an attempt; its slot is taken from now on.
    Start { attempt: AttemptId, node: NodeId, locality: Locality },
    /// End an attempt; its slot is free from now on. No event is to follow.
    Kill { attempt: AttemptId, node: NodeId, reason: KillReason },
    /// Many tasks wait for the same input: one more replica of it would help them.
    ReplicateInput { input: InputId },
    /// Every task has succeeded: the job may commit.
    JobSucceeded { job: JobId },
    /// A task has failed as often as it may.
    JobFailed { job: JobId, task: super::TaskId },
    /// Send [`Event::Timer`] then. A later one replaces an earlier one.
    WakeAt(Millis),
}
