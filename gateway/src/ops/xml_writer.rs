//! XML documents for clients.
//!
//! Invariant: text is escaped here and nowhere else. Control characters, which XML 1.0 cannot hold, become numeric
//! references, as AWS writes them; clients that may meet such keys ask for `encoding-type=url`.

use super::text::push_iso8601;
use crate::request::uri_encode_into;
use crate::server::{ResponseBody, S3Response};
use bytes::Bytes;
use granary_protocol::UnixMillis;
use http::header::{CONTENT_TYPE, HeaderValue};
use std::fmt::{Display, Write as _};

const DECLARATION: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";
const NAMESPACE: &str = "http://s3.amazonaws.com/doc/2006-03-01/";

/// A document being written.
pub(crate) struct Xml {
    out: String,
    root: &'static str,
    /// Keys, prefixes and delimiters are percent-encoded.
    url_encoded: bool,
}

impl Xml {
    /// Starts a document in S3's namespace.
    pub fn document(root: &'static str, capacity: usize) -> Self {
        let mut out = String::with_capacity(capacity + 256);
        out.push_str(DECLARATION);
        let _infallible = write!(out, "<{root} xmlns=\"{NAMESPACE}\">");
        Self { out, root, url_encoded: false }
    }

    /// Starts one of the few documents without a namespace.
    pub fn bare_document(root: &'static str) -> Self {
        Self { out: format!("{DECLARATION}<{root}>"), root, url_encoded: false }
    }

    /// From here on [`Xml::name`] percent-encodes.
    pub fn encode_names(&mut self, url_encoded: bool) {
        self.url_encoded = url_encoded;
    }

    /// `<tag>`
    pub fn open(&mut self, tag: &str) {
        self.out.push('<');
        self.out.push_str(tag);
        self.out.push('>');
    }

    /// `</tag>`
    pub fn close(&mut self, tag: &str) {
        self.out.push_str("</");
        self.out.push_str(tag);
        self.out.push('>');
    }

    /// Text of the element that is open.
    pub fn text(&mut self, text: &str) {
        push_escaped(&mut self.out, text);
    }

    /// An element with text.
    pub fn element(&mut self, tag: &str, text: &str) {
        self.open(tag);
        push_escaped(&mut self.out, text);
        self.close(tag);
    }

    /// An element whose text needs no escaping: numbers, flags, tags.
    pub fn plain(&mut self, tag: &str, value: impl Display) {
        self.open(tag);
        let _infallible = write!(self.out, "{value}");
        self.close(tag);
    }

    /// An element that holds a key, a prefix or a delimiter: percent-encoded if the client asked for that.
    pub fn name(&mut self, tag: &str, name: &str) {
        if !self.url_encoded {
            return self.element(tag, name);
        }
        let mut encoded = Vec::with_capacity(name.len() + 16);
        uri_encode_into(&mut encoded, name.as_bytes(), true);
        self.element(tag, std::str::from_utf8(&encoded).expect("percent-encoding yields ASCII"));
    }

    /// An element that holds a time.
    pub fn time(&mut self, tag: &str, at: UnixMillis) {
        self.open(tag);
        push_iso8601(&mut self.out, at);
        self.close(tag);
    }

    /// The document.
    pub fn into_bytes(mut self) -> Bytes {
        let root = self.root;
        self.close(root);
        Bytes::from(self.out)
    }

    /// The document as a 200 response.
    pub fn into_response(self) -> S3Response {
        let mut response = S3Response::new(ResponseBody::Known(self.into_bytes()));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/xml"));
        response
    }
}

fn push_escaped(out: &mut String, text: &str) {
    let is_plain = |byte: u8| byte >= b' ' && !matches!(byte, b'&' | b'<' | b'>' | b'"' | 0xef);
    if text.bytes().all(is_plain) {
        return out.push_str(text);
    }
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => {
                let _infallible = write!(out, "&#x{:x};", u32::from(character));
            }
            other => out.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(xml: Xml) -> String {
        let response = xml.into_response();
        let ResponseBody::Known(bytes) = response.into_body() else { panic!("a document is known") };
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    #[test]
    fn escapes_and_encodes() {
        let mut xml = Xml::document("R", 0);
        xml.element("A", "a<b>&\"c'\r\n\u{1}é\u{ffff}");
        xml.name("K", "a b/+\u{1}");
        xml.encode_names(true);
        xml.name("K", "a b/+\u{1}é");
        xml.plain("N", 7);
        xml.time("T", UnixMillis(0));
        assert_eq!(
            rendered(xml),
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<R xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
             <A>a&lt;b&gt;&amp;&quot;c'&#xd;&#xa;&#x1;é&#xffff;</A><K>a b/+&#x1;</K><K>a%20b/%2B%01%C3%A9</K><N>7</N>\
             <T>1970-01-01T00:00:00.000Z</T></R>"
        );
    }
}
