//! The bytes of a file, block after block, from whatever replica can be read; of a file being written, as far as they are
//! visible.
//!
//! Memory is that of one block's reader. Locations are asked for again for each page of blocks, and when all replicas of
//! one have failed.

use super::error::WebError;
use super::service::{WebHdfs, reply};
use crate::principal::Principal;
use bytes::Bytes;
use granary_client::{Client, ContentReader};
use granary_protocol::block::Extent;
use granary_protocol::encryption::ObjectEncryption;
use granary_protocol::filesystem::{FsPath, FsReply, FsRequest, LocatedFile};
use granary_protocol::namenode::{LocatedExtent, Window};
use granary_protocol::{ErrorCode, Failure};
use granary_sealing::ObjectReader;
use std::sync::Arc;

/// How often the same byte is asked for anew before the reader gives up.
const ATTEMPTS_MAX: u32 = 3;

/// Reads a window of a file.
pub struct FileReader {
    service: Arc<WebHdfs>,
    client: Client,
    principal: Principal,
    path: FsPath,
    position: u64,
    end: u64,
    open: Option<ContentReader>,
    /// Of an encrypted file, in place of `open`: all of the window.
    sealed: Option<ObjectReader>,
    /// Attempts since a byte came.
    attempts: u32,
}

impl FileReader {
    /// Opens `length` bytes from `offset`, or as many as there are.
    ///
    /// # Errors
    /// The file is not there, may not be read, or ends before `offset`.
    pub async fn open(
        service: Arc<WebHdfs>,
        client: Client,
        principal: Principal,
        path: FsPath,
        offset: u64,
        length: Option<u64>,
    ) -> Result<FileReader, WebError> {
        let wanted = length.unwrap_or(u64::MAX - offset);
        let file = locate(&service, &principal, &path, offset, wanted).await?;
        if offset > file.length {
            return Err(WebError::io(format!(
                "Offset={offset} out of the range [0, {}); OPEN, path={path}",
                file.length
            )));
        }
        let end = file.length.min(offset.saturating_add(wanted));
        let (position, encryption) = (offset, file.encryption.clone());
        let mut reader =
            FileReader { service, client, principal, path, position, end, open: None, sealed: None, attempts: 0 };
        match encryption {
            Some(encryption) => reader.open_sealed(encryption).await?,
            None => reader.open_blocks(file)?,
        }
        Ok(reader)
    }

    /// Bytes to come.
    pub fn remaining(&self) -> u64 {
        self.end - self.position
    }

    /// The next piece; `None` after the last.
    ///
    /// # Errors
    /// The next byte cannot be had.
    pub async fn next(&mut self) -> Result<Option<Bytes>, WebError> {
        if let Some(sealed) = &mut self.sealed {
            let piece = sealed.next().await?;
            self.position += piece.as_ref().map_or(0, |piece| piece.len() as u64);
            return Ok(piece);
        }
        while self.position < self.end {
            let Some(open) = &mut self.open else {
                let file = locate(&self.service, &self.principal, &self.path, self.position, self.remaining()).await?;
                self.open_blocks(file)?;
                continue;
            };
            match open.next().await {
                Ok(Some(piece)) => {
                    self.position += piece.len() as u64;
                    self.attempts = 0;
                    return Ok(Some(piece));
                }
                // These blocks are read; the next ones are asked for.
                Ok(None) => self.open = None,
                Err(failure) => {
                    self.attempts += 1;
                    if self.attempts >= ATTEMPTS_MAX {
                        return Err(failure.into());
                    }
                    self.open = None;
                }
            }
        }
        Ok(None)
    }

    /// Opens the window of an encrypted file, which the principal may read, if it is still the same file.
    async fn open_sealed(&mut self, encryption: ObjectEncryption) -> Result<(), WebError> {
        if self.position == self.end {
            return Ok(());
        }
        let Some(data) = &self.service.data else { return Err(WebError::unsupported("a datanode moves bytes")) };
        let window = Window::Range { first: self.position, last: Some(self.end - 1) };
        let read = self.service.locator.object(&self.path, window).await?;
        if read.object.details.encryption.as_ref() != Some(&encryption) {
            return Err(Failure::new(ErrorCode::Unavailable, format!("{} is being replaced", self.path)).into());
        }
        let keys = data.sealed.data_keys(&encryption).await?;
        self.sealed = Some(ObjectReader::new(&self.client, read, Some(keys)));
        Ok(())
    }

    fn open_blocks(&mut self, file: LocatedFile) -> Result<(), WebError> {
        if self.position == self.end {
            return Ok(());
        }
        let mut extents: Vec<LocatedExtent> = Vec::with_capacity(file.blocks.len());
        for block in file.blocks {
            let (start, end) = (block.offset, block.offset + u64::from(block.extent.length));
            let (from, to) = (start.max(self.position), end.min(self.end));
            if from >= to {
                continue;
            }
            let expected =
                extents.last().map_or(self.position, |last| last.content_offset + u64::from(last.extent.length));
            if from != expected {
                break;
            }
            let extent = Extent {
                block: block.extent.block,
                offset: block.extent.offset + (from - start) as u32,
                length: (to - from) as u32,
            };
            extents.push(LocatedExtent { content_offset: from, extent, located: block.located });
        }
        let length: u64 = extents.iter().map(|extent| u64::from(extent.extent.length)).sum();
        if length == 0 {
            return Err(
                Failure::new(ErrorCode::Unavailable, format!("no replica of {} can be read now", self.path)).into()
            );
        }
        self.open = Some(self.client.read_located(extents, self.position, length));
        Ok(())
    }
}

async fn locate(
    service: &WebHdfs,
    principal: &Principal,
    path: &FsPath,
    offset: u64,
    length: u64,
) -> Result<LocatedFile, WebError> {
    let request = FsRequest::Locate { path: path.clone(), offset, length };
    Ok(*reply!(service.call(principal, request).await?, FsReply::Located(file) => file))
}
