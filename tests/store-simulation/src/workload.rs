//! What the clients of a run do: puts of all sizes, overwrites, deletes, conditional puts and reads of a few contended keys and
//! of keys of their own, and versions under retention. Every question and answer goes into the history.

use crate::content::{LARGE, bytes_of, etag_of, length_of, tag_of};
use crate::history::{Action, ContentTag, Kept};
use crate::random::Random;
use crate::roles::{Machine, start_client};
use bytes::Bytes;
use granary_client::{Client, StoredContent};
use granary_protocol::bucket::RetentionMode;
use granary_protocol::namenode::{DeleteTarget, NewObject, PutOutcome, Window, WriteCondition};
use granary_protocol::object::{ObjectDetails, ObjectLock, Retention, StorageClass};
use granary_protocol::{BucketName, CanonicalId, ErrorCode, Failure, UnixMillis, VersionId};
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Objects that come and go.
pub const PLAIN: &str = "plain";
/// Versions under retention.
pub const KEPT: &str = "kept";
/// Keys over which all clients compete.
const CONTENDED_KEYS: u64 = 4;
/// Workers of a client.
const WORKERS: u64 = 3;
/// Pieces in which contents are handed to a writer.
const PIECE_BYTES: usize = 256 << 10;
/// No run comes to see it.
const RETAINED_UNTIL: UnixMillis = UnixMillis(4_000_000_000_000);

/// Runs the workers of a client's machine.
pub async fn run(machine: Machine) {
    let client = start_client(&machine);
    make_buckets(&client).await;
    let workers = (0..WORKERS).map(|number| Worker::new(&machine, client.clone(), number).run());
    futures_util::future::join_all(workers).await;
    std::future::pending::<()>().await;
}

async fn make_buckets(client: &Client) {
    for (bucket, lock) in [(PLAIN, false), (KEPT, true)] {
        loop {
            let made = client.create_bucket(bucket.into(), owner(), String::new(), lock, Vec::new()).await;
            let exists = |failure: Failure| {
                matches!(failure.code, ErrorCode::BucketAlreadyOwnedByYou | ErrorCode::BucketAlreadyExists)
            };
            if made.map_or_else(exists, |()| true) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
}

fn owner() -> CanonicalId {
    CanonicalId::from("owner")
}

/// Asks for one thing after the other.
struct Worker {
    machine: Machine,
    client: Client,
    /// Of all workers of all incarnations of all clients.
    number: u64,
    contents: u64,
    random: Random,
}

impl Worker {
    fn new(machine: &Machine, client: Client, number: u64) -> Worker {
        let number = (machine.host as u64 * 1000 + machine.incarnation) * WORKERS + number;
        let random = Random::new(machine.shared.seed, 1000 + number);
        Worker { machine: machine.clone(), client, number, contents: 0, random }
    }

    async fn run(mut self) {
        while !self.machine.shared.resting.load(Ordering::Relaxed) {
            self.one().await;
            let pause = self.random.range(0, 300);
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
    }

    async fn one(&mut self) {
        let contended = format!("shared/{}", self.random.range(0, CONTENDED_KEYS));
        match self.random.range(0, 100) {
            0..25 => self.put(&contended, WriteCondition::default()).await,
            25..33 => self.put(&contended, WriteCondition { if_absent: true, if_match: None }).await,
            33..45 => {
                let own = format!("own/{}/{}", self.number, self.contents);
                self.put(&own, WriteCondition::default()).await;
            }
            45..53 => self.delete(&contended).await,
            53..80 => self.look(&contended).await,
            80..92 => self.read(&contended).await,
            _ => self.keep().await,
        }
    }

    fn next_content(&mut self) -> ContentTag {
        self.contents += 1;
        let large = self.machine.shared.large_contents && self.random.chance(2);
        (self.number << 24) + self.contents + if large { LARGE } else { 0 }
    }

    fn called(&self, key: &str, action: Action) -> usize {
        self.machine.shared.history.called(key, action, self.machine.shared.now())
    }

    fn returned(&self, key: &str, number: usize, action: Action) {
        self.machine.shared.history.returned(key, number, action, self.machine.shared.now());
    }

    async fn put(&mut self, key: &str, condition: WriteCondition) {
        let tag = self.next_content();
        // Bytes that did not get to the disks were never committed.
        let Ok(content) = store(&self.client, tag).await else { return };
        let action = if condition.if_absent { Action::WriteIfAbsent(tag) } else { Action::Write(Some(tag)) };
        let number = self.called(key, action);
        match commit(&self.client, PLAIN, key, tag, content, condition, ObjectLock::default()).await {
            Ok(_) => self.returned(key, number, action),
            Err(failure) if failure.code == ErrorCode::PreconditionFailed => {
                self.returned(key, number, Action::FoundSomething);
            }
            Err(_) => {}
        }
    }

    async fn delete(&mut self, key: &str) {
        let number = self.called(key, Action::Write(None));
        if delete(&self.client, PLAIN, key, None).await.is_ok() {
            self.returned(key, number, Action::Write(None));
        }
    }

    async fn look(&mut self, key: &str) {
        let number = self.called(key, Action::Read(None));
        if let Ok(found) = look(&self.client, PLAIN, key).await {
            self.returned(key, number, Action::Read(found));
        }
    }

    /// The bytes, too. They may be gone by the time they are read; others they must not be.
    async fn read(&mut self, key: &str) {
        let number = self.called(key, Action::Read(None));
        match read(&self.client, PLAIN, key, None).await {
            Ok(Found::Nothing) => self.returned(key, number, Action::Read(None)),
            Ok(Found::Content(tag)) => self.returned(key, number, Action::Read(Some(tag))),
            Ok(Found::Torn(what)) => self.machine.shared.history.violation(format!("{key}: {what}")),
            Err(_) => {}
        }
    }

    async fn keep(&mut self) {
        let tag = self.next_content() & !LARGE;
        let key = format!("kept/{}", self.random.range(0, 3));
        let Ok(content) = store(&self.client, tag).await else { return };
        let retention = Retention { mode: RetentionMode::Compliance, until: RETAINED_UNTIL };
        let lock = ObjectLock { retention: Some(retention), legal_hold: false };
        let Ok(put) = commit(&self.client, KEPT, &key, tag, content, WriteCondition::default(), lock).await else {
            return;
        };
        self.machine.shared.history.keeps(Kept { key: key.clone(), version: put.version, content: tag });
        if self.random.chance(50) && delete(&self.client, KEPT, &key, Some(put.version)).await.is_ok() {
            let what = format!("version {} of {key} is under retention and was removed", put.version);
            self.machine.shared.history.violation(what);
        }
    }
}

/// Writes the bytes of a content.
async fn store(client: &Client, tag: ContentTag) -> Result<Option<StoredContent>, Failure> {
    let mut writer = client.writer(Some(length_of(tag)), StorageClass::Standard);
    let mut bytes = bytes_of(tag);
    while !bytes.is_empty() {
        writer.write(bytes.split_to(bytes.len().min(PIECE_BYTES))).await?;
    }
    writer.finish().await
}

async fn commit(
    client: &Client,
    bucket: &str,
    key: &str,
    tag: ContentTag,
    content: Option<StoredContent>,
    condition: WriteCondition,
    lock: ObjectLock,
) -> Result<PutOutcome, Failure> {
    let object = NewObject {
        size: length_of(tag),
        etag: etag_of(tag),
        owner: owner(),
        class: StorageClass::Standard,
        checksum: None,
        lock,
        details: ObjectDetails::default(),
    };
    client.put_object(BucketName::from(bucket), key.into(), content, object, condition).await
}

/// Deletes the current version, or one for good.
pub async fn delete(client: &Client, bucket: &str, key: &str, version: Option<VersionId>) -> Result<(), Failure> {
    let target = DeleteTarget { key: key.into(), version, if_match: None, if_modified_s: None, if_size: None };
    let mut outcomes = client.delete_objects(BucketName::from(bucket), vec![target], owner(), false).await?;
    outcomes.pop().unwrap_or_else(|| Err(ErrorCode::Malformed.into())).map(drop)
}

/// Which content is current, without its bytes.
async fn look(client: &Client, bucket: &str, key: &str) -> Result<Option<ContentTag>, Failure> {
    match client.get_object(BucketName::from(bucket), key.into(), None, Window::Nothing).await {
        Ok(read) => Ok(Some(tag_of(&read.object.etag))),
        Err(failure) if is_absent(&failure.code) => Ok(None),
        Err(failure) => Err(failure),
    }
}

fn is_absent(code: &ErrorCode) -> bool {
    matches!(code, ErrorCode::NoSuchKey | ErrorCode::DeleteMarker { .. })
}

/// What a read found.
#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    Nothing,
    Content(ContentTag),
    /// Bytes that were never written so.
    Torn(String),
}

/// Reads a whole object.
///
/// # Errors
/// When it cannot be read now.
pub async fn read(client: &Client, bucket: &str, key: &str, version: Option<VersionId>) -> Result<Found, Failure> {
    let everything = Window::Range { first: 0, last: None };
    let read = match client.get_object(BucketName::from(bucket), key.into(), version, everything).await {
        Ok(read) => read,
        Err(failure) if is_absent(&failure.code) || failure.code == ErrorCode::NoSuchVersion => {
            return Ok(Found::Nothing);
        }
        Err(failure) => return Err(failure),
    };
    let tag = tag_of(&read.object.etag);
    let wanted = bytes_of(tag);
    let mut found = Vec::with_capacity(wanted.len());
    let mut reader = client.read(read);
    while let Some(piece) = reader.next().await? {
        found.extend_from_slice(&piece);
    }
    if Bytes::from(found) == wanted {
        return Ok(Found::Content(tag));
    }
    Ok(Found::Torn(format!("the bytes of content {tag:x} are not those that were written")))
}
