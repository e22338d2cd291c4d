//! What the leader adds to the state's archive targets: who works on which block, what failed and when it is tried again, and
//! the steps that need no worker.
//!
//! Workers ask for work and say what came of it; two at one block would waste bytes and harm nothing, because what they change
//! is checked where it is applied. Soft state, bounded: a new leader knows of no worker and of no failure.

use crate::command::Action;
use crate::service::Namenode;
use crate::state::{self, RestoreWait};
use granary_protocol::archive::{
    ARCHIVE_FAILURE_BYTES_MAX, ARCHIVE_WORK_MAX, ArchiveFailure, ArchiveOutcome, ArchiveTargetStatus, ArchiveTask,
    ArchiveWork,
};
use granary_protocol::namenode::NamenodeReply;
use granary_protocol::object::StorageClass;
use granary_protocol::{BlockId, ErrorCode, Failure, LeaseId, UnixMillis};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How long a worker that is not heard of keeps its blocks from others.
const BUSY_MS: u64 = 30_000;
/// A block that failed is tried again after this long, twice as long each time.
const RETRY_MS: u64 = 1_000;
const RETRY_MS_MAX: u64 = 10 * 60_000;
/// So long a target is left alone after something failed there, twice as long while nothing succeeds.
const PAUSE_MS: u64 = 500;
const PAUSE_MS_MAX: u64 = 30_000;
/// Blocks whose failures are remembered.
const TROUBLES_MAX: usize = 10_000;
/// Failures that a status tells of.
const FAILURES_SHOWN_MAX: usize = 20;
/// Blocks of one command, applied in a few milliseconds; and commands of each kind at one look.
const BLOCKS_PER_COMMAND: usize = 256;
const COMMANDS_PER_LOOK: usize = 4;
/// Restored versions looked at in one look.
const WAITS_PER_LOOK: usize = 64;
/// A block that a restore waits for is wanted here for at least this long from now, whenever the restore expires.
const WAITED_FOR_MS: u64 = 20_000;
/// Blocks stay for this long after the restore that asked for them has expired, so that a read that has begun ends.
const LINGER_MS: u64 = 5_000;
/// A block from which records are to be moved is wanted here for this long.
const MOVED_FROM_MS: u64 = 10 * 60_000;

/// Who works on what, and what failed.
#[derive(Default)]
pub(crate) struct ArchiveDesk {
    notes: Mutex<Notes>,
}

#[derive(Default)]
struct Notes {
    busy: HashMap<BlockId, (LeaseId, UnixMillis)>,
    troubles: HashMap<BlockId, Trouble>,
    /// Targets where the last thing failed: how many in a row, and until when they are left alone.
    pauses: BTreeMap<StorageClass, (u32, UnixMillis)>,
    /// Which target the blocks that are worked on are for.
    targets: HashMap<BlockId, StorageClass>,
    totals: Totals,
}

/// What workers have told this leader of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub sent_bytes: u64,
    pub fetched_bytes: u64,
    pub failures: u64,
}

struct Trouble {
    class: StorageClass,
    attempts: u32,
    at: UnixMillis,
    next: UnixMillis,
    what: String,
}

impl Notes {
    /// A worker lives and is at these blocks: no other is, and it is at no others.
    fn renew(&mut self, lease: LeaseId, busy: &[BlockId], now: UnixMillis) {
        self.busy.retain(|_, (holder, until)| *holder != lease && now < *until);
        for block in busy {
            self.busy.entry(*block).or_insert((lease, UnixMillis(now.0.saturating_add(BUSY_MS))));
        }
        let busy = &self.busy;
        self.targets.retain(|block, _| busy.contains_key(block));
    }

    fn take(&mut self, lease: LeaseId, task: &ArchiveTask, now: UnixMillis) {
        self.busy.insert(task.block, (lease, UnixMillis(now.0.saturating_add(BUSY_MS))));
        self.targets.insert(task.block, task.class);
    }

    /// Whether nobody is to touch the block now.
    fn is_taken(&self, block: BlockId, class: StorageClass, now: UnixMillis) -> bool {
        self.busy.contains_key(&block)
            || self.troubles.get(&block).is_some_and(|trouble| now < trouble.next)
            || self.pauses.get(&class).is_some_and(|(_, until)| now < *until)
    }

    fn settle(&mut self, lease: LeaseId, outcome: ArchiveOutcome, now: UnixMillis) {
        if self.busy.get(&outcome.block).is_none_or(|(holder, _)| *holder != lease) {
            return;
        }
        self.busy.remove(&outcome.block);
        let Some(class) = self.targets.remove(&outcome.block) else { return };
        self.totals.sent_bytes = self.totals.sent_bytes.saturating_add(outcome.sent_bytes);
        self.totals.fetched_bytes = self.totals.fetched_bytes.saturating_add(outcome.fetched_bytes);
        match outcome.failure {
            None => {
                self.troubles.remove(&outcome.block);
                self.pauses.remove(&class);
            }
            Some(what) => self.failed(outcome.block, class, what, now),
        }
    }

    fn failed(&mut self, block: BlockId, class: StorageClass, mut what: String, now: UnixMillis) {
        what.truncate(what.floor_char_boundary(ARCHIVE_FAILURE_BYTES_MAX));
        self.totals.failures += 1;
        let pause = self.pauses.entry(class).or_insert((0, now));
        pause.1 = UnixMillis(now.0.saturating_add(doubled(PAUSE_MS, pause.0, PAUSE_MS_MAX)));
        pause.0 = pause.0.saturating_add(1);
        if self.troubles.len() >= TROUBLES_MAX && !self.troubles.contains_key(&block) {
            self.troubles.retain(|_, trouble| now < trouble.next);
            if self.troubles.len() >= TROUBLES_MAX {
                self.troubles.clear();
            }
        }
        let trouble = self.troubles.entry(block).or_insert(Trouble {
            class,
            attempts: 0,
            at: now,
            next: now,
            what: String::new(),
        });
        let next = UnixMillis(now.0.saturating_add(doubled(RETRY_MS, trouble.attempts, RETRY_MS_MAX)));
        *trouble = Trouble { class, attempts: trouble.attempts.saturating_add(1), at: now, next, what };
    }

    /// The latest failures at the target of a class.
    fn failures(&self, class: StorageClass) -> Vec<ArchiveFailure> {
        let of_class = self.troubles.iter().filter(|(_, trouble)| trouble.class == class);
        let mut found: Vec<ArchiveFailure> = of_class
            .map(|(block, trouble)| ArchiveFailure {
                block: *block,
                at: trouble.at,
                attempts: trouble.attempts,
                what: trouble.what.clone(),
            })
            .collect();
        found.sort_by_key(|failure| std::cmp::Reverse((failure.at, failure.block)));
        found.truncate(FAILURES_SHOWN_MAX);
        found
    }
}

/// `first` milliseconds, doubled `times` times, up to `most`.
fn doubled(first: u64, times: u32, most: u64) -> u64 {
    first.saturating_mul(1u64.checked_shl(times).unwrap_or(u64::MAX)).min(most)
}

impl ArchiveDesk {
    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn totals(&self) -> Totals {
        self.notes().totals
    }
}

impl Namenode {
    pub(crate) async fn list_archive_targets(&self) -> Result<NamenodeReply, Failure> {
        let found = self.scan(|view| Ok(state::archive_targets(view)?)).await?;
        let status = |(class, target, returning, counts)| {
            let mut status = ArchiveTargetStatus {
                class,
                target,
                returning,
                counts,
                waiting: 0,
                waiting_bytes: 0,
                wanted: 0,
                wanted_bytes: 0,
                here_too: 0,
                failures: self.archive.notes().failures(class),
            };
            self.applied.with_blocks(|blocks| blocks.add_archive_status(&mut status));
            status
        };
        Ok(NamenodeReply::ArchiveTargets(found.into_iter().map(status).collect()))
    }

    /// Work for a worker: what somebody waits for first, then what gives space back, then what takes it elsewhere.
    pub(crate) async fn claim_archive_work(
        &self,
        lease: LeaseId,
        busy: &[BlockId],
        limit: u32,
    ) -> Result<NamenodeReply, Failure> {
        self.reads.admit().await?;
        let now = self.clock.now();
        self.archive.notes().renew(lease, busy, now);
        let limit = limit.min(ARCHIVE_WORK_MAX) as usize;
        let mut tasks = self.fetches(limit, now)?;
        self.taken_by(lease, &tasks, now);
        let deletes = self.deletes(limit - tasks.len(), now)?;
        self.taken_by(lease, &deletes, now);
        tasks.extend(deletes);
        let sends = self.sends(limit - tasks.len(), now).await?;
        self.taken_by(lease, &sends, now);
        tasks.extend(sends);
        Ok(NamenodeReply::ArchiveTasks(tasks))
    }

    fn taken_by(&self, lease: LeaseId, tasks: &[ArchiveTask], now: UnixMillis) {
        let mut notes = self.archive.notes();
        tasks.iter().for_each(|task| notes.take(lease, task, now));
    }

    fn fetches(&self, limit: usize, now: UnixMillis) -> Result<Vec<ArchiveTask>, Failure> {
        let chosen = {
            let notes = self.archive.notes();
            let is_taken = |block, class| notes.is_taken(block, class, now);
            self.applied.with_blocks(|blocks| blocks.choose_fetches(limit, now, is_taken))
        };
        let mut tasks = Vec::with_capacity(chosen.len());
        for fetch in chosen {
            let block = fetch.located.block;
            let Some(external) = self.look(|view| state::external_block(view, block))? else { continue };
            let Some(crc32c) = external.crc32c else { continue };
            let work = ArchiveWork::Fetch { located: fetch.located, kind: fetch.kind, crc32c };
            tasks.push(ArchiveTask { class: external.target, block, key: external.key, work });
        }
        Ok(tasks)
    }

    fn deletes(&self, limit: usize, now: UnixMillis) -> Result<Vec<ArchiveTask>, Failure> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        let notes = self.archive.notes();
        let is_due = |block: BlockId, garbage: &state::GarbageRecord| {
            garbage.not_before <= now && !notes.is_taken(block, garbage.class, now)
        };
        let found = self.look(|view| state::external_garbage(view, limit, is_due))?;
        let mut tasks: Vec<ArchiveTask> = Vec::with_capacity(found.len());
        for (block, key, garbage) in found {
            // One task a block: what came of it is told by the block.
            if tasks.last().is_none_or(|last| last.block != block) {
                let work = ArchiveWork::Delete { upload: garbage.upload };
                tasks.push(ArchiveTask { class: garbage.class, block, key, work });
            }
        }
        Ok(tasks)
    }

    async fn sends(&self, limit: usize, now: UnixMillis) -> Result<Vec<ArchiveTask>, Failure> {
        // Versions that are restored are told first to keep their blocks here.
        let keeps = self.look(|view| state::restore_waits(view, 0, WAITS_PER_LOOK))?;
        if limit == 0 || keeps.iter().any(|(_, wait)| !wait.hides) {
            return Ok(Vec::new());
        }
        let chosen = {
            let notes = self.archive.notes();
            let is_taken = |block, class| notes.is_taken(block, class, now);
            self.applied.with_blocks(|blocks| blocks.choose_sends(limit, now, is_taken))
        };
        let Some(cluster) = self.look(state::cluster_id)?.filter(|_| !chosen.is_empty()) else { return Ok(Vec::new()) };
        let mut reserved = Vec::new();
        for send in &chosen {
            let block = send.located.block;
            let Some(target) = self.look(|view| state::archive_target(view, send.class))? else { continue };
            if self.look(|view| state::external_block(view, block))?.is_none() {
                // No key is ever used again: the moment makes a later attempt's another one.
                let key = format!("{}{cluster}/{:016x}-{:x}", target.prefix, block.0, now.0);
                reserved.push((block, send.class, key));
            }
        }
        if !reserved.is_empty() {
            self.propose(Action::ReserveExternal { blocks: reserved }).await?;
        }
        let mut tasks = Vec::with_capacity(chosen.len());
        for send in chosen {
            let block = send.located.block;
            let external = self.look(|view| state::external_block(view, block))?;
            if let Some(external) = external.filter(|external| !external.is_stored()) {
                let work = ArchiveWork::Send { located: send.located, upload: external.upload };
                tasks.push(ArchiveTask { class: external.target, block, key: external.key, work });
            }
        }
        Ok(tasks)
    }

    pub(crate) async fn report_archive(
        &self,
        lease: LeaseId,
        outcomes: Vec<ArchiveOutcome>,
    ) -> Result<NamenodeReply, Failure> {
        self.reads.admit().await?;
        let now = self.clock.now();
        let mut notes = self.archive.notes();
        for outcome in outcomes {
            if let Some(what) = &outcome.failure {
                tracing::warn!(block = %outcome.block, what, "an archive target: it is tried again");
            }
            notes.settle(lease, outcome, now);
        }
        Ok(NamenodeReply::Done)
    }

    /// Has blocks here from which records are to be moved and of which no replica is.
    pub(crate) async fn recall_sources(&self, blocks: Vec<BlockId>) -> Result<(), Failure> {
        let wanted = self.applied.with_blocks(|known| known.only_elsewhere(&blocks));
        let until = UnixMillis(self.clock.now().0.saturating_add(MOVED_FROM_MS));
        for some in wanted.chunks(BLOCKS_PER_COMMAND) {
            self.propose(Action::RecallBlocks { blocks: some.to_vec(), until }).await?;
        }
        Ok(())
    }
}

/// One look of the leader.
pub(crate) async fn step(namenode: &Namenode, now: UnixMillis) {
    if let Err(failure) = all_steps(namenode, now).await {
        tracing::debug!(%failure, "archive targets wait");
    }
}

async fn all_steps(namenode: &Namenode, now: UnixMillis) -> Result<(), Failure> {
    for _ in 0..COMMANDS_PER_LOOK {
        if !namenode.look(|view| Ok(state::recalls_due(view, now)?))? {
            break;
        }
        namenode.propose(Action::EndRecalls { limit: BLOCKS_PER_COMMAND as u32 }).await?;
    }
    let mut after = 0;
    loop {
        let waits = namenode.look(|view| state::restore_waits(view, after, WAITS_PER_LOOK))?;
        let Some((last, _)) = waits.last() else { break };
        after = *last;
        for (sequence, wait) in waits {
            restore(namenode, sequence, wait, now).await?;
        }
    }
    let (home, forget) = namenode.applied.with_blocks(|blocks| blocks.misplaced_externals(BLOCKS_PER_COMMAND, now));
    if !home.is_empty() || !forget.is_empty() {
        namenode.propose(Action::SettleExternal { home, forget }).await?;
    }
    for (class, _, returning, counts) in namenode.look(state::archive_targets)? {
        if returning && counts == Default::default() {
            namenode.propose(Action::SetArchiveTarget { class, target: None }).await?;
            tracing::info!(class = class.name(), "an archive target is empty and forgotten");
        }
    }
    Ok(())
}

/// Has the blocks of a restored version be here for as long as it is restored, and says so once they are.
async fn restore(namenode: &Namenode, sequence: u64, wait: RestoreWait, now: UnixMillis) -> Result<(), Failure> {
    let needed = if wait.hides { wait.expires.max(UnixMillis(now.0 + WAITED_FOR_MS / 2)) } else { wait.expires };
    let wanted = if wait.hides { wait.expires.max(UnixMillis(now.0 + WAITED_FOR_MS)) } else { wait.expires };
    let until = UnixMillis(wanted.0.saturating_add(LINGER_MS));
    let (blocks, short) = namenode.look(|view| {
        let blocks = state::blocks_of_content(view, wait.content)?;
        let mut short = Vec::new();
        for block in &blocks {
            if state::recalled_until(view, *block)?.is_none_or(|until| until < needed) {
                short.push(*block);
            }
        }
        Ok((blocks, short))
    })?;
    for some in short.chunks(BLOCKS_PER_COMMAND) {
        let blocks = namenode.applied.with_blocks(|blocks| blocks.with_fresh_replicas(some));
        namenode.propose(Action::RecallBlocks { blocks, until }).await?;
    }
    if !wait.hides || namenode.applied.with_blocks(|known| known.are_here(&blocks, now)) {
        match namenode.propose(Action::FinishRestore { sequence }).await {
            Err(failure) if failure.code != ErrorCode::Conflict => return Err(failure),
            Ok(_) | Err(_) => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLASS: StorageClass = StorageClass::Glacier;

    fn task(block: u64) -> ArchiveTask {
        let work = ArchiveWork::Delete { upload: None };
        ArchiveTask { class: CLASS, block: BlockId(block), key: "k".to_owned(), work }
    }

    fn outcome(block: u64, failure: Option<&str>) -> ArchiveOutcome {
        ArchiveOutcome { block: BlockId(block), sent_bytes: 1, fetched_bytes: 2, failure: failure.map(str::to_owned) }
    }

    #[test]
    fn a_block_is_worked_on_by_one_and_given_up_by_the_silent() {
        let (mut notes, one, other) = (Notes::default(), LeaseId(1), LeaseId(2));
        notes.take(one, &task(7), UnixMillis(0));
        assert!(notes.is_taken(BlockId(7), CLASS, UnixMillis(1)));
        notes.renew(other, &[BlockId(7)], UnixMillis(10));
        notes.settle(other, outcome(7, None), UnixMillis(10));
        assert!(notes.is_taken(BlockId(7), CLASS, UnixMillis(10)), "another's word does not count");
        notes.renew(other, &[], UnixMillis(BUSY_MS));
        assert!(!notes.is_taken(BlockId(7), CLASS, UnixMillis(BUSY_MS)));
        notes.take(other, &task(7), UnixMillis(BUSY_MS));
        notes.renew(other, &[], UnixMillis(BUSY_MS + 1));
        assert!(!notes.is_taken(BlockId(7), CLASS, UnixMillis(BUSY_MS + 1)), "a worker that did not get the task");
    }

    #[test]
    fn failures_are_remembered_and_tried_later_and_later() {
        let (mut notes, lease) = (Notes::default(), LeaseId(1));
        let mut now = 0;
        for attempt in 0..20 {
            notes.take(lease, &task(7), UnixMillis(now));
            notes.settle(lease, outcome(7, Some("refused")), UnixMillis(now));
            let wait = doubled(RETRY_MS, attempt, RETRY_MS_MAX);
            assert!(notes.is_taken(BlockId(7), CLASS, UnixMillis(now + wait - 1)), "attempt {attempt}");
            assert!(notes.is_taken(BlockId(8), CLASS, UnixMillis(now + PAUSE_MS - 1)), "its target rests");
            now += wait.max(PAUSE_MS_MAX);
            assert!(!notes.is_taken(BlockId(7), CLASS, UnixMillis(now)), "attempt {attempt}");
        }
        let failures = notes.failures(CLASS);
        assert_eq!((failures.len(), failures[0].attempts, failures[0].what.as_str()), (1, 20, "refused"));
        assert!(notes.failures(StorageClass::DeepArchive).is_empty());
        notes.take(lease, &task(7), UnixMillis(now));
        notes.settle(lease, outcome(7, None), UnixMillis(now));
        assert!(notes.failures(CLASS).is_empty() && notes.pauses.is_empty());
        assert_eq!(notes.totals, Totals { sent_bytes: 21, fetched_bytes: 42, failures: 20 });
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let (mut notes, lease) = (Notes::default(), LeaseId(1));
        for block in 0..TROUBLES_MAX as u64 + 10 {
            notes.take(lease, &task(block), UnixMillis(0));
            notes.settle(lease, outcome(block, Some(&"x".repeat(5_000))), UnixMillis(0));
        }
        assert!(notes.troubles.len() <= TROUBLES_MAX && notes.busy.is_empty());
        assert_eq!(notes.failures(CLASS)[0].what.len(), ARCHIVE_FAILURE_BYTES_MAX);
    }
}
