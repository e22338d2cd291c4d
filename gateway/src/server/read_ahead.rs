//! What policies may ask about a request that only its body says: the tags of PutObjectTagging, the region of CreateBucket.
//!
//! Such a body is read before the request is judged, within the bounds of any document. What is wrong with it is said by
//! its operation, after the request was allowed; only a body that is not what its digests promise is refused at once.

use super::access_context::add_request_tags;
use super::operation::Operation;
use super::request::S3Request;
use super::state::GatewayState;
use crate::documents::CreateBucketConfiguration;
use crate::error::S3Error;
use crate::ops::parse_object_tagging;
use granary_access::RequestContext;

/// The region that is meant when none is named.
const CLASSIC_REGION: &str = "us-east-1";

/// Reads the body of a request whose policies may ask for what is in it.
///
/// # Errors
/// Those of reading a document.
pub(super) async fn read_ahead(
    state: &GatewayState,
    operation: Operation,
    request: &mut S3Request,
) -> Result<(), S3Error> {
    if !matches!(operation, Operation::PutObjectTagging | Operation::CreateBucket) {
        return Ok(());
    }
    let spec = request.body_spec()?;
    let document = request.document(spec, state.config.xml_bytes_max).await?;
    let mut said = RequestContext::new();
    match operation {
        Operation::PutObjectTagging => {
            let tags = parse_object_tagging(&document).unwrap_or_default();
            add_request_tags(&mut said, tags.into_iter().map(|tag| (tag.key, tag.value)));
        }
        _create_bucket => {
            let location = CreateBucketConfiguration::parse(&document).ok().and_then(|read| read.location);
            said.add("s3:LocationConstraint", location.unwrap_or_else(|| CLASSIC_REGION.to_owned()));
        }
    }
    request.keep_document(document, said);
    Ok(())
}
