//! Random calls of the file system, mixed with S3's, against a model that knows nothing but a set of keys: a directory is
//! whatever keys lie under, a folder marker is a key, and a call is a change of that set.

use super::fixture::*;
use super::invariants;
use super::random_commands::Random;
use crate::command::FileSystemAction;
use crate::state::filesystem::Answer;
use granary_protocol::filesystem::*;
use granary_protocol::namenode::ListAfter;
use granary_protocol::*;
use std::collections::{BTreeMap, BTreeSet};

const SEEDS: u64 = 25;
const STEPS: usize = 120;
/// Names that sort around a slash, and each other's beginnings.
const NAMES: [&str; 5] = ["a", "a-b", "a.c", "b", "a0"];

/// Who opens files to append to them.
const APPENDER: &str = "appender";

/// Keys with their bytes, and files being written: what they began with and whom they belong to.
#[derive(Default)]
struct Model {
    keys: BTreeMap<String, u64>,
    open: BTreeMap<String, (u64, String)>,
}

impl Model {
    fn is_directory(&self, path: &str) -> bool {
        let prefix = format!("{path}/");
        path.is_empty() || self.has_keys(&prefix) || self.open.keys().any(|key| key.starts_with(&prefix))
    }

    fn has_keys(&self, prefix: &str) -> bool {
        self.keys.keys().any(|key| key.starts_with(prefix))
    }

    fn is_file(&self, path: &str) -> bool {
        self.keys.contains_key(path) || self.open.contains_key(path)
    }

    fn file_above(&self, path: &str) -> bool {
        let mut above: Vec<&str> = path.match_indices('/').map(|(at, _)| &path[..at]).collect();
        above.sort();
        for directory in above {
            if !self.is_directory(directory) {
                return self.is_file(directory);
            }
        }
        false
    }

    fn parent_is_directory(&self, path: &str) -> bool {
        path.rsplit_once('/').is_none_or(|(parent, _)| self.is_directory(parent))
    }

    fn keep_parent(&mut self, path: &str) {
        if let Some((parent, _)) = path.rsplit_once('/')
            && !self.has_keys(&format!("{parent}/"))
        {
            self.keys.insert(format!("{parent}/"), 0);
        }
    }

    fn mkdirs(&mut self, path: &str) -> Result<FsReply, ErrorCode> {
        if self.file_above(path) {
            return Err(ErrorCode::ParentNotDirectory);
        }
        if self.is_file(path) {
            return Err(ErrorCode::FileAlreadyExists);
        }
        if !self.is_directory(path) {
            self.keys.insert(format!("{path}/"), 0);
        }
        Ok(FsReply::Flag(true))
    }

    fn delete(&mut self, path: &str, recursive: bool) -> Result<FsReply, ErrorCode> {
        if self.file_above(path) {
            return Err(ErrorCode::ParentNotDirectory);
        }
        if self.is_file(path) {
            self.keys.remove(path);
            self.open.remove(path);
        } else if self.is_directory(path) {
            let prefix = format!("{path}/");
            let inside = |key: &String| key.starts_with(&prefix) && *key != prefix;
            if !recursive && (self.keys.keys().any(inside) || self.open.keys().any(inside)) {
                return Err(ErrorCode::DirectoryNotEmpty);
            }
            self.keys.retain(|key, _| !key.starts_with(&prefix));
            self.open.retain(|key, _| !key.starts_with(&prefix));
        } else {
            return Ok(FsReply::Flag(false));
        }
        self.keep_parent(path);
        Ok(FsReply::Flag(true))
    }

    fn rename(&mut self, from: &str, to: &str) -> Result<FsReply, ErrorCode> {
        if self.file_above(from) || self.file_above(to) {
            return Err(ErrorCode::ParentNotDirectory);
        }
        let exists = |model: &Model, path: &str| model.is_file(path) || model.is_directory(path);
        let mut to = to.to_owned();
        if !self.is_file(&to) && self.is_directory(&to) && exists(self, from) && to != from {
            to = format!("{to}/{}", from.rsplit('/').next().unwrap());
        }
        if self.file_above(&to) {
            return Err(ErrorCode::ParentNotDirectory);
        }
        if !exists(self, from) {
            return Ok(FsReply::Flag(false));
        }
        if from == to {
            return Ok(FsReply::Flag(true));
        }
        let inside = to.starts_with(&format!("{from}/"));
        if inside || exists(self, &to) || !self.parent_is_directory(&to) {
            return Ok(FsReply::Flag(false));
        }
        self.move_keys(from, &to);
        Ok(FsReply::Flag(true))
    }

    fn rename_2(&mut self, from: &str, to: &str, overwrite: bool) -> Result<FsReply, ErrorCode> {
        if self.file_above(from) || self.file_above(to) {
            return Err(ErrorCode::ParentNotDirectory);
        }
        let exists = |path: &str| self.is_file(path) || self.is_directory(path);
        if !exists(from) {
            return Err(ErrorCode::FileNotFound);
        }
        if from == to {
            return Err(ErrorCode::FileAlreadyExists);
        }
        if to.starts_with(&format!("{from}/")) {
            return Err(ErrorCode::FileSystemRefused);
        }
        if exists(to) {
            if self.is_file(from) != self.is_file(to) {
                return Err(ErrorCode::FileSystemRefused);
            }
            if !overwrite {
                return Err(ErrorCode::FileAlreadyExists);
            }
            if !self.is_file(to) {
                self.delete(to, false).map_err(|_| ErrorCode::FileSystemRefused)?;
            } else if !self.open.contains_key(from) {
                self.open.remove(to);
            }
        } else if !self.parent_is_directory(to) {
            return Err(ErrorCode::FileNotFound);
        }
        self.move_keys(from, to);
        Ok(FsReply::Done)
    }

    fn move_keys(&mut self, from: &str, to: &str) {
        if self.is_file(from) {
            if let Some(size) = self.keys.remove(from) {
                self.keys.insert(to.to_owned(), size);
            }
            if let Some(open) = self.open.remove(from) {
                self.open.insert(to.to_owned(), open);
            }
        } else {
            let prefix = format!("{from}/");
            let moved = |key: &String| format!("{to}/{}", &key[prefix.len()..]);
            let keys: Vec<_> = self.keys.extract_if(.., |key, _| key.starts_with(&prefix)).collect();
            self.keys.extend(keys.into_iter().map(|(key, size)| (moved(&key), size)));
            let open: Vec<_> = self.open.extract_if(.., |key, _| key.starts_with(&prefix)).collect();
            self.open.extend(open.into_iter().map(|(key, value)| (moved(&key), value)));
        }
        self.keep_parent(from);
    }

    /// Entries of a directory by name: bytes of files, `None` for directories.
    fn list(&self, path: &str) -> BTreeMap<String, Option<u64>> {
        let prefix = if path.is_empty() { String::new() } else { format!("{path}/") };
        let mut entries = BTreeMap::new();
        for (key, size) in &self.keys {
            let Some(rest) = key.strip_prefix(&prefix).filter(|rest| !rest.is_empty()) else { continue };
            match rest.split_once('/') {
                Some((name, _)) => entries.entry(name.to_owned()).or_insert(None),
                None => entries.entry(rest.to_owned()).insert_entry(Some(*size)).into_mut(),
            };
        }
        for (key, (size, _)) in &self.open {
            let Some(rest) = key.strip_prefix(&prefix) else { continue };
            match rest.split_once('/') {
                Some((name, _)) => drop(entries.entry(name.to_owned()).or_insert(None)),
                None => drop(entries.insert(rest.to_owned(), Some(*size))),
            }
        }
        entries
    }
}

struct Run {
    random: Random,
    store: Store,
    model: Model,
    writer: Writer,
    /// Of the names: few, in some runs, so that calls meet.
    names: usize,
}

#[test]
fn random_calls_agree_with_the_model() {
    for_each_seed(SEEDS, run);
}

fn run(seed: u64) {
    let mut store = Store::new();
    let writer = Writer::new(&mut store, "gateway");
    let mut run = Run { random: Random(seed), store, model: Model::default(), writer, names: 2 + seed as usize % 4 };
    for step in 0..STEPS {
        run.step();
        run.verify();
        if step % 10 == 0 {
            invariants::check(run.store.view(), &run.store.told);
        }
    }
    run.reclaim();
    invariants::check(run.store.view(), &run.store.told);
}

fn fs_path(key: &str) -> FsPath {
    FsPath::parse(&format!("/{BUCKET}/{key}")).unwrap()
}

impl Run {
    fn key(&mut self) -> String {
        let depth = 1 + self.random.below(3);
        let names: Vec<&str> = (0..depth).map(|_| NAMES[self.random.below(self.names)]).collect();
        names.join("/")
    }

    fn step(&mut self) {
        let key = self.key();
        match self.random.below(26) {
            0..=2 => {
                let request =
                    FsRequest::Mkdirs { path: fs_path(&key), permission: 0o755, unmasked: None, create_parent: true };
                let answer = self.store.fs(request).map_err(|failure| failure.code);
                assert_eq!(answer, self.model.mkdirs(&key), "mkdirs {key}");
            }
            3..=6 => self.create(&key),
            7..=8 => self.complete(),
            9..=10 => {
                let recursive = self.random.below(2) == 0;
                let request = FsRequest::Delete { path: fs_path(&key), recursive };
                let answer = self.store.fs(request).map_err(|failure| failure.code);
                assert_eq!(answer, self.model.delete(&key, recursive), "delete {key} {recursive}");
            }
            11..=14 => {
                let to = self.key();
                let request = FsRequest::Rename { from: fs_path(&key), to: fs_path(&to) };
                let answer = self.store.fs(request).map_err(|failure| failure.code);
                assert_eq!(answer, self.model.rename(&key, &to), "rename {key} to {to}");
            }
            20..=22 => {
                let (to, overwrite) = (self.key(), self.random.below(4) > 0);
                let request = FsRequest::Rename2 { from: fs_path(&key), to: fs_path(&to), overwrite };
                let answer = self.store.fs(request).map_err(|failure| failure.code);
                assert_eq!(answer, self.model.rename_2(&key, &to, overwrite), "rename {key} over {to} {overwrite}");
            }
            15 => self.append(&key),
            16 => self.truncate(&key),
            17 => self.reclaim(),
            18 => {
                let size = 1 + self.random.below(1000) as u64;
                let content = self.writer.pack(&mut self.store, size as u32);
                self.store.put_outcome(put(&key, Some(content), size));
                self.model.keys.insert(key, size);
            }
            _ => {
                let keys: Vec<String> = self.model.keys.keys().cloned().collect();
                if let Some(key) = (!keys.is_empty()).then(|| &keys[self.random.below(keys.len())]) {
                    self.store.delete(key, None);
                    self.model.keys.remove(key);
                }
            }
        }
    }

    fn create(&mut self, key: &str) {
        let overwrite = self.random.below(2) == 0;
        let holder = format!("writer-{}", self.random.below(2));
        let flags =
            CreateFlags(if overwrite { CreateFlags::CREATE | CreateFlags::OVERWRITE } else { CreateFlags::CREATE });
        let create = CreateFile {
            path: fs_path(key),
            holder: holder.clone(),
            permission: 0o644,
            unmasked: None,
            flags,
            create_parent: true,
            replication: 3,
            block_size: 1 << 20,
            policy: None,
        };
        let answer = self.store.fs(FsRequest::Create(Box::new(create))).map_err(|failure| failure.code);
        let expected = if self.model.file_above(key) {
            Some(ErrorCode::ParentNotDirectory)
        } else if !self.model.is_file(key) && self.model.is_directory(key) {
            Some(ErrorCode::FileAlreadyExists)
        } else if self.model.open.contains_key(key) && !overwrite {
            Some(ErrorCode::AlreadyBeingCreated)
        } else if self.model.is_file(key) && !overwrite {
            Some(ErrorCode::FileAlreadyExists)
        } else {
            None
        };
        assert_eq!(answer.as_ref().err(), expected.as_ref(), "create {key}");
        if expected.is_none() {
            if let Some((parent, _)) = key.rsplit_once('/')
                && !self.model.is_directory(parent)
            {
                self.model.mkdirs(parent).unwrap();
            }
            self.model.open.insert(key.to_owned(), (0, holder));
        }
    }

    fn complete(&mut self) {
        let open: Vec<String> = self.model.open.keys().cloned().collect();
        if open.is_empty() {
            return;
        }
        let key = open[self.random.below(open.len())].clone();
        let (base, holder) = self.model.open.remove(&key).unwrap();
        let (path, file) = (fs_path(&key), FileId(0));
        // One whose directory S3 has emptied meanwhile is not reached by its path alone.
        let reached = self.model.parent_is_directory(&key) && !self.model.file_above(&key);
        let id = match self.store.fs_read(&superuser(), &FsRequest::Status { path: path.clone() }) {
            Ok(Answer::Reply(FsReply::Status(Some(status)))) if reached => status.file_id,
            _ => file,
        };
        let mut previous = None;
        let mut size = base;
        for _ in 0..self.random.below(3) {
            let request = FsRequest::AddBlock {
                path: path.clone(),
                file: id,
                holder: holder.clone(),
                previous,
                hints: NewBlockHints::default(),
            };
            match self.store.fs(request) {
                Ok(FsReply::Block(block)) => {
                    let length = 1 + self.random.below(1 << 20) as u64;
                    size += length;
                    previous = Some(ClientBlock { block: block.extent.block, generation: GenerationStamp(1), length });
                }
                Err(failure) if !reached => {
                    assert_eq!(failure.code, ErrorCode::FileNotFound);
                    self.model.open.insert(key, (base, holder));
                    return;
                }
                other => panic!("addBlock {key}: {other:?}"),
            }
        }
        let answer = self.store.fs(FsRequest::Complete { path, file: id, holder: holder.clone(), last: previous });
        match answer {
            // Nothing was appended: whatever the key names by now stays.
            Ok(FsReply::Flag(true)) if holder == APPENDER && previous.is_none() => {}
            Ok(FsReply::Flag(true)) => {
                self.model.keys.insert(key, size);
            }
            Err(_) if !reached => {
                self.model.open.insert(key, (base, holder));
            }
            other => panic!("complete {key}: {other:?}"),
        }
    }

    fn append(&mut self, key: &str) {
        let holder = APPENDER.to_owned();
        let request = FsRequest::Append { path: fs_path(key), holder: holder.clone() };
        let answer = self.store.fs(request).map_err(|failure| failure.code);
        if self.model.file_above(key) {
            assert_eq!(answer, Err(ErrorCode::ParentNotDirectory));
        } else if let Some((_, of)) = self.model.open.get(key) {
            assert_eq!(answer, Err(ErrorCode::AlreadyBeingCreated), "append {key} of {of}");
        } else if let Some(size) = self.model.keys.get(key) {
            assert!(matches!(answer, Ok(FsReply::Appended { block: None, .. })), "append {key}: {answer:?}");
            self.model.open.insert(key.to_owned(), (*size, holder));
        } else {
            assert_eq!(answer, Err(ErrorCode::FileNotFound), "append {key}");
        }
    }

    fn truncate(&mut self, key: &str) {
        let length = self.random.below(1500) as u64;
        let request = FsRequest::Truncate { path: fs_path(key), length, holder: "cutter".to_owned() };
        let answer = self.store.fs(request).map_err(|failure| failure.code);
        if self.model.file_above(key) {
            assert_eq!(answer, Err(ErrorCode::ParentNotDirectory));
        } else if self.model.open.contains_key(key) {
            assert_eq!(answer, Err(ErrorCode::AlreadyBeingCreated));
        } else {
            match self.model.keys.get_mut(key) {
                Some(size) if *size >= length => {
                    assert_eq!(answer, Ok(FsReply::Flag(true)), "truncate {key}");
                    *size = length;
                }
                Some(_) => assert_eq!(answer, Err(ErrorCode::InvalidArgument)),
                None => assert_eq!(answer, Err(ErrorCode::FileNotFound), "truncate {key}"),
            }
        }
    }

    fn reclaim(&mut self) {
        while crate::state::filesystem::next_detached(self.store.view(), DirectoryId(0)).unwrap().is_some() {
            self.store.fs_action(FileSystemAction::Reclaim).unwrap();
        }
    }

    fn verify(&self) {
        let keys: Vec<String> = self.store.list("", "", ListAfter::Start, 1000);
        assert!(keys.iter().eq(self.model.keys.keys()), "{keys:?} but {:?}", self.model.keys);
        let mut directories: BTreeSet<String> = BTreeSet::from([String::new()]);
        for key in self.model.keys.keys().chain(self.model.open.keys()) {
            directories.extend(key.match_indices('/').map(|(at, _)| key[..at].to_owned()));
        }
        for directory in directories {
            // A directory of a file's name is not listed itself.
            if self.model.is_file(&directory) {
                continue;
            }
            let path =
                if directory.is_empty() { FsPath::parse(&format!("/{BUCKET}")).unwrap() } else { fs_path(&directory) };
            let request = FsRequest::List { path, after: String::new(), locations: true };
            let Ok(Answer::Listing(listing)) = self.store.fs_read(&superuser(), &request) else {
                panic!("{directory} is not listed");
            };
            let shown: Vec<(String, Option<u64>)> = listing
                .entries
                .iter()
                .map(|(status, _)| (status.name.clone(), (status.kind == FileKind::File).then_some(status.length)))
                .collect();
            let expected: Vec<(String, Option<u64>)> = self.model.list(&directory).into_iter().collect();
            assert_eq!(shown, expected, "in {directory:?}");
        }
    }
}
