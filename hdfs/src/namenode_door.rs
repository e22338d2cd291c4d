//! The Hadoop RPC port of a namenode: every protocol a client may ask of it, behind one listener.

use crate::client_protocol::{ClientProtocol, NamenodeRole};
use crate::cluster_key::ClusterKey;
use crate::config::HdfsConfig;
use crate::datanode_directory::DatanodeDirectory;
use crate::door::FileSystemDoor;
use crate::ha_service::HaService;
use crate::principal::Principals;
use crate::rpc::{RpcProtocol, RpcServer, RpcSettings};
use crate::sealed::Locator;
use crate::user_mappings::{Refresh, UserMappings};
use granary_protocol::CanonicalId;
use granary_protocol::namenode::NamenodeService;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

/// What the door of a namenode stands in front of.
pub struct NamenodeDoor {
    /// Judges calls and carries them out; shared with WebHDFS.
    pub door: Arc<FileSystemDoor>,
    /// Where datanodes are reached; shared with WebHDFS.
    pub datanodes: Arc<DatanodeDirectory>,
    /// Finds the blocks of files; shared with WebHDFS.
    pub locator: Arc<Locator>,
    role: Arc<dyn NamenodeRole>,
    config: Arc<HdfsConfig>,
}

impl NamenodeDoor {
    /// A door beside `namenode`. What nobody of the store owns belongs to `operator`.
    pub fn new<N: NamenodeService + NamenodeRole>(
        namenode: Arc<N>,
        config: HdfsConfig,
        operator: CanonicalId,
    ) -> NamenodeDoor {
        let config = Arc::new(config);
        let service: Arc<dyn NamenodeService> = namenode.clone();
        let principals = Principals::new(service.clone(), config.clone(), operator);
        let door = Arc::new(FileSystemDoor::new(service.clone(), principals));
        let datanodes = Arc::new(DatanodeDirectory::new(service.clone()));
        let locator = Arc::new(Locator::new(door.clone(), datanodes.clone(), ClusterKey::new(service)));
        NamenodeDoor { door, datanodes, locator, role: namenode, config }
    }

    /// The settings.
    pub fn config(&self) -> &Arc<HdfsConfig> {
        &self.config
    }

    /// Opens the RPC port.
    ///
    /// # Errors
    /// The address cannot be had.
    pub async fn listen(&self, address: SocketAddr, settings: RpcSettings) -> io::Result<RpcServer> {
        let (door, role, datanodes) = (self.door.clone(), self.role.clone(), self.datanodes.clone());
        let client = ClientProtocol::new(door, role, datanodes, self.locator.clone());
        let protocols: Vec<Arc<dyn RpcProtocol>> = vec![
            Arc::new(client),
            Arc::new(HaService::new(self.role.clone())),
            Arc::new(UserMappings::new(self.door.clone())),
            Arc::new(Refresh::USER_MAPPINGS),
            Arc::new(Refresh::AUTHORIZATION_POLICY),
        ];
        RpcServer::bind(address, settings, self.config.clone(), protocols).await
    }
}
