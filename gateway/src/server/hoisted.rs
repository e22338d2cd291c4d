//! `x-amz-*` parameters of a presigned URL, and its conditions: headers that its signer moved into the query.
//!
//! They mean there what they mean as headers, so they become headers before anybody looks at either: a checksum in the
//! query is verified, a condition holds, and a setting this store refuses is refused. The signature covers the whole query.

use crate::error::S3Error;
use crate::request::Query;
use http::header::{HeaderMap, HeaderName, HeaderValue};

const PREFIX: &str = "x-amz-";
/// Other headers that may come so: whoever hands out a URL says with them what it may not overwrite.
const CONDITIONS: [&str; 2] = ["if-match", "if-none-match"];
/// Parameters of the signature itself, in lower case, and an SDK's note about a header it did not write.
const NOT_HEADERS: [&str; 9] = [
    "x-amz-algorithm",
    "x-amz-content-sha256",
    "x-amz-credential",
    "x-amz-date",
    "x-amz-expires",
    "x-amz-sdk-checksum-algorithm",
    "x-amz-security-token",
    "x-amz-signature",
    "x-amz-signedheaders",
];

/// Adds the query's `x-amz-*` parameters and conditions to the headers.
///
/// # Errors
/// `InvalidArgument` for a value no header can hold, or one that differs from the header's own: it could be read two ways.
pub(super) fn add_hoisted(headers: &mut HeaderMap, query: &Query) -> Result<(), S3Error> {
    for (parameter, value) in query.iter() {
        let is_one_of = |names: &[&str]| names.iter().any(|name| parameter.eq_ignore_ascii_case(name));
        let is_hoisted = starts_with_prefix(parameter) || is_one_of(&CONDITIONS);
        if !is_hoisted || is_one_of(&NOT_HEADERS) {
            continue;
        }
        let name = parameter.to_ascii_lowercase();
        let text = value.unwrap_or_default();
        let refused = |message| S3Error::invalid_argument(message, &name, text.escape_default().to_string());
        let (Ok(header), Ok(value)) =
            (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_bytes(text.as_bytes()))
        else {
            return Err(refused("Parameter cannot be a header"));
        };
        match headers.get(&header) {
            Some(present) if *present != value => return Err(refused("Parameter and header differ")),
            Some(_) => {}
            None => {
                headers.insert(header, value);
            }
        }
    }
    Ok(())
}

fn starts_with_prefix(parameter: &str) -> bool {
    parameter.as_bytes().get(..PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(PREFIX.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_become_headers() {
        let mut headers = HeaderMap::new();
        headers.insert("x-amz-meta-a", HeaderValue::from_static("1"));
        let conditions = Query::parse(Some("If-None-Match=%2A&if-match=x&if-modified-since=x")).unwrap();
        let mut of_conditions = HeaderMap::new();
        add_hoisted(&mut of_conditions, &conditions).unwrap();
        assert_eq!((of_conditions.len(), &of_conditions["if-none-match"]), (2, &HeaderValue::from_static("*")));
        let add = |headers: &mut HeaderMap, raw: &str| add_hoisted(headers, &Query::parse(Some(raw)).unwrap());
        let raw =
            "X-Amz-Date=d&X-Amz-Signature=s&x-amz-checksum-crc32=AAAAAA%3D%3D&X-Amz-Acl=private&x-amz-meta-a=1&x-id=P";
        add(&mut headers, raw).unwrap();
        let mut names: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["x-amz-acl", "x-amz-checksum-crc32", "x-amz-meta-a"]);
        assert_eq!(headers["x-amz-checksum-crc32"], "AAAAAA==");
        for bad in ["x-amz-meta-a=2", "x-amz-meta-b=a%0Ab", "x-amz-%20=a"] {
            assert!(add(&mut headers, bad).is_err(), "{bad}");
        }
    }
}
