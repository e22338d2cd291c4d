//! How this store's ids are written where Hadoop has names: datanodes as UUIDs, volumes as storage ids, the cluster as a
//! block pool. Both directions, so that what a client hands back is understood.

use granary_protocol::{ClusterId, DatanodeId, VolumeId};

const STORAGE_PREFIX: &str = "DS-";

/// A datanode as a UUID of 36 characters, by which clients tell datanodes apart.
pub fn datanode_uuid(datanode: DatanodeId) -> String {
    uuid(datanode.0)
}

/// The datanode of a UUID that [`datanode_uuid`] made.
pub fn datanode_of_uuid(text: &str) -> Option<DatanodeId> {
    number(text).map(DatanodeId)
}

/// A volume as a storage id.
pub fn storage_id(volume: VolumeId) -> String {
    format!("{STORAGE_PREFIX}{}", uuid(volume.0))
}

/// The volume of a storage id that [`storage_id`] made.
pub fn volume_of_storage_id(text: &str) -> Option<VolumeId> {
    number(text.strip_prefix(STORAGE_PREFIX)?).map(VolumeId)
}

/// The block pool of a cluster.
pub fn pool_id(cluster: &ClusterId) -> String {
    format!("BP-{cluster}")
}

/// A number as the last 16 digits of a UUID.
fn uuid(number: u64) -> String {
    format!("00000000-0000-0000-{:04x}-{:012x}", number >> 48, number & 0xffff_ffff_ffff)
}

fn number(uuid: &str) -> Option<u64> {
    let (high, low) = uuid.strip_prefix("00000000-0000-0000-")?.split_once('-')?;
    if high.len() != 4 || low.len() != 12 {
        return None;
    }
    Some(u64::from_str_radix(high, 16).ok()? << 48 | u64::from_str_radix(low, 16).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back_to_what_they_name() {
        for id in [0, 1, 0x1234_5678_9abc_def0, u64::MAX] {
            let text = datanode_uuid(DatanodeId(id));
            assert_eq!((text.len(), datanode_of_uuid(&text)), (36, Some(DatanodeId(id))));
            assert_eq!(volume_of_storage_id(&storage_id(VolumeId(id))), Some(VolumeId(id)));
        }
        for bad in ["", "DS-", "00000000-0000-0000-0000-", "00000000-0000-0000-00é-000000000000"] {
            assert_eq!((datanode_of_uuid(bad), volume_of_storage_id(bad)), (None, None));
        }
    }
}
