//! Random events: whatever happens in whatever order, every job ends, slots are not given twice, and the same events
//! give the same actions.

use super::fixture::*;
use crate::placement::*;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    Submit { user: u32, replicas: Vec<Vec<u32>>, reduces: u32 },
    Succeed(usize),
    Fail(usize),
    Progress(usize, u16),
    Lose(u32),
    Join(u32),
    Kill(u64),
    OutputLost(u64, u32),
    Move(u64, u32, Vec<u32>),
    Pass(u64),
}

const NODES: u32 = 6;

fn step() -> impl Strategy<Value = Step> {
    let replicas = prop::collection::vec(prop::collection::btree_set(0..NODES, 0..3), 0..12)
        .prop_map(|maps| maps.into_iter().map(|nodes| nodes.into_iter().collect()).collect());
    prop_oneof![
        3 => (0..3u32, replicas, 0..4u32).prop_map(|(user, replicas, reduces)| Step::Submit { user, replicas, reduces }),
        12 => any::<usize>().prop_map(Step::Succeed),
        2 => any::<usize>().prop_map(Step::Fail),
        3 => (any::<usize>(), 0..1000u16).prop_map(|(at, permille)| Step::Progress(at, permille)),
        1 => (0..NODES).prop_map(Step::Lose),
        2 => (0..NODES).prop_map(Step::Join),
        1 => (0..20u64).prop_map(Step::Kill),
        1 => (0..20u64, 0..12u32).prop_map(|(job, map)| Step::OutputLost(job, map)),
        1 => (0..20u64, 0..12u32, prop::collection::vec(0..NODES, 0..3)).prop_map(|(job, map, to)| Step::Move(job, map, to)),
        4 => (1..3_000u64).prop_map(Step::Pass),
    ]
}

fn take(cluster: &mut Cluster, next_job: &mut u64, step: &Step) {
    let nth = |cluster: &Cluster, at: usize| cluster.running.keys().nth(at % cluster.running.len().max(1)).copied();
    match step {
        Step::Submit { user, replicas, reduces } => {
            let replicas: Vec<&[u32]> = replicas.iter().map(Vec::as_slice).collect();
            cluster.submit(*next_job, *user, &replicas, *reduces);
            *next_job += 1;
        }
        Step::Succeed(at) => nth(cluster, *at).into_iter().for_each(|attempt| cluster.succeed(attempt)),
        Step::Fail(at) => nth(cluster, *at).into_iter().for_each(|attempt| cluster.fail(attempt)),
        Step::Progress(at, permille) => {
            let event = |attempt| Event::AttemptProgressed { attempt, permille: *permille };
            nth(cluster, *at).into_iter().for_each(|attempt| cluster.tell(event(attempt)));
        }
        Step::Lose(node) => cluster.lose(*node),
        Step::Join(node) if !cluster.is_up(*node) => cluster.join(*node, 2),
        Step::Join(_) => {}
        Step::Kill(job) => cluster.tell(Event::JobKilled { job: JobId(*job) }),
        Step::OutputLost(job, map) => cluster.tell(Event::MapOutputLost { job: JobId(*job), map: *map }),
        Step::Move(job, map, to) => {
            let replicas: std::collections::BTreeSet<NodeId> = to.iter().copied().map(NodeId).collect();
            let replicas = replicas.into_iter().collect();
            cluster.tell(Event::ReplicasChanged { job: JobId(*job), map: *map, replicas });
        }
        Step::Pass(ms) => cluster.pass(*ms),
    }
}

/// Lets everything that runs succeed until nothing is left.
fn finish(cluster: &mut Cluster) {
    for node in 0..NODES {
        if !cluster.is_up(node) {
            cluster.join(node, 2);
        }
    }
    for _ in 0..10_000 {
        if cluster.state.active_jobs() == 0 {
            return;
        }
        match cluster.running.keys().next().copied() {
            Some(attempt) => cluster.succeed(attempt),
            None => cluster.pass(60_000),
        }
    }
    panic!("jobs that never end: {:?}", cluster.state);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn every_job_ends_once(steps in prop::collection::vec(step(), 1..120), fixed: bool, fifo: bool) {
        let patience = if fixed { Patience::Fixed { node_ms: 500, rack_ms: 500 } } else { Policy::default().patience };
        let order = if fifo { Order::Fifo } else { Order::Fair };
        let policy = Policy { patience, order, ..Policy::default() };
        let run = || {
            let mut cluster = Cluster::with_nodes(policy.clone(), NODES, 2);
            let mut next_job = 0;
            let mut killed = std::collections::BTreeSet::new();
            for step in &steps {
                if let Step::Kill(job) = step {
                    killed.insert(*job);
                }
                take(&mut cluster, &mut next_job, step);
            }
            finish(&mut cluster);
            prop_assert!(cluster.running.is_empty());
            for job in 0..next_job {
                let ends = cluster.succeeded.iter().chain(&cluster.failed).filter(|end| end.0 == job).count();
                prop_assert!(ends == 1 || (ends == 0 && killed.contains(&job)), "job {} ended {} times", job, ends);
            }
            Ok(cluster.log)
        };
        prop_assert_eq!(run()?, run()?);
    }
}
