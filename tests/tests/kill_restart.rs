//! kill -9 of the single process at random moments under many writers: what was acknowledged is there and whole, and
//! nothing else is but what was in flight. `GRANARY_KILL_ROUNDS` sets the rounds.

use granary_tests::{Pattern, Server};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const WRITERS: usize = 16;

/// What writers know: key → length of what was acknowledged, and keys that were in flight when the server died.
#[derive(Default)]
struct Known {
    acknowledged: BTreeMap<String, u64>,
    in_flight: BTreeSet<String>,
}

fn length_of(number: u64) -> u64 {
    // Mostly small, some that fill packed blocks quickly, a few that own their blocks.
    match number % 40 {
        0 => 9 << 20,
        1..=3 => 1 << 20,
        n => 100 * n,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_objects_survive_kill_9() {
    let rounds: u64 = std::env::var("GRANARY_KILL_ROUNDS").ok().map_or(6, |rounds| rounds.parse().unwrap());
    let directory = tempfile::tempdir().unwrap();
    let mut server = Server::start(&[directory.path()]).await.unwrap();
    server.s3().create_bucket("kept").await.unwrap();
    let known = Arc::new(Mutex::new(Known::default()));
    for round in 0..rounds {
        let stop = Arc::new(AtomicBool::new(false));
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| tokio::spawn(write(server.s3(), round, writer as u64, known.clone(), stop.clone())))
            .collect();
        tokio::time::sleep(Duration::from_millis(400 + (round * 7919) % 900)).await;
        server.kill().unwrap();
        stop.store(true, Ordering::Relaxed);
        for writer in writers {
            writer.await.unwrap();
        }
        let took = server.restart().await.unwrap();
        println!("round {round}: answers {took:?} after its start");
        check(&server, &known, round).await;
    }
    let count = known.lock().unwrap().acknowledged.len();
    println!("{rounds} rounds, {count} acknowledged objects, 0 lost, 0 torn");
}

async fn write(mut s3: granary_tests::S3, round: u64, writer: u64, known: Arc<Mutex<Known>>, stop: Arc<AtomicBool>) {
    let mut number = 0;
    while !stop.load(Ordering::Relaxed) {
        let key = format!("r{round}/w{writer}/{number}");
        let length = length_of(writer + number * WRITERS as u64);
        let pattern = Pattern(seed(&key));
        known.lock().unwrap().in_flight.insert(key.clone());
        let answer = s3.put("kept", &key, pattern.bytes(0, length as usize)).await;
        match answer {
            Ok(answer) if answer.status.is_success() => {
                let mut known = known.lock().unwrap();
                known.in_flight.remove(&key);
                known.acknowledged.insert(key, length);
            }
            // Refused or cut off: it may or may not be there, but never in half.
            Ok(_) | Err(_) => return,
        }
        number += 1;
    }
}

async fn check(server: &Server, known: &Mutex<Known>, round: u64) {
    let (acknowledged, in_flight) = {
        let known = known.lock().unwrap();
        (known.acknowledged.clone(), known.in_flight.clone())
    };
    let mut s3 = server.s3();
    let listed = s3.list_all("kept", "").await.unwrap();
    let mut sorted = listed.clone();
    sorted.sort();
    sorted.dedup();
    assert_eq!(listed, sorted, "round {round}: the listing is in order and without repetition");
    let listed: BTreeSet<String> = listed.into_iter().collect();
    for key in acknowledged.keys() {
        assert!(listed.contains(key), "round {round}: {key} was acknowledged and is not listed");
    }
    for key in &listed {
        assert!(acknowledged.contains_key(key) || in_flight.contains(key), "round {round}: nobody wrote {key}");
    }
    // What was written this round is read whole each time; at the end of many rounds everything has been.
    let this_round = format!("r{round}/");
    for key in listed.iter().filter(|key| key.starts_with(&this_round) || round % 5 == 4) {
        let number = key_number(key);
        s3.check_pattern("kept", key, Pattern(seed(key)), length_of(number), |_| {}).await.unwrap();
    }
}

fn key_number(key: &str) -> u64 {
    let mut parts = key.split('/').skip(1);
    let writer: u64 = parts.next().unwrap()[1..].parse().unwrap();
    let number: u64 = parts.next().unwrap().parse().unwrap();
    writer + number * WRITERS as u64
}

/// FNV-1a of the key.
fn seed(key: &str) -> u64 {
    key.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}
