//! Where Hadoop clients reach each datanode, as the datanodes announced it; and the announcing.

use crate::names::datanode_uuid;
use crate::proto::{AdminState, DatanodeId as DatanodeIdMessage, DatanodeInfo};
use crate::transfer::KnownDatanodes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use granary_protocol::DatanodeId;
use granary_protocol::datanode_door::{ANNOUNCE_EVERY_MS, DatanodeDoor};
use granary_protocol::namenode::{NamenodeReply, NamenodeRequest, NamenodeService};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
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

/// How long a door is waited for that a writer needs.
const AWAITED_FOR: Duration = Duration::from_secs(10);
/// Datanodes remembered that opened no door.
const DOORLESS_MAX: usize = 100_000;

/// The doors of datanodes, asked of the namenode when they are needed.
pub struct DatanodeDirectory {
    namenode: Arc<dyn NamenodeService>,
    known: RwLock<Known>,
    /// Datanodes that were waited for in vain: they may serve no Hadoop clients at all.
    doorless: Mutex<HashSet<DatanodeId>>,
}

#[derive(Default)]
struct Known {
    at: Option<Instant>,
    doors: HashMap<DatanodeId, DatanodeDoor>,
}

impl DatanodeDirectory {
    /// A directory that asks `namenode`.
    pub fn new(namenode: Arc<dyn NamenodeService>) -> DatanodeDirectory {
        DatanodeDirectory { namenode, known: RwLock::default(), doorless: Mutex::default() }
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

    /// Waits for the doors of these datanodes: one that has just registered announces its own a moment later. One that
    /// was waited for in vain is not waited for again.
    pub async fn await_doors(&self, datanodes: &[DatanodeId]) {
        self.refresh().await;
        let deadline = Instant::now() + AWAITED_FOR;
        loop {
            let missing: Vec<DatanodeId> = {
                let doorless = self.doorless.lock().unwrap_or_else(PoisonError::into_inner);
                let missing = |id: &&DatanodeId| self.door(**id).is_none() && !doorless.contains(id);
                datanodes.iter().filter(missing).copied().collect()
            };
            if missing.is_empty() {
                return;
            }
            if Instant::now() >= deadline {
                tracing::info!(?missing, "datanodes that take writes have announced no ports for Hadoop clients");
                let mut doorless = self.doorless.lock().unwrap_or_else(PoisonError::into_inner);
                if doorless.len() + missing.len() > DOORLESS_MAX {
                    doorless.clear();
                }
                doorless.extend(missing);
                return;
            }
            tokio::time::sleep(ASKED_AGAIN_AFTER).await;
            self.refresh_older_than(ASKED_AGAIN_AFTER).await;
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

#[cfg(test)]
mod tests {
    use super::*;
    use granary_protocol::Failure;

    /// Tells of a door once it was asked a number of times.
    struct Late(Mutex<u32>);

    impl NamenodeService for Late {
        fn call(&self, _: NamenodeRequest) -> BoxFuture<'_, Result<NamenodeReply, Failure>> {
            let mut left = self.0.lock().unwrap();
            *left = left.saturating_sub(1);
            let doors = if *left == 0 { vec![door(1)] } else { Vec::new() };
            std::future::ready(Ok(NamenodeReply::DatanodeDoors(doors))).boxed()
        }
    }

    fn door(id: u64) -> DatanodeDoor {
        DatanodeDoor {
            datanode: DatanodeId(id),
            name: "datanode".into(),
            host: "h".to_owned(),
            address: "10.0.0.1".to_owned(),
            transfer_port: 9866,
            http_port: 9864,
            https_port: 0,
            ipc_port: 9867,
            rack: "/r".into(),
        }
    }

    #[tokio::test]
    async fn a_door_that_comes_late_is_waited_for_and_one_that_never_comes_once() {
        let directory = DatanodeDirectory::new(Arc::new(Late(Mutex::new(4))));
        directory.await_doors(&[DatanodeId(1)]).await;
        assert!(directory.door(DatanodeId(1)).is_some());
        directory.doorless.lock().unwrap().insert(DatanodeId(2));
        // Returns, though nobody tells of the second.
        directory.await_doors(&[DatanodeId(1), DatanodeId(2)]).await;
        assert!(directory.door(DatanodeId(2)).is_none());
    }

    #[tokio::test]
    async fn an_address_is_known_once_its_datanode_has_announced_it() {
        let directory = DatanodeDirectory::new(Arc::new(Late(Mutex::new(1))));
        assert!(directory.is_known("10.0.0.1:9866").await);
        assert!(!directory.is_known("10.0.0.1:22").await && !directory.is_known("169.254.169.254:9866").await);
    }
}
