//! How fast lifecycle rules are carried out, and what readers notice: a namenode and its scanner in this process, on a real
//! disk. `GRANARY_OBJECTS` sets how many objects (the claim is made for a million), `GRANARY_SCAN_RATE` the bound.

use bytes::Bytes;
use granary_lifecycle::LifecycleSettings;
use granary_lifecycle::rules::{
    Expiration, Filter, LifecycleConfiguration, Rule, Scope, Transition, TransitionMinimumSize, When,
};
use granary_lifecycle::workers::{Scanner, ScannerComponents};
use granary_namenode::service::Namenode;
use granary_namenode::startup::{Components, start};
use granary_protocol::bucket::BucketDocument;
use granary_protocol::lifecycle::LifecycleProgress;
use granary_protocol::namenode::*;
use granary_protocol::object::*;
use granary_protocol::*;
use granary_rpc::Security;
use granary_tests::eventually;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio_util::sync::CancellationToken;

const WRITERS: u64 = 128;
const READS: usize = 2_000;

fn now() -> UnixMillis {
    UnixMillis(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64)
}

/// `keep`: nothing is due for a year. `move`: everything goes to GLACIER at once.
fn rules(document: &[u8]) -> Result<LifecycleConfiguration, String> {
    let (expiration, transitions) = match document {
        b"keep" => (Some(Expiration::At(When::Days(365))), Vec::new()),
        b"move" => (None, vec![Transition { when: When::Days(0), class: StorageClass::Glacier }]),
        other => return Err(format!("{other:?}")),
    };
    let rule = Rule {
        id: "rule".to_owned(),
        enabled: true,
        scope: Scope::Filter(Filter::default()),
        expiration,
        transitions,
        noncurrent_expiration: None,
        noncurrent_transitions: Vec::new(),
        abort_upload_days: None,
    };
    Ok(LifecycleConfiguration { rules: vec![rule], minimum_size: TransitionMinimumSize::Unlimited })
}

fn key(number: u64) -> ObjectKey {
    ObjectKey(format!("d{:03}/{number:07}", number % 500))
}

async fn load(namenode: &Arc<Namenode>, objects: u64) {
    let writers = (0..WRITERS).map(|writer| {
        let namenode = namenode.clone();
        tokio::spawn(async move {
            for number in (writer..objects).step_by(WRITERS as usize) {
                let put = NamenodeRequest::PutObject {
                    bucket: "b".into(),
                    key: key(number),
                    content: None,
                    object: NewObject {
                        size: 0,
                        etag: ETag { md5: [1; 16], parts: None },
                        owner: "owner".into(),
                        class: StorageClass::Standard,
                        checksum: None,
                        lock: ObjectLock::default(),
                        details: ObjectDetails::default(),
                    },
                    condition: WriteCondition::default(),
                };
                namenode.call(put).await.unwrap();
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
}

async fn set_rules(namenode: &Arc<Namenode>, document: &'static [u8]) {
    let document = Some(Bytes::from_static(document));
    let set = NamenodeRequest::SetBucketDocument { bucket: "b".into(), kind: BucketDocument::Lifecycle, document };
    namenode.call(set).await.unwrap();
}

/// The scan that judged every object, once it has ended, and how many objects a second it judged.
async fn scanned(namenode: &Arc<Namenode>, objects: u64, moved: u64, since: Instant) -> (LifecycleProgress, f64) {
    let progress = eventually("the scan to end", Duration::from_secs(3_600), || async {
        let reply = namenode.call(NamenodeRequest::GetLifecycleStatus).await.map_err(|error| error.to_string())?;
        let NamenodeReply::LifecycleStatus(status) = reply else { panic!("another reply") };
        match status.buckets.into_iter().next() {
            Some((_, progress))
                if progress.finished.is_some() && progress.scanned == objects && progress.moved == moved =>
            {
                Ok(progress)
            }
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    (progress, objects as f64 / since.elapsed().as_secs_f64())
}

/// The 99th percentile of reads of one object's metadata.
async fn read_p99(namenode: &Arc<Namenode>, objects: u64) -> Duration {
    let mut times = Vec::with_capacity(READS);
    for read in 0..READS {
        let get = NamenodeRequest::GetObject {
            bucket: "b".into(),
            key: key(read as u64 * 7919 % objects),
            version: None,
            window: Window::Nothing,
        };
        let began = Instant::now();
        namenode.call(get).await.unwrap();
        times.push(began.elapsed());
        tokio::time::sleep(Duration::from_micros(300)).await;
    }
    times.sort_unstable();
    times[READS * 99 / 100]
}

fn resident_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rules_are_carried_out_at_a_rate_that_readers_hardly_notice() {
    let objects: u64 = std::env::var("GRANARY_OBJECTS").ok().map_or(4_000, |count| count.parse().unwrap());
    let settings = LifecycleSettings::default();
    let rate =
        std::env::var("GRANARY_SCAN_RATE").ok().map_or(settings.objects_per_second, |rate| rate.parse().unwrap());
    let settings = LifecycleSettings { objects_per_second: rate, ..settings };
    let directory = tempfile::tempdir().unwrap();
    let stop = CancellationToken::new();
    let components = Components {
        clock: Arc::new(granary_namenode::clock::SystemClock),
        security: Security::Plaintext,
        authority: None,
        door: granary_namenode::peers::PeerDoor::new(),
        shutdown: stop.clone(),
    };
    let running = start(granary_namenode::Config::single(directory.path().join("namenode")), components).await.unwrap();
    let namenode = running.namenode.clone();
    let leads = || async { if namenode.is_leader() { Ok(()) } else { Err("it does not lead".to_owned()) } };
    eventually("the namenode to lead", Duration::from_secs(120), leads).await;
    let create = NamenodeRequest::CreateBucket {
        bucket: "b".into(),
        owner: "owner".into(),
        region: String::new(),
        object_lock: false,
        documents: Vec::new(),
    };
    eventually("the bucket to be made", Duration::from_secs(120), || async {
        namenode.call(create.clone()).await.map(drop).map_err(|failure| failure.to_string())
    })
    .await;
    load(&namenode, objects).await;
    let quiet = read_p99(&namenode, objects).await;
    let leader = namenode.clone();
    let components = ScannerComponents {
        namenode: namenode.clone(),
        leads: Box::new(move || leader.is_leader()),
        now: Box::new(now),
        read_rules: rules,
        shutdown: stop.clone(),
    };
    let before_mib = resident_mib();
    set_rules(&namenode, b"keep").await;
    let began = Instant::now();
    let scanner = tokio::spawn(Scanner::new(settings, components).run());
    let (kept, judged) = scanned(&namenode, objects, 0, began).await;
    assert_eq!((kept.deleted, kept.hidden, kept.moved), (0, 0, 0));
    assert!(kept.next_due.is_some_and(|due| due.0 > now().0 + 364 * 86_400_000), "{kept:?}");
    set_rules(&namenode, b"move").await;
    let began = Instant::now();
    let (moving, busy) = tokio::join!(scanned(&namenode, objects, objects, began), read_p99(&namenode, objects));
    let (moved, moves) = moving;
    assert_eq!((moved.moved, moved.refused), (objects, 0));
    println!(
        "{objects} objects, at most {rate}/s: judged {judged:.0}/s, moved {moves:.0}/s; p99 of reads {quiet:?} quiet, \
         {busy:?} while objects move; resident {before_mib} MiB before, {} MiB after",
        resident_mib()
    );
    stop.cancel();
    scanner.await.unwrap();
    drop(namenode);
    running.join().await.unwrap();
}
