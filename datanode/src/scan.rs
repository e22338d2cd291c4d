//! What a volume holds when the datanode starts: names and sizes only for finalized replicas, everything about
//! unfinished ones. Garbage of interrupted work is removed.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use granary_protocol::BlockId;
use granary_protocol::block::BlockKind;

use crate::chunk_sums::sums_file_bytes;
use crate::disk;
use crate::layout::{BUCKETS, FileRole, Layout, ReplicaName, sums_path};
use crate::recover::recover;
use crate::volume::Replica;

/// The replicas found.
#[derive(Default)]
pub(crate) struct Found {
    pub(crate) replicas: HashMap<BlockId, Replica>,
    /// Finalized replicas whose files do not belong together; moved to `corrupt/`.
    pub(crate) damaged: u64,
}

/// The files of one name in one directory: sizes of those present.
#[derive(Clone, Copy, Default)]
struct Files {
    data_bytes: Option<u64>,
    sums_bytes: Option<u64>,
}

/// Scans the volume. Blocks.
pub(crate) fn scan(layout: &Layout) -> io::Result<Found> {
    for entry in fs::read_dir(layout.tmp())? {
        disk::remove_if_present(&entry?.path())?;
    }
    let mut found = Found::default();
    // Sums whose data is not there: garbage, unless the data is in `rbw/` and was about to move.
    let mut lone_sums: HashMap<BlockId, PathBuf> = HashMap::new();
    for bucket in 0..BUCKETS {
        let directory = layout.bucket(bucket);
        for (name, files) in list(&directory)? {
            let path = directory.join(name.data());
            match files {
                Files { data_bytes: Some(length), sums_bytes: Some(sums_bytes) }
                    if u32::try_from(length).is_ok_and(|length| sums_file_bytes(length) == sums_bytes) =>
                {
                    let (generation, kind) = (name.generation, name.kind);
                    found.add(layout, name, Replica::Finalized { generation, kind, length: length as u32 })?;
                }
                Files { data_bytes: None, .. } => {
                    lone_sums.insert(name.block, sums_path(&path));
                }
                Files { data_bytes: Some(_), .. } => {
                    tracing::warn!(path = %path.display(), "finalized replica and its checksums do not fit; set aside");
                    found.damaged += 1;
                    let aside = layout.corrupt().join(name.data());
                    fs::rename(&path, &aside)?;
                    if files.sums_bytes.is_some() {
                        fs::rename(sums_path(&path), sums_path(&aside))?;
                    }
                }
            }
        }
    }
    for (name, files) in list(&layout.rbw())? {
        let path = layout.rbw().join(name.data());
        match files.data_bytes {
            None => disk::remove_if_present(&sums_path(&path))?,
            Some(_) => {
                let sums = match (files.sums_bytes, lone_sums.get(&name.block)) {
                    (Some(_), _) => Some(fs::read(sums_path(&path))?),
                    (None, Some(moved)) => Some(fs::read(moved)?),
                    (None, None) => None,
                };
                let open = recover(name, &path, sums)?;
                let synced = open.synced();
                tracing::info!(block = %name.block, generation = %name.generation, kind = ?name.kind, synced, "recovered replica");
                if name.kind != BlockKind::Packed {
                    // They may have been read from where a finalization had moved them to.
                    open.write_sums(&sums_path(&path))?;
                }
                found.add(layout, name, Replica::Open(Arc::new(open)))?;
            }
        }
    }
    for path in lone_sums.values() {
        disk::remove_if_present(path)?;
    }
    Ok(found)
}

impl Found {
    /// Of two replicas of a block the one of the higher generation stays; of equals, the finalized one, found first.
    fn add(&mut self, layout: &Layout, name: ReplicaName, replica: Replica) -> io::Result<()> {
        let loser = match self.replicas.get(&name.block) {
            Some(other) if other.generation() >= replica.generation() => path_of(layout, name.block, &replica),
            Some(other) => {
                let loser = path_of(layout, name.block, other);
                self.replicas.insert(name.block, replica);
                loser
            }
            None => {
                self.replicas.insert(name.block, replica);
                return Ok(());
            }
        };
        tracing::warn!(path = %loser.display(), "removing the older of two replicas of a block");
        disk::remove_if_present(&loser)?;
        disk::remove_if_present(&sums_path(&loser))
    }

    /// Bytes that the replicas' files take.
    pub(crate) fn used_bytes(&self) -> u64 {
        let bytes = self.replicas.values().map(|replica| match replica {
            Replica::Finalized { length, .. } => u64::from(*length) + sums_file_bytes(*length),
            Replica::Open(open) => open.lock().file_bytes,
        });
        bytes.sum()
    }
}

fn path_of(layout: &Layout, block: BlockId, replica: &Replica) -> PathBuf {
    match replica {
        Replica::Open(open) => open.path.clone(),
        Replica::Finalized { generation, kind, .. } => {
            layout.finalized_of(block).join(ReplicaName { block, generation: *generation, kind: *kind }.data())
        }
    }
}

/// The replicas' files in a directory. Half-written checksums are removed, foreign names are left alone.
fn list(directory: &Path) -> io::Result<HashMap<ReplicaName, Files>> {
    let mut names: HashMap<ReplicaName, Files> = HashMap::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let file_name = entry.file_name();
        let Some((name, role)) = file_name.to_str().and_then(ReplicaName::parse) else {
            tracing::warn!(path = %entry.path().display(), "not a replica's file; left alone");
            continue;
        };
        match role {
            FileRole::Data => names.entry(name).or_default().data_bytes = Some(entry.metadata()?.len()),
            FileRole::Sums => names.entry(name).or_default().sums_bytes = Some(entry.metadata()?.len()),
            FileRole::SumsNew => disk::remove_if_present(&entry.path())?,
        }
    }
    Ok(names)
}
