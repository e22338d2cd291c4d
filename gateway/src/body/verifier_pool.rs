//! Verifies large bodies beside the requests that send them: their MD5s together, because hashing several in one loop
//! costs less than each in its own (see [`super::md5_stream`]).
//!
//! Jobs of all requests wait in one queue; as many blocking threads as there are cores take from it, several jobs at a
//! time, and leave when nothing waits. A lone job is begun at once: nobody waits for company. Bounded by its users: each
//! body has one job in the queue or in work.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::available_parallelism;

use tokio::sync::oneshot;

use super::deframer::BodyEvent;
use super::md5_stream::{Feed, LANES_MAX, update_together};
use super::verifier::BodyVerifier;
use crate::error::S3Error;

/// What comes back of a job: the verifier, or what was found wrong.
pub(super) type Verified = Result<Box<BodyVerifier>, S3Error>;

/// The queue and its threads. Clones are the same pool.
#[derive(Clone)]
pub struct VerifierPool {
    queue: Arc<Mutex<Queue>>,
}

struct Queue {
    jobs: VecDeque<Job>,
    threads: usize,
    threads_max: usize,
}

struct Job {
    verifier: Box<BodyVerifier>,
    events: Vec<BodyEvent>,
    done: oneshot::Sender<Verified>,
}

impl Default for VerifierPool {
    /// A thread a core.
    fn default() -> Self {
        Self::new(available_parallelism().map_or(1, usize::from))
    }
}

impl VerifierPool {
    /// At most `threads_max` jobs' worth of threads at one time.
    pub fn new(threads_max: usize) -> Self {
        let queue = Queue { jobs: VecDeque::new(), threads: 0, threads_max: threads_max.max(1) };
        Self { queue: Arc::new(Mutex::new(queue)) }
    }

    /// Has `events` verified on a blocking thread. Must be called on a tokio runtime. Dropping the receiver before the
    /// job is begun calls it off.
    pub(super) fn verify(&self, verifier: Box<BodyVerifier>, events: Vec<BodyEvent>) -> oneshot::Receiver<Verified> {
        let (done, outcome) = oneshot::channel();
        let mut queue = self.queue();
        queue.jobs.push_back(Job { verifier, events, done });
        let starts = queue.threads < queue.threads_max;
        queue.threads += usize::from(starts);
        drop(queue);
        if starts {
            let worker = Worker { pool: self.clone(), has_left: false };
            tokio::task::spawn_blocking(move || worker.run());
        }
        outcome
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A thread at work.
struct Worker {
    pool: VerifierPool,
    has_left: bool,
}

impl Worker {
    fn run(mut self) {
        loop {
            let jobs: Vec<Job> = {
                let mut queue = self.pool.queue();
                let count = queue.jobs.len().min(LANES_MAX);
                if count == 0 {
                    queue.threads -= 1;
                    self.has_left = true;
                    return;
                }
                queue.jobs.drain(..count).collect()
            };
            verify_together(jobs);
        }
    }
}

impl Drop for Worker {
    /// A thread that panicked, or never ran because the runtime ends, is not one of those at work any more.
    fn drop(&mut self) {
        if !self.has_left {
            self.pool.queue().threads -= 1;
        }
    }
}

fn verify_together(mut jobs: Vec<Job>) {
    jobs.retain(|job| !job.done.is_closed());
    let feeds = jobs.iter_mut().filter_map(|job| {
        let pieces = job.events.iter().filter_map(BodyEvent::data);
        job.verifier.md5_stream().map(|stream| Feed::new(stream, pieces))
    });
    update_together(feeds.collect());
    for Job { mut verifier, events, done } in jobs {
        let verified = events.iter().try_for_each(|event| verifier.apply_beside_md5(event)).map(|()| verifier);
        // The request may have been given up meanwhile.
        let _ = done.send(verified);
    }
}
