//! OPEN, CREATE, APPEND and GETFILECHECKSUM, where the bytes are.

use super::checksum::file_checksum;
use super::error::WebError;
use super::file_reader::FileReader;
use super::file_writer::FileWriter;
use super::operation::Operation;
use super::request::{Parameters, WebRequest};
use super::service::{DataSide, WebHdfs, done, json, reply};
use crate::principal::Principal;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt, stream};
use granary_protocol::filesystem::*;
use granary_protocol::{ErrorCode, Failure};
use http::{StatusCode, header};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// The mode bits of a file where none are asked for.
const FILE_PERMISSION: u16 = 0o644;
/// How long a client may send nothing of a body.
const BODY_TIMEOUT: Duration = Duration::from_secs(120);
const HOLDER_BYTES: usize = 8;

/// Answers one request.
pub async fn answer(
    service: &Arc<WebHdfs>,
    data: &DataSide,
    operation: Operation,
    principal: &Principal,
    request: &WebRequest,
    body: Body,
) -> Result<Response, WebError> {
    let (path, parameters) = (request.path()?, request.parameters());
    match operation {
        Operation::Open => open(service, data, principal, path, parameters).await,
        Operation::Create => create(service, data, principal, path, parameters, body).await,
        Operation::Append => append(service, data, principal, path, body).await,
        Operation::GetFileChecksum => Ok(json(&file_checksum(service, principal, path, parameters).await?)),
        _ => Err(WebError::unsupported("a datanode moves bytes")),
    }
}

async fn open(
    service: &Arc<WebHdfs>,
    data: &DataSide,
    principal: &Principal,
    path: FsPath,
    parameters: &Parameters,
) -> Result<Response, WebError> {
    let offset: i64 = parameters.number("offset")?.unwrap_or(0);
    let offset = u64::try_from(offset).map_err(|_| WebError::parameter("offset", format!("{offset} < 0")))?;
    let length = parameters.number::<i64>("length")?.filter(|length| *length >= 0).map(|length| length as u64);
    let (service, client, principal) = (service.clone(), data.client.clone(), principal.clone());
    let reader = FileReader::open(service, client, principal, path, offset, length).await?;
    let bytes = reader.remaining();
    let pieces = stream::unfold(reader, |mut reader| async {
        // Once the head is sent, a failure can only be said by breaking the answer off.
        let piece = reader.next().await.map_err(|error| io::Error::other(format!("{error:?}"))).transpose()?;
        Some((piece, reader))
    });
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_LENGTH, bytes.to_string()),
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*".to_owned()),
    ];
    Ok((headers, Body::from_stream(pieces)).into_response())
}

/// A name for a writer's lease that nobody else has.
fn holder() -> Result<String, WebError> {
    let mut random = [0u8; HOLDER_BYTES];
    getrandom::fill(&mut random).map_err(|error| Failure::new(ErrorCode::Internal, error.to_string()))?;
    Ok(format!("WebHDFS_{}", hex::encode(random)))
}

async fn create(
    service: &Arc<WebHdfs>,
    data: &DataSide,
    principal: &Principal,
    path: FsPath,
    parameters: &Parameters,
    body: Body,
) -> Result<Response, WebError> {
    let defaults = reply!(service.call(principal, FsRequest::ServerDefaults).await?, FsReply::ServerDefaults(defaults) => defaults);
    let holder = holder()?;
    let file = CreateFile {
        path: path.clone(),
        holder: holder.clone(),
        permission: parameters.permission("permission")?.unwrap_or(FILE_PERMISSION),
        unmasked: parameters.permission("unmaskedpermission")?,
        flags: create_flags(parameters)?,
        create_parent: parameters.flag("createparent")?.unwrap_or(true),
        replication: parameters.number("replication")?.unwrap_or(defaults.replication),
        block_size: parameters.number("blocksize")?.unwrap_or(defaults.block_size),
        policy: None,
    };
    let created = service.call(principal, FsRequest::Create(Box::new(file))).await?;
    let status = reply!(created, FsReply::Status(Some(status)) => status);
    let mut writer = FileWriter::new(service, data, principal, path.clone(), holder, &status);
    let written = match copy_body(&mut writer, body).await {
        Ok(()) => writer.finish().await,
        Err(error) => Err(error),
    };
    if let Err(error) = written {
        writer.abandon().await;
        return Err(error);
    }
    let location = format!("hdfs://{}{path}", service.rpc_address);
    let headers = [(header::LOCATION, location), (header::CONTENT_LENGTH, "0".to_owned())];
    Ok((StatusCode::CREATED, headers, Body::empty()).into_response())
}

/// `createflag` in full, or `overwrite`.
fn create_flags(parameters: &Parameters) -> Result<CreateFlags, WebError> {
    let Some(flags) = parameters.get("createflag") else {
        let overwrite = parameters.flag("overwrite")?.unwrap_or(false);
        return Ok(CreateFlags(CreateFlags::CREATE | if overwrite { CreateFlags::OVERWRITE } else { 0 }));
    };
    let bits = flags.split(',').map(|flag| match flag.trim().to_ascii_uppercase().as_str() {
        "CREATE" => Ok(CreateFlags::CREATE),
        "OVERWRITE" => Ok(CreateFlags::OVERWRITE),
        "APPEND" => Ok(CreateFlags::APPEND),
        "LAZY_PERSIST" => Ok(CreateFlags::LAZY_PERSIST),
        "NEW_BLOCK" => Ok(CreateFlags::NEW_BLOCK),
        // What they are about every file has here: blocks on stable storage, on any datanode.
        "SYNC_BLOCK" | "NO_LOCAL_WRITE" | "SHOULD_REPLICATE" | "IGNORE_CLIENT_LOCALITY" | "NO_LOCAL_RACK" => Ok(0),
        other => Err(WebError::parameter("createflag", format!("{other} is not a flag"))),
    });
    bits.sum::<Result<u32, WebError>>().map(CreateFlags)
}

async fn append(
    service: &Arc<WebHdfs>,
    data: &DataSide,
    principal: &Principal,
    path: FsPath,
    body: Body,
) -> Result<Response, WebError> {
    let holder = holder()?;
    let opened = service.call(principal, FsRequest::Append { path: path.clone(), holder: holder.clone() }).await?;
    let status = reply!(opened, FsReply::Appended { status, .. } => status);
    let mut writer = FileWriter::new(service, data, principal, path, holder, &status);
    // A body that breaks off leaves what came: whole blocks are the file's, and the file is closed.
    let copied = copy_body(&mut writer, body).await;
    writer.finish().await?;
    copied?;
    Ok(done())
}

async fn copy_body(writer: &mut FileWriter<'_>, body: Body) -> Result<(), WebError> {
    let mut pieces = body.into_data_stream();
    loop {
        match timeout(BODY_TIMEOUT, pieces.next()).await {
            Ok(Some(Ok(piece))) => writer.write(piece).await?,
            Ok(Some(Err(error))) => return Err(WebError::io(format!("the body broke off: {error}"))),
            Ok(None) => return Ok(()),
            Err(_elapsed) => return Err(WebError::io("the body did not come in time")),
        }
    }
}
