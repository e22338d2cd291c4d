//! XML documents from clients, read element by element.
//!
//! Bounds: depth, number of elements, and (before this) bytes. No document type, no entities but the five of XML itself,
//! no processing instructions. Namespaces are ignored, as AWS ignores them.

use crate::error::{S3Error, S3ErrorCode};
use quick_xml::Reader;
use quick_xml::escape::resolve_xml_entity;
use quick_xml::events::{BytesStart, Event};

/// How deep elements may nest.
const DEPTH_MAX: usize = 8;

/// A document being read.
pub(crate) struct XmlDocument<'x> {
    reader: Reader<&'x [u8]>,
    depth: usize,
    elements_left: usize,
    /// The `type` attribute of the element opened last.
    kind: Option<String>,
}

pub(super) enum Step {
    Open(String),
    Text(String),
    Close,
    End,
}

impl<'x> XmlDocument<'x> {
    /// Starts at the root element, which must be called `root`. `elements_max` bounds the elements of the document.
    ///
    /// # Errors
    /// Here and below `MalformedXML`.
    pub fn open(text: &'x [u8], root: &str, elements_max: usize) -> Result<Self, S3Error> {
        let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
        std::str::from_utf8(text).map_err(|_| malformed())?;
        let mut reader = Reader::from_reader(text);
        reader.config_mut().expand_empty_elements = true;
        let mut document = Self { reader, depth: 0, elements_left: elements_max, kind: None };
        match document.skip_space()? {
            Step::Open(name) if name == root => Ok(document),
            Step::Open(_) | Step::Text(_) | Step::Close | Step::End => Err(malformed()),
        }
    }

    /// The next element inside the one that is open; `None` when that one ends. Text between elements is refused.
    pub fn next_child(&mut self) -> Result<Option<String>, S3Error> {
        match self.skip_space()? {
            Step::Open(name) => Ok(Some(name)),
            Step::Close => Ok(None),
            Step::Text(_) | Step::End => Err(malformed()),
        }
    }

    /// The `xsi:type` attribute of the element just opened, whatever the prefix.
    pub fn type_attribute(&self) -> Option<&str> {
        self.kind.as_deref()
    }

    /// The text of the element just opened, to its end, exactly as written.
    pub fn text(&mut self) -> Result<String, S3Error> {
        let mut text = String::new();
        loop {
            match self.step()? {
                Step::Text(more) => text.push_str(&more),
                Step::Close => return Ok(text),
                Step::Open(_) | Step::End => return Err(malformed()),
            }
        }
    }

    /// The text of the element just opened as a number or other word, without space around it.
    pub fn parsed<T: std::str::FromStr>(&mut self) -> Result<T, S3Error> {
        self.text()?.trim().parse().map_err(|_| malformed())
    }

    /// Passes over the element just opened and everything in it.
    pub fn skip(&mut self) -> Result<(), S3Error> {
        let outside = self.depth - 1;
        while self.depth > outside {
            if let Step::End = self.step()? {
                return Err(malformed());
            }
        }
        Ok(())
    }

    /// After the root has ended: nothing may follow it.
    pub fn finish(mut self) -> Result<(), S3Error> {
        match self.skip_space()? {
            Step::End => Ok(()),
            Step::Open(_) | Step::Text(_) | Step::Close => Err(malformed()),
        }
    }

    fn skip_space(&mut self) -> Result<Step, S3Error> {
        loop {
            match self.step()? {
                Step::Text(text) if text.trim().is_empty() => {}
                step => return Ok(step),
            }
        }
    }

    pub(super) fn step(&mut self) -> Result<Step, S3Error> {
        loop {
            return match self.reader.read_event().map_err(|_| malformed())? {
                Event::Start(start) => {
                    self.depth += 1;
                    self.elements_left = self.elements_left.checked_sub(1).ok_or_else(malformed)?;
                    if self.depth > DEPTH_MAX {
                        return Err(malformed());
                    }
                    self.kind = type_of(&start)?;
                    Ok(Step::Open(start.local_name().as_ref().to_owned()))
                }
                Event::End(_) => {
                    self.depth = self.depth.checked_sub(1).ok_or_else(malformed)?;
                    Ok(Step::Close)
                }
                Event::Text(text) => Ok(Step::Text(text.xml10_content().into_owned())),
                Event::CData(text) => Ok(Step::Text(text.xml10_content().into_owned())),
                Event::GeneralRef(reference) => match reference.resolve_char_ref().map_err(|_| malformed())? {
                    Some(character) => Ok(Step::Text(character.to_string())),
                    None => {
                        let text = resolve_xml_entity(&reference.xml10_content()).ok_or_else(malformed)?;
                        Ok(Step::Text(text.to_owned()))
                    }
                },
                Event::Eof if self.depth == 0 => Ok(Step::End),
                Event::Decl(_) | Event::Comment(_) => continue,
                Event::Eof | Event::Empty(_) | Event::PI(_) | Event::DocType(_) => Err(malformed()),
            };
        }
    }
}

fn type_of(start: &BytesStart<'_>) -> Result<Option<String>, S3Error> {
    for attribute in start.attributes().with_checks(false) {
        let attribute = attribute.map_err(|_| malformed())?;
        if attribute.key.local_name().as_ref() == "type" {
            return Ok(Some(attribute.value.clone().into_owned()));
        }
    }
    Ok(None)
}

/// `MalformedXML`.
pub(crate) fn malformed() -> S3Error {
    S3Error::new(S3ErrorCode::MalformedXML)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn names(text: &str) -> Result<Vec<String>, S3Error> {
        let mut document = XmlDocument::open(text.as_bytes(), "R", 5)?;
        let mut found = Vec::new();
        while let Some(name) = document.next_child()? {
            match name.as_str() {
                "K" => found.push(document.text()?),
                _ => document.skip()?,
            }
        }
        document.finish()?;
        Ok(found)
    }

    #[test]
    fn reads_text_exactly() {
        let text = "\u{feff}<?xml version=\"1.0\"?>\n<R xmlns=\"x\"> <K> a&amp;b&#13;&#x1;<![CDATA[<]]> </K><!-- - -->\
                    <Other><Deep/>x</Other><p:K/></R>\n";
        assert_eq!(names(text).unwrap(), [" a&b\r\u{1}< ", ""]);
    }

    #[test]
    fn refuses_the_rest() {
        for text in [
            "",
            "R",
            "<R>",
            "<Q></Q>",
            "<R></Q>",
            "<R></R><R></R>",
            "<R>text</R>",
            "<R></R>x",
            "<R><K><K></K></K></R>",
            "<R><K>&foo;</K></R>",
            "<!DOCTYPE R [<!ENTITY foo \"x\">]><R><K>&foo;</K></R>",
            "<?php x?><R></R>",
            "<R><K/><K/><K/><K/><K/></R>",
            "<R><A><A><A><A><A><A><A><A></A></A></A></A></A></A></A></A></R>",
            "<R><K>&#0;</K></R>",
            "<R><K>&#xd800;</K></R>",
        ] {
            assert_eq!(names(text).unwrap_err().code(), S3ErrorCode::MalformedXML, "{text}");
        }
        assert!(XmlDocument::open(b"<R>\xff</R>", "R", 5).is_err());
    }

    proptest! {
        #[test]
        fn never_panics(text: Vec<u8>) {
            if let Ok(mut document) = XmlDocument::open(&text, "R", 5) {
                while let Ok(Some(_)) = document.next_child() {
                    if document.skip().is_err() {
                        break;
                    }
                }
            }
        }

        #[test]
        fn what_the_writer_wrote_is_read(key in "[\\PC\u{1}-\u{8}\n\r\t<>&\"']{0,40}") {
            let mut xml = crate::ops::xml_writer::Xml::document("R", 0);
            xml.element("K", &key);
            let crate::server::ResponseBody::Known(bytes) = xml.into_response().into_body() else { unreachable!() };
            prop_assert_eq!(names(std::str::from_utf8(&bytes).unwrap()).unwrap(), [key]);
        }
    }
}
