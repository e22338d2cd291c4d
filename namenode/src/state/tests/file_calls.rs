//! Calls of the file system as tests write them, and what they look at afterwards.

use super::fixture::*;
use crate::command::FileSystemAction;
use crate::state::filesystem::{Answer, FoundFile};
use granary_protocol::filesystem::*;
use granary_protocol::*;

pub fn path(text: &str) -> FsPath {
    FsPath::parse(text).unwrap()
}

pub fn create(text: &str, holder: &str) -> FsRequest {
    FsRequest::Create(Box::new(CreateFile {
        path: path(text),
        holder: holder.to_owned(),
        permission: 0o644,
        unmasked: None,
        flags: CreateFlags(CreateFlags::CREATE | CreateFlags::OVERWRITE),
        create_parent: true,
        replication: 2,
        block_size: 128 << 20,
        policy: None,
    }))
}

pub fn mkdirs(text: &str) -> FsRequest {
    FsRequest::Mkdirs { path: path(text), permission: 0o755, unmasked: None, create_parent: true }
}

pub fn add_block(text: &str, file: FileId, holder: &str, previous: Option<ClientBlock>) -> FsRequest {
    let hints = NewBlockHints::default();
    FsRequest::AddBlock { path: path(text), file, holder: holder.to_owned(), previous, hints }
}

pub fn close(text: &str, file: FileId, holder: &str, last: Option<ClientBlock>) -> FsRequest {
    FsRequest::Complete { path: path(text), file, holder: holder.to_owned(), last }
}

pub fn append(text: &str, holder: &str) -> FsRequest {
    FsRequest::Append { path: path(text), holder: holder.to_owned() }
}

pub fn delete(text: &str, recursive: bool) -> FsRequest {
    FsRequest::Delete { path: path(text), recursive }
}

pub fn rename(from: &str, to: &str) -> FsRequest {
    FsRequest::Rename2 { from: path(from), to: path(to), overwrite: true }
}

/// Takes the files of a writer from it whose lease has run out.
pub fn expire(holder: &str) -> FileSystemAction {
    FileSystemAction::ExpireHolder { holder: holder.to_owned() }
}

pub fn user(name: &str) -> FsCaller {
    FsCaller { user: name.to_owned(), groups: vec![format!("{name}s")], ..FsCaller::default() }
}

pub trait Files {
    fn status(&self, text: &str) -> Option<FileStatus>;
    fn located(&self, text: &str) -> FoundFile;
    fn id(&mut self, request: FsRequest) -> FileId;
    fn new_block(&mut self, request: FsRequest, length: u64) -> ClientBlock;
    fn write(&mut self, text: &str, lengths: &[u64]) -> FileId;
    fn code(&mut self, request: FsRequest) -> ErrorCode;
}

impl Files for Store {
    fn status(&self, text: &str) -> Option<FileStatus> {
        match self.fs_read(&superuser(), &FsRequest::Status { path: path(text) }).unwrap() {
            Answer::Reply(FsReply::Status(status)) => status.map(|status| *status),
            other => panic!("{other:?}"),
        }
    }

    fn located(&self, text: &str) -> FoundFile {
        let request = FsRequest::Locate { path: path(text), offset: 0, length: u64::MAX };
        match self.fs_read(&superuser(), &request).unwrap() {
            Answer::File(found) => found,
            other => panic!("{other:?}"),
        }
    }

    fn id(&mut self, request: FsRequest) -> FileId {
        match self.fs(request).unwrap() {
            FsReply::Status(Some(status)) => status.file_id,
            FsReply::Appended { status, .. } => status.file_id,
            other => panic!("{other:?}"),
        }
    }

    fn new_block(&mut self, request: FsRequest, length: u64) -> ClientBlock {
        match self.fs(request).unwrap() {
            FsReply::Block(block) => {
                ClientBlock { block: block.extent.block, generation: block.located.generation, length }
            }
            other => panic!("{other:?}"),
        }
    }

    fn write(&mut self, text: &str, lengths: &[u64]) -> FileId {
        let id = self.id(create(text, "w"));
        let mut previous = None;
        for length in lengths {
            previous = Some(self.new_block(add_block(text, id, "w", previous), *length));
        }
        assert_eq!(self.fs(close(text, id, "w", previous)), Ok(FsReply::Flag(true)));
        id
    }

    fn code(&mut self, request: FsRequest) -> ErrorCode {
        self.fs(request).unwrap_err().code
    }
}
