//! The canonical request, made from the request *as received*.
//!
//! Path and query are decoded and encoded again, so that any spelling of the same bytes (lower-case escapes, unescaped
//! UTF-8, over-escaping) is verified against the one spelling signers use. [`Spelling::AsSent`] is the other reading:
//! signers that copy their own path and query verbatim. Both describe the same bytes, so accepting either signs no
//! request for another meaning.

use std::ops::Range;

use http::HeaderMap;

use crate::error::{S3Error, S3ErrorCode};
use crate::request::QUERY_PARAMETERS_MAX;
use crate::request::{percent_decode, uri_encode_into};

/// What of a request is signed.
#[derive(Clone, Copy)]
pub(super) struct SignedParts<'r> {
    pub(super) method: &'r str,
    pub(super) raw_path: &'r str,
    pub(super) raw_query: &'r str,
    pub(super) headers: &'r HeaderMap,
    /// The value of the signed `host` header: what was received, or a public name of this server.
    pub(super) host: &'r str,
    /// Names as listed in `SignedHeaders`, `;` between them.
    pub(super) signed_headers: &'r str,
    /// The last line of the canonical request.
    pub(super) payload_hash: &'r str,
}

/// How path and query are written in the canonical request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spelling {
    /// As the SigV4 documentation says.
    Normalised,
    /// As they were sent; query parameters are still sorted.
    AsSent,
}

/// Writes the canonical request. `InvalidURI` for escapes that decode to nothing or too many query parameters.
pub(super) fn canonical_request(parts: &SignedParts<'_>, spelling: Spelling) -> Result<Vec<u8>, S3Error> {
    let mut out = Vec::with_capacity(1024);
    out.extend_from_slice(parts.method.as_bytes());
    out.push(b'\n');
    push_path(&mut out, parts.raw_path, spelling)?;
    out.push(b'\n');
    push_query(&mut out, parts.raw_query, spelling)?;
    out.push(b'\n');
    for name in parts.signed_headers.split(';') {
        push_header(&mut out, parts, name);
    }
    out.push(b'\n');
    out.extend_from_slice(parts.signed_headers.as_bytes());
    out.push(b'\n');
    out.extend_from_slice(parts.payload_hash.as_bytes());
    Ok(out)
}

fn push_path(out: &mut Vec<u8>, raw: &str, spelling: Spelling) -> Result<(), S3Error> {
    match spelling {
        Spelling::AsSent => out.extend_from_slice(raw.as_bytes()),
        Spelling::Normalised => push_normalised(out, raw, true)?,
    }
    Ok(())
}

fn push_normalised(out: &mut Vec<u8>, raw: &str, keep_slash: bool) -> Result<(), S3Error> {
    if raw.contains('%') {
        uri_encode_into(out, &percent_decode(raw.as_bytes())?, keep_slash);
    } else {
        uri_encode_into(out, raw.as_bytes(), keep_slash);
    }
    Ok(())
}

/// Parameters sorted by name, then value, both as encoded; `X-Amz-Signature` is left out.
fn push_query(out: &mut Vec<u8>, raw: &str, spelling: Spelling) -> Result<(), S3Error> {
    if raw.is_empty() {
        return Ok(());
    }
    let mut encoded = Vec::with_capacity(raw.len() + 16);
    let mut parameters: Vec<(Range<usize>, Range<usize>)> = Vec::with_capacity(8);
    for piece in raw.split('&').filter(|piece| !piece.is_empty()) {
        let (name, value) = piece.split_once('=').unwrap_or((piece, ""));
        let start = encoded.len();
        push_component(&mut encoded, name, spelling)?;
        let middle = encoded.len();
        if &encoded[start..middle] == b"X-Amz-Signature" {
            encoded.truncate(start);
            continue;
        }
        if parameters.len() == QUERY_PARAMETERS_MAX {
            return Err(S3Error::new(S3ErrorCode::InvalidURI));
        }
        push_component(&mut encoded, value, spelling)?;
        parameters.push((start..middle, middle..encoded.len()));
    }
    parameters.sort_by(|(name, value), (other_name, other_value)| {
        let by_name = encoded[name.clone()].cmp(&encoded[other_name.clone()]);
        by_name.then_with(|| encoded[value.clone()].cmp(&encoded[other_value.clone()]))
    });
    for (index, (name, value)) in parameters.into_iter().enumerate() {
        if index > 0 {
            out.push(b'&');
        }
        out.extend_from_slice(&encoded[name]);
        out.push(b'=');
        out.extend_from_slice(&encoded[value]);
    }
    Ok(())
}

fn push_component(out: &mut Vec<u8>, raw: &str, spelling: Spelling) -> Result<(), S3Error> {
    match spelling {
        Spelling::AsSent => {
            out.extend_from_slice(raw.as_bytes());
            Ok(())
        }
        Spelling::Normalised if raw.contains('+') => push_normalised(out, &raw.replace('+', " "), false),
        Spelling::Normalised => push_normalised(out, raw, false),
    }
}

/// `name:value\n`, the values of repeated headers joined by commas.
fn push_header(out: &mut Vec<u8>, parts: &SignedParts<'_>, name: &str) {
    out.extend_from_slice(name.as_bytes());
    out.push(b':');
    if name == "host" {
        push_trimmed(out, parts.host.as_bytes());
    } else {
        for (index, value) in parts.headers.get_all(name).iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            push_trimmed(out, value.as_bytes());
        }
    }
    out.push(b'\n');
}

/// Trims, and makes every run of blanks one space, as all signers do.
fn push_trimmed(out: &mut Vec<u8>, value: &[u8]) {
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let words = value.split(is_blank).filter(|word| !word.is_empty());
    for (index, word) in words.enumerate() {
        if index > 0 {
            out.push(b' ');
        }
        out.extend_from_slice(word);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(raw_path: &str, raw_query: &str, spelling: Spelling) -> String {
        let mut headers = HeaderMap::new();
        headers.append("x-amz-meta-a", "  one   two\t".parse().unwrap());
        headers.append("x-amz-meta-a", "three".parse().unwrap());
        let parts = SignedParts {
            method: "GET",
            raw_path,
            raw_query,
            headers: &headers,
            host: " h ",
            signed_headers: "host;x-amz-meta-a",
            payload_hash: "UNSIGNED-PAYLOAD",
        };
        String::from_utf8(canonical_request(&parts, spelling).unwrap()).unwrap()
    }

    #[test]
    fn spellings_of_one_path_meet() {
        let expected =
            "GET\n/b/%C3%A9%20~a/b%2B\n\nhost:h\nx-amz-meta-a:one two,three\n\nhost;x-amz-meta-a\nUNSIGNED-PAYLOAD";
        for path in ["/b/%C3%A9%20~a/b%2B", "/b/%c3%a9%20%7ea/b%2b", "/b/é%20~a/b+", "/%62/é%20%7Ea%2Fb+"] {
            assert_eq!(canonical(path, "", Spelling::Normalised), expected, "{path}");
        }
        assert!(canonical("/b/a//../%2e", "", Spelling::Normalised).contains("\n/b/a//../.\n"));
        assert!(canonical("/b/%c3", "", Spelling::AsSent).contains("\n/b/%c3\n"));
    }

    #[test]
    fn queries_are_sorted_and_kept() {
        let query = |raw, spelling| canonical("/", raw, spelling).lines().nth(2).unwrap().to_owned();
        let normalised = |raw| query(raw, Spelling::Normalised);
        assert_eq!(normalised("b=2&a=1&a=0&uploads&c="), "a=0&a=1&b=2&c=&uploads=");
        assert_eq!(normalised("a=x+y%2fz&X-Amz-Signature=0&%41=%ff"), "A=%FF&a=x%20y%2Fz");
        assert_eq!(normalised("prefix=a=b"), "prefix=a%3Db");
        assert_eq!(query("b=x+y&a", Spelling::AsSent), "a=&b=x+y");
        let many = "a&".repeat(QUERY_PARAMETERS_MAX + 1);
        let mut out = Vec::new();
        assert!(push_query(&mut out, &many, Spelling::Normalised).is_err());
    }
}
