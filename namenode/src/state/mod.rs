//! The namenode's hard state: a deterministic state machine over the engine.
//!
//! [`apply`] takes one [`crate::command::Command`] and a [`Transaction`], changes the transaction and answers with the
//! reply and the [`Effect`]s that soft state must learn. Reads are functions over a [`View`]: the engine, a snapshot of
//! it, or a transaction. No clock, no randomness, no I/O but the engine, no threads: same commands, same bytes.
//!
//! What is where in the key space is told by [`layout`].

#![deny(clippy::disallowed_methods)]

mod amend;
mod apply;
mod archive_targets;
mod blocks;
mod buckets;
mod classes;
mod cluster;
mod contents;
mod datanodes;
mod delegations;
mod deletes;
mod encryption_keys;
mod events;
mod external;
pub mod filesystem;
mod groups;
mod jobs;
pub mod layout;
mod leases;
mod lifecycle;
mod listing;
mod locate;
mod locks;
mod objects;
mod path;
mod policies;
mod queries;
mod reads;
mod recalls;
mod records;
mod rename;
mod restores;
mod sealed;
mod sessions;
mod settings;
mod tiering;
mod transaction;
mod upload_complete;
mod uploads;
mod users;
mod version_listing;
mod versions;
mod view;
mod walk;

#[cfg(test)]
mod tests;

pub use apply::{Applied, Effect, apply};
pub use archive_targets::{archive_target, archive_targets, target_classes};
pub use blocks::{class_changes, for_each_block, get_block};
pub use buckets::{bucket_counts, get_bucket, list_buckets};
pub use classes::{WaitingMoves, list_moves, moves_waiting};
pub use cluster::{
    CertificateAuthority, block_keys, certificate_authority, check_layout, cluster_id, get_meta, skip_ids, token_key,
};
pub use contents::records_alive;
pub use datanodes::{datanode_intents, drained_volumes};
pub use delegations::get_delegation_term;
pub use encryption_keys::{get_encryption_key, list_encryption_keys};
pub use events::events_due;
pub use external::{external_block, external_garbage, for_each_external};
pub use groups::{for_each_group, get_group, group_of};
pub use jobs::query_jobs;
pub use layout::FILESYSTEM_LEASE;
pub use leases::{get_lease, leases};
pub use lifecycle::{list_lifecycle_buckets, list_progress, scan_versions};
pub use listing::list_objects;
pub use locate::{FoundExtent, locate_content};
pub use policies::list_policies;
pub use queries::query;
pub use reads::{ObjectFound, get_object, list_object_parts};
pub use recalls::{blocks_of_content, recalled_until, recalls_due, restore_waits};
pub use records::{
    BlockRecord, BlockState, BucketCounts, Counters, GarbageRecord, GroupMember, GroupRecord, GroupState, LeaseRecord,
    RestoreWait,
};
pub use restores::{count_restores, get_restores, restores_due};
pub use sessions::outcome;
pub use settings::get_bucket_settings;
pub use tiering::{is_any_idle, tiering_of};
pub use transaction::Transaction;
pub use uploads::{get_upload, list_parts, list_uploads};
pub use users::{find_access_key, find_owners, get_user, list_users};
pub use version_listing::list_versions;
pub use view::{View, counters};
