//! `-mkdir`, `-rm`, `-rmdir`, `-mv`.

use super::glob::{absolute, expand, expand_or_tell};
use super::show::out;
use super::trash::Trash;
use super::webhdfs::{FsError, MISSING, WebHdfs, encoded, join};
use super::{Ended, Operands, tell};
use hyper::Method;

pub async fn mkdir(client: &WebHdfs, operands: Operands) -> Result<Ended, FsError> {
    let mut ended = Ended::Well;
    for path in &operands.paths {
        if let Err(error) = mkdir_one(client, &absolute(client, path), operands.has("p")).await {
            ended = tell("mkdir", &error);
        }
    }
    Ok(ended)
}

async fn mkdir_one(client: &WebHdfs, path: &str, parents: bool) -> Result<(), FsError> {
    match client.status(path).await? {
        Some(status) if !status.directory => return Err(FsError::at(path, "Is not a directory")),
        Some(_) if !parents => return Err(FsError::at(path, "File exists")),
        _ => {}
    }
    if !parents {
        client.check_parent(path).await?;
    }
    client.ask(Method::PUT, path, "MKDIRS&permission=755&unmaskedpermission=777").await.map(drop)
}

pub async fn rm(client: &WebHdfs, operands: Operands) -> Result<Ended, FsError> {
    let recursive = operands.has("r") || operands.has("R");
    let trash = if operands.has("skipTrash") { None } else { Trash::of(client).await? };
    let mut ended = Ended::Well;
    for pattern in &operands.paths {
        let found = match expand(client, pattern).await {
            Ok(found) => found,
            Err(FsError::Path { what: MISSING, .. }) if operands.has("f") => continue,
            Err(error) => {
                ended = tell("rm", &error);
                continue;
            }
        };
        for status in found {
            if status.directory && !recursive {
                ended = tell("rm", &FsError::at(&status.path, "Is a directory"));
                continue;
            }
            match take_to_trash(client, trash.as_ref(), &status.path).await {
                Ok(true) => continue,
                Ok(false) => {}
                Err(error) => {
                    ended = tell("rm", &error);
                    continue;
                }
            }
            let delete = format!("DELETE&recursive={recursive}");
            match client.ask_flag(Method::DELETE, &status.path, &delete).await {
                Ok(true) => out(format_args!("Deleted {}\n", status.path))?,
                Ok(false) => ended = tell("rm", &FsError::at(&status.path, "Input/output error")),
                Err(error) => ended = tell("rm", &error),
            }
        }
    }
    Ok(ended)
}

async fn take_to_trash(client: &WebHdfs, trash: Option<&Trash>, path: &str) -> Result<bool, FsError> {
    match trash {
        Some(trash) => trash.take(client, path).await,
        None => Ok(false),
    }
}

pub async fn rmdir(client: &WebHdfs, operands: Operands) -> Result<Ended, FsError> {
    let mut ended = Ended::Well;
    for pattern in &operands.paths {
        let found = expand_or_tell(client, "rmdir", pattern, &mut ended).await;
        for status in found {
            if !status.directory {
                ended = tell("rmdir", &FsError::at(&status.path, "Is not a directory"));
                continue;
            }
            match client.ask(Method::DELETE, &status.path, "DELETE&recursive=false").await {
                Ok(_) => {}
                Err(FsError::Path { what: "Directory is not empty", .. })
                    if operands.has("ignore-fail-on-non-empty") => {}
                Err(error) => ended = tell("rmdir", &error),
            }
        }
    }
    Ok(ended)
}

pub async fn mv(client: &WebHdfs, mut operands: Operands) -> Result<Ended, FsError> {
    let target = absolute(client, &operands.paths.pop().unwrap_or_default());
    let into = client.status(&target).await?;
    let mut ended = Ended::Well;
    if operands.paths.len() > 1 && !into.as_ref().is_some_and(|status| status.directory) {
        return Err(FsError::at(&target, if into.is_some() { "Is not a directory" } else { MISSING }));
    }
    for pattern in &operands.paths {
        let found = expand_or_tell(client, "mv", pattern, &mut ended).await;
        for status in found {
            let to = match &into {
                Some(into) if into.directory => join(&target, status.path.rsplit('/').next().unwrap_or_default()),
                Some(_) => return Err(FsError::at(&target, "File exists")),
                None => target.clone(),
            };
            let rename = format!("RENAME&destination={}", encoded(&to, true));
            match client.ask_flag(Method::PUT, &status.path, &rename).await {
                Ok(true) => {}
                Ok(false) if client.status(&to).await?.is_some() => {
                    ended = tell("mv", &FsError::at(&to, "File exists"))
                }
                Ok(false) => ended = tell("mv", &FsError::at(&to, MISSING)),
                Err(error) => ended = tell("mv", &error),
            }
        }
    }
    Ok(ended)
}
