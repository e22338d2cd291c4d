//! Where Hadoop clients reach each datanode, as the datanodes announced it; and the announcing.

use crate::names::datanode_uuid;
use crate::proto::{AdminState, DatanodeId as DatanodeIdMessage, DatanodeInfo};
use crate::transfer::KnownDatanodes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use granary_protocol::DatanodeId;
use granary_protocol::datanode_door::{ANNOUNCE_EVERY_MS, DatanodeDoor};
use granary_protocol::namenode::{NamenodeReply, NamenodeRequest, NamenodeService};
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// How old the directory may be when it is asked.
const KEPT_FOR: Duration = Duration::from_secs(1);
/// How soon the namenode is asked again about a datanode that is missing.
const ASKED_AGAIN_AFTER: Duration = Duration::from_millis(50);
/// How soon an announcement is repeated that a namenode did not take: it may be starting.
const ANNOUNCE_AGAIN: Duration = Duration::from_millis(250);
/// Clients insist on a rack.
const DEFAULT_RACK: &str = "/default-rack";

/// The doors of datanodes, asked of the namenode when they are needed.
pub struct DatanodeDirectory {
    namenode: Arc<dyn NamenodeService>,
    known: RwLock<Known>,
}

#[derive(Default)]
struct Known {
    at: Option<Instant>,
    doors: HashMap<DatanodeId, DatanodeDoor>,
}

impl DatanodeDirectory {
    /// A directory that asks `namenode`.
    pub fn new(namenode: Arc<dyn NamenodeService>) -> DatanodeDirectory {
        DatanodeDirectory { namenode, known: RwLock::default() }
    }

    /// Asks again if what is known is old. If that fails, what is known stays.
    pub async fn refresh(&self) {
        self.refresh_older_than(KEPT_FOR).await;
    }

    async fn refresh_older_than(&self, age: Duration) {
        let fresh = self.known.read().unwrap_or_else(PoisonError::into_inner).at;
        if fresh.is_some_and(|at| at.elapsed() < age) {
            return;
        }
        if let Ok(NamenodeReply::DatanodeDoors(doors)) = self.namenode.call(NamenodeRequest::DatanodeDoors).await {
            let doors = doors.into_iter().map(|door| (door.datanode, door)).collect();
            *self.known.write().unwrap_or_else(PoisonError::into_inner) = Known { at: Some(Instant::now()), doors };
        }
    }

    /// The door of a datanode.
    pub fn door(&self, datanode: DatanodeId) -> Option<DatanodeDoor> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).doors.get(&datanode).cloned()
    }

    /// Every door, by the datanode's id.
    pub fn doors(&self) -> Vec<DatanodeDoor> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let mut doors: Vec<DatanodeDoor> = known.doors.values().cloned().collect();
        doors.sort_unstable_by_key(|door| door.datanode);
        doors
    }

    /// Whether a datanode takes transfers at `address`.
    fn has(&self, address: &str) -> bool {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.doors.values().any(|door| format!("{}:{}", door.address, door.transfer_port) == address)
    }

    /// A datanode as clients are told of it, without its figures; `None` if it announced no door.
    pub fn info(&self, datanode: DatanodeId) -> Option<DatanodeInfo> {
        self.door(datanode).as_ref().map(datanode_info)
    }
}

impl KnownDatanodes for DatanodeDirectory {
    fn is_known<'a>(&'a self, address: &'a str) -> BoxFuture<'a, bool> {
        async move {
            self.refresh().await;
            if self.has(address) {
                return true;
            }
            // It may have come since the namenode was asked.
            self.refresh_older_than(ASKED_AGAIN_AFTER).await;
            self.has(address)
        }
        .boxed()
    }
}

/// A datanode as clients are told of it, without its figures.
pub fn datanode_info(door: &DatanodeDoor) -> DatanodeInfo {
    let rack = if door.rack.as_str().starts_with('/') { door.rack.as_str() } else { DEFAULT_RACK };
    DatanodeInfo {
        id: DatanodeIdMessage {
            ip_addr: door.address.clone(),
            host_name: door.host.clone(),
            datanode_uuid: datanode_uuid(door.datanode),
            xfer_port: u32::from(door.transfer_port),
            info_port: u32::from(door.http_port),
            ipc_port: u32::from(door.ipc_port),
            info_secure_port: Some(u32::from(door.https_port)),
        },
        location: Some(rack.to_owned()),
        admin_state: Some(AdminState::Normal as i32),
        ..DatanodeInfo::default()
    }
}

/// Announces a datanode's door to every namenode there is at the time, until it is told to stop.
pub async fn announce(
    namenodes: impl Fn() -> Vec<Arc<dyn NamenodeService>>,
    door: DatanodeDoor,
    stop: CancellationToken,
) {
    let every = Duration::from_millis(ANNOUNCE_EVERY_MS);
    let one = |namenode: Arc<dyn NamenodeService>| {
        let request = NamenodeRequest::AnnounceDatanodeDoor(door.clone());
        async move {
            match tokio::time::timeout(every, namenode.call(request)).await {
                Ok(Ok(_taken)) => return true,
                Ok(Err(failure)) => tracing::debug!(%failure, "a namenode did not take a datanode's announcement"),
                Err(_elapsed) => tracing::debug!("a namenode is slow to take a datanode's announcement"),
            }
            false
        }
    };
    loop {
        let told = futures_util::future::join_all(namenodes().into_iter().map(one));
        let pause = async {
            // Until the first announcement is heard no client is sent here: one that was not is repeated soon.
            let all_heard = told.await.into_iter().all(|heard| heard);
            tokio::time::sleep(if all_heard { every } else { ANNOUNCE_AGAIN }).await;
        };
        if stop.run_until_cancelled(pause).await.is_none() {
            return;
        }
    }
}
