//! Calls of Hadoop's clients at a peer: reads from the rows with replicas added, everything else through Raft with what
//! must be chosen before.

use crate::command::{Action, FileSystemAction};
use crate::service::Namenode;
use crate::state::filesystem::{self as rows, Answer, FoundBlock, FoundFile, FoundListing};
use granary_protocol::block::{BLOCK_BYTES_MAX, Extent};
use granary_protocol::filesystem::*;
use granary_protocol::namenode::{LocatedExtent, NamenodeReply, SmallFile};
use granary_protocol::token::AccessMode;
use granary_protocol::{BlockId, DatanodeId, ErrorCode, Failure, LeaseId, VolumeId};
use std::time::{Duration, Instant};

/// How often a read is repeated whose blocks changed between the two looks it takes.
const READ_ATTEMPTS: usize = 4;
/// The most datanodes that a client may exclude, and add to a pipeline.
const DATANODES_MAX: usize = 64;
/// How long a writer waits where no datanode lives, before it is told to come again: they may be registering.
const DATANODES_PATIENCE: Duration = Duration::from_secs(10);
const DATANODES_PAUSE: Duration = Duration::from_millis(20);
/// Small files handed out by one claim.
const SMALL_FILES_MAX: usize = 64;

impl Namenode {
    /// Answers [`granary_protocol::namenode::NamenodeRequest::FileSystem`].
    pub(crate) async fn file_system(&self, call: FsCall) -> Result<NamenodeReply, Failure> {
        self.admit_call(&call.request).await?;
        let reply = match &call.request {
            FsRequest::Stats => self.file_system_stats().await?,
            FsRequest::ServerDefaults => FsReply::ServerDefaults(ServerDefaults {
                block_size: u64::from(BLOCK_BYTES_MAX),
                replication: u16::from(self.config.replication),
                trash_interval_minutes: self.config.trash_interval_minutes,
            }),
            request if request.is_read() => self.read_file_system(call).await?,
            FsRequest::AdditionalDatanode { .. } => self.additional_datanode(call.request).await?,
            FsRequest::AddBlock { .. } => self.add_block(call).await?,
            FsRequest::UpdatePipeline { old, members, .. } => {
                let volumes = self.applied.with_blocks(|blocks| blocks.member_volumes(old.block, members));
                self.order(call, volumes).await?
            }
            FsRequest::UpdateBlockForPipeline { .. } => self.promise_generation(call).await?,
            FsRequest::Delete { recursive: true, .. } => self.delete_tree(call).await?,
            FsRequest::Create(create) => {
                let path = create.path.clone();
                self.order_or_recover(call, path).await?
            }
            FsRequest::Append { path, .. } | FsRequest::Truncate { path, .. } => {
                let path = path.clone();
                self.order_or_recover(call, path).await?
            }
            _ => self.order(call, Vec::new()).await?,
        };
        Ok(NamenodeReply::FileSystem(Box::new(reply)))
    }

    /// Holds what a call is about to add against the limits of paths and of directories, and the bucket's default encryption.
    async fn admit_call(&self, request: &FsRequest) -> Result<(), Failure> {
        check_new_path(request)?;
        // Where a call goes wrong anyway it says so itself.
        if let Ok(Some(bucket)) = self.look(|view| Ok(rows::clear_bytes_for(view, request).ok().flatten())) {
            let detail = format!(
                "Bucket {bucket} encrypts by default, and what Hadoop clients write is stored in clear: write to it \
                 through S3"
            );
            return Err(Failure::new(ErrorCode::AccessDenied, detail));
        }
        let adds = matches!(
            request,
            FsRequest::Create(_) | FsRequest::Mkdirs { .. } | FsRequest::Rename { .. } | FsRequest::Rename2 { .. }
        );
        if !adds || !self.has_quotas()? {
            return Ok(());
        }
        match request {
            FsRequest::Create(create) => self.admit_new(&create.path).await,
            FsRequest::Mkdirs { path, .. } => self.admit_new(path).await,
            FsRequest::Rename { from, to } | FsRequest::Rename2 { from, to, .. } => {
                // Counting what moves is for the few that come under a limit they were not under.
                if self.limits_beyond(to, Some(from)).await.is_ok_and(|limited| limited.is_empty()) {
                    return Ok(());
                }
                let (source, replication) = (from.clone(), u16::from(self.config.replication));
                let (names, space) = match self.scan(move |view| rows::taken(view, &source, replication)).await {
                    Ok(taken) => taken,
                    Err(_) => return Ok(()),
                };
                self.admit_to_quotas(to, names, space, Some(from)).await
            }
            _ => Ok(()),
        }
    }

    async fn admit_new(&self, path: &FsPath) -> Result<(), Failure> {
        match self.point_read(|view| rows::missing_names(view, path)).await {
            Ok(0) => Ok(()),
            Ok(names) => self.admit_to_quotas(path, names, 0, None).await,
            // The call itself says what is wrong with it.
            Err(_) => Ok(()),
        }
    }

    async fn order(&self, call: FsCall, volumes: Vec<VolumeId>) -> Result<FsReply, Failure> {
        let replication = u16::from(self.config.replication);
        self.order_action(FileSystemAction::Call { call, volumes, replication }).await
    }

    pub(crate) async fn order_action(&self, action: FileSystemAction) -> Result<FsReply, Failure> {
        match self.propose(Action::FileSystem(Box::new(action))).await? {
            NamenodeReply::FileSystem(reply) => Ok(*reply),
            _ => Err(Failure::new(ErrorCode::Internal, "a call of the file system answered with another reply")),
        }
    }

    /// A call that meets a file whose writer has been silent for long has the file recovered. Where that is done at once
    /// the call is carried out after all; otherwise its client comes again.
    async fn order_or_recover(&self, call: FsCall, path: FsPath) -> Result<FsReply, Failure> {
        match self.order(call.clone(), Vec::new()).await {
            Err(failure) if failure.code == ErrorCode::RecoveryInProgress => {
                match self.order_action(FileSystemAction::RecoverPath { path }).await? {
                    FsReply::Flag(true) => self.order(call, Vec::new()).await,
                    _ => Err(failure),
                }
            }
            outcome => outcome,
        }
    }

    async fn read_file_system(&self, call: FsCall) -> Result<FsReply, Failure> {
        let replication = u16::from(self.config.replication);
        let FsCall { caller, request, .. } = call;
        let host = caller.host.clone();
        let wide =
            matches!(request, FsRequest::List { .. } | FsRequest::ContentSummary { .. } | FsRequest::OpenFiles { .. });
        for _ in 0..READ_ATTEMPTS {
            let answer = if wide {
                let (caller, request) = (caller.clone(), request.clone());
                self.scan(move |view| rows::query(view, &caller, &request, replication)).await?
            } else {
                self.point_read(|view| rows::query(view, &caller, &request, replication)).await?
            };
            let located = match answer {
                Answer::Reply(reply) => Some(reply),
                Answer::File(found) if !found.is_readable(self.clock.now()) => {
                    let why = "the file is archived: it can be read after RestoreObject through S3";
                    return Err(Failure::new(ErrorCode::FileSystemRefused, why));
                }
                Answer::File(found) => {
                    self.note_read(found.class, found.content);
                    self.locate_file(&found, &host).map(|file| FsReply::Located(Box::new(file)))
                }
                Answer::Listing(found) => self.locate_listing(found, &host).map(|page| FsReply::Listing(Some(page))),
            };
            if let Some(reply) = located {
                return Ok(reply);
            }
        }
        Err(Failure::new(ErrorCode::Unavailable, "the file's blocks keep changing"))
    }

    /// `None` when a block has gone since the rows were read.
    fn locate_file(&self, found: &FoundFile, host: &str) -> Option<LocatedFile> {
        let now = self.clock.now();
        self.applied.with_blocks(|blocks| {
            let locate = |block: &FoundBlock| {
                // What is being written is read as far as it is by then.
                let readable = match block.complete {
                    true => block.extent,
                    false => Extent { length: BLOCK_BYTES_MAX, ..block.extent },
                };
                let mut located = blocks.locate(readable, AccessMode::Read, now)?;
                blocks.nearest_first(&mut located.replicas, host);
                let FoundBlock { offset, extent, complete } = *block;
                Some(FileBlock { offset, extent, complete, located })
            };
            // In a listing; asked for by itself such a file is refused.
            let (shown, last) = match found.is_readable(now) {
                true => (found.blocks.as_slice(), found.last.as_ref()),
                false => (&[][..], None),
            };
            let found_blocks: Option<Vec<FileBlock>> = shown.iter().map(locate).collect();
            let last = match last {
                Some(last) => Some(Box::new(locate(last)?)),
                None => None,
            };
            Some(LocatedFile {
                length: found.length,
                under_construction: found.under_construction,
                blocks: found_blocks?,
                last,
                encryption: found.encryption.clone(),
            })
        })
    }

    fn locate_listing(&self, found: FoundListing, host: &str) -> Option<FsListing> {
        let mut entries = Vec::with_capacity(found.entries.len());
        for (status, file) in found.entries {
            let located = match file {
                Some(file) => Some(Box::new(self.locate_file(&file, host)?)),
                None => None,
            };
            entries.push(ListedFile { status, located });
        }
        Some(FsListing { entries, remaining: u32::from(found.more) })
    }

    async fn add_block(&self, call: FsCall) -> Result<FsReply, Failure> {
        let FsRequest::AddBlock { hints, .. } = &call.request else {
            return Err(Failure::new(ErrorCode::Internal, "another call was taken for one that adds a block"));
        };
        check_few(hints.exclude.len())?;
        let Some(place) = self.point_read(|view| rows::block_to_place(view, &call.request)).await? else {
            return Err(Failure::new(ErrorCode::Internal, "a call that adds a block places none"));
        };
        if self.has_quotas()?
            && let FsRequest::AddBlock { path, .. } = &call.request
        {
            let space = place.block_size * u64::from(place.replicas);
            self.admit_to_quotas(path, 0, space, None).await?;
        }
        let (exclude, host) = (hints.exclude.clone(), hints.favored.first().unwrap_or(&call.caller.host).clone());
        let volumes = self.choose_pipeline(usize::from(place.replicas), host_of(&host), &exclude).await;
        if volumes.is_empty() {
            let (live, _) = self.applied.with_blocks(|blocks| blocks.datanode_counts());
            if live == 0 {
                let detail = "no datanode has registered yet, or all are silent";
                return Err(Failure::new(ErrorCode::NotReplicatedYet, detail));
            }
            let detail = format!(
                "File could only be written to 0 of the 1 minReplication nodes. There are {live} datanode(s) running and \
                 {} node(s) are excluded in this operation.",
                exclude.len()
            );
            return Err(Failure::new(ErrorCode::FileSystemRefused, detail));
        }
        let FsReply::Block(mut block) = self.order(call, volumes).await? else {
            return Err(Failure::new(ErrorCode::Internal, "a new block answered as something else"));
        };
        let now = self.clock.now();
        let located = self.applied.with_blocks(|blocks| blocks.locate_for_write(block.extent.block, now));
        block.located = located.ok_or_else(|| gone(block.extent.block))?;
        Ok(FsReply::Block(block))
    }

    /// Where a new block goes; nowhere if no datanode can take it. Right after a start, datanodes are waited for.
    async fn choose_pipeline(&self, replicas: usize, host: &str, exclude: &[DatanodeId]) -> Vec<VolumeId> {
        let deadline = Instant::now() + DATANODES_PATIENCE;
        loop {
            let (volumes, live) = self
                .applied
                .with_blocks(|blocks| (blocks.choose_pipeline(replicas, host, exclude), blocks.datanode_counts().0));
            if !volumes.is_empty() || live > 0 || Instant::now() >= deadline {
                return volumes;
            }
            tokio::time::sleep(DATANODES_PAUSE).await;
        }
    }

    async fn promise_generation(&self, call: FsCall) -> Result<FsReply, Failure> {
        let FsReply::Block(mut block) = self.order(call, Vec::new()).await? else {
            return Err(Failure::new(ErrorCode::Internal, "a block answered as something else"));
        };
        let (id, generation, now) = (block.extent.block, block.located.generation, self.clock.now());
        let located = self.applied.with_blocks(|blocks| {
            let members: Vec<VolumeId> =
                blocks.locate_for_write(id, now)?.replicas.iter().map(|replica| replica.volume).collect();
            blocks.pipeline(id, &members, generation, now)
        });
        block.located = located.ok_or_else(|| gone(id))?;
        Ok(FsReply::Block(block))
    }

    async fn additional_datanode(&self, request: FsRequest) -> Result<FsReply, Failure> {
        let FsRequest::AdditionalDatanode { path, file, holder, block, existing, exclude, count } = request else {
            return Err(Failure::new(ErrorCode::Internal, "another call was taken for one that widens a pipeline"));
        };
        check_few(existing.len() + exclude.len() + count as usize)?;
        let record = self.point_read(|view| rows::placement_of(view, &path, file, &holder, block.block)).await?;
        let now = self.clock.now();
        let located = self.applied.with_blocks(|blocks| {
            let mut volumes = blocks.member_volumes(block.block, &existing);
            let more = blocks.choose_additional(count as usize, &volumes, &exclude);
            volumes.extend(more);
            blocks.pipeline(block.block, &volumes, record.generation, now)
        });
        let extent = Extent { block: block.block, offset: 0, length: u32::try_from(block.length).unwrap_or(u32::MAX) };
        let located = located.ok_or_else(|| gone(block.block))?;
        Ok(FsReply::Block(Box::new(FileBlock { offset: 0, extent, complete: false, located })))
    }

    /// Where versions are kept every object of the tree gets its delete marker first, page by page.
    async fn delete_tree(&self, call: FsCall) -> Result<FsReply, Failure> {
        let FsRequest::Delete { path, .. } = &call.request else {
            return Err(Failure::new(ErrorCode::Internal, "another call was taken for a delete"));
        };
        let now = self.clock.now();
        if let Some(reply) = self.point_read(|view| Ok(rows::recalled(view, &call, now)?)).await? {
            // What has been put there since is nobody's to delete.
            return Ok(reply);
        }
        if self.point_read(|view| rows::is_deleted_by_pages(view, path)).await? {
            let (caller, path) = (call.caller.clone(), path.clone());
            let mut after = None;
            loop {
                let page = FileSystemAction::DeletePage { caller: caller.clone(), path: path.clone(), after };
                match self.order_action(page).await? {
                    FsReply::Progress { after: Some(next) } => after = Some(next),
                    _ => break,
                }
            }
        }
        self.order(call, Vec::new()).await
    }

    /// Small files that are worth packing, located, claimed for this lease for a while.
    pub(crate) async fn claim_small_files(&self, lease: LeaseId) -> Result<NamenodeReply, Failure> {
        let (now, replicas) = (self.clock.now(), self.config.replication);
        let position = || self.small_files_after.lock().expect("held for assignments only");
        let after = *position();
        let (found, next) = self.scan(move |view| Ok(rows::small_contents(view, after, now, replicas)?)).await?;
        let files = self.applied.with_blocks(|blocks| {
            let claimed =
                found.iter().filter(|small| blocks.claim(small.extent.block, lease, now)).take(SMALL_FILES_MAX);
            let claimed: Vec<_> = claimed.collect();
            *position() = match claimed.last() {
                Some(last) if claimed.len() == SMALL_FILES_MAX => last.content,
                _ => next.unwrap_or_default(),
            };
            let located = |small: &&rows::SmallContent| {
                let located = blocks.locate(small.extent, AccessMode::Read, now)?;
                let located = LocatedExtent { content_offset: 0, extent: small.extent, located };
                Some(SmallFile { content: small.content, located, class: small.class })
            };
            claimed.iter().filter_map(located).collect()
        });
        Ok(NamenodeReply::SmallFiles(files))
    }

    async fn file_system_stats(&self) -> Result<FsReply, Failure> {
        self.reads.admit().await?;
        let now = self.clock.now();
        let (volumes, redundancy) =
            self.applied.with_blocks(|blocks| (blocks.volume_statuses(now), blocks.redundancy()));
        let sound = || volumes.iter().map(|(_, volume)| volume).filter(|volume| volume.failed.is_none());
        Ok(FsReply::Stats(FsStats {
            capacity_bytes: sound().map(|volume| volume.capacity_bytes).sum(),
            used_bytes: sound().map(|volume| volume.used_bytes).sum(),
            remaining_bytes: sound().map(|volume| volume.free_bytes).sum(),
            under_replicated_blocks: redundancy.under_replicated_blocks,
            corrupt_blocks: 0,
            missing_blocks: redundancy.missing_blocks,
        }))
    }
}

/// The host of `host:port`, or of a bare host.
fn host_of(text: &str) -> &str {
    match text.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && !host.contains(':') => host,
        _ => text,
    }
}

fn check_few(datanodes: usize) -> Result<(), Failure> {
    match datanodes <= DATANODES_MAX {
        true => Ok(()),
        false => Err(Failure::new(ErrorCode::InvalidArgument, format!("more than {DATANODES_MAX} datanodes"))),
    }
}

fn gone(block: BlockId) -> Failure {
    Failure::new(ErrorCode::FileSystemRefused, format!("block {block} is gone"))
}

/// Refuses a new path that is too long, in Hadoop's words.
fn check_new_path(request: &FsRequest) -> Result<(), Failure> {
    let (call, path) = match request {
        FsRequest::Create(create) => ("create", &create.path),
        FsRequest::Mkdirs { path, .. } => ("mkdirs", path),
        FsRequest::Rename { to, .. } | FsRequest::Rename2 { to, .. } => ("rename", to),
        _ => return Ok(()),
    };
    match path.is_too_long() {
        false => Ok(()),
        true => {
            let limits = format!("Limit {PATH_BYTES_MAX} characters, {PATH_LEVELS_MAX} levels.");
            Err(Failure::new(ErrorCode::FileSystemRefused, format!("{call}: Pathname too long. {limits}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_favored_node_may_name_its_port() {
        assert_eq!(host_of("node1:9866"), "node1");
        assert_eq!(host_of("node1"), "node1");
        assert_eq!(host_of("::1"), "::1");
        assert_eq!(host_of("10.0.0.1"), "10.0.0.1");
    }
}
