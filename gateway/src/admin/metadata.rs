//! The metadata, page by page, for a copy of it. It holds every secret of the cluster: the answer is for whoever may do
//! everything.

use super::refusal::Refused;
use super::signed::Signed;
use crate::error::S3Error;
use crate::server::GatewayState;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use granary_protocol::namenode::{NamenodeReply, NamenodeRequest};
use granary_protocol::{ErrorCode, Failure};
use http::header::CONTENT_TYPE;
use std::sync::Arc;

/// `GET /-/granary/v1/metadata?export=NUMBER&after=HEX`: postcard of a `MetadataPage`.
pub(super) async fn page(State(state): State<Arc<GatewayState>>, signed: Signed) -> Result<Response, Refused> {
    let text = |name| signed.query.get(name).unwrap_or_default();
    let export = text("export");
    let export = export.parse().map_err(|_| S3Error::invalid_argument("export must be a number", "export", export))?;
    let after = text("after");
    let after =
        hex::decode(after).map_err(|_| S3Error::invalid_argument("after must be hexadecimal", "after", after))?;
    match state.client.call(NamenodeRequest::ExportMetadata { export, after: Bytes::from(after) }).await? {
        NamenodeReply::MetadataPage(page) => {
            let bytes = postcard::to_stdvec(&page)
                .map_err(|error| Refused::from(Failure::new(ErrorCode::Internal, error.to_string())))?;
            Ok(([(CONTENT_TYPE, "application/octet-stream")], bytes).into_response())
        }
        _other => Err(Failure::new(ErrorCode::Internal, "the namenode answered another question").into()),
    }
}
