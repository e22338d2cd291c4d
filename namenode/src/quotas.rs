//! Limits of directories, held against what is about to be added to them, whichever door it comes through.
//!
//! What a tree takes is counted from the rows, at most once a second a directory and more seldom where it takes long; what was let in since is added. Several
//! at once may so pass a limit by what they bring together, as HDFS lets the last block of each writer pass.

use crate::command::Action;
use crate::service::Namenode;
use crate::state::filesystem::{self as rows, LimitedDirectory};
use granary_protocol::filesystem::FsPath;
use granary_protocol::{DirectoryId, ErrorCode, Failure, UnixMillis};
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How long a count holds at least.
const COUNTED_FOR_MS: u64 = 1_000;
/// A count holds so many times as long as it took, so that counting large trees takes a small part of the time.
const COUNTING_TIMES: u64 = 20;
/// Directories whose counts are remembered.
const COUNTS_MAX: usize = 10_000;

/// What trees with limits take.
#[derive(Default)]
pub(crate) struct QuotaCounts {
    counts: Mutex<HashMap<DirectoryId, Count>>,
}

#[derive(Clone, Copy)]
struct Count {
    until: UnixMillis,
    names: u64,
    space: u64,
}

impl QuotaCounts {
    fn counts(&self) -> MutexGuard<'_, HashMap<DirectoryId, Count>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn known(&self, directory: DirectoryId, now: UnixMillis) -> Option<Count> {
        let count = self.counts().get(&directory).copied()?;
        (now < count.until).then_some(count)
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
        // Where a file is above it, S3 makes it nevertheless.
        let names = self.point_read(|view| rows::missing_names(view, &path)).await.unwrap_or(1);
        self.admit_to_quotas(&path, names, space, None).await
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
        let limited = self.limits_beyond(path, except).await?;
        let mut admitted = Vec::with_capacity(limited.len());
        for limit in limited {
            let mut count = match self.quotas.known(limit.directory, self.clock.now()) {
                Some(count) => count,
                None => self.count_tree(&limit).await?,
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

    /// The limits at a path and above it that do not hold `except` already.
    pub(crate) async fn limits_beyond(
        &self,
        path: &FsPath,
        except: Option<&FsPath>,
    ) -> Result<Vec<LimitedDirectory>, Failure> {
        let mut limited = self.point_read(|view| rows::limits_on(view, path)).await?;
        limited.retain(|limit| except.is_none_or(|except| !limit.path.holds(except)));
        Ok(limited)
    }

    async fn count_tree(&self, limit: &LimitedDirectory) -> Result<Count, Failure> {
        let (path, replication) = (limit.path.clone(), u16::from(self.config.replication));
        let began = self.clock.now();
        let (names, space) = self.scan(move |view| rows::taken(view, &path, replication)).await?;
        Ok(Count { until: holds_until(began, self.clock.now()), names, space })
    }
}

/// Until when a count holds that took from `began` to `ended`.
fn holds_until(began: UnixMillis, ended: UnixMillis) -> UnixMillis {
    let took = ended.0.saturating_sub(began.0);
    UnixMillis(ended.0.saturating_add(COUNTED_FOR_MS.max(COUNTING_TIMES.saturating_mul(took))))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_holds_for_longer_than_it_took() {
        let counts = QuotaCounts::default();
        let (directory, names, space) = (DirectoryId(7), 1, 2);
        let ended = UnixMillis(5_000);
        counts.put(directory, Count { until: holds_until(UnixMillis(2_000), ended), names, space });
        assert!(counts.known(directory, ended).is_some(), "though counting took three seconds");
        assert!(counts.known(directory, UnixMillis(5_000 + 59_999)).is_some());
        assert!(counts.known(directory, UnixMillis(5_000 + 60_000)).is_none());
        assert_eq!(holds_until(ended, ended), UnixMillis(6_000));
    }
}
