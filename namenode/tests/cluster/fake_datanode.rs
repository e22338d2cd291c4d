//! A datanode that says what a datanode says, and stores nothing.

use crate::peers::{Cluster, ask, security};
use granary_protocol::block::{DatanodeEndpoint, Media};
use granary_protocol::namenode::{DatanodeCommand, NamenodeReply, NamenodeRequest, ReplicaReport, VolumeReport};
use granary_protocol::{DatanodeId, Failure, VolumeId};
use granary_rpc::{RpcClient, Security};

pub struct FakeDatanode {
    number: u64,
    clients: Vec<RpcClient>,
}

impl FakeDatanode {
    pub fn new(cluster: &Cluster, number: u64) -> FakeDatanode {
        let security = security(&cluster.authority, &format!("datanode-{number}"), &["datanode"]);
        FakeDatanode::with_security(cluster, number, security)
    }

    pub fn with_security(cluster: &Cluster, number: u64, security: Security) -> FakeDatanode {
        let connect = |at| RpcClient::new(cluster.address(at), security.clone());
        FakeDatanode { number, clients: (0..cluster.configs.len()).map(connect).collect() }
    }

    pub fn id(&self) -> DatanodeId {
        DatanodeId(self.number)
    }

    pub fn volume(&self) -> VolumeId {
        VolumeId(self.number * 10)
    }

    pub fn endpoint(&self) -> DatanodeEndpoint {
        DatanodeEndpoint {
            id: self.id(),
            name: format!("datanode-{}", self.number).into(),
            host: format!("host-{}", self.number),
            address: format!("127.0.0.1:{}", self.number),
            http: String::new(),
            rack: "/rack-1".into(),
        }
    }

    pub fn volumes(&self) -> Vec<VolumeReport> {
        vec![VolumeReport {
            volume: self.volume(),
            path: "/nowhere".to_owned(),
            media: Media::Disk,
            capacity_bytes: 1 << 40,
            free_bytes: 1 << 40,
            used_bytes: 0,
            replicas: 0,
            failed: None,
            wait_ms: 0,
        }]
    }

    pub async fn ask(&self, at: usize, request: NamenodeRequest) -> Result<NamenodeReply, Failure> {
        ask(&self.clients[at], request).await
    }

    pub async fn register(&self, at: usize) {
        let request = NamenodeRequest::RegisterDatanode { datanode: self.endpoint(), volumes: self.volumes() };
        let reply = self.ask(at, request).await.unwrap();
        assert!(matches!(reply, NamenodeReply::Registered { .. }));
    }

    /// Commands, or `None` when it must register.
    pub async fn heartbeat(&self, at: usize) -> Option<Vec<DatanodeCommand>> {
        let request = NamenodeRequest::Heartbeat { datanode: self.id(), volumes: self.volumes() };
        match self.ask(at, request).await.unwrap() {
            NamenodeReply::Heartbeat { commands, register_again, .. } => (!register_again).then_some(commands),
            other => panic!("{other:?}"),
        }
    }

    pub async fn report(&self, at: usize, replicas: Vec<ReplicaReport>) -> Result<NamenodeReply, Failure> {
        let (datanode, volume) = (self.id(), self.volume());
        self.ask(at, NamenodeRequest::BlockReport { datanode, volume, report: 1, page: 0, last: true, replicas }).await
    }
}
