//! `ClientDatanodeProtocol`: what a datanode answers on its IPC port (9867).
//!
//! A reader of a file that is being written asks here how much of the last block it may read; the rest is for
//! administrators, or belongs to ways of reading that this store does not offer.

use crate::exception::{JavaException, RemoteException};
use crate::proto::ExtendedBlock;
use crate::rpc::{Call, RpcProtocol, decode, encode, unknown_method};
use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use granary_datanode::Datanode;
use granary_protocol::{BlockId, GenerationStamp};
use std::sync::Arc;
use std::time::Instant;

const NAME: &str = "org.apache.hadoop.hdfs.protocol.ClientDatanodeProtocol";

/// `GetReplicaVisibleLengthRequestProto`.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
struct GetReplicaVisibleLengthRequest {
    #[prost(message, required, tag = "1")]
    block: ExtendedBlock,
}

/// `GetReplicaVisibleLengthResponseProto`.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
struct GetReplicaVisibleLengthResponse {
    #[prost(uint64, required, tag = "1")]
    length: u64,
}

/// `GetDatanodeInfoResponseProto`.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
struct GetDatanodeInfoResponse {
    #[prost(message, required, tag = "1")]
    local_info: DatanodeLocalInfo,
}

/// `DatanodeLocalInfoProto`.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
struct DatanodeLocalInfo {
    #[prost(string, required, tag = "1")]
    software_version: String,
    #[prost(string, required, tag = "2")]
    config_version: String,
    /// Seconds.
    #[prost(uint64, required, tag = "3")]
    uptime: u64,
}

/// The response of calls that answer nothing.
#[derive(Clone, Copy, PartialEq, Eq, Hash, prost::Message)]
struct Nothing {}

/// Answers for one datanode.
pub struct DatanodeProtocol {
    datanode: Arc<Datanode>,
    started: Instant,
}

impl DatanodeProtocol {
    /// Answers for `datanode`.
    pub fn new(datanode: Arc<Datanode>) -> DatanodeProtocol {
        DatanodeProtocol { datanode, started: Instant::now() }
    }

    fn answer(&self, call: &Call, method: &str, parameters: Bytes) -> Result<Vec<u8>, RemoteException> {
        match method {
            "getReplicaVisibleLength" => self.visible_length(decode(parameters)?),
            "getDatanodeInfo" => {
                let local_info = DatanodeLocalInfo {
                    software_version: env!("CARGO_PKG_VERSION").to_owned(),
                    config_version: "core-default,hdfs-default".to_owned(),
                    uptime: self.started.elapsed().as_secs(),
                };
                Ok(encode(&GetDatanodeInfoResponse { local_info }))
            }
            // Namenodes are told of by the configuration, and of changes by themselves: there is nothing to refresh.
            "refreshNamenodes" | "triggerBlockReport" => Ok(encode(&Nothing {})),
            "getBlockLocalPathInfo" => {
                let message = format!(
                    "Can't continue with getBlockLocalPathInfo() authorization. The user {} is not configured in \
                     dfs.block.local-path-access.user",
                    call.user.name
                );
                Err(RemoteException::new(JavaException::AccessControl, message))
            }
            _ => Err(unknown_method(NAME, method)),
        }
    }

    fn visible_length(&self, request: GetReplicaVisibleLengthRequest) -> Result<Vec<u8>, RemoteException> {
        let block = request.block;
        let visible = self.datanode.visible_bytes(BlockId(block.block_id), GenerationStamp(block.generation_stamp));
        // Of a block that was just allocated no datanode may have a replica yet: a reader takes this for no bytes.
        let missing = |_| {
            let message = format!("Replica not found for {}_{}", block.block_id, block.generation_stamp);
            RemoteException::new(JavaException::ReplicaNotFound, message)
        };
        Ok(encode(&GetReplicaVisibleLengthResponse { length: visible.map_err(missing)?.into() }))
    }
}

impl RpcProtocol for DatanodeProtocol {
    fn name(&self) -> &'static str {
        NAME
    }

    fn call<'a>(
        &'a self,
        call: &'a Call,
        method: &'a str,
        parameters: Bytes,
    ) -> BoxFuture<'a, Result<Vec<u8>, RemoteException>> {
        std::future::ready(self.answer(call, method, parameters)).boxed()
    }
}
