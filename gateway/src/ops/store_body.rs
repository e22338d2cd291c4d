//! A request body on its way into blocks, hashed as it passes.
//!
//! Invariant: what [`store_body`] returns was verified whole: length, digests, chunk signatures, trailers. Until it is
//! committed nobody can see it, and when it is dropped instead, its space is given back.

use crate::body::{BodyDigests, BodySpec};
use crate::encryption::{ContentSeal, TagRule, opaque_tag};
use crate::error::{S3Error, S3ErrorCode};
use crate::server::{GatewayState, Refusal, S3Request};
use granary_client::StoredContent;
use granary_protocol::encryption::{SealSalt, sealed_length};
use granary_protocol::object::{PART_BYTES_MAX, StorageClass};
use granary_sealing::ObjectWriter;
use http::header::TRANSFER_ENCODING;

/// Up to this size a body is collected whole and verified before its first byte is written.
const COLLECT_BYTES_MAX: u64 = 128 << 10;

/// A verified body, durable and not yet visible.
pub(super) struct StoredBody {
    /// Where it is; `None` for no bytes.
    pub content: Option<StoredContent>,
    /// Length and digests of what was sent.
    pub digests: BodyDigests,
    /// Under what it is sealed.
    pub salt: Option<SealSalt>,
    /// The entity tag: the MD5, or random where that would tell something of what is sealed.
    pub tag: [u8; 16],
}

impl StoredBody {
    /// What was stored of a body with these digests.
    pub fn new(content: Option<StoredContent>, digests: BodyDigests, seal: &SealedAs) -> Result<Self, Refusal> {
        let stored = content.as_ref().map_or(0, StoredContent::length);
        let expected = if seal.salt.is_some() { sealed_length(digests.length) } else { digests.length };
        assert_eq!(stored, expected, "the writer stores what it is given");
        let tag = match (&seal.tag, digests.md5) {
            (TagRule::Random, _) => opaque_tag()?,
            (TagRule::Md5, Some(md5)) => md5,
            (TagRule::Keyed(key), Some(md5)) => key.tag(&md5),
            (TagRule::Md5 | TagRule::Keyed(_), None) => return Err(S3ErrorCode::InternalError.into()),
        };
        Ok(Self { content, digests, salt: seal.salt, tag })
    }
}

/// What remains of a [`ContentSeal`] when its sealer is at work.
pub(super) struct SealedAs {
    pub salt: Option<SealSalt>,
    tag: TagRule,
}

impl SealedAs {
    /// Whether the MD5 is needed: by far the most expensive digest is left out where nobody is told of it.
    pub fn needs_md5(&self) -> bool {
        !matches!(self.tag, TagRule::Random)
    }
}

/// A writer of a content of `length` bytes, sealed or not.
pub(super) fn object_writer(
    state: &GatewayState,
    length: Option<u64>,
    class: StorageClass,
    seal: Option<ContentSeal>,
) -> (ObjectWriter, SealedAs) {
    let (sealer, sealed_as) = match seal {
        None => (None, SealedAs { salt: None, tag: TagRule::Md5 }),
        Some(seal) => (Some(seal.sealer), SealedAs { salt: Some(seal.salt), tag: seal.tag }),
    };
    (ObjectWriter::new(&state.client, length, class, sealer), sealed_as)
}

/// The specification of a body that becomes an object or a part, and its length. The file of a form has none: it ends where
/// the form says. Nor has a body in HTTP's own chunks, which end by themselves.
///
/// # Errors
/// `MissingContentLength`, `EntityTooLarge` beyond 5 GiB, and those of [`BodySpec::from_headers`].
pub(super) fn upload_spec(request: &S3Request) -> Result<(BodySpec, Option<u64>), S3Error> {
    let spec = request.body_spec()?.limit(PART_BYTES_MAX)?;
    let length = match request.form {
        Some(_) => None,
        None if request.headers.contains_key(TRANSFER_ENCODING) => spec.length(),
        None => Some(spec.require_length()?),
    };
    Ok((spec, length))
}

/// Reads, verifies and stores the body, sealed if it is to be.
pub(super) async fn store_body(
    state: &GatewayState,
    request: &mut S3Request,
    spec: BodySpec,
    class: StorageClass,
    seal: Option<ContentSeal>,
) -> Result<StoredBody, Refusal> {
    let length = spec.length();
    let (mut writer, sealed_as) = object_writer(state, length, class, seal);
    let mut body = request.read_body(if sealed_as.needs_md5() { spec.with_md5() } else { spec });
    let digests = if length.is_some_and(|length| length <= COLLECT_BYTES_MAX) {
        let (bytes, digests) = body.collect().await?;
        writer.write(bytes).await?;
        digests
    } else {
        while let Some(piece) = body.next_piece().await? {
            writer.write(piece).await?;
        }
        body.finish().await?
    };
    StoredBody::new(writer.finish().await?, digests, &sealed_as)
}
