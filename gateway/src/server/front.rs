//! The first decision about a request: the service's own routes, or S3.
//!
//! A router must never interpret an object's key, so S3 requests reach no router. The service's routes are those under
//! `/-/` and `/v1/jobs`, which can be no bucket, and `/health/live`, `/health/ready` and `/metrics` when the request carries no
//! credentials: an unsigned request to one of those three is never S3. Below a virtual-hosted bucket all paths are keys.

use super::body::ResponseBody;
use super::dispatch;
use super::request::RequestBody;
use super::request_facts::Peer;
use super::state::GatewayState;
use crate::admin;
use crate::jobs;
use crate::request::{AddressingStyle, RequestTarget, request_host};
use axum::Router;
use axum::extract::State;
use axum::response::IntoResponse;
use axum::routing::get;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

/// Answers every request of every connection.
#[derive(Clone)]
pub(super) struct Front {
    state: Arc<GatewayState>,
    service: Router,
    link: Link,
}

/// The connection a request came by.
#[derive(Clone, Copy, Default)]
pub(super) struct Link {
    pub(super) peer: Option<Peer>,
    /// Whether nobody can listen to it: it is under TLS, or from this machine.
    pub(super) is_private: bool,
}

const OPEN_PATHS: [&str; 3] = ["/health/live", "/health/ready", "/metrics"];

impl Front {
    pub(super) fn new(state: Arc<GatewayState>) -> Self {
        let service = Router::new()
            .route("/health/live", get(|| async { "live\n" }))
            .route("/health/ready", get(ready))
            .route("/metrics", get(metrics))
            .merge(admin::routes())
            .merge(jobs::routes())
            .fallback(|| async { StatusCode::NOT_FOUND })
            .with_state(state.clone());
        Self { state, service, link: Link::default() }
    }

    /// The same for one connection.
    pub(super) fn for_connection(&self, peer: Option<Peer>, is_private: bool) -> Self {
        Self { link: Link { peer, is_private }, ..self.clone() }
    }
}

impl hyper::service::Service<Request<Incoming>> for Front {
    type Response = Response<ResponseBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        if is_for_service(&self.state, &request) {
            if let Some(peer) = self.link.peer {
                request.extensions_mut().insert(peer);
            }
            let mut service = self.service.clone();
            let request = request.map(|incoming| RequestBody::new(incoming, &self.state));
            return Box::pin(async move {
                let response = tower_service::Service::call(&mut service, request).await?;
                Ok(response.map(ResponseBody::Service))
            });
        }
        let (state, link) = (self.state.clone(), self.link);
        Box::pin(async move { Ok(dispatch::answer(&state, request, link).await) })
    }
}

fn is_for_service(state: &GatewayState, request: &Request<Incoming>) -> bool {
    let path = request.uri().path();
    let reserved = path.starts_with("/-/")
        || jobs::is_job_path(path)
        || (OPEN_PATHS.contains(&path) && !carries_credentials(request));
    reserved && !is_virtual_hosted(state, request)
}

fn carries_credentials(request: &Request<Incoming>) -> bool {
    // Any parameter that could be part of a signature will do: S3 then judges it.
    let query = request.uri().query().unwrap_or_default();
    request.headers().contains_key(AUTHORIZATION) || query.contains("X-Amz-") || query.contains("Signature")
}

fn is_virtual_hosted(state: &GatewayState, request: &Request<Incoming>) -> bool {
    let (parts, ()) = {
        let mut head = Request::new(());
        *head.headers_mut() = request.headers().clone();
        *head.uri_mut() = request.uri().clone();
        head.into_parts()
    };
    let target = request_host(&parts).and_then(|host| RequestTarget::parse(host, "/", &state.domains));
    // A host that names no valid bucket below a domain is S3's to refuse.
    target.map_or(true, |target| target.style == AddressingStyle::VirtualHosted)
}

async fn ready(State(state): State<Arc<GatewayState>>) -> impl IntoResponse {
    match state.readiness.is_ready(&state.client).await {
        true => (StatusCode::OK, "ready\n"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "not ready\n"),
    }
}

async fn metrics(State(state): State<Arc<GatewayState>>) -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/plain; version=0.0.4")], state.metrics.render())
}
