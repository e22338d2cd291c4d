//! The settings of buckets, as this gateway knows them: fetched whole, kept for a second, read when they are asked for.
//!
//! Every request carries the settings of its bucket. Invariants: settings are never older than [`KEPT_FOR`] when a
//! request takes them; what this gateway changed is not taken from memory again; a bucket whose settings cannot be
//! fetched serves nothing. Not here: what settings mean for a request.

use super::bucket_access::BucketAccess;
use crate::documents::{
    CorsConfiguration, DefaultEncryption, Document, LoggingConfiguration, NotificationConfiguration, RequestPayment,
    StoredLifecycle, WebsiteConfiguration,
};
use crate::error::{S3Error, S3ErrorCode};
use bytes::Bytes;
use granary_access::{ObjectOwnership, PublicAccessBlock};
use granary_client::Client;
use granary_protocol::bucket::{BucketDocument, BucketInfo};
use granary_protocol::{BucketName, Failure, bucket};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// How old settings may be: so long another gateway's change may go unseen here.
const KEPT_FOR: Duration = Duration::from_secs(1);
/// Buckets remembered at once.
const BUCKETS_MAX: usize = 4096;

/// A bucket and its documents, as of one moment.
pub(crate) struct BucketSettings {
    /// The bucket itself.
    pub info: BucketInfo,
    documents: Vec<(BucketDocument, Bytes)>,
    cors: Reading<CorsConfiguration>,
    encryption: Reading<DefaultEncryption>,
    lifecycle: Reading<StoredLifecycle>,
    notification: Reading<NotificationConfiguration>,
    logging: Reading<LoggingConfiguration>,
    website: Reading<WebsiteConfiguration>,
    request_payment: Reading<RequestPayment>,
    access: OnceLock<BucketAccess>,
}

/// A document that is read at most once: nothing if there is none, or that it cannot be read.
type Reading<T> = OnceLock<Result<Option<T>, Unreadable>>;

/// A stored document that is not what was stored.
#[derive(Clone, Copy, Debug)]
struct Unreadable;

impl BucketSettings {
    fn new(settings: bucket::BucketSettings) -> Self {
        Self {
            info: settings.info,
            documents: settings.documents,
            cors: OnceLock::new(),
            encryption: OnceLock::new(),
            lifecycle: OnceLock::new(),
            notification: OnceLock::new(),
            logging: OnceLock::new(),
            website: OnceLock::new(),
            request_payment: OnceLock::new(),
            access: OnceLock::new(),
        }
    }

    /// Who may do what in it.
    pub fn access(&self) -> &BucketAccess {
        self.access.get_or_init(|| BucketAccess::read(self))
    }

    /// A document as it is stored.
    pub fn document(&self, kind: BucketDocument) -> Option<&Bytes> {
        self.documents.iter().find(|(other, _)| *other == kind).map(|(_, document)| document)
    }

    /// Who owns objects. Without a setting: who writes them, as on AWS; new buckets have one.
    pub fn ownership(&self) -> ObjectOwnership {
        match self.document(BucketDocument::OwnershipControls) {
            None => ObjectOwnership::ObjectWriter,
            Some(document) => ObjectOwnership::from_document(Some(document)),
        }
    }

    /// What it does against the public. Without a setting: nothing, as on AWS; new buckets have one.
    pub fn public_access_block(&self) -> PublicAccessBlock {
        PublicAccessBlock::from_document(self.document(BucketDocument::PublicAccessBlock).map(Bytes::as_ref))
    }

    /// The cross-origin rules.
    ///
    /// # Errors
    /// Here and below `ServiceUnavailable` for a document that cannot be read: nobody may take it for none.
    pub fn cors(&self) -> Result<Option<&CorsConfiguration>, S3Error> {
        self.read(&self.cors)
    }

    /// How objects are encrypted that do not say it themselves; `None` where the bucket says nothing.
    pub fn encryption(&self) -> Result<Option<&DefaultEncryption>, S3Error> {
        self.read(&self.encryption)
    }

    /// The lifecycle rules.
    pub fn lifecycle(&self) -> Result<Option<&StoredLifecycle>, S3Error> {
        self.read(&self.lifecycle)
    }

    /// Where events go.
    pub fn notification(&self) -> Result<Option<&NotificationConfiguration>, S3Error> {
        self.read(&self.notification)
    }

    /// Where the access log goes.
    pub fn logging(&self) -> Result<Option<&LoggingConfiguration>, S3Error> {
        self.read(&self.logging)
    }

    /// How the bucket is served as a web site.
    pub fn website(&self) -> Result<Option<&WebsiteConfiguration>, S3Error> {
        self.read(&self.website)
    }

    /// Who pays for requests.
    pub fn request_payment(&self) -> Result<RequestPayment, S3Error> {
        Ok(self.read(&self.request_payment)?.copied().unwrap_or_default())
    }

    fn read<'s, T: Document>(&self, reading: &'s Reading<T>) -> Result<Option<&'s T>, S3Error> {
        let read = reading.get_or_init(|| {
            let Some(document) = self.document(T::KIND) else { return Ok(None) };
            T::parse(document).map(Some).map_err(|error| {
                tracing::error!(bucket = %self.info.name, kind = ?T::KIND, %error, "bucket document cannot be read");
                Unreadable
            })
        });
        read.as_ref().map(Option::as_ref).map_err(|Unreadable| S3Error::new(S3ErrorCode::ServiceUnavailable))
    }
}

/// The settings of the buckets that were asked for lately.
pub(crate) struct BucketSettingsCache {
    client: Client,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    buckets: HashMap<BucketName, Entry>,
    /// Counts entries and changes: what was fetched before a change is told from what was fetched after it.
    epoch: u64,
}

struct Entry {
    fetched: Option<(Instant, Arc<BucketSettings>)>,
    epoch: u64,
    /// Held by whoever fetches, so that others wait for one answer instead of asking for as many.
    fetching: Arc<tokio::sync::Mutex<()>>,
}

impl BucketSettingsCache {
    pub fn new(client: Client) -> Self {
        Self { client, known: Mutex::default() }
    }

    /// The settings of a bucket, at most [`KEPT_FOR`] old.
    ///
    /// # Errors
    /// What the namenode answers: `NoSuchBucket`, or that it cannot answer now.
    pub async fn get(&self, bucket: &BucketName) -> Result<Arc<BucketSettings>, Failure> {
        if let Some(settings) = self.known().fresh(bucket) {
            return Ok(settings);
        }
        let fetching = self.known().entry(bucket).fetching.clone();
        let _one_at_a_time = fetching.lock().await;
        if let Some(settings) = self.known().fresh(bucket) {
            return Ok(settings);
        }
        self.fetch(bucket).await
    }

    /// The settings of a bucket as they are now.
    ///
    /// # Errors
    /// As [`BucketSettingsCache::get`].
    pub async fn fetch(&self, bucket: &BucketName) -> Result<Arc<BucketSettings>, Failure> {
        let epoch = self.known().entry(bucket).epoch;
        let fetched = self.client.get_bucket_settings(bucket.clone()).await;
        let mut known = self.known();
        match fetched {
            Ok(settings) => {
                let settings = Arc::new(BucketSettings::new(settings));
                known.keep(bucket, epoch, settings.clone());
                Ok(settings)
            }
            Err(failure) => {
                known.buckets.remove(bucket);
                Err(failure)
            }
        }
    }

    /// Must be called after every change of a bucket's settings that was made, or may have been made, through here.
    pub fn forget(&self, bucket: &BucketName) {
        self.known().forget(bucket);
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn fresh(&self, bucket: &BucketName) -> Option<Arc<BucketSettings>> {
        let (at, settings) = self.buckets.get(bucket)?.fetched.as_ref()?;
        (at.elapsed() < KEPT_FOR).then(|| settings.clone())
    }

    fn entry(&mut self, bucket: &BucketName) -> &Entry {
        if !self.buckets.contains_key(bucket) {
            self.make_room();
            self.epoch += 1;
            let entry = Entry { fetched: None, epoch: self.epoch, fetching: Arc::default() };
            self.buckets.insert(bucket.clone(), entry);
        }
        &self.buckets[bucket]
    }

    fn keep(&mut self, bucket: &BucketName, epoch: u64, settings: Arc<BucketSettings>) {
        if let Some(entry) = self.buckets.get_mut(bucket)
            && entry.epoch == epoch
        {
            entry.fetched = Some((Instant::now(), settings));
        }
    }

    fn forget(&mut self, bucket: &BucketName) {
        self.epoch += 1;
        if let Some(entry) = self.buckets.get_mut(bucket) {
            entry.fetched = None;
            entry.epoch = self.epoch;
        }
    }

    /// Drops what is stale, and anything if that is not enough: it is fetched again when it is asked for.
    fn make_room(&mut self) {
        if self.buckets.len() < BUCKETS_MAX {
            return;
        }
        let is_fresh = |entry: &Entry| entry.fetched.as_ref().is_some_and(|(at, _)| at.elapsed() < KEPT_FOR);
        self.buckets.retain(|_, entry| is_fresh(entry));
        if self.buckets.len() >= BUCKETS_MAX {
            self.buckets.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use granary_protocol::UnixMillis;
    use granary_protocol::bucket::Versioning;

    fn settings(documents: Vec<(BucketDocument, Bytes)>) -> BucketSettings {
        let info = BucketInfo {
            name: "b".into(),
            owner: "o".into(),
            created: UnixMillis(0),
            region: "r".to_owned(),
            versioning: Versioning::Off,
            object_lock: None,
        };
        BucketSettings::new(bucket::BucketSettings { info, revision: 1, documents })
    }

    #[test]
    fn a_document_that_cannot_be_read_is_not_taken_for_none() {
        assert!(settings(Vec::new()).cors().unwrap().is_none());
        let broken = settings(vec![(BucketDocument::Cors, Bytes::from_static(b"<CORS"))]);
        assert_eq!(broken.cors().unwrap_err().code(), S3ErrorCode::ServiceUnavailable);
        assert!(broken.website().unwrap().is_none());
    }

    #[test]
    fn what_was_fetched_before_a_change_is_not_kept() {
        let mut known = Known::default();
        let bucket = BucketName::from("b");
        let before = known.entry(&bucket).epoch;
        known.forget(&bucket);
        known.keep(&bucket, before, Arc::new(settings(Vec::new())));
        assert!(known.fresh(&bucket).is_none());
        let after = known.entry(&bucket).epoch;
        known.keep(&bucket, after, Arc::new(settings(Vec::new())));
        assert!(known.fresh(&bucket).is_some());
        known.forget(&bucket);
        assert!(known.fresh(&bucket).is_none());
    }

    #[test]
    fn a_bounded_number_of_buckets_is_remembered() {
        let mut known = Known::default();
        for number in 0..2 * BUCKETS_MAX {
            known.entry(&BucketName(number.to_string()));
            assert!(known.buckets.len() <= BUCKETS_MAX);
        }
    }
}
