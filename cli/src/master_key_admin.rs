//! `granary admin master-key`: under which master key the keys of the key store are sealed. No key is ever shown.

use crate::args::{Connection, MasterKeyCommand};
use crate::http_client::AdminClient;
use anyhow::{Context, bail};
use bytes::Bytes;
use granary_protocol::admin::MasterKeyStatus;
use hyper::Method;

const PATH: &str = "/-/granary/v1/master-key";

/// Runs one of the commands. A rotation that leaves a key under another master key fails.
pub async fn run(connection: &Connection, command: MasterKeyCommand) -> anyhow::Result<()> {
    let client = AdminClient::new(connection)?;
    let (method, json) = match command {
        MasterKeyCommand::Status { json } => (Method::GET, json),
        MasterKeyCommand::Rotate { json } => (Method::POST, json),
    };
    let rotates = method == Method::POST;
    let body = client.signed(method, PATH, Bytes::new()).await?;
    let status: MasterKeyStatus = serde_json::from_slice(&body).context("the gateway's answer is not understood")?;
    match json {
        true => println!("{}", serde_json::to_string_pretty(&status)?),
        false => print(&status, rotates),
    }
    if rotates && status.other + status.unknown > 0 {
        bail!(
            "{} keys are not under the current master key: it must not be the only one yet",
            status.other + status.unknown
        );
    }
    Ok(())
}

fn print(status: &MasterKeyStatus, rotates: bool) {
    if rotates {
        println!("keys sealed anew                {}", status.resealed);
    }
    println!("keys under the current key      {}", status.current);
    println!("keys under another of its keys  {}", status.other);
    println!("keys under a key it has not     {}", status.unknown);
}
