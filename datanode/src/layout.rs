//! Names on disk: which directories a volume has and what the files of a replica are called. Pure: no I/O.
//!
//! ```text
//! VERSION  lock
//! rbw/                blk_<block>_<generation>.<o|p|e>, .crc       being written; survives a crash
//! tmp/                the same                                   copies under way; emptied at start
//! finalized/<2 hex>/  the same                                   complete
//! corrupt/            the same                                   out of service, kept for a look
//! ```
//!
//! `o` is an owned block, `p` a packed one, `e` parity of a coded group. The checksums' file appends `.crc` to the data file's name; while it is being
//! written it appends `.crc.new`.

use std::path::{Path, PathBuf};

use granary_protocol::block::BlockKind;
use granary_protocol::{BlockId, GenerationStamp};

/// Subdirectories of `finalized/`.
pub(crate) const BUCKETS: u32 = 256;

/// What a replica's files are named after.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ReplicaName {
    pub(crate) block: BlockId,
    pub(crate) generation: GenerationStamp,
    pub(crate) kind: BlockKind,
}

impl ReplicaName {
    /// The data file's name.
    pub(crate) fn data(&self) -> String {
        let kind = match self.kind {
            BlockKind::Owned => 'o',
            BlockKind::Packed => 'p',
            BlockKind::Parity => 'e',
        };
        format!("blk_{}_{}.{kind}", self.block, self.generation)
    }

    /// Reads a file's name; the second value says which of the replica's files it is.
    pub(crate) fn parse(name: &str) -> Option<(ReplicaName, FileRole)> {
        let (stem, extension) = name.split_once('.')?;
        let (block, generation) = stem.strip_prefix("blk_")?.split_once('_')?;
        let (kind, role) = match extension.split_once('.') {
            None => (extension, FileRole::Data),
            Some((kind, "crc")) => (kind, FileRole::Sums),
            Some((kind, "crc.new")) => (kind, FileRole::SumsNew),
            Some(_) => return None,
        };
        let kind = match kind {
            "o" => BlockKind::Owned,
            "p" => BlockKind::Packed,
            "e" => BlockKind::Parity,
            _ => return None,
        };
        let parsed = ReplicaName {
            block: BlockId(block.parse().ok()?),
            generation: GenerationStamp(generation.parse().ok()?),
            kind,
        };
        // `parse` takes `+1` and `01`; a name has one spelling only.
        name.starts_with(&parsed.data()).then_some((parsed, role))
    }
}

/// The files of a replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileRole {
    Data,
    Sums,
    /// Not yet in force.
    SumsNew,
}

/// The paths of a volume.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    root: PathBuf,
}

impl Layout {
    pub(crate) fn new(root: PathBuf) -> Layout {
        Layout { root }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn version(&self) -> PathBuf {
        self.root.join("VERSION")
    }

    pub(crate) fn lock(&self) -> PathBuf {
        self.root.join("lock")
    }

    pub(crate) fn rbw(&self) -> PathBuf {
        self.root.join("rbw")
    }

    pub(crate) fn tmp(&self) -> PathBuf {
        self.root.join("tmp")
    }

    pub(crate) fn corrupt(&self) -> PathBuf {
        self.root.join("corrupt")
    }

    /// How far the scrubber is.
    pub(crate) fn scrub(&self) -> PathBuf {
        self.root.join("scrub")
    }

    pub(crate) fn finalized(&self) -> PathBuf {
        self.root.join("finalized")
    }

    /// The directory of a finalized block: blocks are numbered in sequence, so their low byte spreads them evenly.
    pub(crate) fn finalized_of(&self, block: BlockId) -> PathBuf {
        self.bucket((block.0 % u64::from(BUCKETS)) as u32)
    }

    pub(crate) fn bucket(&self, bucket: u32) -> PathBuf {
        self.finalized().join(format!("{bucket:02x}"))
    }
}

/// The checksums' file beside a data file.
pub(crate) fn sums_path(data: &Path) -> PathBuf {
    with_suffix(data, ".crc")
}

/// The checksums' file while it is being written.
pub(crate) fn sums_new_path(data: &Path) -> PathBuf {
    with_suffix(data, ".crc.new")
}

fn with_suffix(data: &Path, suffix: &str) -> PathBuf {
    let mut name = data.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        let name = ReplicaName { block: BlockId(258), generation: GenerationStamp(7), kind: BlockKind::Packed };
        assert_eq!(name.data(), "blk_258_7.p");
        assert_eq!(ReplicaName::parse("blk_258_7.p"), Some((name, FileRole::Data)));
        assert_eq!(ReplicaName::parse("blk_258_7.p.crc"), Some((name, FileRole::Sums)));
        assert_eq!(ReplicaName::parse("blk_258_7.p.crc.new"), Some((name, FileRole::SumsNew)));
        for bad in
            ["blk_258_7", "blk_258_7.x", "blk_+258_7.p", "blk_258_07.p", "blk_258.p", "blk_258_7.p.crc.old", ".p"]
        {
            assert_eq!(ReplicaName::parse(bad), None, "{bad}");
        }
        let layout = Layout::new("/data".into());
        assert_eq!(layout.finalized_of(BlockId(258)), PathBuf::from("/data/finalized/02"));
    }
}
