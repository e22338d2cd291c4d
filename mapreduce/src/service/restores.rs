//! The wait for inputs that are being restored from an archive: their job is planned when all of them can be read.

use super::JobService;
use granary_protocol::jobs::{InputFile, JobId};
use granary_protocol::lifecycle::Restore;
use granary_protocol::namenode::{NamenodeReply, NamenodeRequest};
use granary_protocol::object::PAGE_ENTRIES_MAX;
use granary_protocol::{BucketName, ErrorCode, Failure, ObjectKey, UnixMillis, VersionId};
use std::collections::BTreeMap;
use std::time::Duration;

/// How often it is looked whether the job is still wanted.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What a job waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Restoring {
    pub objects: usize,
    /// When the last of them can be read.
    pub ready: UnixMillis,
}

type Versions = BTreeMap<BucketName, Vec<(ObjectKey, VersionId)>>;

impl JobService {
    /// Returns when no input is being restored any more.
    ///
    /// # Errors
    /// The job is not planned here any more; those of the namenode.
    pub(super) async fn wait_for_restores(&self, job: JobId, epoch: u32, inputs: &[InputFile]) -> Result<(), Failure> {
        let mut asked = Versions::new();
        for input in inputs {
            asked.entry(input.bucket.clone()).or_default().push((input.key.clone(), input.version));
        }
        loop {
            let now = self.now();
            let (waited, ready) = self.unready(asked, now).await?;
            asked = waited;
            let objects: usize = asked.values().map(Vec::len).sum();
            self.board().expect_planning(job, epoch)?;
            if objects == 0 {
                self.board().restoring.remove(&job);
                return Ok(());
            }
            self.board().restoring.insert(job, Restoring { objects, ready });
            while self.now() < ready {
                let left = Duration::from_millis(ready.0.saturating_sub(self.now().0));
                tokio::time::sleep(left.min(LOOK_EVERY)).await;
                self.board().expect_planning(job, epoch)?;
            }
        }
    }

    /// Those of the versions that are being restored, and when the last of them will be.
    async fn unready(&self, asked: Versions, now: UnixMillis) -> Result<(Versions, UnixMillis), Failure> {
        let (mut waited, mut last) = (Versions::new(), now);
        for (bucket, versions) in asked {
            for page in versions.chunks(PAGE_ENTRIES_MAX as usize) {
                let restores = self.restores_of(&bucket, page).await?;
                for (version, restore) in page.iter().zip(restores) {
                    // One without a restore is not archived, or its tasks will say what is wrong with it.
                    let Some(restore) = restore.filter(|restore| now < restore.ready) else { continue };
                    last = last.max(restore.ready);
                    waited.entry(bucket.clone()).or_default().push(version.clone());
                }
            }
        }
        Ok((waited, last))
    }

    async fn restores_of(
        &self,
        bucket: &BucketName,
        versions: &[(ObjectKey, VersionId)],
    ) -> Result<Vec<Option<Restore>>, Failure> {
        let request = NamenodeRequest::GetRestores { bucket: bucket.clone(), versions: versions.to_vec() };
        match self.rows.namenode.call(request).await? {
            NamenodeReply::Restores(restores) => Ok(restores),
            _ => Err(Failure::from(ErrorCode::Internal)),
        }
    }
}
