//! `GetUserMappingsProtocol` and `RefreshUserMappingsProtocol`: which groups a user is in, as this namenode resolves them.
//!
//! Source: `GetUserMappingsProtocol.proto`, `RefreshUserMappingsProtocol.proto`, Hadoop 3.5.

use crate::client_protocol::{GetGroupsForUserRequest, GetGroupsForUserResponse};
use crate::door::FileSystemDoor;
use crate::exception::{JavaException, RemoteException};
use crate::rpc::{Call, RpcProtocol, decode, encode, unknown_method};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use std::sync::Arc;

const GET: &str = "org.apache.hadoop.tools.GetUserMappingsProtocol";
const REFRESH: &str = "org.apache.hadoop.security.RefreshUserMappingsProtocol";
const REFRESH_POLICY: &str = "org.apache.hadoop.security.authorize.RefreshAuthorizationPolicyProtocol";

/// Answers `GetUserMappingsProtocol`: `hdfs groups`.
pub struct UserMappings {
    door: Arc<FileSystemDoor>,
}

impl UserMappings {
    /// The protocol with the door's view of users.
    pub fn new(door: Arc<FileSystemDoor>) -> UserMappings {
        UserMappings { door }
    }
}

impl RpcProtocol for UserMappings {
    fn name(&self) -> &'static str {
        GET
    }

    fn call<'a>(
        &'a self,
        _call: &'a Call,
        method: &'a str,
        parameters: Bytes,
    ) -> BoxFuture<'a, Result<Vec<u8>, RemoteException>> {
        Box::pin(async move {
            match method {
                "getGroupsForUser" => {
                    let request: GetGroupsForUserRequest = decode(parameters)?;
                    let groups = self.door.principals().groups(&request.user).await?;
                    Ok(encode(&GetGroupsForUserResponse { groups }))
                }
                _ => Err(unknown_method(GET, method)),
            }
        })
    }
}

/// Refuses what asks a namenode to read its settings again: groups and policies are never older than a second here, and
/// settings are read when a process starts.
pub struct Refresh {
    name: &'static str,
}

impl Refresh {
    /// `RefreshUserMappingsProtocol`.
    pub const USER_MAPPINGS: Refresh = Refresh { name: REFRESH };
    /// `RefreshAuthorizationPolicyProtocol`.
    pub const AUTHORIZATION_POLICY: Refresh = Refresh { name: REFRESH_POLICY };
}

impl RpcProtocol for Refresh {
    fn name(&self) -> &'static str {
        self.name
    }

    fn call<'a>(
        &'a self,
        _call: &'a Call,
        _method: &'a str,
        _parameters: Bytes,
    ) -> BoxFuture<'a, Result<Vec<u8>, RemoteException>> {
        let message = "Nothing needs to be refreshed: groups and policies are read again every second, settings when the \
                       process starts";
        Box::pin(std::future::ready(Err(RemoteException::new(JavaException::UnsupportedOperation, message))))
    }
}
