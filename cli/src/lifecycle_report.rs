//! `granary admin lifecycle status` and `granary lifecycle explain`.

use crate::admin::{encode, get, print_json};
use crate::archive_targets;
use crate::args::Connection;
use anyhow::bail;
use granary_protocol::UnixMillis;
use granary_protocol::admin::LifecycleExplanation;
use granary_protocol::lifecycle::{BACKLOG_COUNTED_MAX, LifecycleProgress, LifecycleStatus};
use std::time::{SystemTime, UNIX_EPOCH};

/// `granary admin lifecycle status`.
pub async fn status(connection: &Connection, json: bool) -> anyhow::Result<()> {
    let (body, status): (_, LifecycleStatus) = get(connection, "lifecycle").await?;
    if json {
        return print_json(&body);
    }
    println!("{} records wait to be written into their class", counted(status.moves_waiting));
    println!("{} restores", counted(status.restores));
    if status.buckets.is_empty() {
        println!("no bucket has been scanned");
    }
    for (bucket, progress) in &status.buckets {
        print_progress(bucket.as_str(), progress);
    }
    archive_targets::print_all(connection).await
}

fn print_progress(bucket: &str, progress: &LifecycleProgress) {
    let end = progress.finished.unwrap_or_else(now);
    let took_ms = end.0.saturating_sub(progress.started.0).max(1);
    let rate = progress.scanned.saturating_mul(1000) / took_ms;
    println!("{bucket}");
    match &progress.finished {
        Some(_) => println!("  scanned {} in {} s, begun {}", progress.scanned, took_ms / 1000, time(progress.started)),
        None => {
            let at = progress.position.as_ref().map_or("", |position| position.key.as_str());
            println!("  scanning: {} so far, {rate} a second, now at {at:?}", progress.scanned);
        }
    }
    println!(
        "  so far deleted {}, hidden {}, moved {}, uploads aborted {}, left alone {}",
        progress.deleted, progress.hidden, progress.moved, progress.aborted, progress.refused
    );
    if let Some(due) = progress.next_due.filter(|_| progress.finished.is_some()) {
        println!("  something is due {}", time(due));
    }
}

/// `granary lifecycle explain`.
pub async fn explain(connection: &Connection, url: &str, version: Option<&str>, json: bool) -> anyhow::Result<()> {
    let Some((bucket, key)) = url.strip_prefix("s3://").and_then(|rest| rest.split_once('/')) else {
        bail!("name an object as s3://bucket/key");
    };
    let mut path = format!("lifecycle/explanation?bucket={}&key={}", encode(bucket), encode(key));
    if let Some(version) = version {
        path.push_str(&format!("&version={}", encode(version)));
    }
    let (body, answer): (_, LifecycleExplanation) = get(connection, &path).await?;
    if json {
        return print_json(&body);
    }
    println!("s3://{}/{} version {}", answer.bucket, answer.key, answer.version);
    println!(
        "  {}, {} bytes, in {}, written {}",
        answer.standing,
        answer.size,
        answer.class.name(),
        time(answer.written)
    );
    if answer.locked {
        println!("  locked: it is neither deleted nor archived");
    }
    match &answer.next {
        Some((action, rule)) => println!("  due now: {action}, by rule {rule:?}"),
        None => println!("  nothing is due now"),
    }
    for rule in &answer.rules {
        println!("rule {:?} {}", rule.rule, rule.filter);
        if let Some(why) = &rule.why_not {
            println!("  does nothing: {why}");
        }
        for plan in &rule.plans {
            match plan.at {
                Some(at) => println!("  {} from {} on", plan.action, time(at)),
                None => println!("  {} once there are more newer versions", plan.action),
            }
        }
    }
    if answer.rules.is_empty() {
        println!("the bucket has no rules");
    }
    Ok(())
}

fn counted(count: u64) -> String {
    if count < BACKLOG_COUNTED_MAX { count.to_string() } else { format!("at least {count}") }
}

fn now() -> UnixMillis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixMillis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// `2024-03-01 00:00:00 UTC`, by the proleptic Gregorian calendar.
fn time(at: UnixMillis) -> String {
    let seconds = at.0 / 1000;
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    // Days since 0000-03-01, in eras of 400 years (Howard Hinnant, "chrono-compatible low-level date algorithms").
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let day_of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_as_people_write_them() {
        for (seconds, text) in [
            (0, "1970-01-01 00:00:00 UTC"),
            (951_782_399, "2000-02-28 23:59:59 UTC"),
            (951_782_400, "2000-02-29 00:00:00 UTC"),
            (1_709_251_200, "2024-03-01 00:00:00 UTC"),
            (4_102_444_799, "2099-12-31 23:59:59 UTC"),
        ] {
            assert_eq!(time(UnixMillis(seconds * 1000)), text);
        }
    }
}
