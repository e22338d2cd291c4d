//! `kill -9` of the writer, again and again over the same directory.

use std::time::Duration;

use granary_namenode::engine::EngineKind;

use crate::verify::{EngineFate, check_engine, check_log_and_engine};
use crate::workload::{Mode, mix};
use crate::writer::Writer;

fn rounds() -> u64 {
    std::env::var("GRANARY_CRASH_ROUNDS").map_or(3, |rounds| rounds.parse().unwrap())
}

/// Between 20 and 520 batches a round, so that kills fall on flushes, truncations and purges too.
fn batches(round: u64) -> u64 {
    20 + mix(round) % 500
}

/// Without it every kill would hit the writer just behind an acknowledgement.
fn moment(round: u64) -> Duration {
    Duration::from_micros(mix(!round) % 5_000)
}

fn kill_at(mut writer: Writer, moment: Duration) -> u64 {
    std::thread::sleep(moment);
    writer.kill();
    writer.acked
}

fn log_and_engine_survive(kind: EngineKind) {
    let dir = tempfile::tempdir().unwrap();
    let mut acked = 0;
    for round in 0..rounds() {
        let mut writer = Writer::start(Mode::LogPurged, kind, dir.path());
        writer.wait_for_batches(batches(round));
        acked = kill_at(writer, moment(round)).max(acked);
        let fate = check_log_and_engine(kind, dir.path(), Mode::LogPurged, acked)
            .unwrap_or_else(|error| panic!("{kind}, round {round}, {acked} acknowledged: {error:#}"));
        assert!(matches!(fate, EngineFate::Prefix { .. }));
    }
    println!("{kind} with log: {} kills, {acked} commands acknowledged, 0 lost", rounds());
}

fn engine_alone_survives(kind: EngineKind) {
    let dir = tempfile::tempdir().unwrap();
    let mut acked = 0;
    for round in 0..rounds() {
        let mut writer = Writer::start(Mode::EngineAlone, kind, dir.path());
        writer.wait_for_batches(batches(round) / 4);
        acked = kill_at(writer, moment(round)).max(acked);
        check_engine(kind, dir.path(), acked)
            .unwrap_or_else(|error| panic!("{kind}, round {round}, {acked} acknowledged: {error:#}"));
    }
    println!("{kind} alone: {} kills, {acked} commands acknowledged, 0 lost", rounds());
}

#[test]
fn fjall_with_the_log_survives_kill() {
    log_and_engine_survive(EngineKind::Fjall);
}

#[test]
fn sled_with_the_log_survives_kill() {
    log_and_engine_survive(EngineKind::Sled);
}

#[test]
fn fjall_alone_survives_kill() {
    engine_alone_survives(EngineKind::Fjall);
}

#[test]
fn sled_alone_survives_kill() {
    engine_alone_survives(EngineKind::Sled);
}
