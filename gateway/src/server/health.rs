//! Is this gateway able to serve? Asked by strangers, so the store is asked at most once a second.

use granary_client::Client;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::Instant;

const REMEMBERED: Duration = Duration::from_secs(1);
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// The last answer and when it was given.
#[derive(Default)]
pub(super) struct Readiness {
    last: Mutex<Option<(Instant, bool)>>,
}

impl Readiness {
    /// Whether the namenode answers.
    pub(super) async fn is_ready(&self, client: &Client) -> bool {
        let mut last = self.last.lock().await;
        if let Some((at, ready)) = *last
            && at.elapsed() < REMEMBERED
        {
            return ready;
        }
        let asked = tokio::time::timeout(ANSWER_WITHIN, client.list_buckets(String::new(), None, 1)).await;
        let ready = matches!(asked, Ok(Ok(_)));
        *last = Some((Instant::now(), ready));
        ready
    }
}
