//! Header values beyond ASCII: what bytes mean, and how they are sent back (RFC 2047).
//!
//! S3 decodes encoded words when metadata are stored and encodes what is not ASCII when they are returned, so that every
//! client can read the answer. Bytes that are not UTF-8 are ISO 8859-1, as HTTP once had it.
//!
//! Source: "Working with object metadata", Amazon S3 user guide.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use std::fmt::Write as _;

/// Characters of what is encoded in one word: the word then has at most the 75 that RFC 2047 allows.
const WORD_CHARS_MAX: usize = 60;

/// The text of a header's bytes, with encoded words decoded. Words that cannot be decoded stay as they are.
pub fn decode_header_text(bytes: &[u8]) -> String {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text.trim().to_owned(),
        Err(_) => bytes.iter().map(|byte| char::from(*byte)).collect::<String>().trim().to_owned(),
    };
    if text.contains("=?") { decode_words(&text) } else { text }
}

/// The text as a header value: itself if it is ASCII, encoded words if not. As AWS does, text that is mostly ASCII is quoted
/// so that it can nearly be read, and other text is base64.
pub fn encode_header_text(text: &str) -> String {
    if text.is_ascii() {
        return text.to_owned();
    }
    let ascii = text.chars().filter(char::is_ascii).count();
    let is_quoted = 2 * ascii > text.chars().count();
    let mut words: Vec<String> = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (word, after) = rest.split_at(word_length(rest, is_quoted));
        words.push(match is_quoted {
            true => format!("=?UTF-8?Q?{}?=", encode_quoted(word)),
            false => format!("=?UTF-8?B?{}?=", BASE64.encode(word)),
        });
        rest = after;
    }
    words.join(" ")
}

/// How many bytes of a text, in whole characters, fit into one word.
fn word_length(text: &str, is_quoted: bool) -> usize {
    if !is_quoted {
        return text.floor_char_boundary(WORD_CHARS_MAX / 4 * 3);
    }
    let mut encoded = 0;
    let fits = |(_, character): &(usize, char)| {
        let bytes = character.len_utf8();
        encoded += if is_quoted_plain(*character) { 1 } else { 3 * bytes };
        encoded <= WORD_CHARS_MAX
    };
    text.char_indices().take_while(fits).map(|(at, character)| at + character.len_utf8()).last().unwrap_or(text.len())
}

/// Whether a character stands for itself in a quoted word, or a space for it.
fn is_quoted_plain(character: char) -> bool {
    character == ' ' || (character.is_ascii_graphic() && !matches!(character, '=' | '?' | '_'))
}

fn encode_quoted(text: &str) -> String {
    let mut encoded = String::with_capacity(WORD_CHARS_MAX);
    for byte in text.bytes() {
        match char::from(byte) {
            ' ' => encoded.push('_'),
            plain if byte.is_ascii() && is_quoted_plain(plain) => encoded.push(plain),
            _ => {
                let _infallible = write!(encoded, "={byte:02X}");
            }
        }
    }
    encoded
}

/// Space between two encoded words belongs to neither.
fn decode_words(text: &str) -> String {
    let mut decoded = String::with_capacity(text.len());
    let mut rest = text;
    let mut after_word = false;
    while let Some(at) = rest.find("=?") {
        let (before, word) = rest.split_at(at);
        if !(after_word && before.trim().is_empty()) {
            decoded.push_str(before);
        }
        match decode_word(word) {
            Some((text, length)) => {
                decoded.push_str(&text);
                rest = &word[length..];
                after_word = true;
            }
            None => {
                decoded.push_str("=?");
                rest = &word[2..];
                after_word = false;
            }
        }
    }
    decoded.push_str(rest);
    decoded
}

/// The word at the beginning of `text`, decoded, and its length.
fn decode_word(text: &str) -> Option<(String, usize)> {
    let inner = text.strip_prefix("=?")?;
    let mut pieces = inner.splitn(3, '?');
    let (charset, encoding, rest) = (pieces.next()?, pieces.next()?, pieces.next()?);
    let payload = &rest[..rest.find("?=")?];
    let bytes = match encoding {
        "B" | "b" => BASE64.decode(payload).ok()?,
        "Q" | "q" => decode_quoted(payload)?,
        _ => return None,
    };
    let decoded = match charset.to_ascii_lowercase().as_str() {
        "utf-8" | "us-ascii" => String::from_utf8(bytes).ok()?,
        "iso-8859-1" => bytes.into_iter().map(char::from).collect(),
        _ => return None,
    };
    // A control character could end the header it is sent back in.
    if decoded.chars().any(char::is_control) {
        return None;
    }
    Some((decoded, "=?".len() + charset.len() + 1 + encoding.len() + 1 + payload.len() + "?=".len()))
}

fn decode_quoted(payload: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(payload.len());
    let mut rest = payload.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        match first {
            b'_' => bytes.push(b' '),
            b'=' => {
                let digits = rest.get(..2)?;
                bytes.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
                rest = &rest[2..];
            }
            other => bytes.push(*other),
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_every_form() {
        for (bytes, text) in [
            (&b" plain "[..], "plain"),
            ("é".as_bytes(), "é"),
            (b"Hello World\xe9", "Hello Worldé"),
            (b"=?UTF-8?B?w6k=?=", "é"),
            (b"=?utf-8?Q?a_=C3=A9?=", "a é"),
            (b"=?ISO-8859-1?q?=e9?=", "é"),
            (b"x =?UTF-8?B?w6k=?= =?UTF-8?B?w6k=?= y", "x éé y"),
            (b"=?UTF-8?X?w6k=?=", "=?UTF-8?X?w6k=?="),
            (b"=?UTF-8?B?!!?=", "=?UTF-8?B?!!?="),
            (b"=?UTF-8?Q?a=0D=0Ab?=", "=?UTF-8?Q?a=0D=0Ab?="),
            (b"=?", "=?"),
            (b"1 =? 2", "1 =? 2"),
        ] {
            assert_eq!(decode_header_text(bytes), text, "{}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn what_is_mostly_ascii_can_nearly_be_read() {
        for (text, encoded) in [
            ("plain = ?", "plain = ?"),
            ("ÄMÄZÕÑ S3", "=?UTF-8?Q?=C3=84M=C3=84Z=C3=95=C3=91_S3?="),
            ("a_b?=é", "=?UTF-8?Q?a=5Fb=3F=3D=C3=A9?="),
            ("éa", "=?UTF-8?B?w6lh?="),
        ] {
            assert_eq!(encode_header_text(text), encoded);
        }
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(text in "[é€𝄞a-z_=?]{0,40}[ a-z]{0,60}") {
            let text = text.trim().to_owned();
            prop_assume!(!text.is_ascii());
            let encoded = encode_header_text(&text);
            prop_assert!(encoded.is_ascii());
            prop_assert!(encoded.split(' ').all(|word| word.len() <= 75));
            prop_assert_eq!(decode_header_text(encoded.as_bytes()), text);
        }

        #[test]
        fn never_panics(bytes: Vec<u8>) {
            let _text = decode_header_text(&bytes);
        }

        #[test]
        fn never_panics_on_words(text in "[=?BQ_a0U8é -]{0,60}") {
            let _text = decode_header_text(text.as_bytes());
        }
    }
}
