//! What is there, and which names there are.

use super::context::{ClientProtocol, internal, not_found, path, unexpected};
use super::messages::*;
use crate::exception::{JavaException, RemoteException};
use crate::proto::{self, LocatedBlocks, NO_QUOTA};
use crate::rpc::Call;
use crate::sealed::ShownFile;
use crate::translate::file_status;
use granary_protocol::filesystem::{
    ContentSummary, FileKind, FileStatus, FsListing, FsPath, FsReply, FsRequest, ListedFile,
};

type Answer<T> = Result<T, RemoteException>;

impl ClientProtocol {
    pub(super) async fn get_file_info(&self, call: &Call, request: PathRequest) -> Answer<StatusReply> {
        let status = self.status(call, &path(&request.path)?).await?;
        Ok(StatusReply { fs: status.as_deref().map(file_status) })
    }

    pub(super) async fn get_located_file_info(
        &self,
        call: &Call,
        request: GetLocatedFileInfoRequest,
    ) -> Answer<StatusReply> {
        let path = path(request.src())?;
        let Some(status) = self.status(call, &path).await? else { return Ok(StatusReply { fs: None }) };
        let mut shown = file_status(&status);
        if status.kind == FileKind::File {
            shown.locations = Some(self.locate(call, &path, 0, u64::MAX).await?);
        }
        Ok(StatusReply { fs: Some(shown) })
    }

    pub(super) async fn get_listing(&self, call: &Call, request: GetListingRequest) -> Answer<GetListingResponse> {
        let path = path(&request.src)?;
        let after = String::from_utf8(request.start_after)
            .map_err(|_| RemoteException::new(JavaException::InvalidPath, "a name that is no UTF-8"))?;
        let listing = self.list(call, path, after, request.need_location).await?;
        Ok(GetListingResponse { dir_list: listing })
    }

    /// A page of a directory; `None` if there is none.
    pub(super) async fn list(
        &self,
        call: &Call,
        path: FsPath,
        after: String,
        locations: bool,
    ) -> Answer<Option<proto::DirectoryListing>> {
        match self.ask(call, FsRequest::List { path: path.clone(), after, locations }).await? {
            FsReply::Listing(None) => Ok(None),
            FsReply::Listing(Some(listing)) => Ok(Some(self.shown_listing(call, &path, listing).await?)),
            other => Err(unexpected(&other)),
        }
    }

    async fn shown_listing(
        &self,
        call: &Call,
        directory: &FsPath,
        listing: FsListing,
    ) -> Answer<proto::DirectoryListing> {
        let view = self.view().await?;
        let mut partial_listing = Vec::with_capacity(listing.entries.len());
        for ListedFile { status, located } in listing.entries {
            let locations = match located {
                None => None,
                Some(located) if located.encryption.is_none() => Some(view.file(&ShownFile::clear(*located))),
                Some(located) => {
                    let path = match status.name.as_str() {
                        // The listing of a file is the file.
                        "" => Ok(directory.clone()),
                        name => directory.child(name),
                    };
                    let path = path.map_err(|_| internal())?;
                    Some(view.file(&self.locator.show_listed(&self.principal(call).await?, &path, *located).await))
                }
            };
            partial_listing.push(proto::HdfsFileStatus { locations, ..file_status(&status) });
        }
        Ok(proto::DirectoryListing { partial_listing, remaining_entries: listing.remaining })
    }

    pub(super) async fn get_block_locations(
        &self,
        call: &Call,
        request: GetBlockLocationsRequest,
    ) -> Answer<GetBlockLocationsResponse> {
        let located = self.locate(call, &path(&request.src)?, request.offset, request.length).await?;
        Ok(GetBlockLocationsResponse { locations: Some(located) })
    }

    /// Where a file's bytes are.
    async fn locate(&self, call: &Call, path: &FsPath, offset: u64, length: u64) -> Answer<LocatedBlocks> {
        let found = self.locator.locate(&self.principal(call).await?, path, offset, length).await?;
        Ok(self.view().await?.file(&found))
    }

    pub(super) async fn get_content_summary(
        &self,
        call: &Call,
        request: PathRequest,
    ) -> Answer<GetContentSummaryResponse> {
        let summary = self.summary(call, &request.path).await?;
        let summary = proto::ContentSummary {
            length: summary.length,
            file_count: summary.files,
            directory_count: summary.directories,
            quota: summary.quota.names.unwrap_or(NO_QUOTA),
            space_consumed: summary.space_consumed,
            space_quota: summary.quota.space_bytes.unwrap_or(NO_QUOTA),
            type_quota_infos: None,
            snapshot_length: Some(0),
            snapshot_file_count: Some(0),
            snapshot_directory_count: Some(0),
            snapshot_space_consumed: Some(0),
            erasure_coding_policy: Some(String::new()),
        };
        Ok(GetContentSummaryResponse { summary })
    }

    pub(super) async fn get_quota_usage(&self, call: &Call, request: PathRequest) -> Answer<GetQuotaUsageResponse> {
        let summary = self.summary(call, &request.path).await?;
        let usage = proto::QuotaUsage {
            file_and_directory_count: summary.files + summary.directories,
            quota: summary.quota.names.unwrap_or(NO_QUOTA),
            space_consumed: summary.space_consumed,
            space_quota: summary.quota.space_bytes.unwrap_or(NO_QUOTA),
            type_quota_infos: None,
        };
        Ok(GetQuotaUsageResponse { usage })
    }

    async fn summary(&self, call: &Call, text: &str) -> Answer<ContentSummary> {
        match self.ask(call, FsRequest::ContentSummary { path: path(text)? }).await? {
            FsReply::Summary(summary) => Ok(summary),
            other => Err(unexpected(&other)),
        }
    }

    pub(super) async fn get_preferred_block_size(
        &self,
        call: &Call,
        request: PathRequest,
    ) -> Answer<GetPreferredBlockSizeResponse> {
        let status = self.existing(call, &path(&request.path)?).await?;
        Ok(GetPreferredBlockSizeResponse { bsize: status.block_size })
    }

    pub(super) async fn get_link_target(&self, call: &Call, request: PathRequest) -> Answer<GetLinkTargetResponse> {
        let path = path(&request.path)?;
        self.existing(call, &path).await?;
        Err(RemoteException::new(JavaException::Io, format!("Path {path} is not a symbolic link")))
    }

    pub(super) async fn get_enclosing_root(
        &self,
        call: &Call,
        request: GetEnclosingRootRequest,
    ) -> Answer<GetEnclosingRootResponse> {
        // Renames reach everywhere but into another bucket: the root of a path is its bucket.
        let path = path(request.filename())?;
        self.status(call, &path).await?;
        let root = path.components().next().map_or_else(|| "/".to_owned(), |bucket| format!("/{bucket}"));
        Ok(GetEnclosingRootResponse { enclosing_root_path: Some(root) })
    }

    pub(super) async fn is_file_closed(&self, call: &Call, request: PathRequest) -> Answer<FlagReply> {
        let result = self.flag(call, FsRequest::IsFileClosed { path: path(&request.path)? }).await?;
        Ok(FlagReply { result })
    }

    pub(super) async fn mkdirs(&self, call: &Call, request: MkdirsRequest) -> Answer<FlagReply> {
        let result = self
            .flag(
                call,
                FsRequest::Mkdirs {
                    path: path(&request.src)?,
                    permission: mode(request.masked),
                    unmasked: request.unmasked.map(mode),
                    create_parent: request.create_parent,
                },
            )
            .await?;
        Ok(FlagReply { result })
    }

    pub(super) async fn rename(&self, call: &Call, request: RenameRequest) -> Answer<FlagReply> {
        let (from, to) = (path(&request.src)?, path(&request.dst)?);
        Ok(FlagReply { result: self.flag(call, FsRequest::Rename { from, to }).await? })
    }

    pub(super) async fn rename2(&self, call: &Call, request: Rename2Request) -> Answer<Empty> {
        let (from, to) = (path(&request.src)?, path(&request.dst)?);
        let rename = FsRequest::Rename2 { from, to: to.clone(), overwrite: request.overwrite_dest };
        let renamed = self.done(call, rename).await;
        // Apache's namenode names the destination where it means its parent.
        renamed.map_err(|refused| match refused.message.starts_with("rename destination parent ") {
            true => RemoteException { message: format!("rename destination parent {to} not found."), ..refused },
            false => refused,
        })?;
        Ok(Empty {})
    }

    pub(super) async fn delete(&self, call: &Call, request: DeleteRequest) -> Answer<FlagReply> {
        let path = path(&request.src)?;
        let result = self.flag(call, FsRequest::Delete { path, recursive: request.recursive }).await?;
        Ok(FlagReply { result })
    }

    pub(super) async fn concat(&self, call: &Call, request: ConcatRequest) -> Answer<Empty> {
        let target = path(&request.trg)?;
        let sources = request.srcs.iter().map(|source| path(source)).collect::<Answer<Vec<_>>>()?;
        self.done(call, FsRequest::Concat { target, sources }).await?;
        Ok(Empty {})
    }

    pub(super) async fn status(&self, call: &Call, path: &FsPath) -> Answer<Option<Box<FileStatus>>> {
        match self.ask(call, FsRequest::Status { path: path.clone() }).await? {
            FsReply::Status(status) => Ok(status),
            other => Err(unexpected(&other)),
        }
    }

    /// What is known of a path that must be there.
    pub(super) async fn existing(&self, call: &Call, path: &FsPath) -> Answer<FileStatus> {
        self.status(call, path).await?.map(|status| *status).ok_or_else(|| not_found(path))
    }
}

/// The bits of a mode that Hadoop has: sticky, and three times `rwx`.
pub(super) fn mode(permission: proto::FsPermission) -> u16 {
    (permission.perm & 0o1777) as u16
}
