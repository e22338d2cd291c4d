//! `Tagging`: the tags of a bucket, and those of an object, which follow the same rules but may be fewer.
//!
//! Source: "Categorizing your storage using tags", Amazon S3 user guide.

use super::Document;
use crate::error::{S3Error, S3ErrorCode};
use crate::ops::Element;
use crate::ops::xml_writer::Xml;
use bytes::Bytes;
use granary_protocol::bucket::BucketDocument;
use granary_protocol::object::{TAGS_MAX, Tag};

/// The most tags of a bucket.
pub(crate) const BUCKET_TAGS_MAX: usize = 50;
const KEY_CHARACTERS_MAX: usize = 128;
const VALUE_CHARACTERS_MAX: usize = 256;
/// Tags the service sets itself.
const RESERVED_PREFIX: &str = "aws:";

/// The tags of a bucket.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct BucketTagging {
    /// In the order they were given.
    pub tags: Vec<Tag>,
}

impl Document for BucketTagging {
    const KIND: BucketDocument = BucketDocument::Tagging;

    fn parse(text: &[u8]) -> Result<Self, S3Error> {
        parse_tag_set(text, BUCKET_TAGS_MAX).map(|tags| Self { tags })
    }

    fn to_xml(&self) -> Bytes {
        write_tag_set(&self.tags)
    }
}

/// Reads a `Tagging` document with at most `tags_max` tags, and checks them.
///
/// # Errors
/// `MalformedXML`, and as [`check_tags`].
pub(crate) fn parse_tag_set(text: &[u8], tags_max: usize) -> Result<Vec<Tag>, S3Error> {
    // One more than allowed, so that the answer is about tags.
    let root = Element::parse(text, "Tagging", 3 * (tags_max + 1) + 8)?;
    let tags = read_tags(root.only(&["TagSet"])?.required("TagSet")?)?;
    check_tags(&tags, tags_max)?;
    Ok(tags)
}

/// The `Tag` elements inside an element, unchecked.
pub(super) fn read_tags(set: &Element) -> Result<Vec<Tag>, S3Error> {
    set.only(&["Tag"])?.children().iter().map(read_tag).collect()
}

/// One `Tag` element.
pub(super) fn read_tag(element: &Element) -> Result<Tag, S3Error> {
    element.only(&["Key", "Value"])?;
    Ok(Tag { key: element.required_text("Key")?, value: element.required_text("Value")? })
}

/// Checks number, uniqueness, lengths and characters.
///
/// # Errors
/// `InvalidTag`
pub(crate) fn check_tags(tags: &[Tag], tags_max: usize) -> Result<(), S3Error> {
    if tags.len() > tags_max {
        let whose = if tags_max == TAGS_MAX { "Object tags" } else { "Bucket tag count" };
        let message = format!("{whose} cannot be greater than {tags_max}");
        return Err(S3Error::with_message(S3ErrorCode::InvalidTag, message));
    }
    for (at, tag) in tags.iter().enumerate() {
        if tag.key.is_empty() || tag.key.chars().count() > KEY_CHARACTERS_MAX || !is_allowed(&tag.key) {
            return Err(invalid("The TagKey you have provided is invalid").field("TagKey", &tag.key));
        }
        if tag.value.chars().count() > VALUE_CHARACTERS_MAX || !is_allowed(&tag.value) {
            let error = invalid("The TagValue you have provided is invalid");
            return Err(error.field("TagKey", &tag.key).field("TagValue", &tag.value));
        }
        if tag.key.get(..RESERVED_PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(RESERVED_PREFIX)) {
            return Err(invalid("System tags cannot be added/updated by requester").field("TagKey", &tag.key));
        }
        if tags[..at].iter().any(|other| other.key == tag.key) {
            return Err(invalid("Cannot provide multiple Tags with the same key").field("TagKey", &tag.key));
        }
    }
    Ok(())
}

fn invalid(message: &'static str) -> S3Error {
    S3Error::with_message(S3ErrorCode::InvalidTag, message)
}

/// Letters, numbers and spaces of any script, and `_ . : / = + - @`. Of characters beyond ASCII only controls are kept
/// out: combining marks belong to the letters of many scripts.
fn is_allowed(text: &str) -> bool {
    text.chars().all(|character| match character.is_ascii() {
        true => character.is_ascii_alphanumeric() || " _.:/=+-@".contains(character),
        false => !character.is_control(),
    })
}

/// The `Tagging` document of these tags.
pub(crate) fn write_tag_set(tags: &[Tag]) -> Bytes {
    let mut xml = Xml::document("Tagging", tags.len() * 96);
    xml.open("TagSet");
    for tag in tags {
        write_tag(&mut xml, tag);
    }
    xml.close("TagSet");
    xml.into_bytes()
}

/// One `Tag` element.
pub(super) fn write_tag(xml: &mut Xml, tag: &Tag) {
    xml.open("Tag");
    xml.element("Key", &tag.key);
    xml.element("Value", &tag.value);
    xml.close("Tag");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(tags: &[(&str, &str)]) -> String {
        let tag = |(key, value): &(&str, &str)| format!("<Tag><Key>{key}</Key><Value>{value}</Value></Tag>");
        format!("<Tagging><TagSet>{}</TagSet></Tagging>", tags.iter().map(tag).collect::<String>())
    }

    fn code(tags: &[(&str, &str)]) -> Result<usize, S3ErrorCode> {
        let read = BucketTagging::parse(document(tags).as_bytes());
        read.map(|read| read.tags.len()).map_err(|error| error.code())
    }

    #[test]
    fn round_trip() {
        let text = document(&[("a", "1"), ("Größe mit Leerzeichen_.:/=+-@", ""), ("数", "é")]);
        let read = BucketTagging::parse(text.as_bytes()).unwrap();
        assert_eq!(BucketTagging::parse(&read.to_xml()).unwrap(), read);
        assert_eq!(code(&[]), Ok(0));
    }

    #[test]
    fn rules() {
        let many: Vec<String> = (0..51).map(|number| number.to_string()).collect();
        let many: Vec<(&str, &str)> = many.iter().map(|key| (key.as_str(), "")).collect();
        assert_eq!(code(&many[..50]), Ok(50));
        assert_eq!(code(&many), Err(S3ErrorCode::InvalidTag));
        let (key, value) = ("k".repeat(128), "v".repeat(256));
        assert_eq!(code(&[(&key, &value)]), Ok(1));
        for tags in [
            [("", "v"), ("b", "")],
            [(&*format!("{key}k"), ""), ("b", "")],
            [("a", &*format!("{value}v")), ("b", "")],
            [("a", "1"), ("a", "2")],
            [("aws:a", "1"), ("b", "")],
            [("AWS:a", "1"), ("b", "")],
            [("a?", "1"), ("b", "")],
            [("a", "b\u{7}"), ("b", "")],
        ] {
            let error = check_tags(&tags.map(|(key, value)| Tag { key: key.to_owned(), value: value.to_owned() }), 50);
            assert_eq!(error.unwrap_err().code(), S3ErrorCode::InvalidTag, "{tags:?}");
        }
        for text in [
            "<Tagging/>",
            "<Tagging><TagSet><Tag><Key>a</Key></Tag></TagSet></Tagging>",
            "<Tagging><TagSet><Tag><Key>a</Key><Value/><Key>b</Key></Tag></TagSet></Tagging>",
            "<Tagging><TagSet><Other/></TagSet></Tagging>",
        ] {
            assert_eq!(BucketTagging::parse(text.as_bytes()).unwrap_err().code(), S3ErrorCode::MalformedXML, "{text}");
        }
    }
}
