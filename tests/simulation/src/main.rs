//! The placement of tasks at the scale of racks, without the racks: a discrete-event simulation that drives the same
//! code as the job service, and compares it with other policies and with what no policy could do better than.
//!
//!     cargo run --release -p granary-simulation -- --nodes 1000 --seeds 20 --require
//!     cargo run --release -p granary-simulation -- --nodes 5000 --tasks 2000000 --seeds 1 --policy granary --replay
//!
//! Prints a line a policy: medians over the seeds. Processor time is that of the one thread a run has.

mod figures;
mod network;
mod optimum;
mod random;
mod run;
mod workload;

use anyhow::Context;
use clap::Parser;
use figures::Figures;
use granary_mapreduce::placement::{Order, Patience, Policy};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use run::Troubles;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use workload::{Shape, SimulatedJob, Wanted};

/// Simulates many jobs on many nodes and says how each policy places their tasks.
#[derive(Debug, Parser)]
struct Arguments {
    #[arg(long, default_value_t = 1_000)]
    nodes: u32,
    #[arg(long, default_value_t = 40)]
    racks: u32,
    /// Tasks a node runs at a time.
    #[arg(long, default_value_t = 8)]
    slots: u32,
    /// Maps and reduces of a run, about.
    #[arg(long, default_value_t = 800_000)]
    tasks: u64,
    /// Part of the slots that the jobs keep busy on average, in percent.
    #[arg(long, default_value_t = 95)]
    load: u64,
    /// Seeds 1 to this.
    #[arg(long, default_value_t = 20)]
    seeds: u64,
    /// Median MB a second of a map beside its input. The default is bound by the disk: reading from afar costs the more.
    #[arg(long, default_value_t = 400)]
    map_rate_mb: u64,
    /// Percent of nodes at a third of the speed.
    #[arg(long, default_value_t = 5)]
    slow: u64,
    /// Attempts that fail, of a million.
    #[arg(long, default_value_t = 0)]
    failing_ppm: u64,
    /// Nodes lost in a run, each back after 30 s.
    #[arg(long, default_value_t = 0)]
    lost_nodes: u64,
    /// Restart every node, one after the other.
    #[arg(long)]
    rolling_restart: bool,
    /// Percent of jobs that read one and the same block.
    #[arg(long, default_value_t = 0)]
    hot: u64,
    /// Only policies whose name contains this.
    #[arg(long, default_value = "")]
    policy: String,
    /// Run each seed twice, and fail unless every decision was the same.
    #[arg(long)]
    replay: bool,
    /// Fail unless what is promised at 1,000 nodes and 95 % load holds.
    #[arg(long)]
    require: bool,
    /// Fail if a run takes more processor time than so many seconds.
    #[arg(long)]
    seconds_max: Option<f64>,
    /// Runs at a time.
    #[arg(long, default_value_t = 2)]
    threads: usize,
}

const OURS: &str = "granary";
const NAIVE: &str = "naive fair";
const OPTIMUM: &str = "offline optimum";

fn policies() -> Vec<(&'static str, Option<Policy>)> {
    let eager = |order| Policy { order, patience: Patience::None, ..Policy::default() };
    let delay = Patience::Fixed { node_ms: 5_000, rack_ms: 5_000 };
    vec![
        ("fifo", Some(eager(Order::Fifo))),
        (NAIVE, Some(eager(Order::Fair))),
        ("fair, 5 s delay", Some(Policy { order: Order::Fair, patience: delay, ..Policy::default() })),
        (OURS, Some(Policy::default())),
        (OPTIMUM, None),
    ]
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let shape = Shape { nodes: arguments.nodes, racks: arguments.racks, slots: arguments.slots };
    anyhow::ensure!(shape.nodes > 0 && shape.racks > 0 && shape.slots > 0, "nodes, racks and slots are at least one");
    println!(
        "{} nodes on {} racks, {} slots each, {} tasks, {} MB/s, load {}%, seeds 1-{}",
        shape.nodes, shape.racks, shape.slots, arguments.tasks, arguments.map_rate_mb, arguments.load, arguments.seeds
    );
    figures::print_head();
    let mut table = Vec::new();
    for (name, policy) in policies().into_iter().filter(|(name, _)| name.contains(&arguments.policy)) {
        let measured = over_seeds(&arguments, &shape, policy.as_ref())?;
        figures::print(name, &measured);
        table.push((name, measured));
    }
    let of = |name: &str| table.iter().find(|(other, _)| *other == name).map(|(_, measured)| measured.as_slice());
    if let Some(most) = arguments.seconds_max {
        let slowest = table.iter().flat_map(|(_, measured)| measured).map(|f| f.seconds).fold(0.0, f64::max);
        anyhow::ensure!(slowest <= most, "a run took {slowest:.1} s of processor time");
    }
    if arguments.require {
        let ours = of(OURS).context("the promises are about ours")?;
        let broken = figures::broken_promises(ours, of(NAIVE).context("and compare it with naive fair sharing")?);
        anyhow::ensure!(broken.is_empty(), "{}", broken.join("; "));
        println!("what is promised holds");
    }
    Ok(())
}

/// Every seed, several at a time; in their order.
fn over_seeds(arguments: &Arguments, shape: &Shape, policy: Option<&Policy>) -> anyhow::Result<Vec<Figures>> {
    let next = AtomicU64::new(1);
    let done: Mutex<Vec<(u64, anyhow::Result<Figures>)>> = Mutex::default();
    std::thread::scope(|scope| {
        for _ in 0..arguments.threads.max(1) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed > arguments.seeds {
                        return;
                    }
                    let measured = measure(arguments, shape, policy, seed);
                    done.lock().expect("nobody panics while holding it").push((seed, measured));
                }
            });
        }
    });
    let mut done = done.into_inner().expect("nobody panics while holding it");
    done.sort_by_key(|(seed, _)| *seed);
    done.into_iter().map(|(_, measured)| measured).collect()
}

fn measure(arguments: &Arguments, shape: &Shape, policy: Option<&Policy>, seed: u64) -> anyhow::Result<Figures> {
    let troubles = Troubles {
        slow_percent: arguments.slow,
        failing_ppm: arguments.failing_ppm,
        lost_nodes: arguments.lost_nodes,
        rolling_restart: arguments.rolling_restart,
    };
    let slowness = run::slowness(shape, &troubles, seed);
    let usual_slots = slowness.iter().map(|slow| 1_000.0 / *slow as f64 * f64::from(shape.slots)).sum();
    let wanted = Wanted {
        tasks: arguments.tasks,
        load_percent: arguments.load,
        map_rate: arguments.map_rate_mb as f64 * 1e6,
        usual_slots,
        hot_percent: arguments.hot,
    };
    let jobs = workload::make(shape, &wanted, seed);
    let shortest_ms = shortest_makespan_ms(&jobs, usual_slots);
    let Some(policy) = policy else {
        return Ok(figures::of_optimum(optimum::of(shape, &jobs, &slowness, shortest_ms, run::START_MS)));
    };
    let before = processor_seconds()?;
    let outcome = run::run(shape, &jobs, policy.clone(), &troubles, seed);
    let seconds = processor_seconds()? - before;
    if arguments.replay {
        let again = run::run(shape, &jobs, policy.clone(), &troubles, seed);
        anyhow::ensure!(again.digest == outcome.digest, "seed {seed} decided differently the second time");
    }
    Ok(figures::of_run(outcome, shortest_ms, seconds))
}

/// Of this thread, so far.
fn processor_seconds() -> anyhow::Result<f64> {
    let usage = getrusage(UsageWho::RUSAGE_THREAD)?;
    Ok((usage.user_time() + usage.system_time()).num_microseconds() as f64 / 1e6)
}

/// Milliseconds that no policy can end all jobs before: from any moment on, what arrives later has to be worked off, and
/// the longest task of a job has to run after it came.
fn shortest_makespan_ms(jobs: &[SimulatedJob], usual_slots: f64) -> f64 {
    let mut work_from_here = 0.0;
    let mut shortest: f64 = 0.0;
    for job in jobs.iter().rev() {
        work_from_here += job.work_ms() as f64;
        let arrival = job.arrival_ms as f64;
        shortest = shortest.max(arrival + work_from_here / usual_slots).max(arrival + job.longest_chain_ms() as f64);
    }
    shortest
}

#[cfg(test)]
mod tests {
    use super::*;
    use run::Outcome;

    /// A hundred nodes under load, with slow and lost nodes and failing attempts.
    fn outcome(policy: Policy, seed: u64) -> Outcome {
        let shape = Shape { nodes: 100, racks: 10, slots: 4 };
        let troubles = Troubles { slow_percent: 5, failing_ppm: 1_000, lost_nodes: 3, rolling_restart: false };
        let wanted = Wanted { tasks: 5_000, load_percent: 90, map_rate: 100e6, usual_slots: 380.0, hot_percent: 1 };
        let jobs = workload::make(&shape, &wanted, seed);
        run::run(&shape, &jobs, policy, &troubles, seed)
    }

    #[test]
    fn nearly_all_maps_run_where_their_input_is() {
        let outcome = outcome(Policy::default(), 1);
        let maps: u64 = outcome.maps.iter().sum();
        let small: u64 = outcome.small_maps.iter().sum();
        assert_eq!(outcome.jobs_failed, 0);
        assert!(outcome.maps[0] * 100 >= maps * 97, "{:?}", outcome.maps);
        assert!(outcome.small_maps[0] * 100 >= small * 95, "{:?}", outcome.small_maps);
    }

    #[test]
    fn a_policy_that_does_not_wait_places_fewer_of_them_there() {
        let eager = outcome(Policy { patience: Patience::None, ..Policy::default() }, 1);
        assert!(eager.small_maps[0] * 2 < eager.small_maps.iter().sum::<u64>(), "{:?}", eager.small_maps);
    }

    #[test]
    fn the_same_seed_decides_the_same() {
        assert_eq!(outcome(Policy::default(), 7).digest, outcome(Policy::default(), 7).digest);
        assert_ne!(outcome(Policy::default(), 7).digest, outcome(Policy::default(), 8).digest);
    }
}
