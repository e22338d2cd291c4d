//! The query string, decoded: order, duplicates and the difference between `?x` and `?x=` are kept.
//!
//! Not here: the canonical query of a signature, which is made from the raw bytes (a query that is not UTF-8 has a
//! canonical form but no meaning, and is refused here).

use super::decode::percent_decode_utf8;
use crate::error::{S3Error, S3ErrorCode};

/// More parameters than any S3 request has; the rest would only cost time.
pub const QUERY_PARAMETERS_MAX: usize = 256;

/// A decoded query. Names are case-sensitive, as on AWS. Lookups are linear: requests carry a handful of parameters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    parameters: Vec<(String, Option<String>)>,
}

impl Query {
    /// Parses what follows the `?`. `+` is a space, empty pieces between `&` are skipped. `InvalidURI` for a bad escape,
    /// invalid UTF-8 or more than [`QUERY_PARAMETERS_MAX`] parameters.
    pub fn parse(raw: Option<&str>) -> Result<Self, S3Error> {
        let mut parameters = Vec::new();
        for piece in raw.unwrap_or_default().split('&').filter(|piece| !piece.is_empty()) {
            if parameters.len() == QUERY_PARAMETERS_MAX {
                return Err(S3Error::new(S3ErrorCode::InvalidURI));
            }
            let (name, value) = match piece.split_once('=') {
                Some((name, value)) => (name, Some(decode_component(value)?)),
                None => (piece, None),
            };
            parameters.push((decode_component(name)?, value));
        }
        Ok(Self { parameters })
    }

    /// Whether the parameter appears, with or without a value.
    pub fn contains(&self, name: &str) -> bool {
        self.parameters.iter().any(|(other, _)| other == name)
    }

    /// The first value; `?x` and `?x=` both give `Some("")`.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.get_raw(name).map(Option::unwrap_or_default)
    }

    /// The first occurrence, telling `?x` (`Some(None)`) from `?x=` (`Some(Some(""))`).
    pub fn get_raw(&self, name: &str) -> Option<Option<&str>> {
        let (_, value) = self.parameters.iter().find(|(other, _)| other == name)?;
        Some(value.as_deref())
    }

    /// The first value unless it is empty: S3 treats an empty marker, prefix or delimiter as absent.
    pub fn get_non_empty(&self, name: &str) -> Option<&str> {
        self.get(name).filter(|value| !value.is_empty())
    }

    /// Every value of a name, in order.
    pub fn get_all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.iter().filter(move |(other, _)| *other == name).map(|(_, value)| value.unwrap_or_default())
    }

    /// All parameters in the order received.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        self.parameters.iter().map(|(name, value)| (name.as_str(), value.as_deref()))
    }

    /// Whether there is no parameter.
    pub fn is_empty(&self) -> bool {
        self.parameters.is_empty()
    }
}

fn decode_component(raw: &str) -> Result<String, S3Error> {
    match (raw.contains('+'), raw.contains('%')) {
        (false, false) => Ok(raw.to_owned()),
        (false, true) => percent_decode_utf8(raw.as_bytes()),
        (true, _) => percent_decode_utf8(raw.replace('+', " ").as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_order_duplicates_and_emptiness() {
        let query = Query::parse(Some("uploads&a=1&&a=2&b=&c=x%3Dy+z%2B&%C3%A9=%2F")).unwrap();
        let all: Vec<_> = query.iter().collect();
        assert_eq!(
            all,
            [
                ("uploads", None),
                ("a", Some("1")),
                ("a", Some("2")),
                ("b", Some("")),
                ("c", Some("x=y z+")),
                ("é", Some("/"))
            ]
        );
        assert_eq!(query.get_raw("uploads"), Some(None));
        assert_eq!(query.get("uploads"), Some(""));
        assert_eq!(query.get_raw("b"), Some(Some("")));
        assert_eq!(query.get_non_empty("b"), None);
        assert_eq!(query.get_all("a").collect::<Vec<_>>(), ["1", "2"]);
        assert!(!query.contains("A"));
        assert!(Query::parse(None).unwrap().is_empty());
    }

    #[test]
    fn refuses_what_it_cannot_mean() {
        let many = "a&".repeat(QUERY_PARAMETERS_MAX + 1);
        for bad in ["a=%", "%f=1", "a=%ff", many.as_str()] {
            assert_eq!(Query::parse(Some(bad)).unwrap_err().code(), S3ErrorCode::InvalidURI);
        }
    }
}
