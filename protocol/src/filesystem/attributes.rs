//! What Hadoop keeps beside an entry: extended attributes, quotas, storage policies; and the flags of `create`.

use crate::object::StorageClass;
use serde::{Deserialize, Serialize};

/// The most extended attributes of one entry, as `dfs.namenode.fs-limits.max-xattrs-per-inode`.
pub const XATTRS_MAX: usize = 32;
/// The longest name of one, in bytes.
pub const XATTR_NAME_BYTES_MAX: usize = 255;
/// The largest value of one, in bytes, as `dfs.namenode.fs-limits.max-xattr-size`.
pub const XATTR_VALUE_BYTES_MAX: usize = 16 << 10;

/// The namespaces of extended attributes. The order is that of Hadoop's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum XAttrNamespace {
    User,
    Trusted,
    Security,
    System,
    Raw,
}

/// The name of an extended attribute.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct XAttrName {
    pub namespace: XAttrNamespace,
    /// Without the namespace.
    pub name: String,
}

/// An extended attribute.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct XAttr {
    pub name: XAttrName,
    pub value: Vec<u8>,
}

/// Limits of a directory, and how much of them is used. `None` is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FsQuota {
    /// Files and directories, the directory itself included.
    pub names: Option<u64>,
    /// Bytes, each counted once a replica.
    pub space_bytes: Option<u64>,
}

/// The flags of `create`, as Hadoop numbers them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreateFlags(pub u32);

impl CreateFlags {
    pub const CREATE: u32 = 0x01;
    pub const OVERWRITE: u32 = 0x02;
    pub const APPEND: u32 = 0x04;
    pub const LAZY_PERSIST: u32 = 0x10;
    pub const NEW_BLOCK: u32 = 0x20;

    /// Whether this flag is set.
    pub fn has(self, flag: u32) -> bool {
        self.0 & flag != 0
    }
}

/// HDFS' storage policies, each a storage class here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum StoragePolicy {
    /// `HOT`: STANDARD.
    #[default]
    Hot,
    /// `WARM`: STANDARD_IA.
    Warm,
    /// `COLD`: GLACIER_IR, which is cheap and still read at once.
    Cold,
}

impl StoragePolicy {
    /// Every policy.
    pub const ALL: [StoragePolicy; 3] = [Self::Hot, Self::Warm, Self::Cold];

    /// HDFS' number.
    pub fn id(self) -> u8 {
        match self {
            Self::Cold => 2,
            Self::Warm => 5,
            Self::Hot => 7,
        }
    }

    /// HDFS' name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cold => "COLD",
            Self::Warm => "WARM",
            Self::Hot => "HOT",
        }
    }

    /// The policy of this name, in whatever case. HDFS' policies about flash and memory are `HOT` here.
    pub fn from_name(name: &str) -> Option<StoragePolicy> {
        match name.to_ascii_uppercase().as_str() {
            "COLD" => Some(Self::Cold),
            "WARM" => Some(Self::Warm),
            "HOT" | "ONE_SSD" | "ALL_SSD" | "ALL_NVDIMM" | "LAZY_PERSIST" => Some(Self::Hot),
            _ => None,
        }
    }

    /// The class of what is written under it.
    pub fn class(self) -> StorageClass {
        match self {
            Self::Hot => StorageClass::Standard,
            Self::Warm => StorageClass::StandardIa,
            Self::Cold => StorageClass::GlacierIr,
        }
    }

    /// The policy that an object of this class is shown under.
    pub fn of_class(class: StorageClass) -> StoragePolicy {
        match class {
            StorageClass::Standard | StorageClass::IntelligentTiering => Self::Hot,
            StorageClass::StandardIa | StorageClass::OnezoneIa => Self::Warm,
            StorageClass::GlacierIr | StorageClass::Glacier | StorageClass::DeepArchive => Self::Cold,
        }
    }
}
