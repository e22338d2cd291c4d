//! The workloads: which objects exist, which requests each phase sends, in which order they run.
//!
//! Every phase is bounded by time and by count. What a phase reads is stored beforehand, outside the clock, in a
//! number that does not depend on how fast an earlier phase was. Keys, sizes, contents and orders follow from fixed
//! seeds, so two servers see the same requests.

use std::collections::BTreeMap;
use std::ops::Range;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;

use crate::drive::{Measured, Order, Target, drive};
use crate::payload::{Payload, SplitMix64};
use crate::presign::Presigner;
use crate::request::{Expected, RequestSet};

const FILL_LIMIT: Duration = Duration::from_secs(900);
const LIST_PAGE_KEYS: usize = 1000;
const TREE_PREFIXES: u64 = 100;
/// Stored before anything is measured: some servers set up their storage on the first writes, for seconds.
const WARM_UP_OBJECTS: usize = 1000;
/// Different pages and directories a listing phase asks for; enough that no reply is worth caching.
const LIST_REQUESTS: usize = 2000;

/// One measured phase, in the order a whole run takes them.
#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
pub enum Workload {
    #[value(name = "put-4k")]
    PutSmall,
    #[value(name = "get-4k")]
    GetSmall,
    /// One keep-alive connection: latency, and the place where delayed acknowledgements show.
    #[value(name = "get-4k-single")]
    GetSmallSingle,
    Head,
    /// Pages of 1000 keys at random places of one flat directory.
    ListFlat,
    /// 100 common prefixes over as many keys.
    ListDelimiter,
    /// 60 % GET, 25 % PUT, 10 % HEAD, 5 % DELETE of 4 KiB to 256 KiB.
    Mixed,
    Delete,
    #[value(name = "put-1m")]
    PutMedium,
    #[value(name = "get-1m")]
    GetMedium,
    #[value(name = "put-64m")]
    PutLarge,
    #[value(name = "get-64m")]
    GetLarge,
}

impl Workload {
    pub fn name(self) -> &'static str {
        match self {
            Self::PutSmall => "put-4k",
            Self::GetSmall => "get-4k",
            Self::GetSmallSingle => "get-4k-single",
            Self::Head => "head",
            Self::ListFlat => "list-flat",
            Self::ListDelimiter => "list-delimiter",
            Self::Mixed => "mixed",
            Self::Delete => "delete",
            Self::PutMedium => "put-1m",
            Self::GetMedium => "get-1m",
            Self::PutLarge => "put-64m",
            Self::GetLarge => "get-64m",
        }
    }

    pub fn connections(self) -> usize {
        match self {
            Self::GetSmallSingle => 1,
            Self::PutLarge | Self::GetLarge | Self::ListDelimiter => 4,
            Self::PutMedium | Self::GetMedium | Self::ListFlat => 8,
            _ => 16,
        }
    }
}

/// How much of everything.
pub struct Plan {
    pub mode: &'static str,
    pub phase: Duration,
    /// Requests of one 4 KiB PUT phase at most, and objects that small GET and HEAD choose from.
    pub small: Amount,
    pub medium: Amount,
    pub large: Amount,
    /// Operations of the mixed phase at most, and objects its GET and HEAD choose from.
    pub mixed: Amount,
    /// Keys in each of the two listed directories.
    pub list_keys: usize,
}

impl Plan {
    /// Large objects are few a second, so they get twice the time.
    fn duration(&self, workload: Workload) -> Duration {
        match workload {
            Workload::PutLarge | Workload::GetLarge => self.phase * 2,
            _ => self.phase,
        }
    }
}

/// Bounds of a size class.
pub struct Amount {
    pub writes_max: usize,
    pub objects: usize,
}

impl Plan {
    /// About a minute against a server of ordinary speed.
    pub fn quick() -> Self {
        Self {
            mode: "quick",
            phase: Duration::from_secs(3),
            small: Amount { writes_max: 60_000, objects: 4_000 },
            medium: Amount { writes_max: 2_000, objects: 128 },
            large: Amount { writes_max: 32, objects: 8 },
            mixed: Amount { writes_max: 30_000, objects: 2_000 },
            list_keys: 10_000,
        }
    }

    /// Listings over 100,000 keys, longer phases.
    pub fn full() -> Self {
        Self {
            mode: "full",
            phase: Duration::from_secs(8),
            small: Amount { writes_max: 160_000, objects: 10_000 },
            medium: Amount { writes_max: 6_000, objects: 256 },
            large: Amount { writes_max: 96, objects: 16 },
            mixed: Amount { writes_max: 100_000, objects: 5_000 },
            list_keys: 100_000,
        }
    }
}

/// A family of objects under one prefix; each is known by its index.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Family {
    Small,
    Medium,
    Large,
    Mixed,
    Flat,
    Tree,
    WarmUp,
}

impl Family {
    /// Names are spread over the prefix in no order, as users' keys arrive.
    fn key(self, index: u64) -> String {
        let name = SplitMix64::new(index).next_u64();
        match self {
            Self::Small => format!("small/{name:016x}"),
            Self::Medium => format!("medium/{name:016x}"),
            Self::Large => format!("large/{name:016x}"),
            Self::Mixed => format!("mixed/{name:016x}"),
            Self::WarmUp => format!("warm-up/{name:016x}"),
            Self::Flat => format!("flat/{name:016x}"),
            Self::Tree => format!("tree/{:02}/{name:016x}", index % TREE_PREFIXES),
        }
    }

    fn bytes(self, index: u64) -> usize {
        match self {
            Self::Small | Self::WarmUp => 4 << 10,
            Self::Medium => 1 << 20,
            Self::Large => Self::LARGEST,
            // Evenly spread over the logarithm of the size, to the byte.
            Self::Mixed => {
                let exponent = SplitMix64::new(!index).below(6_000) as f64 / 1000.0;
                (4096.0 * exponent.exp2()) as usize
            }
            Self::Flat | Self::Tree => 16,
        }
    }

    const LARGEST: usize = 64 << 20;

    fn fill_connections(self) -> usize {
        match self {
            Self::Large => 4,
            Self::Medium => 8,
            _ => 32,
        }
    }
}

/// A run against one server: what has been stored so far, and the means to send more.
pub struct Session {
    target: Target,
    presigner: Presigner,
    payload: Arc<Payload>,
    plan: Plan,
    bucket: String,
    /// Objects `0..n` of each family exist.
    stored: BTreeMap<Family, usize>,
    /// Objects `0..n` of each family have existed.
    touched: BTreeMap<Family, usize>,
}

impl Session {
    pub fn new(target: Target, presigner: Presigner, plan: Plan, bucket: String) -> Self {
        Self {
            target,
            presigner,
            payload: Arc::new(Payload::new(Family::LARGEST)),
            plan,
            bucket,
            stored: BTreeMap::new(),
            touched: BTreeMap::new(),
        }
    }

    /// Stores what the workload reads, lets the disk come to rest, then measures it.
    pub fn run(&mut self, workload: Workload) -> Result<Measured> {
        self.fill(Family::WarmUp, WARM_UP_OBJECTS)?;
        match workload {
            Workload::PutSmall => self.put(workload, Family::Small, self.plan.small.writes_max),
            Workload::PutMedium => self.put(workload, Family::Medium, self.plan.medium.writes_max),
            Workload::PutLarge => self.put(workload, Family::Large, self.plan.large.writes_max),
            Workload::GetSmall | Workload::GetSmallSingle => {
                self.read(workload, "GET", Family::Small, self.plan.small.objects)
            }
            Workload::Head => self.read(workload, "HEAD", Family::Small, self.plan.small.objects),
            Workload::GetMedium => self.read(workload, "GET", Family::Medium, self.plan.medium.objects),
            Workload::GetLarge => self.read(workload, "GET", Family::Large, self.plan.large.objects),
            Workload::ListFlat => self.list_flat(),
            Workload::ListDelimiter => self.list_delimiter(),
            Workload::Mixed => self.mixed(),
            Workload::Delete => self.delete(),
        }
        .with_context(|| workload.name())
    }

    /// Deletes every object this session has stored.
    pub fn clean_up(&mut self) -> Result<()> {
        for (family, count) in std::mem::take(&mut self.touched) {
            self.stored.remove(&family);
            let mut requests = RequestSet::default();
            for index in 0..count as u64 {
                self.push(&mut requests, "DELETE", family, index);
            }
            self.send_all(requests, 32)?;
        }
        Ok(())
    }

    fn put(&mut self, workload: Workload, family: Family, writes_max: usize) -> Result<Measured> {
        let mut requests = RequestSet::default();
        for index in 0..writes_max as u64 {
            self.push(&mut requests, "PUT", family, index);
        }
        let measured = self.measure(workload, requests, Order::Once)?;
        self.note_stored(family, measured.requests_used);
        Ok(measured)
    }

    fn read(&mut self, workload: Workload, method: &str, family: Family, objects: usize) -> Result<Measured> {
        self.fill(family, objects)?;
        let mut requests = RequestSet::default();
        for index in 0..objects as u64 {
            self.push(&mut requests, method, family, index);
        }
        requests.shuffle(&mut SplitMix64::new(objects as u64));
        self.measure(workload, requests, Order::Repeat)
    }

    fn delete(&mut self) -> Result<Measured> {
        self.fill(Family::Small, self.plan.small.objects)?;
        let mut requests = RequestSet::default();
        for index in 0..self.stored(Family::Small) as u64 {
            self.push(&mut requests, "DELETE", Family::Small, index);
        }
        requests.shuffle(&mut SplitMix64::new(1));
        self.stored.remove(&Family::Small);
        self.measure(Workload::Delete, requests, Order::Once)
    }

    fn list_flat(&mut self) -> Result<Measured> {
        let keys = self.plan.list_keys;
        self.fill(Family::Flat, keys)?;
        let mut names: Vec<String> = (0..keys as u64).map(|index| Family::Flat.key(index)).collect();
        names.sort_unstable();
        let page = LIST_PAGE_KEYS.min(keys - 1);
        let mut random = SplitMix64::new(2);
        let mut requests = RequestSet::default();
        for _ in 0..LIST_REQUESTS {
            let after = &names[random.below(keys - page)];
            let query = [("list-type", "2"), ("max-keys", "1000"), ("prefix", "flat/"), ("start-after", after)];
            self.push_listing(&mut requests, &query, Expected::Listing { keys: page, prefixes: 0 });
        }
        self.measure(Workload::ListFlat, requests, Order::Repeat)
    }

    fn list_delimiter(&mut self) -> Result<Measured> {
        self.fill(Family::Tree, self.plan.list_keys)?;
        let prefixes = self.plan.list_keys.min(TREE_PREFIXES as usize);
        let mut requests = RequestSet::default();
        let query = [("delimiter", "/"), ("list-type", "2"), ("max-keys", "1000"), ("prefix", "tree/")];
        self.push_listing(&mut requests, &query, Expected::Listing { keys: 0, prefixes });
        self.measure(Workload::ListDelimiter, requests, Order::Repeat)
    }

    fn mixed(&mut self) -> Result<Measured> {
        let Amount { writes_max: operations, objects } = self.plan.mixed;
        let deletes = operations / 20;
        self.fill(Family::Mixed, objects + deletes)?;
        let mut random = SplitMix64::new(3);
        let mut requests = RequestSet::default();
        let mut doomed = objects as u64..(objects + deletes) as u64;
        let mut fresh = doomed.end..;
        for _ in 0..operations {
            let existing = random.below(objects) as u64;
            let (method, index) = match random.below(100) {
                0..60 => ("GET", existing),
                60..85 => ("PUT", fresh.next().expect("indices do not run out")),
                85..95 => ("HEAD", existing),
                _ => match doomed.next() {
                    Some(index) => ("DELETE", index),
                    None => ("HEAD", existing),
                },
            };
            self.push(&mut requests, method, Family::Mixed, index);
        }
        self.note_stored(Family::Mixed, fresh.start as usize);
        // Only `0..objects` is sure to exist afterwards.
        self.stored.insert(Family::Mixed, objects);
        self.measure(Workload::Mixed, requests, Order::Once)
    }

    /// Makes objects `0..count` exist.
    fn fill(&mut self, family: Family, count: usize) -> Result<()> {
        let mut requests = RequestSet::default();
        for index in self.stored(family) as u64..count as u64 {
            self.push(&mut requests, "PUT", family, index);
        }
        if requests.len() == 0 {
            return Ok(());
        }
        self.send_all(requests, family.fill_connections()).context("storing the objects to read")?;
        self.note_stored(family, count);
        Ok(())
    }

    fn send_all(&self, requests: RequestSet, connections: usize) -> Result<()> {
        let count = requests.len();
        let sent = drive(&self.target, &self.payload, requests, Order::Once, connections, FILL_LIMIT)?;
        if let Some(error) = sent.first_error {
            anyhow::bail!("{} of {count} requests failed, the first with: {error}", sent.errors);
        }
        ensure!(sent.operations == count as u64, "only {} of {count} requests in time", sent.operations);
        Ok(())
    }

    fn measure(&self, workload: Workload, requests: RequestSet, order: Order) -> Result<Measured> {
        // Dirty pages of earlier phases would be written during this one. Failure only makes figures noisier.
        let _ = Command::new("sync").status();
        drive(&self.target, &self.payload, requests, order, workload.connections(), self.plan.duration(workload))
    }

    fn stored(&self, family: Family) -> usize {
        self.stored.get(&family).copied().unwrap_or(0)
    }

    fn note_stored(&mut self, family: Family, count: usize) {
        for known in [&mut self.stored, &mut self.touched] {
            let known = known.entry(family).or_default();
            *known = count.max(*known);
        }
    }

    fn push(&self, requests: &mut RequestSet, method: &str, family: Family, index: u64) {
        let path = format!("/{}/{}", self.bucket, family.key(index));
        let range = Payload::range_of(index, family.bytes(index));
        let nothing: Range<usize> = 0..0;
        let (body, expected) = match method {
            "PUT" => (range, Expected::Stored),
            "GET" => (nothing, Expected::Object(range)),
            "HEAD" => (nothing, Expected::ObjectHead(range.len() as u64)),
            _ => (nothing, Expected::Deleted),
        };
        requests.push(&self.presigner, method, &path, &[], body, expected);
    }

    fn push_listing(&self, requests: &mut RequestSet, query: &[(&str, &str)], expected: Expected) {
        let path = format!("/{}", self.bucket);
        requests.push(&self.presigner, "GET", &path, query, 0..0, expected);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn keys_differ_and_sizes_stay_in_their_range() {
        let families = [Family::Small, Family::Mixed, Family::Flat, Family::Tree];
        let keys: BTreeSet<String> =
            families.iter().flat_map(|family| (0..5000).map(|index| family.key(index))).collect();
        assert_eq!(keys.len(), 4 * 5000);
        let mixed: Vec<usize> = (0..5000).map(|index| Family::Mixed.bytes(index)).collect();
        assert!(mixed.iter().all(|bytes| (4 << 10..256 << 10).contains(bytes)));
        assert!(mixed.iter().any(|bytes| *bytes < 5 << 10) && mixed.iter().any(|bytes| *bytes > 200 << 10));
    }
}
