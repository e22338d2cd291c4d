//! Lines waiting to become objects, by destination. No I/O; time comes in.

use super::key::LogKeyFormat;
use granary_protocol::UnixMillis;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Lines waiting altogether; further ones are dropped.
const BUFFER_BYTES_MAX: usize = 32 << 20;
/// A destination with this much is delivered without waiting for its time.
const OBJECT_BYTES: usize = 4 << 20;
const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// Where lines go, and which lines may share an object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct LogDestination {
    /// The bucket that is logged.
    pub source: String,
    /// The bucket that gets the logs.
    pub target: String,
    pub prefix: String,
    pub format: LogKeyFormat,
}

/// Lines that are to become an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ReadyLog {
    pub destination: LogDestination,
    pub lines: Vec<u8>,
    /// When the first of them happened.
    pub since: UnixMillis,
}

/// The lines of one gateway.
#[derive(Debug, Default)]
pub(crate) struct LogBuffer(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    /// By destination and, where the key says when the events happened, by day.
    groups: BTreeMap<(LogDestination, u64), Group>,
    bytes: usize,
    dropped: u64,
}

#[derive(Debug)]
struct Group {
    lines: Vec<u8>,
    since: UnixMillis,
}

impl LogBuffer {
    /// Adds a line. Whether its destination now has enough to be delivered at once.
    pub(crate) fn add(&self, destination: LogDestination, at: UnixMillis, line: &str) -> bool {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.bytes + line.len() > BUFFER_BYTES_MAX {
            waiting.dropped += 1;
            return true;
        }
        waiting.bytes += line.len();
        let day = match destination.format {
            LogKeyFormat::ByEventTime => at.0 / DAY_MS,
            LogKeyFormat::Simple | LogKeyFormat::ByDeliveryTime => 0,
        };
        let group = waiting.groups.entry((destination, day)).or_insert_with(|| Group { lines: Vec::new(), since: at });
        group.lines.extend_from_slice(line.as_bytes());
        group.lines.len() >= OBJECT_BYTES
    }

    /// Takes everything, and the number of lines dropped since the last time.
    pub(crate) fn take(&self) -> (Vec<ReadyLog>, u64) {
        let waiting = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        let ready = |((destination, _), group): ((LogDestination, u64), Group)| ReadyLog {
            destination,
            lines: group.lines,
            since: group.since,
        };
        (waiting.groups.into_iter().map(ready).collect(), waiting.dropped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn destination(source: &str, format: LogKeyFormat) -> LogDestination {
        LogDestination { source: source.to_owned(), target: "logs".to_owned(), prefix: String::new(), format }
    }

    #[test]
    fn lines_of_a_destination_share_an_object() {
        let buffer = LogBuffer::default();
        let simple = |source| destination(source, LogKeyFormat::Simple);
        for (source, line) in [("a", "1\n"), ("b", "2\n"), ("a", "3\n")] {
            assert!(!buffer.add(simple(source), UnixMillis(5), line));
        }
        let (ready, dropped) = buffer.take();
        let texts: Vec<_> = ready.iter().map(|log| (log.destination.source.as_str(), log.lines.as_slice())).collect();
        assert_eq!(texts, [("a", b"1\n3\n".as_slice()), ("b", b"2\n".as_slice())]);
        assert_eq!((dropped, buffer.take().0), (0, Vec::new()));
    }

    #[test]
    fn days_do_where_the_key_names_them() {
        let buffer = LogBuffer::default();
        for (format, objects) in [(LogKeyFormat::ByEventTime, 2), (LogKeyFormat::ByDeliveryTime, 1)] {
            buffer.add(destination("a", format), UnixMillis(1), "x\n");
            buffer.add(destination("a", format), UnixMillis(1 + DAY_MS), "x\n");
            assert_eq!(buffer.take().0.len(), objects);
        }
    }

    #[test]
    fn memory_is_bounded() {
        let buffer = LogBuffer::default();
        let line = "x".repeat(OBJECT_BYTES);
        let added =
            (0..9).map(|at| buffer.add(destination(&at.to_string(), LogKeyFormat::Simple), UnixMillis(0), &line));
        assert!(added.collect::<Vec<_>>().into_iter().all(|is_enough| is_enough));
        let (ready, dropped) = buffer.take();
        assert_eq!((ready.len(), dropped), (8, 1));
        assert!(!buffer.add(destination("a", LogKeyFormat::Simple), UnixMillis(0), "x\n"));
    }
}
