//! The store's words as Hadoop's messages.

use crate::block_token;
use crate::datanode_directory::DatanodeDirectory;
use crate::names::{pool_id, storage_id};
use crate::proto::*;
use crate::sealed::ShownFile;
use granary_protocol::ClusterId;
use granary_protocol::filesystem::{self as fs, FileBlock, FileKind, FileStatus};
use granary_protocol::object::StorageClass;

/// What blocks are shown with beside what the namenode says of them.
pub struct BlockView<'a> {
    /// Names the block pool.
    pub cluster: &'a ClusterId,
    /// Where datanodes are reached.
    pub datanodes: &'a DatanodeDirectory,
}

impl BlockView<'_> {
    /// A block that is being written, or one of a file in clear. Datanodes that no client can reach are left out.
    pub fn block(&self, block: &FileBlock) -> LocatedBlock {
        self.block_with(block, block_token::to_hadoop(&block.located.token))
    }

    /// A block of a file.
    pub fn block_of(&self, file: &ShownFile, block: &FileBlock) -> LocatedBlock {
        self.block_with(block, file.token(block))
    }

    fn block_with(&self, block: &FileBlock, block_token: Token) -> LocatedBlock {
        let reached = block.located.replicas.iter().filter_map(|replica| {
            let info = self.datanodes.info(replica.datanode.id)?;
            Some((info, storage_id(replica.volume)))
        });
        let (locs, storage_ids): (Vec<_>, Vec<_>) = reached.unzip();
        LocatedBlock {
            b: ExtendedBlock {
                pool_id: pool_id(self.cluster),
                block_id: block.extent.block.0,
                generation_stamp: block.located.generation.0,
                num_bytes: Some(u64::from(block.extent.length)),
            },
            offset: block.offset,
            corrupt: false,
            block_token,
            is_cached: vec![false; locs.len()],
            storage_types: vec![StorageType::Disk as i32; locs.len()],
            storage_ids,
            locs,
            block_indices: None,
            block_tokens: Vec::new(),
        }
    }

    /// The blocks of a file.
    pub fn file(&self, shown: &ShownFile) -> LocatedBlocks {
        let file = &shown.file;
        LocatedBlocks {
            file_length: file.length,
            blocks: file.blocks.iter().map(|block| self.block_of(shown, block)).collect(),
            under_construction: file.under_construction,
            last_block: file.last.as_deref().map(|block| self.block_of(shown, block)),
            is_last_block_complete: file.last.as_deref().is_none_or(|block| block.complete),
            ec_policy: None,
        }
    }
}

/// What is known of an entry, without its blocks.
pub fn file_status(status: &FileStatus) -> HdfsFileStatus {
    let is_file = status.kind == FileKind::File;
    HdfsFileStatus {
        file_type: if is_file { FileType::File } else { FileType::Dir } as i32,
        path: status.name.clone().into_bytes(),
        length: status.length,
        permission: FsPermission { perm: u32::from(status.permission) },
        owner: status.owner.clone(),
        group: status.group.clone(),
        modification_time: status.modified.0,
        access_time: status.accessed.0,
        symlink: None,
        block_replication: Some(u32::from(status.replication)),
        blocksize: Some(status.block_size),
        locations: None,
        file_id: Some(status.file_id.0),
        children_num: Some(i32::try_from(status.children).unwrap_or(i32::MAX)),
        storage_policy: Some(shown_policy(status)),
        ec_policy: None,
        flags: Some(if status.has_acl { FLAG_HAS_ACL } else { 0 }),
    }
}

/// 0 where none was set, except that a file whose class is another shows the policy of that class.
fn shown_policy(status: &FileStatus) -> u32 {
    match (status.storage_policy, status.kind, status.class) {
        (Some(policy), _, _) => u32::from(policy.id()),
        (None, FileKind::Directory, _) | (None, _, StorageClass::Standard) => 0,
        (None, FileKind::File, class) => u32::from(fs::StoragePolicy::of_class(class).id()),
    }
}

/// A storage policy. Every class here stands on disks; which ones is the cluster's configuration.
pub fn storage_policy(policy: fs::StoragePolicy) -> BlockStoragePolicy {
    let types = |types: &[StorageType]| StorageTypes { storage_types: types.iter().map(|kind| *kind as i32).collect() };
    let (creation, creation_fallback, replication_fallback): (&[_], &[_], &[_]) = match policy {
        fs::StoragePolicy::Hot => (&[StorageType::Disk], &[], &[StorageType::Archive]),
        fs::StoragePolicy::Warm => {
            let both = &[StorageType::Disk, StorageType::Archive];
            (both, both, both)
        }
        fs::StoragePolicy::Cold => (&[StorageType::Archive], &[], &[]),
    };
    BlockStoragePolicy {
        policy_id: u32::from(policy.id()),
        name: policy.name().to_owned(),
        creation_policy: types(creation),
        creation_fallback_policy: Some(types(creation_fallback)),
        replication_fallback_policy: Some(types(replication_fallback)),
    }
}

/// An access control entry as a client sends it; `None` if it is none.
pub fn acl_entry_from(entry: &AclEntry) -> Option<fs::AclEntry> {
    let scope = match AclEntryScope::try_from(entry.scope).ok()? {
        AclEntryScope::Access => fs::AclScope::Access,
        AclEntryScope::Default => fs::AclScope::Default,
    };
    let kind = match AclEntryType::try_from(entry.entry_type).ok()? {
        AclEntryType::User => fs::AclEntryKind::User,
        AclEntryType::Group => fs::AclEntryKind::Group,
        AclEntryType::Mask => fs::AclEntryKind::Mask,
        AclEntryType::Other => fs::AclEntryKind::Other,
    };
    let permission = u8::try_from(entry.permissions).ok().filter(|permission| *permission <= 7)?;
    Some(fs::AclEntry { scope, kind, name: entry.name.clone().filter(|name| !name.is_empty()), permission })
}

/// A list as clients read it.
pub fn acl_status(status: &fs::AclStatus) -> AclStatus {
    let entry = |entry: &fs::AclEntry| AclEntry {
        entry_type: match entry.kind {
            fs::AclEntryKind::User => AclEntryType::User,
            fs::AclEntryKind::Group => AclEntryType::Group,
            fs::AclEntryKind::Mask => AclEntryType::Mask,
            fs::AclEntryKind::Other => AclEntryType::Other,
        } as i32,
        scope: match entry.scope {
            fs::AclScope::Access => AclEntryScope::Access,
            fs::AclScope::Default => AclEntryScope::Default,
        } as i32,
        permissions: i32::from(entry.permission),
        name: entry.name.clone(),
    };
    AclStatus {
        owner: status.owner.clone(),
        group: status.group.clone(),
        sticky: status.sticky,
        entries: status.entries.iter().map(entry).collect(),
        permission: Some(FsPermission { perm: u32::from(status.permission) }),
    }
}

/// An attribute as clients read it.
pub fn xattr(attribute: fs::XAttr) -> XAttr {
    let namespace = match attribute.name.namespace {
        fs::XAttrNamespace::User => XAttrNamespace::User,
        fs::XAttrNamespace::Trusted => XAttrNamespace::Trusted,
        fs::XAttrNamespace::Security => XAttrNamespace::Security,
        fs::XAttrNamespace::System => XAttrNamespace::System,
        fs::XAttrNamespace::Raw => XAttrNamespace::Raw,
    } as i32;
    let value = (!attribute.value.is_empty()).then_some(attribute.value);
    XAttr { namespace, name: attribute.name.name, value }
}

/// The name of an attribute as a client sends it; `None` if it is none.
pub fn xattr_name(attribute: &XAttr) -> Option<fs::XAttrName> {
    let namespace = match XAttrNamespace::try_from(attribute.namespace).ok()? {
        XAttrNamespace::User => fs::XAttrNamespace::User,
        XAttrNamespace::Trusted => fs::XAttrNamespace::Trusted,
        XAttrNamespace::Security => fs::XAttrNamespace::Security,
        XAttrNamespace::System => fs::XAttrNamespace::System,
        XAttrNamespace::Raw => fs::XAttrNamespace::Raw,
    };
    Some(fs::XAttrName { namespace, name: attribute.name.clone() })
}
