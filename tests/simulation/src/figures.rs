//! The figures of a run, their medians over seeds, and what they promise.

use crate::optimum::Optimum;
use crate::run::Outcome;

/// Of one seed.
#[derive(Clone, Debug)]
pub struct Figures {
    pub local_percent: f64,
    pub small_local_percent: f64,
    pub small_mean_ms: f64,
    pub small_p99_ms: f64,
    pub mean_ms: f64,
    /// Relative to the shortest that any policy can reach.
    pub makespan_ratio: f64,
    pub failed: f64,
    /// Seconds of processor time that the run took.
    pub seconds: f64,
    pub us_per_event: f64,
}

/// Of a run.
pub fn of_run(outcome: Outcome, shortest_ms: f64, seconds: f64) -> Figures {
    let percent = |maps: [u64; 3]| 100.0 * maps[0] as f64 / maps.iter().sum::<u64>().max(1) as f64;
    let (small_mean_ms, small_p99_ms) = mean_and_p99(outcome.small_response_ms);
    Figures {
        local_percent: percent(outcome.maps),
        small_local_percent: percent(outcome.small_maps),
        small_mean_ms,
        small_p99_ms,
        mean_ms: mean_and_p99(outcome.response_ms).0,
        makespan_ratio: outcome.makespan_ms as f64 / shortest_ms,
        failed: outcome.jobs_failed as f64,
        seconds,
        us_per_event: seconds * 1e6 / outcome.decisions as f64,
    }
}

/// Of what no run can do better than.
pub fn of_optimum(optimum: Optimum) -> Figures {
    let (small_mean_ms, small_p99_ms) = mean_and_p99(optimum.small_response_ms);
    Figures {
        local_percent: optimum.local_percent,
        small_local_percent: optimum.small_local_percent,
        small_mean_ms,
        small_p99_ms,
        mean_ms: mean_and_p99(optimum.response_ms).0,
        makespan_ratio: 1.0,
        failed: 0.0,
        seconds: 0.0,
        us_per_event: 0.0,
    }
}

fn mean_and_p99(mut times: Vec<u64>) -> (f64, f64) {
    times.sort_unstable();
    let mean = times.iter().sum::<u64>() as f64 / times.len().max(1) as f64;
    (mean, times.get(times.len() * 99 / 100).copied().unwrap_or(0) as f64)
}

/// The median over the seeds.
pub fn median(figures: &[Figures], of: impl Fn(&Figures) -> f64) -> f64 {
    let mut values: Vec<f64> = figures.iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

pub fn print_head() {
    println!(
        "{:<16} {:>9} {:>9} {:>11} {:>11} {:>11} {:>12} {:>6} {:>8} {:>9}",
        "policy",
        "local %",
        "small %",
        "small mean",
        "small p99",
        "all mean",
        "makespan/min",
        "failed",
        "cpu s",
        "us/event"
    );
}

/// A line of medians.
pub fn print(name: &str, figures: &[Figures]) {
    let median = |of: fn(&Figures) -> f64| median(figures, of);
    println!(
        "{:<16} {:>9.2} {:>9.2} {:>8.0} ms {:>8.0} ms {:>8.0} ms {:>12.3} {:>6.0} {:>8.1} {:>9.1}",
        name,
        median(|f| f.local_percent),
        median(|f| f.small_local_percent),
        median(|f| f.small_mean_ms),
        median(|f| f.small_p99_ms),
        median(|f| f.mean_ms),
        median(|f| f.makespan_ratio),
        median(|f| f.failed),
        median(|f| f.seconds),
        median(|f| f.us_per_event),
    );
}

/// What is promised of placement at 1,000 nodes under 95 % load: locality with every seed, the rest in the median.
pub fn broken_promises(ours: &[Figures], naive: &[Figures]) -> Vec<String> {
    const LOCAL_PERCENT: f64 = 99.0;
    const SMALL_LOCAL_PERCENT: f64 = 95.0;
    const SMALL_RESPONSE: f64 = 0.6;
    const MAKESPAN: f64 = 1.03;
    let least = |of: fn(&Figures) -> f64| ours.iter().map(of).fold(f64::INFINITY, f64::min);
    let response = median(ours, |f| f.small_mean_ms) / median(naive, |f| f.small_mean_ms);
    let makespan = median(ours, |f| f.makespan_ratio);
    let (local, small) = (least(|f| f.local_percent), least(|f| f.small_local_percent));
    let all = [
        (local >= LOCAL_PERCENT, format!("{local:.2} % of the maps are local, with the worst seed")),
        (small >= SMALL_LOCAL_PERCENT, format!("{small:.2} % of those of small jobs are local, with the worst seed")),
        (
            response <= SMALL_RESPONSE,
            format!("small jobs take {response:.2} of what they take under naive fair sharing"),
        ),
        (makespan <= MAKESPAN, format!("the makespan is {makespan:.3} of the shortest")),
    ];
    all.into_iter().filter(|(kept, _)| !kept).map(|(_, broken)| broken).collect()
}
