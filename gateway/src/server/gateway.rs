//! Starting, accepting connections, stopping.

use super::bucket_settings::BucketSettingsCache;
use super::connection::{Listening, serve};
use super::events;
use super::front::Front;
use super::health::Readiness;
use super::lifecycle_events;
use super::log_delivery;
use super::metrics::Metrics;
use super::owners::Owners;
use super::principals::{PrincipalStore, RootCredentials};
use super::request_id::RequestIds;
use super::state::GatewayState;
use super::tls::{TlsError, tls_acceptor};
use crate::access_log::LogBuffer;
use crate::auth::Authenticator;
use crate::body::VerifierPool;
use crate::config::{Config, ConfigError, StoreDefault};
use crate::encryption::{Encryption, KeyRealm};
use crate::notifications::{Delivery, TargetError, Targets};
use futures_util::future::BoxFuture;
use granary_client::Client;
use granary_protocol::Clock;
use granary_protocol::datanode::DatanodeConnector;
use granary_sealing::{KeyStore, LocalKeyStore, MasterKey};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Enrolments answered at once. They need no signature, only a join token.
const ENROLMENTS_MAX: usize = 4;
/// Rest after an accept that failed, for want of file descriptors as a rule.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What a gateway works with.
pub struct Components {
    /// Reads and writes objects.
    pub client: Client,
    /// Finds datanodes: the same as the client's. The admin routes verify replicas through it.
    pub datanodes: Arc<dyn DatanodeConnector>,
    /// Judges signatures' dates.
    pub clock: Arc<dyn Clock>,
    /// The root key.
    pub root: RootCredentials,
    /// The key above the key store's. Without it, nothing but SSE-C is encrypted or decrypted.
    pub master_key: Option<MasterKey>,
    /// Cancel it to stop: no new connections, requests in flight end, then [`Gateway::run`] returns.
    pub shutdown: CancellationToken,
}

/// Why a gateway did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A setting is out of its range.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A webhook cannot be used.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// The certificate or key cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// Which address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The root key is empty.
    #[error("the root key must have an access key id and a secret of at least 8 characters")]
    RootKey,
    /// The machine has no randomness to give.
    #[error("no random numbers: {0}")]
    Randomness(getrandom::Error),
}

/// A gateway that listens. Connections wait until [`Gateway::run`].
pub struct Gateway {
    state: Arc<GatewayState>,
    listener: TcpListener,
    local_addr: SocketAddr,
    tls: Option<tokio_rustls::TlsAcceptor>,
    shutdown: CancellationToken,
}

impl Gateway {
    /// Checks the settings and binds the port. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn start(config: Config, components: Components) -> Result<Gateway, StartError> {
        config.validate()?;
        let root = components.root;
        if root.access_key_id.is_empty() || root.secret_access_key.expose().len() < 8 {
            return Err(StartError::RootKey);
        }
        let tls = config.tls.as_ref().map(tls_acceptor).transpose()?;
        let mut seed = [0; 40];
        getrandom::fill(&mut seed).map_err(StartError::Randomness)?;
        let address = config.listen;
        let listen_failed = |source| StartError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(listen_failed)?;
        let local_addr = listener.local_addr().map_err(listen_failed)?;
        let store = Arc::new(PrincipalStore::new(root, &config.account, components.client.clone()));
        let encryption = encryption(&config, &components.client, components.master_key);
        let targets = Arc::new(Targets::new(&config.notifications, &config.region)?);
        let state = Arc::new(GatewayState {
            owners: Owners::new(components.client.clone(), &config.account),
            principals: store.clone(),
            region: config.region.as_str().into(),
            authenticator: Authenticator::new(store, config.region.clone(), config.public_hosts()),
            domains: config.base_domains(),
            settings: BucketSettingsCache::new(components.client.clone()),
            client: components.client,
            datanodes: components.datanodes,
            clock: components.clock,
            metrics: Arc::new(Metrics::new()),
            encryption,
            verifiers: VerifierPool::default(),
            request_ids: RequestIds::new(seed),
            readiness: Readiness::default(),
            website_domains: config.website_domains(),
            targets,
            events_queued: Arc::default(),
            events_waiting: Default::default(),
            access_log: LogBuffer::default(),
            access_log_full: Notify::new(),
            enrolments: Semaphore::new(ENROLMENTS_MAX),
            config,
        });
        Ok(Gateway { state, listener, local_addr, tls, shutdown: components.shutdown })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Serves until the shutdown component is cancelled and the requests then in flight have ended, or their time is up.
    pub async fn run(self) {
        let config = &self.state.config;
        let drain_timeout = Duration::from_millis(config.drain_timeout_ms);
        let permits = Arc::new(Semaphore::new(config.connections_max));
        let connections = TaskTracker::new();
        // Ends after the last request, so that what that did is logged.
        let served = CancellationToken::new();
        let workers = self.start_workers(&served);
        // Cancelled when the time for a graceful end is over.
        let abort = CancellationToken::new();
        let listening = Arc::new(Listening {
            front: Front::new(self.state.clone()),
            state: self.state.clone(),
            tls: self.tls.clone(),
            shutdown: self.shutdown.clone(),
        });
        tracing::info!(address = %self.local_addr, tls = self.tls.is_some(), region = %config.region, "gateway serves S3");
        while let Some(socket) = self.next_connection(&permits).await {
            let (socket, permit) = socket;
            let connection = serve(listening.clone(), socket);
            let abort = abort.clone();
            connections.spawn(async move {
                tokio::select! {
                    () = connection => {}
                    () = abort.cancelled() => {}
                }
                drop(permit);
            });
        }
        drop(self.listener);
        connections.close();
        if tokio::time::timeout(drain_timeout, connections.wait()).await.is_err() {
            tracing::warn!(connections = connections.len(), "requests in flight are cut off");
            abort.cancel();
            connections.wait().await;
        }
        served.cancel();
        workers.wait().await;
        tracing::info!("gateway has stopped");
    }

    /// What goes on beside requests: access logs are delivered until `served`, events until shutdown.
    fn start_workers(&self, served: &CancellationToken) -> TaskTracker {
        let workers = TaskTracker::new();
        let client = &self.state.client;
        let logs = log_delivery::run(self.state.clone(), served.clone());
        workers.spawn(client.essential("the delivery of access logs", logs));
        if !self.state.targets.is_empty() {
            let queueing = events::run(self.state.clone(), served.clone());
            workers.spawn(client.essential("the queueing of events", queueing));
        }
        let state = &self.state;
        let allow_private = state.config.notifications.allow_private_targets;
        let (targets, queued) = (state.targets.clone(), state.events_queued.clone());
        let telling = state.clone();
        let teller = Box::new(move |body: bytes::Bytes| {
            let state = telling.clone();
            Box::pin(async move { lifecycle_events::tell(&state, &body).await }) as BoxFuture<'static, _>
        });
        let delivery = Delivery::new(state.client.clone(), targets, allow_private, state.clock.clone(), queued, teller);
        let deliveries = delivery.run(self.shutdown.clone());
        workers.spawn(client.essential("the delivery of events", deliveries));
        workers.close();
        workers
    }

    /// The next connection and its share of the bound; `None` at shutdown.
    async fn next_connection(
        &self,
        permits: &Arc<Semaphore>,
    ) -> Option<(tokio::net::TcpStream, tokio::sync::OwnedSemaphorePermit)> {
        let accepted = async {
            let permit = permits.clone().acquire_owned().await.expect("this semaphore is never closed");
            loop {
                match self.listener.accept().await {
                    Ok((socket, _peer)) => return (socket, permit),
                    Err(error) => {
                        tracing::warn!(%error, "a connection could not be accepted");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                }
            }
        };
        tokio::select! {
            biased;
            () = self.shutdown.cancelled() => None,
            accepted = accepted => Some(accepted),
        }
    }
}

fn encryption(config: &Config, client: &Client, master_key: Option<MasterKey>) -> Encryption {
    let create_missing = config.kms.create_missing_keys;
    let keys = master_key
        .map(|master| Arc::new(LocalKeyStore::new(client.clone(), master, create_missing)) as Arc<dyn KeyStore>);
    let realm = KeyRealm { region: config.region.clone(), account_id: config.account.account_id.clone() };
    Encryption::new(keys, realm, config.encryption.default == StoreDefault::Aes256)
}
