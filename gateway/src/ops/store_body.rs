//! A request body on its way into blocks, hashed as it passes.
//!
//! Invariant: what [`store_body`] returns was verified whole: length, digests, chunk signatures, trailers. Until it is
//! committed nobody can see it, and when it is dropped instead, its space is given back.

use crate::body::{BodyDigests, BodySpec};
use crate::error::{S3Error, S3ErrorCode};
use crate::server::{GatewayState, Refusal, S3Request};
use granary_client::StoredContent;
use granary_protocol::object::{PART_BYTES_MAX, StorageClass};

/// From this size on, what can be checked in the metadata is checked before the body is read. Smaller bodies are already
/// here, or nearly, and the commit checks everything anyway.
pub(super) const CHECK_FIRST_BYTES: u64 = 1 << 20;
/// Up to this size a body is collected whole and verified before its first byte is written.
const COLLECT_BYTES_MAX: u64 = 128 << 10;

/// A verified body, durable and not yet visible.
pub(super) struct StoredBody {
    /// Where it is; `None` for no bytes.
    pub content: Option<StoredContent>,
    /// Length and digests.
    pub digests: BodyDigests,
}

impl StoredBody {
    /// The MD5, which was asked for.
    pub fn md5(&self) -> Result<[u8; 16], S3Error> {
        self.digests.md5.ok_or_else(|| S3Error::new(S3ErrorCode::InternalError))
    }
}

/// The specification of a body that becomes an object or a part, and its length. Only the file of a form has none: it
/// ends where the form says.
///
/// # Errors
/// `MissingContentLength`, `EntityTooLarge` beyond 5 GiB, and those of [`BodySpec::from_headers`].
pub(super) fn upload_spec(request: &S3Request) -> Result<(BodySpec, Option<u64>), S3Error> {
    let spec = request.body_spec()?.with_md5().limit(PART_BYTES_MAX)?;
    let length = match request.form {
        Some(_) => None,
        None => Some(spec.require_length()?),
    };
    Ok((spec, length))
}

/// Reads, verifies and stores the body.
pub(super) async fn store_body(
    state: &GatewayState,
    request: &mut S3Request,
    spec: BodySpec,
    class: StorageClass,
) -> Result<StoredBody, Refusal> {
    let length = spec.length();
    let mut writer = state.client.writer(length, class);
    let mut body = request.read_body(spec);
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
    let content = writer.finish().await?;
    let stored = content.as_ref().map_or(0, StoredContent::length);
    assert_eq!(stored, digests.length, "the writer stores what the body reader hands out");
    Ok(StoredBody { content, digests })
}
