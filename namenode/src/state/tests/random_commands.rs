//! Random commands against the model: what is read, what is counted, what is left, and that a replay of the same commands
//! in other batches ends in the same bytes.

use super::fixture::*;
use super::invariants;
use super::model::{self, Model, Piece, Version};
use crate::command::{Action, AmendObject, Command, CopyObject, CopyPart, DeleteObjects, RenameObject};
use crate::engine::{Engine, MemoryEngine};
use crate::state::{self, Effect, Transaction};
use granary_protocol::block::{BlockKind, Extent};
use granary_protocol::bucket::{BucketLock, RetentionMode, Versioning};
use granary_protocol::namenode::*;
use granary_protocol::object::*;
use granary_protocol::*;

const SEEDS: u64 = 40;
const STEPS: usize = 160;
const KEYS: [&str; 7] = ["a", "a/", "a/b", "a/b/c", "a//b", "b", "c/d/e/f"];
const MIB: u32 = 1 << 20;

/// SplitMix64: the same numbers from the same seed, always.
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % end as u64) as usize
    }

    pub fn chance(&mut self, one_in: usize) -> bool {
        self.below(one_in) == 0
    }

    pub fn pick<'t, T>(&mut self, of: &'t [T]) -> &'t T {
        &of[self.below(of.len())]
    }
}

struct Run {
    random: Random,
    store: Store,
    model: Model,
    writers: Vec<Writer>,
    /// Whether the bucket has Object Lock: then versioning stays enabled.
    locked: bool,
}

#[test]
fn random_commands_agree_with_the_model() {
    for_each_seed(SEEDS, run);
}

fn run(seed: u64) {
    let mut store = Store::new();
    let writers = (0..2).map(|number| Writer::new(&mut store, &format!("writer-{number}"))).collect();
    let mut run = Run { random: Random(seed), store, model: Model::default(), writers, locked: seed % 3 == 2 };
    if run.locked {
        run.store.set_versioning(Versioning::Enabled);
        run.store.done(Action::SetBucketLock { bucket: BUCKET.into(), lock: BucketLock::default() });
        run.model.versioning = Versioning::Enabled;
    }
    for step in 0..STEPS {
        run.step();
        if step % 8 == 0 || step + 1 == STEPS {
            run.verify();
        }
    }
    replay(&mut run.random, &run.store);
    run.drain();
}

impl Run {
    fn step(&mut self) {
        let key = *self.random.pick(&KEYS);
        match self.random.below(38) {
            0..=7 => self.put(key),
            8..=10 => self.copy(key),
            11..=13 => self.delete(key),
            14..=15 => self.delete_version(key),
            16 => self.create_upload(key),
            17..=18 => self.put_part(),
            19 => self.copy_part(key),
            20 => self.complete(),
            21 if self.random.chance(3) => self.abort(),
            21 | 22 => self.relocate(),
            23 => self.seal(),
            24 if self.random.chance(3) => self.set_versioning(),
            24 => self.abandon(),
            25 => self.end_lease(),
            26..=28 => self.amend(key),
            32..=34 => self.form_group(),
            35..=37 => self.change_group(),
            _ => self.rename(key),
        }
    }

    /// A version of the key, or one that does not exist.
    fn any_version(&mut self, key: &str) -> VersionId {
        let ids: Vec<VersionId> =
            self.model.keys.get(key).map_or(&[][..], Vec::as_slice).iter().map(|version| version.id).collect();
        if ids.is_empty() || self.random.chance(5) { VersionId(999_999) } else { *self.random.pick(&ids) }
    }

    fn amend(&mut self, key: &str) {
        let id = self.any_version(key);
        // The time of the command that is about to be applied.
        let now = UnixMillis(self.store.now().0 + 10);
        let change = match self.random.below(if self.locked { 4 } else { 1 }) {
            0 => {
                let value = self.random.below(100).to_string();
                ObjectChange::Tags(vec![Tag { key: "tag".to_owned(), value }])
            }
            1 => ObjectChange::LegalHold(self.random.chance(2)),
            _ => {
                let mode = *self.random.pick(&[RetentionMode::Governance, RetentionMode::Compliance]);
                let until = UnixMillis(now.0 + *self.random.pick(&[0, 20, 200, 1_000]));
                let retention = (!self.random.chance(4)).then_some(Retention { mode, until });
                ObjectChange::Retention { retention, bypass_governance: self.random.chance(2) }
            }
        };
        let (bucket, key_named) = (BUCKET.into(), key.into());
        let amend = AmendObject { bucket, key: key_named, version: Some(id), change: change.clone() };
        let answer = self.store.apply(Action::AmendObject(Box::new(amend))).map_err(|failure| failure.code);
        let Some(version) = self.model.version_mut(key, id) else {
            assert_eq!(answer, Err(ErrorCode::NoSuchVersion));
            return;
        };
        if version.marker {
            assert!(matches!(answer, Err(ErrorCode::DeleteMarker { current: false, .. })));
            return;
        }
        match (change, answer) {
            (ObjectChange::Tags(tags), Ok(_)) => version.tags = tags,
            (ObjectChange::LegalHold(hold), Ok(_)) => version.lock.legal_hold = hold,
            (ObjectChange::Retention { retention, .. }, Err(ErrorCode::InvalidArgument)) => {
                assert!(retention.unwrap().until <= now);
            }
            (ObjectChange::Retention { retention, bypass_governance }, answer) => {
                let weakened = version.lock.retention.filter(|old| old.until > now).filter(|old| {
                    retention.is_none_or(|new| new.mode != old.mode || new.until < old.until)
                        && !(bypass_governance && old.mode == RetentionMode::Governance)
                });
                match answer {
                    Ok(_) => {
                        assert_eq!(weakened, None);
                        version.lock.retention = retention;
                    }
                    Err(code) => assert_eq!((code, weakened.is_some()), (ErrorCode::ObjectLocked, true)),
                }
            }
            (change, answer) => panic!("{change:?} answered {answer:?}"),
        }
    }

    fn rename(&mut self, key: &str) {
        let source = *self.random.pick(&KEYS);
        let condition = self.condition(key);
        let rename = RenameObject {
            bucket: BUCKET.into(),
            source: source.into(),
            source_condition: WriteCondition::default(),
            key: key.into(),
            condition: condition.clone(),
        };
        let answer = self.store.apply(Action::RenameObject(Box::new(rename))).map_err(|failure| failure.code);
        let expected = match (self.model.versioning, self.model.visible(source)) {
            (Versioning::Enabled | Versioning::Suspended, _) => Err(ErrorCode::InvalidBucketState),
            (Versioning::Off, None) => Err(ErrorCode::NoSuchKey),
            (Versioning::Off, Some(_)) => self.model.check(key, &condition),
        };
        assert_eq!(answer.map(|_| ()), expected, "{source:?} to {key:?}");
        if expected.is_ok() {
            self.model.rename(source, key);
        }
    }

    fn new_content(&mut self) -> Option<NewContent> {
        let writer = self.random.below(self.writers.len());
        let writer = &mut self.writers[writer];
        match self.random.below(8) {
            0 => None,
            1 => Some(writer.own(&mut self.store, &[128 * MIB, 3 * MIB])),
            2 => Some(writer.own(&mut self.store, &[9 * MIB])),
            _ => {
                let length = *self.random.pick(&[1, 100, MIB, 6 * MIB]);
                Some(writer.pack(&mut self.store, length))
            }
        }
    }

    fn pieces(&mut self, content: &Option<NewContent>) -> Vec<Piece> {
        let Some(content) = content else { return Vec::new() };
        self.model.leaves.insert(content.content, content.extents.clone());
        let length = content.extents.iter().map(|extent| u64::from(extent.length)).sum();
        vec![Piece { leaf: content.content, offset: 0, length }]
    }

    fn condition(&mut self, key: &str) -> WriteCondition {
        let etag = self.model.visible(key).map(|version| version.etag);
        match self.random.below(10) {
            0 => WriteCondition { if_absent: true, if_match: None },
            1 => WriteCondition { if_absent: false, if_match: Some(etag) },
            2 => WriteCondition { if_absent: false, if_match: Some(Some(etag_of_nothing())) },
            _ => WriteCondition::default(),
        }
    }

    fn put(&mut self, key: &str) {
        let content = self.new_content();
        if content.is_some() && self.random.chance(8) {
            return; // Written and never committed.
        }
        if self.random.chance(10) {
            self.put_refused_half_way(key, content);
            return;
        }
        let version = model::version(self.pieces(&content));
        let condition = self.condition(key);
        let action = put_if(key, content, version.size(), condition.clone());
        self.write(key, &condition, version, action.clone());
        if self.random.chance(6) {
            // Sent once more: nothing may be counted twice. Only contents can be recognised.
            let before = self.model.current(key).map(|version| version.id);
            if let Ok(NamenodeReply::Put(outcome)) = self.store.apply(action.clone())
                && let Action::PutObject(put) = &action
                && put.content.is_some()
            {
                assert_eq!(Some(outcome.version), before);
            } else if let Action::PutObject(put) = &action
                && put.content.is_none()
                && self.model.check(key, &condition).is_ok()
            {
                let id = self.stored_version(key);
                self.model.write(key, model::version(Vec::new()), id);
            }
        }
    }

    /// The last extent is bad when the others have been taken in already.
    fn put_refused_half_way(&mut self, key: &str, content: Option<NewContent>) {
        let Some(mut content) = content else { return };
        content.extents.push(Extent { block: BlockId(99_999), offset: 32, length: 1 });
        let size = content.extents.iter().map(|extent| u64::from(extent.length)).sum();
        assert_eq!(self.store.refused(put(key, Some(content), size)), ErrorCode::StaleGeneration);
    }

    fn stored_version(&self, key: &str) -> VersionId {
        self.store.get(key, None, Window::Nothing).unwrap().object.version
    }

    fn write(&mut self, key: &str, condition: &WriteCondition, version: Version, action: Action) {
        let allowed = self.model.check(key, condition);
        match (self.store.apply(action), allowed) {
            (Ok(NamenodeReply::Put(outcome)), Ok(())) => self.model.write(key, version, outcome.version),
            (Err(failure), Err(code)) => assert_eq!(failure.code, code),
            other => panic!("{other:?} for {key:?} under {condition:?}"),
        }
    }

    fn copy(&mut self, key: &str) {
        let source = *self.random.pick(&KEYS);
        let condition = self.condition(key);
        let found = self.model.visible(source).cloned();
        let mut object = object(found.as_ref().map_or(0, Version::size));
        object.etag = found.as_ref().map_or(object.etag, |version| version.etag);
        let action = Action::CopyObject(Box::new(CopyObject {
            source_bucket: BUCKET.into(),
            source_key: source.into(),
            source_version: None,
            source_etag: object.etag,
            bucket: BUCKET.into(),
            key: key.into(),
            object,
            condition: condition.clone(),
        }));
        match found {
            Some(version) => {
                let copy = Version { tags: Vec::new(), lock: ObjectLock::default(), ..version };
                self.write(key, &condition, copy, action);
            }
            None => assert!(self.store.refused(action).absent()),
        }
    }

    fn delete(&mut self, key: &str) {
        let outcome = self.store.delete(key, None);
        let marker = self.model.delete(key);
        assert_eq!(outcome.delete_marker, marker);
        if marker {
            let version = Version { marker: true, ..model::version(Vec::new()) };
            self.model.write(key, version, outcome.version.unwrap());
        }
    }

    fn delete_version(&mut self, key: &str) {
        let id = self.any_version(key);
        let bypass_governance = self.random.chance(3);
        let now = UnixMillis(self.store.now().0 + 10);
        let action = Action::DeleteObjects(Box::new(DeleteObjects {
            bucket: BUCKET.into(),
            objects: vec![target(key, Some(id))],
            deleter: owner(),
            bypass_governance,
        }));
        let Ok(NamenodeReply::Deleted(mut results)) = self.store.apply(action) else { panic!("not results") };
        let kept = self.model.version_mut(key, id).is_some_and(|version| {
            let retained = version.lock.retention.is_some_and(|retention| {
                retention.until > now && !(bypass_governance && retention.mode == RetentionMode::Governance)
            });
            retained || version.lock.legal_hold
        });
        match results.pop().unwrap() {
            Ok(outcome) => {
                assert!(!kept, "a locked version died");
                let delete_marker = self.model.delete_version(key, id);
                assert_eq!(outcome, DeleteOutcome { version: Some(id), delete_marker });
            }
            Err(failure) => assert_eq!((failure.code, kept), (ErrorCode::ObjectLocked, true)),
        }
    }

    fn create_upload(&mut self, key: &str) {
        let upload = self.store.create_upload(key);
        self.model.uploads.insert(upload, (key.to_owned(), Default::default()));
    }

    fn upload(&mut self) -> Option<(UploadId, String)> {
        let uploads: Vec<_> = self.model.uploads.iter().map(|(upload, (key, _))| (*upload, key.clone())).collect();
        (!uploads.is_empty()).then(|| self.random.pick(&uploads).clone())
    }

    fn put_part(&mut self) {
        let Some((upload, key)) = self.upload() else { return };
        let number = 1 + self.random.below(4) as u16;
        let content = self.new_content();
        let pieces = self.pieces(&content);
        let size = pieces.iter().map(|piece| piece.length).sum();
        let action = put_part(&key, upload, part_info(number, size), content.clone());
        self.store.done(action.clone());
        if content.is_some() {
            self.store.done(action);
        }
        self.model.uploads.get_mut(&upload).unwrap().1.insert(number, pieces);
    }

    fn copy_part(&mut self, source: &str) {
        let Some((upload, key)) = self.upload() else { return };
        let Some(version) = self.model.visible(source).cloned() else { return };
        let size = version.size();
        let offset = self.random.below(size as usize + 1) as u64;
        let offset = if self.random.chance(2) { 0 } else { offset };
        let length =
            if self.random.chance(2) { size - offset } else { self.random.below((size - offset) as usize + 1) as u64 };
        let number = 1 + self.random.below(4) as u16;
        self.store.done(Action::CopyPart(Box::new(CopyPart {
            source_bucket: BUCKET.into(),
            source_key: source.into(),
            source_version: Some(version.id),
            source_etag: version.etag,
            offset,
            bucket: BUCKET.into(),
            key: key.as_str().into(),
            upload,
            part: part_info(number, length),
        })));
        let pieces = model::cut(&version.pieces, offset, length);
        self.model.uploads.get_mut(&upload).unwrap().1.insert(number, pieces);
    }

    fn complete(&mut self) {
        let Some((upload, key)) = self.upload() else { return };
        let stored = &self.model.uploads[&upload].1;
        let parts: Vec<(u16, Vec<Piece>)> = stored
            .iter()
            .filter(|(number, _)| **number != 2)
            .map(|(number, pieces)| (*number, pieces.clone()))
            .collect();
        let size = |pieces: &[Piece]| pieces.iter().map(|piece| piece.length).sum::<u64>();
        let infos: Vec<PartInfo> = parts.iter().map(|(number, pieces)| part_info(*number, size(pieces))).collect();
        let action = complete(&key, upload, &infos);
        let Some((_, all_but_last)) = infos.split_last() else {
            assert_eq!(self.store.refused(action), ErrorCode::InvalidArgument);
            return;
        };
        if all_but_last.iter().any(|part| part.size < PART_BYTES_MIN) {
            assert_eq!(self.store.refused(action), ErrorCode::EntityTooSmall);
            return;
        }
        let outcome = self.store.put_outcome(action.clone());
        let etag = outcome.etag;
        let pieces: Vec<Piece> = parts.into_iter().flat_map(|(_, pieces)| pieces).collect();
        self.model.write(&key, Version { etag, ..model::version(pieces) }, outcome.version);
        self.model.uploads.remove(&upload);
        assert_eq!(self.store.put_outcome(action), outcome);
    }

    fn abort(&mut self) {
        let Some((upload, key)) = self.upload() else { return };
        self.store.done(Action::AbortUpload { bucket: BUCKET.into(), key: key.into(), upload });
        self.model.uploads.remove(&upload);
    }

    /// Moves records of one packed block, as a compactor does; some of them are gone by then.
    fn relocate(&mut self) {
        let packed: Vec<(ContentId, Extent)> = self
            .model
            .leaves
            .iter()
            .filter_map(|(content, extents)| match extents.as_slice() {
                [extent] if extent.offset > 0 => Some((*content, *extent)),
                _ => None,
            })
            .collect();
        if packed.is_empty() {
            return;
        }
        let first = self.random.below(packed.len());
        let records = &packed[first..packed.len().min(first + 4)];
        let alive = state::records_alive(self.store.view(), records).unwrap();
        let moves: Vec<ContentMove> = records
            .iter()
            .map(|(content, from)| {
                let to = self.writers[0].place(&mut self.store, from.length);
                ContentMove { content: *content, from: *from, to }
            })
            .collect();
        let lease = self.writers[0].lease;
        let reply = self.store.apply(Action::RelocateContents { lease, moves: moves.clone() });
        assert_eq!(reply, Ok(NamenodeReply::Alive(alive.clone())));
        for (step, moved) in moves.iter().zip(alive) {
            if moved {
                self.model.leaves.insert(step.content, vec![step.to]);
            }
        }
    }

    fn seal(&mut self) {
        let writer = self.random.below(self.writers.len());
        let recovered = self.random.chance(2);
        let lease = self.writers[writer].lease;
        let Some((block, length)) = self.writers[writer].packed.take() else { return };
        let generation = self.store.block(block).unwrap().generation.0 + u64::from(recovered);
        let stored_on = vec![VolumeId(1), VolumeId(2)];
        let reply = self.store.apply(Action::SealBlock { lease, block, length, stored_on, recovered });
        assert_eq!(reply, Ok(NamenodeReply::Sealed(GenerationStamp(generation))));
    }

    /// Codes a few blocks that may be, or finds that one of them may not.
    fn form_group(&mut self) {
        let free = |(block, record): (&BlockId, &state::BlockRecord)| {
            let data = record.kind != BlockKind::Parity && (record.kind != BlockKind::Owned || record.attached);
            let codable = data && record.state == state::BlockState::Sealed && record.live_bytes > 0;
            (codable && state::group_of(self.store.view(), *block).unwrap().is_none()).then_some(*block)
        };
        let mut data: Vec<BlockId> = self.store.told.iter().filter_map(free).collect();
        data.truncate(1 + self.random.below(3));
        let class = StorageClass::StandardIa;
        if data.is_empty() {
            let data = vec![BlockId(99_999)];
            assert_eq!(self.store.refused(Action::FormGroup { class, data, parity: 1 }), ErrorCode::StaleGeneration);
            return;
        }
        let parity = 1 + self.random.below(2) as u8;
        self.store.done(Action::FormGroup { class, data: data.clone(), parity });
        let again = Action::FormGroup { class, data: data[..1].to_vec(), parity };
        assert_eq!(self.store.refused(again), ErrorCode::Conflict);
    }

    /// Takes a group one step further, whichever way is open to it.
    fn change_group(&mut self) {
        let mut groups = Vec::new();
        state::for_each_group(self.store.view(), |group, record| groups.push((group, record.state))).unwrap();
        if groups.is_empty() {
            return;
        }
        let (group, from) = *self.random.pick(&groups);
        let (open, closed) = match from {
            state::GroupState::Encoding if self.random.chance(4) => {
                (Action::DropGroup { group }, Action::ReleaseGroup { group, replicas_wanted: 3 })
            }
            state::GroupState::Encoding => {
                (Action::CommitGroup { group }, Action::ReleaseGroup { group, replicas_wanted: 3 })
            }
            state::GroupState::Coded => {
                (Action::ReleaseGroup { group, replicas_wanted: 3 }, Action::DropGroup { group })
            }
            state::GroupState::Dissolving => (Action::DropGroup { group }, Action::CommitGroup { group }),
        };
        assert_eq!(self.store.refused(closed), ErrorCode::Conflict);
        self.store.done(open);
    }

    fn abandon(&mut self) {
        let writer = self.random.below(self.writers.len());
        let lease = self.writers[writer].lease;
        let unused = self.store.allocate(lease, BlockKind::Owned);
        let blocks = match self.writers[writer].packed.take() {
            Some((block, _)) => vec![unused, block, BlockId(99_999)],
            None => vec![unused],
        };
        self.store.done(Action::AbandonBlocks { lease, blocks });
    }

    fn end_lease(&mut self) {
        let writer = self.random.below(self.writers.len());
        let lease = self.writers[writer].lease;
        match self.random.below(3) {
            0 => self.store.done(Action::CloseLease { lease }),
            1 => self.store.done(Action::ExpireLease { lease }),
            _ => {}
        }
        let late = self.writers[writer].pack_unless_ended(&mut self.store);
        self.writers[writer] = Writer::new(&mut self.store, &format!("writer-{writer}"));
        if let Some(late) = late {
            let length = u64::from(late.extents[0].length);
            assert_eq!(self.store.refused(put("late", Some(late), length)), ErrorCode::LeaseExpired);
        }
        assert!(self.store.effects.is_empty() || matches!(self.store.effects.last(), Some(Effect::LeaseOpened { .. })));
    }

    fn set_versioning(&mut self) {
        if self.locked {
            return;
        }
        let versioning = *self.random.pick(&[Versioning::Enabled, Versioning::Enabled, Versioning::Suspended]);
        self.store.set_versioning(versioning);
        self.model.versioning = versioning;
    }

    fn verify(&mut self) {
        invariants::check(self.store.view(), &self.store.told);
        let visible: Vec<String> =
            KEYS.iter().filter(|key| self.model.visible(key).is_some()).map(|key| key.to_string()).collect();
        let mut sorted = visible.clone();
        sorted.sort();
        assert_eq!(self.store.list("", "", ListAfter::Start, 3), sorted);
        for key in KEYS {
            match self.model.visible(key) {
                Some(version) => self.verify_version(key, None, version.clone()),
                None => {
                    let found = self.store.get(key, None, Window::Nothing).map_err(|code| code.absent());
                    assert_eq!(found, Err(true));
                }
            }
            for version in self.model.keys.get(key).cloned().unwrap_or_default() {
                match version.marker {
                    false => self.verify_version(key, Some(version.id), version),
                    true => match self.store.get(key, Some(version.id), Window::Nothing) {
                        Err(ErrorCode::DeleteMarker { version: id, current: false, .. }) => assert_eq!(id, version.id),
                        other => panic!("a marker is read as {other:?}"),
                    },
                }
            }
        }
        for (upload, (key, parts)) in &self.model.uploads {
            let (_, stored, more) =
                state::list_parts(self.store.view(), &BUCKET.into(), &key.as_str().into(), *upload, 0, 100).unwrap();
            assert!(!more);
            assert_eq!(
                stored.iter().map(|part| part.number).collect::<Vec<_>>(),
                parts.keys().copied().collect::<Vec<_>>()
            );
        }
    }

    fn verify_version(&mut self, key: &str, id: Option<VersionId>, version: Version) {
        let size = version.size();
        let all = self.store.get(key, id, Window::Range { first: 0, last: None }).unwrap();
        assert_eq!((all.object.version, all.object.size, all.object.etag), (version.id, size, version.etag));
        assert_eq!((&all.object.details.tags, all.object.lock), (&version.tags, version.lock));
        assert_eq!(model::found_runs(&all.extents, 0), self.model.runs(&version.pieces, 0, size));
        if size == 0 {
            return;
        }
        let first = self.random.below(size as usize) as u64;
        let last = first + self.random.below((size - first) as usize) as u64;
        let window = self.store.get(key, id, Window::Range { first, last: Some(last) }).unwrap();
        let length = last - first + 1;
        assert_eq!((window.offset, window.length), (first, length));
        let runs = self.model.runs(&version.pieces, first, length);
        assert_eq!(model::found_runs(&window.extents, first), runs);
        let located = state::locate_content(self.store.view(), window.content.unwrap(), first, length).unwrap();
        assert_eq!(located, window.extents);
    }

    /// Deletes everything that was ever made: nothing may be left behind.
    fn drain(mut self) {
        // Retentions run out.
        self.store.advance(1_000);
        for (upload, (key, _)) in std::mem::take(&mut self.model.uploads) {
            self.store.done(Action::AbortUpload { bucket: BUCKET.into(), key: key.into(), upload });
        }
        for (key, versions) in std::mem::take(&mut self.model.keys) {
            for version in versions {
                if version.lock.legal_hold {
                    let (bucket, key) = (BUCKET.into(), key.as_str().into());
                    let change = ObjectChange::LegalHold(false);
                    let amend = AmendObject { bucket, key, version: Some(version.id), change };
                    self.store.apply(Action::AmendObject(Box::new(amend))).unwrap();
                }
                self.store.delete(&key, Some(version.id));
            }
        }
        for writer in &self.writers {
            self.store.done(Action::CloseLease { lease: writer.lease });
        }
        self.store.done(Action::DeleteBucket { bucket: BUCKET.into() });
        invariants::check(self.store.view(), &self.store.told);
        let mut tables: Vec<u8> = self.store.view().scan(b"\0", None).map(|pair| pair.unwrap().0[0]).collect();
        tables.dedup();
        assert_eq!(tables, [state::layout::META], "rows are left behind");
        assert!(self.store.told.is_empty());
    }
}

impl Writer {
    /// A content that is committed too late: after its lease has ended.
    fn pack_unless_ended(&mut self, store: &mut Store) -> Option<NewContent> {
        self.packed.is_some().then(|| state::get_lease(store.view(), self.lease).unwrap()).flatten()?;
        Some(self.pack(store, 10))
    }
}

fn etag_of_nothing() -> ETag {
    ETag { md5: [0xee; 16], parts: None }
}

fn replay(random: &mut Random, store: &Store) {
    let engine = MemoryEngine::new();
    let mut commands = store.commands.as_slice();
    while !commands.is_empty() {
        let (batch, rest) = commands.split_at(1 + random.below(commands.len().min(20)));
        apply_batch(&engine, batch);
        commands = rest;
    }
    let dump = |engine: &dyn Engine| engine.scan(b"\0", None).map(|pair| pair.unwrap()).collect::<Vec<_>>();
    assert_eq!(dump(&engine), dump(store.view()));
}

fn apply_batch(engine: &MemoryEngine, commands: &[Command]) {
    let mut tx = Transaction::begin(engine).unwrap();
    for command in commands {
        state::apply(&mut tx, command).unwrap();
    }
    engine.write(tx.into_batch()).unwrap();
}
