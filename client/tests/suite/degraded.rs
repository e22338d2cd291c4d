//! Reads of blocks whose replica is lost, from the rest of their coded group.

use crate::cluster::*;
use bytes::Bytes;
use granary_client::Client;
use granary_protocol::block::{BlockKind, Extent};
use granary_protocol::erasure::{Code, SimdField};
use granary_protocol::*;
use std::time::Duration;
use tokio::time::Instant;

const DATA: usize = 6;
const LENGTHS: [usize; DATA] = [9_001, 9_001, 8_000, 5_003, 1, 2_500];

/// Nine volumes with a group of 6 + 3; object `k0` is in the first data block, and so on.
fn coded() -> (Cluster, Vec<Bytes>) {
    let cluster = Cluster::new(9, 1);
    let bodies: Vec<Bytes> = LENGTHS.iter().zip(1..).map(|(length, seed)| body(*length, seed)).collect();
    let longest = LENGTHS.into_iter().max().unwrap();
    let mut parity = vec![vec![0u8; longest]; 3];
    let inputs: Vec<&[u8]> = bodies.iter().map(|body| body.as_ref()).collect();
    let mut outputs: Vec<&mut [u8]> = parity.iter_mut().map(Vec::as_mut_slice).collect();
    let code = Code::new(6, 3).unwrap();
    code.combination(&[0, 1, 2, 3, 4, 5], &[6, 7, 8]).unwrap().apply(&SimdField, &inputs, &mut outputs);
    let mut state = cluster.state();
    let mut members = Vec::new();
    for (place, bytes) in bodies.iter().map(|body| body.to_vec()).chain(parity).enumerate() {
        let (id, volume) = (BlockId(1_000 + place as u64), VolumeId(place as u64 + 1));
        let kind = if place < DATA { BlockKind::Owned } else { BlockKind::Parity };
        let generation = GenerationStamp(1);
        let sealed = Some(bytes.len() as u32);
        let block = Block { lease: LeaseId(1), kind, generation, volumes: vec![volume], sealed, abandoned: false };
        let replica = Replica { synced: bytes.len(), finalized: true, generation, data: bytes };
        if place < DATA {
            let content = ContentId(place as u64);
            let extent = Extent { block: id, offset: 0, length: LENGTHS[place] as u32 };
            state.contents.insert(content, vec![extent]);
            state.objects.insert(format!("k{place}"), Some(content));
        }
        state.blocks.insert(id, block);
        state.replicas.insert((volume, id), replica);
        members.push(id);
    }
    state.groups.push((members, DATA as u8));
    drop(state);
    (cluster, bodies)
}

async fn read_all(client: &Client, bodies: &[Bytes]) {
    for (place, body) in bodies.iter().enumerate() {
        assert!(get(client, &format!("k{place}")).await.unwrap() == *body, "k{place}");
    }
}

#[tokio::test(start_paused = true)]
async fn all_84_ways_to_lose_three_of_nine_are_read_around() {
    let (cluster, bodies) = coded();
    let mut ways = 0;
    for lost in (0u64..1 << 9).filter(|lost| lost.count_ones() == 3) {
        let volumes = (1..=9).filter(|volume| lost >> (volume - 1) & 1 == 1).map(VolumeId);
        cluster.state().faults.dead = volumes.collect();
        let client = cluster.client();
        let started = Instant::now();
        read_all(&client, &bodies).await;
        assert!(started.elapsed() < Duration::from_secs(1), "lost {lost:b}: {:?}", started.elapsed());
        ways += 1;
    }
    assert_eq!(ways, 84);
}

#[tokio::test(start_paused = true)]
async fn four_lost_are_a_clear_error_soon_and_others_are_not_affected() {
    for known in [false, true] {
        let (cluster, bodies) = coded();
        for volume in [1, 2, 7, 9].map(VolumeId) {
            let mut state = cluster.state();
            state.faults.dead.insert(volume);
            if known {
                state.blocks.get_mut(&BlockId(999 + volume.0)).unwrap().volumes.clear();
            }
        }
        let client = cluster.client();
        for key in ["k0", "k1"] {
            let started = Instant::now();
            let failure = get(&client, key).await.unwrap_err();
            assert_eq!(failure.code, ErrorCode::Unavailable);
            assert!(failure.detail.contains("coded group"), "{failure}");
            assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
        }
        assert!(get(&client, "k2").await.unwrap() == bodies[2]);
        // Beyond the end of a lost member the others are enough: it is zeros there.
        assert!(get(&client, "k5").await.unwrap() == bodies[5]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_member_that_fails_anywhere_is_replaced_at_the_byte() {
    let kinds = [
        ReadFaultKind::Fails("bad checksum"),
        ReadFaultKind::EndsEarly,
        ReadFaultKind::ServesTooMuch,
        ReadFaultKind::IsSilent,
    ];
    for how in kinds {
        for after in [0, 1, 511, 999, 1_000, 1_001, 4_000, 7_999] {
            let (cluster, bodies) = coded();
            // The block's own replica, one that is read in its stead, and one that takes that one's place.
            for volume in [1, 2, 3] {
                cluster.state().faults.reads.insert(VolumeId(volume), ReadFault { after, how });
            }
            let started = Instant::now();
            assert!(get(&cluster.client(), "k0").await.unwrap() == bodies[0], "{how:?} after {after}");
            assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn silent_datanodes_do_not_hold_up_the_error() {
    let (cluster, _) = coded();
    for volume in [1, 2, 7, 9] {
        let fault = ReadFault { after: 0, how: ReadFaultKind::IsSilent };
        cluster.state().faults.reads.insert(VolumeId(volume), fault);
    }
    let started = Instant::now();
    assert_eq!(get(&cluster.client(), "k0").await.unwrap_err().code, ErrorCode::Unavailable);
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn ranges_are_rebuilt_alone() {
    let (cluster, bodies) = coded();
    cluster.state().faults.dead.extend([1, 4].map(VolumeId));
    let client = cluster.client();
    for (first, last) in [(0, 0), (4_999, 5_010), (8_999, 9_000), (100, 8_100), (9_000, 9_000)] {
        let got = get_range(&client, "k0", first, Some(last)).await.unwrap();
        assert!(got == bodies[0][first as usize..=last as usize], "{first}-{last}");
    }
    assert!(get_range(&client, "k3", 5_002, None).await.unwrap() == bodies[3][5_002..]);
}

#[tokio::test(start_paused = true)]
async fn a_suspect_is_asked_again_where_its_group_opens_and_brings_nothing() {
    let (cluster, bodies) = coded();
    let client = cluster.client();
    cluster.state().faults.dead.insert(VolumeId(1));
    assert!(get(&client, "k0").await.unwrap() == bodies[0], "from the group; the volume is a suspect now");
    cluster.state().faults.dead.clear();
    for volume in 2..=9 {
        let fault = ReadFault { after: 0, how: ReadFaultKind::Fails("bad checksum") };
        cluster.state().faults.reads.insert(VolumeId(volume), fault);
    }
    let read = tokio::time::timeout(Duration::from_secs(5), get(&client, "k0"));
    assert!(read.await.expect("it does not go round and round").unwrap() == bodies[0]);
}
