//! A writer of small objects that exist as metadata only.

use crate::fake_datanode::FakeDatanode;
use crate::peers::{Cluster, wait_until};
use granary_protocol::block::{BlockKind, Extent};
use granary_protocol::namenode::*;
use granary_protocol::object::{ETag, ObjectDetails, ObjectLock, StorageClass};
use granary_protocol::record::HEADER_BYTES;
use granary_protocol::{BlockId, BucketName, ContentId, Failure, LeaseId, ObjectKey};
use std::time::Duration;

pub const BUCKET: &str = "bucket";
const OBJECT_BYTES: u32 = 100;

pub struct Writer {
    pub lease: LeaseId,
    pub block: BlockId,
    counter: u32,
}

pub async fn create_bucket(cluster: &Cluster) {
    let request = NamenodeRequest::CreateBucket {
        bucket: BUCKET.into(),
        owner: "owner".into(),
        region: "here".to_owned(),
        object_lock: false,
        documents: Vec::new(),
    };
    cluster.ask_leader(request).await.unwrap();
}

/// Three peers with a bucket, a datanode that all of them know within `settle`, and a writer.
pub async fn cluster_with_writer(
    adjust: impl Fn(&mut granary_namenode::Config),
    settle: Duration,
) -> (Cluster, FakeDatanode, Writer) {
    let cluster = Cluster::started(3, adjust).await;
    create_bucket(&cluster).await;
    let datanode = FakeDatanode::new(&cluster, 1);
    for at in 0..3 {
        wait_until("the cluster's name has come to every peer", settle, async || {
            let request =
                NamenodeRequest::RegisterDatanode { datanode: datanode.endpoint(), volumes: datanode.volumes() };
            datanode.ask(at, request).await.is_ok()
        })
        .await;
    }
    let writer = Writer::new(&cluster, "gateway-1").await;
    (cluster, datanode, writer)
}

impl Writer {
    /// A writer with a lease and an open packed block. A datanode must be registered.
    pub async fn new(cluster: &Cluster, holder: &str) -> Writer {
        let lease = match cluster.ask_leader(NamenodeRequest::OpenLease { holder: holder.into() }).await.unwrap() {
            NamenodeReply::Lease(lease) => lease,
            other => panic!("{other:?}"),
        };
        let request = NamenodeRequest::AllocateBlocks {
            lease,
            kind: BlockKind::Packed,
            count: 1,
            class: StorageClass::Standard,
            writer: None,
            exclude: Vec::new(),
        };
        let block = match cluster.ask_leader(request).await.unwrap() {
            NamenodeReply::Blocks(blocks) => blocks[0].block,
            other => panic!("{other:?}"),
        };
        Writer { lease, block, counter: 0 }
    }

    pub fn put_request(&mut self, key: &str) -> NamenodeRequest {
        let header = HEADER_BYTES as u32;
        let offset = self.counter * (OBJECT_BYTES + header) + header;
        self.counter += 1;
        let content = NewContent {
            content: ContentId::of_lease(self.lease, self.counter).unwrap(),
            extents: vec![Extent { block: self.block, offset, length: OBJECT_BYTES }],
            stored_on: Vec::new(),
        };
        NamenodeRequest::PutObject {
            bucket: BUCKET.into(),
            key: key.into(),
            content: Some(content),
            object: NewObject {
                size: OBJECT_BYTES.into(),
                etag: ETag { md5: [7; 16], parts: None },
                owner: "owner".into(),
                class: StorageClass::Standard,
                checksum: None,
                lock: ObjectLock::default(),
                details: ObjectDetails::default(),
            },
            condition: WriteCondition::default(),
        }
    }

    pub async fn put(&mut self, cluster: &Cluster, key: &str) -> Result<NamenodeReply, Failure> {
        let request = self.put_request(key);
        cluster.ask_leader(request).await
    }
}

pub fn get_request(key: &str) -> NamenodeRequest {
    NamenodeRequest::GetObject {
        bucket: BucketName::from(BUCKET),
        key: ObjectKey::from(key),
        version: None,
        window: Window::Range { first: 0, last: None },
    }
}

/// The object as the leader sees it.
pub async fn get(cluster: &Cluster, key: &str) -> Result<ObjectRead, Failure> {
    match cluster.ask_leader(get_request(key)).await? {
        NamenodeReply::Object(read) => Ok(*read),
        other => panic!("{other:?}"),
    }
}
