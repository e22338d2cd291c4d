//! A whole small XML document in memory, for those that are read by name and not in order.
//!
//! Strict as AWS's schema validation is: an element nobody asks for, a single one that comes twice, text where elements
//! belong and elements where text belongs are all `MalformedXML`.

use super::xml_reader::{Step, XmlDocument, malformed};
use crate::error::S3Error;
use std::str::FromStr;

/// An element: elements inside it, or text.
#[derive(Debug)]
pub(crate) struct Element {
    name: String,
    text: String,
    children: Vec<Element>,
}

impl Element {
    /// Reads a document whose root is called `root`, of at most `elements_max` elements.
    ///
    /// # Errors
    /// Here and below `MalformedXML`.
    pub fn parse(text: &[u8], root: &str, elements_max: usize) -> Result<Element, S3Error> {
        let mut xml = XmlDocument::open(text, root, elements_max)?;
        let element = read(&mut xml, root.to_owned())?;
        xml.finish()?;
        Ok(element)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The elements inside it, in order.
    pub fn children(&self) -> &[Element] {
        &self.children
    }

    /// Refuses elements that have none of these names.
    pub fn only(&self, names: &[&str]) -> Result<&Element, S3Error> {
        match self.children.iter().all(|child| names.contains(&child.name.as_str())) {
            true => Ok(self),
            false => Err(malformed()),
        }
    }

    /// All elements of a name.
    pub fn all<'e>(&'e self, name: &'e str) -> impl Iterator<Item = &'e Element> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// The one element of a name, if there is one.
    pub fn optional<'e>(&'e self, name: &'e str) -> Result<Option<&'e Element>, S3Error> {
        let mut found = self.all(name);
        match (found.next(), found.next()) {
            (first, None) => Ok(first),
            (_, Some(_)) => Err(malformed()),
        }
    }

    /// The one element of a name.
    pub fn required<'e>(&'e self, name: &'e str) -> Result<&'e Element, S3Error> {
        self.optional(name)?.ok_or_else(malformed)
    }

    /// Its text, exactly as written.
    pub fn text(&self) -> Result<&str, S3Error> {
        if self.children.is_empty() { Ok(&self.text) } else { Err(malformed()) }
    }

    /// Its text as a number or other word, without space around it.
    pub fn parsed<T: FromStr>(&self) -> Result<T, S3Error> {
        self.text()?.trim().parse().map_err(|_| malformed())
    }

    /// The text of the one element of a name, if there is one.
    pub fn optional_text(&self, name: &str) -> Result<Option<String>, S3Error> {
        self.optional(name)?.map(|child| child.text().map(str::to_owned)).transpose()
    }

    /// The text of the one element of a name.
    pub fn required_text(&self, name: &str) -> Result<String, S3Error> {
        self.required(name)?.text().map(str::to_owned)
    }

    /// `true` or `false` in the one element of a name, if there is one. As in XML schema, but in any case, as AWS reads it.
    pub fn optional_flag(&self, name: &str) -> Result<Option<bool>, S3Error> {
        let Some(text) = self.optional_text(name)? else { return Ok(None) };
        match text.trim().to_ascii_lowercase().as_str() {
            "true" | "1" => Ok(Some(true)),
            "false" | "0" => Ok(Some(false)),
            _ => Err(malformed()),
        }
    }
}

/// The rest of an element that was just opened. The depth is bounded by the reader.
fn read(xml: &mut XmlDocument<'_>, name: String) -> Result<Element, S3Error> {
    let mut element = Element { name, text: String::new(), children: Vec::new() };
    loop {
        match xml.step()? {
            Step::Open(name) => element.children.push(read(xml, name)?),
            Step::Text(text) => element.text.push_str(&text),
            Step::Close => break,
            Step::End => return Err(malformed()),
        }
    }
    if !element.children.is_empty() && !element.text.trim().is_empty() {
        return Err(malformed());
    }
    Ok(element)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Element, S3Error> {
        Element::parse(text.as_bytes(), "R", 10)
    }

    #[test]
    fn reads_by_name() {
        let root = parse("<R>\n <A> a&amp;b </A><L><N>1</N></L><L/><F>TRUE</F></R>").unwrap();
        assert_eq!(root.required_text("A").unwrap(), " a&b ");
        assert_eq!(root.all("L").count(), 2);
        assert!(root.optional("L").is_err());
        assert!(root.required("Z").is_err());
        assert_eq!(root.all("L").next().unwrap().required("N").unwrap().parsed::<u8>().unwrap(), 1);
        assert_eq!(root.optional_flag("F").unwrap(), Some(true));
        assert!(root.optional_flag("A").is_err());
        assert!(root.only(&["A", "L", "F"]).is_ok());
        assert!(root.only(&["A", "L"]).is_err());
        assert!(root.text().is_err());
    }

    #[test]
    fn refuses_the_rest() {
        for text in ["", "<Q/>", "<R>x<A/></R>", "<R><A></R>", "<R/><R/>", &format!("<R>{}</R>", "<A/>".repeat(10))] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
