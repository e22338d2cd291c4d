//! Moments as policies write them: W3C's profile of ISO 8601, or seconds since 1970.

const DAY_S: i64 = 24 * 60 * 60;

/// Milliseconds since the Unix epoch; `None` for what is no date.
pub(super) fn parse_date(text: &str) -> Option<i64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    // A year alone has four digits; anything longer that is all digits counts seconds.
    if digits.len() > 4 && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse::<i64>().ok()?.checked_mul(1000);
    }
    let (date, time) = text.split_once(['T', ' ']).map_or((text, None), |(date, time)| (date, Some(time)));
    let mut parts = date.split('-');
    let year = number(parts.next()?, 4)?;
    let month = parts.next().map_or(Some(1), |month| number(month, 2))?;
    let day = parts.next().map_or(Some(1), |day| number(day, 2))?;
    if parts.next().is_some() || !(1..=12).contains(&month) || day < 1 || day > days_of(year, month) {
        return None;
    }
    let midnight_ms = days_since_epoch(year, month, day) * DAY_S * 1000;
    time.map_or(Some(midnight_ms), |time| Some(midnight_ms + parse_time(time)?))
}

/// `hh:mm`, `hh:mm:ss` or `hh:mm:ss.f` with `Z` or an offset, in milliseconds of the day in UTC.
fn parse_time(text: &str) -> Option<i64> {
    let (clock, offset_s) = match text.find(['Z', 'z', '+', '-']) {
        Some(at) => (&text[..at], parse_offset(&text[at..])?),
        None => (text, 0),
    };
    let mut parts = clock.split(':');
    let hours = number(parts.next()?, 2)?;
    let minutes = number(parts.next()?, 2)?;
    let (seconds, millis) = match parts.next() {
        None => (0, 0),
        Some(seconds) => match seconds.split_once('.') {
            None => (number(seconds, 2)?, 0),
            Some((seconds, fraction)) => (number(seconds, 2)?, parse_millis(fraction)?),
        },
    };
    if parts.next().is_some() || hours > 23 || minutes > 59 || seconds > 60 {
        return None;
    }
    Some((hours * 3600 + minutes * 60 + seconds - offset_s) * 1000 + millis)
}

fn parse_offset(text: &str) -> Option<i64> {
    let sign = match text.as_bytes().first()? {
        b'Z' | b'z' => return (text.len() == 1).then_some(0),
        b'+' => 1,
        _minus => -1,
    };
    let (hours, minutes) = text[1..].split_once(':')?;
    Some(sign * (number(hours, 2)? * 3600 + number(minutes, 2)? * 60))
}

fn parse_millis(fraction: &str) -> Option<i64> {
    if fraction.is_empty() || fraction.len() > 9 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let padded = format!("{fraction:0<3}");
    padded.get(..3)?.parse().ok()
}

fn number(text: &str, length: usize) -> Option<i64> {
    (text.len() == length && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())?
}

fn days_of(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days of the proleptic Gregorian calendar, counted in eras of 400 years from a year that begins in March.
fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn dates_in_every_form() {
        for (text, expected_s) in [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("1970", Some(0)),
            ("1970-01", Some(0)),
            ("1970-01-02", Some(DAY_S)),
            ("2024-02-29T12:00:00Z", Some(1_709_208_000)),
            ("2023-02-29T12:00:00Z", None),
            ("2020-04-01T00:00:01Z", Some(1_585_699_201)),
            ("2020-04-01T02:00:01+02:00", Some(1_585_699_201)),
            ("2020-03-31T22:00:01-02:00", Some(1_585_699_201)),
            ("2020-04-01T00:00Z", Some(1_585_699_200)),
            ("1585699201", Some(1_585_699_201)),
            ("2020-13-01", None),
            ("2020-04-01T25:00:00Z", None),
            ("2020-04-01T00:00:00ZZ", None),
            ("yesterday", None),
            ("", None),
        ] {
            assert_eq!(parse_date(text), expected_s.map(|seconds: i64| seconds * 1000), "{text}");
        }
        assert_eq!(parse_date("1970-01-01T00:00:00.25Z"), Some(250));
        assert_eq!(parse_date("1970-01-01T00:00:00.123456Z"), Some(123));
    }

    proptest! {
        #[test]
        fn nothing_panics(text in "[0-9TZ:.+ -]{0,30}") {
            parse_date(&text);
        }
    }
}
