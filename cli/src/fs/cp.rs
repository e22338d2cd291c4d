//! `-cp`, `-getmerge`: copies within the store, through here, and many files into one.

use super::glob::{absolute, expand_or_tell};
use super::webhdfs::{FsError, MISSING, Outgoing, Status, WebHdfs, encoded, join};
use super::{Ended, Operands, tell};
use http_body_util::{BodyExt, StreamBody};
use hyper::Method;
use hyper::body::{Frame, Incoming};
use tokio::io::AsyncWriteExt;

/// The suffix under which a file is written until it is whole.
const COPYING: &str = "._COPYING_";

pub async fn cp(client: &WebHdfs, mut operands: Operands) -> Result<Ended, FsError> {
    let target = absolute(client, &operands.paths.pop().unwrap_or_default());
    let into = client.status(&target).await?;
    let directory = into.as_ref().is_some_and(|status| status.directory);
    if operands.paths.len() > 1 && !directory {
        return Err(FsError::at(&target, if into.is_some() { "Is not a directory" } else { MISSING }));
    }
    if into.is_none() {
        client.check_parent(&target).await?;
    }
    let mut ended = Ended::Well;
    for pattern in &operands.paths {
        for source in expand_or_tell(client, "cp", pattern, &mut ended).await {
            let name = source.path.rsplit('/').next().unwrap_or_default();
            let to = if directory { join(&target, name) } else { target.clone() };
            if let Err(error) = copy_tree(client, source, to, &operands).await {
                ended = tell("cp", &error);
            }
        }
    }
    Ok(ended)
}

/// Copies a file, or a directory with everything in it.
async fn copy_tree(client: &WebHdfs, source: Status, to: String, operands: &Operands) -> Result<(), FsError> {
    let about = |what: &str| FsError::Other(format!("`{}' to `{to}': {what}", source.path));
    if source.path == to {
        return Err(about("are identical"));
    }
    if source.directory && to.starts_with(&format!("{}/", source.path)) {
        return Err(about("is a subdirectory of itself"));
    }
    let mut waiting = vec![(source, to)];
    while let Some((source, to)) = waiting.pop() {
        if source.directory {
            client.ask(Method::PUT, &to, "MKDIRS&permission=755&unmaskedpermission=777").await?;
            for entry in client.list(&source.path).await? {
                let name = entry.path.rsplit('/').next().unwrap_or_default().to_owned();
                waiting.push((entry, join(&to, &name)));
            }
        } else {
            copy_file(client, &source, &to, operands).await?;
        }
    }
    Ok(())
}

/// Writes beside the target and renames at the end, so that nobody sees half a file.
async fn copy_file(client: &WebHdfs, source: &Status, to: &str, operands: &Operands) -> Result<(), FsError> {
    let there = client.status(to).await?;
    if there.is_some() && !operands.has("f") {
        return Err(FsError::at(to, "File exists"));
    }
    let copying = format!("{to}{COPYING}");
    let body = passed_on(client.open(&source.path, 0).await?);
    client.store(Method::PUT, &copying, "CREATE&overwrite=true", body).await?;
    // An answer that broke off is stored as far as it came: it is not what was to be copied.
    if client.existing(&copying).await?.length != source.length {
        client.ask(Method::DELETE, &copying, "DELETE&recursive=false").await?;
        return Err(FsError::at(&source.path, "Input/output error"));
    }
    if operands.has("p") {
        preserve(client, source, &copying).await?;
    }
    if there.is_some() {
        client.ask(Method::DELETE, to, "DELETE&recursive=false").await?;
    }
    match client.ask_flag(Method::PUT, &copying, &format!("RENAME&destination={}", encoded(to, true))).await? {
        true => Ok(()),
        false => Err(FsError::at(to, "Input/output error")),
    }
}

/// Times, owner, group and mode bits.
async fn preserve(client: &WebHdfs, source: &Status, to: &str) -> Result<(), FsError> {
    let (owner, group) = (encoded(&source.owner, false), encoded(&source.group, false));
    let times = format!("SETTIMES&modificationtime={0}&accesstime={0}", source.modified_ms);
    client.ask(Method::PUT, to, &times).await?;
    client.ask(Method::PUT, to, &format!("SETOWNER&owner={owner}&group={group}")).await?;
    client.ask(Method::PUT, to, &format!("SETPERMISSION&permission={:o}", source.permission)).await?;
    Ok(())
}

/// An answer's bytes as a request's.
fn passed_on(answer: Incoming) -> Outgoing {
    let frames = futures_util::stream::unfold(answer, |mut answer| async {
        loop {
            let data = match answer.frame().await? {
                Ok(frame) => frame.into_data().ok(),
                Err(error) => return Some((Err(std::io::Error::other(error)), answer)),
            };
            if let Some(data) = data {
                return Some((Ok(Frame::data(data)), answer));
            }
        }
    });
    BodyExt::boxed(StreamBody::new(Box::pin(frames)))
}

pub async fn getmerge(client: &WebHdfs, mut operands: Operands) -> Result<Ended, FsError> {
    let target = operands.paths.pop().unwrap_or_default();
    let mut ended = Ended::Well;
    let mut files = Vec::new();
    for pattern in &operands.paths {
        for status in expand_or_tell(client, "getmerge", pattern, &mut ended).await {
            match status.directory {
                true => files.extend(client.list(&status.path).await?.into_iter().filter(|entry| !entry.directory)),
                false => files.push(status),
            }
        }
    }
    if matches!(ended, Ended::WithFailures) {
        return Ok(ended);
    }
    let mut merged = tokio::fs::File::create(&target).await?;
    for file in files.iter().filter(|file| file.length > 0 || !operands.has("skip-empty-file")) {
        let mut body = client.open(&file.path, 0).await?;
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| FsError::Other(error.to_string()))?;
            if let Ok(data) = frame.into_data() {
                merged.write_all(&data).await?;
            }
        }
        if operands.has("nl") {
            merged.write_all(b"\n").await?;
        }
    }
    merged.flush().await?;
    Ok(ended)
}
