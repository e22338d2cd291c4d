//! RestoreObject: there is nothing to restore in an object that can be read.

use super::Outcome;
use super::version::{explain, requested_version};
use crate::error::{S3Error, S3ErrorCode};
use crate::server::{GatewayState, S3Request};
use granary_protocol::namenode::Window;
use granary_protocol::object::StorageClass;

/// Refuses, as AWS does for objects that were never archived.
pub(super) async fn restore_object(state: &GatewayState, request: S3Request) -> Outcome {
    let version = requested_version(&request)?;
    let (bucket, key) = (request.bucket.clone(), request.key.clone());
    let found = state.client.get_object(bucket, key, version, Window::Nothing).await;
    let object = found.map_err(|failure| explain(&request.bucket, &request.key, version, failure))?.object;
    match object.class {
        StorageClass::Glacier | StorageClass::DeepArchive => {
            Err(S3Error::with_message(S3ErrorCode::NotImplemented, "RestoreObject is not implemented").into())
        }
        class => Err(S3Error::with_message(
            S3ErrorCode::InvalidObjectState,
            "Restore is not allowed for the object's current storage class",
        )
        .field("StorageClass", class.name())
        .into()),
    }
}
