//! The tags of an object as requests carry them: in a header, or in a document.
//!
//! Invariant: what is read here has unique keys, is within the limits and is sorted by key, as it is shown again.
//!
//! Source: "Categorizing your storage using tags", Amazon S3 user guide; PutObjectTagging, Amazon S3 API reference.

use crate::documents::{check_tags, parse_tag_set};
use crate::error::{S3Error, S3ErrorCode};
use crate::request::Query;
use granary_protocol::object::{TAGS_MAX, Tag};
use http::HeaderMap;

const TAGGING: &str = "x-amz-tagging";

/// The tags of `x-amz-tagging`; none without the header.
///
/// # Errors
/// `InvalidArgument` for what is no query, `InvalidTag`.
pub(super) fn tags_of_headers(headers: &HeaderMap) -> Result<Vec<Tag>, S3Error> {
    match headers.get(TAGGING) {
        None => Ok(Vec::new()),
        Some(value) => parse_tag_query(std::str::from_utf8(value.as_bytes()).map_err(|_| not_a_query(""))?.trim()),
    }
}

/// Reads `key=value&key=value`, percent-encoded; a value may be missing.
fn parse_tag_query(text: &str) -> Result<Vec<Tag>, S3Error> {
    if text.split('&').any(|pair| pair.matches('=').count() > 1) {
        return Err(not_a_query(text));
    }
    let query = Query::parse(Some(text)).map_err(|_| not_a_query(text))?;
    let tag =
        |(key, value): (&str, Option<&str>)| Tag { key: key.to_owned(), value: value.unwrap_or_default().to_owned() };
    let tags: Vec<Tag> = query.iter().map(tag).collect();
    let is_repeated = |(at, tag): (usize, &Tag)| tags[..at].iter().any(|other| other.key == tag.key);
    if tags.iter().any(|tag| tag.key.is_empty()) || tags.iter().enumerate().any(is_repeated) {
        return Err(not_a_query(text));
    }
    check_tags(&tags, TAGS_MAX)?;
    Ok(sorted(tags))
}

/// The tags of an object's `Tagging` document.
///
/// # Errors
/// `MalformedXML`, `InvalidTag`, `MissingRequestBodyError` for no document.
pub(crate) fn parse_object_tagging(document: &[u8]) -> Result<Vec<Tag>, S3Error> {
    if document.trim_ascii().is_empty() {
        return Err(S3Error::new(S3ErrorCode::MissingRequestBodyError));
    }
    parse_tag_set(document, TAGS_MAX).map(sorted)
}

fn sorted(mut tags: Vec<Tag>) -> Vec<Tag> {
    tags.sort_unstable_by(|one, other| one.key.cmp(&other.key));
    tags
}

fn not_a_query(text: &str) -> S3Error {
    S3Error::invalid_argument(
        "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters without tag name \
         duplicates.",
        TAGGING,
        text,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(key: &str, value: &str) -> Tag {
        Tag { key: key.to_owned(), value: value.to_owned() }
    }

    #[test]
    fn a_header_is_a_query() {
        assert_eq!(parse_tag_query("foo=bar&bar").unwrap(), [tag("bar", ""), tag("foo", "bar")]);
        assert_eq!(parse_tag_query("").unwrap(), []);
        assert_eq!(parse_tag_query("a+b=%C3%A9%2B%3D").unwrap(), [tag("a b", "é+=")]);
        for bad in ["=", "=x", "k%", "k=%ff", "k=1&k=2"] {
            assert_eq!(parse_tag_query(bad).unwrap_err().code(), S3ErrorCode::InvalidArgument, "{bad}");
        }
        for bad in ["k%3F=v", "k(=v", "k=v%2A", "k=%0A", "aws:k=v"] {
            assert_eq!(parse_tag_query(bad).unwrap_err().code(), S3ErrorCode::InvalidTag, "{bad}");
        }
        let eleven: Vec<String> = (0..11).map(|number| format!("k{number}=v")).collect();
        assert_eq!(parse_tag_query(&eleven[..10].join("&")).unwrap().len(), 10);
        assert_eq!(parse_tag_query(&eleven.join("&")).unwrap_err().code(), S3ErrorCode::InvalidTag);
    }

    fn document(tags: &str) -> String {
        format!("<Tagging><TagSet>{tags}</TagSet></Tagging>")
    }

    fn element(key: &str, value: &str) -> String {
        format!("<Tag><Key>{key}</Key><Value>{value}</Value></Tag>")
    }

    #[test]
    fn a_document_is_read_and_bounded() {
        let read = |tags: String| parse_object_tagging(document(&tags).as_bytes());
        assert_eq!(read(element("b", "1 &amp;amp") + &element("a", "")).unwrap_err().code(), S3ErrorCode::InvalidTag);
        assert_eq!(read(element("b", "1") + &element("a", "")).unwrap(), [tag("a", ""), tag("b", "1")]);
        assert_eq!(read(String::new()).unwrap(), []);
        let (key, value) = ("é".repeat(128), "v".repeat(256));
        assert!(read(element(&key, &value)).is_ok());
        for (tags, code) in [
            (element(&(key.clone() + "k"), "v"), S3ErrorCode::InvalidTag),
            (element("k", &(value + "v")), S3ErrorCode::InvalidTag),
            (element("", "v"), S3ErrorCode::InvalidTag),
            (element("k", "1") + &element("k", "2"), S3ErrorCode::InvalidTag),
            ((0..11).map(|number| element(&number.to_string(), "v")).collect(), S3ErrorCode::InvalidTag),
            ("<Tag><Key>k</Key></Tag>".to_owned(), S3ErrorCode::MalformedXML),
            ("<Other/>".to_owned(), S3ErrorCode::MalformedXML),
        ] {
            assert_eq!(read(tags.clone()).unwrap_err().code(), code, "{tags}");
        }
        for (text, code) in [
            ("", S3ErrorCode::MissingRequestBodyError),
            ("<Tagging/>", S3ErrorCode::MalformedXML),
            ("<TagSet/>", S3ErrorCode::MalformedXML),
        ] {
            assert_eq!(parse_object_tagging(text.as_bytes()).unwrap_err().code(), code, "{text}");
        }
    }
}
