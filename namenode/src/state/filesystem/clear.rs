//! Which calls would put bytes in clear where a bucket's default encryption says that there are none.
//!
//! Hadoop's writers send their bytes to datanodes as they are, and a flush makes any length of them durable: they cannot be
//! sealed on their way, as an object is. So they are not taken where everything is to be sealed.

use super::resolve::{self, Bucket, Found};
use crate::error::Rejection;
use crate::state::layout;
use crate::state::view::View;
use granary_protocol::BucketName;
use granary_protocol::bucket::BucketDocument;
use granary_protocol::filesystem::{FsPath, FsRequest};

/// The bucket with default encryption into which a call would put bytes in clear, if there is one.
///
/// # Errors
/// The call's own.
pub fn clear_bytes_for<V: View + ?Sized>(view: &V, request: &FsRequest) -> Result<Option<BucketName>, Rejection> {
    match request {
        FsRequest::Create(create) => encrypting(view, &create.path),
        FsRequest::Append { path, .. } => encrypting(view, path),
        FsRequest::Rename { from, to } | FsRequest::Rename2 { from, to, .. } => moved_in(view, from, to),
        _ => Ok(None),
    }
}

fn moved_in<V: View + ?Sized>(view: &V, from: &FsPath, to: &FsPath) -> Result<Option<BucketName>, Rejection> {
    if from.components().next() == to.components().next() {
        return Ok(None);
    }
    let Some(bucket) = encrypting(view, to)? else { return Ok(None) };
    let in_clear = match resolve::resolve(view, from)?.found {
        Found::File { details, .. } => details.encryption.is_none(),
        Found::Open { .. } => true,
        Found::Nothing | Found::Root | Found::Directory { .. } => false,
    };
    Ok(in_clear.then_some(bucket))
}

/// The bucket of a path if it encrypts what does not say itself how it is to be.
fn encrypting<V: View + ?Sized>(view: &V, path: &FsPath) -> Result<Option<BucketName>, Rejection> {
    let Some((name, _)) = path.bucket_and_key() else { return Ok(None) };
    let Some(Bucket { name, head, .. }) = resolve::bucket(view, &name)? else { return Ok(None) };
    let document = view.get(&layout::bucket_document(head.root, BucketDocument::Encryption))?;
    Ok(document.map(|_| name))
}
