//! Opens what a crash left and compares it with what must be there, then brings it to where a new writer can go on.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail, ensure};
use granary_namenode::engine::{Engine, EngineError, EngineKind};
use granary_namenode::raft_log::RaftLog;

use crate::workload::{
    Mode, applied, batch, doomed_entry, engine_dir, entry, log_config, log_dir, open_engine, state_after, state_of,
};

/// How an engine came out of a crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EngineFate {
    /// It held exactly the effect of the first so many commands.
    Prefix {
        /// How many.
        applied: u64,
    },
    /// It could not be opened or read.
    Unusable,
    /// It opened and held something that no prefix of the commands makes.
    Wrong,
}

/// Checks an engine that has no log: everything acknowledged must be in it.
pub fn check_engine(kind: EngineKind, dir: &Path, acked: u64) -> anyhow::Result<u64> {
    let engine = open_engine(kind, dir).context("opening the engine after the crash")?;
    let applied = applied(&*engine)?;
    ensure!(applied >= acked, "{} acknowledged commands are lost: {applied} of {acked}", acked - applied);
    ensure!(state_of(&*engine)? == state_after(applied), "the state is not what the first {applied} commands make");
    Ok(applied)
}

/// Checks log and engine, and replays the log. Fails where an acknowledged command is lost or the log is not whole. What the
/// engine was like before the replay is returned: with [`Mode::LogKept`] a bad engine is removed and rebuilt.
pub fn check_log_and_engine(kind: EngineKind, dir: &Path, mode: Mode, acked: u64) -> anyhow::Result<EngineFate> {
    let mut log = RaftLog::open(&log_dir(dir), log_config()).context("opening the log after the crash")?;
    let commands = check_entries(&mut log, acked)?;
    let fate = judge_engine(kind, dir, commands)?;
    match fate {
        EngineFate::Prefix { applied } => {
            let gap = log.purged_index().is_some_and(|purged| applied <= purged);
            ensure!(!gap, "the engine is at {applied}, but the log is purged to {:?}", log.purged_index());
        }
        EngineFate::Unusable | EngineFate::Wrong if mode == Mode::LogKept => fs::remove_dir_all(engine_dir(dir))?,
        bad => bail!("the engine is {bad:?}"),
    }
    let engine = open_engine(kind, dir)?;
    replay(&*engine, commands)?;
    ensure!(state_of(&*engine)? == state_after(commands), "the state after replaying is not what the commands make");
    Ok(fate)
}

/// Every entry must be the one that was written there. Removes entries that were about to be truncated; returns how many
/// commands the log reaches to.
fn check_entries(log: &mut RaftLog, acked: u64) -> anyhow::Result<u64> {
    let first = log.purged_index().map_or(0, |purged| purged + 1);
    let records = log.read(0..u64::MAX, usize::MAX)?;
    let mut commands = log.next_index();
    for (expected, record) in (first..).zip(&records) {
        if *record == doomed_entry(expected) {
            commands = expected;
            break;
        }
        ensure!(*record == entry(expected), "entry {expected} is not what was written");
    }
    ensure!(commands >= acked, "{} acknowledged entries are lost: {commands} of {acked}", acked - commands);
    for record in &records[usize::try_from(commands - first)?..] {
        ensure!(*record == doomed_entry(record.index), "entry {} came back after its truncation", record.index);
    }
    log.truncate_from(commands)?;
    Ok(commands)
}

fn judge_engine(kind: EngineKind, dir: &Path, commands: u64) -> anyhow::Result<EngineFate> {
    let examined = open_engine(kind, dir).and_then(|engine: Arc<dyn Engine>| {
        let applied = applied(&*engine)?;
        Ok((applied, applied <= commands && state_of(&*engine)? == state_after(applied)))
    });
    match examined {
        Ok((applied, true)) => Ok(EngineFate::Prefix { applied }),
        Ok((_, false)) => Ok(EngineFate::Wrong),
        Err(error @ (EngineError::LayoutVersion { .. } | EngineError::InUse { .. })) => Err(error.into()),
        Err(_) => Ok(EngineFate::Unusable),
    }
}

/// In small steps, as the namenode would.
fn replay(engine: &dyn Engine, commands: u64) -> anyhow::Result<()> {
    let mut done = applied(engine)?;
    while done < commands {
        let until = (done + 1_000).min(commands);
        engine.write(batch(done, until))?;
        done = until;
    }
    Ok(())
}
