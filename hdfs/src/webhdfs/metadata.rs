//! GET: what is asked of names.

use super::acl_spec::symbolic;
use super::authenticate::Authenticated;
use super::error::WebError;
use super::json::{self, XAttrEncoding, named};
use super::locations::{block_locations, located_blocks};
use super::operation::Operation;
use super::request::{Parameters, WebRequest};
use super::service::{WebHdfs, done, json as answer_json, reply};
use crate::exception::{JavaException, RemoteException};
use crate::principal::Principal;
use crate::translate;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use granary_protocol::filesystem::*;
use http::header;
use serde_json::{Value, json};
use std::sync::Arc;

/// The bucket of the users' homes.
const HOMES: &str = "user";

/// Answers one request.
pub async fn answer(
    service: &WebHdfs,
    operation: Operation,
    who: &Authenticated,
    request: &WebRequest,
) -> Result<Response, WebError> {
    let (principal, parameters) = (&who.principal, request.parameters());
    let path = request.path()?;
    let value = match operation {
        Operation::GetFileStatus | Operation::GetFileLinkStatus => {
            let status = status(service, principal, &path).await?;
            named("FileStatus", json::file_status(&status))
        }
        Operation::ListStatus => return list(service, principal, path).await,
        Operation::ListStatusBatch => {
            let after = parameters.get("startafter").unwrap_or_default();
            json::directory_listing(&page(service, principal, &path, after).await?)
        }
        Operation::GetContentSummary => json::content_summary(&summary(service, principal, path).await?),
        Operation::GetQuotaUsage => json::quota_usage(&summary(service, principal, path).await?),
        Operation::GetHomeDirectory => named("Path", home(principal)),
        Operation::GetTrashRoot => named("Path", trash_root(principal, &path)),
        Operation::GetFileBlockLocations | Operation::GetBlockLocations => {
            let offset = parameters.number("offset")?.unwrap_or(0);
            let length = parameters.number("length")?.unwrap_or(i64::MAX as u64);
            let file = service.locator.locate(principal, &path, offset, length).await?;
            match operation {
                Operation::GetFileBlockLocations => block_locations(service, &file).await?,
                _ => located_blocks(service, &file).await?,
            }
        }
        Operation::GetXAttrs => get_xattrs(service, principal, path, parameters).await?,
        Operation::ListXAttrs => {
            let reply = service.call(principal, FsRequest::ListXAttrs { path }).await?;
            json::xattr_names(&reply!(reply, FsReply::XAttrs(all) => all))
        }
        Operation::GetAclStatus => {
            let reply = service.call(principal, FsRequest::AclStatus { path }).await?;
            json::acl_status(&*reply!(reply, FsReply::Acl(status) => status))
        }
        Operation::CheckAccess => {
            let wanted = parameters.get("fsaction").unwrap_or("---");
            let invalid = || WebError::parameter("fsaction", format!("{wanted} is not rwx"));
            let mode = symbolic(wanted).ok_or_else(invalid)?;
            service.call(principal, FsRequest::CheckAccess { path, mode }).await?;
            return Ok(done());
        }
        Operation::GetDelegationToken => delegation_token(service, who, parameters).await?,
        Operation::GetServerDefaults => {
            let reply = service.call(principal, FsRequest::ServerDefaults).await?;
            let defaults = reply!(reply, FsReply::ServerDefaults(defaults) => defaults);
            json::server_defaults(&defaults)
        }
        Operation::GetStatus => {
            let reply = service.call(principal, FsRequest::Stats).await?;
            json::fs_status(&reply!(reply, FsReply::Stats(stats) => stats))
        }
        Operation::GetStoragePolicy => {
            let reply = service.call(principal, FsRequest::StoragePolicy { path }).await?;
            let policy = translate::storage_policy(reply!(reply, FsReply::StoragePolicy(policy) => policy));
            named("BlockStoragePolicy", json::storage_policy(&policy))
        }
        Operation::GetAllStoragePolicy => {
            let all = StoragePolicy::ALL.map(|policy| json::storage_policy(&translate::storage_policy(policy)));
            json!({ "BlockStoragePolicies": { "BlockStoragePolicy": all } })
        }
        Operation::GetEcPolicy => {
            // Looked at, so that a path that is not there is refused; no path has a policy of its own.
            status(service, principal, &path).await?;
            Value::Object(serde_json::Map::new())
        }
        Operation::GetEcPolicies => json!({ "ErasureCodingPolicies": { "ErasureCodingPolicyState": [] } }),
        Operation::GetEcCodecs => json!({ "ErasureCodingCodecs": {} }),
        Operation::GetTrashRoots => json!({ "Paths": [] }),
        Operation::GetLinkTarget => {
            status(service, principal, &path).await?;
            return Err(WebError::io(format!("Path {path} is not a symbolic link")));
        }
        Operation::GetSnapshotDiff
        | Operation::GetSnapshotDiffListing
        | Operation::GetSnapshottableDirectoryList
        | Operation::GetSnapshotList => return Err(no_snapshots()),
        _ => return Err(WebError::unsupported("not a question")),
    };
    Ok(answer_json(&value))
}

/// What is said about directory snapshots.
pub(super) fn no_snapshots() -> WebError {
    RemoteException::new(JavaException::Snapshot, "Directory snapshots are not offered by this store").into()
}

fn home(principal: &Principal) -> String {
    format!("/{HOMES}/{}", principal.fs.user)
}

/// Where what is deleted at `path` is kept. Directories are not renamed from bucket to bucket, so each bucket has a trash of
/// its own, named as Apache names that of an encryption zone; that of the homes' bucket lies in the home.
fn trash_root(principal: &Principal, path: &FsPath) -> String {
    match path.components().next() {
        None | Some(HOMES) => format!("{}/.Trash", home(principal)),
        Some(bucket) => format!("/{bucket}/.Trash/{}", principal.fs.user),
    }
}

/// An entry that must be there.
pub(super) async fn status(service: &WebHdfs, principal: &Principal, path: &FsPath) -> Result<FileStatus, WebError> {
    let reply = service.call(principal, FsRequest::Status { path: path.clone() }).await?;
    let found = reply!(reply, FsReply::Status(status) => status);
    found.map(|status| *status).ok_or_else(|| not_found(path))
}

fn not_found(path: &FsPath) -> WebError {
    RemoteException::new(JavaException::FileNotFound, format!("File does not exist: {path}")).into()
}

async fn summary(service: &WebHdfs, principal: &Principal, path: FsPath) -> Result<ContentSummary, WebError> {
    let reply = service.call(principal, FsRequest::ContentSummary { path }).await?;
    Ok(reply!(reply, FsReply::Summary(summary) => summary))
}

async fn page(service: &WebHdfs, principal: &Principal, path: &FsPath, after: &str) -> Result<FsListing, WebError> {
    let request = FsRequest::List { path: path.clone(), after: after.to_owned(), locations: false };
    let listing = reply!(service.call(principal, request).await?, FsReply::Listing(listing) => listing);
    listing.ok_or_else(|| not_found(path))
}

/// A whole directory, page by page as the client reads it: memory does not depend on how many entries there are.
async fn list(service: &WebHdfs, principal: &Principal, path: FsPath) -> Result<Response, WebError> {
    let first = page(service, principal, &path, "").await?;
    if first.remaining == 0 {
        return Ok(answer_json(&json::file_statuses(&first)));
    }
    let pages =
        Pages { door: service.door.clone(), principal: principal.clone(), path, next: Some(first), begun: false };
    let body = Body::from_stream(stream::unfold(pages, Pages::into_next));
    Ok(([(header::CONTENT_TYPE, "application/json")], body).into_response())
}

/// The pages of a listing that are still to come.
struct Pages {
    door: Arc<crate::door::FileSystemDoor>,
    principal: Principal,
    path: FsPath,
    next: Option<FsListing>,
    begun: bool,
}

impl Pages {
    /// The text of the next page. A page that cannot be had breaks the answer off, which then is no JSON.
    async fn into_next(mut self) -> Option<(Result<Bytes, RemoteException>, Pages)> {
        let listing = self.next.take()?;
        let mut text = String::new();
        text.push_str(if self.begun { "," } else { "{\"FileStatuses\":{\"FileStatus\":[" });
        self.begun = true;
        let entries: Vec<String> =
            listing.entries.iter().map(|entry| json::file_status(&entry.status).to_string()).collect();
        text.push_str(&entries.join(","));
        if let Some(last) = listing.entries.last().filter(|_| listing.remaining > 0) {
            let after = last.status.name.clone();
            let request = FsRequest::List { path: self.path.clone(), after, locations: false };
            match self.door.call(&self.principal, None, request).await {
                Ok(FsReply::Listing(Some(next))) if !next.entries.is_empty() => self.next = Some(next),
                Ok(_) => {}
                Err(error) => return Some((Err(error), self)),
            }
        }
        if self.next.is_none() {
            text.push_str("]}}");
        }
        Some((Ok(text.into()), self))
    }
}

/// The name of an attribute with its namespace before it.
pub(super) fn parse_xattr_name(text: &str) -> Result<XAttrName, WebError> {
    let invalid = || {
        let message =
            format!("An XAttr name must be prefixed with user/trusted/security/system/raw, followed by a '.': {text}");
        WebError::parameter("xattr.name", message)
    };
    let (namespace, name) = text.split_once('.').ok_or_else(invalid)?;
    let namespace = match namespace.to_ascii_lowercase().as_str() {
        "user" => XAttrNamespace::User,
        "trusted" => XAttrNamespace::Trusted,
        "security" => XAttrNamespace::Security,
        "system" => XAttrNamespace::System,
        "raw" => XAttrNamespace::Raw,
        _ => return Err(invalid()),
    };
    match name.is_empty() {
        true => Err(invalid()),
        false => Ok(XAttrName { namespace, name: name.to_owned() }),
    }
}

async fn get_xattrs(
    service: &WebHdfs,
    principal: &Principal,
    path: FsPath,
    parameters: &Parameters,
) -> Result<Value, WebError> {
    let encoding = match parameters.get("encoding").map(str::to_ascii_lowercase).as_deref() {
        None | Some("text") => XAttrEncoding::Text,
        Some("hex") => XAttrEncoding::Hex,
        Some("base64") => XAttrEncoding::Base64,
        Some(other) => return Err(WebError::parameter("encoding", format!("{other} is not text, hex or base64"))),
    };
    let names = parameters.all("xattr.name").map(parse_xattr_name).collect::<Result<Vec<_>, _>>()?;
    let reply = service.call(principal, FsRequest::GetXAttrs { path, names }).await?;
    Ok(json::xattrs(&reply!(reply, FsReply::XAttrs(all) => all), encoding))
}

/// A token for who has proved itself; as on an unsecured HDFS, none for who merely says who it is.
async fn delegation_token(service: &WebHdfs, who: &Authenticated, parameters: &Parameters) -> Result<Value, WebError> {
    if !who.proved {
        return Ok(named("Token", Value::Null));
    }
    let user = &who.principal.fs.user;
    let text = service.delegation.mint(user, parameters.get("renewer").unwrap_or(user), service.now()).await?;
    Ok(named("Token", named("urlString", text)))
}
