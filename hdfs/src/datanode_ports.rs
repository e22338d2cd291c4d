//! The ports that a datanode opens for Hadoop clients: DataTransferProtocol (9866) and ClientDatanodeProtocol (9867).

use crate::config::HdfsConfig;
use crate::datanode_protocol::DatanodeProtocol;
use crate::rpc::{RpcServer, RpcSettings};
use crate::sealed::SealedReads;
use crate::transfer::{KnownDatanodes, TransferServer, TransferSettings};
use granary_datanode::Datanode;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// Both ports, listening.
pub struct DatanodePorts {
    transfer: TransferServer,
    ipc: RpcServer,
}

impl DatanodePorts {
    /// Opens both. Port 0 takes a free one.
    ///
    /// # Errors
    /// An address cannot be had.
    pub async fn bind(
        transfer: SocketAddr,
        ipc: SocketAddr,
        config: Arc<HdfsConfig>,
        datanode: Arc<Datanode>,
        known: Arc<dyn KnownDatanodes>,
        sealed: Arc<SealedReads>,
    ) -> io::Result<DatanodePorts> {
        let protocol = Arc::new(DatanodeProtocol::new(datanode.clone()));
        let ipc = RpcServer::bind(ipc, RpcSettings::default(), config.clone(), vec![protocol]).await?;
        let transfer =
            TransferServer::bind(transfer, TransferSettings::default(), config, datanode, known, sealed).await?;
        Ok(DatanodePorts { transfer, ipc })
    }

    /// Where blocks are read and written.
    pub fn transfer_address(&self) -> SocketAddr {
        self.transfer.local_addr()
    }

    /// Where the length of a block being written is asked for.
    pub fn ipc_address(&self) -> SocketAddr {
        self.ipc.local_addr()
    }

    /// Serves both until told to stop; then ends every connection.
    pub async fn run(self, shutdown: CancellationToken) {
        tokio::join!(self.transfer.run(shutdown.clone()), self.ipc.run(shutdown));
    }
}
