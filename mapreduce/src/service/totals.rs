//! What the service has done since its process started, for whoever watches.

use super::JobService;
use super::board::Board;
use crate::figures::Figures;
use crate::placement::Locality;
use granary_protocol::jobs::{JobState, TaskKind};

/// Words of labels: kinds of tasks, how near maps were.
const KINDS: [&str; 2] = ["map", "reduce"];
const LOCALITIES: [&str; 3] = ["node", "rack", "other"];

/// Counted while this process's namenode led.
#[derive(Clone, Debug, Default)]
pub(super) struct Totals {
    /// Attempts by kind of task.
    pub succeeded: [u64; 2],
    pub failed: [u64; 2],
    pub killed: [u64; 2],
    /// Maps whose result counted, and the bytes of their splits.
    pub maps: [u64; 3],
    pub map_bytes: [u64; 3],
    /// Jobs that have ended.
    pub jobs_succeeded: u64,
    pub jobs_failed: u64,
    pub jobs_killed: u64,
}

impl Totals {
    pub fn map_counted(&mut self, locality: Locality, bytes: u64) {
        self.maps[locality as usize] += 1;
        self.map_bytes[locality as usize] += bytes;
    }

    pub fn job_ended(&mut self, state: JobState) {
        match state {
            JobState::Succeeded => self.jobs_succeeded += 1,
            JobState::Failed => self.jobs_failed += 1,
            JobState::Killed => self.jobs_killed += 1,
            JobState::Planning | JobState::Running => {}
        }
    }
}

impl JobService {
    /// Figures of jobs in Prometheus' text format. What is now is there at the leader only.
    pub fn exposition(&self) -> String {
        let board = self.board();
        let mut figures = Figures::default();
        now(&board, &mut figures);
        since_start(&board.totals, &mut figures);
        figures.into_text()
    }
}

fn now(board: &Board, figures: &mut Figures) {
    let restoring = board.restoring.len();
    let planning = board.planning.len().saturating_sub(restoring);
    let jobs = [("planning", planning), ("restoring", restoring), ("running", board.jobs.len())];
    figures.gauge("granary_jobs", "Jobs that have not ended.", "state", jobs.map(|(state, jobs)| (state, jobs as u64)));
    let running = |kind| {
        let of_kind = |job: &super::job::Job| job.running.keys().filter(|attempt| attempt.task.kind == kind).count();
        board.jobs.values().map(of_kind).sum::<usize>() as u64
    };
    let attempts = [(KINDS[0], running(TaskKind::Map)), (KINDS[1], running(TaskKind::Reduce))];
    figures.gauge("granary_job_attempts_running", "Attempts of tasks that run.", "kind", attempts);
    figures.single("granary_job_runners", "Task runners that were heard of lately.", board.runners.len() as u64);
    figures.single("granary_job_slots", "Attempts that they run at a time.", board.slots().into());
}

fn since_start(totals: &Totals, figures: &mut Figures) {
    let ended = [("succeeded", totals.jobs_succeeded), ("failed", totals.jobs_failed), ("killed", totals.jobs_killed)];
    figures.counter("granary_jobs_ended_total", "Jobs that have ended.", "state", ended);
    for (name, help, by_kind) in [
        ("granary_job_attempts_succeeded_total", "Attempts whose result counted.", totals.succeeded),
        ("granary_job_attempts_failed_total", "Attempts that failed.", totals.failed),
        ("granary_job_attempts_killed_total", "Attempts that were ended for another's sake.", totals.killed),
    ] {
        figures.counter(name, help, "kind", [(KINDS[0], by_kind[0]), (KINDS[1], by_kind[1])]);
    }
    for (name, help, [node, rack, other]) in [
        ("granary_job_maps_total", "Maps that were done, by how near their input was.", totals.maps),
        ("granary_job_map_input_bytes_total", "Bytes of their splits.", totals.map_bytes),
    ] {
        figures.counter(name, help, "locality", [(LOCALITIES[0], node), (LOCALITIES[1], rack), (LOCALITIES[2], other)]);
    }
}
