//! Everything the datanode runs besides its callers' futures, so that shutdown can wait for it.

use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;

/// Spawns tasks and blocking work that are joined at shutdown. Works from any thread, so that dropping a stream outside
/// the runtime is harmless.
#[derive(Clone)]
pub(crate) struct Jobs {
    tracker: TaskTracker,
    runtime: Handle,
}

impl Jobs {
    /// For the runtime that the caller runs in.
    pub(crate) fn here() -> Jobs {
        Jobs { tracker: TaskTracker::new(), runtime: Handle::current() }
    }

    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tracker.spawn_on(task, &self.runtime);
    }

    pub(crate) fn spawn_blocking<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
        self.tracker.spawn_blocking_on(work, &self.runtime)
    }

    /// Waits until nothing runs.
    pub(crate) async fn join(&self) {
        self.tracker.close();
        self.tracker.wait().await;
    }
}
