//! The placement of tasks at the scale of racks, without the racks: a discrete-event simulation that drives the same
//! code as the job service, and compares it with other policies and with what no policy could do better than.
//!
//!     cargo run --release -p granary-simulation -- --nodes 1000 --seeds 20
//!
//! Prints a line a policy: medians over the seeds.

mod network;
mod random;
mod run;
mod workload;

use clap::Parser;
use granary_mapreduce::placement::{Order, Patience, Policy};
use run::{Outcome, Troubles};
use std::time::Instant;
use workload::{Shape, SimulatedJob, Wanted};

/// Simulates many jobs on many nodes and says how each policy places their tasks.
#[derive(Debug, Parser)]
struct Arguments {
    #[arg(long, default_value_t = 1_000)]
    nodes: u32,
    #[arg(long, default_value_t = 40)]
    racks: u32,
    /// Tasks a node runs at a time.
    #[arg(long, default_value_t = 4)]
    slots: u32,
    /// Maps and reduces of a run, about.
    #[arg(long, default_value_t = 400_000)]
    tasks: u64,
    /// Part of the slots that the jobs keep busy on average, in percent.
    #[arg(long, default_value_t = 95)]
    load: u64,
    /// Seeds 1 to this.
    #[arg(long, default_value_t = 20)]
    seeds: u64,
    /// Median MB a second of a map beside its input.
    #[arg(long, default_value_t = 100)]
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
}

fn policies() -> Vec<(&'static str, Policy)> {
    let ours = Policy::default();
    let eager = |order| Policy { order, patience: Patience::None, ..Policy::default() };
    let delay = Patience::Fixed { node_ms: 5_000, rack_ms: 5_000 };
    vec![
        ("fifo", eager(Order::Fifo)),
        ("naive fair", eager(Order::Fair)),
        ("fair, 5 s delay", Policy { patience: delay, ..Policy::default() }),
        ("granary", ours),
    ]
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let shape = Shape { nodes: arguments.nodes, racks: arguments.racks, slots: arguments.slots };
    anyhow::ensure!(shape.nodes > 0 && shape.racks > 0 && shape.slots > 0, "nodes, racks and slots are at least one");
    let troubles = Troubles {
        slow_percent: arguments.slow,
        failing_ppm: arguments.failing_ppm,
        lost_nodes: arguments.lost_nodes,
        rolling_restart: arguments.rolling_restart,
    };
    println!(
        "{} nodes on {} racks, {} slots each, {} tasks, load {}%, seeds 1-{}",
        shape.nodes, shape.racks, shape.slots, arguments.tasks, arguments.load, arguments.seeds
    );
    println!(
        "{:<16} {:>10} {:>10} {:>11} {:>11} {:>11} {:>12} {:>6} {:>9}",
        "policy", "local %", "small %", "small mean", "small p99", "all mean", "makespan/min", "failed", "us/event"
    );
    for (name, policy) in policies().into_iter().filter(|(name, _)| name.contains(&arguments.policy)) {
        let figures: Vec<Figures> = (1..=arguments.seeds)
            .map(|seed| measure(&arguments, &shape, &policy, &troubles, seed))
            .collect::<anyhow::Result<_>>()?;
        print(name, &figures);
    }
    Ok(())
}

/// Of one seed.
struct Figures {
    local_percent: f64,
    small_local_percent: f64,
    small_mean_ms: f64,
    small_p99_ms: f64,
    mean_ms: f64,
    makespan_ratio: f64,
    failed: f64,
    us_per_event: f64,
}

fn measure(
    arguments: &Arguments,
    shape: &Shape,
    policy: &Policy,
    troubles: &Troubles,
    seed: u64,
) -> anyhow::Result<Figures> {
    let slowness = run::slowness(shape, troubles, seed);
    let usual_slots = slowness.iter().map(|slow| 1_000.0 / *slow as f64 * f64::from(shape.slots)).sum();
    let wanted = Wanted {
        tasks: arguments.tasks,
        load_percent: arguments.load,
        map_rate: arguments.map_rate_mb as f64 * 1e6,
        usual_slots,
        hot_percent: arguments.hot,
    };
    let jobs = workload::make(shape, &wanted, seed);
    let begun = Instant::now();
    let outcome = run::run(shape, &jobs, policy.clone(), troubles, seed);
    let us_per_event = begun.elapsed().as_secs_f64() * 1e6 / outcome.decisions as f64;
    if arguments.replay {
        let again = run::run(shape, &jobs, policy.clone(), troubles, seed);
        anyhow::ensure!(again.digest == outcome.digest, "seed {seed} decided differently the second time");
    }
    Ok(figures(outcome, shortest_makespan_ms(&jobs, usual_slots), us_per_event))
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

fn figures(outcome: Outcome, shortest_ms: f64, us_per_event: f64) -> Figures {
    let percent = |maps: [u64; 3]| 100.0 * maps[0] as f64 / maps.iter().sum::<u64>().max(1) as f64;
    let mean = |times: &[u64]| times.iter().sum::<u64>() as f64 / times.len().max(1) as f64;
    let mut small = outcome.small_response_ms;
    small.sort_unstable();
    Figures {
        local_percent: percent(outcome.maps),
        small_local_percent: percent(outcome.small_maps),
        small_mean_ms: mean(&small),
        small_p99_ms: small.get(small.len() * 99 / 100).copied().unwrap_or(0) as f64,
        mean_ms: mean(&outcome.response_ms),
        makespan_ratio: outcome.makespan_ms as f64 / shortest_ms,
        failed: outcome.jobs_failed as f64,
        us_per_event,
    }
}

fn print(name: &str, figures: &[Figures]) {
    let median = |of: fn(&Figures) -> f64| {
        let mut values: Vec<f64> = figures.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied().unwrap_or(0.0)
    };
    println!(
        "{:<16} {:>10.2} {:>10.2} {:>8.0} ms {:>8.0} ms {:>8.0} ms {:>12.3} {:>6.0} {:>9.1}",
        name,
        median(|f| f.local_percent),
        median(|f| f.small_local_percent),
        median(|f| f.small_mean_ms),
        median(|f| f.small_p99_ms),
        median(|f| f.mean_ms),
        median(|f| f.makespan_ratio),
        median(|f| f.failed),
        median(|f| f.us_per_event),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

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
