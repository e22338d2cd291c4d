//! GetObject and HeadObject: one metadata call, then the bytes.
//!
//! The call returns the version *and* where the wanted bytes are, so conditions are judged on the very version that is
//! then sent. Nothing of it is read before they hold.

use super::Outcome;
use super::archive::{check_readable, insert_restore, restore_of};
use super::bucket_lifecycle::{Expiring, insert_expiration};
use super::checksums;
use super::response_headers::{apply_overrides, describe, etag_value, last_modified_value, unix_s};
use super::version::{explain, requested_version};
use crate::encryption::{CustomerKey, check_key, refuse_method_on_read};
use crate::error::{S3Error, S3ErrorCode};
use crate::request::{ByteRange, ConditionOutcome, Preconditions, ResolvedRange, parse_http_date};
use crate::server::{GatewayState, ObjectStream, Refusal, ResponseBody, S3Request, S3Response};
use bytes::Bytes;
use granary_protocol::namenode::{ObjectRead, Window};
use granary_protocol::object::{ObjectVersion, PARTS_MAX};
use granary_protocol::{ErrorCode, Failure, VersionId};
use granary_sealing::ObjectReader;
use http::StatusCode;
use http::header::{
    CACHE_CONTROL, CONTENT_LENGTH, CONTENT_RANGE, ETAG, EXPIRES, HeaderMap, HeaderName, HeaderValue, IF_RANGE,
    LAST_MODIFIED, RANGE,
};

const PARTS_COUNT: HeaderName = HeaderName::from_static("x-amz-mp-parts-count");

/// What part of the object is asked for.
#[derive(Clone, Copy)]
enum Selection {
    Whole,
    Range(ByteRange),
    Part(u16),
}

/// Answers with the object's headers.
pub(super) async fn head_object(state: &GatewayState, request: &S3Request) -> Outcome {
    let asked = Asked::read(request)?;
    let window = match asked.selection {
        Selection::Whole | Selection::Range(_) => Window::Nothing,
        Selection::Part(number) => Window::Part { number },
    };
    let read = asked.locate(state, request, window).await?;
    asked.preconditions_hold(&read.object, state.now_s())?;
    let selected = asked.selected(&read)?;
    let restore = restore_of(state, &request.bucket, &request.key, &read.object).await?;
    let mut response = asked.response(request, &read, selected, ResponseBody::empty())?;
    insert_restore(response.headers_mut(), restore, state.now());
    Ok(response)
}

/// Answers with the object's headers and bytes.
pub(super) async fn get_object(state: &GatewayState, request: &S3Request) -> Outcome {
    let mut asked = Asked::read(request)?;
    if request.headers.contains_key(IF_RANGE) && matches!(asked.selection, Selection::Range(_)) {
        let current = asked.locate(state, request, Window::Nothing).await?;
        if !if_range_holds(&request.headers, &current.object) {
            asked.selection = Selection::Whole;
        }
    }
    let read = match asked.locate(state, request, asked.window()).await {
        Err(Refusal::Store(failure)) if failure.code == ErrorCode::InvalidRange => {
            return Err(asked.range_refusal(state, request).await);
        }
        other => other?,
    };
    asked.preconditions_hold(&read.object, state.now_s())?;
    let selected = asked.selected(&read)?;
    let (offset, length) = selected.map_or((0, read.object.size), |range| (range.first, range.length()));
    if (read.offset, read.length) != (offset, length) && length > 0 {
        let detail = format!("asked for {length} bytes from {offset}, located {} from {}", read.length, read.offset);
        return Err(Failure::new(ErrorCode::Internal, detail).into());
    }
    // What can fail cheaply fails before the first byte is read.
    let restore = restore_of(state, &request.bucket, &request.key, &read.object).await?;
    check_readable(&read.object, restore, state.now(), None)?;
    let mut response = asked.response(request, &read, selected, ResponseBody::empty())?;
    insert_restore(response.headers_mut(), restore, state.now());
    *response.body_mut() = open(state, request, read, asked.customer.as_ref(), length).await?;
    Ok(response)
}

/// The body: known at once if it is one piece, so that it leaves with the head in one write.
async fn open(
    state: &GatewayState,
    request: &S3Request,
    read: ObjectRead,
    customer: Option<&CustomerKey>,
    length: u64,
) -> Result<ResponseBody, Refusal> {
    if length == 0 {
        return Ok(ResponseBody::empty());
    }
    let keys = match &read.object.details.encryption {
        None => None,
        Some(kept) => Some(state.encryption.data_keys(kept, customer).await?),
    };
    let mut reader = ObjectReader::new(&state.client, read, keys);
    let short = || Failure::new(ErrorCode::Internal, "object ended early");
    let first: Bytes = reader.next().await?.ok_or_else(short)?;
    if first.len() as u64 == length {
        return Ok(ResponseBody::Known(first));
    }
    let what = format!("{}/{}", request.bucket, request.key);
    Ok(ResponseBody::Object(Box::new(ObjectStream::new(first, reader, length, state.metrics.clone(), what))))
}

/// A read request, parsed.
struct Asked {
    version: Option<VersionId>,
    selection: Selection,
    conditions: Preconditions,
    /// The key the object must be encrypted with.
    customer: Option<CustomerKey>,
    wants_checksum: bool,
}

impl Asked {
    fn read(request: &S3Request) -> Result<Self, S3Error> {
        refuse_method_on_read(&request.headers)?;
        let range = request.headers.get(RANGE).and_then(|value| ByteRange::parse(value.to_str().ok()?));
        let selection = match (request.query.get("partNumber"), range) {
            (None, None) => Selection::Whole,
            (None, Some(range)) => Selection::Range(range),
            (Some(number), None) => Selection::Part(parse_part_number(number)?),
            (Some(_), Some(_)) => {
                return Err(S3Error::invalid_request(
                    "Cannot specify both Range header and partNumber query parameter",
                ));
            }
        };
        let mode = request.headers.get("x-amz-checksum-mode");
        Ok(Self {
            version: requested_version(request)?,
            selection,
            conditions: Preconditions::for_read(&request.headers),
            customer: CustomerKey::of_object(&request.headers)?,
            wants_checksum: mode.is_some_and(|mode| mode.as_bytes().eq_ignore_ascii_case(b"ENABLED")),
        })
    }

    fn window(&self) -> Window {
        match self.selection {
            Selection::Whole => Window::Range { first: 0, last: None },
            Selection::Range(ByteRange::Closed { first, last }) => Window::Range { first, last: Some(last) },
            Selection::Range(ByteRange::From { first }) => Window::Range { first, last: None },
            Selection::Range(ByteRange::Suffix { length }) => Window::Suffix { length },
            Selection::Part(number) => Window::Part { number },
        }
    }

    async fn locate(&self, state: &GatewayState, request: &S3Request, window: Window) -> Result<ObjectRead, Refusal> {
        let found = state.client.get_object(request.bucket.clone(), request.key.clone(), self.version, window).await;
        let read = found.map_err(|failure| explain(&request.bucket, &request.key, self.version, failure))?;
        check_key(read.object.details.encryption.as_ref(), self.customer.as_ref())?;
        Ok(read)
    }

    /// 304 and 412 come before 416, and 416 says how long the object is.
    async fn range_refusal(&self, state: &GatewayState, request: &S3Request) -> Refusal {
        let read = match self.locate(state, request, Window::Nothing).await {
            Ok(read) => read,
            Err(refusal) => return refusal,
        };
        if let Err(error) = self.preconditions_hold(&read.object, state.now_s()) {
            return error.into();
        }
        match self.selected(&read) {
            Err(error) => error.into(),
            // The object changed in between; the client asks again.
            Ok(_) => Failure::new(ErrorCode::Unavailable, "the object changed while it was located").into(),
        }
    }

    fn preconditions_hold(&self, object: &ObjectVersion, now_s: i64) -> Result<(), S3Error> {
        if self.conditions.is_empty() {
            return Ok(());
        }
        match self.conditions.evaluate(&object.etag.to_string(), unix_s(object.modified), now_s) {
            ConditionOutcome::Proceed => Ok(()),
            ConditionOutcome::NotModified => {
                let mut error = S3Error::new(S3ErrorCode::NotModified)
                    .header(ETAG, etag_value(&object.etag))
                    .header(LAST_MODIFIED, last_modified_value(object.modified));
                for (name, value) in &object.details.headers.system {
                    let header = [CACHE_CONTROL, EXPIRES].into_iter().find(|header| header == name.as_str());
                    if let (Some(header), Ok(value)) = (header, HeaderValue::from_bytes(value.as_bytes())) {
                        error = error.header(header, value);
                    }
                }
                Err(error)
            }
            ConditionOutcome::PreconditionFailed => Err(S3Error::new(S3ErrorCode::PreconditionFailed)),
        }
    }

    /// The bytes of the object that are answered; `None` for all of them, answered with 200.
    fn selected(&self, read: &ObjectRead) -> Result<Option<ResolvedRange>, S3Error> {
        let object_length = read.object.size;
        match self.selection {
            Selection::Whole => Ok(None),
            Selection::Range(range) => range.resolve(object_length).map(Some),
            Selection::Part(_) if read.length == 0 => Ok(None),
            Selection::Part(_) => {
                let last = read.offset + read.length - 1;
                Ok(Some(ResolvedRange { first: read.offset, last, object_length }))
            }
        }
    }

    fn response(
        &self,
        request: &S3Request,
        read: &ObjectRead,
        selected: Option<ResolvedRange>,
        body: ResponseBody,
    ) -> Outcome {
        let mut headers = HeaderMap::with_capacity(16);
        describe(&mut headers, &read.object, request.versioning());
        if self.version.is_none() {
            insert_expiration(&mut headers, request.settings(), &Expiring::of(request.key.as_str(), &read.object));
        }
        let length = selected.map_or(read.object.size, |range| range.length());
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
        if let Some(range) = &selected {
            let value = HeaderValue::from_str(&range.content_range()).expect("digits and dashes are visible ASCII");
            headers.insert(CONTENT_RANGE, value);
        }
        if matches!(self.selection, Selection::Part(_)) && read.parts_count > 0 {
            headers.insert(PARTS_COUNT, HeaderValue::from(read.parts_count));
        }
        if self.wants_checksum {
            let is_whole = selected.is_some_and(|range| range.length() == read.object.size);
            self.insert_checksum(&mut headers, read, is_whole);
        }
        apply_overrides(&mut headers, &request.query, request.is_signed())?;
        let mut response = S3Response::new(body);
        *response.headers_mut() = headers;
        if selected.is_some() {
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
        }
        Ok(response)
    }

    /// The checksum of exactly what is answered: a client checks the bytes it gets against it. A range may be of everything.
    fn insert_checksum(&self, headers: &mut HeaderMap, read: &ObjectRead, is_whole: bool) {
        let whole = read.object.checksum.as_ref();
        match (self.selection, &read.part) {
            (Selection::Range(_), _) if !is_whole => {}
            (Selection::Whole | Selection::Range(_), _) | (Selection::Part(_), None) => {
                if let Some(checksum) = whole {
                    checksums::insert_headers(headers, checksum, read.object.etag.parts);
                }
            }
            (Selection::Part(_), Some(part)) => {
                if let Some(checksum) = &part.checksum {
                    checksums::insert_value(headers, checksum, None);
                    // The type is the object's: it says how the parts' checksums make the whole's.
                    whole.into_iter().for_each(|whole| checksums::insert_type(headers, whole));
                }
            }
        }
    }
}

fn parse_part_number(text: &str) -> Result<u16, S3Error> {
    text.parse().ok().filter(|number| (1..=PARTS_MAX).contains(number)).ok_or_else(|| {
        S3Error::invalid_argument("Part number must be an integer between 1 and 10000, inclusive", "partNumber", text)
    })
}

/// `If-Range` (RFC 9110 §13.1.5): a strong tag or the exact date; otherwise the whole object is sent.
fn if_range_holds(headers: &HeaderMap, object: &ObjectVersion) -> bool {
    let Some(text) = headers.get(IF_RANGE).and_then(|value| value.to_str().ok()).map(str::trim) else { return false };
    match parse_http_date(text) {
        Some(date_s) => date_s == unix_s(object.modified),
        None => super::text::parse_etag(text) == Some(object.etag),
    }
}
