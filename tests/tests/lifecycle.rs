//! Objects age by their bucket's rules: STANDARD, STANDARD_IA, GLACIER, gone; readable, byte for byte, until they are
//! archived. Archived objects come back for a while when they are restored.
//!
//! `GRANARY_LIFECYCLE_ROUNDS` sets how often the cluster test kills a process in the middle of transitions (default 2).

use bytes::Bytes;
use granary_tests::{Answer, MiniCluster, MiniClusterOptions, Pattern, S3, Server, eventually};
use http::{Method, StatusCode};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// Packed in one record; owned blocks; nothing at all.
const SIZES: [u64; 4] = [0, 700, 300_000, 9 << 20];
const PATIENCE: Duration = Duration::from_secs(240);

async fn put_rules(s3: &mut S3, bucket: &str, rules: &str) {
    let body = format!("<LifecycleConfiguration>{rules}</LifecycleConfiguration>");
    let digest = crc32(body.as_bytes());
    let headers = [("x-amz-checksum-crc32", digest.as_str())];
    let query = [("lifecycle", "")];
    s3.send_with(Method::PUT, &format!("/{bucket}"), &query, &headers, body.into()).await.unwrap().ok().unwrap();
}

/// What the configuration of a bucket must be sent with.
fn crc32(body: &[u8]) -> String {
    use base64::Engine as _;
    let sum = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32IsoHdlc, body) as u32;
    base64::prelude::BASE64_STANDARD.encode(sum.to_be_bytes())
}

fn rule(actions: &str) -> String {
    format!("<Rule><ID>age</ID><Filter/><Status>Enabled</Status>{actions}</Rule>")
}

fn transition(days: u64, class: &str) -> String {
    format!("<Transition><Days>{days}</Days><StorageClass>{class}</StorageClass></Transition>")
}

/// Keys and classes, as a listing shows them.
async fn classes(s3: &mut S3, bucket: &str) -> anyhow::Result<BTreeMap<String, String>> {
    let answer = s3.send(Method::GET, &format!("/{bucket}"), &[("list-type", "2")], Bytes::new()).await?.ok()?;
    Ok(answer.elements("Key").into_iter().zip(answer.elements("StorageClass")).collect())
}

/// A listing that is refused while a leader is elected is asked for again.
async fn until_all_are(s3: &mut S3, bucket: &str, class: &str) {
    let deadline = std::time::Instant::now() + PATIENCE;
    loop {
        let found = classes(s3, bucket).await;
        if found.as_ref().is_ok_and(|found| found.values().all(|found| found == class)) {
            return;
        }
        assert!(std::time::Instant::now() < deadline, "waited for {class}: {found:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Reads everything again and again; what is archived or gone is told from what is wrong.
async fn read_until(mut s3: S3, stop: Arc<AtomicBool>, reads: Arc<AtomicU64>) {
    while !stop.load(Ordering::Relaxed) {
        for (seed, size) in SIZES.into_iter().enumerate() {
            let answer = s3.get("aging", &format!("d/{seed}")).await.unwrap();
            match answer.status {
                StatusCode::OK => {
                    assert_eq!(answer.body.len() as u64, size);
                    assert_eq!(Pattern(seed as u64).mismatch(0, &answer.body), None);
                    reads.fetch_add(1, Ordering::Relaxed);
                }
                StatusCode::FORBIDDEN => assert_eq!(answer.element("Code").as_deref(), Some("InvalidObjectState")),
                StatusCode::NOT_FOUND => {}
                other => panic!("{other}: {answer:?}"),
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn objects_age_and_are_read_all_the_while() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start_with(&[directory.path()], &["--lifecycle-day-seconds", "3"]).await.unwrap();
    let mut s3 = server.s3();
    s3.create_bucket("aging").await.unwrap();
    for (seed, size) in SIZES.into_iter().enumerate() {
        s3.put_pattern("aging", &format!("d/{seed}"), Pattern(seed as u64), size, |_| {}).await.unwrap().ok().unwrap();
    }
    let (stop, reads) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let reader = tokio::spawn(read_until(server.s3(), stop.clone(), reads.clone()));
    put_rules(&mut s3, "aging", &rule(&transition(1, "STANDARD_IA"))).await;
    until_all_are(&mut s3, "aging", "STANDARD_IA").await;
    eventually("records to be in blocks of their class", PATIENCE, || async {
        let status = server.admin(&["lifecycle", "status"]).map_err(|error| error.to_string())?;
        if status["moves_waiting"] == 0 { Ok(()) } else { Err(status.to_string()) }
    })
    .await;
    put_rules(&mut s3, "aging", &rule(&(transition(1, "STANDARD_IA") + &transition(3, "GLACIER")))).await;
    until_all_are(&mut s3, "aging", "GLACIER").await;
    assert_eq!(s3.get("aging", "d/1").await.unwrap().element("StorageClass").as_deref(), Some("GLACIER"));
    let copied =
        s3.send_with(Method::PUT, "/aging/copy", &[], &[("x-amz-copy-source", "/aging/d/1")], Bytes::new()).await;
    assert_eq!(copied.unwrap().element("Code").as_deref(), Some("InvalidObjectState"));
    restore_and_read(&mut s3).await;
    put_rules(&mut s3, "aging", &rule("<Expiration><Days>1</Days></Expiration>")).await;
    eventually("everything to expire and its space to come back", PATIENCE, || async {
        let status = server.admin(&["status"]).map_err(|error| error.to_string())?;
        if status["objects"] == 0 { Ok(()) } else { Err(status["objects"].to_string()) }
    })
    .await;
    stop.store(true, Ordering::Relaxed);
    reader.await.unwrap();
    assert!(reads.load(Ordering::Relaxed) > 0);
    println!("{} reads while objects aged", reads.load(Ordering::Relaxed));
}

/// 202, readable after its tier's delay; 403 again when its days, which a second request shortens, are over.
async fn restore_and_read(s3: &mut S3) {
    let body = "<RestoreRequest><Days>100</Days><Tier>Expedited</Tier></RestoreRequest>";
    let answer = s3.send(Method::POST, "/aging/d/2", &[("restore", "")], body.into()).await.unwrap();
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{answer:?}");
    let read = eventually_status(s3, StatusCode::OK).await;
    assert_eq!(Pattern(2).mismatch(0, &read.body), None);
    let shown = read.headers["x-amz-restore"].to_str().unwrap();
    assert!(shown.starts_with("ongoing-request=\"false\", expiry-date="), "{shown}");
    let asked = [("x-amz-optional-object-attributes", "RestoreStatus")];
    let listed = s3.send_with(Method::GET, "/aging", &[("list-type", "2")], &asked, Bytes::new()).await.unwrap();
    assert_eq!(listed.elements("IsRestoreInProgress"), ["false"]);
    let body = "<RestoreRequest><Days>1</Days><Tier>Expedited</Tier></RestoreRequest>";
    let again = s3.send(Method::POST, "/aging/d/2", &[("restore", "")], body.into()).await.unwrap();
    assert_eq!(again.status, StatusCode::OK);
    eventually_status(s3, StatusCode::FORBIDDEN).await;
}

async fn eventually_status(s3: &mut S3, wanted: StatusCode) -> Answer {
    let deadline = std::time::Instant::now() + PATIENCE;
    loop {
        let answer = s3.get("aging", "d/2").await.unwrap();
        if answer.status == wanted {
            return answer;
        }
        assert!(std::time::Instant::now() < deadline, "waited for {wanted}: {answer:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Numbers that look random and are the same in every run of the same seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_die_in_the_middle_of_transitions() {
    const OBJECTS: u64 = 24;
    let rounds: u64 = std::env::var("GRANARY_LIFECYCLE_ROUNDS").ok().map_or(2, |rounds| rounds.parse().unwrap());
    let seed: u64 = std::env::var("GRANARY_SEED").ok().map_or(20_261_121, |seed| seed.parse().unwrap());
    println!("GRANARY_SEED={seed}");
    let mut dice = Dice(seed);
    let options = MiniClusterOptions { namenodes: 3, datanodes: 4, gateways: 2, racks: 2 };
    let cluster = MiniCluster::start_with(options, &[("GRANARY_LIFECYCLE_DAY_SECONDS", "2")]).unwrap();
    let mut s3 = cluster.s3().unwrap();
    for round in 0..rounds {
        let bucket = format!("round-{round}");
        s3.create_bucket(&bucket).await.unwrap();
        let size = |number: u64| if number.is_multiple_of(8) { 9 << 20 } else { 1_000 + number * 3_000 };
        for number in 0..OBJECTS {
            let put = s3.put_pattern(&bucket, &number.to_string(), Pattern(number), size(number), |_| {}).await;
            put.unwrap().ok().unwrap();
        }
        put_rules(&mut s3, &bucket, &rule(&transition(1, "STANDARD_IA"))).await;
        tokio::time::sleep(Duration::from_millis(dice.roll(3_000))).await;
        let victim = match dice.roll(3) {
            0 => cluster.leader().unwrap(),
            // The first gateway serves this test; the other's mover is as good a victim.
            1 => cluster.file().unwrap().gateways[1].name.clone(),
            _ => format!("datanode-{}", 1 + dice.roll(4)),
        };
        cluster.kill(&victim).unwrap();
        println!("round {round}: {victim} was killed");
        tokio::time::sleep(Duration::from_millis(dice.roll(2_000))).await;
        cluster.restart(&victim).unwrap();
        until_all_are(&mut s3, &bucket, "STANDARD_IA").await;
        until_nothing_waits(&cluster).await;
        for number in 0..OBJECTS {
            let key = number.to_string();
            s3.check_pattern(&bucket, &key, Pattern(number), size(number), |_| {}).await.unwrap();
        }
        put_rules(&mut s3, &bucket, &rule("<Expiration><Days>1</Days></Expiration>")).await;
    }
    eventually("all objects to expire", PATIENCE, || async {
        let status = cluster.admin(&["status"]).map_err(|error| error.to_string())?;
        if status["objects"] == 0 { Ok(()) } else { Err(status["objects"].to_string()) }
    })
    .await;
    // Packed blocks that are still open keep their dead records until they are sealed; owned blocks are all gone.
    eventually("space to come back", Duration::from_secs(600), || async {
        let space = cluster.admin(&["df"]).map_err(|error| error.to_string())?;
        let held = space["content_bytes"].as_u64().ok_or("no content_bytes")?;
        if held == 0 { Ok(()) } else { Err(space.to_string()) }
    })
    .await;
    assert_eq!(cluster.admin(&["status"]).unwrap()["redundancy"]["missing_blocks"], 0);
}

async fn until_nothing_waits(cluster: &MiniCluster) {
    eventually("records to be in blocks of their class", Duration::from_secs(300), || async {
        let status = cluster.admin(&["lifecycle", "status"]).map_err(|error| error.to_string())?;
        if status["moves_waiting"] == 0 { Ok(()) } else { Err(status["moves_waiting"].to_string()) }
    })
    .await;
}
