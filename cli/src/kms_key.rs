//! `granary admin kms-key`: the keys of SSE-KMS. No key is ever shown.

use crate::args::{Connection, KmsKeyCommand};
use crate::http_client::AdminClient;
use anyhow::Context;
use bytes::Bytes;
use granary_protocol::admin::{KmsKeyList, KmsKeyQuestion};
use hyper::Method;

const PATH: &str = "/-/granary/v1/kms-keys";

/// Runs one of the commands.
pub async fn run(connection: &Connection, command: KmsKeyCommand) -> anyhow::Result<()> {
    let client = AdminClient::new(connection)?;
    match command {
        KmsKeyCommand::Create { name } => {
            ask(&client, Method::POST, &KmsKeyQuestion { name: name.clone(), disabled: false }).await?;
            println!("key {name} was made");
        }
        KmsKeyCommand::List { json } => list(&client, json).await?,
        KmsKeyCommand::Disable { name } => {
            ask(&client, Method::PUT, &KmsKeyQuestion { name: name.clone(), disabled: true }).await?;
            println!("key {name} is disabled; gateways notice within five seconds");
        }
        KmsKeyCommand::Enable { name } => {
            ask(&client, Method::PUT, &KmsKeyQuestion { name: name.clone(), disabled: false }).await?;
            println!("key {name} is enabled; gateways notice within five seconds");
        }
    }
    Ok(())
}

async fn ask(client: &AdminClient, method: Method, question: &KmsKeyQuestion) -> anyhow::Result<()> {
    client.signed(method, PATH, serde_json::to_vec(question)?.into()).await?;
    Ok(())
}

async fn list(client: &AdminClient, json: bool) -> anyhow::Result<()> {
    let body = client.signed(Method::GET, PATH, Bytes::new()).await?;
    if json {
        let value: serde_json::Value = serde_json::from_slice(&body)?;
        println!("{}", serde_json::to_string_pretty(&value)?);
        return Ok(());
    }
    let answer: KmsKeyList = serde_json::from_slice(&body).context("the gateway's answer is not understood")?;
    for key in answer.keys {
        println!("{:<40} {}", key.name, if key.disabled { "disabled" } else { "enabled" });
    }
    Ok(())
}
