//! What goes wrong in a run, and when: drawn from the seed before it begins, so that what the store does moves none of it.
//!
//! A seed picks the kinds of faults it has as well as the faults, because some bugs show only where others are absent.

use crate::network::{HostId, Weather};
use crate::random::Random;
use crate::roles::Shape;

const MS: u64 = 1_000_000;
const S: u64 = 1000 * MS;

/// Nothing goes wrong before this: the cluster forms.
const FROM: u64 = 4 * S;
/// From then on nothing is wrong any more.
pub const HEALED_AT: u64 = 24 * S;

/// Something that goes wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The process is killed and started again after this long.
    Kill {
        host: HostId,
        down: u64,
    },
    /// Machines lose their power at once.
    PowerCut {
        hosts: Vec<HostId>,
        down: u64,
    },
    /// Nothing gets from the ones to the others; with `both`, not back either.
    Partition {
        from: Vec<HostId>,
        to: Vec<HostId>,
        both: bool,
        lasts: u64,
    },
    /// Whoever leads then is cut off from the other peers and from some clients, in both directions.
    LonelyLeader {
        clients: Vec<HostId>,
        lasts: u64,
    },
    /// The process stands still and does not know it afterwards.
    Freeze {
        host: HostId,
        lasts: u64,
    },
    /// The same of whoever leads then.
    FrozenLeader {
        lasts: u64,
    },
    FullDisk {
        host: HostId,
        lasts: u64,
    },
    SlowDisk {
        host: HostId,
        sync_ms: u64,
        lasts: u64,
    },
    /// A bit of some replica turns over.
    BitFlip {
        host: HostId,
    },
    /// A wall clock is set.
    Clock {
        host: HostId,
        ahead_ms: i64,
    },
}

const KINDS: u64 = 11;

/// The faults of a seed in order of time, and its network.
pub struct Plan {
    pub weather: Weather,
    pub faults: Vec<(u64, Fault)>,
}

impl Plan {
    /// The plan of a seed.
    pub fn new(seed: u64, shape: Shape) -> Plan {
        let mut random = Random::new(seed, 4);
        let weather = Weather {
            latency_min: random.range(2, 10) * MS,
            latency_max: random.range(11, 60) * MS,
            lost_permille: *random.pick(&[0, 0, 1, 5]),
        };
        let kinds: Vec<u64> = (0..KINDS).filter(|_| random.chance(50)).collect();
        let count = random.range(3, 12);
        let mut faults: Vec<(u64, Fault)> = Vec::new();
        // Bits turn over on one machine's disk alone: whatever is acknowledged stands on two.
        let decaying = *random.pick(&shape.datanode_hosts().collect::<Vec<_>>());
        for _ in 0..count {
            let at = random.range(FROM / MS, (HEALED_AT - 2 * S) / MS) * MS;
            let kind = if kinds.is_empty() { random.range(0, KINDS) } else { *random.pick(&kinds) };
            faults.push((at, fault(kind, &mut random, shape, decaying)));
        }
        faults.sort_by_key(|(at, _)| *at);
        Plan { weather, faults }
    }
}

fn fault(kind: u64, random: &mut Random, shape: Shape, decaying: HostId) -> Fault {
    let hosts: Vec<HostId> = (0..shape.hosts()).collect();
    let servers: Vec<HostId> = (0..shape.namenodes + shape.datanodes).collect();
    let datanodes: Vec<HostId> = shape.datanode_hosts().collect();
    let clients: Vec<HostId> = shape.client_hosts().collect();
    let lasts = random.range(500, 7_000) * MS;
    let down = random.range(200, 5_000) * MS;
    match kind {
        0 => Fault::Kill { host: *random.pick(&hosts), down },
        1 => Fault::PowerCut { hosts: vec![*random.pick(&servers)], down },
        2 => Fault::PowerCut { hosts: servers, down },
        3 => {
            let host = *random.pick(&hosts);
            let others = hosts.into_iter().filter(|other| *other != host).collect();
            let (from, to) = if random.chance(50) { (vec![host], others) } else { (others, vec![host]) };
            Fault::Partition { from, to, both: random.chance(50), lasts }
        }
        4 => {
            let mut all = hosts;
            random.shuffle(&mut all);
            let to = all.split_off(random.range(1, all.len() as u64) as usize);
            Fault::Partition { from: all, to, both: random.chance(70), lasts }
        }
        5 => Fault::LonelyLeader { clients: vec![*random.pick(&clients)], lasts },
        6 if random.chance(50) => Fault::FrozenLeader { lasts },
        6 => Fault::Freeze { host: *random.pick(&hosts), lasts },
        7 => Fault::FullDisk { host: *random.pick(&datanodes), lasts },
        8 => Fault::SlowDisk { host: *random.pick(&servers), sync_ms: random.range(100, 1_500), lasts },
        9 => Fault::BitFlip { host: decaying },
        _ => {
            let ahead = random.range(0, 60_000) as i64;
            Fault::Clock { host: *random.pick(&hosts), ahead_ms: ahead - 30_000 }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_has_one_plan_and_others_have_others() {
        let shape = Shape { namenodes: 3, datanodes: 4, clients: 2 };
        assert_eq!(Plan::new(7, shape).faults, Plan::new(7, shape).faults);
        assert_ne!(Plan::new(7, shape).faults, Plan::new(8, shape).faults);
        for seed in 0..200 {
            assert!(Plan::new(seed, shape).faults.iter().all(|(at, _)| (FROM..HEALED_AT).contains(at)));
        }
    }
}
