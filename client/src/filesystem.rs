//! The namespace as a file system: calls on behalf of Hadoop's clients.

use crate::client::Client;
use crate::metadata::reply;
use granary_protocol::Failure;
use granary_protocol::filesystem::{FsCall, FsCaller, FsReply, FsRequest};
use granary_protocol::namenode::{NamenodeReply, NamenodeRequest};

impl Client {
    /// [`NamenodeRequest::FileSystem`]: the reply's variant is the one documented at the request's.
    ///
    /// # Errors
    /// The namenode's own, with what a person is told in `detail`.
    pub async fn file_system(&self, call: FsCall) -> Result<FsReply, Failure> {
        let reply = self.call(NamenodeRequest::FileSystem(Box::new(call))).await?;
        reply!(reply, NamenodeReply::FileSystem(reply) => *reply)
    }

    /// [`Client::file_system`] for a call that has no number, as WebHDFS' have none.
    ///
    /// # Errors
    /// As there.
    pub async fn file_system_once(&self, caller: &FsCaller, request: FsRequest) -> Result<FsReply, Failure> {
        self.file_system(FsCall { caller: caller.clone(), retry: None, request }).await
    }
}
