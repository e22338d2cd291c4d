//! WebHDFS, as far as the shell needs it: one connection a request, redirects followed by hand.

use crate::args::FsOptions;
use anyhow::{Context, bail};
use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Empty, Full, Limited};
use hyper::body::Incoming;
use hyper::{Method, Request, Response, Uri};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::fmt;
use tokio::net::TcpStream;

/// The longest answer in JSON that is read: a page of a thousand entries is a tenth of it.
const ANSWER_BYTES_MAX: usize = 16 << 20;
/// Redirects followed for one request.
const REDIRECTS_MAX: usize = 3;

/// A body that is sent.
pub type Outgoing = BoxBody<Bytes, std::io::Error>;

/// Why a command failed, in `FsShell`'s words.
#[derive(Debug)]
pub enum FsError {
    /// About a path: `` `path': what ``.
    Path { path: String, what: &'static str },
    /// What the server, or the connection, said.
    Other(String),
    /// The command itself makes no sense.
    Usage(String),
}

impl FsError {
    pub fn usage(message: impl Into<String>) -> FsError {
        FsError::Usage(message.into())
    }

    pub fn at(path: &str, what: &'static str) -> FsError {
        FsError::Path { path: path.to_owned(), what }
    }
}

/// What `FsShell` says where there is nothing.
pub const MISSING: &str = "No such file or directory";

impl fmt::Display for FsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FsError::Path { path, what } => write!(f, "`{path}': {what}"),
            FsError::Other(message) | FsError::Usage(message) => f.write_str(message),
        }
    }
}

impl From<std::io::Error> for FsError {
    fn from(error: std::io::Error) -> FsError {
        FsError::Other(error.to_string())
    }
}

/// A file or directory.
#[derive(Clone, Debug)]
pub struct Status {
    /// The whole path.
    pub path: String,
    pub directory: bool,
    pub length: u64,
    pub owner: String,
    pub group: String,
    pub permission: u16,
    pub has_acl: bool,
    pub replication: u64,
    pub block_size: u64,
    pub modified_ms: i64,
}

/// A namenode's door.
pub struct WebHdfs {
    endpoint: Uri,
    user: String,
}

impl WebHdfs {
    /// The door that the options name.
    pub fn new(options: &FsOptions) -> anyhow::Result<WebHdfs> {
        let endpoint: Uri = options.webhdfs.parse().with_context(|| format!("{:?} is not a URL", options.webhdfs))?;
        if endpoint.scheme_str() != Some("http") || endpoint.host().is_none() {
            bail!("the WebHDFS endpoint must look like http://host:port, not {:?}", options.webhdfs);
        }
        let user = options.user.clone().or_else(|| std::env::var("USER").ok()).unwrap_or_else(|| "root".to_owned());
        Ok(WebHdfs { endpoint, user })
    }

    /// The user on whose behalf commands run.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// Sends an operation that is answered by JSON (`Null` where there is no body).
    pub async fn ask(&self, method: Method, path: &str, operation: &str) -> Result<Value, FsError> {
        let response = self.send(method, path, operation, None).await?;
        let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
        let bytes = body.map_err(|error| FsError::Other(error.to_string()))?.to_bytes();
        if bytes.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&bytes).map_err(|error| FsError::Other(format!("unreadable answer: {error}")))
    }

    /// Whether an operation that answers so was done.
    pub async fn ask_flag(&self, method: Method, path: &str, operation: &str) -> Result<bool, FsError> {
        Ok(self.ask(method, path, operation).await?["boolean"].as_bool().unwrap_or(false))
    }

    /// What is at a path; `None` where there is nothing.
    pub async fn status(&self, path: &str) -> Result<Option<Status>, FsError> {
        match self.ask(Method::GET, path, "GETFILESTATUS").await {
            Ok(answer) => Ok(Some(status_of(&answer["FileStatus"], path.to_owned()))),
            Err(FsError::Path { what: MISSING, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// What is at a path, which must be there.
    pub async fn existing(&self, path: &str) -> Result<Status, FsError> {
        self.status(path).await?.ok_or_else(|| FsError::at(path, MISSING))
    }

    /// Refuses a path whose parent is not there.
    pub async fn check_parent(&self, path: &str) -> Result<(), FsError> {
        let parent = path.rsplit_once('/').map_or("/", |(parent, _)| if parent.is_empty() { "/" } else { parent });
        match self.status(parent).await? {
            Some(_) => Ok(()),
            None => Err(FsError::at(path, MISSING)),
        }
    }

    /// The entries of a directory, in the server's order.
    pub async fn list(&self, path: &str) -> Result<Vec<Status>, FsError> {
        let mut entries = Vec::new();
        let mut after = String::new();
        loop {
            let operation = format!("LISTSTATUS_BATCH&startAfter={}", encoded(&after, false));
            let answer = self.ask(Method::GET, path, &operation).await?;
            let listing = &answer["DirectoryListing"];
            let page = listing["partialListing"]["FileStatuses"]["FileStatus"].as_array().cloned().unwrap_or_default();
            for entry in &page {
                after = entry["pathSuffix"].as_str().unwrap_or_default().to_owned();
                entries.push(status_of(entry, join(path, &after)));
            }
            if page.is_empty() || listing["remainingEntries"].as_u64().unwrap_or(0) == 0 {
                return Ok(entries);
            }
        }
    }

    /// The bytes of a file from `offset` on.
    pub async fn open(&self, path: &str, offset: u64) -> Result<Incoming, FsError> {
        Ok(self.send(Method::GET, path, &format!("OPEN&offset={offset}"), None).await?.into_body())
    }

    /// Sends bytes to where the namenode points.
    pub async fn store(&self, method: Method, path: &str, operation: &str, body: Outgoing) -> Result<(), FsError> {
        self.send(method, path, operation, Some(body)).await.map(drop)
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        operation: &str,
        mut body: Option<Outgoing>,
    ) -> Result<Response<Incoming>, FsError> {
        let authority = self.endpoint.authority().expect("checked when the client was made");
        let (path_encoded, user) = (encoded(path, true), encoded(&self.user, false));
        let mut target = format!("http://{authority}/webhdfs/v1{path_encoded}?op={operation}&user.name={user}");
        for hop in 0..=REDIRECTS_MAX {
            // The namenode only points: bytes go to where it does.
            let outgoing = if hop == 0 { None } else { body.take() };
            let response = exchange(&method, &target, outgoing).await?;
            if response.status().is_redirection() && hop < REDIRECTS_MAX {
                let location = response.headers().get("location").and_then(|value| value.to_str().ok());
                target = location.ok_or_else(|| FsError::Other("a redirect to nowhere".to_owned()))?.to_owned();
                continue;
            }
            return match response.status().is_success() {
                true => Ok(response),
                false => Err(refusal(response, path).await),
            };
        }
        Err(FsError::Other("too many redirects".to_owned()))
    }
}

async fn exchange(method: &Method, target: &str, body: Option<Outgoing>) -> Result<Response<Incoming>, FsError> {
    let failed = |error: &dyn fmt::Display| FsError::Other(format!("Call to {target} failed: {error}"));
    let uri: Uri = target.parse().map_err(|error: hyper::http::uri::InvalidUri| failed(&error))?;
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    let stream = TcpStream::connect((host, uri.port_u16().unwrap_or(80))).await.map_err(|error| failed(&error))?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|error| failed(&error))?;
    // Ends with the response's body, or with the connection.
    tokio::spawn(connection);
    let body = body.unwrap_or_else(|| Empty::new().map_err(|never| match never {}).boxed());
    let request = Request::builder()
        .method(method.clone())
        .uri(uri.path_and_query().map_or("/", |path| path.as_str()))
        .header("host", uri.authority().map_or("", |authority| authority.as_str()))
        .header("content-type", "application/octet-stream")
        .body(body)
        .map_err(|error| failed(&error))?;
    sender.send_request(request).await.map_err(|error| failed(&error))
}

/// A body of these bytes.
pub fn bytes_body(bytes: Bytes) -> Outgoing {
    Full::new(bytes).map_err(|never| match never {}).boxed()
}

async fn refusal(response: Response<Incoming>, path: &str) -> FsError {
    let status = response.status();
    let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
    let bytes = body.map(|body| body.to_bytes()).unwrap_or_default();
    let answer: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    let exception = &answer["RemoteException"];
    match (exception["exception"].as_str(), exception["message"].as_str()) {
        (Some("FileNotFoundException"), _) => FsError::at(path, MISSING),
        (Some("FileAlreadyExistsException"), _) => FsError::at(path, "File exists"),
        (Some("PathIsNotEmptyDirectoryException"), _) => FsError::at(path, "Directory is not empty"),
        (_, Some(message)) => FsError::Other(message.to_owned()),
        _ => FsError::Other(format!("the server answered {status}")),
    }
}

fn status_of(value: &Value, path: String) -> Status {
    let text = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
    Status {
        path,
        directory: value["type"].as_str() == Some("DIRECTORY"),
        length: value["length"].as_u64().unwrap_or_default(),
        owner: text("owner"),
        group: text("group"),
        permission: u16::from_str_radix(&text("permission"), 8).unwrap_or_default(),
        has_acl: value["aclBit"].as_bool().unwrap_or(false),
        replication: value["replication"].as_u64().unwrap_or_default(),
        block_size: value["blockSize"].as_u64().unwrap_or_default(),
        modified_ms: value["modificationTime"].as_i64().unwrap_or_default(),
    }
}

/// An entry of a directory; of a file's own listing the file.
pub fn join(directory: &str, name: &str) -> String {
    match name {
        "" => directory.to_owned(),
        name => format!("{}/{name}", directory.trim_end_matches('/')),
    }
}

/// Percent-encoded, slashes kept in paths.
pub fn encoded(text: &str, path: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'/' if path => out.push('/'),
            b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            byte if byte.is_ascii_alphanumeric() => out.push(char::from(byte)),
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_encoded_and_joined() {
        assert_eq!(encoded("/a b/é=1", true), "/a%20b/%C3%A9%3D1");
        assert_eq!(encoded("a/b", false), "a%2Fb");
        assert_eq!((join("/", "a"), join("/a", "b"), join("/a/f", "")), ("/a".into(), "/a/b".into(), "/a/f".into()));
    }
}
