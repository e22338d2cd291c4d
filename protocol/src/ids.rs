//! Identifiers: one newtype each, so that no signature takes a bare integer or string.

use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! numeric_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0)
            }
        }
    };
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(pub String);

        impl $name {
            /// The text itself.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.to_owned())
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(text)
            }
        }
    };
}

numeric_id!(
    /// A block: the unit of placement, replication and repair. Allocated by the namenode, never reused.
    BlockId
);
numeric_id!(
    /// Fences writers of a block: raised whenever its pipeline is recovered. A replica with a lower stamp is stale.
    GenerationStamp
);
numeric_id!(
    /// A writer's claim on the blocks it has open. Allocated by the namenode, never reused.
    LeaseId
);
numeric_id!(
    /// An immutable byte sequence stored as extents; versions of objects refer to it and copies share it.
    ///
    /// The upper 32 bits are the lease that wrote it, the lower 32 a counter of that lease, so that a writer names its
    /// contents (and writes the name into packed records) without asking the namenode.
    ContentId
);
numeric_id!(
    /// A directory of the namespace tree. The root of a bucket is a directory too.
    DirectoryId
);
numeric_id!(
    /// A datanode, chosen at random when its first volume is formatted and kept in the volumes' `VERSION` files.
    DatanodeId
);
numeric_id!(
    /// A volume (one `--data` directory), chosen at random when it is formatted. Unique in the cluster.
    VolumeId
);
numeric_id!(
    /// A Raft peer.
    PeerId
);
numeric_id!(
    /// A multipart upload. Ordered by creation.
    UploadId
);
numeric_id!(
    /// A version of an object; grows with every write of the cluster. 0 is the `null` version.
    VersionId
);

impl VersionId {
    /// The version of objects written while versioning was off or suspended.
    pub const NULL: VersionId = VersionId(0);
}

impl ContentId {
    /// The `counter`-th content named by `lease`.
    ///
    /// Returns `None` when the lease has outgrown 32 bits; the writer then takes a new lease.
    pub fn of_lease(lease: LeaseId, counter: u32) -> Option<ContentId> {
        let lease = u32::try_from(lease.0).ok()?;
        Some(ContentId(u64::from(lease) << 32 | u64::from(counter)))
    }

    /// The lease that named this content.
    pub fn lease(self) -> LeaseId {
        LeaseId(self.0 >> 32)
    }
}

text_id!(
    /// A bucket's name, valid by AWS's rules before it reaches the namenode.
    BucketName
);
text_id!(
    /// An object's key: up to 1,024 bytes of UTF-8, compared as bytes. Never becomes a file path.
    ObjectKey
);
text_id!(
    /// The 64 hexadecimal digits by which S3 names an account.
    CanonicalId
);
text_id!(
    /// A process of the cluster, as named in its certificate.
    NodeName
);
text_id!(
    /// A failure domain above the node, a path such as `/rack-1`.
    Rack
);
text_id!(
    /// A cluster, a random name fixed when the first namenode is formatted.
    ClusterId
);

/// A point in time, milliseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct UnixMillis(pub u64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_content_names_its_lease() {
        let content = ContentId::of_lease(LeaseId(7), 9).unwrap();
        assert_eq!(content.lease(), LeaseId(7));
        assert_eq!(ContentId::of_lease(LeaseId(1 << 32), 0), None);
    }
}
