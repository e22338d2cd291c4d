//! Where a client that wants bytes is sent: a datanode that has them, or one beside the client.

use super::authenticate::Authenticated;
use super::error::WebError;
use super::metadata::status;
use super::operation::Operation;
use super::request::{PREFIX, WebRequest};
use super::service::{WebHdfs, json};
use crate::exception::{JavaException, RemoteException};
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use granary_protocol::DatanodeId;
use granary_protocol::datanode_door::DatanodeDoor;
use granary_protocol::filesystem::{FileKind, FsPath};
use http::{StatusCode, header};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::json;
use std::net::IpAddr;

/// What a path and a parameter may have as it is.
const KEPT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
const KEPT_IN_PATH: &AsciiSet = &KEPT.remove(b'/');
/// Parameters that are not passed on as they came: who asks is said anew, where to go is answered.
const OWN: [&str; 5] = ["user.name", "doas", "delegation", "noredirect", "namenoderpcaddress"];

/// Answers one request.
pub async fn answer(
    service: &WebHdfs,
    operation: Operation,
    who: &Authenticated,
    request: &WebRequest,
) -> Result<Response, WebError> {
    let path = request.path()?;
    let near = nearby(service, operation, who, request, &path).await?;
    service.datanodes.refresh().await;
    let doors = service.datanodes.doors();
    let Some(door) = choose(&doors, &near, who.principal.address, who.tls) else {
        let message = "no datanode serves WebHDFS at the moment";
        return Err(RemoteException::new(JavaException::Retriable, message).into());
    };
    let location = location(service, door, operation, who, request, &path);
    if request.parameters().flag("noredirect")?.unwrap_or(false) {
        return Ok(json(&json!({ "Location": location })));
    }
    let headers = [
        (header::LOCATION, location),
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_LENGTH, "0".to_owned()),
    ];
    Ok((StatusCode::TEMPORARY_REDIRECT, headers, Body::empty()).into_response())
}

/// Datanodes that have the bytes; also refuses what can be refused before anybody goes anywhere.
async fn nearby(
    service: &WebHdfs,
    operation: Operation,
    who: &Authenticated,
    request: &WebRequest,
    path: &FsPath,
) -> Result<Vec<DatanodeId>, WebError> {
    if !matches!(operation, Operation::Open | Operation::GetFileChecksum) {
        return Ok(Vec::new());
    }
    let found = status(service, &who.principal, path).await?;
    if found.kind == FileKind::Directory {
        let message = format!("Path is not a file: {path}");
        return Err(RemoteException::new(JavaException::FileNotFound, message).into());
    }
    let offset = request.parameters().number("offset")?.unwrap_or(0);
    if operation == Operation::Open && offset > found.length && !found.under_construction {
        return Err(WebError::io(format!("Offset={offset} out of the range [0, {}); OPEN, path={path}", found.length)));
    }
    let file = service.locator.locate(&who.principal, path, offset, 1).await?.file;
    let block = file.blocks.first();
    Ok(block.into_iter().flat_map(|block| &block.located.replicas).map(|replica| replica.datanode.id).collect())
}

/// Where a door serves WebHDFS, with or without TLS; 0 for nowhere.
fn port_of(door: &DatanodeDoor, tls: bool) -> u16 {
    if tls { door.https_port } else { door.http_port }
}

/// The first of `near` that serves WebHDFS; else one on the client's own machine; else any, each client another.
fn choose<'a>(doors: &'a [DatanodeDoor], near: &[DatanodeId], client: IpAddr, tls: bool) -> Option<&'a DatanodeDoor> {
    let serving = || doors.iter().filter(|door| port_of(door, tls) != 0);
    let client = client.to_canonical();
    let has = near.iter().find_map(|id| serving().find(|door| door.datanode == *id));
    let beside = || serving().find(|door| door.address.parse::<IpAddr>().is_ok_and(|address| address == client));
    let any = || {
        let seed = match client {
            IpAddr::V4(address) => u32::from(address) as usize,
            IpAddr::V6(address) => u128::from(address) as usize,
        };
        let count = serving().count();
        serving().nth(seed.checked_rem(count)?)
    };
    has.or_else(beside).or_else(any)
}

fn location(
    service: &WebHdfs,
    door: &DatanodeDoor,
    operation: Operation,
    who: &Authenticated,
    request: &WebRequest,
    path: &FsPath,
) -> String {
    let host = if door.host.is_empty() { &door.address } else { &door.host };
    let mut query: Vec<(String, String)> = Vec::new();
    let passed = request.parameters().iter().filter(|(name, _)| !OWN.contains(name));
    query.extend(passed.map(|(name, value)| (name.to_owned(), value.to_owned())));
    query.extend(who.passed_on.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    query.push(("namenoderpcaddress".to_owned(), service.rpc_address.clone()));
    let mut default = |name: &str, value: &str| {
        if !query.iter().any(|(other, _)| other == name) {
            query.push((name.to_owned(), value.to_owned()));
        }
    };
    match operation {
        Operation::Create => {
            default("createflag", "");
            default("createparent", "true");
            default("overwrite", "false");
        }
        Operation::Open => default("offset", "0"),
        _ => {}
    }
    let encode = |text: &str| utf8_percent_encode(text, KEPT).to_string();
    let query: Vec<String> = query.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
    let path = utf8_percent_encode(path.as_str(), KEPT_IN_PATH);
    let scheme = if who.tls { "https" } else { "http" };
    let port = port_of(door, who.tls);
    format!("{scheme}://{host}:{port}{PREFIX}{path}?{}", query.join("&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn door(id: u64, address: &str, http_port: u16) -> DatanodeDoor {
        DatanodeDoor {
            datanode: DatanodeId(id),
            name: format!("dn-{id}").into(),
            host: format!("host-{id}"),
            address: address.to_owned(),
            transfer_port: 9866,
            http_port,
            https_port: 0,
            ipc_port: 9867,
            rack: "/r".into(),
        }
    }

    #[test]
    fn whoever_has_the_bytes_comes_first_then_whoever_is_near() {
        let doors = [door(1, "10.0.0.1", 9864), door(2, "10.0.0.2", 9864), door(3, "10.0.0.3", 0)];
        let chosen = |near: &[u64], client: &str| {
            let near: Vec<DatanodeId> = near.iter().map(|id| DatanodeId(*id)).collect();
            choose(&doors, &near, client.parse().unwrap(), false).map(|door| door.datanode.0)
        };
        assert_eq!(chosen(&[3, 2], "10.0.0.1"), Some(2));
        assert_eq!(chosen(&[], "10.0.0.1"), Some(1));
        assert_eq!(chosen(&[], "::ffff:10.0.0.2"), Some(2));
        assert!(chosen(&[], "10.0.0.9").is_some());
        assert!(choose(&doors[2..], &[], "10.0.0.3".parse().unwrap(), false).is_none());
        assert!(choose(&doors, &[], "10.0.0.1".parse().unwrap(), true).is_none());
    }
}
