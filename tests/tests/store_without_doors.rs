//! Namenode, datanode and client in this process, on real disks: the store below the doors.

use granary_client::remote::RemoteDatanodes;
use granary_client::{Client, ClientComponents, ClientConfig};
use granary_datanode::{Datanode, VolumeConfig};
use granary_namenode::startup::{Components, Running, start};
use granary_protocol::block::Media;
use granary_protocol::datanode::DatanodeService;
use granary_protocol::namenode::*;
use granary_protocol::object::*;
use granary_protocol::*;
use granary_rpc::{RpcClientConfig, Security};
use granary_tests::{Pattern, eventually};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// The three parts, wired as one process wires them.
struct Store {
    namenode: Running,
    datanode: Arc<Datanode>,
    client: Client,
    stop: CancellationToken,
}

impl Store {
    async fn open(directory: &Path, volumes: usize) -> Store {
        let stop = CancellationToken::new();
        let components = Components {
            clock: Arc::new(granary_namenode::clock::SystemClock),
            security: Security::Plaintext,
            authority: None,
            door: granary_namenode::peers::PeerDoor::new(),
            shutdown: stop.clone(),
        };
        let namenode = start(granary_namenode::Config::single(directory.join("namenode")), components).await.unwrap();
        let volumes = (0..volumes)
            .map(|n| VolumeConfig { path: directory.join(format!("volume-{n}")), media: Media::Disk })
            .collect();
        let connector = || RemoteDatanodes::new(Security::Plaintext, RpcClientConfig::default(), None);
        let components = granary_datanode::Components {
            clock: Arc::new(granary_datanode::SystemClock),
            namenodes: vec![namenode.namenode.clone() as Arc<dyn NamenodeService>],
            connector: Arc::new(connector()),
        };
        let config = granary_datanode::Config::new(NodeName::from("datanode-1"), volumes);
        let datanode = Arc::new(Datanode::start(config, components, stop.child_token()).await.unwrap());
        let ready = || async {
            let ready = namenode.namenode.is_leader() && datanode.ready() && namenode.namenode.volumes_in_service() > 0;
            if ready { Ok(()) } else { Err("not yet".to_owned()) }
        };
        eventually("the roles to find each other", Duration::from_secs(120), ready).await;
        let local = (datanode.id(), datanode.clone() as Arc<dyn DatanodeService>);
        let components = ClientComponents {
            namenode: namenode.namenode.clone() as Arc<dyn NamenodeService>,
            datanodes: Arc::new(RemoteDatanodes::new(Security::Plaintext, RpcClientConfig::default(), Some(local))),
            local_datanode: Some(datanode.id()),
            holder: NodeName::from("gateway-1"),
            lanes_on: None,
            shutdown: stop.child_token(),
        };
        let client = Client::start(ClientConfig::default(), components).unwrap();
        Store { namenode, datanode, client, stop }
    }

    async fn call(&self, request: NamenodeRequest) -> Result<NamenodeReply, Failure> {
        self.namenode.namenode.call(request).await
    }

    async fn put(&self, key: &str, length: u64) {
        let pattern = Pattern(length);
        let mut writer = self.client.writer(Some(length), StorageClass::Standard);
        let mut offset = 0;
        while offset < length {
            let piece = pattern.bytes(offset, (length - offset).min(300_000) as usize);
            offset += piece.len() as u64;
            writer.write(piece).await.unwrap();
        }
        let content = writer.finish().await.unwrap();
        let object = NewObject {
            size: length,
            etag: ETag { md5: [1; 16], parts: None },
            owner: CanonicalId::from("owner"),
            class: StorageClass::Standard,
            checksum: None,
            lock: ObjectLock::default(),
            details: ObjectDetails::default(),
        };
        let condition = WriteCondition::default();
        self.client.put_object("b".into(), key.into(), content, object, condition).await.unwrap();
    }

    async fn check(&self, key: &str, length: u64) {
        let get = NamenodeRequest::GetObject {
            bucket: "b".into(),
            key: key.into(),
            version: None,
            window: Window::Range { first: 0, last: None },
        };
        let NamenodeReply::Object(read) = self.call(get).await.unwrap() else { panic!("another reply") };
        assert_eq!(read.length, length);
        let mut reader = self.client.read(*read);
        let mut offset = 0;
        while let Some(piece) = reader.next().await.unwrap() {
            assert_eq!(Pattern(length).mismatch(offset, &piece), None, "{key}");
            offset += piece.len() as u64;
        }
        assert_eq!(offset, length, "{key}");
    }

    async fn close(self) {
        self.client.stop().await;
        self.datanode.stop().await;
        self.stop.cancel();
        self.namenode.join().await.unwrap();
    }
}

const LENGTHS: [u64; 7] = [1, 1000, 4096, 300_000, 8 << 20, (8 << 20) + 1, (128 << 20) + 5];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn contents_of_every_size_come_back_also_after_a_restart() {
    for volumes in [1, 3] {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path(), volumes).await;
        store
            .call(NamenodeRequest::CreateBucket {
                bucket: "b".into(),
                owner: "owner".into(),
                region: String::new(),
                object_lock: false,
                documents: Vec::new(),
            })
            .await
            .unwrap();
        for length in LENGTHS {
            store.put(&format!("k{length}"), length).await;
            store.check(&format!("k{length}"), length).await;
        }
        store.close().await;
        let store = Store::open(directory.path(), volumes).await;
        for length in LENGTHS {
            store.check(&format!("k{length}"), length).await;
        }
        store.close().await;
    }
}
