//! Limits of directories, held against what is about to be added to them, whichever door it comes through.
//!
//! What a tree takes is counted from the rows, at most once a second a directory; what was let in since is added. Several
//! at once may so pass a limit by what they bring together, as HDFS lets the last block of each writer pass.

use crate::command::Action;
use crate::service::Namenode;
use crate::state::filesystem::{self as rows, LimitedDirectory};
use granary_protocol::filesystem::FsPath;
use granary_protocol::{DirectoryId, ErrorCode, Failure, UnixMillis};
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How long a count holds.
const COUNTED_FOR_MS: u64 = 1_000;
/// Directories whose counts are remembered.
const COUNTS_MAX: usize = 10_000;

/// What trees with limits take.
#[derive(Default)]
pub(crate) struct QuotaCounts {
    counts: Mutex<HashMap<DirectoryId, Count>>,
}

#[derive(Clone, Copy)]
struct Count {
    at: UnixMillis,
    names: u64,
    space: u64,
}

impl QuotaCounts {
    fn counts(&self) -> MutexGuard<'_, HashMap<DirectoryId, Count>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn known(&self, directory: DirectoryId, now: UnixMillis) -> Option<Count> {
        let count = self.counts().get(&directory).copied()?;
        (count.at.0 + COUNTED_FOR_MS > now.0).then_some(count)
    }

    fn put(&self, directory: DirectoryId, count: Count) {
        let mut counts = self.counts();
        if counts.len() >= COUNTS_MAX {
            counts.clear();
        }
        counts.insert(directory, count);
    }
}

impl Namenode {
    /// Whether any directory has limits: nearly never, and then nothing is asked.
    pub(crate) fn has_quotas(&self) -> Result<bool, Failure> {
        self.look(|view| rows::any_limits(view))
    }

    /// Lets an object that S3 makes into the directories above its key.
    ///
    /// # Errors
    /// Those of [`Namenode::admit_to_quotas`].
    pub(crate) async fn admit_object(&self, action: &Action) -> Result<(), Failure> {
        let (bucket, key, bytes) = match action {
            Action::PutObject(put) => (&put.bucket, &put.key, put.object.size),
            Action::CopyObject(copy) => (&copy.bucket, &copy.key, copy.object.size),
            Action::CompleteUpload(complete) => (&complete.bucket, &complete.key, 0),
            _ => return Ok(()),
        };
        if !self.has_quotas()? {
            return Ok(());
        }
        // A key that no path can spell is in no directory that Hadoop knows.
        let Ok(path) = FsPath::parse(&format!("/{bucket}/{key}")) else { return Ok(()) };
        let space = bytes * u64::from(self.config.replication);
        self.admit_to_quotas(&path, 1, space, None).await
    }

    /// Lets `names` new entries and `space` bytes (each counted once a replica) into the directories above a path; those that hold `except`
    /// have them already.
    ///
    /// # Errors
    /// `NameQuotaExceeded`, `SpaceQuotaExceeded`.
    pub(crate) async fn admit_to_quotas(
        &self,
        path: &FsPath,
        names: u64,
        space: u64,
        except: Option<&FsPath>,
    ) -> Result<(), Failure> {
        let now = self.clock.now();
        let limited = self.point_read(|view| rows::limits_on(view, path)).await?;
        let mut admitted = Vec::with_capacity(limited.len());
        for limit in limited.into_iter().filter(|limit| except.is_none_or(|except| !limit.path.holds(except))) {
            let mut count = match self.quotas.known(limit.directory, now) {
                Some(count) => count,
                None => self.count_tree(&limit, now).await?,
            };
            count.names += names;
            count.space += space;
            check(&limit, count)?;
            admitted.push((limit.directory, count));
        }
        for (directory, count) in admitted {
            self.quotas.put(directory, count);
        }
        Ok(())
    }

    async fn count_tree(&self, limit: &LimitedDirectory, now: UnixMillis) -> Result<Count, Failure> {
        let (path, replication) = (limit.path.clone(), u16::from(self.config.replication));
        let (names, space) = self.scan(move |view| rows::taken(view, &path, replication)).await?;
        Ok(Count { at: now, names, space })
    }
}

fn check(limit: &LimitedDirectory, count: Count) -> Result<(), Failure> {
    let LimitedDirectory { path, quota, .. } = limit;
    if let Some(names) = quota.names.filter(|names| count.names > *names) {
        let detail = format!(
            "The NameSpace quota (directories and files) of directory {path} is exceeded: quota={names} file count={}",
            count.names
        );
        return Err(Failure::new(ErrorCode::NameQuotaExceeded, detail));
    }
    if let Some(bytes) = quota.space_bytes.filter(|bytes| count.space > *bytes) {
        let detail = format!(
            "The DiskSpace quota of {path} is exceeded: quota = {bytes} B but diskspace consumed = {} B",
            count.space
        );
        return Err(Failure::new(ErrorCode::SpaceQuotaExceeded, detail));
    }
    Ok(())
}
