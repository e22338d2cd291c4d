//! Writers: files, blocks, pipelines, leases.

use super::context::{ClientProtocol, path, unexpected};
use super::messages::*;
use super::namespace::mode;
use crate::exception::{JavaException, RemoteException};
use crate::names::{datanode_of_uuid, volume_of_storage_id};
use crate::proto::{DatanodeInfo, ExtendedBlock};
use crate::rpc::Call;
use crate::translate::file_status;
use granary_protocol::filesystem::{
    ClientBlock, CreateFile, CreateFlags, FileId, FsPath, FsReply, FsRequest, NewBlockHints, PipelineMember,
    StoragePolicy,
};
use granary_protocol::{BlockId, GenerationStamp};

/// Members of a pipeline, or datanodes to be avoided, that one call may name.
const DATANODES_MAX: usize = 4096;
/// `lastBlockLength` of a client that does not say.
const LENGTH_UNKNOWN: i64 = -1;
/// Open files of one answer.
const OPEN_FILES_PAGE: u32 = 1000;

type Answer<T> = Result<T, RemoteException>;

impl ClientProtocol {
    pub(super) async fn create(&self, call: &Call, request: CreateRequest) -> Answer<StatusReply> {
        if !request.ec_policy_name().is_empty() {
            let message = "Erasure coding is a property of storage classes here: set a storage policy instead";
            return Err(RemoteException::new(JavaException::UnsupportedOperation, message));
        }
        let create = CreateFile {
            path: path(&request.src)?,
            permission: mode(request.masked),
            unmasked: request.unmasked.map(mode),
            flags: CreateFlags(request.create_flag),
            create_parent: request.create_parent,
            replication: u16::try_from(request.replication).unwrap_or(u16::MAX),
            block_size: request.block_size,
            policy: request.storage_policy.as_deref().filter(|name| !name.is_empty()).map(policy_named).transpose()?,
            holder: request.client_name,
        };
        match self.ask(call, FsRequest::Create(Box::new(create))).await? {
            FsReply::Status(Some(status)) => Ok(StatusReply { fs: Some(file_status(&status)) }),
            other => Err(unexpected(&other)),
        }
    }

    pub(super) async fn append(&self, call: &Call, request: AppendRequest) -> Answer<AppendResponse> {
        let path = path(&request.src)?;
        let append = FsRequest::Append { path: path.clone(), holder: request.client_name };
        let appended = self.ask(call, append).await.map_err(|refused| not_appended(refused, &path, call));
        match appended? {
            FsReply::Appended { status, block } => {
                let view = self.view().await?;
                let block = block.as_deref().map(|block| view.block(block));
                Ok(AppendResponse { block, stat: Some(file_status(&status)) })
            }
            other => Err(unexpected(&other)),
        }
    }

    pub(super) async fn add_block(&self, call: &Call, request: AddBlockRequest) -> Answer<BlockReply> {
        let hints = NewBlockHints {
            exclude: bounded(&request.exclude_nodes)?.iter().filter_map(datanode_of).collect(),
            favored: request.favored_nodes.iter().take(DATANODES_MAX).map(|node| host_of(node)).collect(),
        };
        self.block(
            call,
            FsRequest::AddBlock {
                path: path(&request.src)?,
                file: FileId(request.file_id.unwrap_or_default()),
                holder: request.client_name,
                previous: request.previous.as_ref().map(client_block),
                hints,
            },
        )
        .await
    }

    pub(super) async fn get_additional_datanode(
        &self,
        call: &Call,
        request: GetAdditionalDatanodeRequest,
    ) -> Answer<BlockReply> {
        let volumes = request.existing_storage_uuids.iter().map(|id| volume_of_storage_id(id));
        let existing = bounded(&request.existings)?
            .iter()
            .zip(volumes.chain(std::iter::repeat(None)))
            .filter_map(|(info, volume)| Some(PipelineMember { datanode: datanode_of(info)?, volume }))
            .collect();
        self.block(
            call,
            FsRequest::AdditionalDatanode {
                path: path(&request.src)?,
                file: FileId(request.file_id.unwrap_or_default()),
                holder: request.client_name,
                block: client_block(&request.blk),
                existing,
                exclude: bounded(&request.excludes)?.iter().filter_map(datanode_of).collect(),
                count: request.num_additional_nodes,
            },
        )
        .await
    }

    pub(super) async fn abandon_block(&self, call: &Call, request: AbandonBlockRequest) -> Answer<Empty> {
        let (path, file) = (path(&request.src)?, FileId(request.file_id.unwrap_or_default()));
        let block = client_block(&request.b);
        self.done(call, FsRequest::AbandonBlock { path, file, holder: request.holder, block }).await?;
        Ok(Empty {})
    }

    pub(super) async fn complete(&self, call: &Call, request: CompleteRequest) -> Answer<FlagReply> {
        let (path, file) = (path(&request.src)?, FileId(request.file_id.unwrap_or_default()));
        let last = request.last.as_ref().map(client_block);
        let result = self.flag(call, FsRequest::Complete { path, file, holder: request.client_name, last }).await?;
        Ok(FlagReply { result })
    }

    pub(super) async fn fsync(&self, call: &Call, request: FsyncRequest) -> Answer<Empty> {
        let length = request.last_block_length.filter(|length| *length != LENGTH_UNKNOWN);
        let length = length.and_then(|length| u64::try_from(length).ok());
        let (path, file) = (path(&request.src)?, FileId(request.file_id.unwrap_or_default()));
        self.done(call, FsRequest::Fsync { path, file, holder: request.client, length }).await?;
        Ok(Empty {})
    }

    pub(super) async fn truncate(&self, call: &Call, request: TruncateRequest) -> Answer<FlagReply> {
        let (path, length) = (path(&request.src)?, request.new_length);
        let result = self.flag(call, FsRequest::Truncate { path, length, holder: request.client_name }).await?;
        Ok(FlagReply { result })
    }

    pub(super) async fn update_block_for_pipeline(
        &self,
        call: &Call,
        request: UpdateBlockForPipelineRequest,
    ) -> Answer<BlockReply> {
        let block = client_block(&request.block);
        self.block(call, FsRequest::UpdateBlockForPipeline { block, holder: request.client_name }).await
    }

    pub(super) async fn update_pipeline(&self, call: &Call, request: UpdatePipelineRequest) -> Answer<Empty> {
        let volumes = request.storage_ids.iter().map(|id| volume_of_storage_id(id));
        let members = bounded(&request.new_nodes)?
            .iter()
            .zip(volumes.chain(std::iter::repeat(None)))
            .filter_map(|(id, volume)| Some(PipelineMember { datanode: datanode_of_uuid(&id.datanode_uuid)?, volume }))
            .collect();
        self.done(
            call,
            FsRequest::UpdatePipeline {
                holder: request.client_name,
                old: client_block(&request.old_block),
                new: client_block(&request.new_block),
                members,
            },
        )
        .await?;
        Ok(Empty {})
    }

    pub(super) async fn renew_lease(&self, call: &Call, request: RenewLeaseRequest) -> Answer<Empty> {
        self.done(call, FsRequest::RenewLease { holder: request.client_name }).await?;
        Ok(Empty {})
    }

    pub(super) async fn recover_lease(&self, call: &Call, request: RecoverLeaseRequest) -> Answer<FlagReply> {
        let path = path(&request.src)?;
        let result = self.flag(call, FsRequest::RecoverLease { path, holder: request.client_name }).await?;
        Ok(FlagReply { result })
    }

    /// Datanodes check what they read by themselves and report it: a client's word changes nothing.
    pub(super) async fn report_bad_blocks(&self, call: &Call, request: ReportBadBlocksRequest) -> Answer<Empty> {
        for block in request.blocks.iter().take(DATANODES_MAX) {
            tracing::warn!(block = block.b.block_id, peer = %call.peer, "a Hadoop client reports a bad block");
        }
        Ok(Empty {})
    }

    pub(super) async fn list_open_files(
        &self,
        call: &Call,
        request: ListOpenFilesRequest,
    ) -> Answer<ListOpenFilesResponse> {
        let after = FileId(u64::try_from(request.id).unwrap_or_default());
        let below = path(request.path.as_deref().filter(|path| !path.is_empty()).unwrap_or("/"))?;
        let (files, has_more) = match self.ask(call, FsRequest::OpenFiles { after, limit: OPEN_FILES_PAGE }).await? {
            FsReply::OpenFiles { files, more } => (files, more),
            other => return Err(unexpected(&other)),
        };
        let entries = files.into_iter().filter(|file| below.holds(&file.path)).map(|file| OpenFilesBatchResponse {
            id: i64::try_from(file.file_id.0).unwrap_or(i64::MAX),
            path: file.path.to_string(),
            client_name: file.holder,
            client_machine: String::new(),
        });
        Ok(ListOpenFilesResponse { entries: entries.collect(), has_more, types: request.types })
    }

    async fn block(&self, call: &Call, request: FsRequest) -> Answer<BlockReply> {
        match self.ask(call, request).await? {
            FsReply::Block(block) => {
                let members: Vec<_> = block.located.replicas.iter().map(|replica| replica.datanode.id).collect();
                self.datanodes.await_doors(&members).await;
                let block = self.view().await?.block(&block);
                if block.locs.is_empty() && !members.is_empty() {
                    // Clients come again for this one.
                    let message = "The datanodes of the block have not announced their ports for Hadoop clients yet";
                    return Err(RemoteException::new(JavaException::NotReplicatedYet, message));
                }
                Ok(BlockReply { block })
            }
            other => Err(unexpected(&other)),
        }
    }
}

/// An append's refusals in the words of Apache's namenode.
fn not_appended(refused: RemoteException, path: &FsPath, call: &Call) -> RemoteException {
    if refused.class != JavaException::FileNotFound {
        return refused;
    }
    if refused.message == format!("Path is not a file: {path}") {
        let message = format!("Cannot append to directory {path}; already exists as a directory.");
        return RemoteException::new(JavaException::FileAlreadyExists, message);
    }
    let client = call.peer.ip().to_canonical();
    let message = format!("Failed to append to non-existent file {path} for client {client}");
    RemoteException::new(JavaException::FileNotFound, message)
}

/// The policy of a name.
pub(super) fn policy_named(name: &str) -> Answer<StoragePolicy> {
    StoragePolicy::from_name(name).ok_or_else(|| {
        let message = format!("Cannot find a block policy with the name {name}");
        RemoteException::new(JavaException::IllegalArgument, message)
    })
}

fn client_block(block: &ExtendedBlock) -> ClientBlock {
    ClientBlock {
        block: BlockId(block.block_id),
        generation: GenerationStamp(block.generation_stamp),
        length: block.num_bytes.unwrap_or_default(),
    }
}

fn datanode_of(info: &DatanodeInfo) -> Option<granary_protocol::DatanodeId> {
    datanode_of_uuid(&info.id.datanode_uuid)
}

fn host_of(node: &str) -> String {
    node.rsplit_once(':').map_or(node, |(host, _)| host).to_owned()
}

fn bounded<T>(datanodes: &[T]) -> Answer<&[T]> {
    match datanodes.len() <= DATANODES_MAX {
        true => Ok(datanodes),
        false => Err(RemoteException::new(JavaException::IllegalArgument, "too many datanodes are named")),
    }
}
