//! The store as an attempt sees it: the versions its plan pinned, files named in its job, and outputs that nobody sees yet.

use super::TaskRunner;
use super::output::{Output, Target};
use super::pieces::{self, PieceReader};
use crate::engine;
use crate::plan::InputFile;
use granary_protocol::encryption::EncryptionMode;
use granary_protocol::jobs::{AttemptName, AttemptOrder, JobsCall, JobsReply, OutputPlace, TaskOutput};
use granary_protocol::namenode::{ObjectRead, Window};
use granary_protocol::{BucketName, Failure, ObjectKey, VersionId};
use granary_sealing::ObjectReader;
use std::io::{Error, ErrorKind, Read, Result};
use std::sync::{Arc, Mutex, PoisonError};

/// Pieces of input on their way at most: of 1 MiB as a rule.
const PIECES_AHEAD: usize = 8;

/// One attempt's.
pub(super) struct AttemptStore {
    runner: Arc<TaskRunner>,
    runtime: tokio::runtime::Handle,
    attempt: Option<(AttemptName, OutputPlace)>,
    /// How outputs are encrypted, if they are.
    encryption: Option<EncryptionMode>,
    outputs: Arc<Mutex<Vec<TaskOutput>>>,
}

impl AttemptStore {
    /// Must be made where a runtime is at hand.
    pub fn new(runner: Arc<TaskRunner>, order: &AttemptOrder, encryption: Option<EncryptionMode>) -> AttemptStore {
        let attempt = order.output.clone().map(|place| (order.attempt, place));
        AttemptStore { attempt, encryption, ..AttemptStore::reading(runner) }
    }

    /// One that makes no outputs.
    pub fn reading(runner: Arc<TaskRunner>) -> AttemptStore {
        AttemptStore {
            runner,
            runtime: tokio::runtime::Handle::current(),
            attempt: None,
            encryption: None,
            outputs: Arc::default(),
        }
    }

    /// The outputs that were finished.
    pub fn take_outputs(&self) -> Vec<TaskOutput> {
        std::mem::take(&mut *self.outputs.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn find(&self, bucket: &str, key: &str, version: Option<VersionId>, window: Window) -> Result<ObjectRead> {
        let (bucket, key) = (BucketName::from(bucket), ObjectKey::from(key));
        self.runtime.block_on(self.runner.client.get_object(bucket, key, version, window)).map_err(failed)
    }

    fn reader(&self, read: ObjectRead) -> Result<PieceReader> {
        let keys = match &read.object.details.encryption {
            Some(kept) => Some(self.runtime.block_on(self.runner.data_keys(kept)).map_err(failed)?),
            None => None,
        };
        let (sender, reader) = pieces::channel(Some(read.length), PIECES_AHEAD);
        let mut content = ObjectReader::new(&self.runner.client, read, keys);
        self.runtime.spawn(async move {
            loop {
                let piece = match content.next().await {
                    Ok(Some(piece)) => Ok(piece),
                    Ok(None) => return,
                    Err(failure) => Err(failure),
                };
                let is_last = piece.is_err();
                // A reader that is gone wants no more.
                if sender.send(piece).await.is_err() || is_last {
                    return;
                }
            }
        });
        Ok(reader)
    }
}

impl engine::TaskStore for AttemptStore {
    fn open(&self, file: &InputFile, offset: u64, length: u64) -> Result<Box<dyn Read + Send>> {
        let end = file.length.min(offset.saturating_add(length));
        if offset >= end {
            return Ok(Box::new(std::io::empty()));
        }
        let pinned = crate::version::parse(&file.version);
        let (version, etag) =
            pinned.ok_or_else(|| Error::new(ErrorKind::InvalidData, "a plan's version is damaged"))?;
        let window = Window::Range { first: offset, last: Some(end - 1) };
        let read = self.find(&file.bucket, &file.key, Some(version), window)?;
        if read.object.etag != etag {
            return Err(Error::other("it has been replaced since the job was submitted"));
        }
        Ok(Box::new(self.reader(read)?))
    }

    fn open_url(&self, url: &str) -> Result<Box<dyn Read + Send>> {
        let invalid = || Error::new(ErrorKind::InvalidInput, format!("{url} names no object"));
        let (bucket, key) = bucket_and_key(url).ok_or_else(invalid)?;
        let read = self.find(bucket, key, None, Window::Range { first: 0, last: None });
        match read {
            Ok(read) => Ok(Box::new(self.reader(read)?)),
            // An empty object has no first byte.
            Err(_) => match self.find(bucket, key, None, Window::Nothing)?.object.size {
                0 => Ok(Box::new(std::io::empty())),
                _ => Err(Error::other(format!("{url} cannot be read"))),
            },
        }
    }

    fn create(&self, name: &str) -> Result<Box<dyn engine::TaskOutput>> {
        let Some((attempt, place)) = &self.attempt else {
            return Err(Error::new(ErrorKind::Unsupported, "the job has no output"));
        };
        let key = ObjectKey(format!("{}{name}", place.prefix));
        let (runner, attempt) = (self.runner.config.name.clone(), *attempt);
        let (seal, call) = match &self.encryption {
            None => (None, JobsCall::OpenOutput { runner, attempt, key: key.clone() }),
            Some(mode) => {
                let (seal, kept) = self.runtime.block_on(self.runner.output_seal(mode)).map_err(failed)?;
                let (key, encryption) = (key.clone(), Box::new(kept));
                (Some(Arc::new(seal)), JobsCall::OpenSealedOutput { runner, attempt, key, encryption })
            }
        };
        let JobsReply::Upload(upload) = self.runtime.block_on(self.runner.call(call)).map_err(failed)? else {
            return Err(Error::other("the job service answered something else"));
        };
        let client = self.runner.client.clone();
        let target = Target { place: place.clone(), key, upload, seal };
        let output = Output::open(self.runtime.clone(), client, target, self.outputs.clone());
        Ok(Box::new(output))
    }
}

/// `s3://bucket/key` and `hdfs://authority/bucket/key`.
fn bucket_and_key(url: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = url.split_once("://")?;
    let path = match scheme {
        "hdfs" | "webhdfs" => rest.split_once('/')?.1,
        _ => rest,
    };
    path.split_once('/').filter(|(bucket, key)| !bucket.is_empty() && !key.is_empty())
}

pub(super) fn failed(failure: Failure) -> Error {
    Error::other(failure.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_schemes_name_objects() {
        assert_eq!(bucket_and_key("s3://b/a/k"), Some(("b", "a/k")));
        assert_eq!(bucket_and_key("hdfs:///b/k"), Some(("b", "k")));
        assert_eq!(bucket_and_key("hdfs://namenode:8020/b/k"), Some(("b", "k")));
        assert_eq!(bucket_and_key("s3://b"), None);
    }
}
