//! The end of a run: once nothing is wrong any more, a client asks the store what it has, and the invariants judge it.

use crate::invariants::{ledger_truthful, nothing_lost, redundancy_restored, retention_respected, space_returned};
use crate::roles::{Machine, Shared, start_client};
use granary_client::Client;
use granary_protocol::Failure;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// How often something is tried that must work.
const ATTEMPTS: usize = 8;

/// Whoever asks.
pub struct Auditor {
    pub client: Client,
    pub shared: Arc<Shared>,
}

impl Auditor {
    /// Lets some time pass.
    pub async fn pause(&self) {
        tokio::time::sleep(Duration::from_millis(500)).await;
    }

    /// Tries something until it works; `None` if it never does, and the history says why.
    pub async fn persist<T, F: Future<Output = Result<T, Failure>>>(
        &self,
        what: &str,
        once: impl Fn() -> F,
    ) -> Option<T> {
        let mut last = None;
        for _ in 0..ATTEMPTS {
            match once().await {
                Ok(done) => return Some(done),
                Err(failure) => last = Some(failure),
            }
            self.pause().await;
        }
        self.shared.history.violation(format!("cannot {what}: {last:?}"));
        None
    }
}

/// Runs the audit.
pub async fn run(machine: Machine) {
    let auditor =
        Auditor { client: start_client(&Machine { holder: "auditor", ..machine.clone() }), shared: machine.shared };
    if redundancy_restored::check(&auditor).await.is_some() {
        ledger_truthful::check(&auditor).await;
    }
    nothing_lost::check(&auditor).await;
    retention_respected::check(&auditor).await;
    // What is read again is read from whole replicas by now; deleting is last.
    space_returned::check(&auditor).await;
    auditor.shared.audited.store(true, Ordering::Relaxed);
}
