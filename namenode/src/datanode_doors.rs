//! The doors of datanodes: where Hadoop clients reach them. Soft state, taken in by every peer, never logged.

use granary_protocol::datanode_door::{ANNOUNCEMENT_LIFETIME_MS, DatanodeDoor};
use granary_protocol::{DatanodeId, UnixMillis};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The most datanodes remembered.
const DOORS_MAX: usize = 100_000;

/// What datanodes announced, and when.
#[derive(Default)]
pub(crate) struct DatanodeDoors {
    announced: Mutex<BTreeMap<DatanodeId, (UnixMillis, DatanodeDoor)>>,
}

impl DatanodeDoors {
    /// Takes an announcement in.
    pub fn announce(&self, door: DatanodeDoor, now: UnixMillis) {
        let mut announced = self.announced();
        if announced.len() >= DOORS_MAX && !announced.contains_key(&door.datanode) {
            announced.retain(|_, (at, _)| counts(*at, now));
        }
        if announced.len() < DOORS_MAX {
            announced.insert(door.datanode, (now, door));
        }
    }

    /// The doors that count, by id.
    pub fn at(&self, now: UnixMillis) -> Vec<DatanodeDoor> {
        let announced = self.announced();
        announced.values().filter(|(at, _)| counts(*at, now)).map(|(_, door)| door.clone()).collect()
    }

    fn announced(&self) -> MutexGuard<'_, BTreeMap<DatanodeId, (UnixMillis, DatanodeDoor)>> {
        self.announced.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn counts(at: UnixMillis, now: UnixMillis) -> bool {
    now.0.saturating_sub(at.0) < ANNOUNCEMENT_LIFETIME_MS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_door_counts_until_its_datanode_falls_silent() {
        let doors = DatanodeDoors::default();
        let door = DatanodeDoor {
            datanode: DatanodeId(1),
            name: "datanode-1".into(),
            host: "h1".to_owned(),
            address: "10.0.0.1".to_owned(),
            transfer_port: 9866,
            http_port: 9864,
            https_port: 0,
            ipc_port: 9867,
            rack: "/r".into(),
        };
        doors.announce(door.clone(), UnixMillis(1_000));
        doors.announce(DatanodeDoor { host: "h2".to_owned(), ..door }, UnixMillis(2_000));
        assert_eq!(doors.at(UnixMillis(2_500)).iter().map(|door| door.host.as_str()).collect::<Vec<_>>(), ["h2"]);
        assert!(doors.at(UnixMillis(2_000 + ANNOUNCEMENT_LIFETIME_MS)).is_empty());
    }
}
