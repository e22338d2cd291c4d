//! The trailers behind the last chunk: `name:value` lines and, if signed, `x-amz-trailer-signature`.

use crate::checksum::{Checksum, ChecksumAlgorithm};
use crate::error::{S3Error, S3ErrorCode};

/// Trailers of one body, complete.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Trailers {
    /// The checksum announced by `x-amz-trailer`.
    pub(super) checksum: Option<Checksum>,
    /// The signature over [`Trailers::canonical`], lower-case hex.
    pub(super) signature: Option<[u8; 64]>,
    /// `name:value\n`, the text that is signed.
    pub(super) canonical: Vec<u8>,
}

impl Trailers {
    /// Adds a line without its end. Only the announced checksum and the signature may appear, each once.
    pub(super) fn add_line(
        &mut self,
        line: &[u8],
        announced: Option<ChecksumAlgorithm>,
        signed: bool,
    ) -> Result<(), S3Error> {
        let text = std::str::from_utf8(line).map_err(|_| malformed())?;
        let (name, value) = text.split_once(':').ok_or_else(malformed)?;
        let (name, value) = (name.trim(), value.trim());
        if signed && name.eq_ignore_ascii_case("x-amz-trailer-signature") {
            let signature = parse_signature(value.as_bytes()).ok_or_else(malformed)?;
            return if self.signature.replace(signature).is_none() { Ok(()) } else { Err(malformed()) };
        }
        // A trailer after the signature would not be covered by it.
        let algorithm = announced.filter(|algorithm| {
            name.eq_ignore_ascii_case(algorithm.header_name()) && self.signature.is_none() && self.checksum.is_none()
        });
        let algorithm = algorithm.ok_or_else(malformed)?;
        self.checksum = Some(Checksum::parse(algorithm, value, "trailing header")?);
        self.canonical = format!("{}:{value}\n", algorithm.header_name()).into_bytes();
        Ok(())
    }

    /// Whether everything that must be there is.
    pub(super) fn is_complete(&self, announced: Option<ChecksumAlgorithm>, signed: bool) -> bool {
        (announced.is_none() || self.checksum.is_some()) && (!signed || self.signature.is_some())
    }
}

/// 64 lower-case hex digits.
pub(super) fn parse_signature(text: &[u8]) -> Option<[u8; 64]> {
    let signature: [u8; 64] = text.try_into().ok()?;
    signature.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')).then_some(signature)
}

pub(super) fn malformed() -> S3Error {
    S3Error::new(S3ErrorCode::MalformedTrailerError)
}
