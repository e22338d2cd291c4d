//! A file written on a client's behalf: blocks are asked for, filled, and the file is closed.
//!
//! Bytes of a block are kept until [`REWRITTEN_BYTES_MAX`] of them have been sent, so that a pipeline that fails early is
//! replaced by another without the client's noticing; later the request fails and the client sends its body again.

use super::block_output::{BlockOutput, PipelineFailure};
use super::error::WebError;
use super::service::{DataSide, WebHdfs, reply};
use crate::principal::Principal;
use bytes::Bytes;
use granary_protocol::block::BLOCK_BYTES_MAX;
use granary_protocol::filesystem::{ClientBlock, FileId, FileStatus, FsPath, FsReply, FsRequest, NewBlockHints};
use granary_protocol::{DatanodeId, ErrorCode, Failure};
use std::time::Duration;
use tokio::time::Instant;

/// Bytes of a block that can be written again: 8 MiB.
const REWRITTEN_BYTES_MAX: usize = 8 << 20;
/// How often a block is begun anew.
const ATTEMPTS_MAX: usize = 4;
/// How often the lease is renewed.
const RENEW_EVERY: Duration = Duration::from_secs(20);
/// How long the namenode may take to hear that the last block is stored.
const COMPLETE_TIMEOUT: Duration = Duration::from_secs(60);
const COMPLETE_PAUSE_MIN: Duration = Duration::from_millis(5);
const COMPLETE_PAUSE_MAX: Duration = Duration::from_millis(400);

/// Writes one file.
pub struct FileWriter<'a> {
    service: &'a WebHdfs,
    data: &'a DataSide,
    principal: &'a Principal,
    path: FsPath,
    file: FileId,
    holder: String,
    block_bytes: u32,
    current: Option<BlockOutput>,
    /// What was sent of the current block, while it can still be sent again.
    kept: Option<Vec<Bytes>>,
    kept_bytes: usize,
    previous: Option<ClientBlock>,
    excluded: Vec<DatanodeId>,
    renewed: Instant,
}

impl<'a> FileWriter<'a> {
    /// Goes on with a file that `holder` has just created or opened for appending.
    pub fn new(
        service: &'a WebHdfs,
        data: &'a DataSide,
        principal: &'a Principal,
        path: FsPath,
        holder: String,
        status: &FileStatus,
    ) -> FileWriter<'a> {
        let block_bytes = u32::try_from(status.block_size).unwrap_or(BLOCK_BYTES_MAX).clamp(1, BLOCK_BYTES_MAX);
        FileWriter {
            service,
            data,
            principal,
            path,
            file: status.file_id,
            holder,
            block_bytes,
            current: None,
            kept: None,
            kept_bytes: 0,
            previous: None,
            excluded: Vec::new(),
            renewed: Instant::now(),
        }
    }

    /// Takes bytes; waits while the pipeline is behind.
    ///
    /// # Errors
    /// They cannot be stored. The file stays open, for [`FileWriter::abandon`].
    pub async fn write(&mut self, mut data: Bytes) -> Result<(), WebError> {
        self.renew_lease().await?;
        while !data.is_empty() {
            if self.current.is_none() {
                self.begin_block().await?;
            }
            let room = (self.block_bytes - self.current.as_ref().map_or(0, BlockOutput::sent)) as usize;
            let part = data.split_to(room.min(data.len()));
            self.keep(&part);
            self.send(part).await?;
            if self.current.as_ref().is_some_and(|block| block.sent() == self.block_bytes) {
                self.end_block().await?;
            }
        }
        Ok(())
    }

    /// Closes the file: every byte is on stable storage and the file is what was written.
    ///
    /// # Errors
    /// The last block cannot be stored, or the file was taken away meanwhile.
    pub async fn finish(&mut self) -> Result<(), WebError> {
        self.end_block().await?;
        let (since, mut pause) = (Instant::now(), COMPLETE_PAUSE_MIN);
        loop {
            let request = FsRequest::Complete {
                path: self.path.clone(),
                file: self.file,
                holder: self.holder.clone(),
                last: self.previous,
            };
            if reply!(self.service.call(self.principal, request).await?, FsReply::Flag(closed) => closed) {
                return Ok(());
            }
            if since.elapsed() > COMPLETE_TIMEOUT {
                let message = format!("{} is not stored on enough datanodes", self.path);
                return Err(Failure::new(ErrorCode::Unavailable, message).into());
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(COMPLETE_PAUSE_MAX);
        }
    }

    async fn renew_lease(&mut self) -> Result<(), WebError> {
        if self.renewed.elapsed() >= RENEW_EVERY {
            self.service.call(self.principal, FsRequest::RenewLease { holder: self.holder.clone() }).await?;
            self.renewed = Instant::now();
        }
        Ok(())
    }

    fn keep(&mut self, part: &Bytes) {
        self.kept_bytes += part.len();
        match &mut self.kept {
            Some(kept) if self.kept_bytes <= REWRITTEN_BYTES_MAX => kept.push(part.clone()),
            kept => *kept = None,
        }
    }

    async fn begin_block(&mut self) -> Result<(), WebError> {
        self.current = Some(self.open_block().await?);
        self.kept = Some(Vec::new());
        self.kept_bytes = 0;
        Ok(())
    }

    /// A new block whose pipeline is open; members that could not be reached are avoided.
    async fn open_block(&mut self) -> Result<BlockOutput, WebError> {
        let mut last = None;
        for _ in 0..ATTEMPTS_MAX {
            let request = FsRequest::AddBlock {
                path: self.path.clone(),
                file: self.file,
                holder: self.holder.clone(),
                previous: self.previous,
                hints: NewBlockHints { exclude: self.excluded.clone(), favored: vec![self.data.host.clone()] },
            };
            let block = *reply!(self.service.call(self.principal, request).await?, FsReply::Block(block) => block);
            match BlockOutput::open(&self.data.connector, block.located.clone()).await {
                Ok(open) => return Ok(open),
                Err(PipelineFailure { member, failure }) => {
                    tracing::info!(block = %block.located.block, %failure, "a pipeline could not be opened");
                    self.excluded.extend(member);
                    self.give_up(block.located.block, block.located.generation).await?;
                    last = Some(failure);
                }
            }
        }
        Err(last.unwrap_or_else(|| ErrorCode::Unavailable.into()).into())
    }

    async fn give_up(
        &mut self,
        block: granary_protocol::BlockId,
        generation: granary_protocol::GenerationStamp,
    ) -> Result<(), WebError> {
        let request = FsRequest::AbandonBlock {
            path: self.path.clone(),
            file: self.file,
            holder: self.holder.clone(),
            block: ClientBlock { block, generation, length: 0 },
        };
        self.service.call(self.principal, request).await.map(|_done| ())
    }

    async fn send(&mut self, part: Bytes) -> Result<(), WebError> {
        let Some(block) = &mut self.current else { return Err(broken()) };
        match block.send(part).await {
            Ok(()) => Ok(()),
            Err(failed) => self.write_again(failed).await,
        }
    }

    async fn end_block(&mut self) -> Result<(), WebError> {
        loop {
            let Some(block) = self.current.take() else { return Ok(()) };
            let (length, located) = (block.sent(), block.located().clone());
            match block.finish().await {
                Ok(located) => {
                    let (block, generation) = (located.block, located.generation);
                    self.previous = Some(ClientBlock { block, generation, length: length.into() });
                    return Ok(());
                }
                Err(failed) => self.replace(located.block, located.generation, failed).await?,
            }
        }
    }

    async fn write_again(&mut self, failed: PipelineFailure) -> Result<(), WebError> {
        let Some(block) = self.current.take() else { return Err(broken()) };
        let (block, generation) = (block.located().block, block.located().generation);
        self.replace(block, generation, failed).await
    }

    /// Writes what is kept of a failed block into another.
    async fn replace(
        &mut self,
        block: granary_protocol::BlockId,
        generation: granary_protocol::GenerationStamp,
        PipelineFailure { member, failure }: PipelineFailure,
    ) -> Result<(), WebError> {
        tracing::info!(%block, %failure, "a pipeline failed");
        self.excluded.extend(member);
        let Some(kept) = self.kept.clone() else { return Err(failure.into()) };
        self.give_up(block, generation).await?;
        let mut another = self.open_block().await?;
        for part in kept {
            another.send(part).await.map_err(|failed| WebError::from(failed.failure))?;
        }
        self.current = Some(another);
        Ok(())
    }

    /// Removes a file that was never finished, if it is still there.
    pub async fn abandon(self) {
        let FileWriter { service, principal, path, file, .. } = self;
        if let Err(error) = remove_unfinished(service, principal, &path, file).await {
            tracing::info!(%path, ?error, "what was written of a file stays until its lease ends");
        }
    }
}

async fn remove_unfinished(
    service: &WebHdfs,
    principal: &Principal,
    path: &FsPath,
    file: FileId,
) -> Result<(), WebError> {
    let request = FsRequest::Status { path: path.clone() };
    let found = reply!(service.call(principal, request).await?, FsReply::Status(found) => found);
    if found.is_some_and(|status| status.file_id == file && status.under_construction) {
        service.call(principal, FsRequest::Delete { path: path.clone(), recursive: false }).await?;
    }
    Ok(())
}

fn broken() -> WebError {
    Failure::new(ErrorCode::Unavailable, "an earlier piece could not be written").into()
}
