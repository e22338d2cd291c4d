//! The volumes of a node: opened together, because they must agree on whose they are.

use std::collections::HashMap;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use granary_protocol::block::Media;
use granary_protocol::{ClusterId, DatanodeId, VolumeId};

use crate::config::VolumeConfig;
use crate::disk;
use crate::error::StartError;
use crate::layout::{BUCKETS, Layout};
use crate::scan::scan;
use crate::version_file::VersionFile;
use crate::volume::{Volume, VolumeContext};

/// All volumes of this node.
pub(crate) struct Volumes {
    pub(crate) datanode: DatanodeId,
    all: Vec<Arc<Volume>>,
    by_id: HashMap<VolumeId, usize>,
    cluster: Mutex<Option<ClusterId>>,
}

/// A directory that is ours and locked, not yet scanned.
struct Claimed {
    layout: Layout,
    media: Media,
    lock_file: File,
    version: Option<VersionFile>,
}

impl Volumes {
    /// Locks, formats where empty, checks and scans every directory; the scans run side by side. Blocks.
    pub(crate) fn open(configs: &[VolumeConfig], context: &VolumeContext) -> Result<Volumes, StartError> {
        let claimed: Vec<Claimed> = configs.iter().map(claim).collect::<Result<_, _>>()?;
        let (datanode, cluster) = agree(&claimed)?;
        let datanode = match datanode {
            Some(datanode) => datanode,
            None => DatanodeId(random_id()?),
        };
        let mut formatted = Vec::with_capacity(claimed.len());
        for mut claimed in claimed {
            let version = match claimed.version.take() {
                Some(version) => version,
                None => VersionFile { datanode, volume: VolumeId(random_id()?), cluster: cluster.clone() },
            };
            let root = claimed.layout.root().to_owned();
            format(&claimed.layout, &version).map_err(|source| StartError::Io { path: root, source })?;
            formatted.push((claimed, version.volume));
        }
        // Several disks are scanned at once; one needs no thread of its own.
        let scan = |(claimed, id)| open_volume(claimed, id, context.clone());
        let scanned: Vec<Result<Volume, StartError>> = match formatted.len() {
            1 => formatted.into_iter().map(scan).collect(),
            _ => std::thread::scope(|scope| {
                let threads: Vec<_> = formatted.into_iter().map(|volume| scope.spawn(move || scan(volume))).collect();
                threads.into_iter().map(|thread| thread.join().expect("a scan does not panic")).collect()
            }),
        };
        let all: Vec<Arc<Volume>> = scanned.into_iter().map(|volume| volume.map(Arc::new)).collect::<Result<_, _>>()?;
        let by_id = all.iter().enumerate().map(|(index, volume)| (volume.id, index)).collect();
        Ok(Volumes { datanode, all, by_id, cluster: Mutex::new(cluster) })
    }

    pub(crate) fn all(&self) -> &[Arc<Volume>] {
        &self.all
    }

    pub(crate) fn get(&self, id: VolumeId) -> Option<&Arc<Volume>> {
        self.by_id.get(&id).map(|index| &self.all[*index])
    }

    /// Remembers, durably, which cluster the volumes belong to. `false`: they belong to another one. Blocks.
    pub(crate) fn join_cluster(&self, joined: &ClusterId) -> io::Result<bool> {
        let mut cluster = self.cluster.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = &*cluster {
            return Ok(known == joined);
        }
        for volume in &self.all {
            let version = VersionFile { datanode: self.datanode, volume: volume.id, cluster: Some(joined.clone()) };
            version.store(&volume.layout.version())?;
        }
        *cluster = Some(joined.clone());
        Ok(true)
    }
}

fn random_id() -> Result<u64, StartError> {
    getrandom::u64().map_err(StartError::Random)
}

/// Locks the directory and reads whose it is.
fn claim(config: &VolumeConfig) -> Result<Claimed, StartError> {
    let path = &config.path;
    let io_error = |source| StartError::Io { path: path.clone(), source };
    fs::create_dir_all(path).map_err(io_error)?;
    let layout = Layout::new(path.clone());
    let lock_file = File::options().write(true).create(true).truncate(false).open(layout.lock()).map_err(io_error)?;
    match lock_file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(StartError::InUse { path: path.clone() }),
        Err(TryLockError::Error(source)) => return Err(io_error(source)),
    }
    let version = match VersionFile::load(&layout.version()).map_err(io_error)? {
        Some(Ok(version)) => Some(version),
        Some(Err(reason)) => return Err(StartError::Unreadable { path: path.clone(), reason }),
        None if layout.finalized().exists() || layout.rbw().exists() => {
            let reason = "it has replicas but no VERSION file".to_owned();
            return Err(StartError::Unreadable { path: path.clone(), reason });
        }
        None => None,
    };
    Ok(Claimed { layout, media: config.media, lock_file, version })
}

/// Whose the volumes are; `None` where all of them are new.
fn agree(claimed: &[Claimed]) -> Result<(Option<DatanodeId>, Option<ClusterId>), StartError> {
    let mut datanode: Option<DatanodeId> = None;
    let mut cluster: Option<&ClusterId> = None;
    let mut seen: HashMap<VolumeId, &Path> = HashMap::new();
    for Claimed { layout, version, .. } in claimed {
        let Some(version) = version else { continue };
        let mixed = |reason: String| StartError::Mixed { path: layout.root().to_owned(), reason };
        if datanode.is_some_and(|datanode| datanode != version.datanode) {
            return Err(mixed(format!("it is of datanode {}", version.datanode)));
        }
        if let (Some(cluster), Some(its)) = (cluster, &version.cluster)
            && cluster != its
        {
            return Err(mixed(format!("it is of cluster {its}")));
        }
        if let Some(other) = seen.insert(version.volume, layout.root()) {
            return Err(mixed(format!("{} is the same volume", other.display())));
        }
        datanode = Some(version.datanode);
        cluster = cluster.or(version.cluster.as_ref());
    }
    Ok((datanode, cluster.cloned()))
}

/// Makes what is missing of a volume. `VERSION` comes first: directories without it are taken for somebody else's.
fn format(layout: &Layout, version: &VersionFile) -> io::Result<()> {
    if !layout.version().exists() {
        version.store(&layout.version())?;
    }
    for directory in [layout.rbw(), layout.tmp(), layout.corrupt(), layout.finalized()] {
        fs::create_dir_all(directory)?;
    }
    for bucket in 0..BUCKETS {
        fs::create_dir_all(layout.bucket(bucket))?;
    }
    disk::sync_directory(&layout.finalized())?;
    disk::sync_directory(layout.root())
}

fn open_volume(claimed: Claimed, id: VolumeId, context: VolumeContext) -> Result<Volume, StartError> {
    let Claimed { layout, media, lock_file, .. } = claimed;
    let path = layout.root().to_owned();
    let opened = scan(&layout).and_then(|found| {
        let (replicas, damaged, used_bytes) = (found.replicas.len(), found.damaged, found.used_bytes());
        tracing::info!(volume = %id, path = %path.display(), replicas, damaged, used_bytes, "volume opened");
        Volume::new(id, media, layout, lock_file, context, found.replicas, used_bytes)
    });
    opened.map_err(|source| StartError::Io { path, source })
}
