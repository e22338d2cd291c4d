//! The jobs of a run: how many maps, over which blocks, how much work each, and when they come.
//!
//! Job sizes are those of Facebook's cluster (Zaharia et al.: "Delay scheduling", 2010, table 1). Jobs read runs of blocks
//! from one dataset whose replicas the namenode's own placement has chosen, so that different jobs want the same nodes.

use crate::random::Random;
use granary_mapreduce::placement::{InputId, JobId, JobPlan, MapPlan, NodeId, UserId};
use granary_namenode::blocks::placement::{Candidate, Placement};
use granary_protocol::block::Media;
use granary_protocol::{DatanodeId, Rack, VolumeId};

/// Maps of a job, and the part of the jobs in percent.
const SIZES: [(u64, u64); 9] =
    [(1, 39), (2, 16), (10, 14), (50, 9), (100, 6), (200, 6), (400, 4), (800, 4), (4_800, 2)];
/// A dataset is at most so many blocks; larger runs read some twice.
const DATASET_BLOCKS_MAX: u64 = 200_000;
const BLOCK_BYTES: u64 = 128 << 20;
const REPLICAS: usize = 3;
/// Jobs with so many maps reduce, with a reduce for every ten maps.
const REDUCING_MAPS: u64 = 50;
const USERS: u64 = 20;
/// Spread of a map's own time, and of a reduce's.
const SIGMA: f64 = 0.5;

/// The shape of a cluster.
#[derive(Clone, Debug)]
pub struct Shape {
    pub nodes: u32,
    pub racks: u32,
    pub slots: u32,
}

impl Shape {
    pub fn rack(&self, node: u32) -> u32 {
        node % self.racks
    }
}

/// A job and what it costs.
pub struct SimulatedJob {
    pub arrival_ms: u64,
    pub plan: JobPlan,
    /// Milliseconds of each map, beside its input on a usual node.
    pub map_ms: Vec<u64>,
    pub reduce_ms: Vec<u64>,
}

impl SimulatedJob {
    /// One or two maps.
    pub fn is_small(&self) -> bool {
        self.plan.maps.len() <= 2
    }

    pub fn work_ms(&self) -> u64 {
        self.map_ms.iter().chain(&self.reduce_ms).sum()
    }

    /// Milliseconds it takes at least with any number of usual nodes.
    pub fn longest_chain_ms(&self) -> u64 {
        self.map_ms.iter().max().unwrap_or(&0) + self.reduce_ms.iter().max().unwrap_or(&0)
    }
}

/// What to make.
pub struct Wanted {
    pub tasks: u64,
    /// Part of the slots in use on average, in percent.
    pub load_percent: u64,
    /// Median bytes per second that a map gets through beside its input.
    pub map_rate: f64,
    /// Slots of usual speed that the nodes are worth.
    pub usual_slots: f64,
    /// Percent of the jobs that read one and the same block.
    pub hot_percent: u64,
}

/// The jobs by arrival.
pub fn make(shape: &Shape, wanted: &Wanted, seed: u64) -> Vec<SimulatedJob> {
    let mut random = Random::new(seed, 1);
    let dataset = dataset(shape, wanted.tasks.min(DATASET_BLOCKS_MAX), &mut random);
    let mut jobs = Vec::new();
    let mut tasks = 0;
    while tasks < wanted.tasks {
        let job = job(JobId(jobs.len() as u64), &dataset, wanted, &mut random);
        tasks += (job.map_ms.len() + job.reduce_ms.len()) as u64;
        jobs.push(job);
    }
    let work: u64 = jobs.iter().map(SimulatedJob::work_ms).sum();
    let horizon_ms = (work as f64 / wanted.usual_slots / (wanted.load_percent as f64 / 100.0)) as u64;
    let mut arrivals: Vec<u64> = jobs.iter().map(|_| random.below(horizon_ms.max(1))).collect();
    arrivals.sort_unstable();
    for (job, arrival) in jobs.iter_mut().zip(arrivals) {
        job.arrival_ms = arrival;
    }
    jobs
}

fn job(id: JobId, dataset: &[Vec<NodeId>], wanted: &Wanted, random: &mut Random) -> SimulatedJob {
    let maps = maps_of_a_job(random);
    let hot = random.below(100) < wanted.hot_percent;
    let first = if hot { 0 } else { random.below(dataset.len() as u64) };
    let median_ms = BLOCK_BYTES as f64 / wanted.map_rate * 1_000.0;
    let input = |at: u64| {
        let block = if hot { 0 } else { (first + at) % dataset.len() as u64 };
        MapPlan { input: InputId(block), bytes: BLOCK_BYTES, replicas: dataset[block as usize].clone() }
    };
    let plans: Vec<MapPlan> = (0..maps).map(input).collect();
    let reduces = if maps >= REDUCING_MAPS { maps / 10 } else { 0 };
    let mut time = || (random.lognormal(median_ms, SIGMA) as u64).max(1);
    let map_ms = (0..maps).map(|_| time()).collect();
    let reduce_ms = (0..reduces).map(|_| time()).collect();
    let plan = JobPlan {
        job: id,
        user: UserId(random.below(USERS) as u32),
        user_weight: 1,
        maps: plans,
        reduces: reduces as u32,
        speculative: true,
        first_attempt: 0,
        failures_max: None,
    };
    SimulatedJob { arrival_ms: 0, plan, map_ms, reduce_ms }
}

fn maps_of_a_job(random: &mut Random) -> u64 {
    let mut percent = random.below(100);
    for (maps, part) in SIZES {
        if percent < part {
            return maps;
        }
        percent -= part;
    }
    unreachable!("the parts are a hundred percent")
}

/// Where the replicas of each block are.
fn dataset(shape: &Shape, blocks: u64, random: &mut Random) -> Vec<Vec<NodeId>> {
    let candidates: Vec<Candidate> = (0..shape.nodes)
        .map(|node| Candidate {
            volume: VolumeId(u64::from(node)),
            datanode: DatanodeId(u64::from(node)),
            rack: Rack(format!("/rack-{}", shape.rack(node))),
            media: Media::Disk,
            free_bytes: u64::MAX,
            used_percent: 0,
            scheduled: 0,
        })
        .collect();
    (0..blocks)
        .map(|_| {
            let placement = Placement {
                candidates: &candidates,
                existing: &[],
                exclude: &[],
                media: None,
                writer: Some(DatanodeId(random.below(u64::from(shape.nodes)))),
                needed_bytes: BLOCK_BYTES,
                count: REPLICAS,
                several_racks: shape.racks > 1,
                seed: random.next(),
            };
            placement.choose().into_iter().map(|volume| NodeId(volume.0 as u32)).collect()
        })
        .collect()
}
