//! The http port of a role: metrics for Prometheus, health for whoever restarts processes, and WebHDFS where it is served.
//!
//! `live` says that the process answers; `ready` that it can do its work now.

use crate::config::HttpsConfig;
use anyhow::Context;
use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use granary_gateway::config::TlsFiles;
use granary_gateway::server::tls_acceptor;
use granary_hdfs::webhdfs::{HttpServer, HttpSettings};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// What the port shows.
pub struct RoleReport {
    /// Prometheus text.
    pub metrics: Box<dyn Fn() -> String + Send + Sync>,
    /// `Err` says what is missing.
    pub ready: Box<dyn Fn() -> Result<(), String> + Send + Sync>,
}

impl RoleReport {
    /// The same with more figures behind its own.
    pub fn with_figures(self, more: impl Fn() -> String + Send + Sync + 'static) -> RoleReport {
        let own = self.metrics;
        RoleReport { metrics: Box::new(move || own() + &more()), ready: self.ready }
    }
}

/// Serves `report`, and what `further` routes, at `address` until `shutdown`; returns the bound address.
pub async fn serve(
    address: SocketAddr,
    report: RoleReport,
    further: Router,
    tasks: &TaskTracker,
    shutdown: CancellationToken,
) -> anyhow::Result<SocketAddr> {
    let server = HttpServer::bind(address, HttpSettings::default(), None)
        .await
        .with_context(|| format!("cannot listen on {address}; is another server running?"))?;
    let bound = server.local_addr();
    let report = Arc::new(report);
    let metrics = report.clone();
    let router = Router::new()
        .route("/health/live", get(|| async { "live\n" }))
        .route(
            "/health/ready",
            get(move || {
                let report = report.clone();
                async move { readiness(&report) }
            }),
        )
        .route(
            "/metrics",
            get(move || {
                let metrics = metrics.clone();
                async move { exposition(&metrics) }
            }),
        )
        .merge(further);
    tasks.spawn(server.run(router, shutdown));
    Ok(bound)
}

/// Serves what `further` routes under TLS at `address` until `shutdown`; returns the bound address.
pub async fn serve_tls(
    https: &HttpsConfig,
    further: Router,
    tasks: &TaskTracker,
    shutdown: CancellationToken,
) -> anyhow::Result<SocketAddr> {
    let HttpsConfig { listen, certificate, key } = https;
    let acceptor = tls_acceptor(&TlsFiles { certificate: certificate.clone(), key: key.clone() })?;
    let server = HttpServer::bind(*listen, HttpSettings::default(), Some(acceptor))
        .await
        .with_context(|| format!("cannot listen on {listen}; is another server running?"))?;
    let bound = server.local_addr();
    tasks.spawn(server.run(further, shutdown));
    Ok(bound)
}

fn readiness(report: &RoleReport) -> (StatusCode, String) {
    match (report.ready)() {
        Ok(()) => (StatusCode::OK, "ready\n".to_owned()),
        Err(missing) => (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {missing}\n")),
    }
}

fn exposition(report: &RoleReport) -> impl IntoResponse + use<> {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], (report.metrics)())
}
