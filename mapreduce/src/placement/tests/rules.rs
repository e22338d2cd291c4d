//! One rule of placement a test.

use super::fixture::*;
use crate::placement::*;
use TaskKind::{Map, Reduce};

#[test]
fn a_task_runs_where_its_input_is() {
    let mut cluster = Cluster::with_nodes(Policy::default(), 4, 1);
    cluster.submit(1, 0, &[&[3], &[1]], 0);
    let places: Vec<u32> = cluster.of_job(1, Map).iter().map(|(_, node, _)| node.0).collect();
    assert_eq!(places, [3, 1]);
}

#[test]
fn a_task_waits_for_a_slot_beside_its_input_while_that_is_cheap() {
    let mut cluster = Cluster::with_nodes(Policy::default(), 2, 8);
    cluster.submit(1, 0, &[&[0][..]; 8], 0);
    assert_eq!(cluster.of_job(1, Map).len(), 8);
    cluster.submit(2, 1, &[&[0]], 0);
    cluster.pass(200);
    assert!(cluster.of_job(2, Map).is_empty(), "one of eight slots is soon free");
    let (first, ..) = cluster.of_job(1, Map)[0];
    cluster.succeed(first);
    assert_eq!(cluster.of_job(2, Map)[0].1, NodeId(0));
}

#[test]
fn a_task_reads_over_the_network_when_waiting_costs_more() {
    let mut cluster = Cluster::with_nodes(Policy::default(), 2, 1);
    cluster.submit(1, 0, &[&[0][..]; 6], 0);
    cluster.pass(200);
    let elsewhere: Vec<Locality> = cluster.of_job(1, Map).iter().map(|(.., locality)| *locality).collect();
    assert_eq!(elsewhere, [Locality::DataLocal, Locality::OtherLocal], "one slot for six tasks, another idle");
}

#[test]
fn the_rack_of_a_replica_is_nearer_than_others() {
    let mut cluster = Cluster::with_nodes(Policy::default(), 4, 1);
    cluster.submit(1, 0, &[&[0][..]; 6], 0);
    cluster.pass(200);
    let on_two: Vec<Locality> = cluster
        .of_job(1, Map)
        .iter()
        .filter(|(_, node, _)| *node == NodeId(2))
        .map(|(.., locality)| *locality)
        .collect();
    assert_eq!(on_two, [Locality::RackLocal]);
}

#[test]
fn the_task_with_the_fewest_chances_goes_first() {
    let mut cluster = Cluster::with_nodes(Policy::default(), 3, 1);
    cluster.submit(1, 0, &[&[0], &[1], &[2]], 0);
    cluster.submit(2, 0, &[&[0, 1, 2], &[0]], 0);
    let on_zero = cluster.of_job(1, Map)[0].0;
    cluster.succeed(on_zero);
    assert_eq!(cluster.of_job(2, Map)[0].0.task.index, 1, "the other map has two more nodes to hope for");
}

#[test]
fn users_share_whatever_the_number_of_their_tasks() {
    let mut cluster = Cluster::with_nodes(Policy::default(), 2, 10);
    let all: Vec<&[u32]> = vec![&[0, 1]; 1_000];
    cluster.submit(1, 1, &all, 0);
    assert_eq!(cluster.of_job(1, Map).len(), 20);
    cluster.submit(2, 2, &all[..10], 0);
    for _ in 0..10 {
        let (oldest, ..) = cluster.of_job(1, Map)[0];
        cluster.succeed(oldest);
    }
    assert_eq!(cluster.of_job(2, Map).len(), 10, "the slots that fell free went to the user who had none");
}

#[test]
fn who_has_had_little_gets_every_slot_until_the_job_is_done() {
    let mut cluster = Cluster::with_nodes(Policy::default(), 2, 2);
    let all: Vec<&[u32]> = vec![&[0, 1]; 1_000];
    cluster.submit(1, 1, &all, 0);
    for _ in 0..20 {
        cluster.now += 1_000;
        for (attempt, ..) in cluster.of_job(1, Map) {
            cluster.succeed(attempt);
        }
    }
    cluster.submit(2, 2, &all[..10], 0);
    let mut seconds = 0;
    while cluster.succeeded.is_empty() {
        cluster.now += 1_000;
        seconds += 1;
        let running: Vec<AttemptId> = cluster.running.keys().copied().collect();
        for attempt in running {
            cluster.succeed(attempt);
        }
    }
    assert_eq!(seconds, 4, "one second for the slots to fall free, three for ten tasks in four slots");
}

#[test]
fn a_map_without_a_home_has_its_turn_among_local_ones() {
    let mut cluster = Cluster::with_nodes(Policy::default(), 1, 2);
    cluster.submit(1, 1, &[&[0][..]; 100], 0);
    cluster.submit(2, 2, &[&[]], 0);
    cluster.now += 1_000;
    let (first, ..) = cluster.of_job(1, Map)[0];
    cluster.succeed(first);
    assert_eq!(cluster.of_job(2, Map).len(), 1);
}

#[test]
fn what_fails_everywhere_is_not_the_nodes_fault() {
    let mut cluster = Cluster::with_nodes(Policy::default(), 1, 1);
    for job in 0..10 {
        cluster.submit(job, 0, &[&[0]], 0);
        while let [(attempt, ..)] = cluster.of_job(job, Map)[..] {
            cluster.fail(attempt);
        }
        assert_eq!(cluster.failed.last(), Some(&JobId(job)));
    }
    cluster.submit(10, 0, &[&[0]], 0);
    assert_eq!(cluster.of_job(10, Map).len(), 1);
}

#[test]
fn a_map_whose_output_is_never_readable_fails_its_job() {
    let mut cluster = Cluster::with_nodes(Policy::default(), 2, 2);
    cluster.submit(1, 0, &[&[0]], 1);
    let mut runs = 0;
    while cluster.failed.is_empty() {
        let (map, ..) = cluster.of_job(1, Map)[0];
        cluster.succeed(map);
        cluster.tell(Event::MapOutputLost { job: JobId(1), map: 0 });
        runs += 1;
    }
    assert_eq!(runs, Policy::default().outputs_lost_max + 1);
    assert!(cluster.running.is_empty());
}

#[test]
fn weights_divide_the_slots() {
    let mut cluster = Cluster::with_nodes(Policy { order: Order::Fair, ..Policy::default() }, 1, 12);
    let all: Vec<&[u32]> = vec![&[0]; 200];
    let heavy = JobPlan { user_weight: 3, ..plan(1, 1, &all, 0) };
    cluster.submit_plan(heavy);
    cluster.submit(2, 2, &all, 0);
    for _ in 0..100 {
        cluster.now += 1;
        let oldest = *cluster.running.keys().min_by_key(|id| (id.task.index, id.task.job)).unwrap();
        cluster.succeed(oldest);
    }
    assert_eq!((cluster.of_job(1, Map).len(), cluster.of_job(2, Map).len()), (9, 3));
}

#[test]
fn fifo_gives_everything_to_the_first_job() {
    let policy = Policy { order: Order::Fifo, patience: Patience::None, ..Policy::default() };
    let mut cluster = Cluster::with_nodes(policy, 1, 2);
    cluster.submit(1, 1, &[&[0][..]; 4], 0);
    cluster.submit(2, 2, &[&[0]], 0);
    let (first, ..) = cluster.of_job(1, Map)[0];
    cluster.succeed(first);
    assert!(cluster.of_job(2, Map).is_empty());
}

#[test]
fn a_fixed_delay_is_kept_for_node_and_rack() {
    let delay = Patience::Fixed { node_ms: 1_000, rack_ms: 2_000 };
    let mut cluster = Cluster::with_nodes(Policy { patience: delay, ..Policy::default() }, 4, 1);
    cluster.submit(1, 0, &[&[0][..]; 3], 0);
    cluster.pass(900);
    assert_eq!(cluster.running.len(), 1);
    cluster.pass(300);
    assert_eq!(cluster.running.len(), 2, "the rack after one second");
    cluster.pass(1_500);
    assert_eq!(cluster.running.len(), 2);
    cluster.pass(500);
    assert_eq!(cluster.running.len(), 3, "anywhere after three");
}

#[test]
fn a_task_that_fails_four_times_fails_its_job_and_ends_the_others() {
    let mut cluster = Cluster::with_nodes(Policy::default(), 8, 1);
    cluster.submit(1, 0, &[&[0, 1, 2, 3, 4, 5], &[7]], 1);
    for time in 1..=4 {
        assert!(cluster.failed.is_empty(), "after {} failures", time - 1);
        let failing = cluster.of_job(1, Map).into_iter().find(|(id, ..)| id.task.index == 0).unwrap().0;
        cluster.fail(failing);
    }
    assert_eq!(cluster.failed, [JobId(1)]);
    assert_eq!(cluster.killed.len(), 1);
    assert_eq!(cluster.killed[0].1, KillReason::JobEnded);
    assert!(cluster.running.is_empty());
    assert_eq!(cluster.state.active_jobs(), 0);
}

#[test]
fn a_node_where_a_job_fails_gets_no_more_of_it() {
    let mut cluster = Cluster::with_nodes(Policy::default(), 4, 1);
    let both: &[u32] = &[0, 1];
    cluster.submit(1, 0, &[both; 40], 0);
    for _ in 0..3 {
        let (on_zero, ..) = cluster.of_job(1, Map).into_iter().find(|(_, node, _)| *node == NodeId(0)).unwrap();
        cluster.fail(on_zero);
    }
    assert!(cluster.of_job(1, Map).iter().all(|(_, node, _)| *node != NodeId(0)));
    cluster.submit(2, 1, &[&[0]], 0);
    assert_eq!(cluster.of_job(2, Map).len(), 1, "other jobs may");
}

#[test]
fn reduces_start_after_the_maps_and_are_spread() {
    let mut cluster = Cluster::with_nodes(Policy::default(), 4, 4);
    cluster.submit(1, 0, &[&[0], &[0], &[1]], 4);
    for (map, ..) in cluster.of_job(1, Map) {
        assert!(cluster.of_job(1, Reduce).is_empty());
        cluster.succeed(map);
    }
    let nodes: Vec<u32> = cluster.of_job(1, Reduce).iter().map(|(_, node, _)| node.0).collect();
    assert_eq!(nodes, [0, 1, 2, 3], "the node with most map output first, one each");
    for (reduce, ..) in cluster.of_job(1, Reduce) {
        cluster.succeed(reduce);
    }
    assert_eq!(cluster.succeeded, [JobId(1)]);
}

#[test]
fn maps_whose_output_is_lost_run_again_before_the_reduces() {
    let mut cluster = Cluster::with_nodes(Policy::default(), 3, 1);
    cluster.submit(1, 0, &[&[0, 1], &[1, 2]], 3);
    for (map, ..) in cluster.of_job(1, Map) {
        cluster.succeed(map);
    }
    assert_eq!(cluster.of_job(1, Reduce).len(), 3);
    cluster.lose(0);
    assert_eq!(cluster.killed.last().unwrap().1, KillReason::SlotNeeded, "every slot was a reduce's");
    let again = cluster.of_job(1, Map);
    assert_eq!(again.len(), 1);
    cluster.succeed(again[0].0);
    while let Some(&(reduce, ..)) = cluster.of_job(1, Reduce).first() {
        cluster.succeed(reduce);
    }
    assert_eq!(cluster.succeeded, [JobId(1)]);
}

#[test]
fn a_straggler_is_overtaken_and_the_slower_attempt_killed() {
    let mut cluster = Cluster::with_nodes(Policy::default(), 3, 4);
    cluster.submit(1, 0, &[&[0, 1], &[0, 1], &[1, 2], &[1, 2], &[0, 2]], 0);
    cluster.now = 2_000;
    let (slow, slow_node, _) = cluster.of_job(1, Map)[0];
    for (map, ..) in cluster.of_job(1, Map).into_iter().skip(1) {
        cluster.succeed(map);
    }
    cluster.now = 6_000;
    cluster.tell(Event::AttemptProgressed { attempt: slow, permille: 300 });
    let second = cluster.of_job(1, Map).into_iter().find(|(id, ..)| *id != slow).expect("a second attempt");
    assert_ne!(second.1, slow_node);
    assert_eq!(second.2, Locality::DataLocal);
    cluster.succeed(second.0);
    assert_eq!(cluster.killed, [(slow, KillReason::Overtaken)]);
    assert_eq!(cluster.succeeded, [JobId(1)]);
}

#[test]
fn a_program_that_has_been_fed_and_does_not_end_is_overtaken() {
    let mut cluster = Cluster::with_nodes(Policy::default(), 3, 4);
    cluster.submit(1, 0, &[&[0, 1][..]; 5], 0);
    cluster.now = 2_000;
    let (slow, ..) = cluster.of_job(1, Map)[0];
    for (map, ..) in cluster.of_job(1, Map).into_iter().skip(1) {
        cluster.succeed(map);
    }
    cluster.now = 3_000;
    cluster.tell(Event::AttemptProgressed { attempt: slow, permille: 1_000 });
    assert_eq!(cluster.running.len(), 1, "not much longer than the others");
    cluster.now = 4_000;
    cluster.tell(Event::AttemptProgressed { attempt: slow, permille: 1_000 });
    assert_eq!(cluster.running.len(), 2);
}

#[test]
fn an_attempt_that_keeps_pace_is_not_overtaken() {
    let mut cluster = Cluster::with_nodes(Policy::default(), 3, 4);
    cluster.submit(1, 0, &[&[0, 1][..]; 5], 0);
    cluster.now = 2_000;
    let (last, ..) = cluster.of_job(1, Map)[0];
    for (map, ..) in cluster.of_job(1, Map).into_iter().skip(1) {
        cluster.succeed(map);
    }
    cluster.tell(Event::AttemptProgressed { attempt: last, permille: 800 });
    assert_eq!(cluster.running.len(), 1);
}

#[test]
fn many_tasks_on_one_input_ask_for_another_replica_once() {
    let mut cluster = Cluster::with_nodes(Policy::default(), 2, 1);
    let mut one_input = plan(1, 0, &[&[0][..]; 100], 0);
    for map in &mut one_input.maps {
        map.input = InputId(7);
    }
    cluster.submit_plan(one_input);
    assert_eq!(cluster.hot, [InputId(7)]);
}

#[test]
fn an_input_that_moved_is_looked_for_where_it_is() {
    let mut cluster = Cluster::with_nodes(Policy::default(), 2, 8);
    cluster.submit(1, 0, &[&[0][..]; 8], 0);
    cluster.submit(2, 0, &[&[0]], 0);
    assert!(cluster.of_job(2, Map).is_empty());
    cluster.tell(Event::ReplicasChanged { job: JobId(2), map: 0, replicas: vec![NodeId(1)] });
    assert_eq!(cluster.of_job(2, Map)[0].2, Locality::DataLocal);
}

#[test]
fn a_killed_job_leaves_nothing() {
    let mut cluster = Cluster::with_nodes(Policy::default(), 1, 2);
    cluster.submit(1, 0, &[&[0][..]; 5], 2);
    cluster.submit(2, 0, &[&[0]], 0);
    cluster.tell(Event::JobKilled { job: JobId(1) });
    assert_eq!(cluster.killed.len(), 2);
    assert_eq!(cluster.of_job(2, Map).len(), 1, "its slots went on");
    assert_eq!(cluster.state.active_jobs(), 1);
}

#[test]
fn a_job_without_tasks_succeeds_at_once() {
    let mut cluster = Cluster::with_nodes(Policy::default(), 1, 1);
    cluster.submit(1, 0, &[], 0);
    assert_eq!(cluster.succeeded, [JobId(1)]);
}

#[test]
fn a_task_without_input_is_at_home_everywhere() {
    let mut cluster = Cluster::with_nodes(Policy::default(), 3, 1);
    cluster.submit(1, 0, &[&[], &[], &[], &[]], 0);
    assert!(cluster.of_job(1, Map).iter().all(|(.., locality)| *locality == Locality::DataLocal));
    assert_eq!(cluster.running.len(), 3);
}

#[test]
fn a_node_on_which_everything_fails_is_left_alone_for_a_while() {
    let policy = Policy { quarantine_failures: 5, node_failures_max: 100, ..Policy::default() };
    let mut cluster = Cluster::with_nodes(policy, 3, 1);
    for job in 0..5 {
        cluster.submit(job, 0, &[&[0]], 0);
        let (attempt, ..) = cluster.of_job(job, Map)[0];
        cluster.fail(attempt);
        cluster.tell(Event::JobKilled { job: JobId(job) });
    }
    cluster.submit(9, 0, &[&[0]], 0);
    cluster.pass(300);
    assert_eq!(cluster.of_job(9, Map)[0].2, Locality::RackLocal);
    cluster.now += 700_000;
    cluster.submit(10, 0, &[&[0]], 0);
    assert_eq!(cluster.of_job(10, Map)[0].1, NodeId(0), "its failures are half forgotten");
}
