//! RestoreObject: an archived version is made readable for some days, after the delay of its tier.
//!
//! The bytes stay where they are; what is restored is the right to read them. Source: RestoreObject, Amazon S3 API
//! reference.

use super::Outcome;
use super::archive::restore_of;
use super::bucket_documents::body_of;
use super::events::announce_change;
use super::version::{explain, insert_version, requested_version};
use super::xml_element::Element;
use super::xml_reader::malformed;
use crate::error::{S3Error, S3ErrorCode};
use crate::notifications::EventKind;
use crate::server::{GatewayState, ResponseBody, S3Request, S3Response};
use granary_protocol::lifecycle::{RestoreOutcome, RestoreTier};
use granary_protocol::namenode::Window;
use granary_protocol::{ErrorCode, UnixMillis};
use http::StatusCode;

const ELEMENTS_MAX: usize = 64;

/// What is asked for.
#[derive(Debug, PartialEq, Eq)]
struct Asked {
    days: i32,
    tier: RestoreTier,
}

impl Asked {
    fn parse(text: &[u8]) -> Result<Self, S3Error> {
        let root = Element::parse(text, "RestoreRequest", ELEMENTS_MAX)?;
        if ["Type", "SelectParameters", "OutputLocation"].iter().any(|name| root.all(name).next().is_some()) {
            let message = "Restores that select from an archive are not implemented";
            return Err(S3Error::with_message(S3ErrorCode::NotImplemented, message));
        }
        root.only(&["Days", "GlacierJobParameters", "Tier", "Description"])?;
        let days: i32 = root.required("Days")?.parsed()?;
        if days < 1 {
            let message = "restoration days should be at least 1";
            return Err(S3Error::invalid_argument(message, "Days", &days.to_string()));
        }
        let job = root.optional("GlacierJobParameters")?;
        let inner = job.map(|job| job.only(&["Tier"])?.optional_text("Tier")).transpose()?.flatten();
        let tier = match inner.or(root.optional_text("Tier")?) {
            None => RestoreTier::default(),
            Some(name) => RestoreTier::from_name(name.trim()).ok_or_else(malformed)?,
        };
        Ok(Self { days, tier })
    }
}

/// 202 when a restore has begun, 200 when the restored copy now lasts longer, 409 while one goes on.
pub(super) async fn restore_object(state: &GatewayState, mut request: S3Request) -> Outcome {
    let version = requested_version(&request)?;
    let body = body_of(state, &mut request).await?;
    let asked = Asked::parse(&body)?;
    let (bucket, key) = (request.bucket.clone(), request.key.clone());
    let found = state.client.get_object(bucket.clone(), key.clone(), version, Window::Nothing).await;
    let object = found.map_err(|failure| explain(&bucket, &key, version, failure))?.object;
    let not_archived = || {
        let message = "Restore is not allowed for the object's current storage class";
        S3Error::with_message(S3ErrorCode::InvalidObjectState, message).field("StorageClass", object.class.name())
    };
    if !object.class.is_archive() {
        return Err(not_archived().into());
    }
    let settings = &state.config.lifecycle;
    let delay_ms = settings.restore_delay_ms(object.class, asked.tier).ok_or_else(|| {
        let message = "Retrieval option is not supported by this storage class";
        S3Error::invalid_argument(message, "Tier", asked.tier.name())
    })?;
    let now = state.now();
    let is_restored = restore_of(state, &bucket, &key, &object).await?.is_some_and(|restore| restore.is_readable(now));
    let delay_ms = if is_restored { 0 } else { delay_ms };
    let ready = UnixMillis(now.0.saturating_add(delay_ms));
    let lasts_ms = settings.calendar().after(ready, asked.days).0.saturating_sub(ready.0);
    // Exactly the version that was judged.
    let named = Some(object.version);
    let outcome = state.client.restore_object(bucket.clone(), key.clone(), named, asked.tier, delay_ms, lasts_ms).await;
    let outcome = match outcome {
        // Another class since it was judged.
        Err(failure) if failure.code == ErrorCode::InvalidBucketState => return Err(not_archived().into()),
        Err(failure) => return Err(explain(&bucket, &key, version, failure)),
        Ok(outcome) => outcome,
    };
    let status = match outcome {
        RestoreOutcome::InProgress(_) => return Err(S3ErrorCode::RestoreAlreadyInProgress.into()),
        RestoreOutcome::Begun(_) => StatusCode::ACCEPTED,
        RestoreOutcome::Extended(_) => StatusCode::OK,
    };
    let mut response = S3Response::new(ResponseBody::empty());
    *response.status_mut() = status;
    insert_version(response.headers_mut(), object.version, request.versioning());
    if status == StatusCode::ACCEPTED {
        announce_change(&mut response, EventKind::RestorePost, &request, object.version);
    }
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(inner: &str) -> Result<Asked, S3ErrorCode> {
        Asked::parse(format!("<RestoreRequest>{inner}</RestoreRequest>").as_bytes()).map_err(|error| error.code())
    }

    #[test]
    fn requests() {
        let asked = |days, tier| Ok(Asked { days, tier });
        assert_eq!(parse("<Days>2</Days>"), asked(2, RestoreTier::Standard));
        let job =
            |tier: &str| format!("<Days>1</Days><GlacierJobParameters><Tier>{tier}</Tier></GlacierJobParameters>");
        assert_eq!(parse(&job("Bulk")), asked(1, RestoreTier::Bulk));
        assert_eq!(parse("<Days>1</Days><Tier>Expedited</Tier>"), asked(1, RestoreTier::Expedited));
        assert_eq!(parse(&job("Soon")), Err(S3ErrorCode::MalformedXML));
        assert_eq!(parse(""), Err(S3ErrorCode::MalformedXML));
        assert_eq!(parse("<Days>x</Days>"), Err(S3ErrorCode::MalformedXML));
        for days in ["0", "-1"] {
            assert_eq!(parse(&format!("<Days>{days}</Days>")), Err(S3ErrorCode::InvalidArgument));
        }
        assert_eq!(parse("<Type>SELECT</Type>"), Err(S3ErrorCode::NotImplemented));
    }
}
