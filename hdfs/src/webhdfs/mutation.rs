//! PUT, POST and DELETE: what is done to names.

use super::acl_spec;
use super::authenticate::Authenticated;
use super::error::WebError;
use super::json::named;
use super::metadata::{no_snapshots, parse_xattr_name};
use super::operation::Operation;
use super::request::{Parameters, WebRequest, parse_path};
use super::service::{WebHdfs, done, json, reply};
use axum::response::Response;
use granary_protocol::UnixMillis;
use granary_protocol::filesystem::*;

/// The mode bits of a directory where none are asked for.
const DIRECTORY_PERMISSION: u16 = 0o755;
/// What leaves a time or a limit as it is.
const KEEP: i64 = -1;

/// Answers one request.
pub async fn answer(
    service: &WebHdfs,
    operation: Operation,
    who: &Authenticated,
    request: &WebRequest,
) -> Result<Response, WebError> {
    if let Operation::RenewDelegationToken | Operation::CancelDelegationToken = operation {
        return delegation(service, operation, who, request.parameters()).await;
    }
    let path = request.path()?;
    let request = match call_of(operation, path, request.parameters())? {
        Some(call) => call,
        // Nothing has to be done for it.
        None => return Ok(done()),
    };
    let says_flag =
        matches!(operation, Operation::Mkdirs | Operation::SetReplication | Operation::Truncate | Operation::Delete)
            || matches!(request, FsRequest::Rename { .. });
    let reply = service.call(&who.principal, request).await?;
    match says_flag {
        true => Ok(json(&named("boolean", reply!(reply, FsReply::Flag(flag) => flag)))),
        false => Ok(done()),
    }
}

/// What is done to a token, by who is known already.
async fn delegation(
    service: &WebHdfs,
    operation: Operation,
    who: &Authenticated,
    parameters: &Parameters,
) -> Result<Response, WebError> {
    let (token, caller) = (parameters.required("token")?, &who.principal.fs.user);
    if operation == Operation::RenewDelegationToken {
        let until = service.delegation.renew(token, caller, service.now()).await?;
        return Ok(json(&named("long", until.0)));
    }
    service.delegation.cancel(token, caller, service.now()).await?;
    Ok(done())
}

/// The call an operation is; `None` where there is nothing to do.
fn call_of(operation: Operation, path: FsPath, parameters: &Parameters) -> Result<Option<FsRequest>, WebError> {
    Ok(Some(match operation {
        Operation::Mkdirs => FsRequest::Mkdirs {
            path,
            permission: parameters.permission("permission")?.unwrap_or(DIRECTORY_PERMISSION),
            unmasked: parameters.permission("unmaskedpermission")?,
            create_parent: true,
        },
        Operation::Rename => rename(path, parameters)?,
        Operation::SetReplication => {
            let replication = parameters.number("replication")?.unwrap_or(1);
            FsRequest::SetReplication { path, replication }
        }
        Operation::SetOwner => {
            let name = |name| parameters.get(name).map(str::to_owned);
            let (owner, group) = (name("owner"), name("group"));
            if owner.is_none() && group.is_none() {
                return Err(WebError::parameter("owner", "Both owner and group are empty."));
            }
            FsRequest::SetOwner { path, owner, group }
        }
        Operation::SetPermission => {
            let permission = parameters.permission("permission")?.unwrap_or(DIRECTORY_PERMISSION);
            FsRequest::SetPermission { path, permission }
        }
        Operation::SetTimes => {
            let time = |name| {
                let time = parameters.number::<i64>(name)?.filter(|time| *time != KEEP);
                Ok::<_, WebError>(time.map(|time| UnixMillis(time.max(0) as u64)))
            };
            FsRequest::SetTimes { path, modified: time("modificationtime")?, accessed: time("accesstime")? }
        }
        Operation::ModifyAclEntries => change_acl(path, AclChange::Modify(acl(parameters, true)?)),
        Operation::SetAcl => change_acl(path, AclChange::Set(acl(parameters, true)?)),
        Operation::RemoveAclEntries => change_acl(path, AclChange::Remove(acl(parameters, false)?)),
        Operation::RemoveAcl => change_acl(path, AclChange::RemoveAll),
        Operation::RemoveDefaultAcl => change_acl(path, AclChange::RemoveDefault),
        Operation::SetXAttr => set_xattr(path, parameters)?,
        Operation::RemoveXAttr => {
            FsRequest::RemoveXAttr { path, name: parse_xattr_name(parameters.required("xattr.name")?)? }
        }
        Operation::SetStoragePolicy => {
            let name = parameters.required("storagepolicy")?;
            let unknown = || WebError::io(format!("Cannot find a block policy with the name {name}"));
            let policy = StoragePolicy::from_name(name).ok_or_else(unknown)?;
            FsRequest::SetStoragePolicy { path, policy: Some(policy) }
        }
        Operation::UnsetStoragePolicy => FsRequest::SetStoragePolicy { path, policy: None },
        // Data moves to its class by itself; there is nothing to be asked for.
        Operation::SatisfyStoragePolicy => return Ok(None),
        Operation::SetQuota => {
            let limit = |name| Ok::<_, WebError>(quota(parameters.number::<i64>(name)?));
            FsRequest::SetQuota { path, names: limit("namespacequota")?, space_bytes: limit("storagespacequota")? }
        }
        Operation::Concat => {
            let sources = parameters.required("sources")?.split(',').map(parse_path);
            FsRequest::Concat { target: path, sources: sources.collect::<Result<_, _>>()? }
        }
        Operation::Truncate => {
            let length = parameters.number("newlength")?;
            let missing = || WebError::parameter("newlength", "newlength = null is not a valid value.");
            FsRequest::Truncate { path, length: length.ok_or_else(missing)?, holder: "WebHDFS".to_owned() }
        }
        Operation::Delete => FsRequest::Delete { path, recursive: parameters.flag("recursive")?.unwrap_or(false) },
        Operation::AllowSnapshot
        | Operation::DisallowSnapshot
        | Operation::CreateSnapshot
        | Operation::RenameSnapshot
        | Operation::DeleteSnapshot => return Err(no_snapshots()),
        Operation::CreateSymlink => return Err(WebError::unsupported("Symlinks not supported")),
        Operation::SetQuotaByStorageType => {
            return Err(WebError::unsupported("quotas are for names and for bytes, not for a type of storage"));
        }
        Operation::EnableEcPolicy | Operation::DisableEcPolicy | Operation::SetEcPolicy | Operation::UnsetEcPolicy => {
            return Err(WebError::unsupported(
                "erasure coding follows from the storage class, not from a path's policy",
            ));
        }
        _ => return Err(WebError::unsupported("not a change")),
    }))
}

fn rename(from: FsPath, parameters: &Parameters) -> Result<FsRequest, WebError> {
    let to = parse_path(parameters.required("destination")?)?;
    let Some(options) = parameters.get("renameoptions") else { return Ok(FsRequest::Rename { from, to }) };
    let mut overwrite = false;
    for option in options.split(',') {
        match option.to_ascii_uppercase().as_str() {
            "OVERWRITE" => overwrite = true,
            "NONE" | "TO_TRASH" => {}
            other => return Err(WebError::parameter("renameoptions", format!("{other} is not an option"))),
        }
    }
    Ok(FsRequest::Rename2 { from, to, overwrite })
}

fn change_acl(path: FsPath, change: AclChange) -> FsRequest {
    FsRequest::ChangeAcl { path, change }
}

fn acl(parameters: &Parameters, permissions: bool) -> Result<Vec<AclEntry>, WebError> {
    acl_spec::parse(parameters.required("aclspec")?, permissions)
}

/// `Long.MAX_VALUE` leaves a limit, -1 takes it away.
fn quota(limit: Option<i64>) -> Option<Option<u64>> {
    match limit {
        None | Some(i64::MAX) => None,
        Some(limit) => Some(u64::try_from(limit).ok()),
    }
}

fn set_xattr(path: FsPath, parameters: &Parameters) -> Result<FsRequest, WebError> {
    let name = parse_xattr_name(parameters.required("xattr.name")?)?;
    let value = parse_xattr_value(parameters.get("xattr.value").unwrap_or_default())?;
    let (mut create, mut replace) = (false, false);
    for flag in parameters.get("flag").into_iter().flat_map(|flags| flags.split(',')) {
        match flag.to_ascii_uppercase().as_str() {
            "CREATE" => create = true,
            "REPLACE" => replace = true,
            other => return Err(WebError::parameter("flag", format!("{other} is not a flag"))),
        }
    }
    Ok(FsRequest::SetXAttr { path, attribute: XAttr { name, value }, create, replace })
}

/// A value as `XAttrCodec` writes it: `0x` hexadecimal, `0s` base64, else text, perhaps quoted.
fn parse_xattr_value(text: &str) -> Result<Vec<u8>, WebError> {
    use base64::Engine;
    let invalid = || WebError::parameter("xattr.value", "the value cannot be decoded");
    if let Some(digits) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        return hex::decode(digits).map_err(|_| invalid());
    }
    if let Some(digits) = text.strip_prefix("0s").or_else(|| text.strip_prefix("0S")) {
        return base64::engine::general_purpose::STANDARD.decode(digits).map_err(|_| invalid());
    }
    let quoted = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    Ok(quoted.unwrap_or(text).as_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_in_the_three_ways_they_are_written() {
        for text in ["0x6162", "0sYWI=", "\"ab\"", "ab"] {
            assert_eq!(parse_xattr_value(text).unwrap(), b"ab", "{text}");
        }
        assert!(parse_xattr_value("0xzz").is_err());
    }

    #[test]
    fn limits_are_left_taken_away_or_set() {
        assert_eq!(quota(None), None);
        assert_eq!(quota(Some(i64::MAX)), None);
        assert_eq!(quota(Some(-1)), Some(None));
        assert_eq!(quota(Some(5)), Some(Some(5)));
    }
}
