//! One piece of work at an archive target: send a block, fetch one, delete what is there.
//!
//! Every step may be the last one of this process. A send goes on with the parts that the target has; a fetch begins anew,
//! and what it had written is no replica; a delete is repeated.

use super::error::ArchiveError;
use super::remote::Remote;
use super::xml::Part;
use bytes::Bytes;
use granary_client::Client;
use granary_protocol::BlockId;
use granary_protocol::archive::{ArchiveChange, ArchiveTask, ArchiveWork};
use granary_protocol::block::{BlockKind, LocatedBlock};
use granary_protocol::checksum::RunningCrc32c;
use md5::{Digest, Md5};

/// Bytes of every part but the last, and of every run that is fetched: what a task holds in memory.
const PART_BYTES: u32 = 8 << 20;

/// Bytes that a task has moved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Moved {
    pub sent: u64,
    pub fetched: u64,
}

/// Carries a task out. `moved` says how far it came also where it fails.
pub(super) async fn carry_out(
    client: &Client,
    remote: &Remote,
    task: &ArchiveTask,
    moved: &mut Moved,
) -> Result<(), ArchiveError> {
    let (block, key) = (task.block, task.key.as_str());
    match &task.work {
        ArchiveWork::Send { located, upload } => {
            let sending = Sending { client, remote, block, key, located };
            sending.run(upload.clone(), &mut moved.sent).await
        }
        ArchiveWork::Fetch { located, kind, crc32c } => {
            fetch(client, remote, key, located, *kind, *crc32c, &mut moved.fetched).await
        }
        ArchiveWork::Delete { upload } => {
            for upload in remote.list_uploads(key).await?.iter().chain(upload) {
                remote.abort(key, upload).await?;
            }
            remote.delete(key).await?;
            let deleted = ArchiveChange::Deleted { block, key: key.to_owned() };
            Ok(client.change_archive(deleted).await?)
        }
    }
}

/// A block on its way to the target.
struct Sending<'t> {
    client: &'t Client,
    remote: &'t Remote,
    block: BlockId,
    key: &'t str,
    located: &'t LocatedBlock,
}

impl Sending<'_> {
    async fn run(&self, known: Option<String>, sent: &mut u64) -> Result<(), ArchiveError> {
        let crc32c = match self.resume(known).await? {
            Some((upload, parts)) => self.send_parts(&upload, &parts, sent).await?,
            // An earlier attempt has completed the upload and could not say so.
            None => self.checksum().await?,
        };
        let length = self.remote.length(self.key).await?;
        if length != Some(u64::from(self.located.length)) {
            return Err(ArchiveError::Length("HeadObject"));
        }
        let stored = ArchiveChange::Stored { block: self.block, key: self.key.to_owned(), crc32c };
        Ok(self.client.change_archive(stored).await?)
    }

    /// The upload to go on with, and the parts it has; `None` when it is complete.
    async fn resume(&self, known: Option<String>) -> Result<Option<(String, Vec<Part>)>, ArchiveError> {
        if let Some(upload) = &known {
            match self.remote.list_parts(self.key, upload).await {
                Ok(parts) => return Ok(Some((upload.clone(), parts))),
                Err(error) if error.is_absent() => {}
                Err(error) => return Err(error),
            }
            if self.remote.length(self.key).await? == Some(u64::from(self.located.length)) {
                return Ok(None);
            }
        }
        // Begun by somebody who did not live to say so.
        for orphan in self.remote.list_uploads(self.key).await? {
            self.remote.abort(self.key, &orphan).await?;
        }
        let upload = self.remote.create_upload(self.key).await?;
        let (block, key) = (self.block, self.key.to_owned());
        let change = ArchiveChange::Upload { block, key, upload: upload.clone(), replaces: known };
        if let Err(failure) = self.client.change_archive(change).await {
            self.remote.abort(self.key, &upload).await?;
            return Err(failure.into());
        }
        Ok(Some((upload, Vec::new())))
    }

    /// Sends the parts that the target does not have and completes the upload; the CRC32C of the whole.
    async fn send_parts(&self, upload: &str, known: &[Part], sent: &mut u64) -> Result<u32, ArchiveError> {
        let (mut crc, mut etags) = (RunningCrc32c::new(), Vec::new());
        for (number, offset) in (1u32..).zip((0..self.located.length).step_by(PART_BYTES as usize)) {
            let bytes = self.read(offset).await?;
            crc.update(&bytes);
            if let Some(part) = known.iter().find(|part| part.number == number && is_of(part, &bytes)) {
                etags.push(part.etag.clone());
                continue;
            }
            let length = bytes.len() as u64;
            etags.push(self.remote.put_part(self.key, upload, number, bytes).await?);
            *sent += length;
        }
        self.remote.complete(self.key, upload, &etags).await?;
        Ok(crc.value())
    }

    async fn checksum(&self) -> Result<u32, ArchiveError> {
        let mut crc = RunningCrc32c::new();
        for offset in (0..self.located.length).step_by(PART_BYTES as usize) {
            crc.update(&self.read(offset).await?);
        }
        Ok(crc.value())
    }

    async fn read(&self, offset: u32) -> Result<Bytes, ArchiveError> {
        let length = PART_BYTES.min(self.located.length - offset);
        Ok(self.client.read_block(self.located, offset, length).await?)
    }
}

/// Whether a part at the target has these bytes: its tag is their MD5.
fn is_of(part: &Part, bytes: &[u8]) -> bool {
    part.size == bytes.len() as u64
        && part.etag.trim_matches('"').eq_ignore_ascii_case(&hex::encode(Md5::digest(bytes)))
}

async fn fetch(
    client: &Client,
    remote: &Remote,
    key: &str,
    located: &LocatedBlock,
    kind: BlockKind,
    sent: u32,
    fetched: &mut u64,
) -> Result<(), ArchiveError> {
    let mut crc = RunningCrc32c::new();
    let mut writer = client.write_replica(located, kind).await?;
    for offset in (0..located.length).step_by(PART_BYTES as usize) {
        let bytes = remote.get(key, offset, PART_BYTES.min(located.length - offset)).await?;
        crc.update(&bytes);
        *fetched += bytes.len() as u64;
        writer.push(bytes).await?;
    }
    let found = crc.value();
    if found != sent {
        // Dropping the writer leaves no replica.
        return Err(ArchiveError::Damaged { key: key.to_owned(), sent, found });
    }
    Ok(writer.finish().await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_known_by_its_size_and_md5() {
        let part = |etag: &str, size| Part { number: 1, etag: etag.to_owned(), size };
        assert!(is_of(&part("\"900150983CD24FB0D6963F7D28E17F72\"", 3), b"abc"));
        assert!(!is_of(&part("\"900150983cd24fb0d6963f7d28e17f72\"", 4), b"abc"));
        assert!(!is_of(&part("\"900150983cd24fb0d6963f7d28e17f73\"", 3), b"abc"));
    }
}
