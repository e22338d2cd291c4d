//! `granary health`: asks a process for its health; what a container's health check runs, as its image has no other
//! program.

use crate::args::{Connection, HealthOptions};
use crate::http_client::AdminClient;
use anyhow::Context;
use bytes::Bytes;
use hyper::Method;
use std::time::Duration;

/// How long the process may take to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(4);

/// Runs the command; an error unless the answer is a success.
pub async fn run(options: HealthOptions) -> anyhow::Result<()> {
    let what = if options.live { "live" } else { "ready" };
    let url = options.url.clone();
    let connection = Connection { endpoint: options.url, ca_file: options.ca_file, region: String::new() };
    let client = AdminClient::new(&connection)?;
    let path = format!("/health/{what}");
    let asked = client.unsigned(Method::GET, &path, Bytes::new());
    tokio::time::timeout(ANSWER_TIMEOUT, asked)
        .await
        .with_context(|| format!("{url} did not answer within {} s", ANSWER_TIMEOUT.as_secs()))??;
    println!("{what}");
    Ok(())
}
