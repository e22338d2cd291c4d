//! Where a file's bytes are, as REST users read it to place their work.

use super::error::WebError;
use super::service::WebHdfs;
use crate::proto::{DatanodeInfo, LocatedBlock};
use crate::sealed::ShownFile;
use crate::translate::BlockView;
use serde_json::{Value, json};

fn names(block: &LocatedBlock) -> Vec<String> {
    block.locs.iter().map(|node| format!("{}:{}", node.id.ip_addr, node.id.xfer_port)).collect()
}

/// `BlockLocations`.
pub async fn block_locations(service: &WebHdfs, file: &ShownFile) -> Result<Value, WebError> {
    service.datanodes.refresh().await;
    let view = BlockView { cluster: service.cluster().await?, datanodes: &service.datanodes };
    let location = |block: &granary_protocol::filesystem::FileBlock| {
        let block = view.block_of(file, block);
        let names = names(&block);
        let rack = |node: &DatanodeInfo| node.location().to_owned();
        let topology = block.locs.iter().zip(&names).map(|(node, name)| format!("{}/{name}", rack(node)));
        json!({
            "cachedHosts": [],
            "corrupt": block.locs.is_empty(),
            "hosts": block.locs.iter().map(|node| node.id.host_name.as_str()).collect::<Vec<_>>(),
            "length": block.b.num_bytes(),
            "names": names,
            "offset": block.offset,
            "storageTypes": vec!["DISK"; names.len()],
            "topologyPaths": topology.collect::<Vec<_>>(),
        })
    };
    let all: Vec<Value> = file.file.blocks.iter().map(location).collect();
    Ok(json!({ "BlockLocations": { "BlockLocation": all } }))
}

/// `LocatedBlocks`, the older form. Tokens are not shown: nobody reads blocks with what this says.
pub async fn located_blocks(service: &WebHdfs, file: &ShownFile) -> Result<Value, WebError> {
    service.datanodes.refresh().await;
    let view = BlockView { cluster: service.cluster().await?, datanodes: &service.datanodes };
    let located = view.file(file);
    let blocks: Vec<Value> = located.blocks.iter().map(located_block).collect();
    Ok(json!({ "LocatedBlocks": {
        "fileLength": located.file_length,
        "isLastBlockComplete": located.is_last_block_complete,
        "isUnderConstruction": located.under_construction,
        "lastLocatedBlock": located.last_block.as_ref().map(located_block),
        "locatedBlocks": blocks,
    }}))
}

fn located_block(block: &LocatedBlock) -> Value {
    json!({
        "block": {
            "blockId": block.b.block_id,
            "blockPoolId": block.b.pool_id,
            "generationStamp": block.b.generation_stamp,
            "numBytes": block.b.num_bytes(),
        },
        "blockToken": { "urlString": "AAAAAA" },
        "cachedLocations": [],
        "isCorrupt": block.corrupt,
        "locations": block.locs.iter().map(datanode).collect::<Vec<_>>(),
        "startOffset": block.offset,
        "storageTypes": vec!["DISK"; block.locs.len()],
    })
}

fn datanode(node: &DatanodeInfo) -> Value {
    json!({
        "adminState": "NORMAL",
        "blockPoolUsed": node.block_pool_used(),
        "cacheCapacity": node.cache_capacity(),
        "cacheUsed": node.cache_used(),
        "capacity": node.capacity(),
        "dfsUsed": node.dfs_used(),
        "hostName": node.id.host_name,
        "infoPort": node.id.info_port,
        "infoSecurePort": node.id.info_secure_port(),
        "ipAddr": node.id.ip_addr,
        "ipcPort": node.id.ipc_port,
        "lastBlockReportMonotonic": node.last_block_report_monotonic(),
        "lastBlockReportTime": node.last_block_report_time(),
        "lastUpdate": node.last_update(),
        "lastUpdateMonotonic": node.last_update_monotonic(),
        "name": format!("{}:{}", node.id.ip_addr, node.id.xfer_port),
        "networkLocation": node.location(),
        "remaining": node.remaining(),
        "storageID": node.id.datanode_uuid,
        "xceiverCount": node.xceiver_count(),
        "xferPort": node.id.xfer_port,
    })
}
