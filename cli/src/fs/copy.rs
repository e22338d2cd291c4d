//! `-put`, `-get`, `-appendToFile`, `-touchz`: bytes between here and there, streamed.

use super::glob::{absolute, expand_or_tell};
use super::webhdfs::{FsError, MISSING, Outgoing, Status, WebHdfs, bytes_body, encoded, join};
use super::{Ended, Operands, tell};
use bytes::Bytes;
use http_body_util::{BodyExt, StreamBody};
use hyper::Method;
use hyper::body::Frame;
use std::path::{Path, PathBuf};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;

/// Bytes read from a local file at once, and pieces that wait for the network.
const PIECE_BYTES: usize = 256 << 10;
const PIECES_WAITING: usize = 4;
/// The suffix under which a file is written until it is whole.
const COPYING: &str = "._COPYING_";

pub async fn put(client: &WebHdfs, command: &str, mut operands: Operands) -> Result<Ended, FsError> {
    // With one operand the target is the home, as in `FsShell`.
    let target = match operands.paths.len() {
        1 => format!("/user/{}", client.user()),
        _ => absolute(client, &operands.paths.pop().unwrap_or_default()),
    };
    let into = client.status(&target).await?;
    let several = operands.paths.len() > 1;
    if several && !into.as_ref().is_some_and(|status| status.directory) {
        return Err(FsError::at(&target, if into.is_some() { "Is not a directory" } else { MISSING }));
    }
    if into.is_none() {
        client.check_parent(&target).await?;
    }
    let mut ended = Ended::Well;
    for source in &operands.paths {
        let name = Path::new(source).file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let to = match &into {
            Some(into) if into.directory => join(&target, &name),
            _ => target.clone(),
        };
        if let Err(error) = put_tree(client, source, &to, operands.has("f")).await {
            ended = tell(command, &error);
        }
    }
    Ok(ended)
}

/// Stores a file, or a directory with everything in it.
async fn put_tree(client: &WebHdfs, source: &str, to: &str, overwrite: bool) -> Result<(), FsError> {
    let mut waiting = vec![(PathBuf::from(source), to.to_owned())];
    while let Some((from, to)) = waiting.pop() {
        if source != "-" && !from.exists() {
            return Err(FsError::at(&from.to_string_lossy(), MISSING));
        }
        if source != "-" && from.is_dir() {
            client.ask(Method::PUT, &to, "MKDIRS&permission=755&unmaskedpermission=777").await?;
            let mut entries = tokio::fs::read_dir(&from).await?;
            while let Some(entry) = entries.next_entry().await? {
                waiting.push((entry.path(), join(&to, &entry.file_name().to_string_lossy())));
            }
            continue;
        }
        put_file(client, &from, &to, overwrite).await?;
    }
    Ok(())
}

/// Writes beside the target and renames at the end, so that nobody sees half a file.
async fn put_file(client: &WebHdfs, from: &Path, to: &str, overwrite: bool) -> Result<(), FsError> {
    let there = client.status(to).await?;
    if there.is_some() && !overwrite {
        return Err(FsError::at(to, "File exists"));
    }
    let copying = format!("{to}{COPYING}");
    client.store(Method::PUT, &copying, "CREATE&overwrite=true", local_body(from).await?).await?;
    if there.is_some() {
        client.ask(Method::DELETE, to, "DELETE&recursive=false").await?;
    }
    match client.ask_flag(Method::PUT, &copying, &format!("RENAME&destination={}", encoded(to, true))).await? {
        true => Ok(()),
        false => Err(FsError::at(to, "Input/output error")),
    }
}

/// The bytes of a local file, or of the standard input.
async fn local_body(from: &Path) -> Result<Outgoing, FsError> {
    let (pieces, mut waiting) = mpsc::channel::<std::io::Result<Bytes>>(PIECES_WAITING);
    let mut reader: Box<dyn tokio::io::AsyncRead + Send + Unpin> = match from.to_str() {
        Some("-") => Box::new(tokio::io::stdin()),
        _ => Box::new(tokio::fs::File::open(from).await?),
    };
    // Ends with the file, or when nobody takes its pieces any more.
    tokio::spawn(async move {
        loop {
            let mut piece = vec![0; PIECE_BYTES];
            let read = reader.read(&mut piece).await;
            let done = !matches!(read, Ok(bytes) if bytes > 0);
            if let Ok(0) = read {
                break;
            }
            let sent = pieces.send(read.map(|bytes| {
                piece.truncate(bytes);
                Bytes::from(piece)
            }));
            if sent.await.is_err() || done {
                break;
            }
        }
    });
    let frames = futures_util::stream::poll_fn(move |context| {
        waiting.poll_recv(context).map(|piece| piece.map(|piece| piece.map(Frame::data)))
    });
    Ok(StreamBody::new(frames).boxed())
}

pub async fn append(client: &WebHdfs, mut operands: Operands) -> Result<Ended, FsError> {
    let target = absolute(client, &operands.paths.pop().unwrap_or_default());
    if client.status(&target).await?.is_none() {
        client.store(Method::PUT, &target, "CREATE&overwrite=false", bytes_body(Bytes::new())).await?;
    }
    for source in &operands.paths {
        client.store(Method::POST, &target, "APPEND", local_body(Path::new(source)).await?).await?;
    }
    Ok(Ended::Well)
}

pub async fn touchz(client: &WebHdfs, operands: Operands) -> Result<Ended, FsError> {
    let mut ended = Ended::Well;
    for path in &operands.paths {
        let path = absolute(client, path);
        let outcome = match client.status(&path).await? {
            Some(status) if status.directory => Err(FsError::at(&path, "Is a directory")),
            Some(status) if status.length > 0 => Err(FsError::at(&path, "Not a zero-length file")),
            _ => client.store(Method::PUT, &path, "CREATE&overwrite=true", bytes_body(Bytes::new())).await,
        };
        if let Err(error) = outcome {
            ended = tell("touchz", &error);
        }
    }
    Ok(ended)
}

pub async fn get(client: &WebHdfs, command: &str, mut operands: Operands) -> Result<Ended, FsError> {
    let target = match operands.paths.len() {
        1 => PathBuf::from("."),
        _ => PathBuf::from(operands.paths.pop().unwrap_or_default()),
    };
    let mut ended = Ended::Well;
    for pattern in &operands.paths {
        let found = expand_or_tell(client, command, pattern, &mut ended).await;
        for status in found {
            let to = if target.is_dir() { within(&target, &status.path) } else { Ok(target.clone()) };
            let copied = match to {
                Ok(to) => get_tree(client, status.clone(), to, operands.has("f")).await,
                Err(error) => Err(error),
            };
            if let Err(error) = copied {
                ended = tell(command, &error);
            }
        }
    }
    Ok(ended)
}

async fn get_tree(client: &WebHdfs, status: Status, to: PathBuf, overwrite: bool) -> Result<(), FsError> {
    let mut waiting = vec![(status, to)];
    while let Some((status, to)) = waiting.pop() {
        if status.directory {
            tokio::fs::create_dir_all(&to).await?;
            for entry in client.list(&status.path).await? {
                let to = within(&to, &entry.path)?;
                waiting.push((entry, to));
            }
            continue;
        }
        if to.exists() && !overwrite {
            return Err(FsError::at(&to.to_string_lossy(), "File exists"));
        }
        get_file(client, &status, &to).await?;
    }
    Ok(())
}

/// Where what is at `path` in the store is put in a local directory. Its name is one component there: the store has names
/// that mean something else here.
fn within(directory: &Path, path: &str) -> Result<PathBuf, FsError> {
    match path.rsplit('/').next().unwrap_or_default() {
        "." | ".." => Err(FsError::at(path, "is no name of a local file")),
        name => Ok(directory.join(name)),
    }
}

async fn get_file(client: &WebHdfs, status: &Status, to: &Path) -> Result<(), FsError> {
    let mut file = tokio::fs::File::create(to).await?;
    let mut body = client.open(&status.path, 0).await?;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| FsError::Other(error.to_string()))?;
        if let Ok(data) = frame.into_data() {
            file.write_all(&data).await?;
        }
    }
    Ok(file.flush().await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_put_outside_of_the_target() {
        let within = |path: &str| super::within(Path::new("t"), path).ok();
        assert_eq!(within("/bucket/dir/name"), Some(PathBuf::from("t/name")));
        assert_eq!(within("/bucket/..."), Some(PathBuf::from("t/...")));
        for path in ["/bucket/dir/..", "/bucket/."] {
            assert_eq!(within(path), None, "{path}");
        }
    }
}
