//! `CreateBucketConfiguration`: where a bucket is to be, and its tags.

use super::tagging::{BUCKET_TAGS_MAX, check_tags, read_tags};
use crate::error::{S3Error, S3ErrorCode};
use crate::ops::Element;
use granary_protocol::object::Tag;

const ELEMENTS_MAX: usize = 3 * (BUCKET_TAGS_MAX + 1) + 16;
/// The region that is meant when none is named, and whose buckets show none.
const CLASSIC_REGION: &str = "us-east-1";
/// What Europe was called when there was one region in it.
const FIRST_EUROPEAN: (&str, &str) = ("EU", "eu-west-1");

/// What the body of CreateBucket says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct CreateBucketConfiguration {
    /// The region, if it is named.
    pub location: Option<String>,
    /// The bucket's first tags.
    pub tags: Vec<Tag>,
}

impl CreateBucketConfiguration {
    /// Reads a body, which may be empty.
    ///
    /// # Errors
    /// `MalformedXML`, `InvalidTag`; `NotImplemented` for directory buckets.
    pub fn parse(text: &[u8]) -> Result<Self, S3Error> {
        if text.trim_ascii().is_empty() {
            return Ok(Self::default());
        }
        let root = Element::parse(text, "CreateBucketConfiguration", ELEMENTS_MAX)?;
        root.only(&["LocationConstraint", "Location", "Bucket", "Tags"])?;
        if let Some(name) = ["Location", "Bucket"].into_iter().find(|name| root.all(name).next().is_some()) {
            return Err(S3Error::new(S3ErrorCode::NotImplemented).field("Element", name));
        }
        let location = root.optional_text("LocationConstraint")?.map(|text| text.trim().to_owned());
        let tags = root.optional("Tags")?.map(read_tags).transpose()?.unwrap_or_default();
        check_tags(&tags, BUCKET_TAGS_MAX)?;
        Ok(Self { location: location.filter(|location| !location.is_empty()), tags })
    }

    /// Whether a bucket like this may be created in this store's region.
    ///
    /// # Errors
    /// `InvalidLocationConstraint` for what is no region, `IllegalLocationConstraintException` for another region, and
    /// for none where the store's is not the classic one.
    pub fn check_location(&self, region: &str) -> Result<(), S3Error> {
        let location = match self.location.as_deref() {
            Some(location) if location == FIRST_EUROPEAN.0 => Some(FIRST_EUROPEAN.1),
            other => other,
        };
        let refused = |location: &str| {
            let message = format!(
                "The {location} location constraint is incompatible for the region specific endpoint this request was \
                 sent to."
            );
            Err(S3Error::with_message(S3ErrorCode::IllegalLocationConstraintException, message))
        };
        match location {
            Some(location) if location == region => Ok(()),
            None if region == CLASSIC_REGION => Ok(()),
            None => refused("unspecified"),
            Some(location) if looks_like_region(location) => refused(location),
            Some(location) => {
                Err(S3Error::new(S3ErrorCode::InvalidLocationConstraint).field("LocationConstraint", location))
            }
        }
    }
}

/// `eu-west-1`, `us-gov-east-1`.
fn looks_like_region(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let is_word = |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase());
    let is_number = |part: &str| part.len() == 1 && part.as_bytes()[0].is_ascii_digit();
    matches!(parts.as_slice(), [words @ .., last] if words.len() >= 2 && words.iter().all(is_word) && is_number(last))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(inner: &str) -> Result<CreateBucketConfiguration, S3Error> {
        let text = format!(
            "<CreateBucketConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">{inner}\
             </CreateBucketConfiguration>"
        );
        CreateBucketConfiguration::parse(text.as_bytes())
    }

    #[test]
    fn bodies() {
        for empty in ["", " \n", "<CreateBucketConfiguration/>"] {
            assert_eq!(
                CreateBucketConfiguration::parse(empty.as_bytes()).unwrap(),
                CreateBucketConfiguration::default()
            );
        }
        let read = parse(
            "<LocationConstraint>eu-west-1</LocationConstraint><Tags><Tag><Key>a</Key><Value>b</Value></Tag></Tags>",
        )
        .unwrap();
        assert_eq!(read.location.as_deref(), Some("eu-west-1"));
        assert_eq!(read.tags, [Tag { key: "a".to_owned(), value: "b".to_owned() }]);
        assert_eq!(CreateBucketConfiguration::parse(b"<Other/>").unwrap_err().code(), S3ErrorCode::MalformedXML);
        assert_eq!(parse("<Other/>").unwrap_err().code(), S3ErrorCode::MalformedXML);
        assert_eq!(parse("<Bucket><Type>Directory</Type></Bucket>").unwrap_err().code(), S3ErrorCode::NotImplemented);
        let twice = "<Tag><Key>a</Key><Value/></Tag>".repeat(2);
        assert_eq!(parse(&format!("<Tags>{twice}</Tags>")).unwrap_err().code(), S3ErrorCode::InvalidTag);
    }

    #[test]
    fn locations() {
        let check = |location: &str, region: &str| {
            let location = Some(location.to_owned()).filter(|location| !location.is_empty());
            let configuration = CreateBucketConfiguration { location, tags: Vec::new() };
            configuration.check_location(region).map_err(|error| error.code())
        };
        for (location, region) in [("", "us-east-1"), ("us-east-1", "us-east-1"), ("EU", "eu-west-1"), ("home", "home")]
        {
            assert_eq!(check(location, region), Ok(()), "{location} {region}");
        }
        let illegal = Err(S3ErrorCode::IllegalLocationConstraintException);
        assert_eq!(check("eu-west-1", "us-east-1"), illegal);
        assert_eq!(check("us-gov-east-1", "us-east-1"), illegal);
        assert_eq!(check("", "eu-west-1"), illegal);
        assert_eq!(check("nowhere", "us-east-1"), Err(S3ErrorCode::InvalidLocationConstraint));
    }
}
