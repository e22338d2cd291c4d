//! openraft's state machine: applies batches to the engine and tells the soft state what happened.

use super::log_store::{blocking, lock};
use super::snapshot::{Receiving, SnapshotData};
use super::{BatchReply, Entry, LogId, PeerNode, TypeConfig};
use crate::blocks::Blocks;
use crate::engine::{self, Engine, EngineConfig, EngineError, EngineKind, EngineSnapshot, WriteBatch, WriteOp};
use crate::startup::NamenodeError;
use crate::state::{self, Effect, Transaction, View};
use granary_protocol::PeerId;
use granary_rpc::may_block_here;
use openraft::storage::RaftStateMachine;
use openraft::{
    AnyError, EntryPayload, ErrorSubject, ErrorVerb, Membership, RaftSnapshotBuilder, Snapshot, SnapshotMeta,
    StorageError, StorageIOError, StoredMembership,
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use tokio::sync::watch;

/// The meta record that goes into the same batch as what it describes.
const APPLIED: &str = "raft.applied";
/// A meta row that says nothing: see [`AppliedStore::compact`].
const COMPACTED: &str = "engine.compacted";
/// Names the engine directory in use.
const CURRENT: &str = "CURRENT";

/// How far the state is applied.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct AppliedState {
    last: Option<LogId>,
    membership: StoredMembership<u64, PeerNode>,
}

/// The applied state, shared by the machine, which writes it, and the service, which reads it.
pub struct AppliedStore {
    directory: PathBuf,
    kind: EngineKind,
    config: EngineConfig,
    engine: RwLock<Arc<dyn Engine>>,
    /// The highest generation that a directory was ever made for by this process.
    generations: AtomicU64,
    blocks: Mutex<Blocks>,
    state: Mutex<AppliedState>,
    index: watch::Sender<Option<u64>>,
    on_effects: Box<dyn Fn(&[Effect]) + Send + Sync>,
    /// Since the engine was last compacted.
    deleted_rows: AtomicU64,
}

impl AppliedStore {
    /// Opens the state in `directory` and rebuilds the soft state from its block records.
    ///
    /// `on_effects` is told what applied commands did, after the soft state of blocks was.
    pub fn open(
        directory: &Path,
        kind: EngineKind,
        config: EngineConfig,
        blocks: Blocks,
        on_effects: impl Fn(&[Effect]) + Send + Sync + 'static,
    ) -> Result<AppliedStore, NamenodeError> {
        fs::create_dir_all(directory)?;
        let generation = current_generation(directory)?;
        remove_other_generations(directory, generation)?;
        let engine = engine::open(kind, &generation_directory(directory, generation), &config)?;
        state::check_layout(&*engine)?;
        let (index, _) = watch::channel(None);
        let applied = AppliedStore {
            directory: directory.to_owned(),
            kind,
            config,
            engine: RwLock::new(engine),
            generations: AtomicU64::new(generation),
            blocks: Mutex::new(blocks),
            state: Mutex::default(),
            index,
            on_effects: Box::new(on_effects),
            deleted_rows: AtomicU64::new(0),
        };
        applied.reload()?;
        // After a crash of the process alone, what was applied last may be in the page cache only. openraft takes the state
        // found at start for a snapshot and may purge the log up to it.
        applied.engine().sync()?;
        Ok(applied)
    }

    /// The engine with the applied state.
    pub fn engine(&self) -> Arc<dyn Engine> {
        self.engine.read().expect("the engine is swapped without panicking").clone()
    }

    /// Rows deleted since the engine was last compacted; a start forgets them.
    pub fn deleted_rows(&self) -> u64 {
        self.deleted_rows.load(Ordering::Relaxed)
    }

    /// Has the engine give back the space of deleted rows. Blocks for as long as rewriting the living ones takes.
    pub fn compact(&self) -> Result<(), EngineError> {
        self.deleted_rows.store(0, Ordering::Relaxed);
        let engine = self.engine();
        engine.compact()?;
        // An engine that keeps its old files until it next writes one is given something to write.
        let mut batch = WriteBatch::new();
        batch.put(state::layout::meta(COMPACTED), Vec::new());
        engine.write(batch)?;
        engine.compact()
    }

    /// A consistent view of the applied state.
    pub fn view(&self) -> Result<Box<dyn EngineSnapshot>, EngineError> {
        self.engine().snapshot()
    }

    /// Works on the soft state of blocks. Keep it short: nothing else may while this runs.
    pub fn with_blocks<T>(&self, work: impl FnOnce(&mut Blocks) -> T) -> T {
        work(&mut lock(&self.blocks))
    }

    /// Follows the index of the last applied entry.
    pub fn index(&self) -> watch::Receiver<Option<u64>> {
        self.index.subscribe()
    }

    fn reload(&self) -> Result<(), NamenodeError> {
        let engine = self.engine();
        let saved = saved_state(&*engine)?;
        let mut blocks = lock(&self.blocks);
        blocks.clear();
        state::for_each_block(&*engine, |block, record| blocks.restore(block, &record))?;
        state::for_each_group(&*engine, |group, record| blocks.restore_group(group, &record))?;
        blocks.set_archive_targets(&state::target_classes(&*engine)?);
        state::for_each_external(&*engine, |block, external| blocks.restore_external(block, &external))?;
        blocks.set_keys(state::block_keys(&*engine)?);
        blocks.set_intents(state::datanode_intents(&*engine)?);
        blocks.set_drained(state::drained_volumes(&*engine)?);
        drop(blocks);
        self.index.send_replace(saved.last.map(|log_id| log_id.index));
        *lock(&self.state) = saved;
        Ok(())
    }

    fn apply_all(&self, entries: Vec<Entry>) -> Result<Vec<BatchReply>, NamenodeError> {
        let engine = self.engine();
        let mut applied = lock(&self.state).clone();
        let mut transaction = Transaction::begin(&*engine)?;
        let mut replies = Vec::with_capacity(entries.len());
        let mut effects = Vec::new();
        for entry in entries {
            applied.last = Some(entry.log_id);
            let mut reply = BatchReply::default();
            match entry.payload {
                EntryPayload::Blank => {}
                EntryPayload::Membership(membership) => {
                    applied.membership = StoredMembership::new(Some(entry.log_id), membership);
                }
                EntryPayload::Normal(batch) => {
                    for command in batch.0.iter() {
                        let outcome = state::apply(&mut transaction, command)?;
                        reply.0.push(outcome.reply);
                        effects.extend(outcome.effects);
                    }
                }
            }
            replies.push(reply);
        }
        let bytes = postcard::to_stdvec(&applied).expect("a log id and a membership always encode");
        transaction.put_meta(APPLIED, bytes);
        let batch = transaction.into_batch();
        let lasting = |op: &&WriteOp| matches!(op, WriteOp::Delete { key } if !state::layout::is_short_lived(key));
        let deleted = batch.ops().iter().filter(lasting).count();
        self.deleted_rows.fetch_add(deleted as u64, Ordering::Relaxed);
        engine.write(batch)?;
        self.learn(&*engine, &effects)?;
        let index = applied.last.map(|log_id| log_id.index);
        *lock(&self.state) = applied;
        self.index.send_replace(index);
        Ok(replies)
    }

    fn learn(&self, engine: &dyn Engine, effects: &[Effect]) -> Result<(), NamenodeError> {
        if effects.is_empty() {
            return Ok(());
        }
        let mut blocks = lock(&self.blocks);
        for effect in effects {
            blocks.apply(effect);
            if matches!(effect, Effect::KeysChanged) {
                blocks.set_keys(state::block_keys(engine)?);
            }
        }
        drop(blocks);
        (self.on_effects)(effects);
        Ok(())
    }

    /// A view of the applied state, and what it is a view of. Commands may be applied meanwhile.
    fn snapshot(&self) -> Result<Snapshot<TypeConfig>, NamenodeError> {
        let view = self.view()?;
        let meta = meta_of(&saved_state(&*view)?);
        Ok(Snapshot { meta, snapshot: Box::new(SnapshotData::View(Arc::from(view))) })
    }

    fn start_receiving(&self) -> Result<SnapshotData, NamenodeError> {
        // Never one that was used before: an attempt that was given up may not have closed its files yet.
        let generation = self.generations.fetch_add(1, Ordering::AcqRel) + 1;
        let directory = generation_directory(&self.directory, generation);
        if directory.exists() {
            fs::remove_dir_all(&directory)?;
        }
        let engine = engine::open(self.kind, &directory, &self.config)?;
        Ok(SnapshotData::Received(Receiving::new(engine, generation, directory)))
    }

    fn install(&self, meta: &SnapshotMeta<u64, PeerNode>, data: SnapshotData) -> Result<(), NamenodeError> {
        let SnapshotData::Received(received) = data else {
            return Err(NamenodeError::Corrupt("a snapshot to be installed was not received".to_owned()));
        };
        let found = saved_state(&*received.engine)?;
        if found.last != meta.last_log_id {
            let detail = format!("a snapshot said to be at {:?} is at {:?}", meta.last_log_id, found.last);
            return Err(NamenodeError::Corrupt(detail));
        }
        state::check_layout(&*received.engine)?;
        received.engine.sync()?;
        let generation = received.generation;
        write_current(&self.directory, generation)?;
        *self.engine.write().expect("the engine is swapped without panicking") = received.keep();
        self.reload()?;
        tracing::info!(
            index = meta.last_log_id.map(|log_id| log_id.index),
            "state replaced by another peer's snapshot"
        );
        (self.on_effects)(&[Effect::KeysChanged]);
        // Readers may still hold the old engine; its directory goes at the next start if it cannot go now.
        if let Err(error) = remove_other_generations(&self.directory, generation) {
            tracing::info!(%error, "an old state directory stays until the next start");
        }
        Ok(())
    }
}

/// Whether a row is the peer's own and not the cluster's.
pub(crate) fn is_of_this_peer(key: &[u8]) -> bool {
    [APPLIED, COMPACTED].iter().any(|name| key == state::layout::meta(name))
}

/// The engine of a directory that has none.
pub(crate) fn open_first(
    directory: &Path,
    kind: EngineKind,
    config: &EngineConfig,
) -> Result<Arc<dyn Engine>, NamenodeError> {
    write_current(directory, 0)?;
    Ok(engine::open(kind, &generation_directory(directory, 0), config)?)
}

/// The engine in use, of a peer that does not run.
pub(crate) fn open_current(
    directory: &Path,
    kind: EngineKind,
    config: &EngineConfig,
) -> Result<Arc<dyn Engine>, NamenodeError> {
    if !directory.join(CURRENT).exists() {
        return Err(NamenodeError::Corrupt(format!("there is no {CURRENT} in {}", directory.display())));
    }
    let generation = current_generation(directory)?;
    Ok(engine::open(kind, &generation_directory(directory, generation), config)?)
}

/// What makes rows the applied state of a cluster of this one peer, before its first entry.
pub(crate) fn first_of(peer: PeerId, node: PeerNode) -> WriteBatch {
    let last = LogId::new(openraft::CommittedLeaderId::new(0, 0), 1);
    let membership = Membership::new(vec![BTreeSet::from([peer.0])], BTreeMap::from([(peer.0, node)]));
    let applied = AppliedState { last: Some(last), membership: StoredMembership::new(Some(last), membership) };
    let mut batch = WriteBatch::new();
    let bytes = postcard::to_stdvec(&applied).expect("a log id and a membership always encode");
    batch.put(state::layout::meta(APPLIED), bytes);
    batch
}

fn saved_state<V: View + ?Sized>(view: &V) -> Result<AppliedState, NamenodeError> {
    match state::get_meta(view, APPLIED)? {
        Some(bytes) => {
            postcard::from_bytes(&bytes).map_err(|error| NamenodeError::Corrupt(format!("{APPLIED}: {error}")))
        }
        None => Ok(AppliedState::default()),
    }
}

fn meta_of(state: &AppliedState) -> SnapshotMeta<u64, PeerNode> {
    let snapshot_id = match state.last {
        Some(log_id) => format!("{}-{}", log_id.leader_id, log_id.index),
        None => "empty".to_owned(),
    };
    SnapshotMeta { last_log_id: state.last, last_membership: state.membership.clone(), snapshot_id }
}

fn generation_directory(directory: &Path, generation: u64) -> PathBuf {
    directory.join(format!("state-{generation}"))
}

fn current_generation(directory: &Path) -> Result<u64, NamenodeError> {
    match fs::read_to_string(directory.join(CURRENT)) {
        Ok(text) => {
            let generation: u64 = text
                .trim()
                .parse()
                .map_err(|_| NamenodeError::Corrupt(format!("{CURRENT} holds {text:?}, not a number")))?;
            // The directory may be missing only where none was ever made: an empty one must not take the state's place.
            if !generation_directory(directory, generation).exists() && has_generations(directory)? {
                return Err(NamenodeError::Corrupt(format!("{CURRENT} names state-{generation}, which is not there")));
            }
            Ok(generation)
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            write_current(directory, 0)?;
            Ok(0)
        }
        Err(error) => Err(error.into()),
    }
}

fn has_generations(directory: &Path) -> Result<bool, NamenodeError> {
    for entry in fs::read_dir(directory)? {
        if entry?.file_name().to_string_lossy().starts_with("state-") {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Replaces `CURRENT` so that after a power cut it names the old or the new generation.
fn write_current(directory: &Path, generation: u64) -> Result<(), NamenodeError> {
    let temporary = directory.join("CURRENT.new");
    fs::write(&temporary, format!("{generation}\n"))?;
    fs::File::open(&temporary)?.sync_all()?;
    fs::rename(&temporary, directory.join(CURRENT))?;
    fs::File::open(directory)?.sync_all()?;
    Ok(())
}

fn remove_other_generations(directory: &Path, keep: u64) -> Result<(), NamenodeError> {
    let keep = generation_directory(directory, keep);
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let ours = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("state-"));
        if ours && path != keep {
            fs::remove_dir_all(path)?;
        }
    }
    Ok(())
}

/// The handle that openraft drives.
#[derive(Clone)]
pub struct Machine {
    applied: Arc<AppliedStore>,
}

impl Machine {
    /// Drives `applied`.
    pub fn new(applied: Arc<AppliedStore>) -> Machine {
        Machine { applied }
    }

    async fn on_state<T: Send + 'static>(
        &self,
        verb: ErrorVerb,
        work: impl FnOnce(&AppliedStore) -> Result<T, NamenodeError> + Send + 'static,
    ) -> Result<T, StorageError<u64>> {
        let applied = self.applied.clone();
        blocking(verb, ErrorSubject::StateMachine, move || work(&applied)).await
    }
}

impl RaftSnapshotBuilder<TypeConfig> for Machine {
    async fn build_snapshot(&mut self) -> Result<Snapshot<TypeConfig>, StorageError<u64>> {
        // The log may be purged up to this point, so the state must be durable up to it first.
        self.on_state(ErrorVerb::Write, |applied| {
            let snapshot = applied.snapshot()?;
            applied.engine().sync()?;
            tracing::debug!(snapshot = %snapshot.meta.snapshot_id, "state synced");
            Ok(snapshot)
        })
        .await
    }
}

impl RaftStateMachine<TypeConfig> for Machine {
    type SnapshotBuilder = Self;

    async fn applied_state(&mut self) -> Result<(Option<LogId>, StoredMembership<u64, PeerNode>), StorageError<u64>> {
        let state = lock(&self.applied.state).clone();
        Ok((state.last, state.membership))
    }

    async fn apply<I>(&mut self, entries: I) -> Result<Vec<BatchReply>, StorageError<u64>>
    where
        I: IntoIterator<Item = Entry> + Send,
        I::IntoIter: Send,
    {
        let entries: Vec<Entry> = entries.into_iter().collect();
        if may_block_here() {
            let failed =
                |error| StorageIOError::new(ErrorSubject::StateMachine, ErrorVerb::Write, AnyError::new(&error));
            return self.applied.apply_all(entries).map_err(|error| failed(error).into());
        }
        self.on_state(ErrorVerb::Write, move |applied| applied.apply_all(entries)).await
    }

    async fn get_snapshot_builder(&mut self) -> Self {
        self.clone()
    }

    async fn begin_receiving_snapshot(&mut self) -> Result<Box<SnapshotData>, StorageError<u64>> {
        self.on_state(ErrorVerb::Write, |applied| applied.start_receiving().map(Box::new)).await
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMeta<u64, PeerNode>,
        snapshot: Box<SnapshotData>,
    ) -> Result<(), StorageError<u64>> {
        let meta = meta.clone();
        self.on_state(ErrorVerb::Write, move |applied| applied.install(&meta, *snapshot)).await
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot<TypeConfig>>, StorageError<u64>> {
        let snapshot = self.on_state(ErrorVerb::Read, |applied| applied.snapshot()).await?;
        Ok(Some(snapshot).filter(|snapshot| snapshot.meta.last_log_id.is_some()))
    }
}
