//! `granary admin archive-target`: where the blocks of archived classes go, and how far they are.

use crate::admin::{bytes, delete, encode, get, print_json, send};
use crate::args::{ArchiveTargetCommand, ArchiveTargetOptions, Connection};
use anyhow::{Context, bail};
use granary_protocol::admin::{ArchiveTargetDescription, ArchiveTargetList, ArchiveTargetQuestion};
use hyper::Method;

const PATH: &str = "archive-targets";
/// Where the secret key of a target is taken from, unless a file is named.
const SECRET_KEY_VARIABLE: &str = "GRANARY_ARCHIVE_SECRET_KEY";

/// Runs one of the commands.
pub async fn run(connection: &Connection, command: ArchiveTargetCommand) -> anyhow::Result<()> {
    match command {
        ArchiveTargetCommand::Set(options) => {
            let class = options.class.clone();
            send::<_, ()>(connection, Method::PUT, PATH, &question(options)?).await?;
            println!(
                "blocks of {class} go there from now on; `granary admin archive-target list` shows how far they are"
            );
        }
        ArchiveTargetCommand::List { json } => list(connection, json).await?,
        ArchiveTargetCommand::Remove { class } => {
            delete(connection, &format!("{PATH}?class={}", encode(&class))).await?;
            println!("what is there returns; the target is forgotten once nothing is left");
        }
    }
    Ok(())
}

fn question(options: ArchiveTargetOptions) -> anyhow::Result<ArchiveTargetQuestion> {
    let secret_key = match &options.secret_key_file {
        Some(path) => std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?,
        None => std::env::var(SECRET_KEY_VARIABLE)
            .with_context(|| format!("name a --secret-key-file, or set {SECRET_KEY_VARIABLE}"))?,
    };
    let secret_key = secret_key.trim().to_owned();
    if secret_key.is_empty() {
        bail!("the secret key is empty");
    }
    let ca_pem = match &options.authority_file {
        Some(path) => std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?,
        None => String::new(),
    };
    Ok(ArchiveTargetQuestion {
        class: options.class,
        endpoint: options.to,
        bucket: options.bucket,
        prefix: options.prefix,
        region: options.target_region,
        access_key: options.access_key,
        secret_key,
        ca_pem,
        unchecked: options.unchecked,
    })
}

async fn list(connection: &Connection, json: bool) -> anyhow::Result<()> {
    let (body, answer): (_, ArchiveTargetList) = get(connection, PATH).await?;
    if json {
        return print_json(&body);
    }
    if answer.targets.is_empty() {
        println!("no class has an archive target");
    }
    answer.targets.iter().for_each(print_target);
    Ok(())
}

/// The targets, for other reports; nothing where there are none.
pub async fn print_all(connection: &Connection) -> anyhow::Result<()> {
    let (_, answer): (_, ArchiveTargetList) = get(connection, PATH).await?;
    answer.targets.iter().for_each(print_target);
    Ok(())
}

fn print_target(target: &ArchiveTargetDescription) {
    let returning = if target.returning { ", being emptied" } else { "" };
    println!("{} is kept at {} in {}/{}{returning}", target.class, target.endpoint, target.bucket, target.prefix);
    println!("  {} blocks there ({}), {} of them here as well", target.blocks, bytes(target.bytes), target.here_too);
    println!("  {} blocks wait to be sent ({})", target.waiting, bytes(target.waiting_bytes));
    println!("  {} blocks wait to be fetched ({})", target.wanted, bytes(target.wanted_bytes));
    println!("  {} objects wait to be deleted there", target.garbage);
    for failure in &target.failures {
        println!("  FAILED {} times: block {}: {}", failure.attempts, failure.block, failure.what);
    }
}
