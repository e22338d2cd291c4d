//! Requests prepared before the clock starts, and what a right answer to each looks like.
//!
//! Heads lie one after the other in one allocation; bodies are ranges of the shared [`Payload`](crate::payload).

use std::ops::Range;

use crate::http::{Body, Response};
use crate::payload::{Payload, SplitMix64};
use crate::presign::Presigner;

/// What the answer to a request must be.
#[derive(Clone)]
pub enum Expected {
    /// A PUT: 200.
    Stored,
    /// A GET: 200 and these bytes of the payload.
    Object(Range<usize>),
    /// A HEAD: 200 and this length.
    ObjectHead(u64),
    /// A DELETE: 204, or 200 from stores that answer so.
    Deleted,
    /// A listing: 200 with so many `<Key>` and `<CommonPrefixes>` elements.
    Listing { keys: usize, prefixes: usize },
}

impl Expected {
    /// What to do with the body: only every so many responses are looked at, the others are drained.
    pub fn body<'a>(&self, payload: &'a Payload, inspect: bool) -> Body<'a> {
        match self {
            Self::Object(range) if inspect => Body::Compare(payload.slice(range)),
            Self::Listing { .. } if inspect => Body::Keep,
            _ => Body::Drain,
        }
    }

    /// `kept` is the body if [`Expected::body`] asked to keep it. Returns what is wrong, if anything is.
    pub fn check(&self, response: &Response, kept: &[u8], inspect: bool, lenient: bool) -> Option<String> {
        let right_status = match self {
            Self::Deleted => matches!(response.status, 200 | 204),
            Self::Stored if lenient => matches!(response.status, 200 | 201 | 204),
            _ => response.status == 200,
        };
        if !right_status {
            let text = String::from_utf8_lossy(&kept[..kept.len().min(300)]);
            return Some(format!("status {}: {text}", response.status));
        }
        let length = match self {
            Self::Object(range) => Some(range.len() as u64),
            Self::ObjectHead(bytes) => Some(*bytes),
            _ => None,
        };
        if let Some(bytes) = length
            && bytes != response.body_bytes
        {
            return Some(format!("{} bytes where {bytes} were stored", response.body_bytes));
        }
        if !response.body_matches {
            return Some("the bytes differ from those stored".to_owned());
        }
        match self {
            Self::Listing { keys, prefixes } if inspect => {
                let found = (count(kept, b"<Key>"), count(kept, b"<CommonPrefixes>"));
                (found != (*keys, *prefixes))
                    .then(|| format!("listing of {} keys, {} prefixes; expected {keys}, {prefixes}", found.0, found.1))
            }
            _ => None,
        }
    }

    /// Object bytes this exchange moves, in either direction.
    fn object_bytes(&self, body: &Range<usize>) -> u64 {
        match self {
            Self::Object(range) => range.len() as u64,
            _ => body.len() as u64,
        }
    }
}

fn count(haystack: &[u8], needle: &[u8]) -> usize {
    haystack.windows(needle.len()).filter(|window| window == &needle).count()
}

struct Entry {
    head: Range<usize>,
    body: Range<usize>,
    expected: Expected,
}

/// One prepared request.
pub struct Request<'a> {
    pub head: &'a [u8],
    /// Range of the payload.
    pub body: &'a Range<usize>,
    pub expected: &'a Expected,
    pub object_bytes: u64,
}

/// The requests of one phase, in the order they are sent.
#[derive(Default)]
pub struct RequestSet {
    heads: Vec<u8>,
    entries: Vec<Entry>,
}

impl RequestSet {
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn get(&self, index: usize) -> Request<'_> {
        let entry = &self.entries[index];
        Request {
            head: &self.heads[entry.head.clone()],
            body: &entry.body,
            expected: &entry.expected,
            object_bytes: entry.expected.object_bytes(&entry.body),
        }
    }

    /// Appends a signed request for `path` (bucket and key, from the slash on).
    pub fn push(
        &mut self,
        presigner: &Presigner,
        method: &str,
        path: &str,
        query: &[(&str, &str)],
        body: Range<usize>,
        expected: Expected,
    ) {
        let start = self.heads.len();
        let target = presigner.target(method, path, query);
        self.heads
            .extend_from_slice(format!("{method} {target} HTTP/1.1\r\nHost: {}\r\n", presigner.host()).as_bytes());
        if method == "PUT" {
            self.heads.extend_from_slice(format!("Content-Length: {}\r\n", body.len()).as_bytes());
        }
        self.heads.extend_from_slice(b"\r\n");
        self.entries.push(Entry { head: start..self.heads.len(), body, expected });
    }

    /// Puts the requests into another order.
    pub fn shuffle(&mut self, random: &mut SplitMix64) {
        random.shuffle(&mut self.entries);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(status: u16, body_bytes: u64) -> Response {
        Response { status, body_bytes, body_matches: true }
    }

    #[test]
    fn a_status_or_length_that_is_not_right_is_told() {
        let check = |expected: &Expected, response: &Response| expected.check(response, b"", true, false);
        assert_eq!(check(&Expected::Stored, &response(200, 0)), None);
        assert_eq!(check(&Expected::Deleted, &response(204, 0)), None);
        assert_eq!(check(&Expected::Object(8..12), &response(200, 4)), None);
        for (expected, wrong) in [
            (Expected::Stored, response(201, 0)),
            (Expected::Deleted, response(404, 0)),
            (Expected::Object(8..12), response(200, 3)),
            (Expected::Object(8..12), response(206, 4)),
            (Expected::Object(8..12), Response { body_matches: false, ..response(200, 4) }),
            (Expected::ObjectHead(4), response(200, 5)),
        ] {
            assert!(check(&expected, &wrong).is_some());
        }
    }

    #[test]
    fn listings_are_counted() {
        let listing = Expected::Listing { keys: 2, prefixes: 1 };
        let body = b"<Contents><Key>a</Key></Contents><Contents><Key>b</Key></Contents><CommonPrefixes/>";
        let whole = b"<Key>a</Key><Key>b</Key><CommonPrefixes><Prefix>c/</Prefix></CommonPrefixes>";
        assert!(listing.check(&response(200, 0), body, true, false).is_some());
        assert_eq!(listing.check(&response(200, 0), whole, true, false), None);
    }
}
