//! Bytes of a copy's source written anew: where source and copy are not sealed under the same data key.

use super::copy_source::Source;
use super::store_body::{StoredBody, object_writer};
use crate::body::BodyHasher;
use crate::checksum::ChecksumAlgorithm;
use crate::encryption::ContentSeal;
use crate::server::{GatewayState, Refusal};
use granary_protocol::object::StorageClass;
use granary_protocol::{ErrorCode, Failure};

/// Reads `length` bytes of the source from `first`, opened, and stores them, sealed if they are to be. Memory does not
/// depend on the length.
pub(super) async fn rewrite(
    state: &GatewayState,
    source: &Source,
    first: u64,
    length: u64,
    class: StorageClass,
    seal: Option<ContentSeal>,
    algorithm: ChecksumAlgorithm,
) -> Result<StoredBody, Refusal> {
    let (mut writer, sealed_as) = object_writer(state, Some(length), class, seal);
    let mut hasher = BodyHasher::new(sealed_as.needs_md5(), [algorithm]);
    if length > 0 {
        let mut reader = source.open(state, first, length).await?;
        while let Some(piece) = reader.next().await? {
            let hashed = piece.clone();
            let hashing = tokio::task::spawn_blocking(move || {
                hasher.update(&hashed);
                hasher
            });
            writer.write(piece).await?;
            hasher = hashing.await.map_err(|error| Failure::new(ErrorCode::Internal, error.to_string()))?;
        }
    }
    if hasher.length() != length {
        return Err(Failure::new(ErrorCode::Internal, "the copy's source ended early").into());
    }
    StoredBody::new(writer.finish().await?, hasher.finish(), &sealed_as)
}
