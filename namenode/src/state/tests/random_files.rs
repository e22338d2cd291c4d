//! Random calls of Hadoop's and S3's clients on a few names, in buckets with and without versions. There is no model here:
//! no sequence may end in a state that a command does not know (every peer would stop at it), everything is counted
//! rightly after each step, reads find their way, and when all has been deleted no row is left.

use super::file_calls::*;
use super::fixture::*;
use super::invariants;
use super::random_commands::Random;
use crate::command::{Action, CopyObject, FileSystemAction, RenameObject};
use crate::state::filesystem::{self, OpenFileRecord};
use crate::state::{self, layout, view};
use granary_protocol::bucket::Versioning;
use granary_protocol::filesystem::*;
use granary_protocol::lifecycle::ScanPosition;
use granary_protocol::namenode::*;
use granary_protocol::object::{StorageClass, Tag};
use granary_protocol::*;

const SEEDS: u64 = 15;
const STEPS: usize = 120;
/// Few, so that calls meet; one sorts around the slash of another.
const NAMES: [&str; 3] = ["a", "a-", "b"];
const CLASSES: [StorageClass; 5] = [
    StorageClass::Standard,
    StorageClass::Standard,
    StorageClass::StandardIa,
    StorageClass::Glacier,
    StorageClass::IntelligentTiering,
];
const HOLDERS: [&str; 3] = ["one", "two", "three"];

#[test]
fn no_sequence_of_calls_ends_in_a_state_that_is_not_known() {
    for_each_seed(SEEDS, run);
}

struct Run {
    random: Random,
    store: Store,
    writer: Writer,
}

fn run(seed: u64) {
    let mut store = Store::new();
    let writer = Writer::new(&mut store, "gateway");
    let mut run = Run { random: Random(seed), store, writer };
    if seed % 3 == 1 {
        run.store.set_versioning(Versioning::Enabled);
    }
    for step in 0..STEPS {
        match run.random.below(5) {
            0 | 1 => run.s3(),
            2 => run.hadoop_changes(),
            _ => run.hadoop_writes(),
        }
        // In some runs versions begin to be kept while files are open, and cease to be.
        if seed % 3 == 2 && step % 40 == 39 {
            let versioning = [Versioning::Enabled, Versioning::Suspended][step / 40 % 2];
            run.store.set_versioning(versioning);
        }
        invariants::check(run.store.view(), &run.store.told);
        run.read();
    }
    run.drain();
}

impl Run {
    fn key(&mut self) -> String {
        let depth = *self.random.pick(&[1, 2, 2, 3]);
        let names: Vec<&str> = (0..depth).map(|_| *self.random.pick(&NAMES)).collect();
        names.join("/")
    }

    fn path(&mut self) -> String {
        format!("/{BUCKET}/{}", self.key())
    }

    fn holder(&mut self) -> String {
        (*self.random.pick(&HOLDERS)).to_owned()
    }

    /// Whatever it answers, it is an answer.
    fn call(&mut self, request: FsRequest) {
        let answer = self.store.fs(request.clone());
        assert!(answer.map_or_else(|failure| failure.code != ErrorCode::Internal, |_| true), "{request:?}");
    }

    fn s3(&mut self) {
        let mut key = self.key();
        match self.random.below(12) {
            0..=2 => {
                let size = *self.random.pick(&[1, 10, 500, 200 << 10]);
                let content = match self.random.chance(3) {
                    true => self.writer.own(&mut self.store, &[size]),
                    false => self.writer.pack(&mut self.store, size),
                };
                let mut action = put(&key, Some(content), u64::from(size));
                if let Action::PutObject(put) = &mut action {
                    put.object.class = *self.random.pick(&CLASSES);
                }
                self.store.put_outcome(action);
            }
            3 => {
                self.store.put_empty(&key);
            }
            4 => {
                key.push('/');
                self.store.put_empty(&key);
            }
            5..=7 => {
                if self.random.chance(4) {
                    key.push('/');
                }
                self.store.delete(&key, None);
            }
            8 | 9 => self.delete_version(),
            10 => self.copy(&key),
            _ => {
                let rename = RenameObject {
                    bucket: BUCKET.into(),
                    source: self.key().as_str().into(),
                    source_condition: WriteCondition::default(),
                    key: key.as_str().into(),
                    condition: WriteCondition::default(),
                };
                let _refused = self.store.apply(Action::RenameObject(Box::new(rename)));
            }
        }
    }

    fn copy(&mut self, key: &str) {
        let source = self.key();
        let Ok(found) = self.store.get(&source, None, Window::Nothing) else { return };
        let mut copied = object(found.object.size);
        copied.etag = found.object.etag;
        copied.class = *self.random.pick(&CLASSES);
        copied.details.tags = vec![Tag { key: "copied".to_owned(), value: String::new() }];
        let copy = CopyObject {
            source_bucket: BUCKET.into(),
            source_key: source.as_str().into(),
            source_version: None,
            source_etag: copied.etag,
            bucket: BUCKET.into(),
            key: key.into(),
            object: copied,
            condition: WriteCondition::default(),
        };
        self.store.put_outcome(Action::CopyObject(Box::new(copy)));
    }

    /// Every version of every key.
    fn versions(&self) -> Vec<(ObjectKey, VersionId)> {
        let (mut versions, mut from) = (Vec::new(), ScanPosition { key: String::new(), seen: None });
        loop {
            let page = state::scan_versions(self.store.view(), &BUCKET.into(), "", &from, 1000).unwrap();
            versions.extend(page.versions.into_iter().map(|found| (found.key, found.version)));
            match page.next {
                Some(next) => from = next,
                None => return versions,
            }
        }
    }

    fn delete_version(&mut self) {
        let versions = self.versions();
        if !versions.is_empty() {
            let (key, version) = self.random.pick(&versions).clone();
            self.store.delete(key.as_str(), Some(version));
        }
    }

    fn hadoop_changes(&mut self) {
        let (one, other) = (self.path(), self.path());
        let overwrite = self.random.chance(2);
        match self.random.below(12) {
            0 => self.call(mkdirs(&one)),
            1 | 2 => self.call(FsRequest::Rename { from: path(&one), to: path(&other) }),
            3..=6 => self.call(FsRequest::Rename2 { from: path(&one), to: path(&other), overwrite }),
            7 | 8 => self.delete(&one),
            9 => {
                let length = self.random.below(1000) as u64;
                self.call(FsRequest::Truncate { path: path(&one), length, holder: "cutter".to_owned() });
            }
            10 => self.call(FsRequest::Concat { target: path(&one), sources: vec![path(&other)] }),
            _ => self.set(&one),
        }
    }

    fn set(&mut self, name: &str) {
        let path = path(name);
        let value = self.random.below(3);
        match self.random.below(4) {
            0 => self.call(FsRequest::SetPermission { path, permission: 0o700 }),
            1 => self.call(FsRequest::SetReplication { path, replication: 1 + value as u16 }),
            2 => self.call(FsRequest::SetQuota { path, names: Some((value > 0).then_some(100)), space_bytes: None }),
            _ => {
                let name = XAttrName { namespace: XAttrNamespace::User, name: "k".to_owned() };
                let attribute = XAttr { name, value: vec![value as u8] };
                self.call(FsRequest::SetXAttr { path, attribute, create: true, replace: true });
            }
        }
    }

    /// As a leader does it.
    fn delete(&mut self, name: &str) {
        let recursive = self.random.chance(2);
        let mut after = None;
        while recursive && filesystem::is_deleted_by_pages(self.store.view(), &path(name)).is_ok_and(|pages| pages) {
            let page = FileSystemAction::DeletePage { caller: superuser(), path: path(name), after };
            match self.store.fs_action(page) {
                Ok(FsReply::Progress { after: Some(next) }) => after = Some(next),
                _ => break,
            }
        }
        self.call(delete(name, recursive));
    }

    fn hadoop_writes(&mut self) {
        let (name, holder) = (self.path(), self.holder());
        match self.random.below(20) {
            0..=5 => {
                let mut request = create(&name, &holder);
                if let FsRequest::Create(create) = &mut request
                    && self.random.chance(3)
                {
                    create.flags = CreateFlags(CreateFlags::CREATE);
                }
                self.call(request);
            }
            6..=8 => self.call(append(&name, &holder)),
            9..=15 => self.write_on(),
            16 => {
                self.store.advance(LEASE_HARD_LIMIT_MS + 1);
                self.store.fs_action(expire(&holder)).unwrap();
            }
            17 => {
                self.call(FsRequest::RecoverLease { path: path(&name), holder });
                self.store.fs_action(FileSystemAction::RecoverPath { path: path(&name) }).ok();
            }
            18 => self.finish_recoveries(),
            _ => {
                self.store.fs_action(FileSystemAction::Reclaim).unwrap();
                self.pack_small();
            }
        }
    }

    fn open_files(&self) -> Vec<(FileId, OpenFileRecord)> {
        let rows = self.store.view().scan(&[layout::OPEN_FILE], Some(&[layout::OPEN_FILE + 1]));
        let decode = |(key, value): (bytes::Bytes, bytes::Bytes)| {
            (FileId(layout::last_number(&key).unwrap()), view::decode(&key, &value).unwrap())
        };
        rows.map(|row| decode(row.unwrap())).collect()
    }

    /// A writer goes on with its file, under the name it knows or another one.
    fn write_on(&mut self) {
        let open = self.open_files();
        if open.is_empty() {
            return;
        }
        let (file, record) = self.random.pick(&open).clone();
        let (name, holder) = (self.path(), record.holder.clone());
        let length = self.random.below(1000) as u64;
        let last = record.last.map(|last| ClientBlock {
            block: last.block,
            generation: self.store.block(last.block).unwrap().generation,
            length: length.max(u64::from(last.visible)),
        });
        match self.random.below(10) {
            0..=3 => self.call(add_block(&name, file, &holder, last)),
            4..=6 => self.call(close(&name, file, &holder, last)),
            7 => self.call(FsRequest::Fsync { path: path(&name), file, holder, length: Some(length) }),
            8 => {
                if let Some(block) = last {
                    self.call(FsRequest::AbandonBlock { path: path(&name), file, holder, block });
                }
            }
            _ => {
                let Some(old) = last else { return };
                self.call(FsRequest::UpdateBlockForPipeline { block: old, holder: holder.clone() });
                let new = ClientBlock { generation: GenerationStamp(old.generation.0 + 1), ..old };
                self.call(FsRequest::UpdatePipeline { holder, old, new, members: Vec::new() });
            }
        }
    }

    fn finish_recoveries(&mut self) {
        for file in filesystem::recovering(self.store.view(), FileId(0)).unwrap().0 {
            let length = file.visible + self.random.below(2) as u32;
            let (file, block, members) = (file.file, file.block, vec![VolumeId(1)]);
            self.store.fs_action(FileSystemAction::FinishRecovery { file, block, length, members }).unwrap();
        }
    }

    fn pack_small(&mut self) {
        self.store.advance(60_000);
        for small in filesystem::small_contents(self.store.view(), ContentId(0), self.store.now(), 1).unwrap().0 {
            let to = self.writer.place(&mut self.store, small.extent.length);
            let step = ContentMove { content: small.content, from: small.extent, to };
            self.store.apply(Action::RelocateContents { lease: self.writer.lease, moves: vec![step] }).unwrap();
        }
    }

    /// What clients ask is answered, whether or not there is anything.
    fn read(&mut self) {
        let name = path(&self.path());
        for request in [
            FsRequest::Status { path: name.clone() },
            FsRequest::List { path: name.clone(), after: String::new(), locations: true },
            FsRequest::Locate { path: name.clone(), offset: 0, length: u64::MAX },
            FsRequest::ContentSummary { path: path(&format!("/{BUCKET}")) },
            FsRequest::OpenFiles { after: FileId(0), limit: 1000 },
        ] {
            let answer = self.store.fs_read(&superuser(), &request);
            assert!(answer.map_or_else(|failure| failure.code != ErrorCode::Internal, |_| true), "{request:?}");
        }
    }

    /// Ends and deletes everything: nothing may be left behind.
    fn drain(mut self) {
        self.store.advance(LEASE_HARD_LIMIT_MS + 1);
        loop {
            let holders = filesystem::expired_holders(self.store.view(), "", self.store.now()).unwrap();
            for holder in &holders {
                self.store.fs_action(expire(holder)).unwrap();
            }
            self.finish_recoveries();
            self.store.fs_action(FileSystemAction::Reclaim).unwrap();
            if holders.is_empty() && filesystem::next_detached(self.store.view(), DirectoryId(0)).unwrap().is_none() {
                break;
            }
        }
        assert_eq!(self.open_files(), [], "files that nobody closes");
        for (key, version) in self.versions() {
            self.store.delete(key.as_str(), Some(version));
        }
        let moves = state::list_moves(self.store.view(), None, 1000).unwrap();
        assert_eq!(moves.waiting, []);
        self.store.done(Action::ForgetMoves { contents: moves.stale });
        let changed = state::class_changes(self.store.view(), 1000).unwrap();
        let blocks = changed.into_iter().map(|(block, class)| (block, class.map(|class| (class, 3)))).collect();
        self.store.done(Action::SettleClasses { blocks });
        self.store.done(Action::CloseLease { lease: self.writer.lease });
        self.store.done(Action::DeleteBucket { bucket: BUCKET.into() });
        invariants::check(self.store.view(), &self.store.told);
        let mut tables: Vec<u8> = self.store.view().scan(b"\0", None).map(|pair| pair.unwrap().0[0]).collect();
        tables.dedup();
        // The file system's own lease does not end, and that there are no limits is a row once there were.
        let stay = [layout::META, layout::LEASE, layout::LEASE_HOLDER, layout::QUOTA_COUNT];
        tables.retain(|table| !stay.contains(table));
        let names: Vec<&str> = tables.into_iter().map(layout::table_name).collect();
        assert_eq!(names, Vec::<&str>::new(), "rows are left behind");
        assert!(self.store.told.is_empty());
    }
}
