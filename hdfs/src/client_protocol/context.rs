//! [`ClientProtocol`]: what every method works with.

use crate::datanode_directory::DatanodeDirectory;
use crate::door::FileSystemDoor;
use crate::exception::{JavaException, RemoteException};
use crate::principal::Principal;
use crate::rpc::Call;
use crate::sealed::Locator;
use crate::translate::BlockView;
use granary_protocol::filesystem::{FsPath, FsReply, FsRequest, RetryId};
use granary_protocol::namenode::{NamenodeReply, NamenodeRequest};
use granary_protocol::{ClusterId, ErrorCode, Failure};
use std::sync::Arc;
use tokio::sync::OnceCell;

/// The namenode peer beside which this protocol is served.
pub trait NamenodeRole: Send + Sync + 'static {
    /// Whether it leads.
    fn is_leader(&self) -> bool;
    /// The last state it has applied.
    fn applied(&self) -> u64;
}

impl NamenodeRole for granary_namenode::service::Namenode {
    fn is_leader(&self) -> bool {
        self.is_leader()
    }

    fn applied(&self) -> u64 {
        self.applied_index()
    }
}

/// Answers `ClientProtocol`.
pub struct ClientProtocol {
    pub(super) door: Arc<FileSystemDoor>,
    pub(super) role: Arc<dyn NamenodeRole>,
    pub(super) datanodes: Arc<DatanodeDirectory>,
    pub(super) locator: Arc<Locator>,
    cluster: OnceCell<ClusterId>,
}

impl ClientProtocol {
    /// The protocol in front of `door`.
    pub fn new(
        door: Arc<FileSystemDoor>,
        role: Arc<dyn NamenodeRole>,
        datanodes: Arc<DatanodeDirectory>,
        locator: Arc<Locator>,
    ) -> ClientProtocol {
        ClientProtocol { door, role, datanodes, locator, cluster: OnceCell::new() }
    }

    /// Who calls.
    pub(super) async fn principal(&self, call: &Call) -> Result<Principal, RemoteException> {
        self.door.principals().resolve(&call.user, call.peer.ip()).await
    }

    /// Sends a request of the file system on the caller's behalf.
    pub(super) async fn ask(&self, call: &Call, request: FsRequest) -> Result<FsReply, RemoteException> {
        let principal = self.principal(call).await?;
        let client = <[u8; 16]>::try_from(call.client_id.as_ref()).ok();
        let retry = client.filter(|_| request.at_most_once()).map(|client| RetryId { client, call: call.call_id });
        self.door.call(&principal, retry, request).await
    }

    /// The same, where the answer is that it was done.
    pub(super) async fn done(&self, call: &Call, request: FsRequest) -> Result<(), RemoteException> {
        match self.ask(call, request).await? {
            FsReply::Done => Ok(()),
            other => Err(unexpected(&other)),
        }
    }

    /// The same, where the answer is yes or no.
    pub(super) async fn flag(&self, call: &Call, request: FsRequest) -> Result<bool, RemoteException> {
        match self.ask(call, request).await? {
            FsReply::Flag(flag) => Ok(flag),
            other => Err(unexpected(&other)),
        }
    }

    /// The superuser's calls.
    pub(super) async fn require_superuser(&self, call: &Call) -> Result<(), RemoteException> {
        let principal = self.principal(call).await?;
        match principal.fs.superuser {
            true => Ok(()),
            false => {
                let message = format!("Access denied for user {}. Superuser privilege is required", principal.fs.user);
                Err(RemoteException::new(JavaException::AccessControl, message))
            }
        }
    }

    /// What blocks are shown with.
    pub(super) async fn view(&self) -> Result<BlockView<'_>, RemoteException> {
        self.datanodes.refresh().await;
        let cluster = self.cluster.get_or_try_init(|| self.cluster_id()).await?;
        Ok(BlockView { cluster, datanodes: &self.datanodes })
    }

    async fn cluster_id(&self) -> Result<ClusterId, RemoteException> {
        match self.door.ask(NamenodeRequest::Status).await? {
            NamenodeReply::Status(status) => Ok(status.cluster),
            _ => Err(internal()),
        }
    }
}

/// A path as a client names it.
pub(super) fn path(text: &str) -> Result<FsPath, RemoteException> {
    FsPath::parse(text)
        .map_err(|_| RemoteException::new(JavaException::InvalidPath, format!("Invalid path name {text}")))
}

/// What Hadoop says of a path that is not there.
pub(super) fn not_found(path: &FsPath) -> RemoteException {
    RemoteException::new(JavaException::FileNotFound, format!("File does not exist: {path}"))
}

/// The namenode answered something else than documented.
pub(super) fn unexpected(reply: &FsReply) -> RemoteException {
    let text = format!("{reply:?}");
    let variant = text.split(['(', '{', ' ']).next().unwrap_or_default();
    Failure::new(ErrorCode::Internal, format!("the namenode answered {variant} to another question")).into()
}

pub(super) fn internal() -> RemoteException {
    Failure::from(ErrorCode::Internal).into()
}
