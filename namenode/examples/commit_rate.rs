//! How many PutObject commits and GetObject reads one namenode peer answers, with real syncs of its log.
//!
//! `cargo run --release -p granary-namenode --example commit_rate -- [DIRECTORY] [SECONDS]`
//!
//! Calls the service in its own process, as a gateway of `granary server` does. The directory should be on the disk that is
//! to be judged; the default is a temporary one under the current directory. Prints one line a measurement: callers,
//! answers per second, median and 99th percentile of the time to an answer, and commands per log entry.

use anyhow::{Context, bail};
use granary_namenode::Config;
use granary_namenode::clock::SystemClock;
use granary_namenode::service::Namenode;
use granary_namenode::startup::{Components, start};
use granary_protocol::block::{BlockKind, DatanodeEndpoint, Extent, Media};
use granary_protocol::namenode::*;
use granary_protocol::object::{ETag, ObjectDetails, ObjectHeaders, ObjectLock, StorageClass};
use granary_protocol::*;
use granary_rpc::Security;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

const OBJECT_BYTES: u32 = 4096;
const RECORD_BYTES: u32 = OBJECT_BYTES + granary_protocol::record::HEADER_BYTES as u32;
const BUCKET: &str = "bucket";

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let directory = match arguments.next() {
        Some(directory) => tempfile::tempdir_in(directory)?,
        None => tempfile::tempdir_in(".")?,
    };
    let seconds = arguments.next().map_or(Ok(5), |text| text.parse()).context("SECONDS is a number")?;
    let shutdown = CancellationToken::new();
    let components = Components {
        clock: Arc::new(SystemClock),
        security: Security::Plaintext,
        authority: None,
        door: granary_namenode::peers::PeerDoor::new(),
        shutdown: shutdown.clone(),
    };
    let running = start(Config::single(directory.path().join("namenode")), components).await?;
    prepare(&running.namenode).await?;
    for callers in [1, 16, 64] {
        commits(&running.namenode, callers, Duration::from_secs(seconds)).await?;
    }
    reads(&running.namenode, Duration::from_secs(seconds)).await?;
    shutdown.cancel();
    running.join().await?;
    Ok(())
}

/// A formatted cluster with a bucket and a datanode.
async fn prepare(namenode: &Namenode) -> anyhow::Result<()> {
    let endpoint = DatanodeEndpoint {
        id: DatanodeId(1),
        name: NodeName::from("datanode-1"),
        host: "localhost".to_owned(),
        address: String::new(),
        http: String::new(),
        rack: Rack::from("/rack"),
    };
    let volume = VolumeReport {
        volume: VolumeId(1),
        path: "/nowhere".to_owned(),
        media: Media::Ssd,
        capacity_bytes: 1 << 50,
        free_bytes: 1 << 50,
        used_bytes: 0,
        replicas: 0,
        failed: None,
        wait_ms: 0,
    };
    let deadline = Instant::now() + Duration::from_secs(10);
    let register = NamenodeRequest::RegisterDatanode { datanode: endpoint, volumes: vec![volume] };
    while namenode.call(register.clone()).await.is_err() {
        if Instant::now() > deadline {
            bail!("the namenode does not come up");
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let bucket = BucketName::from(BUCKET);
    namenode
        .call(NamenodeRequest::CreateBucket {
            bucket,
            owner: CanonicalId::from("owner"),
            region: "here".to_owned(),
            object_lock: false,
            documents: Vec::new(),
        })
        .await?;
    Ok(())
}

/// Puts small objects, each caller one at a time.
async fn commits(namenode: &Arc<Namenode>, callers: u32, time: Duration) -> anyhow::Result<()> {
    let before = figure(namenode, "batches_total");
    let until = Instant::now() + time;
    let started = Instant::now();
    let tasks: Vec<_> =
        (0..callers).map(|caller| tokio::spawn(put_until(namenode.clone(), caller, callers, until))).collect();
    let mut waits = Vec::new();
    for task in tasks {
        waits.extend(task.await??);
    }
    let rate = waits.len() as f64 / started.elapsed().as_secs_f64();
    let entries = (figure(namenode, "batches_total") - before).max(1);
    let batch = waits.len() as f64 / entries as f64;
    let (p50, p99) = percentiles(&mut waits);
    println!("commits, {callers:2} callers: {rate:8.0}/s  p50 {p50:?}  p99 {p99:?}  {batch:.1} commands an entry");
    Ok(())
}

async fn put_until(
    namenode: Arc<Namenode>,
    caller: u32,
    callers: u32,
    until: Instant,
) -> anyhow::Result<Vec<Duration>> {
    let holder = NodeName(format!("writer-{caller}"));
    let NamenodeReply::Lease(lease) = namenode.call(NamenodeRequest::OpenLease { holder }).await? else {
        bail!("no lease");
    };
    let mut waits = Vec::new();
    let mut block = None;
    let mut counter = 0;
    while Instant::now() < until {
        let (id, offset) = match block {
            Some((id, offset)) if offset + RECORD_BYTES <= granary_protocol::block::BLOCK_BYTES_MAX => (id, offset),
            _ => (allocate(&namenode, lease).await?, 0),
        };
        block = Some((id, offset + RECORD_BYTES));
        counter += 1;
        let extent = Extent { block: id, offset: offset + RECORD_BYTES - OBJECT_BYTES, length: OBJECT_BYTES };
        let key = format!("callers-{callers}/{caller}/object-{counter:08}");
        let asked = Instant::now();
        namenode.call(put(lease, counter, extent, &key)).await?;
        waits.push(asked.elapsed());
    }
    namenode.call(NamenodeRequest::CloseLease { lease }).await?;
    Ok(waits)
}

async fn allocate(namenode: &Namenode, lease: LeaseId) -> anyhow::Result<BlockId> {
    let request = NamenodeRequest::AllocateBlocks {
        lease,
        kind: BlockKind::Packed,
        count: 1,
        class: StorageClass::Standard,
        writer: None,
        exclude: Vec::new(),
    };
    match namenode.call(request).await? {
        NamenodeReply::Blocks(blocks) => Ok(blocks.first().context("no block")?.block),
        other => bail!("{other:?}"),
    }
}

fn put(lease: LeaseId, counter: u32, extent: Extent, key: &str) -> NamenodeRequest {
    let content = ContentId::of_lease(lease, counter).expect("leases of a short run have small numbers");
    NamenodeRequest::PutObject {
        bucket: BucketName::from(BUCKET),
        key: ObjectKey::from(key),
        content: Some(NewContent { content, extents: vec![extent], stored_on: Vec::new() }),
        object: NewObject {
            size: u64::from(OBJECT_BYTES),
            etag: ETag { md5: [counter as u8; 16], parts: None },
            owner: CanonicalId::from("owner"),
            class: StorageClass::Standard,
            checksum: None,
            lock: ObjectLock::default(),
            details: ObjectDetails {
                headers: ObjectHeaders {
                    system: vec![("content-type".to_owned(), "application/octet-stream".to_owned())],
                    user: Vec::new(),
                },
                ..ObjectDetails::default()
            },
        },
        condition: WriteCondition::default(),
    }
}

/// Gets objects, one at a time, by one caller, in an order that jumps about.
async fn reads(namenode: &Namenode, time: Duration) -> anyhow::Result<()> {
    let started = Instant::now();
    let mut waits = Vec::new();
    let mut random = 1u64;
    while started.elapsed() < time {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let key = format!("callers-64/{}/object-{:08}", (random >> 33) % 64, 1 + (random >> 40) % 50);
        let request = NamenodeRequest::GetObject {
            bucket: BucketName::from(BUCKET),
            key: ObjectKey(key),
            version: None,
            window: Window::Range { first: 0, last: None },
        };
        let asked = Instant::now();
        namenode.call(request).await?;
        waits.push(asked.elapsed());
    }
    let rate = waits.len() as f64 / started.elapsed().as_secs_f64();
    let (p50, p99) = percentiles(&mut waits);
    println!("reads,    1 caller : {rate:8.0}/s  p50 {p50:?}  p99 {p99:?}");
    Ok(())
}

fn percentiles(waits: &mut [Duration]) -> (Duration, Duration) {
    waits.sort();
    let at = |percent: usize| waits.get(waits.len() * percent / 100).copied().unwrap_or_default();
    (at(50), at(99))
}

fn figure(namenode: &Namenode, name: &str) -> u64 {
    let text = namenode.metrics_text();
    let line = text.lines().find(|line| line.starts_with(&format!("granary_namenode_{name} ")));
    line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap_or(0)
}
