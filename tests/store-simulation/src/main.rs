//! The store, simulated: the product's own namenodes, datanodes and clients on machines whose network, disks, clocks and
//! randomness a seed decides, with everything going wrong that does. One seed is one run and always the same one.
//!
//!     cargo run --release -p granary-store-simulation -- --seeds 2000
//!     cargo run --release -p granary-store-simulation -- --seed 17 --log

mod audit;
mod content;
mod history;
mod host;
mod invariants;
mod mutation;
mod network;
mod os;
mod plan;
mod random;
mod roles;
mod runs;
mod trace;
mod workload;
mod world;

use clap::Parser;
use mutation::Mutation;
use roles::Shape;
use std::process::ExitCode;

/// Runs the store on simulated machines and says whether anything was that must not be.
#[derive(Debug, Parser)]
struct Arguments {
    /// Runs this many seeds.
    #[arg(long, default_value_t = 100)]
    seeds: u64,
    /// From this one on.
    #[arg(long, default_value_t = 1)]
    first: u64,
    /// Runs at one time; 0: as many as there are processors.
    #[arg(long, default_value_t = 0)]
    jobs: usize,
    /// Goes on until this many minutes have passed, whatever `--seeds` says.
    #[arg(long)]
    minutes: Option<u64>,
    /// Ends with the first violation.
    #[arg(long)]
    until_violation: bool,
    /// Runs this one seed, here.
    #[arg(long)]
    seed: Option<u64>,
    /// Tells of every fault of that seed, and what the store logs (`RUST_LOG` says how much).
    #[arg(long)]
    log: bool,
    /// Writes every event of that seed to this file, to find where two runs part.
    #[arg(long)]
    trace: Option<std::path::PathBuf>,
    /// Breaks the store, so that it is seen what is found.
    #[arg(long, value_enum, default_value_t)]
    mutation: Mutation,
    #[arg(long, default_value_t = 3)]
    namenodes: usize,
    #[arg(long, default_value_t = 4)]
    datanodes: usize,
    #[arg(long, default_value_t = 2)]
    clients: usize,
}

impl Arguments {
    fn shape(&self) -> Shape {
        Shape { namenodes: self.namenodes, datanodes: self.datanodes, clients: self.clients }
    }
}

fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    match arguments.seed {
        Some(seed) => runs::one(seed, &arguments),
        None => runs::many(&arguments),
    }
}
