//! A namenode that is a few maps. It answers what the gateway asks, without leases that end, quotas or versions.

use bytes::Bytes;
use futures_util::future::{BoxFuture, ready};
use granary_protocol::admin::{BlockDescription, ObjectBlocks, Redundancy};
use granary_protocol::block::{BlockKind, DatanodeEndpoint, Extent, LocatedBlock, ReplicaLocation};
use granary_protocol::bucket::{BucketDocument, BucketInfo, BucketLock, BucketSettings, Versioning};
use granary_protocol::encryption::{SealSalt, SealedRun, sealed_length, sealed_range};
use granary_protocol::event::{EventId, NewEvent, QueuedEvent};
use granary_protocol::namenode::*;
use granary_protocol::object::*;
use granary_protocol::token::{AccessMode, BlockKey, BlockToken};
use granary_protocol::user::{EncryptionKey, KeyHolder, TokenKey, User};
use granary_protocol::*;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

type Answer = Result<NamenodeReply, Failure>;

/// The only namenode of its world.
#[derive(Clone, Default)]
pub struct MemoryNamenode(Arc<Mutex<Tables>>);

#[derive(Default)]
struct Tables {
    buckets: BTreeMap<String, Bucket>,
    uploads: BTreeMap<u64, Upload>,
    blocks: HashMap<BlockId, BlockKind>,
    encryption_keys: BTreeMap<String, EncryptionKey>,
    events: BTreeMap<u64, Waiting>,
    holders: BTreeMap<String, KeyHolder>,
    next_id: u64,
    now_ms: u64,
}

/// An event of the queue. One that is to be tried again is due at once.
struct Waiting {
    event: NewEvent,
    attempts: u32,
    claimed: bool,
}

#[derive(Default)]
struct Bucket {
    owner: CanonicalId,
    region: String,
    versioning: Versioning,
    object_lock: Option<BucketLock>,
    documents: BTreeMap<BucketDocument, Bytes>,
    objects: BTreeMap<String, Object>,
}

#[derive(Clone)]
struct Object {
    version: ObjectVersion,
    extents: Vec<Extent>,
    parts: Vec<PartInfo>,
}

impl Object {
    /// Which stored bytes a window needs, and what they are.
    fn stored(&self, offset: u64, length: u64) -> (u64, u64, Vec<SealedRun>) {
        let Some(encryption) = &self.version.details.encryption else { return (offset, length, Vec::new()) };
        let pieces: Vec<(SealSalt, u64)> = match self.parts.is_empty() {
            true => vec![(encryption.salt, self.version.size)],
            false => self.parts.iter().map(|part| (part.salt.unwrap(), part.size)).collect(),
        };
        let (mut plain_at, mut stored_at, mut stored) = (0, 0, (0, 0, Vec::new()));
        for (salt, size) in pieces {
            let (from, until) = (plain_at.max(offset), (plain_at + size).min(offset + length));
            if from < until {
                let run = SealedRun { salt, plain_size: size, offset: from - plain_at, length: until - from };
                let (first, bytes) = sealed_range(run.offset, run.length, size);
                if stored.2.is_empty() {
                    stored.0 = stored_at + first;
                }
                stored.1 += bytes;
                stored.2.push(run);
            }
            plain_at += size;
            stored_at += sealed_length(size);
        }
        stored
    }
}

struct Upload {
    bucket: String,
    info: UploadInfo,
    parts: BTreeMap<u16, (PartInfo, Vec<Extent>)>,
}

impl NamenodeService for MemoryNamenode {
    fn call(&self, request: NamenodeRequest) -> BoxFuture<'_, Answer> {
        Box::pin(ready(self.0.lock().unwrap().answer(request)))
    }
}

impl Tables {
    fn answer(&mut self, request: NamenodeRequest) -> Answer {
        use NamenodeReply as R;
        use NamenodeRequest as Q;
        self.next_id += 1;
        self.now_ms += 1000;
        match request {
            Q::CreateBucket { bucket, owner, region, object_lock, documents } => {
                if let Some(found) = self.buckets.get(&bucket.0) {
                    let is_own = found.owner == owner;
                    let code = if is_own { ErrorCode::BucketAlreadyOwnedByYou } else { ErrorCode::BucketAlreadyExists };
                    return Err(code.into());
                }
                let versioning = if object_lock { Versioning::Enabled } else { Versioning::Off };
                let object_lock = object_lock.then(BucketLock::default);
                let documents = documents.into_iter().collect();
                let objects = BTreeMap::new();
                self.buckets.insert(bucket.0, Bucket { owner, region, versioning, object_lock, documents, objects });
                Ok(R::Done)
            }
            Q::DeleteBucket { bucket } => {
                if !self.bucket(&bucket)?.objects.is_empty() {
                    return Err(ErrorCode::BucketNotEmpty.into());
                }
                self.buckets.remove(&bucket.0);
                Ok(R::Done)
            }
            Q::GetBucket { bucket } => {
                self.bucket(&bucket)?;
                Ok(R::Bucket(self.bucket_info(&bucket.0)))
            }
            Q::GetBucketSettings { bucket } => {
                let info = self.bucket(&bucket).map(|_| self.bucket_info(&bucket.0))?;
                let documents = self.bucket(&bucket)?.documents.clone().into_iter().collect();
                Ok(R::BucketSettings(Box::new(BucketSettings { info, revision: self.next_id, documents })))
            }
            Q::SetVersioning { bucket, versioning } => {
                self.bucket_mut(&bucket)?.versioning = versioning;
                Ok(R::Done)
            }
            Q::SetBucketDocument { bucket, kind, document } => {
                let documents = &mut self.bucket_mut(&bucket)?.documents;
                match document {
                    Some(document) => documents.insert(kind, document),
                    None => documents.remove(&kind),
                };
                Ok(R::Done)
            }
            Q::ListBuckets { prefix, after, limit } => {
                let after = after.map(|name| name.0).unwrap_or_default();
                let mut names = self.buckets.keys().filter(|name| **name > after && name.starts_with(&prefix));
                let page: Vec<_> = names.by_ref().take(limit as usize).map(|name| self.bucket_info(name)).collect();
                Ok(R::Buckets { truncated: names.next().is_some(), buckets: page })
            }
            Q::GetObject { bucket, key, window, .. } => self.get(&bucket, &key, window),
            Q::ListObjects { bucket, prefix, delimiter, after, limit } => {
                self.list(&bucket, &prefix, &delimiter, &after, limit)
            }
            Q::PutObject { bucket, key, content, object, condition } => {
                let extents = content.map(|content| content.extents).unwrap_or_default();
                self.put(&bucket, key, object, extents, Vec::new(), &condition)
            }
            Q::CopyObject { source_bucket, source_key, source_etag, bucket, key, object, condition, .. } => {
                let source = self.object(&source_bucket, &source_key)?.clone();
                if source.version.etag != source_etag {
                    return Err(ErrorCode::PreconditionFailed.into());
                }
                self.put(&bucket, key, object, source.extents, source.parts, &condition)
            }
            Q::DeleteObjects { bucket, objects, .. } => {
                let bucket = self.bucket_mut(&bucket)?;
                let delete = |target: DeleteTarget| {
                    if let (Some(Some(tag)), Some(found)) = (target.if_match, bucket.objects.get(&target.key.0))
                        && tag != found.version.etag
                    {
                        return Err(Failure::from(ErrorCode::PreconditionFailed));
                    }
                    bucket.objects.remove(&target.key.0);
                    Ok(DeleteOutcome::default())
                };
                Ok(R::Deleted(objects.into_iter().map(delete).collect()))
            }
            Q::AmendObject { bucket, key, version, change } => {
                if version.is_some_and(|version| version != VersionId::NULL) {
                    return Err(ErrorCode::NoSuchVersion.into());
                }
                let object = self.bucket_mut(&bucket)?.objects.get_mut(&key.0);
                let object = &mut object.ok_or_else(|| Failure::from(ErrorCode::NoSuchKey))?.version;
                match change {
                    ObjectChange::Tags(tags) => object.details.tags = tags,
                    ObjectChange::Acl(acl) => object.details.acl = acl,
                    ObjectChange::Retention { retention, .. } => object.lock.retention = retention,
                    ObjectChange::LegalHold(held) => object.lock.legal_hold = held,
                }
                Ok(R::Amended(VersionId::NULL))
            }
            Q::SetBucketLock { bucket, lock } => {
                self.bucket_mut(&bucket)?.object_lock = Some(lock);
                Ok(R::Done)
            }
            Q::CreateUpload { bucket, key, owner, class, checksum, lock, details } => {
                self.bucket(&bucket)?;
                let (upload, initiated) = (UploadId(self.next_id), UnixMillis(self.now_ms));
                let info = UploadInfo { upload, key, initiated, owner, class, checksum, lock, details };
                self.uploads.insert(upload.0, Upload { bucket: bucket.0, info, parts: BTreeMap::new() });
                Ok(R::Upload(upload))
            }
            Q::GetUpload { upload, .. } => Ok(R::UploadFound(Box::new(self.upload(upload)?.info.clone()))),
            Q::PutPart { upload, part, content, .. } => {
                let extents = content.map(|content| content.extents).unwrap_or_default();
                self.upload(upload)?.parts.insert(part.number, (part, extents));
                Ok(R::Done)
            }
            Q::CopyPart { source_bucket, source_key, offset, upload, part, .. } => {
                let source = self.object(&source_bucket, &source_key)?.extents.clone();
                let extents = clip(&source, offset, part.size).into_iter().map(|(_, extent)| extent).collect();
                self.upload(upload)?.parts.insert(part.number, (part, extents));
                Ok(R::Done)
            }
            Q::ListParts { upload, after, limit, .. } => {
                let found = self.upload(upload)?;
                let mut rest = found.parts.range(after + 1..).map(|(_, (part, _))| part.clone());
                let parts = rest.by_ref().take(limit as usize).collect();
                let truncated = rest.next().is_some();
                Ok(R::Parts { upload: Box::new(found.info.clone()), parts, truncated })
            }
            Q::ListUploads { bucket, prefix, .. } => {
                let matches = |upload: &&Upload| upload.bucket == bucket.0 && upload.info.key.0.starts_with(&prefix);
                let uploads = self.uploads.values().filter(matches).map(|upload| upload.info.clone()).collect();
                Ok(R::Uploads(UploadListing { uploads, common_prefixes: Vec::new(), next: None }))
            }
            Q::CompleteUpload { bucket, key, upload, parts, etag, checksum, condition } => {
                self.complete(&bucket, key, upload, &parts, etag, checksum, &condition)
            }
            Q::AbortUpload { upload, .. } => {
                self.upload(upload)?;
                self.uploads.remove(&upload.0);
                Ok(R::Done)
            }
            Q::AddEncryptionKey { key_id, wrapped } => match self.encryption_keys.contains_key(&key_id) {
                true => Err(ErrorCode::EntityAlreadyExists.into()),
                false => {
                    let created = UnixMillis(self.now_ms);
                    let key = EncryptionKey { key_id: key_id.clone(), wrapped, created, disabled: false };
                    self.encryption_keys.insert(key_id, key);
                    Ok(R::Done)
                }
            },
            Q::GetEncryptionKey { key_id } => Ok(R::EncryptionKey(self.encryption_keys.get(&key_id).cloned())),
            Q::ListEncryptionKeys { after, limit } => {
                let after = after.unwrap_or_default();
                let mut rest = self.encryption_keys.values().filter(|key| key.key_id > after).cloned();
                let keys = rest.by_ref().take(limit as usize).collect();
                Ok(R::EncryptionKeys { keys, truncated: rest.next().is_some() })
            }
            Q::ReplaceEncryptionKey { key_id, from, to } => match self.encryption_keys.get_mut(&key_id) {
                None => Err(ErrorCode::NoSuchEntity.into()),
                Some(kept) if kept.wrapped != from && kept.wrapped != to => Err(ErrorCode::Conflict.into()),
                Some(kept) => {
                    kept.wrapped = to;
                    Ok(R::Done)
                }
            },
            Q::SetEncryptionKeyDisabled { key_id, disabled } => match self.encryption_keys.get_mut(&key_id) {
                Some(key) => {
                    key.disabled = disabled;
                    Ok(R::Done)
                }
                None => Err(ErrorCode::NoSuchEntity.into()),
            },
            Q::OpenLease { .. } => Ok(R::Lease(LeaseId(1))),
            Q::RenewLease { .. } => Ok(R::LeaseRenewed { seal: Vec::new() }),
            Q::AllocateBlocks { kind, count, .. } => {
                let blocks = (0..count).map(|_| {
                    self.next_id += 1;
                    self.blocks.insert(BlockId(self.next_id), kind);
                    let extent = Extent { block: BlockId(self.next_id), offset: 0, length: u32::MAX };
                    located(extent, AccessMode::Write)
                });
                Ok(R::Blocks(blocks.collect()))
            }
            Q::SealBlock { .. } => Ok(R::Sealed(GenerationStamp(1))),
            Q::ClaimCompaction { .. } => Ok(R::Compaction(None)),
            Q::ClaimSmallFiles { .. } => Ok(R::SmallFiles(Vec::new())),
            Q::CloseLease { .. } | Q::AbandonBlocks { .. } => Ok(R::Done),
            // Full for events about the key `full`, until there is a bucket `opened`.
            Q::AppendEvents { events }
                if !self.buckets.contains_key("opened")
                    && events.iter().any(|event| event.body.windows(12).any(|text| text == b"\"key\":\"full\"")) =>
            {
                Err(ErrorCode::Busy.into())
            }
            Q::AppendEvents { events } => {
                for event in events {
                    self.next_id += 1;
                    let waiting = Waiting { event, attempts: 0, claimed: false };
                    self.events.insert(self.next_id, waiting);
                }
                Ok(R::Done)
            }
            Q::ClaimEvents { limit, .. } => {
                let due = self.events.iter_mut().filter(|(_, waiting)| !waiting.claimed).take(limit as usize);
                let claim = |(id, waiting): (&u64, &mut Waiting)| {
                    waiting.claimed = true;
                    QueuedEvent {
                        id: EventId(*id),
                        target: waiting.event.target.clone(),
                        body: waiting.event.body.clone(),
                        attempts: waiting.attempts,
                        queued: UnixMillis(u64::MAX),
                    }
                };
                Ok(R::Events(due.map(claim).collect()))
            }
            Q::SettleEvents { settled, retry } => {
                settled.iter().for_each(|id| drop(self.events.remove(&id.0)));
                for (id, _) in retry {
                    if let Some(waiting) = self.events.get_mut(&id.0) {
                        waiting.claimed = false;
                        waiting.attempts += 1;
                    }
                }
                Ok(R::Done)
            }
            Q::Status => Ok(R::Status(Box::new(admin::ClusterStatus {
                cluster: "memory".into(),
                peers: Vec::new(),
                datanodes: Vec::new(),
                redundancy: Redundancy::default(),
                safe_mode: None,
                buckets: self.buckets.len() as u64,
                objects: 0,
                object_bytes: 0,
            }))),
            // Asked when no replica can be read: there are no others here.
            Q::LocateContent { .. } => Err(ErrorCode::Unavailable.into()),
            Q::DescribeBlocks { bucket, key } => {
                let object = self.object(&bucket, &key)?;
                let describe = |(at, extent): (u64, Extent)| BlockDescription {
                    object_offset: at,
                    length: u64::from(extent.length),
                    block_offset: extent.offset,
                    kind: self.blocks[&extent.block],
                    sealed: true,
                    located: located(extent, AccessMode::Copy),
                };
                let blocks = clip(&object.extents, 0, object.version.size).into_iter().map(describe).collect();
                Ok(R::ObjectBlocks(ObjectBlocks { size: object.version.size, blocks }))
            }
            Q::CreateJoinToken { .. } => Ok(R::JoinToken { secret: "token".to_owned() }),
            Q::Enrol { secret, .. } if secret == "token" => {
                Ok(R::Enrolled { certificate_pem: "certificate".to_owned(), ca_pem: "authority".to_owned() })
            }
            Q::Enrol { .. } => Err(ErrorCode::AccessDenied.into()),
            Q::AddUser { user, key } => {
                let NewUser { name, canonical_id, account_id, display_name } = user;
                let created = UnixMillis(self.now_ms);
                let (keys, policies, disabled) = (Vec::new(), Vec::new(), false);
                let user = User { name, canonical_id, account_id, display_name, created, disabled, keys, policies };
                if let Some((access_key, secret_key)) = key {
                    let holder = KeyHolder { secret_key, user: user.clone(), policies: Vec::new() };
                    self.holders.insert(access_key, holder);
                }
                Ok(R::User(Box::new(user)))
            }
            Q::FindAccessKey { access_key } => Ok(R::KeyHolder(self.holders.get(&access_key).cloned().map(Box::new))),
            // Who is no user of this world is somebody of another.
            Q::FindOwners { owners } => {
                let named = owners.into_iter().map(|id| {
                    let user = self.holders.values().map(|holder| &holder.user).find(|user| user.canonical_id == id);
                    let name = user.map_or("somebody", |user| &user.display_name).to_owned();
                    (id, user.map_or("123456789012", |user| &user.account_id).to_owned(), name)
                });
                Ok(R::Owners(named.collect()))
            }
            Q::GetTokenKey => Ok(R::TokenKey(TokenKey([7; 32]))),
            // No block here is a member of a group.
            Q::LocateGroup { .. } => Ok(R::Group(None)),
            other => panic!("the gateway does not ask {other:?}"),
        }
    }

    fn bucket(&self, name: &BucketName) -> Result<&Bucket, Failure> {
        self.buckets.get(&name.0).ok_or_else(|| ErrorCode::NoSuchBucket.into())
    }

    fn bucket_mut(&mut self, name: &BucketName) -> Result<&mut Bucket, Failure> {
        self.buckets.get_mut(&name.0).ok_or_else(|| ErrorCode::NoSuchBucket.into())
    }

    fn bucket_info(&self, name: &str) -> BucketInfo {
        BucketInfo {
            name: name.into(),
            owner: self.buckets[name].owner.clone(),
            created: UnixMillis(1_700_000_000_000),
            region: self.buckets[name].region.clone(),
            versioning: self.buckets[name].versioning,
            object_lock: self.buckets[name].object_lock,
        }
    }

    fn object(&self, bucket: &BucketName, key: &ObjectKey) -> Result<&Object, Failure> {
        self.bucket(bucket)?.objects.get(&key.0).ok_or_else(|| ErrorCode::NoSuchKey.into())
    }

    fn upload(&mut self, upload: UploadId) -> Result<&mut Upload, Failure> {
        self.uploads.get_mut(&upload.0).ok_or_else(|| ErrorCode::NoSuchUpload.into())
    }

    fn get(&self, bucket: &BucketName, key: &ObjectKey, window: Window) -> Answer {
        let object = self.object(bucket, key)?;
        let size = object.version.size;
        let (offset, length) = match window {
            Window::Nothing => (0, 0),
            Window::Range { first: 0, last: None } => (0, size),
            Window::Range { first, .. } if first >= size => return Err(ErrorCode::InvalidRange.into()),
            Window::Range { first, last } => (first, last.map_or(size, |last| size.min(last + 1)) - first),
            Window::Suffix { length } if length.min(size) == 0 => return Err(ErrorCode::InvalidRange.into()),
            Window::Suffix { length } => (size - length.min(size), length.min(size)),
            Window::Part { number: 1 } if object.parts.is_empty() => (0, size),
            Window::Part { number } => {
                let at = object.parts.iter().position(|part| part.number == number);
                let at = at.ok_or_else(|| Failure::from(ErrorCode::InvalidPartNumber))?;
                (object.parts[..at].iter().map(|part| part.size).sum(), object.parts[at].size)
            }
        };
        let part = match window {
            Window::Part { number } => object.parts.iter().find(|part| part.number == number).cloned(),
            _ => None,
        };
        let (stored_offset, stored_length, sealed) = object.stored(offset, length);
        let extents = clip(&object.extents, stored_offset, stored_length);
        let extents = extents.into_iter().map(|(content_offset, extent)| LocatedExtent {
            content_offset,
            extent,
            located: located(extent, AccessMode::Read),
        });
        Ok(NamenodeReply::Object(Box::new(ObjectRead {
            object: object.version.clone(),
            parts_count: object.parts.len() as u16,
            part,
            content: (size > 0).then_some(ContentId(1)),
            offset,
            length,
            stored_offset,
            stored_length,
            sealed,
            extents: extents.collect(),
        })))
    }

    fn put(
        &mut self,
        bucket: &BucketName,
        key: ObjectKey,
        new: NewObject,
        extents: Vec<Extent>,
        parts: Vec<PartInfo>,
        condition: &WriteCondition,
    ) -> Answer {
        let modified = UnixMillis(self.now_ms);
        let bucket = self.bucket_mut(bucket)?;
        let current = bucket.objects.get(&key.0).map(|object| object.version.etag);
        match (&condition.if_match, current) {
            (Some(_), None) => return Err(ErrorCode::NoSuchKey.into()),
            (Some(Some(wanted)), Some(found)) if *wanted != found => return Err(ErrorCode::PreconditionFailed.into()),
            (_, Some(_)) if condition.if_absent => return Err(ErrorCode::PreconditionFailed.into()),
            (_, _) => {}
        }
        let outcome = PutOutcome {
            version: VersionId::NULL,
            versioning: Versioning::Off,
            modified,
            etag: new.etag,
            checksum: new.checksum.clone(),
        };
        let version = ObjectVersion {
            version: VersionId::NULL,
            delete_marker: false,
            size: new.size,
            etag: new.etag,
            modified,
            owner: new.owner,
            class: new.class,
            checksum: new.checksum,
            lock: new.lock,
            details: new.details,
        };
        bucket.objects.insert(key.0, Object { version, extents, parts });
        Ok(NamenodeReply::Put(outcome))
    }

    #[allow(clippy::too_many_arguments, reason = "the fields of one request")]
    fn complete(
        &mut self,
        bucket: &BucketName,
        key: ObjectKey,
        upload: UploadId,
        named: &[CompletedPart],
        etag: ETag,
        checksum: Option<ObjectChecksum>,
        condition: &WriteCondition,
    ) -> Answer {
        let found = self.upload(upload)?;
        let (mut parts, mut extents) = (Vec::new(), Vec::new());
        for part in named {
            let (info, stored) = found.parts.get(&part.number).ok_or_else(|| Failure::from(ErrorCode::InvalidPart))?;
            parts.push(info.clone());
            extents.extend(stored.iter().copied());
        }
        let object = NewObject {
            size: parts.iter().map(|part| part.size).sum(),
            etag,
            owner: found.info.owner.clone(),
            class: found.info.class,
            checksum,
            lock: found.info.lock,
            details: found.info.details.clone(),
        };
        self.uploads.remove(&upload.0);
        self.put(bucket, key, object, extents, parts, condition)
    }

    fn list(&self, bucket: &BucketName, prefix: &str, delimiter: &str, after: &ListAfter, limit: u32) -> Answer {
        let mut entries: Vec<ListEntry> = Vec::new();
        for (key, object) in &self.bucket(bucket)?.objects {
            let is_after = match after {
                ListAfter::Start => true,
                ListAfter::Key(marker) => key > marker,
                ListAfter::Prefix(marker) => key > marker && !key.starts_with(marker),
            };
            let Some(rest) = key.strip_prefix(prefix).filter(|_| is_after) else { continue };
            let cut = (!delimiter.is_empty()).then(|| rest.find(delimiter)).flatten();
            let entry = match cut {
                Some(at) => ListEntry::CommonPrefix(key[..prefix.len() + at + delimiter.len()].to_owned()),
                None => ListEntry::Object { key: key.as_str().into(), object: object.version.clone() },
            };
            if entries.last() != Some(&entry) {
                entries.push(entry);
            }
        }
        let truncated = entries.len() > limit as usize;
        entries.truncate(limit as usize);
        Ok(NamenodeReply::Listing(Listing { entries, truncated }))
    }
}

/// `length` bytes of a content from `offset`, each run with its place in the content.
fn clip(extents: &[Extent], offset: u64, length: u64) -> Vec<(u64, Extent)> {
    let (mut at, mut found) = (0, Vec::new());
    for extent in extents {
        let (first, end) = (at.max(offset), (at + u64::from(extent.length)).min(offset + length));
        if first < end {
            let run = Extent { offset: extent.offset + (first - at) as u32, length: (end - first) as u32, ..*extent };
            found.push((first, run));
        }
        at += u64::from(extent.length);
    }
    found
}

fn located(extent: Extent, mode: AccessMode) -> LocatedBlock {
    let key = BlockKey { id: 1, secret: [1; 32], expires: UnixMillis(u64::MAX) };
    let datanode = Arc::new(DatanodeEndpoint {
        id: DatanodeId(1),
        name: "memory".into(),
        host: "localhost".to_owned(),
        address: String::new(),
        http: String::new(),
        rack: "/rack-1".into(),
    });
    LocatedBlock {
        block: extent.block,
        generation: GenerationStamp(1),
        length: extent.offset.saturating_add(extent.length),
        replicas: vec![ReplicaLocation { datanode, volume: VolumeId(1) }],
        token: BlockToken::sign(&key, extent, GenerationStamp(1), mode, UnixMillis(u64::MAX)),
    }
}
