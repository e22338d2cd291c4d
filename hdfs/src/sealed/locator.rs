//! Where a file's bytes are, encrypted or not: the one answer behind `getBlockLocations` and its kin.

use super::cut::{CutBlock, PLAIN_BLOCK_BYTES, SealedWindow, cut};
use super::token::SealedBlock;
use crate::block_token;
use crate::cluster_key::ClusterKey;
use crate::datanode_directory::DatanodeDirectory;
use crate::door::FileSystemDoor;
use crate::exception::{JavaException, RemoteException};
use crate::principal::Principal;
use crate::proto::Token;
use granary_protocol::block::{Extent, ReplicaLocation};
use granary_protocol::datanode_door::DatanodeDoor;
use granary_protocol::encryption::ObjectEncryption;
use granary_protocol::filesystem::{FILE_BLOCKS_MAX, FileBlock, FsPath, FsReply, FsRequest, LocatedFile};
use granary_protocol::namenode::{NamenodeReply, NamenodeRequest, ObjectRead, Window};
use granary_protocol::token::TOKEN_LIFETIME_MS;
use granary_protocol::{ContentId, ErrorCode, Failure, ObjectKey, UnixMillis};
use granary_sealing::{KeyName, key_name_of};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// The most blocks of one answer. Files written through S3 may have more than Hadoop's own.
const BLOCKS_MAX: usize = 4 * FILE_BLOCKS_MAX;
/// Plaintext looked at in one question.
const WINDOW_BYTES: u64 = 32 * PLAIN_BLOCK_BYTES;
/// How often a file that is replaced while it is located is looked at anew.
const ATTEMPTS_MAX: u32 = 3;

/// A file's blocks as clients are shown them.
#[derive(Clone, Debug)]
pub struct ShownFile {
    /// The file; offsets and lengths of its blocks are those of the plaintext.
    pub file: LocatedFile,
    /// The tokens of an encrypted file's blocks, by the block's first byte.
    sealed: BTreeMap<u64, Token>,
}

impl ShownFile {
    /// A file that is not encrypted.
    pub fn clear(file: LocatedFile) -> ShownFile {
        ShownFile { file, sealed: BTreeMap::new() }
    }

    /// The token with which a block is read.
    pub fn token(&self, block: &FileBlock) -> Token {
        let sealed = self.sealed.get(&block.offset).cloned();
        sealed.unwrap_or_else(|| block_token::to_hadoop(&block.located.token))
    }
}

/// Locates files beside a namenode or a datanode.
pub struct Locator {
    door: Arc<FileSystemDoor>,
    datanodes: Arc<DatanodeDirectory>,
    key: ClusterKey,
}

/// Blocks of one object, as far as they are cut.
#[derive(Default)]
struct Found {
    /// What [`ObjectRead::content`] said of all of them.
    content: Option<Option<ContentId>>,
    blocks: Vec<CutBlock>,
}

impl Locator {
    /// One that asks through `door` and signs with `key`.
    pub fn new(door: Arc<FileSystemDoor>, datanodes: Arc<DatanodeDirectory>, key: ClusterKey) -> Locator {
        Locator { door, datanodes, key }
    }

    /// All blocks with bytes of a range, however many answers of the namenode they take.
    ///
    /// # Errors
    /// The namenode's; `AccessControlException` for a file that only its owner's key opens, or whose key is disabled.
    pub async fn locate(
        &self,
        principal: &Principal,
        path: &FsPath,
        offset: u64,
        length: u64,
    ) -> Result<ShownFile, RemoteException> {
        let end = offset.saturating_add(length);
        let mut found = self.page(principal, path, offset, length).await?;
        while let Some(last) = found.blocks.last() {
            let from = last.offset + u64::from(last.extent.length);
            if from >= end.min(found.length) || found.blocks.len() >= BLOCKS_MAX {
                break;
            }
            let page = self.page(principal, path, from, end - from).await?;
            // A page that brings nothing new ends it: the file is being changed.
            let before = found.blocks.len();
            found.blocks.extend(page.blocks.into_iter().filter(|block| block.offset >= from));
            if found.blocks.len() == before {
                break;
            }
        }
        self.show(principal, path, found, offset, length).await
    }

    /// A file that was located already, in a listing: with the blocks that it has if it is encrypted. One that cannot be
    /// read has none.
    pub async fn show_listed(&self, principal: &Principal, path: &FsPath, file: LocatedFile) -> ShownFile {
        let shown = self.show(principal, path, file.clone(), 0, u64::MAX).await;
        shown.unwrap_or(ShownFile::clear(file))
    }

    async fn page(
        &self,
        principal: &Principal,
        path: &FsPath,
        offset: u64,
        length: u64,
    ) -> Result<LocatedFile, RemoteException> {
        match self.door.call(principal, None, FsRequest::Locate { path: path.clone(), offset, length }).await? {
            FsReply::Located(located) => Ok(*located),
            _ => Err(Failure::from(ErrorCode::Internal).into()),
        }
    }

    async fn show(
        &self,
        principal: &Principal,
        path: &FsPath,
        mut file: LocatedFile,
        offset: u64,
        length: u64,
    ) -> Result<ShownFile, RemoteException> {
        let Some(encryption) = file.encryption.clone().filter(|_| file.length > 0) else {
            return Ok(ShownFile::clear(file));
        };
        self.check_key(path, &encryption).await?;
        let end = file.length.min(offset.saturating_add(length));
        let mut found = self.blocks(path, &encryption, offset.min(file.length - 1), end).await?;
        let reaches_end = |block: &CutBlock| block.offset + block.run.length == file.length;
        if !found.blocks.last().is_some_and(reaches_end) {
            let last = self.blocks(path, &encryption, file.length - 1, file.length).await?;
            if last.content != found.content {
                return Err(changing());
            }
            found.blocks.extend(last.blocks);
        }
        self.datanodes.refresh().await;
        for block in &mut found.blocks {
            self.nearest_first(&mut block.located.replicas, principal.address);
        }
        let key = self.key.get().await?;
        let expires = UnixMillis(now().0 + TOKEN_LIFETIME_MS);
        let content = found.content.flatten().ok_or_else(changing)?;
        let sealed = found.blocks.iter().map(|block| {
            let CutBlock { run_starts_at, run, .. } = *block;
            let encryption = encryption.clone();
            let token = SealedBlock { block: block.located.block, expires, content, run_starts_at, run, encryption };
            (block.offset, token.to_hadoop(key))
        });
        let sealed = sealed.collect();
        let in_range = |block: &&CutBlock| block.offset < end && block.offset + block.run.length > offset;
        file.blocks = found.blocks.iter().filter(in_range).map(file_block).collect();
        file.last = found.blocks.last().map(|block| Box::new(file_block(block)));
        Ok(ShownFile { file, sealed })
    }

    /// As the namenode sorts replicas of clear files: the caller's own machine, its rack, the rest; each datanode once.
    fn nearest_first(&self, replicas: &mut Vec<ReplicaLocation>, caller: IpAddr) {
        let mut seen = Vec::with_capacity(replicas.len());
        replicas.retain(|replica| {
            let new = !seen.contains(&replica.datanode.id);
            seen.push(replica.datanode.id);
            new
        });
        let doors = self.datanodes.doors();
        let caller = caller.to_canonical();
        let beside = |door: &&DatanodeDoor| door.address.parse::<IpAddr>().is_ok_and(|address| address == caller);
        let rack = doors.iter().find(beside).map(|door| door.rack.clone());
        replicas.sort_by_key(|replica| {
            let door = doors.iter().find(|door| door.datanode == replica.datanode.id);
            match door {
                Some(door) if beside(&door) => 0,
                Some(door) if rack.as_ref() == Some(&door.rack) => 1,
                _ => 2,
            }
        });
    }

    /// Refuses what no door of the store can open.
    async fn check_key(&self, path: &FsPath, encryption: &ObjectEncryption) -> Result<(), RemoteException> {
        let denied = |message: String| RemoteException::new(JavaException::AccessControl, message);
        // The namenode keeps keys by name; the region was judged when the object was written.
        match key_name_of(&encryption.mode) {
            Ok(None) => Err(denied(format!(
                "{path} is encrypted with a key that only its owner has (SSE-C): it is read through S3, with that key"
            ))),
            Ok(Some(KeyName::Store)) => Ok(()),
            Ok(Some(KeyName::Kms(name))) => {
                let question = NamenodeRequest::GetEncryptionKey { key_id: name.clone() };
                match self.door.ask(question).await? {
                    NamenodeReply::EncryptionKey(Some(key)) if !key.disabled => Ok(()),
                    _ => Err(denied(format!("{path} is encrypted under key {name}, which is disabled"))),
                }
            }
            Err(error) => Err(denied(format!("{path} is encrypted: {error}"))),
        }
    }

    /// The blocks that have bytes from `offset` to `end`, both within the file.
    async fn blocks(
        &self,
        path: &FsPath,
        encryption: &ObjectEncryption,
        offset: u64,
        end: u64,
    ) -> Result<Found, RemoteException> {
        for _ in 0..ATTEMPTS_MAX {
            if let Some(found) = self.try_blocks(path, encryption, offset, end).await? {
                return Ok(found);
            }
        }
        Err(changing())
    }

    /// `None` if the object is another one by now.
    async fn try_blocks(
        &self,
        path: &FsPath,
        encryption: &ObjectEncryption,
        offset: u64,
        end: u64,
    ) -> Result<Option<Found>, RemoteException> {
        let mut at = match offset {
            0 => 0,
            offset => match self.window(path, encryption, offset, 1).await? {
                Some(window) => offset - SealedWindow::from(&window).bytes_since_cut(),
                None => return Ok(None),
            },
        };
        let mut found = Found::default();
        while at < end && found.blocks.len() < BLOCKS_MAX {
            let Some(window) = self.window(path, encryption, at, WINDOW_BYTES).await? else { return Ok(None) };
            if window.content != *found.content.get_or_insert(window.content) {
                return Ok(None);
            }
            let blocks = cut(SealedWindow::from(&window));
            let Some(last) = blocks.last() else { return Ok(None) };
            at = last.offset + last.run.length;
            found.blocks.extend(blocks.into_iter().filter(|block| block.offset < end));
        }
        Ok(Some(found))
    }

    async fn window(
        &self,
        path: &FsPath,
        encryption: &ObjectEncryption,
        first: u64,
        length: u64,
    ) -> Result<Option<ObjectRead>, RemoteException> {
        let read = self.object(path, Window::Range { first, last: Some(first + length - 1) }).await?;
        Ok(Some(read).filter(|read| read.object.details.encryption.as_ref() == Some(encryption)))
    }

    /// The object that a file is, and a window of its bytes. Judges nobody: who asks was judged before.
    ///
    /// # Errors
    /// The namenode's.
    pub(crate) async fn object(&self, path: &FsPath, window: Window) -> Result<ObjectRead, RemoteException> {
        let (bucket, key) = path.bucket_and_key().ok_or(ErrorCode::FileNotFound).map_err(Failure::from)?;
        let request = NamenodeRequest::GetObject { bucket, key: ObjectKey::from(key), version: None, window };
        match self.door.ask(request).await? {
            NamenodeReply::Object(read) => Ok(*read),
            _ => Err(Failure::from(ErrorCode::Internal).into()),
        }
    }
}

/// A block of plaintext as one of a file: from 0, as its token has it.
fn file_block(block: &CutBlock) -> FileBlock {
    let length = u32::try_from(block.run.length).expect("no longer than a block");
    let extent = Extent { block: block.located.block, offset: 0, length };
    FileBlock { offset: block.offset, extent, complete: true, located: block.located.clone() }
}

fn changing() -> RemoteException {
    Failure::new(ErrorCode::Unavailable, "the file is being replaced").into()
}

fn now() -> UnixMillis {
    UnixMillis(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64)
}
