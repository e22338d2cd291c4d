//! Answers as JSON, in Hadoop's shapes.

use crate::proto::{BlockStoragePolicy, StorageType};
use crate::translate;
use granary_protocol::filesystem::{
    AclEntry, AclEntryKind, AclScope, AclStatus, ContentSummary, FileKind, FileStatus, FsListing, FsStats,
    ServerDefaults, XAttr, XAttrName, XAttrNamespace,
};
use serde_json::{Map, Value, json};

/// What is said where no quota is set.
const NO_QUOTA: i64 = -1;

/// The fields of `FileStatus`, under the name shown in its directory.
pub fn file_status(status: &FileStatus) -> Value {
    let is_file = status.kind == FileKind::File;
    let mut fields = json!({
        "accessTime": status.accessed.0,
        "blockSize": status.block_size,
        "childrenNum": status.children,
        "fileId": status.file_id.0,
        "group": status.group,
        "length": status.length,
        "modificationTime": status.modified.0,
        "owner": status.owner,
        "pathSuffix": status.name,
        "permission": octal(status.permission),
        "replication": status.replication,
        "storagePolicy": translate::file_status(status).storage_policy,
        "type": if is_file { "FILE" } else { "DIRECTORY" },
    });
    if status.has_acl {
        fields["aclBit"] = Value::Bool(true);
    }
    fields
}

/// Mode bits, the sticky one included.
pub fn octal(permission: u16) -> String {
    format!("{:o}", permission & 0o1777)
}

/// `FileStatuses`.
pub fn file_statuses(listing: &FsListing) -> Value {
    let entries: Vec<Value> = listing.entries.iter().map(|entry| file_status(&entry.status)).collect();
    json!({ "FileStatuses": { "FileStatus": entries } })
}

/// `DirectoryListing`: a page, and how many entries follow.
pub fn directory_listing(listing: &FsListing) -> Value {
    json!({ "DirectoryListing": {
        "partialListing": file_statuses(listing),
        "remainingEntries": listing.remaining,
    }})
}

fn quota(limit: Option<u64>) -> i64 {
    limit.map_or(NO_QUOTA, |limit| i64::try_from(limit).unwrap_or(i64::MAX))
}

/// `ContentSummary`.
pub fn content_summary(summary: &ContentSummary) -> Value {
    json!({ "ContentSummary": {
        "directoryCount": summary.directories,
        "ecPolicy": "Replicated",
        "fileCount": summary.files,
        "length": summary.length,
        "quota": quota(summary.quota.names),
        "snapshotDirectoryCount": 0,
        "snapshotFileCount": 0,
        "snapshotLength": 0,
        "snapshotSpaceConsumed": 0,
        "spaceConsumed": summary.space_consumed,
        "spaceQuota": quota(summary.quota.space_bytes),
        "typeQuota": {},
    }})
}

/// `QuotaUsage`.
pub fn quota_usage(summary: &ContentSummary) -> Value {
    json!({ "QuotaUsage": {
        "fileAndDirectoryCount": summary.files + summary.directories,
        "quota": quota(summary.quota.names),
        "spaceConsumed": summary.space_consumed,
        "spaceQuota": quota(summary.quota.space_bytes),
        "typeQuota": {},
    }})
}

/// `FsServerDefaults`.
pub fn server_defaults(defaults: &ServerDefaults) -> Value {
    json!({ "FsServerDefaults": {
        "blockSize": defaults.block_size,
        "bytesPerChecksum": 512,
        "checksumType": 2,
        "defaultStoragePolicyId": 7,
        "encryptDataTransfer": false,
        "fileBufferSize": 4096,
        "keyProviderUri": "",
        "replication": defaults.replication,
        "trashInterval": defaults.trash_interval_minutes,
        "writePacketSize": 65_536,
    }})
}

/// `FsStatus`.
pub fn fs_status(stats: &FsStats) -> Value {
    json!({ "FsStatus": {
        "capacity": stats.capacity_bytes,
        "remaining": stats.remaining_bytes,
        "used": stats.used_bytes,
    }})
}

/// An entry of a list as text: `default:user:bob:r-x`.
pub fn acl_entry(entry: &AclEntry) -> String {
    let scope = if entry.scope == AclScope::Default { "default:" } else { "" };
    let kind = match entry.kind {
        AclEntryKind::User => "user",
        AclEntryKind::Group => "group",
        AclEntryKind::Mask => "mask",
        AclEntryKind::Other => "other",
    };
    let bit = |mask: u8, letter: char| if entry.permission & mask != 0 { letter } else { '-' };
    let name = entry.name.as_deref().unwrap_or_default();
    format!("{scope}{kind}:{name}:{}{}{}", bit(4, 'r'), bit(2, 'w'), bit(1, 'x'))
}

/// `AclStatus`.
pub fn acl_status(status: &AclStatus) -> Value {
    let entries: Vec<String> = status.entries.iter().map(acl_entry).collect();
    json!({ "AclStatus": {
        "entries": entries,
        "group": status.group,
        "owner": status.owner,
        "permission": octal(status.permission),
        "stickyBit": status.sticky,
    }})
}

/// How values of extended attributes are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum XAttrEncoding {
    Text,
    Hex,
    Base64,
}

/// An attribute's full name, its namespace before it.
pub fn xattr_name(name: &XAttrName) -> String {
    let namespace = match name.namespace {
        XAttrNamespace::User => "user",
        XAttrNamespace::Trusted => "trusted",
        XAttrNamespace::Security => "security",
        XAttrNamespace::System => "system",
        XAttrNamespace::Raw => "raw",
    };
    format!("{namespace}.{}", name.name)
}

/// A value as Hadoop's `XAttrCodec` writes it; `null` for an empty one.
fn xattr_value(value: &[u8], encoding: XAttrEncoding) -> Value {
    use base64::Engine;
    if value.is_empty() {
        return Value::Null;
    }
    Value::String(match encoding {
        XAttrEncoding::Text => format!("\"{}\"", String::from_utf8_lossy(value)),
        XAttrEncoding::Hex => format!("0x{}", hex::encode(value)),
        XAttrEncoding::Base64 => format!("0s{}", base64::engine::general_purpose::STANDARD.encode(value)),
    })
}

/// `XAttrs`.
pub fn xattrs(attributes: &[XAttr], encoding: XAttrEncoding) -> Value {
    let attribute = |attribute: &XAttr| json!({ "name": xattr_name(&attribute.name), "value": xattr_value(&attribute.value, encoding) });
    json!({ "XAttrs": attributes.iter().map(attribute).collect::<Vec<_>>() })
}

/// `XAttrNames`: a list as JSON within a string.
pub fn xattr_names(attributes: &[XAttr]) -> Value {
    let names: Vec<String> = attributes.iter().map(|attribute| xattr_name(&attribute.name)).collect();
    json!({ "XAttrNames": Value::from(names).to_string() })
}

/// A storage policy, without a name around it.
pub fn storage_policy(policy: &BlockStoragePolicy) -> Value {
    let types = |types: Option<&crate::proto::StorageTypes>| {
        let names = types.into_iter().flat_map(|types| types.storage_types()).map(storage_type);
        names.collect::<Vec<_>>()
    };
    json!({
        "copyOnCreateFile": false,
        "creationFallbacks": types(policy.creation_fallback_policy.as_ref()),
        "id": policy.policy_id,
        "name": policy.name,
        "replicationFallbacks": types(policy.replication_fallback_policy.as_ref()),
        "storageTypes": types(Some(&policy.creation_policy)),
    })
}

fn storage_type(kind: StorageType) -> &'static str {
    match kind {
        StorageType::Disk => "DISK",
        StorageType::Ssd => "SSD",
        StorageType::Archive => "ARCHIVE",
        StorageType::RamDisk => "RAM_DISK",
        StorageType::Provided => "PROVIDED",
        StorageType::Nvdimm => "NVDIMM",
    }
}

/// One field under a name.
pub fn named(name: &str, value: impl Into<Value>) -> Value {
    Value::Object(Map::from_iter([(name.to_owned(), value.into())]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_within_strings_and_values_in_three_ways() {
        let attribute = |value: &[u8]| XAttr {
            name: XAttrName { namespace: XAttrNamespace::User, name: "a".to_owned() },
            value: value.to_vec(),
        };
        let all = [attribute(b"ab")];
        assert_eq!(xattr_names(&all).to_string(), r#"{"XAttrNames":"[\"user.a\"]"}"#);
        let value = |encoding| xattrs(&all, encoding)["XAttrs"][0]["value"].clone();
        assert_eq!(value(XAttrEncoding::Hex), "0x6162");
        assert_eq!(value(XAttrEncoding::Text), "\"ab\"");
        assert_eq!(value(XAttrEncoding::Base64), "0sYWI=");
        assert_eq!(xattrs(&[attribute(b"")], XAttrEncoding::Hex)["XAttrs"][0]["value"], Value::Null);
    }

    #[test]
    fn entries_of_lists_are_written_as_setfacl_reads_them() {
        let entry = |scope, kind, name: Option<&str>, permission| AclEntry {
            scope,
            kind,
            name: name.map(str::to_owned),
            permission,
        };
        assert_eq!(acl_entry(&entry(AclScope::Access, AclEntryKind::User, Some("bob"), 4)), "user:bob:r--");
        assert_eq!(acl_entry(&entry(AclScope::Default, AclEntryKind::Other, None, 5)), "default:other::r-x");
        assert_eq!(octal(0o1777), "1777");
    }
}
