//! `-getfacl`, `-setfacl`, `-getfattr`, `-setfattr`, `-checksum`, `-touch`.

use super::glob::{absolute, expand_or_tell};
use super::settings::all;
use super::show::{out, symbolic_bits};
use super::webhdfs::{FsError, WebHdfs, bytes_body, encoded};
use super::{Ended, Operands, tell};
use bytes::Bytes;
use hyper::Method;
use serde_json::Value;
use time::PrimitiveDateTime;
use time::macros::format_description;

pub async fn checksum(client: &WebHdfs, operands: Operands) -> Result<Ended, FsError> {
    let mut ended = Ended::Well;
    for pattern in &operands.paths {
        for status in expand_or_tell(client, "checksum", pattern, &mut ended).await {
            if status.directory {
                ended = tell("checksum", &FsError::at(&status.path, "Is a directory"));
                continue;
            }
            let answer = client.ask(Method::GET, &status.path, "GETFILECHECKSUM").await?["FileChecksum"].take();
            let (algorithm, bytes) = (answer["algorithm"].as_str(), answer["bytes"].as_str().unwrap_or_default());
            let digits = 2 * answer["length"].as_u64().unwrap_or_default() as usize;
            let bytes = bytes.get(..digits).unwrap_or(bytes);
            out(format_args!("{}\t{}\t{bytes}\n", status.path, algorithm.unwrap_or("NONE")))?;
        }
    }
    Ok(ended)
}

pub async fn getfacl(client: &WebHdfs, operands: Operands) -> Result<Ended, FsError> {
    let mut ended = Ended::Well;
    for pattern in &operands.paths {
        match all(client, pattern, operands.has("R")).await {
            Ok(found) => {
                for status in found {
                    let list = client.ask(Method::GET, &status.path, "GETACLSTATUS").await?["AclStatus"].take();
                    out(format_args!("{}\n", shown_list(&status.path, &list)))?;
                }
            }
            Err(error) => ended = tell("getfacl", &error),
        }
    }
    Ok(ended)
}

/// A list as `-getfacl` prints it.
fn shown_list(path: &str, list: &Value) -> String {
    let text = |name: &str| list[name].as_str().unwrap_or_default();
    let bits = u16::from_str_radix(text("permission"), 8).unwrap_or_default();
    let mut shown = format!("# file: {path}\n# owner: {}\n# group: {}\n", text("owner"), text("group"));
    if list["stickyBit"].as_bool().unwrap_or(false) {
        shown.push_str(&format!("# flags: --{}\n", if bits & 1 != 0 { 't' } else { 'T' }));
    }
    let entries: Vec<&str> = list["entries"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let (defaults, access): (Vec<&str>, Vec<&str>) =
        entries.into_iter().partition(|entry| entry.starts_with("default:"));
    shown.push_str(&format!("user::{}\n", symbolic_bits(bits >> 6)));
    if access.is_empty() {
        shown.push_str(&format!("group::{}\n", symbolic_bits(bits >> 3)));
    } else {
        // With named entries the group's bits are the mask.
        let mask = symbolic_bits(bits >> 3);
        for entry in access {
            shown.push_str(&with_effective(entry, &mask));
        }
        shown.push_str(&format!("mask::{mask}\n"));
    }
    shown.push_str(&format!("other::{}\n", symbolic_bits(bits)));
    let mask = defaults.iter().find_map(|entry| entry.strip_prefix("default:mask::"));
    for entry in &defaults {
        match mask {
            Some(mask) => shown.push_str(&with_effective(entry, mask)),
            None => shown.push_str(&format!("{entry}\n")),
        }
    }
    shown
}

/// An entry, with what the mask leaves of it where that is less.
fn with_effective(entry: &str, mask: &str) -> String {
    let (who, bits) = entry.rsplit_once(':').unwrap_or((entry, ""));
    let kind = who.strip_prefix("default:").unwrap_or(who);
    let is_masked = match kind.split_once(':') {
        Some((kind, name)) => kind == "group" || (kind == "user" && !name.is_empty()),
        None => false,
    };
    let left: String = bits.chars().zip(mask.chars()).map(|(bit, mask)| if mask == '-' { '-' } else { bit }).collect();
    match is_masked && left != bits {
        true => format!("{entry}\t#effective:{left}\n"),
        false => format!("{entry}\n"),
    }
}

pub async fn setfacl(client: &WebHdfs, mut operands: Operands) -> Result<Ended, FsError> {
    let takes_list = ["m", "x", "-set"].into_iter().find(|flag| operands.has(flag));
    let operation = match takes_list {
        None if operands.has("b") => "REMOVEACL".to_owned(),
        None if operands.has("k") => "REMOVEDEFAULTACL".to_owned(),
        None => return Err(FsError::usage("-setfacl: Must specify one of -b, -k, -m, -x and --set")),
        Some(flag) => {
            let list = encoded(&operands.paths.remove(0), false);
            let name = match flag {
                "m" => "MODIFYACLENTRIES",
                "x" => "REMOVEACLENTRIES",
                _ => "SETACL",
            };
            format!("{name}&aclspec={list}")
        }
    };
    if operands.paths.is_empty() {
        return Err(FsError::usage("-setfacl: <path> is missing"));
    }
    change_all(client, "setfacl", &operands.paths, operands.has("R"), &operation).await
}

pub async fn getfattr(client: &WebHdfs, mut operands: Operands) -> Result<Ended, FsError> {
    let name = operands.value("n").map(str::to_owned);
    if name.is_none() && !operands.has("d") {
        return Err(FsError::usage("-getfattr: Must specify '-n name' or '-d' option."));
    }
    let encoding = operands.value("e").unwrap_or("text").to_ascii_lowercase();
    if !["text", "hex", "base64"].contains(&encoding.as_str()) {
        return Err(FsError::usage(format!("-getfattr: Invalid/unsupported encoding option specified: {encoding}")));
    }
    let mut operation = format!("GETXATTRS&encoding={encoding}");
    if let Some(name) = &name {
        operation.push_str(&format!("&xattr.name={}", encoded(name, false)));
    }
    let mut ended = Ended::Well;
    for pattern in std::mem::take(&mut operands.paths) {
        let found = match all(client, &pattern, operands.has("R")).await {
            Ok(found) => found,
            Err(error) => {
                ended = tell("getfattr", &error);
                continue;
            }
        };
        for status in found {
            out(format_args!("# file: {}\n", status.path))?;
            match client.ask(Method::GET, &status.path, &operation).await {
                Ok(answer) => {
                    for attribute in answer["XAttrs"].as_array().into_iter().flatten() {
                        let name = attribute["name"].as_str().unwrap_or_default();
                        match attribute["value"].as_str() {
                            Some(value) if !value.trim_matches('"').is_empty() => {
                                out(format_args!("{name}={value}\n"))?
                            }
                            _ => out(format_args!("{name}\n"))?,
                        }
                    }
                }
                Err(error) => ended = tell("getfattr", &error),
            }
        }
    }
    Ok(ended)
}

pub async fn setfattr(client: &WebHdfs, operands: Operands) -> Result<Ended, FsError> {
    let operation = match (operands.value("n"), operands.value("x")) {
        (Some(name), None) => {
            let value = encoded(operands.value("v").unwrap_or_default(), false);
            format!("SETXATTR&xattr.name={}&xattr.value={value}&flag=CREATE,REPLACE", encoded(name, false))
        }
        (None, Some(name)) => format!("REMOVEXATTR&xattr.name={}", encoded(name, false)),
        (Some(_), Some(_)) => {
            return Err(FsError::usage("-setfattr: Can not specify both '-n name' and '-x name' option."));
        }
        (None, None) => return Err(FsError::usage("-setfattr: Must specify '-n name' or '-x name' option.")),
    };
    change_all(client, "setfattr", &operands.paths, false, &operation).await
}

async fn change_all(
    client: &WebHdfs,
    command: &str,
    patterns: &[String],
    deep: bool,
    operation: &str,
) -> Result<Ended, FsError> {
    let mut ended = Ended::Well;
    for pattern in patterns {
        match all(client, pattern, deep).await {
            Ok(found) => {
                for status in found {
                    if let Err(error) = client.ask(Method::PUT, &status.path, operation).await {
                        ended = tell(command, &error);
                    }
                }
            }
            Err(error) => ended = tell(command, &error),
        }
    }
    Ok(ended)
}

/// Sets times to now or to `-t yyyyMMdd:HHmmss` (UTC); makes files that are not there, unless `-c`.
pub async fn touch(client: &WebHdfs, operands: Operands) -> Result<Ended, FsError> {
    let at_ms = match operands.value("t") {
        None => time::OffsetDateTime::now_utc().unix_timestamp_nanos() / 1_000_000,
        Some(text) => timestamp_ms(text).ok_or_else(|| {
            FsError::usage(format!(
                "-touch: Unable to parse the specified timestamp {text}; yyyyMMdd:HHmmss is expected"
            ))
        })?,
    };
    let only = |flag: &str, other: &str| operands.has(flag) && !operands.has(other);
    let modified = if only("a", "m") { -1 } else { at_ms };
    let accessed = if only("m", "a") { -1 } else { at_ms };
    let mut ended = Ended::Well;
    for path in &operands.paths {
        let path = absolute(client, path);
        let outcome = async {
            if client.status(&path).await?.is_none() {
                if operands.has("c") {
                    return Ok(());
                }
                client.check_parent(&path).await?;
                client.store(Method::PUT, &path, "CREATE&overwrite=false", bytes_body(Bytes::new())).await?;
            }
            let times = format!("SETTIMES&modificationtime={modified}&accesstime={accessed}");
            client.ask(Method::PUT, &path, &times).await.map(drop)
        };
        if let Err(error) = outcome.await {
            ended = tell("touch", &error);
        }
    }
    Ok(ended)
}

fn timestamp_ms(text: &str) -> Option<i128> {
    let format = format_description!("[year][month][day]:[hour][minute][second]");
    let at = PrimitiveDateTime::parse(text, format).ok()?;
    Some(at.assume_utc().unix_timestamp_nanos() / 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn lists_look_as_in_hadoop() {
        let plain = json!({"owner": "ann", "group": "staff", "permission": "640", "stickyBit": false, "entries": []});
        let head = "# file: /f\n# owner: ann\n# group: staff\n";
        assert_eq!(shown_list("/f", &plain), format!("{head}user::rw-\ngroup::r--\nother::---\n"));
        let named = json!({"owner": "ann", "group": "staff", "permission": "1750", "stickyBit": true, "entries": [
            "user:bob:rwx", "group::r-x", "default:user::rwx", "default:group::r-x", "default:other::---",
        ]});
        let expected = format!(
            "{head}# flags: --T\nuser::rwx\nuser:bob:rwx\t#effective:r-x\ngroup::r-x\nmask::r-x\nother::---\n\
             default:user::rwx\ndefault:group::r-x\ndefault:other::---\n"
        );
        assert_eq!(shown_list("/f", &named), expected);
    }

    #[test]
    fn timestamps_are_read() {
        assert_eq!(timestamp_ms("20231114:221320"), Some(1_700_000_000_000));
        assert_eq!(timestamp_ms("2023-11-14"), None);
    }
}
