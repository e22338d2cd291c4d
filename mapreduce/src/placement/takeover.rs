//! What a successor of another placement is told: tasks that are done, and attempts that run.

use super::event::Locality;
use super::ids::{AttemptId, JobId, NodeId, RackId, TaskId, TaskKind};
use super::job::{Attempt, Phase};
use super::state::{State, Turn};

impl State {
    /// How near a node is to the input of a map; `None` for a map that is not known.
    pub fn locality(&self, job: JobId, map: u32, node: NodeId) -> Option<Locality> {
        let replicas = &self.jobs.get(&job)?.inputs.get(map as usize)?.replicas;
        Some(self.nodes.locality(replicas, node))
    }
}

impl Turn<'_> {
    /// The node joins with what runs there; only then are its other slots given.
    pub(super) fn node_returned(&mut self, node: NodeId, rack: RackId, slots: u32, running: Vec<AttemptId>) {
        self.state.nodes.join(node, rack, slots);
        for attempt in running {
            if self.state.nodes.get(node).free() == 0 {
                break;
            }
            self.adopt(attempt, node);
        }
        self.freed.insert(node);
    }

    fn adopt(&mut self, id: AttemptId, node: NodeId) {
        let Some(job) = self.state.jobs.get(&id.task.job) else { return };
        let Some(task) = job.tasks(id.task.kind).get(id.task.index as usize) else { return };
        let known = task.attempts.iter().any(|attempt| attempt.number == id.number);
        if task.done() || known {
            return;
        }
        let (waits, second) = (task.waits(), !task.attempts.is_empty());
        let locality = match id.task.kind {
            TaskKind::Map => self.locality(id.task.job, id.task.index, node),
            TaskKind::Reduce => Locality::DataLocal,
        };
        match id.task.kind {
            TaskKind::Map if waits => self.leave_queue(id.task.job, id.task.index, Phase::Running),
            TaskKind::Reduce if waits => self.leave_reduce_queue(id.task),
            TaskKind::Map | TaskKind::Reduce => self.set_phase(id.task, Phase::Running),
        }
        let started = self.now;
        let Some(job) = self.state.jobs.get_mut(&id.task.job) else { return };
        job.running += 1;
        let task = &mut job.tasks_mut(id.task.kind)[id.task.index as usize];
        task.next_number = task.next_number.max(id.number.saturating_add(1));
        task.attempts.push(Attempt { number: id.number, node, started, locality, speculative: second });
        if id.task.kind == TaskKind::Reduce {
            *job.reduces_on.entry(node).or_default() += 1;
        }
        if let Some(user) = self.state.users.get_mut(&job.user) {
            user.take_slot(started);
        }
        self.state.running += 1;
        self.state.speculative += u64::from(second);
        self.state.nodes.take_slot(id, node, locality != Locality::DataLocal);
    }

    fn leave_reduce_queue(&mut self, id: TaskId) {
        let Some(job) = self.state.jobs.get_mut(&id.job) else { return };
        job.waiting_reduces -= 1;
        if job.waiting_reduces == 0 {
            self.state.reducing.remove(&(job.sequence, id.job));
        }
        self.set_phase(id, Phase::Running);
    }

    fn set_phase(&mut self, id: TaskId, phase: Phase) {
        if let Some(job) = self.state.jobs.get_mut(&id.job) {
            job.tasks_mut(id.kind)[id.index as usize].phase = phase;
        }
    }

    /// The task is done, by somebody's word who placed it before.
    pub(super) fn task_found(&mut self, id: TaskId, node: NodeId, output_bytes: u64) {
        let Some(job) = self.state.jobs.get(&id.job) else { return };
        let Some(task) = job.tasks(id.kind).get(id.index as usize) else { return };
        if task.done() {
            return;
        }
        let waits = task.waits();
        self.state.nodes.known(node);
        let done = Phase::Done { node, output_bytes };
        match (id.kind, waits) {
            (TaskKind::Map, true) => self.leave_queue(id.job, id.index, done),
            (TaskKind::Reduce, true) => self.leave_reduce_queue(id),
            (TaskKind::Map | TaskKind::Reduce, false) => {}
        }
        self.set_phase(id, done);
        let Some(job) = self.state.jobs.get_mut(&id.job) else { return };
        match id.kind {
            TaskKind::Map => {
                job.done_maps += 1;
                *job.output_on.entry(node).or_default() += output_bytes;
            }
            TaskKind::Reduce => job.done_reduces += 1,
        }
        self.settle_after(id);
    }
}
