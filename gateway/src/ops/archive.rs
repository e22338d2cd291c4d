//! Archived objects: whether one can be read, and what is told of its restore.
//!
//! Sources: "Restoring an archived object", Amazon S3 user guide; `x-amz-restore` of HeadObject.

use super::response_headers::unix_s;
use super::xml_writer::Xml;
use crate::error::{S3Error, S3ErrorCode};
use crate::request::format_http_date;
use crate::server::{GatewayState, Refusal, S3Request};
use granary_protocol::lifecycle::Restore;
use granary_protocol::object::{ObjectVersion, StorageClass};
use granary_protocol::{BucketName, ObjectKey, UnixMillis, VersionId};
use http::{HeaderMap, HeaderName, HeaderValue};
use std::collections::HashMap;

const RESTORE: HeaderName = HeaderName::from_static("x-amz-restore");
const OPTIONAL_ATTRIBUTES: &str = "x-amz-optional-object-attributes";

/// The restore of a version, if it is archived and there is one that has not expired. Other versions cost nothing.
pub(super) async fn restore_of(
    state: &GatewayState,
    bucket: &BucketName,
    key: &ObjectKey,
    object: &ObjectVersion,
) -> Result<Option<Restore>, Refusal> {
    if !object.class.is_archive() {
        return Ok(None);
    }
    let restores = state.client.get_restores(bucket.clone(), vec![(key.clone(), object.version)]).await?;
    let now = state.now();
    Ok(restores.into_iter().next().flatten().filter(|restore| now < restore.expires))
}

/// Refuses to read an archived version that is not restored.
pub(super) fn check_readable(
    object: &ObjectVersion,
    restore: Option<Restore>,
    now: UnixMillis,
    message: Option<&'static str>,
) -> Result<(), S3Error> {
    if !object.class.is_archive() || restore.is_some_and(|restore| restore.is_readable(now)) {
        return Ok(());
    }
    let error = match message {
        None => S3Error::new(S3ErrorCode::InvalidObjectState),
        Some(message) => S3Error::with_message(S3ErrorCode::InvalidObjectState, message),
    };
    Err(error.field("StorageClass", object.class.name()))
}

/// Adds `x-amz-restore` to an answer about a version with a restore.
pub(super) fn insert_restore(headers: &mut HeaderMap, restore: Option<Restore>, now: UnixMillis) {
    let Some(restore) = restore else { return };
    let text = match restore.is_readable(now) {
        false => "ongoing-request=\"true\"".to_owned(),
        true => format!("ongoing-request=\"false\", expiry-date=\"{}\"", format_http_date(unix_s(restore.expires))),
    };
    headers.insert(RESTORE, HeaderValue::from_str(&text).expect("an HTTP date in quotes is visible ASCII"));
}

/// The restores of the versions of a listing, if its request asks for them.
pub(super) struct RestoreStatuses {
    found: HashMap<(String, VersionId), Restore>,
    now: UnixMillis,
}

impl RestoreStatuses {
    /// Fetches what is asked for; one call at most, and none without archived versions.
    ///
    /// # Errors
    /// `InvalidArgument` for an attribute that there is not.
    pub async fn find<'l>(
        state: &GatewayState,
        request: &S3Request,
        versions: impl Iterator<Item = (&'l ObjectKey, VersionId, StorageClass)>,
    ) -> Result<Self, Refusal> {
        let mut statuses = Self { found: HashMap::new(), now: state.now() };
        if !is_asked_for(request)? {
            return Ok(statuses);
        }
        let archived = versions.filter(|(_, _, class)| class.is_archive());
        let asked: Vec<(ObjectKey, VersionId)> = archived.map(|(key, version, _)| (key.clone(), version)).collect();
        if asked.is_empty() {
            return Ok(statuses);
        }
        let restores = state.client.get_restores(request.bucket.clone(), asked.clone()).await?;
        let known = asked.into_iter().zip(restores).filter_map(|((key, version), restore)| {
            restore.filter(|restore| statuses.now < restore.expires).map(|restore| ((key.0, version), restore))
        });
        statuses.found = known.collect();
        Ok(statuses)
    }

    /// Writes the element of a version that has a restore.
    pub fn push(&self, xml: &mut Xml, key: &ObjectKey, version: VersionId) {
        if self.found.is_empty() {
            return;
        }
        let Some(restore) = self.found.get(&(key.as_str().to_owned(), version)) else { return };
        let is_readable = restore.is_readable(self.now);
        xml.open("RestoreStatus");
        xml.plain("IsRestoreInProgress", !is_readable);
        if is_readable {
            xml.time("RestoreExpiryDate", restore.expires);
        }
        xml.close("RestoreStatus");
    }
}

fn is_asked_for(request: &S3Request) -> Result<bool, S3Error> {
    let Some(attributes) = request.header(OPTIONAL_ATTRIBUTES)? else { return Ok(false) };
    for attribute in attributes.split(',').map(str::trim).filter(|attribute| !attribute.is_empty()) {
        if attribute != "RestoreStatus" {
            let message = "Invalid attribute name specified";
            return Err(S3Error::invalid_argument(message, OPTIONAL_ATTRIBUTES, attribute));
        }
    }
    Ok(!attributes.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use granary_protocol::lifecycle::RestoreTier;

    #[test]
    fn the_header_says_whether_it_goes_on_or_until_when_it_lasts() {
        let restore = Restore {
            requested: UnixMillis(0),
            tier: RestoreTier::Bulk,
            ready: UnixMillis(5_000),
            expires: UnixMillis(1_356_048_000_000),
        };
        let text = |now| {
            let mut headers = HeaderMap::new();
            insert_restore(&mut headers, Some(restore), UnixMillis(now));
            headers[RESTORE].to_str().unwrap().to_owned()
        };
        assert_eq!(text(4_999), "ongoing-request=\"true\"");
        assert_eq!(text(5_000), "ongoing-request=\"false\", expiry-date=\"Fri, 21 Dec 2012 00:00:00 GMT\"");
        let mut headers = HeaderMap::new();
        insert_restore(&mut headers, None, UnixMillis(0));
        assert!(headers.is_empty());
    }
}
