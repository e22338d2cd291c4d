//! An output file: parts of an upload that belongs to the job, written as they come, visible with the job or never.

use super::keys::OutputSeal;
use super::store::failed;
use crate::engine;
use bytes::{Bytes, BytesMut};
use granary_client::Client;
use granary_protocol::encryption::SealSalt;
use granary_protocol::jobs::{OutputPlace, TaskOutput};
use granary_protocol::namenode::{CompletedPart, NamenodeRequest};
use granary_protocol::object::{ETag, PartInfo};
use granary_protocol::{Failure, ObjectKey, UnixMillis, UploadId};
use granary_sealing::ObjectWriter;
use md5::{Digest, Md5};
use std::io::{Error, Result, Write};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

/// Bytes gathered before they are handed on.
const PIECE_BYTES: usize = 1 << 20;
/// Pieces on their way at most.
const PIECES_AHEAD: usize = 4;
/// Bytes of a part: what is lost of an output when a datanode's word comes too late.
const PART_BYTES: u64 = 1 << 30;

enum Message {
    Piece(Bytes),
    /// The part is complete.
    EndOfPart {
        md5: [u8; 16],
        bytes: u64,
    },
}

/// Where an output goes.
#[derive(Clone)]
pub(super) struct Target {
    pub place: OutputPlace,
    pub key: ObjectKey,
    pub upload: UploadId,
    /// What it is sealed with, if it is.
    pub seal: Option<Arc<OutputSeal>>,
}

/// Takes bytes; what was finished is added to the attempt's outputs.
pub(super) struct Output {
    runtime: Handle,
    client: Client,
    target: Target,
    finished: Arc<Mutex<Vec<TaskOutput>>>,
    buffer: BytesMut,
    messages: Option<mpsc::Sender<Message>>,
    stored: Option<oneshot::Receiver<std::result::Result<(), Failure>>>,
    part: Md5,
    part_bytes: u64,
    parts: Vec<CompletedPart>,
    size: u64,
}

impl Output {
    pub fn open(runtime: Handle, client: Client, target: Target, finished: Arc<Mutex<Vec<TaskOutput>>>) -> Output {
        let (messages, waiting) = mpsc::channel(PIECES_AHEAD);
        let (outcome, stored) = oneshot::channel();
        let storing = store(client.clone(), target.clone(), waiting);
        runtime.spawn(async move {
            // A writer that is gone does not ask.
            let _ = outcome.send(storing.await);
        });
        Output {
            runtime,
            client,
            target,
            finished,
            buffer: BytesMut::new(),
            messages: Some(messages),
            stored: Some(stored),
            part: Md5::new(),
            part_bytes: 0,
            parts: Vec::new(),
            size: 0,
        }
    }

    fn hand_on(&mut self) -> Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let piece = self.buffer.split().freeze();
        self.part.update(&piece);
        self.part_bytes += piece.len() as u64;
        self.size += piece.len() as u64;
        self.send(Message::Piece(piece))?;
        if self.part_bytes >= PART_BYTES { self.end_part() } else { Ok(()) }
    }

    fn end_part(&mut self) -> Result<()> {
        let md5: [u8; 16] = std::mem::take(&mut self.part).finalize().into();
        let md5 = self.target.seal.as_ref().map_or(md5, |seal| seal.tag(md5));
        let number = self.parts.len() as u16 + 1;
        self.parts.push(CompletedPart { number, md5, checksum: None });
        let bytes = std::mem::take(&mut self.part_bytes);
        self.send(Message::EndOfPart { md5, bytes })
    }

    fn send(&mut self, message: Message) -> Result<()> {
        let sent = self.messages.as_ref().map(|messages| messages.blocking_send(message).is_ok());
        match sent {
            Some(true) => Ok(()),
            Some(false) | None => Err(self.why()),
        }
    }

    /// Why nothing more is taken.
    fn why(&mut self) -> Error {
        self.messages = None;
        match self.stored.take().map(oneshot::Receiver::blocking_recv) {
            Some(Ok(Err(failure))) => failed(failure),
            Some(Ok(Ok(())) | Err(_)) | None => Error::other("the output was given up"),
        }
    }
}

impl Target {
    /// The writer of a part, and the salt that it is sealed with, if it is.
    fn part_writer(&self, client: &Client) -> std::result::Result<(ObjectWriter, Option<SealSalt>), Failure> {
        let (sealer, salt) = match &self.seal {
            Some(seal) => seal.part().map(|(sealer, salt)| (Some(sealer), Some(salt)))?,
            None => (None, None),
        };
        Ok((ObjectWriter::new(client, None, self.place.class, sealer), salt))
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= PIECE_BYTES {
            self.hand_on()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}

impl engine::TaskOutput for Output {
    fn finish(mut self: Box<Self>) -> Result<()> {
        self.hand_on()?;
        // An empty output is one empty part.
        if self.part_bytes > 0 || self.parts.is_empty() {
            self.end_part()?;
        }
        self.messages = None;
        match self.stored.take().map(oneshot::Receiver::blocking_recv) {
            Some(Ok(Ok(()))) => {}
            Some(Ok(Err(failure))) => return Err(failed(failure)),
            Some(Err(_)) | None => return Err(Error::other("the output was given up")),
        }
        let mut all = Md5::new();
        for part in &self.parts {
            all.update(part.md5);
        }
        let parts = std::mem::take(&mut self.parts);
        let etag = ETag { md5: all.finalize().into(), parts: Some(parts.len() as u16) };
        let output =
            TaskOutput { key: self.target.key.clone(), upload: self.target.upload, parts, etag, size: self.size };
        self.finished.lock().unwrap_or_else(PoisonError::into_inner).push(output);
        self.target.upload = UploadId(0);
        Ok(())
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        if self.target.upload == UploadId(0) {
            return;
        }
        // What was stored so far goes now; otherwise it goes when the job has ended.
        let Target { place, key, upload, .. } = self.target.clone();
        let (client, bucket) = (self.client.clone(), place.bucket);
        self.runtime.spawn(async move {
            if let Err(failure) = client.call(NamenodeRequest::AbortUpload { bucket, key, upload }).await {
                tracing::debug!(%failure, "an unfinished output stays until its job ends");
            }
        });
    }
}

/// Stores parts as they come, until the last is stored or the writer is gone.
async fn store(
    client: Client,
    target: Target,
    mut messages: mpsc::Receiver<Message>,
) -> std::result::Result<(), Failure> {
    let mut number = 1;
    let (mut writer, mut salt) = target.part_writer(&client)?;
    while let Some(message) = messages.recv().await {
        match message {
            Message::Piece(piece) => writer.write(piece).await?,
            Message::EndOfPart { md5, bytes } => {
                let (next, next_salt) = target.part_writer(&client)?;
                let content = std::mem::replace(&mut writer, next).finish().await?;
                let salt = std::mem::replace(&mut salt, next_salt);
                let part = PartInfo { number, size: bytes, md5, modified: UnixMillis(0), checksum: None, salt };
                let Target { place, key, upload, .. } = &target;
                client.put_part(place.bucket.clone(), key.clone(), *upload, part, content).await?;
                number += 1;
            }
        }
    }
    Ok(())
}
