//! The source of a copy: found, judged, and where needed read and hashed.

use super::archive::{check_readable, restore_of};
use super::text::parse_version;
use crate::body::{BodyDigests, BodyHasher};
use crate::checksum::ChecksumAlgorithm;
use crate::encryption::{CustomerKey, check_key};
use crate::error::{S3Error, S3ErrorCode};
use crate::request::{ConditionOutcome, CopySource, Preconditions};
use crate::server::{AccessTarget, GatewayState, Refusal, S3Request};
use granary_access::Action;
use granary_protocol::namenode::{ObjectRead, Window};
use granary_protocol::{BucketName, ErrorCode, Failure, ObjectKey, VersionId};
use granary_sealing::ObjectReader;

/// What AWS says of a source that must be restored first.
const ARCHIVED: &str = "Operation is not valid for the source object's storage class";

/// Whether a copy takes the source's tags along. A part takes bytes only.
fn copies_tags(request: &S3Request) -> Result<bool, S3Error> {
    let is_part = request.query.get("uploadId").is_some();
    Ok(!is_part && request.header("x-amz-tagging-directive")? != Some("REPLACE"))
}

/// A source whose conditions hold.
pub(super) struct Source {
    pub bucket: BucketName,
    pub key: ObjectKey,
    /// The version asked for; `None` for the current one.
    pub version: Option<VersionId>,
    /// The object as it was judged. A copy made of it names its tag, so another object is never copied in its place.
    pub read: ObjectRead,
    customer: Option<CustomerKey>,
}

impl Source {
    /// Finds the source a request names and judges its conditions and the key it is encrypted with.
    pub async fn find(state: &GatewayState, request: &mut S3Request) -> Result<Self, Refusal> {
        let header = request.headers.get("x-amz-copy-source").map_or(&b""[..], |value| value.as_bytes());
        let source = CopySource::parse(header)?;
        let version = source.version_id.as_deref().map(parse_version).transpose()?;
        let bucket = BucketName(source.bucket.into_string());
        let key = ObjectKey(source.key.into_string());
        let customer = CustomerKey::of_copy_source(&request.headers)?;
        let settings = state.settings.get(&bucket).await?;
        request.learn_owner_of(state, &settings).await?;
        let request = &*request;
        let target = AccessTarget { settings: &settings, key: Some(&key), version };
        let reading = if version.is_some() { Action::GetObjectVersion } else { Action::GetObject };
        request.require(state, target, reading).await?;
        let found = Self::locate(state, &bucket, &key, version, Window::Nothing).await;
        let read = match found {
            Err(refusal) if !request.may_list(&settings, key.as_str()) => return Err(refusal.without_existence()),
            found => found?,
        };
        if !read.object.details.tags.is_empty() && copies_tags(request)? {
            let of_version = version.is_some();
            let reading = if of_version { Action::GetObjectVersionTagging } else { Action::GetObjectTagging };
            request.require(state, target, reading).await?;
            let copy = AccessTarget { settings: request.settings(), key: Some(&request.key), version: None };
            request.require_for_new(copy, Action::PutObjectTagging)?;
        }
        check_key(read.object.details.encryption.as_ref(), customer.as_ref())?;
        let conditions = Preconditions::for_copy_source(&request.headers);
        let object = &read.object;
        match conditions.evaluate(
            &object.etag.to_string(),
            super::response_headers::unix_s(object.modified),
            state.now_s(),
        ) {
            ConditionOutcome::Proceed => {
                let restore = restore_of(state, &bucket, &key, &read.object).await?;
                check_readable(&read.object, restore, state.now(), Some(ARCHIVED))?;
                Ok(Self { bucket, key, version, read, customer })
            }
            ConditionOutcome::NotModified | ConditionOutcome::PreconditionFailed => {
                Err(S3ErrorCode::PreconditionFailed.into())
            }
        }
    }

    async fn locate(
        state: &GatewayState,
        bucket: &BucketName,
        key: &ObjectKey,
        version: Option<VersionId>,
        window: Window,
    ) -> Result<ObjectRead, Refusal> {
        state.client.get_object(bucket.clone(), key.clone(), version, window).await.map_err(|failure| {
            match failure.code {
                ErrorCode::NoSuchKey | ErrorCode::DeleteMarker { current: true, .. } => {
                    S3Error::new(S3ErrorCode::NoSuchKey).field("Key", key.as_str()).into()
                }
                ErrorCode::DeleteMarker { current: false, .. } => S3Error::invalid_request(
                    "The source of a copy request may not specifically refer to a delete marker by version id.",
                )
                .into(),
                _ => Refusal::Store(failure),
            }
        })
    }

    /// The key the request brings for it, found to be the right one.
    pub fn customer(&self) -> Option<&CustomerKey> {
        self.customer.as_ref()
    }

    /// A reader of `length` bytes from `first`, at least one.
    ///
    /// # Errors
    /// `PreconditionFailed` when it is not the object any more that was judged.
    pub async fn open(&self, state: &GatewayState, first: u64, length: u64) -> Result<ObjectReader, Refusal> {
        let window = Window::Range { first, last: Some(first + length - 1) };
        let read = Self::locate(state, &self.bucket, &self.key, self.version, window).await?;
        if read.object.etag != self.read.object.etag {
            return Err(S3ErrorCode::PreconditionFailed.into());
        }
        check_key(read.object.details.encryption.as_ref(), self.customer.as_ref())?;
        let keys = match &read.object.details.encryption {
            None => None,
            Some(kept) => Some(state.encryption.data_keys(kept, self.customer.as_ref()).await?),
        };
        Ok(ObjectReader::new(&state.client, read, keys))
    }

    /// Reads `length` bytes from `first` and hashes them: their MD5 if `md5`, and `algorithm`.
    pub async fn digest(
        &self,
        state: &GatewayState,
        first: u64,
        length: u64,
        md5: bool,
        algorithm: Option<ChecksumAlgorithm>,
    ) -> Result<BodyDigests, Refusal> {
        let mut hasher = BodyHasher::new(md5, algorithm);
        if length > 0 {
            let mut reader = self.open(state, first, length).await?;
            while let Some(piece) = reader.next().await? {
                // A piece is up to 1 MiB, milliseconds of hashing: not for a thread that serves sockets.
                let work = tokio::task::spawn_blocking(move || {
                    hasher.update(&piece);
                    hasher
                });
                hasher = work.await.map_err(|error| Failure::new(ErrorCode::Internal, error.to_string()))?;
            }
        }
        if hasher.length() != length {
            return Err(Failure::new(ErrorCode::Internal, "the copy's source ended early").into());
        }
        Ok(hasher.finish())
    }
}
