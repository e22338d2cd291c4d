//! How ids, tags and times are written for S3 clients, and read back.

use crate::error::{S3Error, S3ErrorCode};
use crate::request::push_digits;
use granary_protocol::object::ETag;
use granary_protocol::{UnixMillis, UploadId, VersionId};
use time::OffsetDateTime;
use time::format_description::well_known::Iso8601;
use time::macros::format_description;

/// A tag that no object has: what a client's tag that cannot be one of ours stands for in a condition.
pub(super) const NO_SUCH_ETAG: ETag = ETag { md5: [0; 16], parts: Some(0) };

/// Reads 32 hexadecimal digits, and `-N` for a multipart object; quotes are optional.
pub(super) fn parse_etag(text: &str) -> Option<ETag> {
    let text = text.trim();
    let text = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(text);
    let (digits, parts) = match text.split_once('-') {
        None => (text, None),
        Some((digits, parts)) => (digits, Some(parts.parse().ok().filter(|parts| *parts > 0)?)),
    };
    let mut md5 = [0; 16];
    hex::decode_to_slice(digits, &mut md5).ok()?;
    Some(ETag { md5, parts })
}

/// A tag in its quotes.
pub(super) fn quoted(etag: &ETag) -> String {
    format!("\"{etag}\"")
}

/// `null`, or 16 hexadecimal digits.
pub(crate) fn version_text(version: VersionId) -> String {
    if version == VersionId::NULL { "null".to_owned() } else { format!("{:016x}", version.0) }
}

/// `InvalidArgument` for what no version is called.
pub(crate) fn parse_version(text: &str) -> Result<VersionId, S3Error> {
    if text == "null" {
        return Ok(VersionId::NULL);
    }
    parse_hex(text)
        .filter(|id| *id != 0)
        .map(VersionId)
        .ok_or_else(|| S3Error::invalid_argument("Invalid version id specified", "versionId", text))
}

/// 16 hexadecimal digits.
pub(super) fn upload_text(upload: UploadId) -> String {
    format!("{:016x}", upload.0)
}

/// `NoSuchUpload` for what no upload is called.
pub(super) fn parse_upload(text: &str) -> Result<UploadId, S3Error> {
    parse_hex(text).map(UploadId).ok_or_else(|| S3Error::new(S3ErrorCode::NoSuchUpload).field("UploadId", text))
}

fn parse_hex(text: &str) -> Option<u64> {
    let is_ours = text.len() == 16 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if is_ours { u64::from_str_radix(text, 16).ok() } else { None }
}

/// Appends `2009-10-12T17:50:30.000Z`. Times after the year 9999 are clamped to its end.
pub(super) fn push_iso8601(out: &mut String, at: UnixMillis) {
    const YEAR_9999_END_MS: u64 = 253_402_300_799_999;
    let ms = at.0.min(YEAR_9999_END_MS);
    let seconds = i64::try_from(ms / 1000).expect("clamped to the year 9999");
    let date = OffsetDateTime::from_unix_timestamp(seconds).expect("a time up to the year 9999 is representable");
    let mut push = |number: u32, digits: u32, after: char| {
        push_digits(out, number, digits);
        out.push(after);
    };
    push(date.year().unsigned_abs(), 4, '-');
    push(u32::from(u8::from(date.month())), 2, '-');
    push(u32::from(date.day()), 2, 'T');
    push(u32::from(date.hour()), 2, ':');
    push(u32::from(date.minute()), 2, ':');
    push(u32::from(date.second()), 2, '.');
    push((ms % 1000) as u32, 3, 'Z');
}

/// Reads an ISO 8601 time with a time zone, such as `2009-10-12T17:50:30.000Z`; a date alone is its first moment in UTC.
/// Times before 1970 are none.
pub(super) fn parse_iso8601(text: &str) -> Option<UnixMillis> {
    let text = text.trim();
    let at = match time::Date::parse(text, format_description!("[year]-[month]-[day]")) {
        Ok(date) => date.midnight().assume_utc(),
        Err(_) => OffsetDateTime::parse(text, &Iso8601::DEFAULT).ok()?,
    };
    u64::try_from(at.unix_timestamp_nanos() / 1_000_000).ok().map(UnixMillis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn etags_survive() {
        let digits = "0123456789abcdef0123456789abcdef";
        for text in [digits.to_owned(), format!("{digits}-12")] {
            assert_eq!(parse_etag(&text).unwrap().to_string(), text);
            assert_eq!(quoted(&parse_etag(&format!("\"{text}\"")).unwrap()), format!("\"{text}\""));
        }
        for text in
            ["", "*", "abc", &digits[1..], &format!("{digits}-"), &format!("{digits}-0"), &format!("{digits}-x")]
        {
            assert_eq!(parse_etag(text), None, "{text}");
        }
    }

    #[test]
    fn versions_and_uploads_survive() {
        for version in [VersionId::NULL, VersionId(1), VersionId(u64::MAX)] {
            assert_eq!(parse_version(&version_text(version)).unwrap(), version);
        }
        assert_eq!(parse_upload(&upload_text(UploadId(77))).unwrap(), UploadId(77));
        for text in ["", "0", "0000000000000000", "NULL", "+000000000000001", "000000000000000G"] {
            assert!(parse_version(text).is_err(), "{text}");
        }
        assert_eq!(parse_upload("../..").unwrap_err().code(), S3ErrorCode::NoSuchUpload);
    }

    #[test]
    fn times_have_milliseconds() {
        let mut text = String::new();
        push_iso8601(&mut text, UnixMillis(1_255_369_830_007));
        assert_eq!(text, "2009-10-12T17:50:30.007Z");
        text.clear();
        push_iso8601(&mut text, UnixMillis(u64::MAX));
        assert_eq!(text, "9999-12-31T23:59:59.999Z");
    }
    #[test]
    fn times_are_read_back() {
        for (text, ms) in [
            ("2009-10-12T17:50:30.007Z", 1_255_369_830_007),
            ("2009-10-12T17:50:30Z", 1_255_369_830_000),
            ("2009-10-12T19:50:30.007000+02:00", 1_255_369_830_007),
            ("20091012T175030Z", 1_255_369_830_000),
            ("2009-10-12", 1_255_305_600_000),
        ] {
            assert_eq!(parse_iso8601(text), Some(UnixMillis(ms)), "{text}");
        }
        for text in
            ["", "now", "2009-13-12", "2009-10-12T17:50:30", "1969-12-31T00:00:00Z", "Mon, 12 Oct 2009 17:50:30 GMT"]
        {
            assert_eq!(parse_iso8601(text), None, "{text}");
        }
    }
}
