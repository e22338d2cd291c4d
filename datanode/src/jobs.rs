//! Everything the datanode runs besides its callers' futures, so that shutdown can wait for it.

use granary_rpc::{EssentialTasks, TaskDied, blocks_in_turn, done_in_turn, may_block_here};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Spawns tasks and blocking work that are joined at shutdown. Works from any thread, so that dropping a stream outside
/// the runtime is harmless.
#[derive(Clone)]
pub(crate) struct Jobs {
    tracker: TaskTracker,
    runtime: Handle,
    essential: EssentialTasks,
    in_place: bool,
}

impl Jobs {
    /// For the runtime that the caller runs in, and the node that `shutdown` ends. `in_place`: whether short writes may
    /// block a thread that allows it.
    pub(crate) fn here(shutdown: CancellationToken, in_place: bool) -> Jobs {
        let essential = EssentialTasks::new(shutdown);
        Jobs { tracker: TaskTracker::new(), runtime: Handle::current(), essential, in_place }
    }

    /// Whether a short write is to be done on the caller's thread.
    pub(crate) fn in_place(&self) -> bool {
        self.in_place && may_block_here()
    }

    /// Spawns a task that the node cannot do without: its panic ends the node.
    pub(crate) fn spawn_essential(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        self.spawn(self.essential.guard(name, task));
    }

    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tracker.spawn_on(task, &self.runtime);
    }

    /// Why the node ended by itself.
    pub(crate) fn failure(&self) -> Option<TaskDied> {
        self.essential.failure()
    }

    pub(crate) fn spawn_blocking<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
        if blocks_in_turn() {
            return self.tracker.spawn_on(done_in_turn(work), &self.runtime);
        }
        self.tracker.spawn_blocking_on(work, &self.runtime)
    }

    /// Waits until nothing runs.
    pub(crate) async fn join(&self) {
        self.tracker.close();
        self.tracker.wait().await;
    }
}
