//! A gateway that serves, and everything behind it.

use super::datanode::MemoryDatanode;
use super::http::Connection;
use super::namenode::MemoryNamenode;
use granary_client::{Client, ClientComponents, ClientConfig};
use granary_gateway::auth::Secret;
use granary_gateway::config::Config;
use granary_gateway::server::{Components, Gateway, RootCredentials, SystemClock};
use granary_sealing::MasterKey;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub const ACCESS_KEY: &str = "GRANARYTESTKEY";
pub const SECRET_KEY: &str = "a secret for tests only";

pub struct World {
    pub address: SocketAddr,
    pub datanode: MemoryDatanode,
    shutdown: CancellationToken,
    running: JoinHandle<()>,
}

impl World {
    /// With default settings.
    pub async fn new() -> World {
        World::with(|_| {}).await
    }

    /// With settings changed.
    pub async fn with(change: impl FnOnce(&mut Config)) -> World {
        World::with_master_key(Some(MasterKey::generate().unwrap()), change).await
    }

    /// With settings changed and this master key, if any.
    pub async fn with_master_key(master_key: Option<MasterKey>, change: impl FnOnce(&mut Config)) -> World {
        World::before(Arc::default(), MemoryDatanode::default(), master_key, change).await
    }

    /// Before what another gateway stored.
    pub async fn before(
        namenode: Arc<MemoryNamenode>,
        datanode: MemoryDatanode,
        master_key: Option<MasterKey>,
        change: impl FnOnce(&mut Config),
    ) -> World {
        let shutdown = CancellationToken::new();
        let components = ClientComponents {
            namenode,
            datanodes: Arc::new(datanode.clone()),
            local_datanode: None,
            holder: "test".into(),
            lanes_on: None,
            shutdown: CancellationToken::new(),
        };
        let settings = ClientConfig { compaction: false, retry_deadline_ms: 300, ..ClientConfig::default() };
        let client = Client::start(settings, components).unwrap();
        let mut config = Config { listen: ([127, 0, 0, 1], 0).into(), ..Config::default() };
        change(&mut config);
        let root = RootCredentials { access_key_id: ACCESS_KEY.to_owned(), secret_access_key: Secret::new(SECRET_KEY) };
        let components = Components {
            client,
            datanodes: Arc::new(datanode.clone()),
            clock: Arc::new(SystemClock),
            root,
            master_key,
            shutdown: shutdown.clone(),
        };
        let gateway = Gateway::start(config, components).await.unwrap();
        let address = gateway.local_addr();
        World { address, datanode, shutdown, running: tokio::spawn(gateway.run()) }
    }

    /// With a bucket called `bucket`.
    pub async fn with_bucket() -> (World, Connection) {
        World::with_bucket_and(|_| {}).await
    }

    /// With a bucket called `bucket` and settings changed.
    pub async fn with_bucket_and(change: impl FnOnce(&mut Config)) -> (World, Connection) {
        let world = World::with(change).await;
        let mut connection = world.connect().await;
        assert_eq!(connection.signed("PUT", "/bucket").send().await.status, 200);
        (world, connection)
    }

    pub async fn connect(&self) -> Connection {
        Connection::open(self.address).await
    }

    /// Stops the gateway and waits for it.
    pub async fn stop(self) {
        self.shutdown.cancel();
        self.running.await.unwrap();
    }
}
