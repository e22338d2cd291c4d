//! `-ls`, `-cat`, `-head`, `-tail`.

use super::glob::{expand, expand_or_tell};
use super::webhdfs::{FsError, Status, WebHdfs};
use super::{Ended, Operands, tell};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use std::io::Write;
use std::time::Duration;
use time::OffsetDateTime;

/// What `-head` and `-tail` show: 1 KiB.
const SHOWN_BYTES: u64 = 1024;
/// How often `-tail -f` looks for more, as Hadoop's does.
const FOLLOWED_EVERY: Duration = Duration::from_secs(5);

pub async fn ls(client: &WebHdfs, operands: Operands) -> Result<Ended, FsError> {
    let paths = if operands.paths.is_empty() { vec![".".to_owned()] } else { operands.paths.clone() };
    let mut ended = Ended::Well;
    for pattern in paths {
        let pattern = if pattern == "." { format!("/user/{}", client.user()) } else { pattern };
        match expand(client, &pattern).await {
            Ok(found) => list(client, found, &operands).await?,
            Err(error) => ended = tell("ls", &error),
        }
    }
    Ok(ended)
}

async fn list(client: &WebHdfs, found: Vec<Status>, operands: &Operands) -> Result<(), FsError> {
    let plain: Vec<Status> = found.iter().filter(|status| !status.directory || operands.has("d")).cloned().collect();
    print(&plain, operands)?;
    let mut waiting: Vec<Status> =
        found.into_iter().filter(|status| status.directory && !operands.has("d")).rev().collect();
    while let Some(directory) = waiting.pop() {
        let entries = client.list(&directory.path).await?;
        if !operands.has("R") && !operands.has("C") && !entries.is_empty() {
            out(format_args!("Found {} items\n", entries.len()))?;
        }
        if operands.has("R") {
            // Depth first: what lies in an entry follows it.
            for entry in entries {
                print(std::slice::from_ref(&entry), operands)?;
                if entry.directory {
                    Box::pin(list(client, vec![entry], operands)).await?;
                }
            }
        } else {
            print(&entries, operands)?;
        }
    }
    Ok(())
}

fn print(entries: &[Status], operands: &Operands) -> Result<(), FsError> {
    if operands.has("C") {
        return entries.iter().try_for_each(|entry| out(format_args!("{}\n", entry.path)));
    }
    let size = |entry: &Status| if operands.has("h") { human(entry.length) } else { entry.length.to_string() };
    let width = |of: &dyn Fn(&Status) -> usize, least| entries.iter().map(of).max().unwrap_or(0).max(least);
    let owner = width(&|entry| entry.owner.len(), 0);
    let group = width(&|entry| entry.group.len(), 0);
    let length = width(&|entry| size(entry).len(), if operands.has("h") { 0 } else { 10 });
    for entry in entries {
        let replication = if entry.directory { "-".to_owned() } else { entry.replication.to_string() };
        out(format_args!(
            "{}{}{}{replication:>4} {:owner$} {:group$} {:>length$} {} {}\n",
            if entry.directory { 'd' } else { '-' },
            symbolic(entry.permission),
            if entry.has_acl { "+" } else { "" },
            entry.owner,
            entry.group,
            size(entry),
            minute(entry.modified_ms),
            entry.path,
        ))?;
    }
    Ok(())
}

pub async fn cat(client: &WebHdfs, command: &str, operands: Operands) -> Result<Ended, FsError> {
    let mut ended = Ended::Well;
    for pattern in &operands.paths {
        let found = expand_or_tell(client, command, pattern, &mut ended).await;
        for status in found {
            match status.directory {
                true => ended = tell(command, &FsError::at(&status.path, "Is a directory")),
                false => copy_out(client.open(&status.path, 0).await?, u64::MAX).await?,
            }
        }
    }
    Ok(ended)
}

pub async fn head(client: &WebHdfs, operands: Operands) -> Result<Ended, FsError> {
    let status = file(client, &operands.paths[0]).await?;
    copy_out(client.open(&status.path, 0).await?, SHOWN_BYTES).await?;
    Ok(Ended::Well)
}

pub async fn tail(client: &WebHdfs, operands: Operands) -> Result<Ended, FsError> {
    let status = file(client, &operands.paths[0]).await?;
    let pause = match operands.value("s") {
        None => FOLLOWED_EVERY,
        Some(text) => match text.parse().ok().filter(|ms| *ms > 0) {
            Some(ms) => Duration::from_millis(ms),
            None => {
                return Err(FsError::usage(format!("-tail: Illegal sleep interval, milliseconds expected: {text}")));
            }
        },
    };
    let mut shown = status.length.saturating_sub(SHOWN_BYTES);
    loop {
        let length = client.existing(&status.path).await?.length;
        if length > shown {
            copy_out(client.open(&status.path, shown).await?, length - shown).await?;
            shown = length;
        }
        if !operands.has("f") {
            return Ok(Ended::Well);
        }
        tokio::time::sleep(pause).await;
    }
}

async fn file(client: &WebHdfs, path: &str) -> Result<Status, FsError> {
    let found = expand(client, path).await?;
    match found.into_iter().next() {
        Some(status) if status.directory => Err(FsError::at(&status.path, "Is a directory")),
        Some(status) => Ok(status),
        None => Err(FsError::at(path, super::webhdfs::MISSING)),
    }
}

async fn copy_out(mut body: Incoming, mut left: u64) -> Result<(), FsError> {
    while left > 0
        && let Some(frame) = body.frame().await
    {
        let frame = frame.map_err(|error| FsError::Other(error.to_string()))?;
        let Ok(data) = frame.into_data() else { continue };
        let taken = data.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        std::io::stdout().write_all(&data[..taken])?;
        left -= taken as u64;
    }
    Ok(std::io::stdout().flush()?)
}

/// Prints; a closed pipe is an error, not a panic.
pub fn out(text: std::fmt::Arguments<'_>) -> Result<(), FsError> {
    Ok(std::io::stdout().write_fmt(text)?)
}

/// The last three bits as `rwx`.
pub fn symbolic_bits(bits: u16) -> String {
    [(4, 'r'), (2, 'w'), (1, 'x')].map(|(bit, c)| if bits & bit != 0 { c } else { '-' }).into_iter().collect()
}

fn symbolic(permission: u16) -> String {
    let mut text: String = [6, 3, 0].into_iter().map(|shift| symbolic_bits(permission >> shift)).collect();
    if permission & 0o1000 != 0 {
        let last = text.pop();
        text.push(if last == Some('x') { 't' } else { 'T' });
    }
    text
}

/// `2026-11-21 16:11`, UTC.
fn minute(ms: i64) -> String {
    let at = OffsetDateTime::from_unix_timestamp(ms.div_euclid(1000)).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    format!("{:04}-{:02}-{:02} {:02}:{:02}", at.year(), u8::from(at.month()), at.day(), at.hour(), at.minute())
}

/// `1.5 K`, `12 M`: as Hadoop shortens sizes.
pub fn human(bytes: u64) -> String {
    const UNITS: [(&str, u64); 6] =
        [("E", 1 << 60), ("P", 1 << 50), ("T", 1 << 40), ("G", 1 << 30), ("M", 1 << 20), ("K", 1 << 10)];
    match UNITS.into_iter().find(|(_, unit)| bytes >= *unit) {
        None => bytes.to_string(),
        Some((name, unit)) if bytes % unit == 0 => format!("{} {name}", bytes / unit),
        Some((name, unit)) => format!("{:.1} {name}", bytes as f64 / unit as f64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_modes_look_as_in_hadoop() {
        assert_eq!((human(512), human(1536), human(2 << 20)), ("512".into(), "1.5 K".into(), "2 M".into()));
        assert_eq!(symbolic(0o1755), "rwxr-xr-t");
        assert_eq!(minute(1_700_000_000_000), "2023-11-14 22:13");
    }
}
