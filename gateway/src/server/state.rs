//! What every request shares.

use super::authorize::authorize;
use super::bucket_settings::BucketSettingsCache;
use super::clock::Clock;
use super::health::Readiness;
use super::metrics::Metrics;
use super::request_id::RequestIds;
use crate::access_log::LogBuffer;
use crate::auth::{Authenticator, PayloadMode};
use crate::config::Config;
use crate::encryption::Encryption;
use crate::error::S3Error;
use crate::notifications::Targets;
use crate::request::BaseDomains;
use granary_client::Client;
use granary_protocol::datanode::DatanodeConnector;
use granary_protocol::{CanonicalId, UnixMillis};
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
    pub(super) authenticator: Authenticator,
    pub(super) domains: BaseDomains,
    pub(super) request_ids: RequestIds,
    pub(super) readiness: Readiness,
    /// Domains whose buckets are web sites.
    pub(super) website_domains: BaseDomains,
    /// Where events may go.
    pub targets: Arc<Targets>,
    /// Told when events were queued here.
    pub(super) events_queued: Arc<Notify>,
    /// Lines of access logs that wait for their delivery.
    pub(super) access_log: LogBuffer,
    /// Told when they should not wait for their time.
    pub(super) access_log_full: Notify,
    /// Enrolments being answered: they come without a signature, so few at a time.
    pub enrolments: Semaphore,
}

impl GatewayState {
    /// Who owns what is created here.
    pub fn owner(&self) -> CanonicalId {
        CanonicalId(self.config.account.canonical_id.clone())
    }

    pub fn now(&self) -> UnixMillis {
        self.clock.now()
    }

    /// Verifies and allows a request of the admin routes; how its body is framed.
    pub async fn authenticate_admin(&self, parts: &Parts) -> Result<PayloadMode, S3Error> {
        let authenticated = self.authenticator.authenticate(parts, None, self.now_s()).await?;
        authorize(authenticated.identity())?;
        Ok(authenticated.into_parts().1)
    }

    pub(super) fn now_s(&self) -> i64 {
        i64::try_from(self.clock.now().0 / 1000).unwrap_or(i64::MAX)
    }
}
