//! A bucket at an S3 endpoint: the operations that keeping blocks there takes.

use super::endpoint::{Answer, Endpoint};
use super::error::ArchiveError;
use super::xml::{self, Initiated, Part, Parts, Refusal, Uploads};
use aws_credential_types::Credentials;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use granary_protocol::archive::{ArchiveTarget, REMOTE_UPLOAD_BYTES_MAX};
use granary_protocol::object::StorageClass;
use granary_sealing::{KeyStore, open_secret};
use http::header::{CONTENT_LENGTH, ETAG, RANGE};
use http::{Method, StatusCode};
use md5::{Digest, Md5};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// The longest answer other than an object's bytes.
const ANSWER_BYTES_MAX: usize = 4 << 20;
/// What SigV4 leaves as it is.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
const PATH: &AsciiSet = &QUERY.remove(b'/');

/// A bucket elsewhere.
pub struct Remote {
    endpoint: Endpoint,
    bucket: String,
}

impl Remote {
    /// The bucket of a class's target, for whoever has the key that its secret is sealed under.
    ///
    /// # Errors
    /// `Secret`, `NotText`, and what is wrong with the endpoint's URL and authorities.
    pub async fn open(class: StorageClass, target: &ArchiveTarget, keys: &dyn KeyStore) -> Result<Self, ArchiveError> {
        let secret = open_secret(keys, &ArchiveTarget::secret_context(class), &target.sealed_secret).await?;
        let secret = std::str::from_utf8(&secret).map_err(|_| ArchiveError::NotText)?;
        Self::new(target, secret)
    }

    /// As [`Remote::open`], with the secret key in clear.
    ///
    /// # Errors
    /// What is wrong with the endpoint's URL and authorities.
    pub fn new(target: &ArchiveTarget, secret: &str) -> Result<Self, ArchiveError> {
        let credentials = Credentials::new(&target.access_key, secret, None, None, "granary");
        let endpoint = Endpoint::new(&target.endpoint, &target.region, &target.ca_pem, credentials)?;
        Ok(Self { endpoint, bucket: target.bucket.clone() })
    }

    /// Writes, reads and deletes a small object below the prefix, to see that blocks can be kept there.
    ///
    /// # Errors
    /// What the endpoint refuses, or says wrongly.
    pub async fn try_out(&self, prefix: &str) -> Result<(), ArchiveError> {
        const WORDS: &[u8] = b"Granary can write here.\n";
        let key = format!("{prefix}granary-archive-check");
        let upload = self.create_upload(&key).await?;
        let etag = match self.put_part(&key, &upload, 1, Bytes::from_static(WORDS)).await {
            Ok(etag) => etag,
            Err(error) => {
                self.abort(&key, &upload).await?;
                return Err(error);
            }
        };
        self.complete(&key, &upload, &[etag]).await?;
        let found = self.get(&key, 0, WORDS.len() as u32).await;
        self.delete(&key).await?;
        if found? == WORDS { Ok(()) } else { Err(ArchiveError::Answer("GetObject")) }
    }

    pub(super) async fn create_upload(&self, key: &str) -> Result<String, ArchiveError> {
        let answer = self.ask(Method::POST, Some(key), "uploads=", &[], Bytes::new()).await?;
        let found: Option<Initiated> = xml::parse(&answer.body);
        let upload = found.map(|found| found.upload).filter(|upload| upload.len() <= REMOTE_UPLOAD_BYTES_MAX);
        upload.ok_or(ArchiveError::Answer("CreateMultipartUpload"))
    }

    /// The parts that an upload has. A block has fewer than one answer tells of.
    pub(super) async fn list_parts(&self, key: &str, upload: &str) -> Result<Vec<Part>, ArchiveError> {
        let query = format!("uploadId={}", encoded(upload));
        let answer = self.ask(Method::GET, Some(key), &query, &[], Bytes::new()).await?;
        let found: Option<Parts> = xml::parse(&answer.body);
        Ok(found.ok_or(ArchiveError::Answer("ListParts"))?.parts)
    }

    /// The uploads of exactly this key.
    pub(super) async fn list_uploads(&self, key: &str) -> Result<Vec<String>, ArchiveError> {
        let query = format!("prefix={}&uploads=", encoded(key));
        let answer = self.ask(Method::GET, None, &query, &[], Bytes::new()).await?;
        let found: Option<Uploads> = xml::parse(&answer.body);
        let uploads = found.ok_or(ArchiveError::Answer("ListMultipartUploads"))?.uploads;
        Ok(uploads.into_iter().filter(|upload| upload.key == key).map(|upload| upload.upload).collect())
    }

    /// Sends a part with its MD5, which the endpoint checks; the part's tag.
    pub(super) async fn put_part(
        &self,
        key: &str,
        upload: &str,
        number: u32,
        body: Bytes,
    ) -> Result<String, ArchiveError> {
        let query = format!("partNumber={number}&uploadId={}", encoded(upload));
        let md5 = BASE64_STANDARD.encode(Md5::digest(&body));
        let answer = self.ask(Method::PUT, Some(key), &query, &[("content-md5", md5)], body).await?;
        let etag = answer.headers.get(ETAG).and_then(|etag| etag.to_str().ok());
        etag.map(str::to_owned).ok_or(ArchiveError::Answer("UploadPart"))
    }

    pub(super) async fn complete(&self, key: &str, upload: &str, etags: &[String]) -> Result<(), ArchiveError> {
        let query = format!("uploadId={}", encoded(upload));
        let body = xml::completion(etags).into();
        let answer = self.ask(Method::POST, Some(key), &query, &[], body).await?;
        // The answer begins before the work is done, so a failure may come in the body of a 200.
        match xml::parse::<Refusal>(&answer.body).filter(|refusal| !refusal.code.is_empty()) {
            Some(Refusal { code, message }) => Err(ArchiveError::Refused { status: answer.status, code, message }),
            None => Ok(()),
        }
    }

    /// Aborts an upload, which may be gone.
    pub(super) async fn abort(&self, key: &str, upload: &str) -> Result<(), ArchiveError> {
        let query = format!("uploadId={}", encoded(upload));
        let answer = self.ask(Method::DELETE, Some(key), &query, &[], Bytes::new()).await;
        absent_is_fine(answer)
    }

    /// The length of an object; `None` if there is none.
    pub(super) async fn length(&self, key: &str) -> Result<Option<u64>, ArchiveError> {
        let answer = match self.ask(Method::HEAD, Some(key), "", &[], Bytes::new()).await {
            Ok(answer) => answer,
            Err(error) if error.is_absent() => return Ok(None),
            Err(error) => return Err(error),
        };
        let length = answer.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        length.map(Some).ok_or(ArchiveError::Answer("HeadObject"))
    }

    /// `length` bytes of an object from `offset` on, at least one.
    pub(super) async fn get(&self, key: &str, offset: u32, length: u32) -> Result<Bytes, ArchiveError> {
        let last = u64::from(offset) + u64::from(length) - 1;
        let range = format!("bytes={offset}-{last}");
        let target = self.target(Some(key), "");
        let max = (length as usize).max(ANSWER_BYTES_MAX);
        let headers = [(RANGE.as_str(), range)];
        let answer = self.endpoint.exchange(Method::GET, &target, &headers, Bytes::new(), max).await?;
        let answer = accepted(answer)?;
        if answer.status != StatusCode::PARTIAL_CONTENT || answer.body.len() != length as usize {
            return Err(ArchiveError::Length("GetObject"));
        }
        Ok(answer.body)
    }

    /// Deletes an object, which may be gone.
    pub(super) async fn delete(&self, key: &str) -> Result<(), ArchiveError> {
        absent_is_fine(self.ask(Method::DELETE, Some(key), "", &[], Bytes::new()).await)
    }

    async fn ask(
        &self,
        method: Method,
        key: Option<&str>,
        query: &str,
        headers: &[(&str, String)],
        body: Bytes,
    ) -> Result<Answer, ArchiveError> {
        let target = self.target(key, query);
        accepted(self.endpoint.exchange(method, &target, headers, body, ANSWER_BYTES_MAX).await?)
    }

    fn target(&self, key: Option<&str>, query: &str) -> String {
        let mut target = format!("/{}", utf8_percent_encode(&self.bucket, PATH));
        if let Some(key) = key {
            target.push('/');
            target.extend(utf8_percent_encode(key, PATH));
        }
        if !query.is_empty() {
            target.push('?');
            target.push_str(query);
        }
        target
    }
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, QUERY).to_string()
}

/// An answer that is no refusal.
fn accepted(answer: Answer) -> Result<Answer, ArchiveError> {
    if answer.status.is_success() {
        return Ok(answer);
    }
    let Refusal { code, message } = xml::parse(&answer.body).unwrap_or_default();
    Err(ArchiveError::Refused { status: answer.status, code, message })
}

fn absent_is_fine(answer: Result<Answer, ArchiveError>) -> Result<(), ArchiveError> {
    match answer {
        Ok(_) => Ok(()),
        Err(error) if error.is_absent() => Ok(()),
        Err(error) => Err(error),
    }
}
