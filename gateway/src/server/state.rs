//! What every request shares.

use super::bucket_settings::BucketSettingsCache;
use super::events::WaitingEvents;
use super::health::Readiness;
use super::metrics::Metrics;
use super::owners::Owners;
use super::principals::PrincipalStore;
use super::request::Sender;
use super::request_facts::Peer;
use super::request_id::RequestIds;
use crate::access_log::LogBuffer;
use crate::auth::{Authenticator, PayloadMode};
use crate::body::VerifierPool;
use crate::config::Config;
use crate::encryption::Encryption;
use crate::error::S3Error;
use crate::notifications::Targets;
use crate::request::BaseDomains;
use granary_client::Client;
use granary_protocol::datanode::DatanodeConnector;
use granary_protocol::{Clock, UnixMillis};
use http::request::Parts;
use std::sync::Arc;
use tokio::sync::{Notify, Semaphore};

/// One gateway's settings and components.
pub(crate) struct GatewayState {
    pub config: Config,
    pub client: Client,
    /// What is known of buckets.
    pub settings: BucketSettingsCache,
    pub datanodes: Arc<dyn DatanodeConnector>,
    pub metrics: Arc<Metrics>,
    pub encryption: Encryption,
    pub(super) clock: Arc<dyn Clock>,
    /// Who owns what.
    pub owners: Owners,
    pub principals: Arc<PrincipalStore>,
    pub(super) region: Arc<str>,
    pub authenticator: Authenticator,
    pub(super) domains: BaseDomains,
    /// Where large bodies are hashed.
    pub verifiers: VerifierPool,
    pub(super) request_ids: RequestIds,
    pub(super) readiness: Readiness,
    /// Domains whose buckets are web sites.
    pub(super) website_domains: BaseDomains,
    /// Where events may go.
    pub targets: Arc<Targets>,
    /// Told when events were queued here.
    pub(super) events_queued: Arc<Notify>,
    /// Events that the queue did not take.
    pub(super) events_waiting: WaitingEvents,
    /// Lines of access logs that wait for their delivery.
    pub(super) access_log: LogBuffer,
    /// Told when they should not wait for their time.
    pub(super) access_log_full: Notify,
    /// Enrolments being answered: they come without a signature, so few at a time.
    pub enrolments: Semaphore,
}

impl GatewayState {
    pub fn now(&self) -> UnixMillis {
        self.clock.now()
    }

    /// Verifies and allows a request of the admin routes; how its body is framed.
    /// `action` is the route's: `admin:Status`.
    pub async fn authenticate_admin(&self, parts: &Parts, action: &str) -> Result<PayloadMode, S3Error> {
        let authenticated = self.authenticator.authenticate(parts, None, self.now_s()).await?;
        let sender = Sender::new(authenticated, self, parts.extensions.get::<Peer>().copied());
        sender.authorize_operation(action, &parts.headers)
    }

    pub fn now_s(&self) -> i64 {
        i64::try_from(self.clock.now().0 / 1000).unwrap_or(i64::MAX)
    }
}
