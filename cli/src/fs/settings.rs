//! `-setrep`, `-chmod`, `-chown`, `-chgrp`, `-truncate`.

use super::glob::{expand, expand_or_tell};
use super::show::out;
use super::webhdfs::{FsError, Status, WebHdfs, encoded};
use super::{Ended, Operands, tell};
use hyper::Method;

/// What patterns stand for and, with `deep`, everything in it.
pub async fn all(client: &WebHdfs, pattern: &str, deep: bool) -> Result<Vec<Status>, FsError> {
    let mut found = Vec::new();
    let mut waiting = expand(client, pattern).await?;
    waiting.reverse();
    while let Some(status) = waiting.pop() {
        if deep && status.directory {
            let mut entries = client.list(&status.path).await?;
            entries.reverse();
            waiting.extend(entries);
        }
        found.push(status);
    }
    Ok(found)
}

pub async fn setrep(client: &WebHdfs, mut operands: Operands) -> Result<Ended, FsError> {
    let word = operands.paths.remove(0);
    let replication: u16 = match word.parse() {
        Ok(replication) if replication > 0 => replication,
        _ => return Err(FsError::usage(format!("-setrep: Illegal replication, a positive integer expected: {word}"))),
    };
    let mut ended = Ended::Well;
    for pattern in &operands.paths {
        let found = match all(client, pattern, true).await {
            Ok(found) => found,
            Err(error) => {
                ended = tell("setrep", &error);
                continue;
            }
        };
        for status in found.into_iter().filter(|status| !status.directory) {
            let operation = format!("SETREPLICATION&replication={replication}");
            match client.ask_flag(Method::PUT, &status.path, &operation).await {
                Ok(true) => out(format_args!("Replication {replication} set: {}\n", status.path))?,
                Ok(false) => {
                    ended = tell("setrep", &FsError::Other(format!("Could not set replication for: {}", status.path)))
                }
                Err(error) => ended = tell("setrep", &error),
            }
        }
    }
    Ok(ended)
}

pub async fn chmod(client: &WebHdfs, mut operands: Operands) -> Result<Ended, FsError> {
    let mode = operands.paths.remove(0);
    let mut ended = Ended::Well;
    for pattern in &operands.paths {
        let found = match all(client, pattern, operands.has("R")).await {
            Ok(found) => found,
            Err(error) => {
                ended = tell("chmod", &error);
                continue;
            }
        };
        for status in found {
            let Some(permission) = changed(&mode, &status) else {
                return Err(FsError::usage(format!(
                    "-chmod: chmod : mode '{mode}' does not match the expected pattern."
                )));
            };
            if let Err(error) =
                client.ask(Method::PUT, &status.path, &format!("SETPERMISSION&permission={permission:o}")).await
            {
                ended = tell("chmod", &error);
            }
        }
    }
    Ok(ended)
}

/// The permission after a change in octal or in symbols (`u+x,go-w`, `a=rX`, `+t`).
fn changed(mode: &str, status: &Status) -> Option<u16> {
    if mode.chars().all(|c| c.is_digit(8)) {
        return u16::from_str_radix(mode, 8).ok().filter(|permission| *permission <= 0o1777);
    }
    let mut permission = status.permission;
    for part in mode.split(',') {
        let at = part.find(['+', '-', '='])?;
        let (who, rest) = part.split_at(at);
        let (operator, rights) = rest.split_at(1);
        let shifts: Vec<u16> = match who {
            "" => vec![6, 3, 0],
            who => who
                .chars()
                .map(|c| match c {
                    'u' => Some(vec![6]),
                    'g' => Some(vec![3]),
                    'o' => Some(vec![0]),
                    'a' => Some(vec![6, 3, 0]),
                    _ => None,
                })
                .collect::<Option<Vec<_>>>()?
                .concat(),
        };
        let mut bits = 0;
        let mut sticky = 0;
        for right in rights.chars() {
            match right {
                'r' => bits |= 4,
                'w' => bits |= 2,
                'x' => bits |= 1,
                'X' if status.directory || status.permission & 0o111 != 0 => bits |= 1,
                'X' => {}
                't' => sticky = 0o1000,
                _ => return None,
            }
        }
        let mask: u16 = shifts.iter().fold(0, |mask, shift| mask | bits << shift) | sticky;
        let whole: u16 = shifts.iter().fold(0, |mask, shift| mask | 7 << shift);
        permission = match operator {
            "+" => permission | mask,
            "-" => permission & !mask,
            _ => (permission & !whole) | mask,
        };
    }
    Some(permission)
}

pub async fn chown(client: &WebHdfs, command: &str, mut operands: Operands) -> Result<Ended, FsError> {
    let word = operands.paths.remove(0);
    let (owner, group) = match (command, word.split_once(':')) {
        ("chgrp", _) => (String::new(), word),
        (_, Some((owner, group))) => (owner.to_owned(), group.to_owned()),
        (_, None) => (word, String::new()),
    };
    let mut operation = "SETOWNER".to_owned();
    for (name, value) in [("owner", &owner), ("group", &group)] {
        if !value.is_empty() {
            operation.push_str(&format!("&{name}={}", encoded(value, false)));
        }
    }
    let mut ended = Ended::Well;
    for pattern in &operands.paths {
        match all(client, pattern, operands.has("R")).await {
            Ok(found) => {
                for status in found {
                    if let Err(error) = client.ask(Method::PUT, &status.path, &operation).await {
                        ended = tell(command, &error);
                    }
                }
            }
            Err(error) => ended = tell(command, &error),
        }
    }
    Ok(ended)
}

pub async fn truncate(client: &WebHdfs, mut operands: Operands) -> Result<Ended, FsError> {
    let word = operands.paths.remove(0);
    let Ok(length) = word.parse::<u64>() else {
        return Err(FsError::usage(format!("-truncate: Illegal length, a non-negative integer expected: {word}")));
    };
    let mut ended = Ended::Well;
    for pattern in &operands.paths {
        for status in expand_or_tell(client, "truncate", pattern, &mut ended).await {
            match client.ask_flag(Method::POST, &status.path, &format!("TRUNCATE&newlength={length}")).await {
                Ok(_) => out(format_args!("Truncated {} to length: {length}\n", status.path))?,
                Err(error) => ended = tell("truncate", &error),
            }
        }
    }
    Ok(ended)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_change_as_chmod_says() {
        let status = |permission, directory| Status {
            path: String::new(),
            directory,
            length: 0,
            owner: String::new(),
            group: String::new(),
            permission,
            has_acl: false,
            replication: 0,
            block_size: 0,
            modified_ms: 0,
        };
        assert_eq!(changed("755", &status(0, false)), Some(0o755));
        assert_eq!(changed("u+x,go-r", &status(0o644, false)), Some(0o700));
        assert_eq!(changed("a=rX", &status(0o640, true)), Some(0o555));
        assert_eq!(changed("+t", &status(0o777, true)), Some(0o1777));
        assert_eq!(changed("z+x", &status(0, false)), None);
        assert_eq!(changed("9", &status(0, false)), None);
    }
}
