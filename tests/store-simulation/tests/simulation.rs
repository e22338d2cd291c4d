//! A few seeds of the real store, and the tests of the tests: what is broken on purpose must be found.

use std::process::{Command, Output};

/// Seeds that a build is tested with; `cargo run --release -p granary-store-simulation -- --seeds 2000` runs more.
const SEEDS: &str = "12";
/// Within so many seeds a broken store must be found.
const FOUND_WITHIN: &str = "200";

fn simulate(arguments: &[&str]) -> (Output, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_granary-store-simulation")).args(arguments).output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(told.contains("seeds=") || told.contains("seed="), "no figures: {output:?}");
    (output, told)
}

#[test]
fn no_seed_finds_anything_in_the_store() {
    let (output, told) = simulate(&["--seeds", SEEDS]);
    assert!(output.status.success(), "{told}");
}

#[test]
fn one_seed_is_one_run() {
    let last_line = |told: &str| told.lines().last().unwrap().to_owned();
    let once = last_line(&simulate(&["--seed", "5"]).1);
    assert!(once.contains("trace="), "{once}");
    assert_eq!(once, last_line(&simulate(&["--seed", "5"]).1));
    assert_ne!(once, last_line(&simulate(&["--seed", "6"]).1));
}

/// Whether a store with this mutation is found out, and by the word of an invariant.
fn is_found(mutation: &str, words: &[&str]) {
    let (output, told) = simulate(&["--seeds", FOUND_WITHIN, "--until-violation", "--mutation", mutation]);
    assert!(!output.status.success(), "{mutation} was not found: {told}");
    assert!(words.iter().any(|word| told.contains(word)), "{mutation} was found for another reason: {told}");
}

#[test]
fn skipped_syncs_are_found() {
    let words = ["has no order", "cannot be read", "is kept, with content", "is not restored", "does not start"];
    is_found("fsync-skipped", &words);
}

#[test]
fn acknowledgements_before_the_replica_are_found() {
    is_found("ack-before-replica", &["has no order", "cannot be read", "is kept, with content", "is not restored"]);
}

#[test]
fn stale_reads_of_a_leader_are_found() {
    is_found("stale-leader-read", &["has no order"]);
}
