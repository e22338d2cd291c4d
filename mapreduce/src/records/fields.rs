//! Fields of lines and keys.

use crate::spec::{FieldSplit, KeyField};
use memchr::memmem;

/// Where the key of a line ends and its value begins. A line with fewer fields than the key has is all key, and its value
/// begins nowhere.
pub(crate) fn split_line(line: &[u8], split: &FieldSplit) -> (usize, Option<usize>) {
    let separator = split.separator.as_bytes();
    let mut at = 0;
    for _ in 0..split.key_fields {
        match find(&line[at..], separator) {
            Some(place) => at += place + separator.len(),
            None => return (line.len(), None),
        }
    }
    if split.key_fields == 0 { (0, Some(0)) } else { (at - separator.len(), Some(at)) }
}

fn find(text: &[u8], separator: &[u8]) -> Option<usize> {
    match separator {
        [byte] => memchr::memchr(*byte, text),
        _ => memmem::find(text, separator),
    }
}

/// The bytes of the key that the part names; empty where the key has not so many fields.
pub(super) fn part<'a>(key: &'a [u8], separator: &[u8], part: &KeyField) -> &'a [u8] {
    let Some(begin) = field_start(key, separator, part.from) else { return &[] };
    let begin = begin + part.from_byte.saturating_sub(1) as usize;
    let end = match part.to {
        None => key.len(),
        Some(to) => match field_start(key, separator, to) {
            None => key.len(),
            Some(start) => {
                let end = start + find(&key[start..], separator).unwrap_or(key.len() - start);
                if part.to_byte == 0 { end } else { end.min(start + part.to_byte as usize) }
            }
        },
    };
    key.get(begin.min(key.len())..end.max(begin).min(key.len())).unwrap_or_default()
}

/// Where field `number`, from 1, begins.
fn field_start(key: &[u8], separator: &[u8], number: u32) -> Option<usize> {
    let mut at = 0;
    for _ in 1..number {
        at += find(&key[at..], separator)? + separator.len();
    }
    Some(at)
}
