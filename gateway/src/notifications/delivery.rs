//! The worker that empties the queue: claims, sends, settles.
//!
//! Every gateway runs one; the queue gives an event to one of them at a time. What a worker claimed and did not settle,
//! because its process ended, comes back when the claim has run out.

use super::retry::next_attempt;
use super::targets::Targets;
use super::webhook::{DELIVERY_TIMEOUT, Webhook};
use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream;
use granary_client::Client;
use granary_protocol::event::{EventId, QueuedEvent};
use granary_protocol::lifecycle::LIFECYCLE_TARGET;
use granary_protocol::{Clock, Failure, UnixMillis};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// Events claimed at once.
const CLAIM_EVENTS_MAX: u32 = 32;
/// Messages sent at once.
const DELIVERIES_MAX: usize = 16;
/// How long a claim lasts: all of it may take [`DELIVERY_TIMEOUT`] twice, and settling some more.
const CLAIM_MS: u64 = 30_000;
/// How often the queue is asked, unless this gateway has queued something itself.
const POLL: Duration = Duration::from_secs(1);

const _: () = assert!(
    CLAIM_EVENTS_MAX as u128 / DELIVERIES_MAX as u128 * DELIVERY_TIMEOUT.as_millis() * 2 <= CLAIM_MS as u128,
    "a claim outlasts its deliveries"
);

/// Delivers what is queued for the targets of this gateway.
pub(crate) struct Delivery {
    client: Client,
    targets: Arc<Targets>,
    webhook: Webhook,
    clock: Arc<dyn Clock>,
    queued: Arc<Notify>,
    teller: Teller,
}

/// Turns what rules and restores did into messages and log lines; or says why it must be tried again.
pub(crate) type Teller = Box<dyn Fn(Bytes) -> BoxFuture<'static, Result<(), String>> + Send + Sync>;

/// What became of a message.
enum Verdict {
    Settled(EventId),
    Retry(EventId, UnixMillis),
}

impl Delivery {
    /// `queued` is told when this gateway has queued events.
    pub(crate) fn new(
        client: Client,
        targets: Arc<Targets>,
        allow_private: bool,
        clock: Arc<dyn Clock>,
        queued: Arc<Notify>,
        teller: Teller,
    ) -> Self {
        Self { client, targets, webhook: Webhook::new(allow_private), clock, queued, teller }
    }

    /// Works until `shutdown`. A batch that was claimed is settled first.
    pub(crate) async fn run(self, shutdown: CancellationToken) {
        while !shutdown.is_cancelled() {
            let delivered = match self.deliver_batch().await {
                Ok(delivered) => delivered,
                Err(failure) => {
                    tracing::debug!(%failure, "the event queue does not answer");
                    0
                }
            };
            if delivered == CLAIM_EVENTS_MAX as usize {
                continue;
            }
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = self.queued.notified() => {}
                () = tokio::time::sleep(POLL) => {}
            }
        }
    }

    /// Claims a batch, sends it and settles it; how many events it had.
    async fn deliver_batch(&self) -> Result<usize, Failure> {
        let events = self.client.claim_events(CLAIM_EVENTS_MAX, CLAIM_MS).await?;
        let count = events.len();
        if count == 0 {
            return Ok(0);
        }
        let verdicts: Vec<Verdict> =
            stream::iter(events).map(|event| self.deliver(event)).buffer_unordered(DELIVERIES_MAX).collect().await;
        let (mut settled, mut retry) = (Vec::new(), Vec::new());
        for verdict in verdicts {
            match verdict {
                Verdict::Settled(id) => settled.push(id),
                Verdict::Retry(id, at) => retry.push((id, at)),
            }
        }
        self.client.settle_events(settled, retry).await?;
        Ok(count)
    }

    async fn deliver(&self, event: QueuedEvent) -> Verdict {
        let outcome = match self.targets.find(&event.target) {
            _ if event.target == LIFECYCLE_TARGET => (self.teller)(event.body).await,
            Some(url) => self.webhook.post(url, event.id.0, event.body).await.map_err(|error| error.to_string()),
            None => Err("no target of this name is configured".to_owned()),
        };
        let Err(error) = outcome else { return Verdict::Settled(event.id) };
        let mut jitter = [0; 2];
        // Without randomness the pause is only less spread.
        let _unspread = getrandom::fill(&mut jitter);
        match next_attempt(event.attempts + 1, event.queued, self.clock.now(), u16::from_le_bytes(jitter)) {
            Some(at) => {
                tracing::debug!(target_arn = %event.target, attempts = event.attempts + 1, error, "an event waits");
                Verdict::Retry(event.id, at)
            }
            None => {
                tracing::warn!(target_arn = %event.target, attempts = event.attempts + 1, error, "an event is given up");
                Verdict::Settled(event.id)
            }
        }
    }
}
