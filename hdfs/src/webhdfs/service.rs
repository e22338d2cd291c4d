//! [`WebHdfs`]: a request's way from its head to whoever answers it.

use super::authenticate::{Authenticated, authenticate};
use super::delegation::DelegationKeys;
use super::error::WebError;
use super::operation::Operation;
use super::request::{PREFIX, WebRequest};
use super::server::Peer;
use super::{data, metadata, mutation, redirect};
use crate::config::HdfsConfig;
use crate::datanode_directory::DatanodeDirectory;
use crate::door::FileSystemDoor;
use crate::principal::Principal;
use crate::sealed::{Locator, SealedReads};
use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use axum::{Extension, Router};
use futures_util::FutureExt;
use granary_client::Client;
use granary_protocol::datanode::DatanodeConnector;
use granary_protocol::filesystem::{FsReply, FsRequest};
use granary_protocol::namenode::{NamenodeReply, NamenodeRequest};
use granary_protocol::{ClusterId, ErrorCode, Failure, UnixMillis};
use http::{StatusCode, header};
use serde_json::Value;
use std::sync::{Arc, OnceLock};
use std::time::{SystemTime, UNIX_EPOCH};

/// Answers WebHDFS.
pub struct WebHdfs {
    pub(super) door: Arc<FileSystemDoor>,
    pub(super) datanodes: Arc<DatanodeDirectory>,
    pub(super) locator: Arc<Locator>,
    pub(super) config: Arc<HdfsConfig>,
    pub(super) delegation: DelegationKeys,
    /// `host:port` of the Hadoop RPC port, as clients are told it.
    pub(super) rpc_address: String,
    /// What reads and writes bytes; without, clients are sent to a datanode.
    pub(super) data: Option<DataSide>,
    cluster: OnceLock<ClusterId>,
}

/// What a datanode's side of WebHDFS moves bytes with.
pub struct DataSide {
    /// Reads, whatever replica dies meanwhile.
    pub client: Client,
    /// Reaches the pipelines of new blocks.
    pub connector: Arc<dyn DatanodeConnector>,
    /// Opens encrypted files.
    pub sealed: Arc<SealedReads>,
    /// This machine, where the first replica of what is written should be.
    pub host: String,
}

impl WebHdfs {
    /// One beside a namenode (without `data`) or a datanode.
    pub fn new(
        door: Arc<FileSystemDoor>,
        datanodes: Arc<DatanodeDirectory>,
        locator: Arc<Locator>,
        config: Arc<HdfsConfig>,
        delegation: DelegationKeys,
        rpc_address: String,
        data: Option<DataSide>,
    ) -> Arc<WebHdfs> {
        Arc::new(WebHdfs { door, datanodes, locator, config, delegation, rpc_address, data, cluster: OnceLock::new() })
    }

    /// What an http port serves below `/webhdfs/v1`. Expects to find a [`Peer`] with each request.
    pub fn router(self: &Arc<Self>) -> Router {
        let service = self.clone();
        let answer = move |Extension(peer): Extension<Peer>, request: Request| {
            let service = service.clone();
            let answered =
                async move { service.answer(peer, request).await.unwrap_or_else(IntoResponse::into_response) };
            answered.boxed()
        };
        // The wildcard takes part in the choice of the route only; the path is taken from the request as it came.
        Router::new()
            .route(PREFIX, any(answer.clone()))
            .route(&format!("{PREFIX}/{{*path}}"), any(answer.clone()))
            .route(&format!("{PREFIX}/"), any(answer))
    }

    async fn answer(self: &Arc<Self>, peer: Peer, request: Request) -> Result<Response, WebError> {
        let (parts, body) = request.into_parts();
        let request = WebRequest::parse(&parts)?;
        let operation = Operation::parse(&parts.method, request.parameters().get("op"))?;
        let who = authenticate(self, peer, &parts.headers, request.parameters()).await?;
        if operation.moves_data() {
            return self.move_data(operation, &who, &request, body).await;
        }
        // Answers about names need nothing of a body.
        drop(body);
        match parts.method.as_str() {
            "GET" => metadata::answer(self, operation, &who, &request).await,
            _ => mutation::answer(self, operation, &who, &request).await,
        }
    }

    async fn move_data(
        self: &Arc<Self>,
        operation: Operation,
        who: &Authenticated,
        request: &WebRequest,
        body: Body,
    ) -> Result<Response, WebError> {
        match &self.data {
            Some(data) => data::answer(self, data, operation, &who.principal, request, body).await,
            None => redirect::answer(self, operation, who, request).await,
        }
    }

    /// Judges and carries out one call of the file system.
    pub(super) async fn call(&self, principal: &Principal, request: FsRequest) -> Result<FsReply, WebError> {
        Ok(self.door.call(principal, None, request).await?)
    }

    /// The time that tokens are judged by.
    pub(super) fn now(&self) -> UnixMillis {
        UnixMillis(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64)
    }

    /// The cluster's name; asked for once.
    pub(super) async fn cluster(&self) -> Result<&ClusterId, WebError> {
        if let Some(cluster) = self.cluster.get() {
            return Ok(cluster);
        }
        match self.door.ask(NamenodeRequest::Status).await? {
            NamenodeReply::Status(status) => Ok(self.cluster.get_or_init(|| status.cluster)),
            _ => Err(unexpected()),
        }
    }
}

/// A reply that is not the one for the request.
pub(super) fn unexpected() -> WebError {
    Failure::new(ErrorCode::Internal, "a reply that does not belong to its request").into()
}

/// An answer as JSON.
pub(super) fn json(value: &Value) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], value.to_string()).into_response()
}

/// Success, with nothing to say.
pub(super) fn done() -> Response {
    (StatusCode::OK, [(header::CONTENT_TYPE, "application/octet-stream"), (header::CONTENT_LENGTH, "0")], Body::empty())
        .into_response()
}

/// Takes the documented variant out of a reply.
macro_rules! reply {
    ($reply:expr, $variant:pat => $value:expr) => {
        match $reply {
            $variant => $value,
            _ => return Err($crate::webhdfs::service::unexpected()),
        }
    };
}

pub(super) use reply;
