//! `granary admin metadata`: copies of the metadata.

use crate::args::{Connection, MetadataCommand, RoleOptions};
use crate::config::{self, NamenodeFile};
use crate::http_client::AdminClient;
use anyhow::{Context, bail};
use bytes::Bytes;
use granary_namenode::backup::{self, file::FileWriter};
use granary_protocol::admin::MetadataPage;
use hyper::Method;
use std::fs::{self, File, OpenOptions};
use std::io::{BufReader, BufWriter, ErrorKind};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Runs the command.
pub async fn run(connection: &Connection, command: MetadataCommand) -> anyhow::Result<()> {
    match command {
        MetadataCommand::Export { file } => export(connection, &file).await,
        MetadataCommand::Import { file, role } => tokio::task::spawn_blocking(move || import(&file, &role)).await?,
        MetadataCommand::Verify { role } => tokio::task::spawn_blocking(move || verify(&role)).await?,
    }
}

async fn export(connection: &Connection, path: &Path) -> anyhow::Result<()> {
    if path.exists() {
        bail!("{} exists already", path.display());
    }
    let unfinished = path.with_extension("unfinished");
    // What an attempt left may be somebody else's to read: the new file is made anew, with its own mode.
    match fs::remove_file(&unfinished) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
        Ok(()) | Err(_) => {}
    }
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished);
    let file = file.with_context(|| format!("creating {}", unfinished.display()))?;
    let mut writer = FileWriter::new(BufWriter::new(file))?;
    let client = AdminClient::new(connection)?;
    let (mut export, mut after) = (0, String::new());
    loop {
        let path = format!("/-/granary/v1/metadata?after={after}&export={export}");
        let page = client.signed(Method::GET, &path, Bytes::new()).await?;
        let page: MetadataPage = postcard::from_bytes(&page).context("the gateway's answer is not understood")?;
        for (key, value) in &page.pairs {
            writer.row(key, value)?;
        }
        if page.last {
            break;
        }
        let (last, _) = page.pairs.last().context("a page without rows that is not the last")?;
        (export, after) = (page.export, hex::encode(last));
    }
    let (summary, file) = writer.finish()?;
    file.into_inner().map_err(|error| error.into_error())?.sync_all()?;
    fs::rename(&unfinished, path)?;
    println!("{} rows, sha256 {}", summary.rows, hex::encode(summary.sha256));
    Ok(())
}

fn import(path: &Path, role: &RoleOptions) -> anyhow::Result<()> {
    let settings: NamenodeFile = config::load(role)?;
    let file = File::open(path).with_context(|| format!("reading {}", path.display()))?;
    let restored = backup::restore(&settings.namenode, BufReader::new(file))
        .with_context(|| format!("importing {}", path.display()))?;
    println!("{} rows, sha256 {}, verified", restored.summary.rows, hex::encode(restored.summary.sha256));
    println!("new blocks begin at {}; start the namenode, then let others join it", restored.next_block);
    Ok(())
}

fn verify(role: &RoleOptions) -> anyhow::Result<()> {
    let settings: NamenodeFile = config::load(role)?;
    let data = settings.namenode.data.clone();
    let summary = backup::verify(&settings.namenode).with_context(|| format!("verifying {}", data.display()))?;
    println!("{} rows, sha256 {}, good", summary.rows, hex::encode(summary.sha256));
    Ok(())
}
