//! Parameters that no client would send: every method answers them, with an exception or otherwise, and none panics; and what
//! a namenode answers that does not lead.
//!
//! `GRANARY_FUZZ_ROUNDS` plays more of them.

use super::context::{ClientProtocol, NamenodeRole};
use super::messages::*;
use super::methods::METHODS;
use crate::cluster_key::ClusterKey;
use crate::config::HdfsConfig;
use crate::datanode_directory::DatanodeDirectory;
use crate::door::FileSystemDoor;
use crate::exception::JavaException;
use crate::identity::ClaimedUser;
use crate::principal::Principals;
use crate::proto::{DatanodeInfo, ExtendedBlock, FsPermission};
use crate::rpc::{Call, RpcProtocol};
use crate::sealed::Locator;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use granary_protocol::namenode::{NamenodeReply, NamenodeRequest, NamenodeService};
use granary_protocol::{CanonicalId, ErrorCode, Failure};
use prost::Message;
use std::sync::Arc;

/// A namenode that is never able to answer; whether it leads.
struct Silent(bool);

impl NamenodeService for Silent {
    fn call(&self, _request: NamenodeRequest) -> BoxFuture<'_, Result<NamenodeReply, Failure>> {
        Box::pin(std::future::ready(Err(ErrorCode::Unavailable.into())))
    }
}

impl NamenodeRole for Silent {
    fn is_leader(&self) -> bool {
        self.0
    }

    fn applied(&self) -> u64 {
        7
    }
}

fn protocol(leads: bool) -> ClientProtocol {
    let namenode: Arc<dyn NamenodeService> = Arc::new(Silent(leads));
    let config = Arc::new(HdfsConfig::default());
    let principals = Principals::new(namenode.clone(), config, CanonicalId::from("operator"));
    let door = Arc::new(FileSystemDoor::new(namenode.clone(), principals));
    let datanodes = Arc::new(DatanodeDirectory::new(namenode.clone()));
    let locator = Arc::new(Locator::new(door.clone(), datanodes.clone(), ClusterKey::new(namenode)));
    ClientProtocol::new(door, Arc::new(Silent(leads)), datanodes, locator)
}

fn call() -> Call {
    let user = ClaimedUser { name: "hdfs".to_owned(), real: None, from_loopback: true };
    Call {
        user: Arc::new(user),
        peer: "127.0.0.1:9".parse().unwrap(),
        client_id: Bytes::from_static(&[1; 16]),
        call_id: 0,
        retry_count: 0,
    }
}

/// Messages to begin with: between them they have every kind of field.
fn seeds() -> Vec<Vec<u8>> {
    let block = ExtendedBlock { pool_id: "BP-1".to_owned(), block_id: 1, generation_stamp: 1, num_bytes: Some(9) };
    let add = AddBlockRequest {
        src: "/b/f".to_owned(),
        client_name: "c".to_owned(),
        previous: Some(block.clone()),
        exclude_nodes: vec![DatanodeInfo::default(); 2],
        favored_nodes: vec!["h:1".to_owned()],
        ..AddBlockRequest::default()
    };
    let create = CreateRequest {
        src: "/b/f".to_owned(),
        masked: FsPermission { perm: 0o644 },
        client_name: "c".to_owned(),
        create_flag: 3,
        replication: 3,
        block_size: 1 << 27,
        ..CreateRequest::default()
    };
    let listing =
        GetBatchedListingRequest { paths: vec!["/b".to_owned()], start_after: vec![1, 2], need_location: true };
    vec![
        PathRequest { path: "/b/f".to_owned() }.encode_to_vec(),
        add.encode_to_vec(),
        create.encode_to_vec(),
        listing.encode_to_vec(),
        block.encode_to_vec(),
        Vec::new(),
    ]
}

/// xorshift64*: enough to mutate with, and the same each time.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % bound.max(1)
    }
}

fn mutated(seed: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..=random.below(4) {
        let at = random.below(bytes.len());
        match random.below(4) {
            0 if !bytes.is_empty() => bytes[at] = random.below(256) as u8,
            1 => bytes.truncate(at),
            2 => bytes.insert(at.min(bytes.len()), [0x00, 0x7f, 0x80, 0xff][random.below(4)]),
            _ => bytes.extend_from_slice(&seed[..random.below(seed.len())]),
        }
    }
    bytes
}

#[tokio::test]
async fn every_method_answers_whatever_it_is_sent() {
    let rounds: usize = std::env::var("GRANARY_FUZZ_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(15);
    let protocol = protocol(true);
    let call = call();
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for round in 0..rounds {
        for (name, _) in METHODS {
            for seed in seeds() {
                let parameters = if round == 0 { seed } else { mutated(&seed, &mut random) };
                // What it answers does not matter; that it does.
                let _ = protocol.call(&call, name, Bytes::from(parameters)).await;
            }
        }
    }
    assert!(protocol.call(&call, "getNothing", Bytes::new()).await.is_err());
}

#[tokio::test]
async fn a_follower_sends_clients_on_and_says_what_it_is() {
    let (follower, call) = (protocol(false), call());
    let path = Bytes::from(PathRequest { path: "/b".to_owned() }.encode_to_vec());
    for method in ["getFileInfo", "delete", "getServerDefaults", "createSnapshot"] {
        let refused = follower.call(&call, method, path.clone()).await.unwrap_err();
        assert_eq!(refused.class, JavaException::Standby, "{method}");
    }
    let safe_mode = |action| Bytes::from(SetSafeModeRequest { action, checked: None }.encode_to_vec());
    let state = follower.call(&call, "getHAServiceState", Bytes::new()).await.unwrap();
    assert_eq!(state, [0x08, 2]);
    assert_eq!(follower.call(&call, "setSafeMode", safe_mode(3)).await.unwrap(), [0x08, 0]);
    assert!(follower.call(&call, "setSafeMode", safe_mode(2)).await.is_err());
}
