//! The `yyyyMMdd'T'HHmmss'Z'` timestamps of Signature Version 4.

use time::{Date, Month, OffsetDateTime, PrimitiveDateTime, Time};

/// A timestamp, kept both as written (it is signed as text) and as Unix time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AmzDate {
    text: [u8; 16],
    unix_s: i64,
}

impl AmzDate {
    /// Reads exactly sixteen characters, `20130524T000000Z`; `None` otherwise.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes: [u8; 16] = text.as_bytes().try_into().ok()?;
        let number = |range: std::ops::Range<usize>| {
            bytes[range]
                .iter()
                .try_fold(0u16, |value, byte| byte.is_ascii_digit().then(|| value * 10 + u16::from(byte - b'0')))
        };
        let small = |range| number(range).and_then(|value| u8::try_from(value).ok());
        if bytes[8] != b'T' || bytes[15] != b'Z' {
            return None;
        }
        let date =
            Date::from_calendar_date(i32::from(number(0..4)?), Month::try_from(small(4..6)?).ok()?, small(6..8)?)
                .ok()?;
        let time = Time::from_hms(small(9..11)?, small(11..13)?, small(13..15)?).ok()?;
        Some(Self { text: bytes, unix_s: PrimitiveDateTime::new(date, time).assume_utc().unix_timestamp() })
    }

    /// From Unix seconds; `None` outside the years 0 to 9999.
    pub fn from_unix_s(unix_s: i64) -> Option<Self> {
        let at = OffsetDateTime::from_unix_timestamp(unix_s).ok().filter(|at| (0..10_000).contains(&at.year()))?;
        let (date, time) = (at.date(), at.time());
        Self::parse(&format!(
            "{:04}{:02}{:02}T{:02}{:02}{:02}Z",
            date.year(),
            u8::from(date.month()),
            date.day(),
            time.hour(),
            time.minute(),
            time.second()
        ))
    }

    /// The text that is signed.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.text).expect("parsed from ASCII digits, T and Z")
    }

    /// The first eight characters: the date of the credential scope.
    pub fn date(&self) -> &str {
        &self.as_str()[..8]
    }

    /// Seconds since the Unix epoch.
    pub fn unix_s(&self) -> i64 {
        self.unix_s
    }

    /// `2013-05-24T00:00:00Z`, for error fields.
    pub fn to_iso8601(&self) -> String {
        let text = self.as_str();
        format!("{}-{}-{}T{}:{}:{}Z", &text[..4], &text[4..6], &text[6..8], &text[9..11], &text[11..13], &text[13..15])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_writes() {
        let date = AmzDate::parse("20130524T000001Z").unwrap();
        assert_eq!(
            (date.unix_s(), date.date(), date.to_iso8601().as_str()),
            (1_369_353_601, "20130524", "2013-05-24T00:00:01Z")
        );
        assert_eq!(AmzDate::from_unix_s(1_369_353_601), Some(date));
        assert_eq!(AmzDate::from_unix_s(i64::MAX), None);
        for bad in [
            "",
            "20130524",
            "20130524T000001",
            "20131324T000001Z",
            "20130524T240001Z",
            "2013052aT000001Z",
            "20130524t000001z",
            "2013-05-24T00:00",
        ] {
            assert_eq!(AmzDate::parse(bad), None, "{bad}");
        }
    }
}
