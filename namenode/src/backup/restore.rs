//! Begins a new group of namenodes, of one peer, with the rows of a file; and reads a stopped peer's files through.
//!
//! Rows are checked twice: by the file's hash while they are read, and by the same hash over what the engine gives back.
//! Then ids are moved on: what was given out after the export and is forgotten now must never be given out again, because
//! datanodes may still hold replicas under it.

use super::file::{self, FileWriter, Summary};
use crate::config::Config;
use crate::engine::{Engine, WriteBatch};
use crate::raft::PeerNode;
use crate::raft::log_store::LogStore;
use crate::raft::machine::{self, is_of_this_peer};
use crate::startup::NamenodeError;
use crate::state;
use std::fs;
use std::io::{self, Read};
use std::path::Path;

/// Rows written at once.
const BATCH_ROWS: usize = 1_000;

/// What a new peer begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Restored {
    /// What was read.
    pub summary: Summary,
    /// The next block that will be allocated.
    pub next_block: u64,
}

/// Fills the empty directory of a cluster of one peer with a file's rows. Blocks on disks.
///
/// # Errors
/// A directory that is not empty, settings of more than one peer, a file that is damaged or of a layout this version does not
/// know. The directory is not to be started then; remove it.
pub fn restore(config: &Config, from: impl Read) -> Result<Restored, NamenodeError> {
    config.validate()?;
    let [peer] = config.peers.as_slice() else {
        return Err(NamenodeError::Config("metadata is imported into one peer; others join it afterwards".to_owned()));
    };
    refuse_used(&config.data)?;
    let directory = config.data.join("state");
    fs::create_dir_all(&directory)?;
    let engine = machine::open_first(&directory, config.engine, &config.engine_config)?;
    let mut batch = WriteBatch::new();
    let mut waiting = 0;
    let summary = file::read(from, |key, value| {
        batch.put(key.to_vec(), value.to_vec());
        waiting += 1;
        if waiting < BATCH_ROWS {
            return Ok(());
        }
        waiting = 0;
        engine.write(std::mem::take(&mut batch)).map_err(io::Error::other)
    })?;
    engine.write(batch)?;
    if !state::check_layout(&*engine)? {
        return Err(NamenodeError::Corrupt("the file holds no formatted cluster".to_owned()));
    }
    let again = hash(&*engine)?;
    if again != summary {
        return Err(NamenodeError::Corrupt("the engine gives back other rows than the file has".to_owned()));
    }
    let (ids, next_block) = state::skip_ids(&*engine)?;
    engine.write(ids)?;
    let node = PeerNode { name: peer.name.clone(), address: peer.address.clone() };
    engine.write(machine::first_of(peer.peer, node))?;
    // The log is empty; the first start takes the rows for a snapshot, and newcomers are sent one.
    engine.sync()?;
    Ok(Restored { summary, next_block })
}

/// Reads a stopped peer's log and state whole, checksums included; the rows' number and hash, as an export would have them.
///
/// # Errors
/// What is damaged.
pub fn verify(config: &Config) -> Result<Summary, NamenodeError> {
    let log = LogStore::open(&config.data.join("raft"), config.raft_log.clone())?;
    log.read_all()?;
    let engine = machine::open_current(&config.data.join("state"), config.engine, &config.engine_config)?;
    state::check_layout(&*engine)?;
    hash(&*engine)
}

fn hash(engine: &dyn Engine) -> Result<Summary, NamenodeError> {
    let mut writer = FileWriter::new(io::sink())?;
    for pair in engine.scan(&[], None) {
        let (key, value) = pair?;
        if !is_of_this_peer(&key) {
            writer.row(&key, &value)?;
        }
    }
    Ok(writer.finish()?.0)
}

fn refuse_used(data: &Path) -> Result<(), NamenodeError> {
    let used = match fs::read_dir(data) {
        Ok(mut entries) => entries.next().is_some(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => false,
        Err(error) => return Err(error.into()),
    };
    if used {
        return Err(NamenodeError::Config(format!(
            "{} is not empty: metadata is imported into a new directory",
            data.display()
        )));
    }
    Ok(fs::create_dir_all(data)?)
}
