//! An HTTP client that hides nothing: bytes out, bytes in, signed or not.

use super::world::{ACCESS_KEY, SECRET_KEY};
use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings, UriPathNormalizationMode,
    sign,
};
use aws_sigv4::sign::v4;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Nothing here takes long.
pub const PATIENCE: Duration = Duration::from_secs(120);

pub struct Connection {
    address: SocketAddr,
    stream: TcpStream,
    unread: Vec<u8>,
}

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// The text of the first element of this name.
    pub fn element(&self, name: &str) -> Option<&str> {
        let (_, rest) = self.text().split_once(&format!("<{name}>"))?;
        rest.split_once(&format!("</{name}>")).map(|(text, _)| text)
    }

    /// Status and error code.
    pub fn refusal(&self) -> (u16, &str) {
        (self.status, self.element("Code").unwrap_or_default())
    }
}

pub struct Request<'c> {
    connection: &'c mut Connection,
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    /// Access key and secret.
    signed: Option<(String, String)>,
}

impl<'c> Request<'c> {
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    pub async fn send(self) -> Answer {
        self.try_send().await.expect("an answer")
    }

    /// `None` if the server closes before its answer is complete.
    pub async fn try_send(self) -> Option<Answer> {
        let (connection, head, body, is_head) = self.bytes();
        connection.write(&[head, body].concat()).await;
        connection.read_answer(is_head).await
    }

    /// Sends all but the body, which is given back.
    pub async fn send_head(self) -> Vec<u8> {
        let (connection, head, body, _) = self.bytes();
        connection.write(&head).await;
        body
    }

    /// What is sent: the head, and the body; and whether it is a HEAD.
    fn bytes(self) -> (&'c mut Connection, Vec<u8>, Vec<u8>, bool) {
        let mut headers = self.headers;
        headers.insert(0, ("host".to_owned(), self.connection.address.to_string()));
        if let Some(key) = &self.signed {
            headers.extend(signature(key, &self.method, &self.target, &headers, &self.body));
        }
        let mut bytes = format!("{} {} HTTP/1.1\r\n", self.method, self.target).into_bytes();
        let bodiless = self.body.is_empty() && matches!(self.method.as_str(), "GET" | "HEAD" | "DELETE" | "OPTIONS");
        if !bodiless {
            headers.push(("content-length".to_owned(), self.body.len().to_string()));
        }
        for (name, value) in headers {
            bytes.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        }
        bytes.extend_from_slice(b"\r\n");
        (self.connection, bytes, self.body, self.method == "HEAD")
    }
}

fn signature(
    (access_key, secret_key): &(String, String),
    method: &str,
    target: &str,
    headers: &[(String, String)],
    body: &[u8],
) -> Vec<(String, String)> {
    let mut settings = SigningSettings::default();
    settings.percent_encoding_mode = PercentEncodingMode::Single;
    settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    let identity = Credentials::new(access_key, secret_key, None, None, "test").into();
    let parameters = v4::SigningParams::builder()
        .identity(&identity)
        .region("us-east-1")
        .name("s3")
        .time(SystemTime::now())
        .settings(settings)
        .build()
        .unwrap()
        .into();
    let named = headers.iter().find(|(name, _)| name == "x-amz-content-sha256");
    let body = match named {
        Some((_, value)) => SignableBody::Precomputed(value.clone()),
        None => SignableBody::Bytes(body),
    };
    let pairs = headers.iter().filter(|(name, _)| name != "x-amz-content-sha256");
    let pairs = pairs.map(|(name, value)| (name.as_str(), value.as_str()));
    let uri = format!("http://{}{target}", headers[0].1);
    let request = SignableRequest::new(method, uri, pairs, body).unwrap();
    let (instructions, _) = sign(request, &parameters).unwrap().into_parts();
    let added = instructions.headers().filter(|(name, _)| named.is_none() || *name != "x-amz-content-sha256");
    added.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

impl Connection {
    pub async fn open(address: SocketAddr) -> Connection {
        Connection { address, stream: TcpStream::connect(address).await.unwrap(), unread: Vec::new() }
    }

    /// Where it goes.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A request with the root key's signature in its headers.
    pub fn signed(&mut self, method: &str, target: &str) -> Request<'_> {
        self.signed_by(ACCESS_KEY, SECRET_KEY, method, target)
    }

    /// A request with somebody's signature in its headers.
    pub fn signed_by(&mut self, access_key: &str, secret_key: &str, method: &str, target: &str) -> Request<'_> {
        let signed = Some((access_key.to_owned(), secret_key.to_owned()));
        let (method, target) = (method.to_owned(), target.to_owned());
        Request { connection: self, method, target, headers: Vec::new(), body: Vec::new(), signed }
    }

    /// A request without one.
    pub fn anonymous(&mut self, method: &str, target: &str) -> Request<'_> {
        Request { signed: None, ..self.signed(method, target) }
    }

    pub async fn write(&mut self, bytes: &[u8]) {
        // The server may have refused and closed already; the answer says so.
        let _closed = self.stream.write_all(bytes).await;
    }

    /// The next answer; `None` if the server closed instead, or closed in its middle.
    pub async fn read_answer(&mut self, bodiless: bool) -> Option<Answer> {
        let end = loop {
            if let Some(at) = self.unread.windows(4).position(|window| window == b"\r\n\r\n") {
                break at;
            }
            self.more().await?;
        };
        let head: Vec<u8> = self.unread.drain(..end + 4).collect();
        let head = String::from_utf8(head).unwrap();
        let mut lines = head.trim_end().split("\r\n");
        let status = lines.next()?.split(' ').nth(1)?.parse().unwrap();
        let headers: Vec<(String, String)> = lines
            .map(|line| line.split_once(':').unwrap())
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        let length = headers.iter().find(|(name, _)| name == "content-length").map(|(_, value)| value.parse().unwrap());
        let length = if bodiless { 0 } else { length.unwrap_or(0) };
        while self.unread.len() < length {
            self.more().await?;
        }
        Some(Answer { status, headers, body: self.unread.drain(..length).collect() })
    }

    /// Whether the server has closed, after everything it sent was read.
    pub async fn is_closed(&mut self) -> bool {
        while self.more().await.is_some() {}
        true
    }

    async fn more(&mut self) -> Option<()> {
        let mut buffer = vec![0; 64 << 10];
        match tokio::time::timeout(PATIENCE, self.stream.read(&mut buffer)).await.expect("the server is silent") {
            Ok(0) | Err(_) => None,
            Ok(read) => {
                self.unread.extend_from_slice(&buffer[..read]);
                Some(())
            }
        }
    }
}
