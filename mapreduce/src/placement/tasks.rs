//! The life of a task: waiting, started, succeeded. Every count is kept here and in `failures`.

use super::event::{Action, KillReason, Locality};
use super::ids::{AttemptId, JobId, NodeId, TaskId, TaskKind};
use super::job::{Attempt, Phase, Task};
use super::state::Turn;

impl Turn<'_> {
    /// The map waits for a slot, from now on.
    pub(super) fn enqueue_map(&mut self, id: JobId, map: u32) {
        let Some(job) = self.state.jobs.get_mut(&id) else { return };
        assert!(!job.maps[map as usize].waits(), "a map waits once");
        job.maps[map as usize].phase = Phase::Waiting { since: self.now };
        job.waiting_maps += 1;
        job.queue.push_back(map);
        let input = &job.inputs[map as usize];
        if input.replicas.is_empty() {
            job.homeless.insert(map);
            self.state.homeless.insert((job.sequence, id));
        }
        for &replica in &input.replicas {
            let node = self.state.nodes.known(replica);
            node.pressure += 1;
            let list = job.by_node.entry(replica).or_insert_with(|| {
                node.demand.push(id);
                Vec::new()
            });
            list.push(map);
            let on_rack = job.by_rack.entry(node.rack).or_default();
            if on_rack.last() != Some(&map) {
                on_rack.push(map);
            }
        }
        self.state.mapping.insert((job.sequence, id));
        self.note_demand(id, map);
    }

    /// One more waits for this input: more than its replicas can serve soon are worth another replica.
    fn note_demand(&mut self, id: JobId, map: u32) {
        let input = &self.state.jobs[&id].inputs[map as usize];
        let demand = self.state.inputs.entry(input.input).or_default();
        demand.waiting += 1;
        let many = self.state.policy.hot_input_tasks.saturating_mul(input.replicas.len() as u32);
        if !demand.asked && !input.replicas.is_empty() && demand.waiting > many {
            demand.asked = true;
            self.actions.push(Action::ReplicateInput { input: input.input });
        }
    }

    /// The map waits no more.
    pub(super) fn leave_queue(&mut self, id: JobId, map: u32, phase: Phase) {
        let Some(job) = self.state.jobs.get_mut(&id) else { return };
        job.maps[map as usize].phase = phase;
        job.waiting_maps -= 1;
        if job.waiting_maps == 0 {
            self.state.mapping.remove(&(job.sequence, id));
        }
        if job.homeless.remove(&map) && job.homeless.is_empty() {
            self.state.homeless.remove(&(job.sequence, id));
        }
        let input = &job.inputs[map as usize];
        for &replica in &input.replicas {
            self.state.nodes.get_mut(replica).pressure -= 1;
        }
        if let Some(demand) = self.state.inputs.get_mut(&input.input) {
            demand.waiting -= 1;
            if demand.waiting == 0 {
                self.state.inputs.remove(&input.input);
            }
        }
    }

    pub(super) fn start_map(&mut self, id: JobId, map: u32, node: NodeId, speculative: bool) {
        let locality = self.locality(id, map, node);
        if self.state.jobs[&id].maps[map as usize].waits() {
            self.leave_queue(id, map, Phase::Running);
        }
        self.start(TaskId { job: id, kind: TaskKind::Map, index: map }, node, locality, speculative);
    }

    /// How near the node is to the map's input.
    pub(super) fn locality(&self, id: JobId, map: u32, node: NodeId) -> Locality {
        let replicas = &self.state.jobs[&id].inputs[map as usize].replicas;
        self.state.nodes.locality(replicas, node)
    }

    pub(super) fn start(&mut self, task: TaskId, node: NodeId, locality: Locality, speculative: bool) {
        let Some(job) = self.state.jobs.get_mut(&task.job) else { return };
        let entry = &mut job.tasks_mut(task.kind)[task.index as usize];
        let attempt = AttemptId { task, number: entry.next_number };
        entry.next_number += 1;
        entry.attempts.push(Attempt { number: attempt.number, node, started: self.now, locality, speculative });
        job.running += 1;
        if let Some(user) = self.state.users.get_mut(&job.user) {
            user.take_slot(self.now);
        }
        self.state.running += 1;
        self.state.speculative += u64::from(speculative);
        self.state.nodes.take_slot(attempt, node, locality != Locality::DataLocal);
        self.actions.push(Action::Start { attempt, node, locality });
    }

    /// The attempt has ended, however: its slot is free. `None` if it is not known to run.
    pub(super) fn release(&mut self, id: AttemptId) -> Option<Attempt> {
        let job = self.state.jobs.get_mut(&id.task.job)?;
        let task = job.tasks_mut(id.task.kind).get_mut(id.task.index as usize)?;
        let place = task.attempts.iter().position(|attempt| attempt.number == id.number)?;
        let attempt = task.attempts.remove(place);
        job.running -= 1;
        if let Some(user) = self.state.users.get_mut(&job.user) {
            user.give_back();
        }
        self.state.running -= 1;
        self.state.speculative -= u64::from(attempt.speculative);
        self.state.nodes.give_back(id, attempt.node, attempt.locality != Locality::DataLocal);
        self.freed.insert(attempt.node);
        Some(attempt)
    }

    pub(super) fn kill(&mut self, id: AttemptId, reason: KillReason) {
        if let Some(attempt) = self.release(id) {
            self.actions.push(Action::Kill { attempt: id, node: attempt.node, reason });
        }
    }

    pub(super) fn succeeded(&mut self, id: AttemptId, output_bytes: u64) {
        let Some(attempt) = self.release(id) else { return };
        let TaskId { job: job_id, kind, index } = id.task;
        let job = self.state.jobs.get_mut(&job_id).expect("release found it");
        let task: &mut Task = &mut job.tasks_mut(kind)[index as usize];
        task.phase = Phase::Done { node: attempt.node, output_bytes };
        let others: Vec<u32> = task.attempts.iter().map(|other| other.number).collect();
        match kind {
            TaskKind::Map => {
                job.done_maps += 1;
                *job.output_on.entry(attempt.node).or_default() += output_bytes;
            }
            TaskKind::Reduce => job.done_reduces += 1,
        }
        for number in others {
            self.kill(AttemptId { task: id.task, number }, KillReason::Overtaken);
        }
        self.learn(job_id, kind, attempt.node, attempt.locality, self.now.since(attempt.started));
        self.settle_after(id.task);
    }

    /// What follows from a task's being done: its job, or the job's reduces.
    pub(super) fn settle_after(&mut self, task: TaskId) {
        let job = &self.state.jobs[&task.job];
        if job.done() {
            self.actions.push(Action::JobSucceeded { job: task.job });
            self.end_job(task.job);
        } else if task.kind == TaskKind::Map && job.maps_done() {
            self.maps_are_done(task.job);
        }
    }
}
