//! `-du`, `-count`, `-stat`, `-test`, `-df`.

use super::glob::{expand, expand_or_tell};
use super::show::{human, out};
use super::webhdfs::{FsError, Status, WebHdfs};
use super::{Ended, Operands};
use hyper::Method;
use serde_json::Value;
use time::OffsetDateTime;

async fn summary(client: &WebHdfs, path: &str) -> Result<Value, FsError> {
    Ok(client.ask(Method::GET, path, "GETCONTENTSUMMARY").await?["ContentSummary"].take())
}

pub async fn du(client: &WebHdfs, operands: Operands) -> Result<Ended, FsError> {
    let paths =
        if operands.paths.is_empty() { vec![format!("/user/{}", client.user())] } else { operands.paths.clone() };
    let mut ended = Ended::Well;
    let size = |bytes: u64| if operands.has("h") { human(bytes) } else { bytes.to_string() };
    for pattern in &paths {
        let found = expand_or_tell(client, "du", pattern, &mut ended).await;
        let mut rows = Vec::new();
        for status in found {
            let entries = match status.directory && !operands.has("s") {
                true => client.list(&status.path).await?,
                false => vec![status],
            };
            for entry in entries {
                let sums = summary(client, &entry.path).await?;
                let number = |name: &str| sums[name].as_u64().unwrap_or_default();
                rows.push((size(number("length")), size(number("spaceConsumed")), entry.path));
            }
        }
        let width = |of: fn(&(String, String, String)) -> usize| rows.iter().map(of).max().unwrap_or(0);
        let (first, second) = (width(|row| row.0.len()), width(|row| row.1.len()));
        for (length, consumed, path) in &rows {
            out(format_args!("{length:<first$}  {consumed:<second$}  {path}\n"))?;
        }
    }
    Ok(ended)
}

pub async fn count(client: &WebHdfs, operands: Operands) -> Result<Ended, FsError> {
    let mut ended = Ended::Well;
    for pattern in &operands.paths {
        let found = expand_or_tell(client, "count", pattern, &mut ended).await;
        for status in found {
            let sums = summary(client, &status.path).await?;
            let number = |name: &str| sums[name].as_u64().unwrap_or_default();
            if operands.has("q") {
                let taken = number("directoryCount") + number("fileCount");
                let (quota, left) = limit(sums["quota"].as_i64(), taken);
                let (space, space_left) = limit(sums["spaceQuota"].as_i64(), number("spaceConsumed"));
                out(format_args!("{quota:>12} {left:>15} {space:>15} {space_left:>15} "))?;
            }
            let length = number("length");
            let length = if operands.has("h") { human(length) } else { length.to_string() };
            out(format_args!(
                "{:>12} {:>12} {length:>18} {}\n",
                number("directoryCount"),
                number("fileCount"),
                status.path
            ))?;
        }
    }
    Ok(ended)
}

/// A limit and what is left of it, or the words for none.
fn limit(limit: Option<i64>, taken: u64) -> (String, String) {
    match limit {
        Some(limit) if limit >= 0 => (limit.to_string(), (i128::from(limit) - i128::from(taken)).to_string()),
        _ => ("none".to_owned(), "inf".to_owned()),
    }
}

pub async fn stat(client: &WebHdfs, mut operands: Operands) -> Result<Ended, FsError> {
    let format = match operands.paths[0].contains('%') {
        true => operands.paths.remove(0),
        false => "%y".to_owned(),
    };
    let mut ended = Ended::Well;
    for pattern in &operands.paths {
        for status in expand_or_tell(client, "stat", pattern, &mut ended).await {
            out(format_args!("{}\n", formatted(&format, &status)))?;
        }
    }
    Ok(ended)
}

fn formatted(format: &str, status: &Status) -> String {
    let mut text = String::new();
    let mut letters = format.chars();
    while let Some(letter) = letters.next() {
        if letter != '%' {
            text.push(letter);
            continue;
        }
        match letters.next() {
            Some('a') => text.push_str(&format!("{:o}", status.permission)),
            Some('b') => text.push_str(&status.length.to_string()),
            Some('F') => text.push_str(if status.directory { "directory" } else { "regular file" }),
            Some('g') => text.push_str(&status.group),
            Some('n') => text.push_str(status.path.rsplit('/').next().unwrap_or_default()),
            Some('o') => text.push_str(&status.block_size.to_string()),
            Some('r') => text.push_str(&status.replication.to_string()),
            Some('u') => text.push_str(&status.owner),
            Some('y') => text.push_str(&second(status.modified_ms)),
            Some('Y') => text.push_str(&status.modified_ms.to_string()),
            Some(other) => text.push(other),
            None => text.push('%'),
        }
    }
    text
}

/// `2026-11-21 16:11:05`, UTC.
fn second(ms: i64) -> String {
    let at = OffsetDateTime::from_unix_timestamp(ms.div_euclid(1000)).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let (date, time) = (at.date(), at.time());
    let (hour, minute, second) = time.as_hms();
    format!("{:04}-{:02}-{:02} {hour:02}:{minute:02}:{second:02}", date.year(), u8::from(date.month()), date.day())
}

/// Says nothing: the exit code is the answer.
pub async fn test(client: &WebHdfs, operands: Operands) -> Result<Ended, FsError> {
    let found = match expand(client, &operands.paths[0]).await {
        Ok(found) => found.into_iter().next(),
        Err(FsError::Path { .. }) => None,
        Err(error) => return Err(error),
    };
    let holds = found.is_some_and(|status| {
        operands.flags.iter().all(|flag| match flag.as_str() {
            "d" => status.directory,
            "f" => !status.directory,
            "s" => status.length > 0,
            "z" => status.length == 0,
            _ => true,
        })
    });
    Ok(if holds { Ended::Well } else { Ended::WithFailures })
}

pub async fn df(client: &WebHdfs, operands: Operands) -> Result<Ended, FsError> {
    let path = operands.paths.first().map_or("/", String::as_str);
    let answer = client.ask(Method::GET, path, "GETSTATUS").await?;
    let number = |name: &str| answer["FsStatus"][name].as_u64().unwrap_or_default();
    let (capacity, used, remaining) = (number("capacity"), number("used"), number("remaining"));
    let size = |bytes: u64| if operands.has("h") { human(bytes) } else { bytes.to_string() };
    let percent = if capacity == 0 { 0 } else { used.saturating_mul(100) / capacity };
    let row = ["/".to_owned(), size(capacity), size(used), size(remaining), format!("{percent}%")];
    let head = ["Filesystem", "Size", "Used", "Available", "Use%"];
    let width = |at: usize| head[at].len().max(row[at].len());
    let line = |cells: [&str; 5]| {
        let [name, cells @ ..] = cells;
        let cells: Vec<String> =
            cells.iter().enumerate().map(|(at, cell)| format!("{cell:>0$}", width(at + 1))).collect();
        format!("{name:<0$}  {1}", width(0), cells.join("  "))
    };
    out(format_args!("{}\n", line(head)))?;
    out(format_args!("{}\n", line([&row[0], &row[1], &row[2], &row[3], &row[4]])))?;
    Ok(Ended::Well)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_filled_in() {
        let status = Status {
            path: "/d/f".to_owned(),
            directory: false,
            length: 7,
            owner: "ann".to_owned(),
            group: "staff".to_owned(),
            permission: 0o640,
            has_acl: false,
            replication: 2,
            block_size: 1 << 20,
            modified_ms: 1_700_000_000_123,
        };
        assert_eq!(formatted("%n %b %a %u:%g %r %F 100%%", &status), "f 7 640 ann:staff 2 regular file 100%");
        assert_eq!(formatted("%y", &status), "2023-11-14 22:13:20");
        assert_eq!(limit(Some(-1), 3), ("none".to_owned(), "inf".to_owned()));
        assert_eq!(limit(Some(5), 3), ("5".to_owned(), "2".to_owned()));
    }
}
