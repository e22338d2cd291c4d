//! HTTP dates (RFC 9110 §5.6.7): all three formats are read, IMF-fixdate is written. Whole seconds since the Unix epoch.

use time::{Date, Month, OffsetDateTime, PrimitiveDateTime, Time};

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const WEEKDAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

/// Reads IMF-fixdate, RFC 850 or asctime; `None` for anything else. The weekday is not checked against the date: S3 does
/// not either, and a client that gets it wrong means the date.
pub fn parse_http_date(text: &str) -> Option<i64> {
    let text = text.trim();
    match text.split_once(',') {
        Some((_, rest)) if rest.split_ascii_whitespace().next()?.contains('-') => parse_rfc850(rest.trim_start()),
        Some((_, rest)) => parse_imf_fixdate(rest.trim_start()),
        None => parse_asctime(text),
    }
}

/// Writes `Sun, 06 Nov 1994 08:49:37 GMT`. Times outside the years 0 to 9999 are clamped to them.
pub fn format_http_date(unix_s: i64) -> String {
    const YEAR_0_S: i64 = -62_167_219_200;
    const YEAR_9999_END_S: i64 = 253_402_300_799;
    let at = OffsetDateTime::from_unix_timestamp(unix_s.clamp(YEAR_0_S, YEAR_9999_END_S))
        .expect("a time between the years 0 and 9999 is representable");
    let mut text = String::with_capacity("Sun, 06 Nov 1994 08:49:37 GMT".len());
    text.push_str(WEEKDAYS[usize::from(at.weekday().number_days_from_monday())]);
    text.push_str(", ");
    push_digits(&mut text, u32::from(at.day()), 2);
    text.push(' ');
    text.push_str(MONTHS[usize::from(u8::from(at.month())) - 1]);
    text.push(' ');
    push_digits(&mut text, at.year().unsigned_abs(), 4);
    for (part, before) in [(at.hour(), ' '), (at.minute(), ':'), (at.second(), ':')] {
        text.push(before);
        push_digits(&mut text, u32::from(part), 2);
    }
    text.push_str(" GMT");
    text
}

/// The last so many decimal digits. Every answer about an object carries a date: the general formatter costs several times as
/// much.
pub(crate) fn push_digits(text: &mut String, number: u32, digits: u32) {
    for place in (0..digits).rev() {
        let digit = number / 10u32.pow(place) % 10;
        text.push(char::from_digit(digit, 10).expect("a remainder of 10 is a digit"));
    }
}

/// `06 Nov 1994 08:49:37 GMT`
fn parse_imf_fixdate(text: &str) -> Option<i64> {
    let mut fields = text.split_ascii_whitespace();
    let (day, month, year, clock) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
    end_in_gmt(fields)?;
    (year.len() == 4).then_some(())?;
    assemble(number(year)?, month, day, clock)
}

/// `06-Nov-94 08:49:37 GMT`. Two-digit years are 1970 to 2069: reading a header does not depend on the clock.
fn parse_rfc850(text: &str) -> Option<i64> {
    let mut fields = text.split_ascii_whitespace();
    let (date, clock) = (fields.next()?, fields.next()?);
    end_in_gmt(fields)?;
    let mut date = date.split('-');
    let (day, month, year) = (date.next()?, date.next()?, date.next()?);
    (date.next().is_none() && year.len() == 2).then_some(())?;
    let year: i32 = number(year)?;
    assemble(if year < 70 { 2000 + year } else { 1900 + year }, month, day, clock)
}

/// `Sun Nov  6 08:49:37 1994`
fn parse_asctime(text: &str) -> Option<i64> {
    let mut fields = text.split_ascii_whitespace();
    let (_weekday, month, day, clock, year) =
        (fields.next()?, fields.next()?, fields.next()?, fields.next()?, fields.next()?);
    (fields.next().is_none() && year.len() == 4).then_some(())?;
    assemble(number(year)?, month, day, clock)
}

fn end_in_gmt<'a>(mut fields: impl Iterator<Item = &'a str>) -> Option<()> {
    let zone = fields.next()?;
    // `-0000` is what RFC 5322 writers, Python's among them, say for UTC.
    (matches!(zone, "GMT" | "UTC" | "+0000" | "-0000") && fields.next().is_none()).then_some(())
}

fn assemble(year: i32, month: &str, day: &str, clock: &str) -> Option<i64> {
    let month = MONTHS.iter().zip(1u8..).find(|(name, _)| name.eq_ignore_ascii_case(month))?.1;
    let date = Date::from_calendar_date(year, Month::try_from(month).ok()?, number(day)?).ok()?;
    let mut parts = clock.split(':');
    let (hour, minute, second) = (parts.next()?, parts.next()?, parts.next()?);
    parts.next().is_none().then_some(())?;
    // A leap second is the last second before it: there is no other way to say it in Unix time.
    let time = Time::from_hms(number(hour)?, number(minute)?, number::<u8>(second)?.min(59)).ok()?;
    Some(PrimitiveDateTime::new(date, time).assume_utc().unix_timestamp())
}

fn number<T: std::str::FromStr>(digits: &str) -> Option<T> {
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_three_formats_agree() {
        for text in [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
            "Sun, 06 Nov 1994 08:49:37 -0000",
        ] {
            assert_eq!(parse_http_date(text), Some(784_111_777), "{text}");
        }
        assert_eq!(format_http_date(784_111_777), "Sun, 06 Nov 1994 08:49:37 GMT");
    }

    #[test]
    fn refuses_the_rest() {
        for text in [
            "",
            "now",
            "784111777",
            "Sun, 31 Feb 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 25:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37 PST",
            "Sun, 06 Nov 1994 08:49 GMT",
            "Sun, 06 Nov 94 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37 GMT x",
            "Sun, -6 Nov 1994 08:49:37 GMT",
        ] {
            assert_eq!(parse_http_date(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn round_trips(unix_s in -62_167_219_200i64..253_402_300_800) {
            prop_assert_eq!(parse_http_date(&format_http_date(unix_s)), Some(unix_s));
        }
    }
}
