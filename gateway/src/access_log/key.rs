//! How log objects are called. Pure.
//!
//! Source: "Logging requests with server access logging", Amazon S3 user guide.

use granary_protocol::UnixMillis;
use time::OffsetDateTime;

/// What follows the prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum LogKeyFormat {
    /// `YYYY-MM-DD-hh-mm-ss-UniqueString`, by the time of delivery.
    Simple,
    /// `account/region/bucket/YYYY/MM/DD/YYYY-MM-DD-hh-mm-ss-UniqueString`, by the time of delivery.
    ByDeliveryTime,
    /// The same by the day of the events, the time of day being zero.
    ByEventTime,
}

/// The key of a log object. `at` is the time of delivery, or for [`LogKeyFormat::ByEventTime`] any of that day.
pub(crate) fn log_key(
    format: LogKeyFormat,
    prefix: &str,
    source: (&str, &str, &str),
    at: UnixMillis,
    unique: u64,
) -> String {
    let (account, region, bucket) = source;
    let seconds = i64::try_from(at.0 / 1000).unwrap_or(i64::MAX);
    let date = OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let (year, month, day) = (date.year(), u8::from(date.month()), date.day());
    let (hour, minute, second) = match format {
        LogKeyFormat::Simple | LogKeyFormat::ByDeliveryTime => (date.hour(), date.minute(), date.second()),
        LogKeyFormat::ByEventTime => (0, 0, 0),
    };
    let name = format!("{year:04}-{month:02}-{day:02}-{hour:02}-{minute:02}-{second:02}-{unique:016X}");
    match format {
        LogKeyFormat::Simple => format!("{prefix}{name}"),
        LogKeyFormat::ByDeliveryTime | LogKeyFormat::ByEventTime => {
            format!("{prefix}{account}/{region}/{bucket}/{year:04}/{month:02}/{day:02}/{name}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_each_format() {
        let key = |format| log_key(format, "logs/", ("000000000000", "r", "b"), UnixMillis(1_549_411_238_500), 0xab);
        assert_eq!(key(LogKeyFormat::Simple), "logs/2019-02-06-00-00-38-00000000000000AB");
        assert_eq!(
            key(LogKeyFormat::ByDeliveryTime),
            "logs/000000000000/r/b/2019/02/06/2019-02-06-00-00-38-00000000000000AB"
        );
        assert_eq!(
            key(LogKeyFormat::ByEventTime),
            "logs/000000000000/r/b/2019/02/06/2019-02-06-00-00-00-00000000000000AB"
        );
    }
}
