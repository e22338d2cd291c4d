//! The cluster: defaults, figures, datanodes, safe mode, the state of this namenode.

use super::context::{ClientProtocol, internal, path, unexpected};
use super::messages::*;
use crate::datanode_directory::datanode_info;
use crate::exception::{JavaException, RemoteException};
use crate::names::storage_id;
use crate::proto::{AdminState, ChecksumType, DatanodeInfo, FsServerDefaults, StorageType};
use crate::rpc::Call;
use granary_protocol::admin::{ClusterStatus, DatanodeIntent, DatanodeStatus, VolumeStatus};
use granary_protocol::block::Media;
use granary_protocol::filesystem::{FsReply, FsRequest, FsStats};
use granary_protocol::namenode::{NamenodeReply, NamenodeRequest};
use std::time::{SystemTime, UNIX_EPOCH};

/// Bytes under one checksum, as datanodes send them.
const BYTES_PER_CHECKSUM: u32 = 512;
const WRITE_PACKET_BYTES: u32 = 64 << 10;
const FILE_BUFFER_BYTES: u32 = 4096;
/// The policy of what has none: `HOT`.
const DEFAULT_POLICY_ID: u32 = 7;

/// `DatanodeReportTypeProto`.
const REPORT_ALL: i32 = 1;
const REPORT_LIVE: i32 = 2;
const REPORT_DEAD: i32 = 3;
const REPORT_DECOMMISSIONING: i32 = 4;
const REPORT_ENTERING_MAINTENANCE: i32 = 5;
const REPORT_IN_MAINTENANCE: i32 = 6;

/// `SafeModeActionProto`.
const SAFE_MODE_LEAVE: i32 = 1;
const SAFE_MODE_ENTER: i32 = 2;
const SAFE_MODE_GET: i32 = 3;

/// `RollingUpgradeActionProto.QUERY`.
const UPGRADE_QUERY: i32 = 1;

type Answer<T> = Result<T, RemoteException>;

impl ClientProtocol {
    pub(super) async fn get_server_defaults(&self, call: &Call, _: Empty) -> Answer<GetServerDefaultsResponse> {
        let defaults = match self.ask(call, FsRequest::ServerDefaults).await? {
            FsReply::ServerDefaults(defaults) => defaults,
            other => return Err(unexpected(&other)),
        };
        let server_defaults = FsServerDefaults {
            block_size: defaults.block_size,
            bytes_per_checksum: BYTES_PER_CHECKSUM,
            write_packet_size: WRITE_PACKET_BYTES,
            replication: u32::from(defaults.replication),
            file_buffer_size: FILE_BUFFER_BYTES,
            encrypt_data_transfer: Some(false),
            trash_interval: Some(defaults.trash_interval_minutes),
            checksum_type: Some(ChecksumType::Crc32c as i32),
            key_provider_uri: Some(String::new()),
            policy_id: Some(DEFAULT_POLICY_ID),
            snapshot_trash_root_enabled: Some(false),
        };
        Ok(GetServerDefaultsResponse { server_defaults })
    }

    pub(super) async fn get_fs_stats(&self, call: &Call, _: Empty) -> Answer<GetFsStatsResponse> {
        let stats = self.stats(call).await?;
        Ok(GetFsStatsResponse {
            capacity: stats.capacity_bytes,
            used: stats.used_bytes,
            remaining: stats.remaining_bytes,
            under_replicated: stats.under_replicated_blocks,
            corrupt_blocks: stats.corrupt_blocks,
            missing_blocks: stats.missing_blocks,
            missing_repl_one_blocks: Some(0),
            blocks_in_future: Some(0),
            pending_deletion_blocks: Some(0),
        })
    }

    pub(super) async fn get_fs_replicated_block_stats(
        &self,
        call: &Call,
        _: Empty,
    ) -> Answer<GetFsReplicatedBlockStatsResponse> {
        let stats = self.stats(call).await?;
        Ok(GetFsReplicatedBlockStatsResponse {
            low_redundancy: stats.under_replicated_blocks,
            corrupt_blocks: stats.corrupt_blocks,
            missing_blocks: stats.missing_blocks,
            ..Default::default()
        })
    }

    /// No block is striped.
    pub(super) async fn get_fs_ec_block_group_stats(
        &self,
        _call: &Call,
        _: Empty,
    ) -> Answer<GetFsECBlockGroupStatsResponse> {
        Ok(GetFsECBlockGroupStatsResponse::default())
    }

    async fn stats(&self, call: &Call) -> Answer<FsStats> {
        match self.ask(call, FsRequest::Stats).await? {
            FsReply::Stats(stats) => Ok(stats),
            other => Err(unexpected(&other)),
        }
    }

    pub(super) async fn get_datanode_report(
        &self,
        call: &Call,
        request: GetDatanodeReportRequest,
    ) -> Answer<GetDatanodeReportResponse> {
        self.require_superuser(call).await?;
        let di = self.reported(request.kind).await?.into_iter().map(|(info, _)| info).collect();
        Ok(GetDatanodeReportResponse { di })
    }

    pub(super) async fn get_datanode_storage_report(
        &self,
        call: &Call,
        request: GetDatanodeReportRequest,
    ) -> Answer<GetDatanodeStorageReportResponse> {
        self.require_superuser(call).await?;
        let reports = self.reported(request.kind).await?.into_iter().map(|(datanode_info, volumes)| {
            DatanodeStorageReport { datanode_info, storage_reports: volumes.iter().map(storage_report).collect() }
        });
        Ok(GetDatanodeStorageReportResponse { datanode_storage_reports: reports.collect() })
    }

    /// Datanodes of a kind of report that announced their ports, and their volumes.
    async fn reported(&self, kind: i32) -> Answer<Vec<(DatanodeInfo, Vec<VolumeStatus>)>> {
        let status = self.cluster_status().await?;
        self.datanodes.refresh().await;
        let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let now_ms = u64::try_from(now_ms).unwrap_or(u64::MAX);
        let wanted = status.datanodes.into_iter().filter(|datanode| is_wanted(kind, datanode));
        let shown = wanted.filter_map(|datanode| {
            let info = datanode_info(&self.datanodes.door(datanode.datanode)?);
            Some((with_figures(info, &datanode, now_ms), datanode.volumes))
        });
        Ok(shown.collect())
    }

    /// No datanode is called slow here: what is slow is seen in the metrics.
    pub(super) async fn get_slow_datanode_report(
        &self,
        call: &Call,
        _: Empty,
    ) -> Answer<GetSlowDatanodeReportResponse> {
        self.require_superuser(call).await?;
        Ok(GetSlowDatanodeReportResponse::default())
    }

    pub(super) async fn set_safe_mode(&self, call: &Call, request: SetSafeModeRequest) -> Answer<FlagReply> {
        // Safe mode is the leader's state; `dfsadmin -safemode get` asks every namenode.
        if !self.role.is_leader() && request.action == SAFE_MODE_GET {
            return Ok(FlagReply { result: false });
        }
        let result = self.cluster_status().await?.safe_mode.is_some();
        match request.action {
            SAFE_MODE_GET => {}
            SAFE_MODE_LEAVE | SAFE_MODE_ENTER => {
                self.require_superuser(call).await?;
                if (request.action == SAFE_MODE_ENTER) != result {
                    let message = "Safe mode is entered and left by the namenode itself: it ends when enough datanodes \
                                   have reported";
                    return Err(RemoteException::new(JavaException::UnsupportedOperation, message));
                }
            }
            _ => {
                let message = "Safe mode cannot be left by force";
                return Err(RemoteException::new(JavaException::UnsupportedOperation, message));
            }
        }
        Ok(FlagReply { result })
    }

    pub(super) async fn rolling_upgrade(&self, call: &Call, request: RollingUpgradeRequest) -> Answer<Empty> {
        self.require_superuser(call).await?;
        match request.action {
            UPGRADE_QUERY => Ok(Empty {}),
            _ => {
                let message = "Upgrades need no preparation here: replace one process after the other";
                Err(RemoteException::new(JavaException::UnsupportedOperation, message))
            }
        }
    }

    pub(super) async fn upgrade_status(&self, call: &Call, _: Empty) -> Answer<UpgradeStatusResponse> {
        self.require_superuser(call).await?;
        Ok(UpgradeStatusResponse { upgrade_finalized: true })
    }

    pub(super) async fn get_current_edit_log_txid(
        &self,
        _call: &Call,
        _: Empty,
    ) -> Answer<GetCurrentEditLogTxidResponse> {
        Ok(GetCurrentEditLogTxidResponse { txid: i64::try_from(self.role.applied()).unwrap_or(i64::MAX) })
    }

    /// There are no zones of transparent encryption: what is encrypted here is so by the store.
    pub(super) async fn get_ez_for_path(&self, call: &Call, request: PathRequest) -> Answer<Empty> {
        self.status(call, &path(&request.path)?).await?;
        Ok(Empty {})
    }

    /// No token is needed, and clients take none for that.
    pub(super) async fn nothing(&self, _call: &Call, _: Empty) -> Answer<Empty> {
        Ok(Empty {})
    }

    pub(super) async fn none_listed(&self, _call: &Call, _: Empty) -> Answer<NoneListed> {
        Ok(NoneListed { has_more: false })
    }

    /// Reads are linearizable: there is nothing to wait for, if this peer still leads.
    pub(super) async fn msync(&self, call: &Call, _: Empty) -> Answer<Empty> {
        self.status(call, &granary_protocol::filesystem::FsPath::root()).await?;
        Ok(Empty {})
    }

    pub(super) async fn get_ha_service_state(&self, _call: &Call, _: Empty) -> Answer<HaServiceStateResponse> {
        Ok(HaServiceStateResponse { state: super::server::ha_state(&*self.role) })
    }

    async fn cluster_status(&self) -> Answer<ClusterStatus> {
        match self.door.ask(NamenodeRequest::Status).await? {
            NamenodeReply::Status(status) => Ok(*status),
            _ => Err(internal()),
        }
    }
}

fn is_wanted(kind: i32, datanode: &DatanodeStatus) -> bool {
    let leaving = datanode.intent == DatanodeIntent::Decommission && datanode.blocks_left > 0;
    let away = matches!(datanode.intent, DatanodeIntent::Maintenance { .. });
    match kind {
        REPORT_ALL => true,
        REPORT_LIVE => datanode.live,
        REPORT_DEAD => !datanode.live,
        REPORT_DECOMMISSIONING => leaving,
        REPORT_ENTERING_MAINTENANCE => away && datanode.live && datanode.blocks_left > 0,
        REPORT_IN_MAINTENANCE => away && (!datanode.live || datanode.blocks_left == 0),
        _ => false,
    }
}

fn with_figures(info: DatanodeInfo, datanode: &DatanodeStatus, now_ms: u64) -> DatanodeInfo {
    let sum = |figure: fn(&VolumeStatus) -> u64| datanode.volumes.iter().map(figure).sum::<u64>();
    let (capacity, used) = (sum(|volume| volume.capacity_bytes), sum(|volume| volume.used_bytes));
    let remaining = sum(|volume| volume.free_bytes);
    let admin_state = match datanode.intent {
        DatanodeIntent::InService => AdminState::Normal,
        DatanodeIntent::Decommission if datanode.blocks_left > 0 => AdminState::DecommissionInprogress,
        DatanodeIntent::Decommission => AdminState::Decommissioned,
        DatanodeIntent::Maintenance { .. } if datanode.live => AdminState::EnteringMaintenance,
        DatanodeIntent::Maintenance { .. } => AdminState::InMaintenance,
    };
    DatanodeInfo {
        capacity: Some(capacity),
        dfs_used: Some(used),
        remaining: Some(remaining),
        block_pool_used: Some(used),
        non_dfs_used: Some(capacity.saturating_sub(used).saturating_sub(remaining)),
        last_update: Some(now_ms.saturating_sub(datanode.silent_ms)),
        num_blocks: Some(u32::try_from(sum(|volume| volume.replicas)).unwrap_or(u32::MAX)),
        admin_state: Some(admin_state as i32),
        ..info
    }
}

fn storage_report(volume: &VolumeStatus) -> StorageReport {
    let kind = match volume.media {
        Media::Ssd => StorageType::Ssd,
        Media::Disk => StorageType::Disk,
        Media::Archive => StorageType::Archive,
    };
    let storage_uuid = storage_id(volume.volume);
    StorageReport {
        storage: Some(DatanodeStorage {
            storage_uuid: storage_uuid.clone(),
            state: None,
            storage_type: Some(kind as i32),
        }),
        storage_uuid,
        failed: Some(volume.failed.is_some()),
        capacity: Some(volume.capacity_bytes),
        dfs_used: Some(volume.used_bytes),
        remaining: Some(volume.free_bytes),
        block_pool_used: Some(volume.used_bytes),
        non_dfs_used: Some(volume.capacity_bytes.saturating_sub(volume.used_bytes).saturating_sub(volume.free_bytes)),
        mount: None,
    }
}
