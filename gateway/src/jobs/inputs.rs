//! From the places a job names to the objects it reads, each at the version it has now and allowed to its submitter.

use super::access;
use super::glob::{self, Glob};
use super::place::Place;
use super::request::JobRequest;
use super::restore::RESTORED_MAX;
use crate::admin::Refused;
use crate::error::{S3Error, S3ErrorCode};
use crate::server::{BucketSettings, GatewayState};
use granary_access::Action;
use granary_protocol::ObjectKey;
use granary_protocol::encryption::EncryptionMode;
use granary_protocol::jobs::{INPUT_FILES_MAX, INPUT_LIST_BYTES_MAX, InputFile};
use granary_protocol::namenode::{ListAfter, ListEntry};
use granary_protocol::object::{ObjectVersion, StorageClass};
use std::sync::Arc;

/// Keys listed at once.
const PAGE: u32 = 1_000;
/// What a file takes in the list beside its names.
const FILE_BYTES: usize = 64;
/// Archived objects named in a refusal.
const NAMED_MAX: usize = 10;

/// What happens to objects that have to be restored before they can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Archived {
    Fail,
    Skip,
    Restore,
}

/// Finds inputs.
pub(super) struct InputFinder<'a> {
    pub state: &'a GatewayState,
    pub request: &'a JobRequest,
    pub archived: Archived,
    pub found: Vec<InputFile>,
    bytes: usize,
    in_archive: Vec<String>,
    /// Those that were found and have to be restored.
    to_restore: Vec<(InputFile, StorageClass)>,
}

/// What a job reads.
pub(super) struct Found {
    pub inputs: Vec<InputFile>,
    /// Those of them that have to be restored before.
    pub to_restore: Vec<(InputFile, StorageClass)>,
}

impl<'a> InputFinder<'a> {
    pub fn new(state: &'a GatewayState, request: &'a JobRequest, archived: Archived) -> Self {
        Self { state, request, archived, found: Vec::new(), bytes: 0, in_archive: Vec::new(), to_restore: Vec::new() }
    }

    /// Adds what a URL names: an object, the objects below a directory or behind a prefix, or those a pattern matches.
    pub async fn add(&mut self, url: &str) -> Result<(), Refused> {
        let place = Place::parse(url)?;
        let settings = self.state.settings.fetch(&place.bucket).await?;
        let before = self.found.len() + self.in_archive.len();
        if glob::is_pattern(&place.path) {
            let too_many = || S3Error::invalid_request(format!("{url} has too many alternatives."));
            let pattern = Glob::new(&place.path).ok_or_else(too_many)?;
            self.list(&settings, glob::literal_prefix(&place.path), |key| pattern.matches(key)).await?;
        } else if !self.add_object(&settings, &place).await? {
            let prefix = place.prefix();
            self.list(&settings, &prefix, |_| Some(prefix.len())).await?;
            if self.found.len() + self.in_archive.len() == before && !place.path.is_empty() {
                let base = place.path.rfind('/').map_or(0, |slash| slash + 1);
                self.list(&settings, &place.path, |_| Some(base)).await?;
            }
        }
        if self.found.len() + self.in_archive.len() == before {
            return Err(S3Error::with_message(S3ErrorCode::NoSuchKey, format!("There is no input at {url}.")).into());
        }
        Ok(())
    }

    /// What was found.
    ///
    /// # Errors
    /// `InvalidObjectState` that names the archived ones, unless they are to be skipped.
    pub fn finish(self) -> Result<Found, S3Error> {
        if self.archived == Archived::Fail && !self.in_archive.is_empty() {
            let (count, named) = (self.in_archive.len(), &self.in_archive[..self.in_archive.len().min(NAMED_MAX)]);
            let message = format!(
                "{count} inputs are archived and have to be restored first (by the job, with archived=restore; or left out, with archived=skip): {}",
                named.join(", ")
            );
            return Err(S3Error::with_message(S3ErrorCode::InvalidObjectState, message));
        }
        Ok(Found { inputs: self.found, to_restore: self.to_restore })
    }

    /// The object of exactly this key, if there is one.
    async fn add_object(&mut self, settings: &Arc<BucketSettings>, place: &Place) -> Result<bool, Refused> {
        if place.path.is_empty() || place.path.ends_with('/') {
            return Ok(false);
        }
        let key = ObjectKey(place.path.clone());
        // Whoever may neither read nor list it is not told whether it is there.
        let may_read = access::may(self.state, self.request, settings, &key, Action::GetObject).await?;
        if !may_read && !access::may_list(self.request, settings, key.as_str()) {
            return Err(denied(settings, &key));
        }
        let Some(object) = access::find(self.state, settings, &key).await? else { return Ok(false) };
        let base = key.as_str().len();
        self.take(settings, key, &object, base).await?;
        Ok(true)
    }

    async fn list(
        &mut self,
        settings: &Arc<BucketSettings>,
        prefix: &str,
        base_of: impl Fn(&str) -> Option<usize>,
    ) -> Result<(), Refused> {
        if !access::may_list(self.request, settings, prefix) {
            return Err(denied(settings, &ObjectKey::from(prefix)));
        }
        let mut after = ListAfter::Start;
        loop {
            let bucket = settings.info.name.clone();
            let page = self.state.client.list_objects(bucket, prefix.to_owned(), String::new(), after, PAGE).await?;
            after = page.next();
            for entry in page.entries {
                let ListEntry::Object { key, object } = entry else { continue };
                if let Some(base) = base_of(key.as_str())
                    && !is_hidden(&key.as_str()[base.min(key.as_str().len())..])
                    && !is_hidden_itself(key.as_str())
                {
                    self.take(settings, key, &object, base).await?;
                }
            }
            if !page.truncated {
                return Ok(());
            }
        }
    }

    async fn take(
        &mut self,
        settings: &Arc<BucketSettings>,
        key: ObjectKey,
        object: &ObjectVersion,
        base: usize,
    ) -> Result<(), Refused> {
        if !access::may(self.state, self.request, settings, &key, Action::GetObject).await? {
            return Err(denied(settings, &key));
        }
        refuse_customers_key(settings, &key, object)?;
        let bucket = settings.info.name.clone();
        let restore = object.class.is_archive() && !self.is_restored(settings, &key, object).await?;
        if restore && self.archived != Archived::Restore {
            self.in_archive.push(format!("s3://{bucket}/{key}"));
            return Ok(());
        }
        if restore && !access::may(self.state, self.request, settings, &key, Action::RestoreObject).await? {
            let message = format!("You may not restore s3://{bucket}/{key}.");
            return Err(S3Error::with_message(S3ErrorCode::AccessDenied, message).into());
        }
        self.bytes += bucket.as_str().len() + key.as_str().len() + FILE_BYTES;
        if self.found.len() >= INPUT_FILES_MAX || self.bytes > INPUT_LIST_BYTES_MAX {
            let message =
                format!("A job reads {INPUT_FILES_MAX} objects at most, and {INPUT_LIST_BYTES_MAX} bytes of names.");
            return Err(S3Error::with_message(S3ErrorCode::LimitExceeded, message).into());
        }
        let (version, size, etag) = (object.version, object.size, object.etag);
        let file = InputFile { bucket, key, version, size, etag, base: base as u32 };
        if restore {
            if self.to_restore.len() >= RESTORED_MAX {
                let message = format!("A job has {RESTORED_MAX} objects restored at most.");
                return Err(S3Error::with_message(S3ErrorCode::LimitExceeded, message).into());
            }
            self.to_restore.push((file.clone(), object.class));
        }
        self.found.push(file);
        Ok(())
    }

    async fn is_restored(
        &self,
        settings: &Arc<BucketSettings>,
        key: &ObjectKey,
        object: &ObjectVersion,
    ) -> Result<bool, Refused> {
        let versions = vec![(key.clone(), object.version)];
        let restores = self.state.client.get_restores(settings.info.name.clone(), versions).await?;
        let now = self.state.now();
        Ok(restores.into_iter().flatten().any(|restore| restore.is_readable(now)))
    }
}

/// What only its owner has the key of cannot be read by tasks.
pub(super) fn refuse_customers_key(
    settings: &BucketSettings,
    key: &ObjectKey,
    object: &ObjectVersion,
) -> Result<(), S3Error> {
    match object.details.encryption.as_ref().map(|kept| &kept.mode) {
        Some(EncryptionMode::Customer { .. }) => {
            let place = format!("s3://{}/{key}", settings.info.name);
            Err(S3Error::invalid_request(format!("{place} is encrypted with a key that only its owner has (SSE-C).")))
        }
        Some(EncryptionMode::S3 | EncryptionMode::Kms { .. } | EncryptionMode::DualKms { .. }) | None => Ok(()),
    }
}

fn denied(settings: &BucketSettings, key: &ObjectKey) -> Refused {
    let message = format!("You may not read s3://{}/{key}.", settings.info.name);
    S3Error::with_message(S3ErrorCode::AccessDenied, message).into()
}

/// Names that begin with `_` or `.` below an input are not read, as in Hadoop: `_SUCCESS`, `.part.crc`.
fn is_hidden(below: &str) -> bool {
    below.split('/').any(is_hidden_name)
}

fn is_hidden_itself(key: &str) -> bool {
    // A key that ends in a slash stands for a directory.
    key.ends_with('/') || key.rsplit('/').next().is_some_and(is_hidden_name)
}

fn is_hidden_name(name: &str) -> bool {
    name.starts_with(['_', '.'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_hadoop_hides_is_hidden() {
        assert!(is_hidden("_SUCCESS") && is_hidden("a/.b/c") && is_hidden("_logs/x"));
        assert!(!is_hidden("a_b/c.d"));
        assert!(is_hidden_itself("a/b/") && is_hidden_itself("a/_SUCCESS") && !is_hidden_itself("_a/b"));
    }
}
