//! Percent coding as S3 uses it: RFC 3986 escapes, nothing resolved, nothing folded, no `+` in paths.
//!
//! Invariant: decoding then encoding is a canonical form: two inputs have the same canonical form exactly when they
//! decode to the same bytes. Signatures rely on that.

use crate::error::{S3Error, S3ErrorCode};

/// Decodes every `%XX`. A `%` without two hex digits is refused with `InvalidURI`; all other bytes are literal.
pub fn percent_decode(raw: &[u8]) -> Result<Vec<u8>, S3Error> {
    let mut decoded = Vec::with_capacity(raw.len());
    let mut pieces = raw.split(|&byte| byte == b'%');
    decoded.extend_from_slice(pieces.next().unwrap_or_default());
    for piece in pieces {
        let escape = match piece {
            [high, low, ..] => hex_value(*high).zip(hex_value(*low)),
            _ => None,
        };
        let (high, low) = escape.ok_or_else(|| S3Error::new(S3ErrorCode::InvalidURI))?;
        decoded.push(high << 4 | low);
        decoded.extend_from_slice(&piece[2..]);
    }
    Ok(decoded)
}

/// Decodes to text; invalid UTF-8 is refused with `InvalidURI`.
pub(super) fn percent_decode_utf8(raw: &[u8]) -> Result<String, S3Error> {
    String::from_utf8(percent_decode(raw)?).map_err(|_| S3Error::new(S3ErrorCode::InvalidURI))
}

/// Appends the `UriEncode` of the SigV4 documentation: unreserved characters stay, everything else is `%XX` in upper
/// case; `/` stays when `keep_slash`.
pub fn uri_encode_into(out: &mut Vec<u8>, bytes: &[u8], keep_slash: bool) {
    // Most names are nothing but unreserved characters: they are copied whole, others run by run.
    if bytes.iter().all(|&byte| is_literal(byte, keep_slash)) {
        out.extend_from_slice(bytes);
        return;
    }
    for run in bytes.chunk_by(|_, &next| is_literal(next, keep_slash)) {
        push_uri_encoded(out, run[0], keep_slash);
        out.extend_from_slice(&run[1..]);
    }
}

fn is_literal(byte: u8, keep_slash: bool) -> bool {
    is_unreserved(byte) || (keep_slash && byte == b'/')
}

/// One byte of [`uri_encode_into`].
pub(crate) fn push_uri_encoded(out: &mut Vec<u8>, byte: u8, keep_slash: bool) {
    const HEX_UPPER: &[u8; 16] = b"0123456789ABCDEF";
    if is_literal(byte, keep_slash) {
        out.push(byte);
    } else {
        out.extend_from_slice(&[b'%', HEX_UPPER[usize::from(byte >> 4)], HEX_UPPER[usize::from(byte & 15)]]);
    }
}

/// The unreserved characters of RFC 3986.
pub(crate) const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// The value of one hex digit, either case.
pub(crate) const fn hex_value(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn decodes_once_and_literally() {
        assert_eq!(percent_decode(b"a%2Fb%2f+%252e..//.").unwrap(), b"a/b/+%2e..//.");
        for malformed in ["%", "a%2", "%zz", "%2x", "%+1"] {
            assert_eq!(
                percent_decode(malformed.as_bytes()).unwrap_err().code(),
                S3ErrorCode::InvalidURI,
                "{malformed}"
            );
        }
        assert!(percent_decode_utf8(b"%ff").is_err());
        assert_eq!(percent_decode_utf8(b"%C3%a9").unwrap(), "é");
    }

    proptest! {
        #[test]
        fn encode_then_decode_is_identity(bytes: Vec<u8>, keep_slash: bool) {
            let mut encoded = Vec::new();
            uri_encode_into(&mut encoded, &bytes, keep_slash);
            prop_assert_eq!(percent_decode(&encoded).unwrap(), bytes);
        }
    }
}
