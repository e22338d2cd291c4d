//! What the store says of itself is true: when the ledger calls every block whole, each replica that it names for an object's
//! block is a file of at least that length on the disk of the machine that it names, and there are as many as are wanted.

use crate::audit::Auditor;
use crate::network::SimulatedNetwork;
use crate::os;
use crate::workload::PLAIN;
use granary_protocol::BucketName;
use granary_protocol::admin::BlockDescription;

/// Replicas of STANDARD.
const WANTED: usize = 3;

/// Compares the ledger with the disks, for every object there is.
pub async fn check(auditor: &Auditor) {
    let history = &auditor.shared.history;
    for key in history.keys().keys() {
        let Ok(found) = auditor.client.describe_blocks(BucketName::from(PLAIN), key.as_str().into()).await else {
            continue;
        };
        let sealed = found.blocks.iter().filter(|block| block.sealed);
        for violation in sealed.filter_map(|block| untruth(auditor, block)) {
            history.violation(format!("{key}: {violation}"));
        }
    }
}

fn untruth(auditor: &Auditor, block: &BlockDescription) -> Option<String> {
    let located = &block.located;
    if located.replicas.len() < WANTED {
        return Some(format!("block {} has {} replicas and is called whole", located.block, located.replicas.len()));
    }
    let name = format!("/finalized/{:02x}/blk_{}_{}.", located.block.0 & 0xff, located.block, located.generation);
    let missing = located.replicas.iter().find(|replica| {
        let machine = auditor
            .shared
            .shape
            .datanode_hosts()
            .find(|host| SimulatedNetwork::address(*host).to_string() == replica.datanode.address);
        let files = machine.map(|machine| os::with_disk(|disk| disk.files_with(machine, &name))).unwrap_or_default();
        !files.iter().any(|(path, bytes)| {
            path.extension().is_some_and(|kind| kind != "crc") && *bytes >= u64::from(located.length)
        })
    })?;
    Some(format!("block {} is said to be on {}, and is not", located.block, missing.datanode.name))
}
