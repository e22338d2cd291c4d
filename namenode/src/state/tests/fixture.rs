//! A formatted state over a memory engine, and a writer that stores contents as a client would.

use crate::command::{
    Action, Command, CompleteUpload, CreateBucket, CreateUpload, DeleteObjects, FileSystemAction, Format, PutObject,
    PutPart,
};
use crate::engine::{Engine, MemoryEngine, WriteOp};
use crate::state::{self, BlockRecord, Effect, Transaction, filesystem};
use granary_protocol::block::{BlockKind, Extent};
use granary_protocol::bucket::Versioning;
use granary_protocol::filesystem::{FsCall, FsCaller, FsReply, FsRequest};
use granary_protocol::namenode::*;
use granary_protocol::object::*;
use granary_protocol::record::HEADER_BYTES;
use granary_protocol::token::BlockKey;
use granary_protocol::user::TokenKey;
use granary_protocol::*;
use std::collections::BTreeMap;

pub const BUCKET: &str = "bucket";

/// The state, with all commands that made it.
pub struct Store {
    engine: MemoryEngine,
    pub commands: Vec<Command>,
    /// What soft state would know: blocks as effects told of them.
    pub told: BTreeMap<BlockId, BlockRecord>,
    pub effects: Vec<Effect>,
    now: u64,
}

impl Store {
    /// Formatted, with the bucket [`BUCKET`].
    pub fn new() -> Store {
        let mut store = Store {
            engine: MemoryEngine::new(),
            commands: Vec::new(),
            told: BTreeMap::new(),
            effects: Vec::new(),
            now: 1_000,
        };
        let format = Format {
            cluster: ClusterId::from("cluster"),
            ca_cert_pem: "cert".to_owned(),
            ca_key_pem: "key".to_owned(),
            key: BlockKey { id: 1, secret: [1; 32], expires: UnixMillis(u64::MAX) },
            token_key: TokenKey([3; 32]),
        };
        store.done(Action::Format(Box::new(format)));
        store.create_bucket(BUCKET);
        store
    }

    pub fn view(&self) -> &dyn Engine {
        &self.engine
    }

    /// The time of the last command.
    pub fn now(&self) -> UnixMillis {
        UnixMillis(self.now)
    }

    pub fn advance(&mut self, ms: u64) {
        self.now += ms;
    }

    /// Applies one command as a batch of its own. A refusal must write nothing.
    pub fn apply(&mut self, action: Action) -> Result<NamenodeReply, Failure> {
        self.carry_out(action, false)
    }

    /// As `apply`, of a numbered request: a refusal may write itself down.
    pub fn apply_numbered(&mut self, action: Action) -> Result<NamenodeReply, Failure> {
        self.carry_out(action, true)
    }

    fn carry_out(&mut self, action: Action, numbered: bool) -> Result<NamenodeReply, Failure> {
        self.now += 10;
        let command = Command { now: UnixMillis(self.now), action };
        let mut tx = Transaction::begin(&self.engine).unwrap();
        let applied = state::apply(&mut tx, &command).unwrap();
        let batch = tx.into_batch();
        if applied.reply.is_err() && !numbered {
            for op in batch.ops() {
                let WriteOp::Put { key, value } = op else { panic!("a refused command deletes {op:?}") };
                assert_eq!(self.engine.get(key).unwrap().as_ref(), Some(value), "a refused command writes {op:?}");
            }
            assert_eq!(applied.effects, []);
        }
        self.engine.write(batch).unwrap();
        self.commands.push(command);
        for effect in &applied.effects {
            match effect {
                Effect::BlockOpened { block, record } => {
                    assert!(self.told.insert(*block, record.clone()).is_none(), "{effect:?} twice");
                }
                Effect::BlockSealed { block, record, .. }
                | Effect::BlockChanged { block, record }
                | Effect::BlockRepiped { block, record } => {
                    assert!(self.told.insert(*block, record.clone()).is_some(), "{effect:?} before it was opened");
                }
                Effect::BlockRemoved { block, .. } => {
                    assert!(self.told.remove(block).is_some(), "{effect:?} twice");
                }
                Effect::LeaseOpened { .. }
                | Effect::LeaseClosed { .. }
                | Effect::KeysChanged
                | Effect::DatanodeIntentChanged { .. }
                | Effect::VolumeDrainChanged { .. }
                | Effect::GroupChanged { .. }
                | Effect::ExternalChanged { .. }
                | Effect::ArchiveTargetsChanged { .. } => {}
            }
        }
        self.effects = applied.effects;
        applied.reply
    }

    pub fn done(&mut self, action: Action) {
        assert_eq!(self.apply(action), Ok(NamenodeReply::Done));
    }

    /// The code a command is refused with.
    pub fn refused(&mut self, action: Action) -> ErrorCode {
        match self.apply(action) {
            Err(failure) => failure.code,
            Ok(reply) => panic!("answered {reply:?}"),
        }
    }

    /// A call of the file system by a superuser, on three volumes where it needs some.
    pub fn fs(&mut self, request: FsRequest) -> Result<FsReply, Failure> {
        self.fs_call(FsCall { caller: superuser(), retry: None, request })
    }

    pub fn fs_call(&mut self, call: FsCall) -> Result<FsReply, Failure> {
        let volumes = vec![VolumeId(1), VolumeId(2), VolumeId(3)];
        self.fs_action(FileSystemAction::Call { call, volumes, replication: 3 })
    }

    pub fn fs_action(&mut self, action: FileSystemAction) -> Result<FsReply, Failure> {
        match self.apply(Action::FileSystem(Box::new(action)))? {
            NamenodeReply::FileSystem(reply) => Ok(*reply),
            other => panic!("answered {other:?}"),
        }
    }

    pub fn fs_read(&self, caller: &FsCaller, request: &FsRequest) -> Result<filesystem::Answer, Failure> {
        filesystem::query(self.view(), caller, request, 3).map_err(Failure::from)
    }

    pub fn create_bucket(&mut self, bucket: &str) {
        self.done(create_bucket(bucket, owner(), false));
    }

    pub fn set_versioning(&mut self, versioning: Versioning) {
        self.done(Action::SetVersioning { bucket: BUCKET.into(), versioning });
    }

    pub fn put_outcome(&mut self, action: Action) -> PutOutcome {
        match self.apply(action) {
            Ok(NamenodeReply::Put(outcome)) => outcome,
            other => panic!("answered {other:?}"),
        }
    }

    /// Puts an object without bytes.
    pub fn put_empty(&mut self, key: &str) -> PutOutcome {
        self.put_outcome(put(key, None, 0))
    }

    pub fn delete(&mut self, key: &str, version: Option<VersionId>) -> DeleteOutcome {
        match self.apply(delete_all(vec![target(key, version)])) {
            Ok(NamenodeReply::Deleted(mut results)) => results.pop().unwrap().unwrap(),
            other => panic!("answered {other:?}"),
        }
    }

    pub fn get(&self, key: &str, version: Option<VersionId>, window: Window) -> Result<state::ObjectFound, ErrorCode> {
        state::get_object(self.view(), &BUCKET.into(), &key.into(), version, window)
            .map_err(|rejection| Failure::from(rejection).code)
    }

    pub fn open_lease(&mut self, holder: &str) -> LeaseId {
        match self.apply(Action::OpenLease { holder: holder.into() }) {
            Ok(NamenodeReply::Lease(lease)) => lease,
            other => panic!("answered {other:?}"),
        }
    }

    pub fn allocate(&mut self, lease: LeaseId, kind: BlockKind) -> BlockId {
        self.allocate_in(lease, kind, StorageClass::Standard)
    }

    pub fn allocate_in(&mut self, lease: LeaseId, kind: BlockKind, class: StorageClass) -> BlockId {
        let action = Action::AllocateBlocks {
            lease,
            kind,
            class,
            pipelines: vec![vec![VolumeId(1), VolumeId(2), VolumeId(3)]],
            replicas_wanted: 3,
        };
        match self.apply(action) {
            Ok(NamenodeReply::Blocks(blocks)) => blocks[0].block,
            other => panic!("answered {other:?}"),
        }
    }

    pub fn block(&self, block: BlockId) -> Option<BlockRecord> {
        state::get_block(self.view(), block).unwrap()
    }

    pub fn create_upload(&mut self, key: &str) -> UploadId {
        self.create_upload_of(key, ObjectDetails::default())
    }

    pub fn create_upload_of(&mut self, key: &str, details: ObjectDetails) -> UploadId {
        let create = CreateUpload {
            bucket: BUCKET.into(),
            key: key.into(),
            owner: owner(),
            class: StorageClass::Standard,
            checksum: None,
            lock: ObjectLock::default(),
            details,
        };
        match self.apply(Action::CreateUpload(Box::new(create))) {
            Ok(NamenodeReply::Upload(upload)) => upload,
            other => panic!("answered {other:?}"),
        }
    }

    /// Keys and common prefixes of the bucket, page by page.
    pub fn list(&self, prefix: &str, delimiter: &str, start: ListAfter, page: u32) -> Vec<String> {
        let mut shown = Vec::new();
        let mut after = start;
        loop {
            let listing = state::list_objects(self.view(), &BUCKET.into(), prefix, delimiter, &after, page).unwrap();
            assert!(listing.entries.len() <= page as usize);
            assert!(!listing.truncated || listing.entries.len() == page as usize);
            after = listing.next();
            shown.extend(listing.entries.into_iter().map(|entry| match entry {
                ListEntry::Object { key, .. } => key.0,
                ListEntry::CommonPrefix(prefix) => format!("{prefix}*"),
            }));
            if !listing.truncated {
                return shown;
            }
        }
    }
}

/// Runs a random test for seeds below `seeds`, and says which one fails. `GRANARY_SEEDS=from..to` asks for others: many,
/// for a long run, or the one that failed.
pub fn for_each_seed(seeds: u64, run: fn(u64)) {
    let asked = std::env::var("GRANARY_SEEDS").ok();
    let asked = asked.as_ref().map(|asked| {
        let (from, to) = asked.split_once("..").expect("GRANARY_SEEDS is from..to");
        from.parse().unwrap()..to.parse().unwrap()
    });
    for seed in asked.unwrap_or(0..seeds) {
        if let Err(panic) = std::panic::catch_unwind(|| run(seed)) {
            eprintln!("seed {seed} fails");
            std::panic::resume_unwind(panic);
        }
    }
}

/// Who may everything.
pub fn superuser() -> FsCaller {
    FsCaller { user: "hdfs".to_owned(), superuser: true, account: owner(), makes_buckets: true, ..FsCaller::default() }
}

pub fn create_bucket(bucket: &str, owner: CanonicalId, object_lock: bool) -> Action {
    let (bucket, region) = (bucket.into(), "us-east-1".to_owned());
    Action::CreateBucket(Box::new(CreateBucket { bucket, owner, region, object_lock, documents: Vec::new() }))
}

/// A delete without conditions.
pub fn target(key: &str, version: Option<VersionId>) -> DeleteTarget {
    DeleteTarget { key: key.into(), version, if_match: None, if_modified_s: None, if_size: None }
}

pub fn delete_all(objects: Vec<DeleteTarget>) -> Action {
    let (bucket, deleter) = (BUCKET.into(), "deleter".into());
    Action::DeleteObjects(Box::new(DeleteObjects { bucket, objects, deleter, bypass_governance: false }))
}

pub fn owner() -> CanonicalId {
    CanonicalId::from("owner")
}

/// What readers of a key see as nothing.
pub trait Absent {
    fn absent(&self) -> bool;
}

impl Absent for ErrorCode {
    fn absent(&self) -> bool {
        matches!(self, ErrorCode::NoSuchKey | ErrorCode::DeleteMarker { current: true, .. })
    }
}

/// A tag that tells contents apart.
pub fn etag(seed: u64) -> ETag {
    let mut md5 = [0; 16];
    md5[..8].copy_from_slice(&seed.to_be_bytes());
    ETag { md5, parts: None }
}

pub fn object(size: u64) -> NewObject {
    NewObject {
        size,
        etag: etag(size),
        owner: owner(),
        class: StorageClass::Standard,
        checksum: None,
        lock: ObjectLock::default(),
        details: ObjectDetails::default(),
    }
}

pub fn put(key: &str, content: Option<NewContent>, size: u64) -> Action {
    put_if(key, content, size, WriteCondition::default())
}

pub fn put_if(key: &str, content: Option<NewContent>, size: u64, condition: WriteCondition) -> Action {
    Action::PutObject(Box::new(PutObject {
        bucket: BUCKET.into(),
        key: key.into(),
        content,
        object: object(size),
        condition,
    }))
}

pub fn part_info(number: u16, size: u64) -> PartInfo {
    PartInfo { number, size, md5: etag(size).md5, modified: UnixMillis(0), checksum: None, salt: None }
}

pub fn put_part(key: &str, upload: UploadId, part: PartInfo, content: Option<NewContent>) -> Action {
    Action::PutPart(Box::new(PutPart { bucket: BUCKET.into(), key: key.into(), upload, part, content }))
}

pub fn complete(key: &str, upload: UploadId, parts: &[PartInfo]) -> Action {
    let parts: Vec<CompletedPart> =
        parts.iter().map(|part| CompletedPart { number: part.number, md5: part.md5, checksum: None }).collect();
    Action::CompleteUpload(Box::new(CompleteUpload {
        bucket: BUCKET.into(),
        key: key.into(),
        upload,
        etag: ETag { md5: [7; 16], parts: Some(parts.len() as u16) },
        parts,
        checksum: None,
        condition: WriteCondition::default(),
    }))
}

/// A process that writes: a lease, a packed block, names for contents.
pub struct Writer {
    pub lease: LeaseId,
    contents: u32,
    pub packed: Option<(BlockId, u32)>,
}

impl Writer {
    pub fn new(store: &mut Store, holder: &str) -> Writer {
        Writer { lease: store.open_lease(holder), contents: 0, packed: None }
    }

    pub fn name(&mut self) -> ContentId {
        self.contents += 1;
        ContentId::of_lease(self.lease, self.contents).unwrap()
    }

    /// Room for a record in the open packed block.
    pub fn place(&mut self, store: &mut Store, length: u32) -> Extent {
        let header = HEADER_BYTES as u32;
        let (block, end) = match self.packed {
            Some((block, end)) if end + header + length <= block::BLOCK_BYTES_MAX => (block, end),
            _ => (store.allocate(self.lease, BlockKind::Packed), 0),
        };
        self.packed = Some((block, end + header + length));
        Extent { block, offset: end + header, length }
    }

    /// Room for a record in a new packed block of a class.
    pub fn place_in(&mut self, store: &mut Store, length: u32, class: StorageClass) -> Extent {
        let block = store.allocate_in(self.lease, BlockKind::Packed, class);
        Extent { block, offset: HEADER_BYTES as u32, length }
    }

    /// A packed content, written and not yet committed.
    pub fn pack(&mut self, store: &mut Store, length: u32) -> NewContent {
        let extent = self.place(store, length);
        NewContent { content: self.name(), extents: vec![extent], stored_on: Vec::new() }
    }

    /// A content with blocks of its own, written and not yet committed.
    pub fn own(&mut self, store: &mut Store, lengths: &[u32]) -> NewContent {
        let mut extents = Vec::new();
        let mut stored_on = Vec::new();
        for length in lengths {
            let block = store.allocate(self.lease, BlockKind::Owned);
            extents.push(Extent { block, offset: 0, length: *length });
            stored_on.push((block, vec![VolumeId(1), VolumeId(3)]));
        }
        NewContent { content: self.name(), extents, stored_on }
    }
}
