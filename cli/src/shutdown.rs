//! Stopping: the first SIGTERM or SIGINT asks every task to end, the second ends the process.

use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// How long the other roles may take to end when one cannot go on.
const END_WITHIN: Duration = Duration::from_secs(10);

/// Ends the process when a role has ended by itself: `role` is its own token, `process` everybody's. What the other roles
/// owe to the one that is gone is not waited for long.
pub fn end_with(role: &CancellationToken, process: &CancellationToken) {
    let (role, process) = (role.clone(), process.clone());
    tokio::spawn(async move {
        tokio::select! {
            biased;
            () = process.cancelled() => return,
            () = role.cancelled() => process.cancel(),
        }
        tokio::time::sleep(END_WITHIN).await;
        tracing::error!("the other roles do not end; the process does");
        std::process::exit(1);
    });
}

/// A token that is cancelled by SIGTERM or SIGINT.
pub fn on_signals() -> anyhow::Result<CancellationToken> {
    let token = CancellationToken::new();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let stop = token.clone();
    tokio::spawn(async move {
        for first in [true, false] {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if first {
                tracing::info!("stopping; a second signal stops at once");
                stop.cancel();
            } else {
                std::process::exit(130);
            }
        }
    });
    Ok(token)
}
