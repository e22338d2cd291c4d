//! A namenode peer: Raft, the applied state and the soft state put together, answering [`NamenodeRequest`]s.
//!
//! Mutations go through [`Proposer`], reads through [`ReadIndex`]. What datanodes report is taken in by every peer.
//! Point reads of the engine run on the caller's thread: their keys are nearly always cached, and a hop to a blocking
//! thread costs more than they do. Scans run on blocking threads.

use crate::archive::ArchiveDesk;
use crate::backup::{self, Exports};
use crate::command::Action;
use crate::config::Config;
use crate::datanode_doors::DatanodeDoors;
use crate::engine::{EngineError, EngineSnapshot};
use crate::error::{Rejection, StateError};
use crate::jobs::JobsSlot;
use crate::leases::LeaseTable;
use crate::lifecycle::Mover;
use crate::metrics::{Figures, Kind, Metrics, value};
use crate::proposer::Proposer;
use crate::raft::Raft;
use crate::raft::log_store::LogStore;
use crate::raft::machine::AppliedStore;
use crate::read_index::Admission;
use crate::state;
use crate::tiering::Accesses;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use granary_protocol::admin::{ClusterStatus, ObjectBlocks, PeerList, PeerStatus, SpaceReport};
use granary_protocol::archive::ArchiveCounts;
use granary_protocol::block::{BLOCK_BYTES_MAX, Extent};
use granary_protocol::jobs::JobsService;
use granary_protocol::namenode::*;
use granary_protocol::object::StorageClass;
use granary_protocol::token::AccessMode;
use granary_protocol::*;
use granary_rpc::Security;
use openraft::ServerState;
use sha2::{Digest, Sha256};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Blocks handed out by one allocation at most.
const ALLOCATION_MAX: u32 = 16;
/// How often a read is repeated whose blocks changed between the two looks it takes.
const READ_ATTEMPTS: usize = 4;
/// How long a mutation may wait for Raft.
const PROPOSE_TIMEOUT: Duration = Duration::from_secs(20);

/// A running namenode peer.
pub struct Namenode {
    pub(crate) config: Config,
    pub(crate) raft: Raft,
    pub(crate) applied: Arc<AppliedStore>,
    pub(crate) log: LogStore,
    pub(crate) proposer: Proposer,
    pub(crate) reads: Admission,
    pub(crate) leases: Arc<Mutex<LeaseTable>>,
    pub(crate) mover: Mutex<Mover>,
    /// Who works on archive targets, and what failed there.
    pub(crate) archive: ArchiveDesk,
    /// Contents in INTELLIGENT_TIERING that were read.
    pub(crate) accesses: Accesses,
    /// Where the next look for small files goes on.
    pub(crate) small_files_after: Mutex<ContentId>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) quotas: crate::quotas::QuotaCounts,
    pub(crate) doors: DatanodeDoors,
    /// The job service beside this peer.
    pub(crate) jobs: JobsSlot,
    /// Exports of the metadata under way.
    pub(crate) exports: Exports,
    /// How other peers are reached.
    pub(crate) security: Security,
}

impl NamenodeService for Namenode {
    fn call(&self, request: NamenodeRequest) -> BoxFuture<'_, Result<NamenodeReply, Failure>> {
        match request {
            // The request that most requests of clients become: its future is a fraction of the others'.
            NamenodeRequest::GetObject { bucket, key, version, window } => {
                Box::pin(async move { self.get_object(&bucket, &key, version, window).await })
            }
            other => Box::pin(self.answer(other)),
        }
    }

    fn call_once(&self, id: RequestId, request: NamenodeRequest) -> BoxFuture<'_, Result<NamenodeReply, Failure>> {
        Box::pin(self.answer_once(id, request))
    }
}

impl Namenode {
    /// The job service that answers for this peer while it leads. Given once.
    pub fn serve_jobs(&self, service: Arc<dyn JobsService>) {
        self.jobs.fill(service);
    }

    /// The Raft peer.
    pub fn raft(&self) -> &Raft {
        &self.raft
    }

    async fn answer(&self, request: NamenodeRequest) -> Result<NamenodeReply, Failure> {
        use NamenodeRequest as Q;
        match request {
            Q::RenewLease { lease } => self.renew_lease(lease).await,
            Q::AllocateBlocks { lease, kind, count, class, writer, exclude } => {
                self.allocate(lease, kind, count, class, writer, &exclude).await
            }
            Q::GetObject { bucket, key, version, window } => self.get_object(&bucket, &key, version, window).await,
            Q::LocateContent { content, offset, length } => self.locate_content(content, offset, length).await,
            point @ (Q::GetBucket { .. }
            | Q::GetUpload { .. }
            | Q::GetUser { .. }
            | Q::FindAccessKey { .. }
            | Q::GetDelegationTerm { .. }
            | Q::GetEncryptionKey { .. }) => self.point_read(|view| state::query(view, point)).await,
            wide @ (Q::GetBucketSettings { .. }
            | Q::ListBuckets { .. }
            | Q::ListObjects { .. }
            | Q::ListVersions { .. }
            | Q::ListObjectParts { .. }
            | Q::ListParts { .. }
            | Q::ListUploads { .. }
            | Q::RecordsAlive { .. }
            | Q::ListUsers { .. }
            | Q::FindOwners { .. }
            | Q::ListPolicies { .. }
            | Q::ListEncryptionKeys { .. }
            | Q::ListLifecycleBuckets { .. }
            | Q::ScanVersions { .. }
            | Q::GetLifecycleStatus
            | Q::GetRestores { .. }
            | Q::QueryJobs(_)) => self.scan(move |view| state::query(view, wide)).await,
            Q::GetTokenKey => {
                self.reads.admit().await?;
                self.look(state::token_key)?.map(NamenodeReply::TokenKey).ok_or_else(not_formatted)
            }
            Q::ClaimEvents { limit, claim_ms } => self.claim_events(limit, claim_ms).await,
            Q::ClaimCompaction { lease } => self.claim_compaction(lease).await,
            Q::ClaimMoves { lease, after, limit } => self.claim_moves(lease, after, limit).await,
            Q::SettleRestores { limit } => self.settle_restores(limit).await,
            Q::ListArchiveTargets => self.list_archive_targets().await,
            Q::ClaimArchiveWork { lease, busy, limit } => self.claim_archive_work(lease, &busy, limit).await,
            Q::ReportArchive { lease, outcomes } => self.report_archive(lease, outcomes).await,

            Q::RegisterDatanode { datanode, volumes } => self.register(datanode, volumes).await,
            Q::Heartbeat { datanode, volumes } => Ok(self.heartbeat(datanode, volumes).await),
            Q::BlockReport { datanode, volume, report, page, last, replicas } => {
                let taken = self
                    .applied
                    .with_blocks(|blocks| blocks.block_report(datanode, volume, report, page, last, &replicas));
                let why = || format!("page {page} of report {report} of volume {volume} does not follow");
                if taken { Ok(NamenodeReply::Done) } else { Err(Failure::new(ErrorCode::InvalidArgument, why())) }
            }
            Q::ReplicasChanged { datanode, changes } => {
                let taken = self.applied.with_blocks(|blocks| blocks.replicas_changed(datanode, &changes));
                let why = "a change of a volume that is not registered";
                if taken { Ok(NamenodeReply::Done) } else { Err(Failure::new(ErrorCode::InvalidArgument, why)) }
            }

            Q::AnnounceDatanodeDoor(door) => {
                self.doors.announce(door, self.clock.now());
                Ok(NamenodeReply::Done)
            }
            Q::DatanodeDoors => Ok(NamenodeReply::DatanodeDoors(self.doors.at(self.clock.now()))),

            Q::FileSystem(call) => self.file_system(*call).await,
            Q::ClaimSmallFiles { lease } => self.claim_small_files(lease).await,

            Q::ExportMetadata { export, after } => self.export_metadata(export, after).await,
            Q::ListPeers => Ok(self.list_peers()),
            Q::ChangePeers(change) => self.change_peers(change).await.map(NamenodeReply::PeersChanged),
            Q::CreateNamenodeToken { name, lifetime_ms } => self.create_namenode_token(name, lifetime_ms).await,
            Q::Status => self.status().await,
            Q::Space => self.space().await,
            Q::LocateGroup { block, offset, length } => self.locate_group(block, offset, length).await,
            Q::Jobs(call) => {
                self.reads.admit().await?;
                self.jobs.call(*call).await.map(|reply| NamenodeReply::Jobs(Box::new(reply)))
            }
            Q::Classes => {
                self.reads.admit().await?;
                let report = self.applied.with_blocks(|blocks| blocks.class_report());
                Ok(NamenodeReply::Classes(Box::new(report)))
            }
            Q::DescribeBlocks { bucket, key } => self.describe_blocks(&bucket, &key).await,
            Q::CreateJoinToken { name, lifetime_ms } => self.create_join_token(name, lifetime_ms).await,
            Q::Enrol { secret, name, role, csr_pem } => self.enrol(None, &secret, name, role, &csr_pem).await,

            mutation @ (Q::CreateBucket { .. }
            | Q::DeleteBucket { .. }
            | Q::SetVersioning { .. }
            | Q::SetBucketLock { .. }
            | Q::SetBucketDocument { .. }
            | Q::PutObject { .. }
            | Q::CopyObject { .. }
            | Q::DeleteObjects { .. }
            | Q::AmendObject { .. }
            | Q::RenameObject { .. }
            | Q::CreateUpload { .. }
            | Q::PutPart { .. }
            | Q::CopyPart { .. }
            | Q::CompleteUpload { .. }
            | Q::AbortUpload { .. }
            | Q::OpenLease { .. }
            | Q::CloseLease { .. }
            | Q::SealBlock { .. }
            | Q::AbandonBlocks { .. }
            | Q::RelocateContents { .. }
            | Q::SetDatanodeIntent { .. }
            | Q::SetVolumeDrain { .. }
            | Q::AddUser { .. }
            | Q::RemoveUser { .. }
            | Q::SetUserDisabled { .. }
            | Q::AddAccessKey { .. }
            | Q::SetAccessKeyDisabled { .. }
            | Q::RemoveAccessKey { .. }
            | Q::PutPolicy { .. }
            | Q::RemovePolicy { .. }
            | Q::AttachPolicy { .. }
            | Q::SetDelegationTerm { .. }
            | Q::AddEncryptionKey { .. }
            | Q::SetEncryptionKeyDisabled { .. }
            | Q::ReplaceEncryptionKey { .. }
            | Q::AppendEvents { .. }
            | Q::SettleEvents { .. }
            | Q::ApplyLifecycle { .. }
            | Q::RestoreObject { .. }
            | Q::ChangeJobs(_)
            | Q::SetArchiveTarget { .. }
            | Q::ChangeArchive(_)) => match Action::try_from(mutation) {
                Ok(action) => {
                    self.admit_object(&action).await?;
                    self.propose(action).await
                }
                Err(_) => Err(Failure::new(ErrorCode::Internal, "a mutation without a command")),
            },
        }
    }

    /// A mutation that its client may have sent before, here or to another peer.
    async fn answer_once(&self, id: RequestId, request: NamenodeRequest) -> Result<NamenodeReply, Failure> {
        if let NamenodeRequest::Enrol { secret, name, role, csr_pem } = request {
            return self.enrol(Some(id), &secret, name, role, &csr_pem).await;
        }
        let action = Action::try_from(request)
            .map_err(|_| Failure::new(ErrorCode::InvalidArgument, "a request that is no command carries no number"))?;
        if let Err(refused) = self.admit_object(&action).await {
            // An attempt before this one may have been let in, and be what fills the quota now.
            let before = self.point_read(|view| Ok(state::outcome(view, id)?)).await?;
            return before.unwrap_or(Err(refused));
        }
        self.propose_once(Some(id), action).await
    }

    async fn propose_once(&self, id: Option<RequestId>, action: Action) -> Result<NamenodeReply, Failure> {
        match id {
            Some(id) => self.propose(Action::Once { id, action: Box::new(action) }).await,
            None => self.propose(action).await,
        }
    }

    pub(crate) async fn propose(&self, action: Action) -> Result<NamenodeReply, Failure> {
        match tokio::time::timeout(PROPOSE_TIMEOUT, self.proposer.propose(action)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Failure::new(ErrorCode::DeadlineExceeded, "no quorum answered in time")),
        }
    }

    pub(crate) async fn point_read<T>(
        &self,
        read: impl FnOnce(&dyn EngineSnapshot) -> Result<T, Rejection>,
    ) -> Result<T, Failure> {
        self.reads.admit().await?;
        read(&*self.applied.view().map_err(broken)?).map_err(logged)
    }

    pub(crate) async fn scan<T: Send + 'static>(
        &self,
        read: impl FnOnce(&dyn EngineSnapshot) -> Result<T, Rejection> + Send + 'static,
    ) -> Result<T, Failure> {
        self.reads.admit().await?;
        let view = self.applied.view().map_err(broken)?;
        granary_rpc::spawn_blocking(move || read(&*view))
            .await
            .map_err(|error| Failure::new(ErrorCode::Internal, error.to_string()))?
            .map_err(logged)
    }

    /// A read of what hardly ever changes, which need not be of this very moment.
    pub(crate) fn look<T>(
        &self,
        read: impl FnOnce(&dyn EngineSnapshot) -> Result<T, StateError>,
    ) -> Result<T, Failure> {
        read(&*self.applied.view().map_err(broken)?).map_err(|error| logged(error.into()))
    }

    async fn get_object(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        version: Option<VersionId>,
        window: Window,
    ) -> Result<NamenodeReply, Failure> {
        for _ in 0..READ_ATTEMPTS {
            let found = self.point_read(|view| state::get_object(view, bucket, key, version, window)).await?;
            let Some(extents) = self.locate_all(&found.extents) else { continue };
            if found.length > 0 {
                self.note_read(found.object.class, found.content);
            }
            let read = ObjectRead {
                object: found.object,
                parts_count: found.parts_count,
                part: found.part,
                content: found.content,
                offset: found.offset,
                length: found.length,
                stored_offset: found.stored_offset,
                stored_length: found.stored_length,
                sealed: found.sealed,
                extents,
            };
            return Ok(NamenodeReply::Object(Box::new(read)));
        }
        Err(keeps_changing())
    }

    async fn locate_content(&self, content: ContentId, offset: u64, length: u64) -> Result<NamenodeReply, Failure> {
        for _ in 0..READ_ATTEMPTS {
            let found = self.point_read(|view| state::locate_content(view, content, offset, length)).await?;
            if let Some(extents) = self.locate_all(&found) {
                return Ok(NamenodeReply::Located(extents));
            }
        }
        Err(keeps_changing())
    }

    /// `None` when a block has gone since the view of the applied state was taken, because its content was moved or
    /// deleted: the read must look again.
    pub(crate) fn locate_all(&self, extents: &[state::FoundExtent]) -> Option<Vec<LocatedExtent>> {
        if extents.is_empty() {
            return Some(Vec::new());
        }
        let now = self.clock.now();
        self.applied.with_blocks(|blocks| {
            let located = |found: &state::FoundExtent| {
                let located = blocks.locate(found.extent, AccessMode::Read, now)?;
                Some(LocatedExtent { content_offset: found.content_offset, extent: found.extent, located })
            };
            extents.iter().map(located).collect()
        })
    }

    async fn locate_group(&self, block: BlockId, offset: u32, length: u32) -> Result<NamenodeReply, Failure> {
        self.reads.admit().await?;
        let now = self.clock.now();
        let group = self.applied.with_blocks(|blocks| blocks.locate_group(block, offset, length, now));
        Ok(NamenodeReply::Group(group.map(Box::new)))
    }

    async fn renew_lease(&self, lease: LeaseId) -> Result<NamenodeReply, Failure> {
        self.reads.admit().await?;
        let now = self.clock.now();
        let leases = || self.leases.lock().expect("held for map operations only");
        if !leases().renew(lease, now) {
            // A leader that has just begun may not have read the leases yet.
            if self.look(|view| state::get_lease(view, lease))?.is_none() {
                return Err(Failure::new(ErrorCode::LeaseExpired, format!("lease {lease} is not held")));
            }
            leases().opened(lease, now);
        }
        Ok(NamenodeReply::LeaseRenewed { seal: self.applied.with_blocks(|blocks| blocks.to_be_sealed(lease)) })
    }

    async fn allocate(
        &self,
        lease: LeaseId,
        kind: block::BlockKind,
        count: u32,
        class: StorageClass,
        writer: Option<DatanodeId>,
        exclude: &[VolumeId],
    ) -> Result<NamenodeReply, Failure> {
        if count == 0 || count > ALLOCATION_MAX {
            return Err(Failure::new(
                ErrorCode::InvalidArgument,
                format!("1 to {ALLOCATION_MAX} blocks can be allocated at once"),
            ));
        }
        self.reads.admit().await?;
        let (wanted, pipelines) = self.applied.with_blocks(|blocks| {
            let wanted = blocks.fresh_replicas(class);
            let pipelines: Vec<Vec<VolumeId>> = (0..count)
                .map(|_| blocks.choose_targets(usize::from(wanted), class, writer, exclude))
                .filter(|targets| !targets.is_empty())
                .collect();
            (wanted, pipelines)
        });
        if pipelines.is_empty() {
            return Err(Failure::new(ErrorCode::NotEnoughTargets, "no volume in service has room for a block"));
        }
        let reply =
            self.propose(Action::AllocateBlocks { lease, kind, class, pipelines, replicas_wanted: wanted }).await?;
        let NamenodeReply::Blocks(allocated) = reply else {
            return Err(Failure::new(ErrorCode::Internal, "an allocation answered with another reply"));
        };
        let now = self.clock.now();
        let located = self
            .applied
            .with_blocks(|blocks| allocated.iter().filter_map(|new| blocks.locate_for_write(new.block, now)).collect());
        Ok(NamenodeReply::Blocks(located))
    }

    /// Claims events. Where none is due, which is nearly always, asking costs no command.
    async fn claim_events(&self, limit: u32, claim_ms: u64) -> Result<NamenodeReply, Failure> {
        let now = self.clock.now();
        match self.scan(move |view| Ok(state::events_due(view, now)?)).await? {
            true => self.propose(Action::ClaimEvents { limit, claim_ms }).await,
            false => Ok(NamenodeReply::Events(Vec::new())),
        }
    }

    async fn claim_compaction(&self, lease: LeaseId) -> Result<NamenodeReply, Failure> {
        self.reads.admit().await?;
        let now = self.clock.now();
        let located = self.applied.with_blocks(|blocks| {
            let block = blocks.claim_compaction(lease, now)?;
            blocks.locate(Extent { block, offset: 0, length: BLOCK_BYTES_MAX }, AccessMode::Read, now)
        });
        let Some(located) = located else { return Ok(NamenodeReply::Compaction(None)) };
        let record = self.look(|view| state::get_block(view, located.block))?;
        // Gone between the two looks: there is nothing left to compact in it.
        Ok(NamenodeReply::Compaction(record.map(|record| (located, record.class))))
    }

    async fn register(
        &self,
        datanode: block::DatanodeEndpoint,
        volumes: Vec<VolumeReport>,
    ) -> Result<NamenodeReply, Failure> {
        let cluster = self.look(state::cluster_id)?.ok_or_else(not_formatted)?;
        let now = self.clock.now();
        tracing::info!(datanode = %datanode.name, rack = %datanode.rack, volumes = volumes.len(), "datanode registered");
        let keys = self.applied.with_blocks(|blocks| {
            let registered = blocks.register(datanode, volumes, now);
            registered.then(|| blocks.keys().to_vec())
        });
        let keys = keys.ok_or_else(|| {
            Failure::new(
                ErrorCode::AccessDenied,
                "the datanode's id or a volume belongs to another datanode that lives",
            )
        })?;
        Ok(NamenodeReply::Registered { cluster, keys })
    }

    async fn heartbeat(&self, datanode: DatanodeId, volumes: Vec<VolumeReport>) -> NamenodeReply {
        let now = self.clock.now();
        let (mut known, keys, mut commands) = self.applied.with_blocks(|blocks| {
            let known = blocks.heartbeat(datanode, volumes, now);
            let commands = if known { blocks.take_commands(datanode) } else { Vec::new() };
            (known, blocks.keys().to_vec(), commands)
        });
        // A leader that was deposed without knowing takes for garbage what its successor allocated. Commands are obeyed
        // only if this peer still led after they were given; otherwise the datanode's next full report repeats them.
        if !commands.is_empty() && self.reads.admit().await.is_err() {
            commands.clear();
            known = false;
        }
        NamenodeReply::Heartbeat { keys, commands, register_again: !known }
    }

    /// The name in the certificate of a datanode that registered.
    pub(crate) fn datanode_name(&self, datanode: DatanodeId) -> Option<NodeName> {
        self.applied.with_blocks(|blocks| blocks.endpoint(datanode).map(|endpoint| endpoint.name.clone()))
    }

    async fn status(&self) -> Result<NamenodeReply, Failure> {
        self.reads.admit().await?;
        let cluster = self.look(state::cluster_id)?.unwrap_or_default();
        let counters = self.look(state::counters)?;
        let now = self.clock.now();
        let (datanodes, redundancy, safe_mode) =
            self.applied.with_blocks(|blocks| (blocks.datanodes(now), blocks.redundancy(), blocks.safe_mode()));
        Ok(NamenodeReply::Status(Box::new(ClusterStatus {
            cluster,
            peers: self.peers(),
            datanodes,
            redundancy,
            safe_mode,
            buckets: counters.buckets,
            objects: counters.objects,
            object_bytes: counters.object_bytes,
        })))
    }

    fn peers(&self) -> Vec<PeerStatus> {
        let metrics = self.raft.metrics().borrow().clone();
        let matched = |id: &u64| match &metrics.replication {
            _ if *id == metrics.id => metrics.last_log_index,
            Some(replication) => replication.get(id).copied().flatten().map(|log_id| log_id.index),
            None => None,
        };
        let membership = metrics.membership_config.membership();
        let votes = |id: &u64| membership.voter_ids().any(|voter| voter == *id);
        membership
            .nodes()
            .map(|(id, node)| PeerStatus {
                peer: PeerId(*id),
                name: node.name.clone(),
                address: node.address.clone(),
                leader: metrics.current_leader == Some(*id),
                matched_index: matched(id),
                votes: votes(id),
            })
            .collect()
    }

    async fn export_metadata(&self, export: u64, after: Bytes) -> Result<NamenodeReply, Failure> {
        self.reads.admit().await?;
        let export = match export {
            0 => self.exports.begin(Arc::from(self.applied.view().map_err(broken)?))?,
            begun => begun,
        };
        let view = self.exports.view(export)?;
        let page = granary_rpc::spawn_blocking(move || backup::page(&*view, export, &after))
            .await
            .map_err(|error| Failure::new(ErrorCode::Internal, error.to_string()))?
            .map_err(broken)?;
        if page.last {
            self.exports.end(export);
        }
        Ok(NamenodeReply::MetadataPage(page))
    }

    /// The members as this peer knows them, whether it leads or not: for those who look for a leader.
    fn list_peers(&self) -> NamenodeReply {
        let metrics = self.raft.metrics().borrow().clone();
        let membership = &metrics.membership_config;
        NamenodeReply::Peers(PeerList {
            version: membership.log_id().map_or(0, |log_id| log_id.index),
            addresses: membership.membership().nodes().map(|(_, node)| node.address.clone()).collect(),
        })
    }

    /// Good replicas that live datanodes have reported to this peer.
    pub(crate) fn replicas_live(&self) -> u64 {
        self.applied.with_blocks(|blocks| blocks.redundancy().replicas_live)
    }

    /// The cluster's name.
    pub(crate) fn cluster(&self) -> Result<ClusterId, Failure> {
        self.look(state::cluster_id)?.ok_or_else(not_formatted)
    }

    async fn space(&self) -> Result<NamenodeReply, Failure> {
        let now = self.clock.now();
        let volumes = self.applied.with_blocks(|blocks| blocks.volume_statuses(now));
        let log_bytes = self.log.log_bytes();
        let engine = self.applied.engine();
        self.scan(move |view| {
            let counters = state::counters(view)?;
            Ok(NamenodeReply::Space(Box::new(SpaceReport {
                content_bytes: counters.content_bytes,
                block_bytes: counters.block_bytes,
                dead_bytes: counters.dead_bytes(),
                blocks: counters.blocks,
                metadata_bytes: engine.disk_bytes()? + log_bytes,
                volumes,
            })))
        })
        .await
    }

    async fn describe_blocks(&self, bucket: &BucketName, key: &ObjectKey) -> Result<NamenodeReply, Failure> {
        let window = Window::Range { first: 0, last: None };
        let all = self.point_read(|view| {
            let found = match state::get_object(view, bucket, key, None, window) {
                Ok(found) => found,
                Err(Rejection::Refused(failure)) if failure.code == ErrorCode::InvalidRange => {
                    return Ok((0, Vec::new()));
                }
                Err(rejection) => return Err(rejection),
            };
            let (content, size) = (found.content, found.stored_length);
            let mut extents = found.extents;
            while let Some(last) = extents.last()
                && let Some(content) = content
            {
                let done = last.content_offset + u64::from(last.extent.length);
                if done >= size {
                    break;
                }
                extents.extend(state::locate_content(view, content, done, size - done)?);
            }
            Ok((size, extents))
        });
        let (size, extents) = all.await?;
        let now = self.clock.now();
        let blocks = self.applied.with_blocks(|blocks| {
            extents
                .iter()
                .filter_map(|found| {
                    let located = blocks.locate(
                        Extent { offset: 0, length: BLOCK_BYTES_MAX, ..found.extent },
                        AccessMode::Copy,
                        now,
                    )?;
                    Some(admin::BlockDescription {
                        object_offset: found.content_offset,
                        length: u64::from(found.extent.length),
                        block_offset: found.extent.offset,
                        kind: found.block.kind,
                        sealed: found.block.state == state::BlockState::Sealed,
                        located,
                    })
                })
                .collect()
        });
        Ok(NamenodeReply::ObjectBlocks(ObjectBlocks { size, blocks }))
    }

    async fn create_join_token(&self, name: Option<NodeName>, lifetime_ms: u64) -> Result<NamenodeReply, Failure> {
        let (secret, expires) = self.new_secret(lifetime_ms)?;
        self.propose(Action::CreateJoinToken { secret_sha256: digest(&secret), name, expires }).await?;
        Ok(NamenodeReply::JoinToken { secret })
    }

    async fn create_namenode_token(&self, name: NodeName, lifetime_ms: u64) -> Result<NamenodeReply, Failure> {
        let (secret, expires) = self.new_secret(lifetime_ms)?;
        self.propose(Action::CreateNamenodeToken { secret_sha256: digest(&secret), name, expires }).await?;
        Ok(NamenodeReply::JoinToken { secret })
    }

    /// A token that names the authority, and when it expires.
    fn new_secret(&self, lifetime_ms: u64) -> Result<(String, UnixMillis), Failure> {
        let mut random = [0u8; 24];
        getrandom::fill(&mut random).map_err(|error| Failure::new(ErrorCode::Internal, error.to_string()))?;
        let authority = self.look(state::certificate_authority)?.ok_or_else(not_formatted)?;
        let fingerprint = granary_rpc::CaFingerprint::of_pem(&authority.cert_pem)
            .map_err(|error| Failure::new(ErrorCode::Internal, error.to_string()))?;
        let secret = format!("granary1.{fingerprint}.{}", hex(&random));
        Ok((secret, UnixMillis(self.clock.now().0.saturating_add(lifetime_ms))))
    }

    async fn enrol(
        &self,
        id: Option<RequestId>,
        secret: &str,
        name: NodeName,
        role: NodeRole,
        csr_pem: &str,
    ) -> Result<NamenodeReply, Failure> {
        self.reads.admit().await?;
        let state::CertificateAuthority { cert_pem: ca_pem, key_pem } =
            self.look(state::certificate_authority)?.ok_or_else(not_formatted)?;
        let authority = granary_rpc::ClusterCa::from_pem(&ca_pem, &key_pem)
            .map_err(|error| Failure::new(ErrorCode::Internal, error.to_string()))?;
        let bad_request = |error: granary_rpc::TlsError| Failure::new(ErrorCode::InvalidArgument, error.to_string());
        let node = granary_rpc::NodeName::new(name.as_str()).map_err(bad_request)?;
        let certificate_pem = authority.sign_csr(csr_pem, &node, &[role.name()]).map_err(bad_request)?;
        // Spent last and through Raft: of two processes with one token, one gets the certificate.
        let (secret_sha256, name_of) = (digest(secret), name.clone());
        let spend = match role {
            // Its certificate will speak Raft: that takes a token made for a namenode of this name.
            NodeRole::Namenode => Action::SpendNamenodeToken { secret_sha256, name: name_of },
            NodeRole::Datanode | NodeRole::Gateway => Action::SpendJoinToken { secret_sha256, name: name_of },
        };
        self.propose_once(id, spend).await?;
        tracing::info!(node = %name, role = role.name(), "node enrolled");
        Ok(NamenodeReply::Enrolled { certificate_pem, ca_pem })
    }

    /// Whether this peer can answer: Raft runs, and it leads or knows who does.
    pub fn is_ready(&self) -> bool {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow();
        metrics.running_state.is_ok() && metrics.current_leader.is_some()
    }

    /// About how many rows the state has; 0 where it cannot be read.
    pub(crate) fn living_rows(&self) -> u64 {
        // An object has an entry and a content; what else there is is few beside them.
        self.look(state::counters).map_or(0, |counters| 2 * counters.objects + counters.blocks)
    }

    /// Volumes that can take replicas, as this peer knows.
    pub fn volumes_in_service(&self) -> usize {
        self.applied.with_blocks(|blocks| blocks.volumes_in_service())
    }

    /// Figures of this peer in Prometheus' text format.
    pub fn metrics_text(&self) -> String {
        use Kind::{Counter, Gauge};
        let raft = self.raft.metrics().borrow().clone();
        let (redundancy, groups, (live, silent), volumes) = self.applied.with_blocks(|blocks| {
            (blocks.redundancy(), blocks.group_ledger(), blocks.datanode_counts(), blocks.volumes_in_service())
        });
        let leases = self.leases.lock().expect("held for map operations only").len();
        let counted = &self.metrics;
        let applied = raft.last_applied.map_or(0, |last| last.index);
        let mut figures = Figures::default();
        let mut add = |name, kind, help, value| figures.add(name, kind, help, value);
        add("leader", Gauge, "1 while this peer leads.", u64::from(self.is_leader()));
        add("term", Counter, "The Raft term.", raft.current_term);
        add("log_index", Counter, "The last entry of the Raft log.", raft.last_log_index.unwrap_or(0));
        add("applied_index", Counter, "The last entry applied.", applied);
        add("proposals_total", Counter, "Commands handed to Raft.", value(&counted.proposals));
        add("batches_total", Counter, "Log entries they went in.", value(&counted.batches));
        add("batches_failed_total", Counter, "Entries that did not take effect.", value(&counted.batches_failed));
        add("batch_commands_max", Gauge, "Commands of the largest batch.", value(&counted.batch_commands_max));
        add("raft_log_bytes", Gauge, "Bytes of the Raft log.", self.log.log_bytes());
        add("engine_bytes", Gauge, "Bytes of the applied state on disk.", value(&counted.engine_bytes));
        add("leases", Gauge, "Leases this peer knows of.", leases as u64);
        add("datanodes_live", Gauge, "Datanodes heard of in time.", live as u64);
        add("datanodes_dead", Gauge, "Known datanodes that are silent.", silent as u64);
        add("volumes_in_service", Gauge, "Volumes that can take replicas.", volumes as u64);
        add("blocks", Gauge, "Blocks that hold data.", redundancy.blocks);
        add("replicas_wanted", Gauge, "Replicas the policies ask for.", redundancy.replicas_wanted);
        add("replicas_live", Gauge, "Good replicas on live datanodes.", redundancy.replicas_live);
        let under = redundancy.under_replicated_blocks;
        add("under_replicated_blocks", Gauge, "Blocks with fewer live replicas than wanted.", under);
        add("over_replicated_blocks", Gauge, "Blocks with more.", redundancy.over_replicated_blocks);
        add("missing_blocks", Gauge, "Blocks without a live replica.", redundancy.missing_blocks);
        add("groups", Gauge, "Coded groups that protect their blocks.", groups.groups);
        add("groups_encoding", Gauge, "Groups whose parity is being computed.", groups.encoding);
        add("groups_dissolving", Gauge, "Groups that are being taken apart.", groups.dissolving);
        add("group_members_lost", Gauge, "Members that can be rebuilt and are not yet.", groups.members_lost);
        add("group_members_misplaced", Gauge, "Members that share a failure domain.", groups.members_misplaced);
        add("groups_unreadable", Gauge, "Groups that have lost more than their parity.", groups.unreadable_groups);
        let (sends, fetches) = self.applied.with_blocks(|blocks| blocks.archive_backlog());
        let archived = self.archive.totals();
        let targets = self.look(state::archive_targets).unwrap_or_default();
        let sum = |of: fn(&ArchiveCounts) -> u64| targets.iter().map(|(_, _, _, counts)| of(counts)).sum();
        add("archive_blocks", Gauge, "Blocks that archive targets have.", sum(|counts| counts.blocks));
        add("archive_bytes", Gauge, "Their bytes.", sum(|counts| counts.bytes));
        add("archive_garbage", Gauge, "Objects to be deleted at archive targets.", sum(|counts| counts.garbage));
        add("archive_sends_waiting", Gauge, "Blocks to be sent to archive targets.", sends as u64);
        add("archive_fetches_waiting", Gauge, "Blocks to be fetched from there.", fetches as u64);
        add("archive_sent_bytes_total", Counter, "Bytes sent to archive targets.", archived.sent_bytes);
        add("archive_fetched_bytes_total", Counter, "Bytes fetched from there.", archived.fetched_bytes);
        add("archive_failures_total", Counter, "What failed there and was tried again.", archived.failures);
        figures.into_text()
    }

    /// The index of the last command this peer has applied.
    pub fn applied_index(&self) -> u64 {
        self.raft.metrics().borrow().last_applied.map_or(0, |last| last.index)
    }

    /// Whether this peer leads.
    pub fn is_leader(&self) -> bool {
        self.raft.metrics().borrow().state == ServerState::Leader
    }
}

fn broken(error: EngineError) -> Failure {
    logged(error.into())
}

/// What a caller is told; the log hears of a broken state in full.
fn logged(rejection: Rejection) -> Failure {
    if let Rejection::Broken(error) = &rejection {
        tracing::error!(%error, "the applied state cannot be read");
    }
    rejection.into()
}

fn keeps_changing() -> Failure {
    Failure::new(ErrorCode::Unavailable, "the object's blocks keep changing")
}

fn not_formatted() -> Failure {
    Failure::new(ErrorCode::Unavailable, "the cluster is not formatted yet")
}

fn digest(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
