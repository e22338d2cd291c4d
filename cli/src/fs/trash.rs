//! The trash: where `-rm` moves what it deletes if the server says that deleted files are kept, and `-expunge`.
//!
//! As Hadoop's `TrashPolicyDefault`: below the trash root lies `Current` with what was deleted last; `-expunge` makes a
//! checkpoint of it, a directory named after the time, and removes checkpoints older than the interval.

use super::show::out;
use super::webhdfs::{FsError, Status, WebHdfs, encoded, join};
use super::{Ended, Operands};
use hyper::Method;
use time::macros::format_description;
use time::{Duration, OffsetDateTime, PrimitiveDateTime};

const CURRENT: &str = "Current";

/// The trash of a server that keeps deleted files.
pub struct Trash {
    interval: Duration,
}

impl Trash {
    /// `None` where deleted is deleted.
    pub async fn of(client: &WebHdfs) -> Result<Option<Trash>, FsError> {
        let answer = client.ask(Method::GET, "/", "GETSERVERDEFAULTS").await?;
        let minutes = answer["FsServerDefaults"]["trashInterval"].as_i64().unwrap_or(0);
        Ok((minutes > 0).then(|| Trash { interval: Duration::minutes(minutes) }))
    }

    /// Moves a path there. `false` if it is in the trash already: it is to be deleted.
    pub async fn take(&self, client: &WebHdfs, path: &str) -> Result<bool, FsError> {
        let root = root_of(client, path).await?;
        if path == root || path.starts_with(&format!("{root}/")) {
            return Ok(false);
        }
        if root.starts_with(&format!("{}/", path.trim_end_matches('/'))) {
            return Err(FsError::Other(format!("Cannot move \"{path}\" to the trash, as it contains the trash")));
        }
        let current = join(&root, CURRENT);
        let (parent, _) = path.rsplit_once('/').unwrap_or_default();
        client.ask(Method::PUT, &format!("{current}{parent}"), "MKDIRS&permission=700").await?;
        let mut to = format!("{current}{path}");
        if client.status(&to).await?.is_some() {
            let now_ms = OffsetDateTime::now_utc().unix_timestamp_nanos() / 1_000_000;
            to.push_str(&now_ms.to_string());
        }
        match client.ask_flag(Method::PUT, path, &format!("RENAME&destination={}", encoded(&to, true))).await {
            Ok(true) => {
                eprintln!("Moved: '{path}' to trash at: {to}");
                Ok(true)
            }
            Ok(false) => Err(not_moved(path, "the server refused to rename it")),
            Err(error) => Err(not_moved(path, &error.to_string())),
        }
    }
}

fn not_moved(path: &str, why: &str) -> FsError {
    FsError::Other(format!("Failed to move to trash: {path}: {why}. Consider using -skipTrash option"))
}

async fn root_of(client: &WebHdfs, path: &str) -> Result<String, FsError> {
    let answer = client.ask(Method::GET, path, "GETTRASHROOT").await?;
    answer["Path"].as_str().map(str::to_owned).ok_or_else(|| FsError::Other("no trash root is told".to_owned()))
}

/// Every trash of the user's there is.
async fn roots(client: &WebHdfs) -> Result<Vec<String>, FsError> {
    let mut roots = Vec::new();
    for bucket in client.list("/").await? {
        let root = root_of(client, &join(&bucket.path, "any")).await?;
        if !roots.contains(&root) && client.status(&root).await?.is_some_and(|status| status.directory) {
            roots.push(root);
        }
    }
    Ok(roots)
}

pub async fn expunge(client: &WebHdfs, operands: Operands) -> Result<Ended, FsError> {
    let now = OffsetDateTime::now_utc();
    let interval = Trash::of(client).await?.map_or(Duration::ZERO, |trash| trash.interval);
    for root in roots(client).await? {
        for entry in client.list(&root).await? {
            let name = entry.path.rsplit('/').next().unwrap_or_default();
            match (name, operands.has("immediate")) {
                (_, true) => delete(client, &entry).await?,
                (CURRENT, false) => checkpoint(client, &root, &entry, now).await?,
                (name, false) if is_older(name, now, interval) => delete(client, &entry).await?,
                (_, false) => {}
            }
        }
    }
    Ok(Ended::Well)
}

async fn checkpoint(client: &WebHdfs, root: &str, current: &Status, now: OffsetDateTime) -> Result<(), FsError> {
    let to = join(root, &checkpoint_name(now));
    let rename = format!("RENAME&destination={}", encoded(&to, true));
    match client.ask_flag(Method::PUT, &current.path, &rename).await? {
        true => out(format_args!("Created trash checkpoint: {to}\n")),
        false => Err(FsError::at(&to, "File exists")),
    }
}

async fn delete(client: &WebHdfs, entry: &Status) -> Result<(), FsError> {
    client.ask_flag(Method::DELETE, &entry.path, "DELETE&recursive=true").await?;
    out(format_args!("Deleted trash checkpoint: {}\n", entry.path))
}

fn checkpoint_name(now: OffsetDateTime) -> String {
    let (date, time) = (now.date(), now.time());
    let year = date.year() % 100;
    let (hour, minute, second) = time.as_hms();
    format!("{year:02}{:02}{:02}{hour:02}{minute:02}{second:02}", u8::from(date.month()), date.day())
}

/// Whether a checkpoint was made before the interval. What is no checkpoint stays.
fn is_older(name: &str, now: OffsetDateTime, interval: Duration) -> bool {
    let format = format_description!("[year][month][day][hour][minute][second]");
    let made = PrimitiveDateTime::parse(&format!("20{name}"), format);
    made.is_ok_and(|made| made.assume_utc() + interval < now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checkpoints_are_named_after_their_time_and_grow_old() {
        let now = OffsetDateTime::from_unix_timestamp(1_700_000_000).unwrap();
        let name = checkpoint_name(now);
        assert_eq!(name, "231114221320");
        assert!(!is_older(&name, now + Duration::minutes(5), Duration::minutes(5)));
        assert!(is_older(&name, now + Duration::minutes(6), Duration::minutes(5)));
        assert!(!is_older("Current", now, Duration::ZERO) && !is_older("notes", now, Duration::ZERO));
    }
}
