//! Fields of a key as `sort` and Hadoop's KeyFieldBased classes name them: `-k1,2`, `-k2.3,2.5nr`.

use super::SpecError;
use super::limits;
use serde::{Deserialize, Serialize};

/// Parts of a key and what separates its fields. The text is kept as given and parsed where it is used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyFields {
    /// One or more of `-k` options, and `-n`, `-r` for all that have none of their own.
    pub options: String,
    #[serde(default = "tab")]
    pub separator: String,
}

fn tab() -> String {
    "\t".into()
}

/// One part of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyField {
    /// First field, from 1.
    pub from: u32,
    /// First byte in it, from 1.
    pub from_byte: u32,
    /// Last field, or to the end of the key.
    pub to: Option<u32>,
    /// Last byte in it; zero: its end.
    pub to_byte: u32,
    pub numeric: bool,
    pub reverse: bool,
}

impl KeyFields {
    /// The parts, in the order of their weight. Without any `-k` the whole key is one part.
    pub fn parse(&self) -> Result<Vec<KeyField>, SpecError> {
        let invalid = || SpecError::KeyFieldsInvalid { text: self.options.clone() };
        let mut all = KeyField { from: 1, from_byte: 1, to: None, to_byte: 0, numeric: false, reverse: false };
        let mut parts = Vec::new();
        let mut words = self.options.split_whitespace();
        while let Some(word) = words.next() {
            let option = word.strip_prefix('-').ok_or_else(invalid)?;
            match option.strip_prefix('k') {
                Some("") => parts.push(part(words.next().ok_or_else(invalid)?).ok_or_else(invalid)?),
                Some(text) => parts.push(part(text).ok_or_else(invalid)?),
                None => modifiers(option, &mut all).filter(|()| !option.is_empty()).ok_or_else(invalid)?,
            }
        }
        for (field, own) in &mut parts {
            if !*own {
                (field.numeric, field.reverse) = (all.numeric, all.reverse);
            }
        }
        let parts: Vec<KeyField> = parts.into_iter().map(|(field, _)| field).collect();
        Ok(if parts.is_empty() { vec![all] } else { parts })
    }
}

/// `2.3,2.5nr`, and whether it has modifiers of its own.
fn part(text: &str) -> Option<(KeyField, bool)> {
    let mut field = KeyField { from: 1, from_byte: 1, to: None, to_byte: 0, numeric: false, reverse: false };
    let (start, end) = match text.split_once(',') {
        Some((start, end)) => (start, Some(end)),
        None => (text, None),
    };
    let mut own = false;
    let (from, from_byte, rest) = position(start)?;
    own |= !rest.is_empty();
    modifiers(rest, &mut field)?;
    (field.from, field.from_byte) = (from, from_byte.unwrap_or(1).max(1));
    if let Some(end) = end {
        let (to, to_byte, rest) = position(end)?;
        own |= !rest.is_empty();
        modifiers(rest, &mut field)?;
        (field.to, field.to_byte) = (Some(to), to_byte.unwrap_or(0));
        if to < from {
            return None;
        }
    }
    Some((field, own))
}

/// `2.3` and what follows it.
fn position(text: &str) -> Option<(u32, Option<u32>, &str)> {
    let (field, rest) = number(text)?;
    if field == 0 || field > limits::KEY_FIELDS_MAX {
        return None;
    }
    match rest.strip_prefix('.') {
        Some(rest) => number(rest).map(|(byte, rest)| (field, Some(byte), rest)),
        None => Some((field, None, rest)),
    }
}

fn number(text: &str) -> Option<(u32, &str)> {
    let digits = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    text[..digits].parse().ok().map(|value| (value, &text[digits..]))
}

fn modifiers(text: &str, field: &mut KeyField) -> Option<()> {
    for letter in text.chars() {
        match letter {
            'n' => field.numeric = true,
            'r' => field.reverse = true,
            _ => return None,
        }
    }
    Some(())
}
