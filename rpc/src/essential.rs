//! Tasks that a role cannot do without: when one of them dies, the role ends.
//!
//! A process whose proposer or heartbeat has panicked still accepts connections and answers each of them with a refusal,
//! for ever, and nobody restarts it. So the death of such a task cancels the role's shutdown token and is kept as the
//! reason, which whoever runs the role turns into a message and an exit status. Tasks that serve one request or one
//! connection are not of this kind: their panic is that request's failure.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, OnceLock};

use futures_util::FutureExt;
use tokio_util::sync::CancellationToken;

/// Why a role ended by itself.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{task} has died: {reason}")]
pub struct TaskDied {
    /// Which task.
    pub task: &'static str,
    /// The panic's message, or what the task says of itself.
    pub reason: String,
}

/// The essential tasks of one role. Clones are the same set.
#[derive(Clone, Debug)]
pub struct EssentialTasks {
    shutdown: CancellationToken,
    died: Arc<OnceLock<TaskDied>>,
}

impl EssentialTasks {
    /// A role that `shutdown` ends.
    pub fn new(shutdown: CancellationToken) -> Self {
        Self { shutdown, died: Arc::default() }
    }

    /// Runs `work`; its panic is the end of the role. Spawn what this returns.
    pub fn guard(
        &self,
        task: &'static str,
        work: impl Future<Output = ()> + Send + 'static,
    ) -> impl Future<Output = ()> + Send + 'static {
        let role = self.clone();
        async move {
            // Nobody goes on with what the task has left half-done: the role ends.
            if let Err(panic) = AssertUnwindSafe(work).catch_unwind().await {
                role.fail(task, message(&*panic));
            }
        }
    }

    /// A task cannot go on. The first reason is kept.
    pub fn fail(&self, task: &'static str, reason: impl Into<String>) {
        let died = TaskDied { task, reason: reason.into() };
        tracing::error!(%died, "this role cannot go on and ends");
        // A second death is a consequence of the first.
        let _ = self.died.set(died);
        self.shutdown.cancel();
    }

    /// Why the role ended, unless it was asked to.
    pub fn failure(&self) -> Option<TaskDied> {
        self.died.get().cloned()
    }
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("it panicked: {}", text.unwrap_or("without a message"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_ends_the_role_and_is_the_reason() {
        let shutdown = CancellationToken::new();
        let tasks = EssentialTasks::new(shutdown.clone());
        tokio::spawn(tasks.guard("a task that ends", async {})).await.unwrap();
        assert!(!shutdown.is_cancelled() && tasks.failure().is_none());

        tokio::spawn(tasks.guard("the proposer", async { panic!("{} commands", 7) })).await.unwrap();
        shutdown.cancelled().await;
        assert_eq!(tasks.failure().unwrap().to_string(), "the proposer has died: it panicked: 7 commands");
        tasks.fail("another", "because of the first");
        assert_eq!(tasks.failure().unwrap().task, "the proposer");
    }
}
