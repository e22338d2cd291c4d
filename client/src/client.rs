//! [`Client`]: starting, the ways in, stopping.

use crate::compactor::Compactor;
use crate::config::{ClientConfig, ConfigError};
use crate::lease::LeaseKeeper;
use crate::mover::Mover;
use crate::reader::ContentReader;
use crate::shared::{ABANDONED_QUEUE_MAX, Shared};
use crate::suspects::Suspects;
use crate::writer::ContentWriter;
use granary_protocol::datanode::DatanodeConnector;
use granary_protocol::namenode::{LocatedExtent, NamenodeService, ObjectRead};
use granary_protocol::object::StorageClass;
use granary_protocol::{ContentId, DatanodeId, NodeName};
use granary_rpc::{EssentialTasks, TaskDied};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// What a client works with. Time is tokio's, which tests pause; no wall clock is read, and block tokens are judged by
/// their age here, not by the namenode's clock.
pub struct ClientComponents {
    /// The namenode: this process's own, or a [`crate::remote::NamenodeCluster`].
    pub namenode: Arc<dyn NamenodeService>,
    /// Finds datanodes, for instance [`crate::remote::RemoteDatanodes`].
    pub datanodes: Arc<dyn DatanodeConnector>,
    /// The datanode of this machine, preferred for reading and writing.
    pub local_datanode: Option<DatanodeId>,
    /// Who holds this client's lease. Unique among running clients: a second one of the same name takes the lease away.
    pub holder: NodeName,
    /// Where small contents are packed; without it, on the runtime of whoever writes. See [`granary_rpc::StorageThread`].
    pub lanes_on: Option<Handle>,
    /// Cancel it to stop the client cleanly; [`Client::stopped`] says when that is done.
    pub shutdown: CancellationToken,
}

/// Reads and writes objects as blocks. Cheap to clone; clones are the same client.
#[derive(Clone)]
pub struct Client {
    pub(crate) shared: Arc<Shared>,
}

impl Client {
    /// Starts a client: its lease, its packers (when first used), its compactor and its mover. Does not wait for anything.
    /// Must be called within a tokio runtime.
    ///
    /// # Errors
    /// A setting out of its range.
    pub fn start(config: ClientConfig, components: ClientComponents) -> Result<Client, ConfigError> {
        config.validate()?;
        let (abandoned, abandonments) = mpsc::channel(ABANDONED_QUEUE_MAX);
        let shared = Arc::new(Shared {
            lease: LeaseKeeper::new(components.namenode.clone(), components.holder, config.retry_deadline()),
            namenode: components.namenode,
            datanodes: components.datanodes,
            local_datanode: components.local_datanode,
            suspects: Suspects::new(Duration::from_millis(config.suspect_ms)),
            tasks: TaskTracker::new(),
            essential: EssentialTasks::new(components.shutdown.clone()),
            stop: components.shutdown,
            lanes_on: components.lanes_on,
            packers: Mutex::default(),
            abandoned,
            config,
        });
        let renewing = shared.clone();
        let renewing = async move {
            let every = Duration::from_millis(renewing.config.lease_renew_ms);
            renewing.lease.run(every, renewing.stop.clone()).await;
        };
        let client = Client { shared };
        let tasks = &client.shared.tasks;
        let abandoning = client.shared.clone().run_abandonments(abandonments);
        tasks.spawn(client.essential("the keeper of the lease", renewing));
        tasks.spawn(client.essential("the abandoner of blocks", abandoning));
        if client.shared.config.compaction {
            let compacting = Compactor::new(client.shared.clone()).run();
            tasks.spawn(client.essential("the compactor", compacting));
            let moving = Mover::new(client.shared.clone()).run();
            tasks.spawn(client.essential("the mover between classes", moving));
        }
        Ok(client)
    }

    /// `work` as a task that this client's process cannot do without: its panic cancels the client's shutdown, and
    /// [`Client::failure`] says why.
    pub fn essential(
        &self,
        name: &'static str,
        work: impl Future<Output = ()> + Send + 'static,
    ) -> impl Future<Output = ()> + Send + 'static {
        self.shared.essential.guard(name, work)
    }

    /// Why this client ended by itself, if it did.
    pub fn failure(&self) -> Option<TaskDied> {
        self.shared.essential.failure()
    }

    /// A writer of one content. `size_hint` is its length where that is known; a wrong one costs speed, not bytes.
    pub fn writer(&self, size_hint: Option<u64>, class: StorageClass) -> ContentWriter {
        ContentWriter::new(self.shared.clone(), size_hint, class)
    }

    /// A reader of the bytes that `read` locates.
    pub fn read(&self, read: ObjectRead) -> ContentReader {
        ContentReader::new(self.shared.clone(), read)
    }

    /// A reader of `length` stored bytes from `offset` of a content, which must have them.
    pub fn read_content(&self, content: ContentId, offset: u64, length: u64) -> ContentReader {
        ContentReader::of_unlocated(self.shared.clone(), content, offset..offset + length)
    }

    /// A reader of `length` bytes from `offset` of a file whose blocks are known; `extents` hold them, in order and without
    /// gaps. It asks nobody for other locations: when all replicas of a block have failed, so has it.
    pub fn read_located(&self, extents: Vec<LocatedExtent>, offset: u64, length: u64) -> ContentReader {
        ContentReader::located(self.shared.clone(), extents, offset, length)
    }

    /// Stops cleanly: finishes what waits in the packers, seals open blocks, gives the lease back. Nothing can be
    /// written afterwards. Namenode and datanodes must outlive this call.
    pub async fn stop(&self) {
        self.shared.stop.cancel();
        self.stopped().await;
    }

    /// Waits for the end of a stop that was asked for by the `shutdown` component.
    pub async fn stopped(&self) {
        self.shared.stop.cancelled().await;
        self.shared.tasks.close();
        self.shared.tasks.wait().await;
        self.shared.lease.close().await;
    }
}
