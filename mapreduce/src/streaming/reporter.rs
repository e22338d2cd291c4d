//! Standard error: lines for the reporter, and the rest, of which the end is kept.

use crate::engine::Progress;
use std::io::{BufRead, BufReader, Read};

/// A line is cut after so many bytes.
const LINE_BYTES_MAX: u64 = 8 << 10;

/// Reads to the end.
pub(super) fn listen(stderr: impl Read, progress: &Progress) {
    let mut stderr = BufReader::new(stderr);
    let mut line = Vec::new();
    loop {
        line.clear();
        // What cannot be read is not missed: the process's end says the rest.
        match stderr.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) => hear(&line, progress),
        }
    }
}

fn hear(line: &[u8], progress: &Progress) {
    let said = line.strip_prefix(b"reporter:").and_then(|rest| std::str::from_utf8(rest).ok()).map(str::trim_end);
    let heard = said.is_some_and(|said| match said.split_once(':') {
        Some(("status", text)) => {
            progress.say_status(text);
            true
        }
        Some(("counter", text)) => counter(text, progress).is_some(),
        _ => false,
    });
    if !heard {
        progress.keep_stderr(line);
    }
}

/// `group,counter,amount`.
fn counter(text: &str, progress: &Progress) -> Option<()> {
    let (names, amount) = text.rsplit_once(',')?;
    let (group, name) = names.split_once(',')?;
    progress.count_user(group, name, amount.trim().parse().ok()?);
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_and_status_are_taken_out_of_what_is_said() {
        let progress = Progress::default();
        let said = "reporter:counter:Words,Long,3\nhello\nreporter:counter:Words,Long,-1\nreporter:status:half way\n\
                    reporter:counter:broken\nno end";
        listen(said.as_bytes(), &progress);
        let report = progress.report();
        assert_eq!(report.status, "half way");
        assert_eq!(report.stderr, "hello\nreporter:counter:broken\nno end");
        let [(counter, value)] = &report.user_counters[..] else { panic!("{report:?}") };
        assert_eq!((counter.group.as_str(), counter.name.as_str(), *value), ("Words", "Long", 2));
    }

    #[test]
    fn of_much_the_end_is_kept() {
        let progress = Progress::default();
        listen(format!("{}the end", "x".repeat(1 << 20)).as_bytes(), &progress);
        let report = progress.report();
        assert_eq!(report.stderr.len(), crate::spec::limits::STDERR_BYTES_MAX);
        assert!(report.stderr.ends_with("xthe end"));
    }
}
