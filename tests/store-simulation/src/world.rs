//! One run: all machines, their faults, and time, on one thread.
//!
//! Time goes on in steps. In each, what is due on the network arrives, what is planned happens, and every machine has a turn,
//! in an order that the seed draws.

use crate::audit;
use crate::host::Host;
use crate::invariants;
use crate::mutation::Mutation;
use crate::network::{Ending, HostId, SimulatedNetwork};
use crate::os::{self, Disk};
use crate::plan::{Fault, HEALED_AT, Plan};
use crate::random::Random;
use crate::roles::{Machine, Shape, Shared, run_datanode, run_namenode};
use crate::trace;
use crate::workload;
use granary_rpc::BlockingInTurn;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

const MS: u64 = 1_000_000;
const S: u64 = 1000 * MS;
/// A step.
const STEP: u64 = 5 * MS;
/// How long clients go on after the last fault.
const REST_AFTER: u64 = 4 * S;
/// A run that has not come to rest by then never will.
const LIMIT: u64 = 400 * S;
/// A sync of a disk that is well.
const SYNC: Duration = Duration::from_millis(2);

/// What a run found.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub violations: Vec<String>,
    /// The trace of everything that happened, as a number, and how many events it has.
    pub trace: u64,
    pub events: u64,
    pub operations: u64,
    pub faults: usize,
    pub simulated_ms: u64,
}

/// A run under way.
pub struct World {
    shared: Arc<Shared>,
    hosts: Vec<Host>,
    incarnations: Vec<u64>,
    directories: Vec<PathBuf>,
    plan: Plan,
    random: Random,
    now: u64,
    next_fault: usize,
    /// What ends, and when.
    ends: Vec<(u64, Fault)>,
    log: bool,
}

impl World {
    /// A run of `seed`, on a thread of its own. `directory` is empty; `log` tells of every fault on standard error.
    pub fn new(seed: u64, shape: Shape, mutation: Mutation, directory: PathBuf, log: bool) -> World {
        let disk = Disk::new(directory, shape.hosts(), seed);
        let directories = (0..shape.hosts()).map(|host| disk.directory(host)).collect();
        os::begin(seed, disk);
        let plan = Plan::new(seed, shape);
        let network = SimulatedNetwork::new(seed, plan.weather);
        let shared = Arc::new(Shared::new(shape, mutation, network, seed));
        World {
            shared,
            hosts: (0..shape.hosts()).map(Host::new).collect(),
            incarnations: vec![0; shape.hosts()],
            directories,
            plan,
            random: Random::new(seed, 7),
            now: 0,
            next_fault: 0,
            ends: Vec::new(),
            log,
        }
    }

    /// Runs to the end.
    pub fn run(mut self) -> Outcome {
        let _in_turn = BlockingInTurn::begin();
        for host in 0..self.hosts.len() {
            self.mend_disk(host);
            self.boot(host);
        }
        let mut healed = false;
        while !self.shared.audited.load(Ordering::Relaxed) && self.now < LIMIT {
            self.now += STEP;
            self.shared.set_now(self.now);
            os::set_now(self.now);
            if !healed && self.now >= HEALED_AT {
                healed = true;
                self.heal();
            }
            if healed && self.now >= HEALED_AT + REST_AFTER && !self.shared.resting.swap(true, Ordering::Relaxed) {
                self.begin_audit();
            }
            if !healed {
                self.end_faults();
                self.begin_faults();
            }
            self.boot_due();
            self.shared.network.advance(self.now);
            let mut order: Vec<HostId> = (0..self.hosts.len()).collect();
            self.random.shuffle(&mut order);
            for host in order {
                self.hosts[host].turn(self.now);
            }
        }
        self.outcome()
    }

    fn outcome(mut self) -> Outcome {
        let history = &self.shared.history;
        if !self.shared.audited.load(Ordering::Relaxed) {
            history.violation(format!("the audit did not end within {} s of the run", LIMIT / S));
        }
        let keys = history.keys();
        invariants::linearizable::check(&keys).into_iter().for_each(|violation| history.violation(violation));
        let (trace, events) = trace::so_far();
        let outcome = Outcome {
            violations: history.violations(),
            trace,
            events,
            operations: keys.values().map(|operations| operations.len() as u64).sum(),
            faults: self.plan.faults.len(),
            simulated_ms: self.now / MS,
        };
        for host in &mut self.hosts {
            host.end(&self.shared.network, self.now, Ending::Silent, false);
        }
        outcome
    }

    fn machine(&self, host: HostId) -> Machine {
        Machine {
            host,
            clock: self.hosts[host].clock.clone(),
            directory: self.directories[host].clone(),
            holder: "gateway",
            incarnation: self.incarnations[host],
            shared: self.shared.clone(),
        }
    }

    fn boot(&mut self, host: HostId) {
        self.incarnations[host] += 1;
        let (machine, shape) = (self.machine(host), self.shared.shape);
        let (network, hosts) = (&self.shared.network, &mut self.hosts);
        if host < shape.namenodes {
            hosts[host].boot(network, self.now, run_namenode(machine));
        } else if shape.datanode_hosts().contains(&host) {
            hosts[host].boot(network, self.now, run_datanode(machine));
        } else {
            hosts[host].boot(network, self.now, workload::run(machine));
        }
    }

    fn boot_due(&mut self) {
        for host in 0..self.hosts.len() {
            if self.hosts[host].boots_at.is_some_and(|at| at <= self.now) {
                self.say(format_args!("machine {host} starts"));
                self.boot(host);
            }
        }
    }

    fn end(&mut self, host: HostId, down: u64, ending: Ending, power_cut: bool) {
        if !self.hosts[host].is_up() {
            return;
        }
        self.hosts[host].end(&self.shared.network, self.now, ending, power_cut);
        self.hosts[host].boots_at = Some(self.now + down);
    }

    fn mend_disk(&self, host: HostId) {
        let skips_syncs =
            self.shared.mutation == Mutation::FsyncSkipped && self.shared.shape.datanode_hosts().contains(&host);
        os::with_disk(|disk| {
            let faults = disk.faults(host);
            (faults.full, faults.sync, faults.skips_syncs) = (false, SYNC, skips_syncs);
        });
    }

    fn begin_faults(&mut self) {
        while let Some((_, fault)) = self.plan.faults.get(self.next_fault).filter(|(at, _)| *at <= self.now).cloned() {
            self.next_fault += 1;
            trace::note("fault", &[self.now, self.next_fault as u64], &[]);
            self.say(format_args!("{fault:?}"));
            self.begin_fault(fault);
        }
    }

    fn begin_fault(&mut self, fault: Fault) {
        match fault {
            Fault::Kill { host, down } => self.end(host, down, Ending::Closed, false),
            Fault::PowerCut { hosts, down } => {
                for host in hosts {
                    let longer = self.random.range(0, 1000) * MS;
                    self.end(host, down + longer, Ending::Silent, true);
                }
            }
            Fault::Partition { ref from, ref to, both, lasts } => {
                self.cut(from, to, true);
                if both {
                    self.cut(to, from, true);
                }
                self.ends.push((self.now + lasts, fault));
            }
            Fault::LonelyLeader { clients, lasts } => {
                let Some(leader) = self.shared.leader() else { return };
                let shape = self.shared.shape;
                let with: Vec<HostId> = clients.into_iter().chain([leader]).collect();
                let apart = (0..shape.namenodes).chain(shape.client_hosts());
                let others = apart.filter(|host| !with.contains(host)).collect();
                self.begin_fault(Fault::Partition { from: with, to: others, both: true, lasts });
            }
            Fault::Freeze { host, lasts } => self.hosts[host].frozen_until = self.now + lasts,
            Fault::FrozenLeader { lasts } => {
                if let Some(leader) = self.shared.leader() {
                    self.hosts[leader].frozen_until = self.now + lasts;
                }
            }
            Fault::FullDisk { host, lasts } => {
                os::with_disk(|disk| disk.faults(host).full = true);
                self.ends.push((self.now + lasts, Fault::FullDisk { host, lasts }));
            }
            Fault::SlowDisk { host, sync_ms, lasts } => {
                os::with_disk(|disk| disk.faults(host).sync = Duration::from_millis(sync_ms));
                self.ends.push((self.now + lasts, Fault::SlowDisk { host, sync_ms, lasts }));
            }
            Fault::BitFlip { host } => self.flip_bit(host),
            Fault::Clock { host, ahead_ms } => self.hosts[host].clock.set_ahead(ahead_ms),
        }
    }

    fn flip_bit(&mut self, host: HostId) {
        let replicas = os::with_disk(|disk| disk.files_with(host, "/finalized/"));
        if !replicas.is_empty() {
            let (path, _) = self.random.pick(&replicas).clone();
            os::with_disk(|disk| disk.flip_bit(host, &path));
        }
    }

    fn cut(&self, from: &[HostId], to: &[HostId], cut: bool) {
        let pairs = from.iter().flat_map(|from| to.iter().map(move |to| (*from, *to)));
        pairs.for_each(|(from, to)| self.shared.network.set_cut(from, to, cut));
    }

    fn end_faults(&mut self) {
        let now = self.now;
        let (over, last): (Vec<_>, Vec<_>) = std::mem::take(&mut self.ends).into_iter().partition(|(at, _)| *at <= now);
        self.ends = last;
        for (_, fault) in over {
            match fault {
                Fault::Partition { from, to, both, .. } => {
                    self.cut(&from, &to, false);
                    if both {
                        self.cut(&to, &from, false);
                    }
                }
                Fault::FullDisk { host, .. } | Fault::SlowDisk { host, .. } => self.mend_disk(host),
                _ => {}
            }
        }
    }

    /// From now on nothing is wrong, and everything runs.
    fn heal(&mut self) {
        self.say(format_args!("everything is well from now on"));
        self.shared.network.heal();
        self.ends.clear();
        for host in 0..self.hosts.len() {
            self.mend_disk(host);
            self.hosts[host].clock.set_ahead(0);
            self.hosts[host].frozen_until = 0;
            if !self.hosts[host].is_up() {
                self.hosts[host].boots_at = Some(self.now);
            }
        }
    }

    /// A client that asks for nothing but what there is takes the place of the first one.
    fn begin_audit(&mut self) {
        self.say(format_args!("the audit begins"));
        let host = self.shared.shape.client_hosts().start;
        let (machine, now) = (self.machine(host), self.now);
        self.hosts[host].spawn(now, audit::run(machine));
    }

    fn say(&self, what: std::fmt::Arguments<'_>) {
        if self.log {
            eprintln!("{:>8} ms  {what}", self.now / MS);
        }
    }
}
