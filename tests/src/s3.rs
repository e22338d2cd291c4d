//! A small S3 client for tests: one connection, every status visible.

use crate::pattern::Pattern;
use anyhow::{Context, bail};
use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings, UriPathNormalizationMode,
    sign,
};
use aws_sigv4::sign::v4;
use bytes::Bytes;
use futures_util::stream;
use http_body::Frame;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;
use hyper::{HeaderMap, Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use std::convert::Infallible;
use std::ops::Range;
use std::time::{Duration, SystemTime};
use tokio::net::TcpStream;

const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
const PATH: &AsciiSet = &UNRESERVED.remove(b'/');
/// How long one request may take.
const TIMEOUT: Duration = Duration::from_secs(1_800);
/// Bytes of a streamed body's pieces.
const PIECE_BYTES: usize = 1 << 20;

type Body = BoxBody<Bytes, Infallible>;

/// A client of one endpoint.
pub struct S3 {
    address: String,
    credentials: Credentials,
    connection: Option<SendRequest<Body>>,
}

/// An answer, whatever its status.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    /// The text of the first XML element of this name.
    pub fn element(&self, name: &str) -> Option<String> {
        self.elements(name).into_iter().next()
    }

    /// The texts of all XML elements of this name, entities decoded.
    pub fn elements(&self, name: &str) -> Vec<String> {
        let text = String::from_utf8_lossy(&self.body);
        let (open, close) = (format!("<{name}>"), format!("</{name}>"));
        let pieces = text.split(&open).skip(1);
        pieces.filter_map(|piece| piece.split_once(&close)).map(|(text, _)| unescape(text)).collect()
    }

    /// Itself if the status is 2xx.
    pub fn ok(self) -> anyhow::Result<Answer> {
        if !self.status.is_success() {
            bail!("{}: {}", self.status, String::from_utf8_lossy(&self.body));
        }
        Ok(self)
    }
}

fn unescape(text: &str) -> String {
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&apos;", "'").replace("&amp;", "&")
}

/// These bytes of a pattern, made as they are sent. `progress` hears of every piece handed to the socket.
fn pattern_body(pattern: Pattern, bytes: Range<u64>, progress: impl Fn(u64) + Send + Sync + 'static) -> Body {
    let pieces = bytes.clone().step_by(PIECE_BYTES).map(move |offset| {
        progress(offset);
        let length = (bytes.end - offset).min(PIECE_BYTES as u64) as usize;
        Ok::<_, Infallible>(Frame::data(pattern.bytes(offset, length)))
    });
    BodyExt::boxed(StreamBody::new(stream::iter(pieces)))
}

impl S3 {
    /// A client of the gateway at `address` (`host:port`).
    pub fn new(address: impl Into<String>, access_key: &str, secret_key: &str) -> S3 {
        let credentials = Credentials::new(access_key, secret_key, None, None, "granary-tests");
        S3 { address: address.into(), credentials, connection: None }
    }

    /// Sends a request with a body in memory; reads the whole answer.
    pub async fn send(
        &mut self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
        body: Bytes,
    ) -> anyhow::Result<Answer> {
        self.send_with(method, path, query, &[], body).await
    }

    /// Likewise with headers, which are signed.
    pub async fn send_with(
        &mut self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> anyhow::Result<Answer> {
        let length = body.len() as u64;
        let response = self.exchange(method, path, query, headers, Full::new(body).boxed(), length).await?;
        let (head, body) = response.into_parts();
        let body =
            tokio::time::timeout(TIMEOUT, body.collect()).await.context("the answer takes too long")??.to_bytes();
        Ok(Answer { status: head.status, headers: head.headers, body })
    }

    async fn exchange(
        &mut self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
        headers: &[(&str, &str)],
        body: Body,
        length: u64,
    ) -> anyhow::Result<Response<Incoming>> {
        let path = utf8_percent_encode(path, PATH);
        let query: Vec<String> = query
            .iter()
            .map(|(name, value)| {
                format!("{}={}", utf8_percent_encode(name, UNRESERVED), utf8_percent_encode(value, UNRESERVED))
            })
            .collect();
        let target = if query.is_empty() { path.to_string() } else { format!("{path}?{}", query.join("&")) };
        let mut builder = Request::builder()
            .method(method)
            .uri(&target)
            .header("host", &self.address)
            .header("content-length", length);
        for (name, value) in headers {
            builder = builder.header(*name, *value);
        }
        let mut request = builder.body(body)?;
        self.sign(&mut request)?;
        let answered = match self.try_send(request).await {
            Ok(response) => Ok(response),
            Err(error) => {
                self.connection = None;
                Err(error)
            }
        };
        answered.with_context(|| format!("{target} at {}", self.address))
    }

    async fn try_send(&mut self, request: Request<Body>) -> anyhow::Result<Response<Incoming>> {
        let mut sender = match self.connection.take() {
            Some(sender) if sender.is_ready() => sender,
            _ => self.connect().await?,
        };
        tokio::time::timeout(TIMEOUT, sender.ready()).await.context("the connection is stuck")??;
        let response =
            tokio::time::timeout(TIMEOUT, sender.send_request(request)).await.context("no answer in time")??;
        self.connection = Some(sender);
        Ok(response)
    }

    async fn connect(&self) -> anyhow::Result<SendRequest<Body>> {
        let stream = TcpStream::connect(&self.address).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(sender)
    }

    fn sign(&self, request: &mut Request<Body>) -> anyhow::Result<()> {
        let identity = self.credentials.clone().into();
        let mut settings = SigningSettings::default();
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region("us-east-1")
            .name("s3")
            .time(SystemTime::now())
            .settings(settings)
            .build()?
            .into();
        let url = format!("http://{}{}", self.address, request.uri());
        let headers = request.headers().iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap_or_default()));
        let signable = SignableRequest::new(request.method().as_str(), url, headers, SignableBody::UnsignedPayload)?;
        let (instructions, _) = sign(signable, &parameters)?.into_parts();
        instructions.apply_to_request_http1x(request);
        Ok(())
    }

    /// Creates a bucket.
    pub async fn create_bucket(&mut self, bucket: &str) -> anyhow::Result<()> {
        self.send(Method::PUT, &format!("/{bucket}"), &[], Bytes::new()).await?.ok().map(drop)
    }

    /// Writes an object.
    pub async fn put(&mut self, bucket: &str, key: &str, body: Bytes) -> anyhow::Result<Answer> {
        self.send(Method::PUT, &format!("/{bucket}/{key}"), &[], body).await
    }

    /// Reads an object whole.
    pub async fn get(&mut self, bucket: &str, key: &str) -> anyhow::Result<Answer> {
        self.send(Method::GET, &format!("/{bucket}/{key}"), &[], Bytes::new()).await
    }

    /// Deletes an object.
    pub async fn delete(&mut self, bucket: &str, key: &str) -> anyhow::Result<Answer> {
        self.send(Method::DELETE, &format!("/{bucket}/{key}"), &[], Bytes::new()).await
    }

    /// Writes `length` bytes of a pattern with one streamed PUT. `progress` hears of every piece handed to the socket.
    pub async fn put_pattern(
        &mut self,
        bucket: &str,
        key: &str,
        pattern: Pattern,
        length: u64,
        progress: impl Fn(u64) + Send + Sync + 'static,
    ) -> anyhow::Result<Answer> {
        let body = pattern_body(pattern, 0..length, progress);
        let response = self.exchange(Method::PUT, &format!("/{bucket}/{key}"), &[], &[], body, length).await?;
        let (head, body) = response.into_parts();
        Ok(Answer { status: head.status, headers: head.headers, body: body.collect().await?.to_bytes() })
    }

    /// Begins a multipart upload; returns its id.
    pub async fn create_upload(&mut self, bucket: &str, key: &str) -> anyhow::Result<String> {
        let path = format!("/{bucket}/{key}");
        let answer = self.send(Method::POST, &path, &[("uploads", "")], Bytes::new()).await?.ok()?;
        answer.element("UploadId").context("an upload without an id")
    }

    /// Writes these bytes of a pattern as a part, streamed; returns the part's ETag.
    pub async fn upload_part(
        &mut self,
        (bucket, key, upload): (&str, &str, &str),
        number: u64,
        pattern: Pattern,
        bytes: Range<u64>,
    ) -> anyhow::Result<String> {
        let (number, length) = (number.to_string(), bytes.end - bytes.start);
        let query = [("partNumber", number.as_str()), ("uploadId", upload)];
        let body = pattern_body(pattern, bytes, |_| {});
        let response = self.exchange(Method::PUT, &format!("/{bucket}/{key}"), &query, &[], body, length).await?;
        let etag = response.headers().get("etag").and_then(|etag| etag.to_str().ok()).map(str::to_owned);
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        etag.filter(|_| status.is_success()).with_context(|| format!("{status}: {}", String::from_utf8_lossy(&body)))
    }

    /// Makes an object of the parts with these ETags, numbered from 1.
    pub async fn complete_upload(
        &mut self,
        (bucket, key, upload): (&str, &str, &str),
        etags: &[String],
    ) -> anyhow::Result<Answer> {
        let part = |(index, etag): (usize, &String)| {
            format!("<Part><PartNumber>{}</PartNumber><ETag>{etag}</ETag></Part>", index + 1)
        };
        let parts: String = etags.iter().enumerate().map(part).collect();
        let body = Bytes::from(format!("<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>"));
        self.send(Method::POST, &format!("/{bucket}/{key}"), &[("uploadId", upload)], body).await
    }

    /// Reads an object and checks it against a pattern as it comes. `progress` hears of every piece.
    pub async fn check_pattern(
        &mut self,
        bucket: &str,
        key: &str,
        pattern: Pattern,
        length: u64,
        mut progress: impl FnMut(u64),
    ) -> anyhow::Result<()> {
        let response = self
            .exchange(Method::GET, &format!("/{bucket}/{key}"), &[], &[], Full::new(Bytes::new()).boxed(), 0)
            .await?;
        if response.status() != StatusCode::OK {
            bail!("GET {key}: {}", response.status());
        }
        let mut body = response.into_body();
        let mut offset = 0;
        while let Some(frame) = tokio::time::timeout(TIMEOUT, body.frame()).await.context("the body stands still")? {
            let Ok(data) = frame?.into_data() else { continue };
            if let Some(at) = pattern.mismatch(offset, &data) {
                bail!("{key} differs at byte {at}");
            }
            offset += data.len() as u64;
            progress(offset);
        }
        if offset != length {
            bail!("{key} has {offset} bytes, not {length}");
        }
        Ok(())
    }

    /// Every key of a bucket with this prefix, in the order the pages give them.
    pub async fn list_all(&mut self, bucket: &str, prefix: &str) -> anyhow::Result<Vec<String>> {
        let mut keys = Vec::new();
        let mut token: Option<String> = None;
        loop {
            let mut query = vec![("list-type", "2"), ("encoding-type", "url"), ("prefix", prefix)];
            if let Some(token) = &token {
                query.push(("continuation-token", token));
            }
            let page = self.send(Method::GET, &format!("/{bucket}"), &query, Bytes::new()).await?.ok()?;
            for key in page.elements("Key") {
                keys.push(percent_encoding::percent_decode_str(&key.replace('+', " ")).decode_utf8()?.into_owned());
            }
            token = page.element("NextContinuationToken");
            if token.is_none() {
                return Ok(keys);
            }
        }
    }
}
