//! Every method of `ClientProtocol`, and what becomes of a call. `docs/hdfs-compatibility.md` is made from this table.

use super::context::ClientProtocol;
use crate::exception::{JavaException, RemoteException};
use crate::rpc::{Call, decode, encode};
use bytes::Bytes;
use futures_util::future::BoxFuture;

/// Reads parameters, does it, writes the answer.
pub(super) type Handler =
    for<'a> fn(&'a ClientProtocol, &'a Call, Bytes) -> BoxFuture<'a, Result<Vec<u8>, RemoteException>>;

/// What becomes of a call.
pub(super) enum Offer {
    /// It is answered; what is to be known about how comes second.
    Works(Handler, #[cfg_attr(not(test), expect(dead_code, reason = "for the document"))] &'static str),
    /// It is refused with this exception.
    Refused(JavaException, &'static str),
    /// It is about something that this store does not have; the reason is the refusal's message.
    NotApplicable(&'static str),
}

macro_rules! works {
    ($handler:ident) => {
        works!($handler, "")
    };
    ($handler:ident, $note:literal) => {
        Offer::Works(
            |protocol, call, parameters| {
                Box::pin(async move {
                    let answer = protocol.$handler(call, decode(parameters)?).await?;
                    Ok(encode(&answer))
                })
            },
            $note,
        )
    };
}

const SNAPSHOTS: Offer = Offer::Refused(
    JavaException::Snapshot,
    "Snapshots of directories are not offered by this store; the versions of a bucket keep what was overwritten or deleted",
);
const ERASURE: Offer = Offer::Refused(
    JavaException::UnsupportedOperation,
    "Erasure coding is a property of storage classes here: set a storage policy instead",
);
const CACHING: Offer = Offer::NotApplicable("This store has no centralized cache");
const ZONES: Offer =
    Offer::NotApplicable("This store has no encryption zones: buckets have default encryption instead");
const TOKENS: Offer =
    Offer::Refused(JavaException::Io, "Delegation Token can be issued only with kerberos or web authentication");
const OPERATION: Offer =
    Offer::NotApplicable("This store has no edit log, image or upgrade state that is operated from outside");

/// The method of this name.
pub(super) fn find(name: &str) -> Option<&'static Offer> {
    METHODS.binary_search_by(|(other, _)| (*other).cmp(name)).ok().map(|index| &METHODS[index].1)
}

/// All methods of Hadoop 3.5, by name.
pub(super) static METHODS: &[(&str, Offer)] = &[
    ("abandonBlock", works!(abandon_block)),
    ("addBlock", works!(add_block)),
    ("addCacheDirective", CACHING),
    ("addCachePool", CACHING),
    ("addErasureCodingPolicies", ERASURE),
    ("allowSnapshot", SNAPSHOTS),
    ("append", works!(append, "the file goes on in a new block, as if the last one were full")),
    ("cancelDelegationToken", TOKENS),
    ("checkAccess", works!(check_access)),
    ("complete", works!(complete)),
    ("concat", works!(concat)),
    ("create", works!(create, "an erasure coding policy is refused")),
    ("createEncryptionZone", ZONES),
    ("createSnapshot", SNAPSHOTS),
    ("createSymlink", Offer::Refused(JavaException::UnsupportedOperation, "Symlinks not supported")),
    ("delete", works!(delete)),
    ("deleteSnapshot", SNAPSHOTS),
    ("disableErasureCodingPolicy", ERASURE),
    ("disallowSnapshot", SNAPSHOTS),
    ("enableErasureCodingPolicy", ERASURE),
    ("finalizeUpgrade", OPERATION),
    ("fsync", works!(fsync)),
    ("getAclStatus", works!(get_acl_status)),
    ("getAdditionalDatanode", works!(get_additional_datanode)),
    ("getBatchedListing", works!(get_batched_listing)),
    ("getBlockLocations", works!(get_block_locations, "live replicas, nearest first")),
    ("getContentSummary", works!(get_content_summary)),
    ("getCurrentEditLogTxid", works!(get_current_edit_log_txid, "the index of the last command applied")),
    ("getDataEncryptionKey", works!(nothing, "answers that there is none")),
    ("getDatanodeReport", works!(get_datanode_report)),
    ("getDatanodeStorageReport", works!(get_datanode_storage_report)),
    ("getDelegationToken", works!(nothing, "answers that none is needed, as Hadoop does with security off")),
    (
        "getECTopologyResultForPolicies",
        Offer::NotApplicable("No erasure coding policy of Hadoop's can be enabled here"),
    ),
    ("getEZForPath", works!(get_ez_for_path, "answers that there is none")),
    ("getEditsFromTxid", OPERATION),
    ("getEnclosingRoot", works!(get_enclosing_root, "the bucket: renames do not leave it")),
    ("getErasureCodingCodecs", works!(get_erasure_coding_codecs, "answers that there are none")),
    ("getErasureCodingPolicies", works!(get_erasure_coding_policies, "Hadoop's own, all of them disabled")),
    ("getErasureCodingPolicy", works!(get_erasure_coding_policy, "answers that there is none")),
    ("getFileInfo", works!(get_file_info)),
    ("getFileLinkInfo", works!(get_file_info)),
    ("getFsECBlockGroupStats", works!(get_fs_ec_block_group_stats, "no block is striped")),
    ("getFsReplicatedBlockStats", works!(get_fs_replicated_block_stats)),
    ("getFsStats", works!(get_fs_stats)),
    ("getHAServiceState", works!(get_ha_service_state, "active where the Raft leader is")),
    ("getLinkTarget", works!(get_link_target, "there are no symlinks")),
    ("getListing", works!(get_listing)),
    ("getLocatedFileInfo", works!(get_located_file_info)),
    ("getPreferredBlockSize", works!(get_preferred_block_size)),
    ("getQuotaUsage", works!(get_quota_usage)),
    ("getServerDefaults", works!(get_server_defaults)),
    ("getSlowDatanodeReport", works!(get_slow_datanode_report, "answers that there are none")),
    ("getSnapshotDiffReport", SNAPSHOTS),
    ("getSnapshotDiffReportListing", SNAPSHOTS),
    ("getSnapshotListing", SNAPSHOTS),
    ("getSnapshottableDirListing", works!(nothing, "answers that there are none")),
    ("getStoragePolicies", works!(get_storage_policies, "HOT, WARM and COLD, each a storage class")),
    ("getStoragePolicy", works!(get_storage_policy)),
    ("getXAttrs", works!(get_xattrs)),
    ("isFileClosed", works!(is_file_closed)),
    ("listCacheDirectives", works!(none_listed, "answers that there are none")),
    ("listCachePools", works!(none_listed, "answers that there are none")),
    (
        "listCorruptFileBlocks",
        Offer::Refused(
            JavaException::UnsupportedOperation,
            "Blocks without a replica are counted by getFsStats and named by granary admin blocks",
        ),
    ),
    ("listEncryptionZones", works!(none_listed, "answers that there are none")),
    ("listOpenFiles", works!(list_open_files)),
    ("listReencryptionStatus", works!(none_listed, "answers that there is none")),
    ("listXAttrs", works!(list_xattrs)),
    ("metaSave", OPERATION),
    ("mkdirs", works!(mkdirs, "a name below / is a bucket and must be one by S3's rules")),
    ("modifyAclEntries", works!(modify_acl_entries)),
    ("modifyCacheDirective", CACHING),
    ("modifyCachePool", CACHING),
    ("msync", works!(msync, "reads are linearizable without it")),
    ("recoverLease", works!(recover_lease)),
    ("reencryptEncryptionZone", ZONES),
    ("refreshNodes", OPERATION),
    ("removeAcl", works!(remove_acl)),
    ("removeAclEntries", works!(remove_acl_entries)),
    ("removeCacheDirective", CACHING),
    ("removeCachePool", CACHING),
    ("removeDefaultAcl", works!(remove_default_acl)),
    ("removeErasureCodingPolicy", ERASURE),
    ("removeXAttr", works!(remove_xattr)),
    ("rename", works!(rename)),
    ("rename2", works!(rename2)),
    ("renameSnapshot", SNAPSHOTS),
    ("renewDelegationToken", TOKENS),
    ("renewLease", works!(renew_lease)),
    ("reportBadBlocks", works!(report_bad_blocks, "logged: datanodes verify what they hold by themselves")),
    ("restoreFailedStorage", OPERATION),
    ("rollEdits", OPERATION),
    ("rollingUpgrade", works!(rolling_upgrade, "a query says that there is none; nothing else is offered")),
    (
        "satisfyStoragePolicy",
        Offer::Refused(
            JavaException::UnsupportedOperation,
            "A storage policy counts for what is written after it was set; lifecycle rules move what is there",
        ),
    ),
    ("saveNamespace", OPERATION),
    ("setAcl", works!(set_acl)),
    ("setBalancerBandwidth", OPERATION),
    ("setErasureCodingPolicy", ERASURE),
    ("setOwner", works!(set_owner)),
    ("setPermission", works!(set_permission)),
    ("setQuota", works!(set_quota, "of names and of bytes, by the superuser")),
    ("setReplication", works!(set_replication)),
    ("setSafeMode", works!(set_safe_mode, "asking works; the namenode enters and leaves it by itself")),
    ("setStoragePolicy", works!(set_storage_policy)),
    ("setTimes", works!(set_times)),
    ("setXAttr", works!(set_xattr)),
    ("truncate", works!(truncate, "done at once: no block recovery follows")),
    ("unsetErasureCodingPolicy", ERASURE),
    ("unsetStoragePolicy", works!(unset_storage_policy)),
    ("updateBlockForPipeline", works!(update_block_for_pipeline)),
    ("updatePipeline", works!(update_pipeline)),
    ("upgradeStatus", works!(upgrade_status)),
];
