//! From a command to a reply and effects.

use super::records::{BlockRecord, GroupRecord};
use super::transaction::Transaction;
use super::{
    amend, archive_targets, blocks, buckets, classes, cluster, contents, datanodes, delegations, deletes,
    encryption_keys, events, external, filesystem, groups, jobs, leases, lifecycle, objects, policies, recalls, rename,
    restores, sessions, settings, tiering, upload_complete, uploads, users,
};
use crate::command::{Action, Command, UserChange};
use crate::error::{Rejection, StateError, refuse};
use granary_protocol::admin::DatanodeIntent;
use granary_protocol::archive::ExternalBlock;
use granary_protocol::namenode::NamenodeReply;
use granary_protocol::object::StorageClass;
use granary_protocol::redundancy::GroupId;
use granary_protocol::{BlockId, ErrorCode, Failure, LeaseId, NodeName, UnixMillis, VolumeId};

/// The most that is said of a refusal. It quotes what the caller has sent, and is remembered in a row.
const DETAIL_BYTES_MAX: usize = 16 << 10;

/// What came of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The reply documented at the request of the same name; `Done` where soft state or a chosen secret has more to add
    /// (join tokens). The blocks of `AllocateBlocks` come without replicas, and with a token that no key has signed.
    pub reply: Result<NamenodeReply, Failure>,
    /// What soft state must learn, in order. Empty when the command was refused.
    pub effects: Vec<Effect>,
}

/// A change that soft state must follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// A block was allocated.
    BlockOpened { block: BlockId, record: BlockRecord },
    /// No byte will be added to a block. `stored_on` are the volumes known to have finalized it as the record says; other
    /// members of its pipeline have at least `record.length` bytes if they live, and must be told to finalize.
    BlockSealed { block: BlockId, record: BlockRecord, stored_on: Vec<VolumeId> },
    /// Length, live bytes or attachment of a block changed. Once a block and command at most.
    BlockChanged { block: BlockId, record: BlockRecord },
    /// A block is gone; `record` is its last. Its replicas may go.
    BlockRemoved { block: BlockId, record: BlockRecord },
    /// A lease began.
    LeaseOpened { lease: LeaseId, holder: NodeName },
    /// A lease ended.
    LeaseClosed { lease: LeaseId },
    /// Keys for block tokens came or went.
    KeysChanged,
    /// An operator has said what is to become of a datanode.
    DatanodeIntentChanged { name: NodeName, intent: DatanodeIntent },
    /// An open block goes on under a raised generation, on the volumes that its record names.
    BlockRepiped { block: BlockId, record: BlockRecord },
    /// An operator wants a volume empty, or does not any more.
    VolumeDrainChanged { volume: VolumeId, drain: bool },
    /// A group was formed or has come further; `None` when it is gone. Changes of its blocks are told besides.
    GroupChanged { group: GroupId, record: Option<GroupRecord> },
    /// A block is being sent to an archive target, or is there; `None` when it is so no more and still exists.
    ExternalChanged { block: BlockId, external: Option<ExternalBlock> },
    /// The classes that have archive targets, and whether each is being emptied.
    ArchiveTargetsChanged { targets: Vec<(StorageClass, bool)> },
}

/// Applies a command. A refused one changes nothing, except that its refusal is remembered where the request is numbered.
///
/// # Errors
/// The engine cannot be read or holds damaged rows: the transaction must be dropped and the peer must stop. Never a
/// refusal; those are replies.
pub fn apply(tx: &mut Transaction<'_>, command: &Command) -> Result<Applied, StateError> {
    match &command.action {
        Action::Once { id, action } => sessions::apply_once(tx, id, action, command.now),
        action => apply_action(tx, action, command.now),
    }
}

/// Applies what a command orders.
pub(super) fn apply_action(tx: &mut Transaction<'_>, action: &Action, now: UnixMillis) -> Result<Applied, StateError> {
    tx.start_command(now);
    match perform(tx, action, now).and_then(|reply| tx.check_rows().map(|()| reply)) {
        Ok(reply) => Ok(Applied { reply: Ok(reply), effects: tx.take_effects() }),
        Err(Rejection::Refused(mut failure)) => {
            tx.roll_back();
            failure.detail.truncate(failure.detail.floor_char_boundary(DETAIL_BYTES_MAX));
            Ok(Applied { reply: Err(failure), effects: Vec::new() })
        }
        Err(Rejection::Broken(error)) => Err(error),
    }
}

fn perform(tx: &mut Transaction<'_>, action: &Action, now: UnixMillis) -> Result<NamenodeReply, Rejection> {
    if let Action::Format(format) = action {
        return cluster::format(tx, format);
    }
    if !tx.formatted() {
        return Err(refuse(ErrorCode::Unavailable, "the cluster is not formatted yet"));
    }
    match action {
        Action::Format(_) => unreachable!("handled above"),
        Action::AddBlockKey { key } => cluster::add_block_key(tx, key, now),
        Action::CreateJoinToken { secret_sha256, name, expires } => {
            cluster::create_join_token(tx, secret_sha256, name.as_ref(), *expires, now)
        }
        Action::SpendJoinToken { secret_sha256, name } => cluster::spend_join_token(tx, secret_sha256, name, now),

        Action::CreateNamenodeToken { secret_sha256, name, expires } => {
            cluster::create_namenode_token(tx, secret_sha256, name, *expires, now)
        }
        Action::SpendNamenodeToken { secret_sha256, name } => {
            cluster::spend_namenode_token(tx, secret_sha256, name, now)
        }
        Action::AllotPeer { above } => cluster::allot_peer(tx, *above),

        Action::CreateBucket(create) => buckets::create(tx, create, now),
        Action::DeleteBucket { bucket } => buckets::delete(tx, bucket),
        Action::SetVersioning { bucket, versioning } => settings::set_versioning(tx, bucket, *versioning),
        Action::SetBucketLock { bucket, lock } => settings::set_lock(tx, bucket, *lock),
        Action::SetBucketDocument { bucket, kind, document } => {
            settings::set_document(tx, bucket, *kind, document.as_ref())
        }

        Action::PutObject(put) => objects::put(tx, put, now),
        Action::CopyObject(copy) => objects::copy(tx, copy, now),
        Action::DeleteObjects(delete) => deletes::delete_objects(tx, delete, now),
        Action::AmendObject(change) => amend::amend(tx, change, now),
        Action::RenameObject(change) => rename::rename(tx, change, now),

        Action::CreateUpload(create) => uploads::create(tx, create, now),
        Action::PutPart(put) => uploads::put_part(tx, put, now),
        Action::CopyPart(copy) => uploads::copy_part(tx, copy, now),
        Action::CompleteUpload(complete) => upload_complete::complete(tx, complete, now),
        Action::AbortUpload { bucket, key, upload } => uploads::abort(tx, bucket, key, *upload),

        Action::OpenLease { holder } => leases::open(tx, holder),
        Action::CloseLease { lease } | Action::ExpireLease { lease } => leases::end(tx, *lease),
        Action::AllocateBlocks { lease, kind, class, pipelines, replicas_wanted } => {
            blocks::allocate(tx, *lease, *kind, *class, pipelines, *replicas_wanted)
        }
        Action::SealBlock { lease, block, length, stored_on, recovered } => {
            blocks::seal(tx, *lease, *block, *length, stored_on, *recovered)
        }
        Action::AbandonBlocks { lease, blocks } => blocks::abandon(tx, *lease, blocks),
        Action::SetVolumeDrain { volume, drain } => datanodes::set_drain(tx, *volume, *drain),
        Action::SetDatanodeIntent { name, intent } => datanodes::set_intent(tx, name, *intent),
        Action::RelocateContents { lease, moves } => contents::relocate(tx, *lease, moves),

        Action::ChangeUsers(change) => change_users(tx, change, now),
        Action::AddEncryptionKey { key_id, wrapped } => encryption_keys::add(tx, key_id, wrapped, now),
        Action::SetEncryptionKeyDisabled { key_id, disabled } => encryption_keys::set_disabled(tx, key_id, *disabled),
        Action::ReplaceEncryptionKey { key_id, from, to } => encryption_keys::replace(tx, key_id, from, to),

        Action::SetDelegationTerm { token, until } => delegations::set(tx, token, *until, now),

        Action::AppendEvents { events } => events::append(tx, events, now),
        Action::ClaimEvents { limit, claim_ms } => events::claim(tx, *limit, *claim_ms, now),
        Action::SettleEvents { settled, retry } => events::settle(tx, settled, retry),

        Action::FileSystem(action) => filesystem::perform(tx, action, now),
        Action::ApplyLifecycle(apply) => lifecycle::apply(tx, apply, now),
        Action::ForgetMoves { contents } => {
            classes::forget_moves(tx, contents)?;
            Ok(NamenodeReply::Done)
        }
        Action::RestoreObject(request) => restores::restore(tx, request, now),
        Action::SettleRestores { limit } => restores::settle(tx, *limit, now),
        Action::FormGroup { class, data, parity } => groups::form(tx, *class, data, *parity),
        Action::CommitGroup { group } => groups::commit(tx, *group),
        Action::ReleaseGroup { group, replicas_wanted } => groups::release(tx, *group, *replicas_wanted),
        Action::DropGroup { group } => groups::drop_group(tx, *group),
        Action::SettleClasses { blocks } => blocks::settle_classes(tx, blocks),
        Action::NoteAccess { contents } => tiering::note_access(tx, contents),
        Action::SettleTiering { idle_ms, limit } => tiering::settle_idle(tx, *idle_ms, *limit),
        Action::Once { .. } => Err(refuse(ErrorCode::InvalidArgument, "a numbered request inside another")),
        Action::ChangeJobs(change) => jobs::change(tx, change, now),
        Action::SetArchiveTarget { class, target } => archive_targets::set(tx, *class, target.as_deref()),
        Action::ReserveExternal { blocks } => external::reserve(tx, blocks),
        Action::ChangeArchive(change) => external::change(tx, change),
        Action::SettleExternal { home, forget } => external::settle(tx, home, forget),
        Action::RecallBlocks { blocks, until } => recalls::recall(tx, blocks, *until),
        Action::EndRecalls { limit } => recalls::end(tx, *limit, now),
        Action::FinishRestore { sequence } => restores::finish(tx, *sequence, now),
    }
}

fn change_users(tx: &mut Transaction<'_>, change: &UserChange, now: UnixMillis) -> Result<NamenodeReply, Rejection> {
    match change {
        UserChange::AddUser { user, key } => users::add(tx, user, key.as_ref(), now),
        UserChange::RemoveUser { name } => users::remove(tx, name),
        UserChange::SetUserDisabled { name, disabled } => users::set_disabled(tx, name, *disabled),
        UserChange::AddAccessKey { user, access_key, secret_key } => {
            users::add_key(tx, user, access_key, secret_key, now)
        }
        UserChange::SetAccessKeyDisabled { user, access_key, disabled } => {
            users::set_key_disabled(tx, user, access_key, *disabled)
        }
        UserChange::RemoveAccessKey { user, access_key } => users::remove_key(tx, user, access_key),
        UserChange::PutPolicy { name, document } => policies::put(tx, name, document, now),
        UserChange::RemovePolicy { name } => policies::remove(tx, name),
        UserChange::AttachPolicy { user, policy, attached } => policies::attach(tx, user, policy, *attached),
    }
}
