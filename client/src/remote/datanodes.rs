//! Finds datanodes: the one in this process directly, every other over one rpc client an address.

use super::failure::{decode, encode, of_call, of_stream};
use super::streams::{RemoteRead, pipeline};
use futures_util::future::BoxFuture;
use granary_protocol::block::DatanodeEndpoint;
use granary_protocol::datanode::{
    DatanodeConnector, DatanodeReply, DatanodeRequest, DatanodeService, ReadBlock, ReadStream, WriteBlock, WriteStream,
    method,
};
use granary_protocol::{DatanodeId, ErrorCode, Failure};
use granary_rpc::{DuplexStream, NodeName, RpcClient, RpcClientConfig, Security};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How long a datanode may take to open a stream or answer a small request. Callers set shorter limits around it.
const OPEN_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a whole replica may take to be verified.
const VERIFY_TIMEOUT: Duration = Duration::from_secs(600);

/// The datanodes of a cluster. Connections are made at the first call and kept.
pub struct RemoteDatanodes {
    security: Security,
    config: RpcClientConfig,
    local: Option<(DatanodeId, Arc<dyn DatanodeService>)>,
    /// By address. As many entries as the cluster ever had datanode addresses.
    known: Mutex<HashMap<String, Arc<RemoteDatanode>>>,
}

impl RemoteDatanodes {
    /// Datanodes over rpc with `config`, except `local`, which is called directly.
    ///
    /// With mutual TLS each peer must prove the name that the namenode knows it by.
    pub fn new(
        security: Security,
        config: RpcClientConfig,
        local: Option<(DatanodeId, Arc<dyn DatanodeService>)>,
    ) -> Self {
        Self { security, config, local, known: Mutex::default() }
    }

    fn connect(&self, datanode: &DatanodeEndpoint) -> Arc<RemoteDatanode> {
        let expected_peer = match &self.security {
            Security::Plaintext | Security::Carried(_) => None,
            Security::MutualTls(_) => NodeName::new(datanode.name.as_str()).ok(),
        };
        let config = RpcClientConfig { expected_peer, ..self.config.clone() };
        let rpc = RpcClient::with_config(datanode.address.as_str(), self.security.clone(), config);
        Arc::new(RemoteDatanode { id: datanode.id, rpc })
    }
}

impl DatanodeConnector for RemoteDatanodes {
    fn datanode(&self, datanode: &DatanodeEndpoint) -> Arc<dyn DatanodeService> {
        if let Some((_, local)) = self.local.as_ref().filter(|(id, _)| *id == datanode.id) {
            return local.clone();
        }
        let mut known = self.known.lock().expect("no code panics while holding this lock");
        if let Some(remote) = known.get(&datanode.address).filter(|remote| remote.id == datanode.id) {
            return remote.clone();
        }
        let remote = self.connect(datanode);
        known.insert(datanode.address.clone(), remote.clone());
        remote
    }
}

/// One datanode behind a socket.
struct RemoteDatanode {
    id: DatanodeId,
    rpc: RpcClient,
}

impl RemoteDatanode {
    /// Opens a stream and waits for the peer to say that it is ready.
    async fn open(&self, method: u16, first: bytes::Bytes) -> Result<DuplexStream, Failure> {
        let mut stream = self.rpc.open_stream(method, first, OPEN_TIMEOUT).await.map_err(of_stream)?;
        match stream.recv(OPEN_TIMEOUT).await.map_err(of_stream)? {
            Some(frame) => decode::<Result<(), Failure>>(&frame)??,
            None => return Err(Failure::new(ErrorCode::Malformed, "the stream ended before it began")),
        }
        Ok(stream)
    }
}

impl DatanodeService for RemoteDatanode {
    fn write(&self, request: WriteBlock) -> BoxFuture<'_, Result<WriteStream, Failure>> {
        Box::pin(async move { Ok(pipeline(self.open(method::WRITE, encode(&request)).await?)) })
    }

    fn read(&self, request: ReadBlock) -> BoxFuture<'_, Result<Box<dyn ReadStream>, Failure>> {
        Box::pin(async move {
            let stream = self.open(method::READ, encode(&request)).await?;
            let read: Box<dyn ReadStream> = Box::new(RemoteRead::new(stream, request.length));
            Ok(read)
        })
    }

    fn call(&self, request: DatanodeRequest) -> BoxFuture<'_, Result<DatanodeReply, Failure>> {
        Box::pin(async move {
            let timeout = match &request {
                DatanodeRequest::Finalize { .. } => OPEN_TIMEOUT,
                DatanodeRequest::Verify { .. } => VERIFY_TIMEOUT,
            };
            let reply = self.rpc.call(method::CALL, encode(&request), timeout).await.map_err(of_call)?;
            decode(&reply)
        })
    }
}
