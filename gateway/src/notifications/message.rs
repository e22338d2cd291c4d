//! Events in AWS's words. Pure.
//!
//! Source: "Event message structure", Amazon S3 user guide.

use super::event::{EventKind, ObjectEvent};
use crate::request::uri_encode_into;
use bytes::Bytes;
use granary_protocol::UnixMillis;
use serde_json::{Map, Value, json};
use std::fmt::Write as _;
use time::OffsetDateTime;

/// What all events of one request have in common.
#[derive(Clone, Debug)]
pub(crate) struct MessageContext<'r> {
    pub region: &'r str,
    pub bucket: &'r str,
    /// Canonical id of the bucket's owner.
    pub bucket_owner: &'r str,
    /// Who did it: a user's id, or `Anonymous`.
    pub principal: &'r str,
    /// Where the request came from.
    pub source_ip: &'r str,
    pub request_id: &'r str,
    pub host_id: &'r str,
    /// When the request was answered.
    pub now: UnixMillis,
}

/// The message about one event for the configuration of this id.
pub(crate) fn message_of(context: &MessageContext<'_>, event: &ObjectEvent, configuration: &str) -> Bytes {
    let at = event.at.unwrap_or(context.now);
    let mut object = Map::new();
    object.insert("key".to_owned(), Value::from(encoded_key(&event.key)));
    if let Some(size) = event.size {
        object.insert("size".to_owned(), Value::from(size));
    }
    for (name, value) in [("eTag", &event.etag), ("versionId", &event.version)] {
        if let Some(value) = value {
            object.insert(name.to_owned(), Value::from(value.as_str()));
        }
    }
    object.insert("sequencer".to_owned(), Value::from(sequencer(at, context.request_id)));
    let mut record = json!({
        "eventVersion": event.kind.message_version(),
        "eventSource": "aws:s3",
        "awsRegion": context.region,
        "eventTime": iso8601(at),
        "eventName": event.kind.name().trim_start_matches("s3:"),
        "userIdentity": { "principalId": context.principal },
        "requestParameters": { "sourceIPAddress": context.source_ip },
        "responseElements": { "x-amz-request-id": context.request_id, "x-amz-id-2": context.host_id },
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": configuration,
            "bucket": {
                "name": context.bucket,
                "ownerIdentity": { "principalId": context.bucket_owner },
                "arn": format!("arn:aws:s3:::{}", context.bucket),
            },
            "object": object,
        },
    });
    match event.kind {
        EventKind::Transition { to } => {
            record["lifecycleEventData"] = json!({ "transitionEventData": { "destinationStorageClass": to.name() } });
        }
        EventKind::RestoreCompleted { class, until } => {
            record["glacierEventData"] = json!({ "restoreEventData": {
                "lifecycleRestorationExpiryTime": iso8601(until),
                "lifecycleRestoreStorageClass": class.name(),
            } });
        }
        _ => {}
    }
    Bytes::from(json!({ "Records": [record] }).to_string())
}

/// What a target is sent when a configuration that names it is stored.
pub(crate) fn test_message(context: &MessageContext<'_>) -> Bytes {
    let message = json!({
        "Service": "Amazon S3",
        "Event": "s3:TestEvent",
        "Time": iso8601(context.now),
        "Bucket": context.bucket,
        "RequestId": context.request_id,
        "HostId": context.host_id,
    });
    Bytes::from(message.to_string())
}

/// Keys are encoded as in a form: a space is `+`.
fn encoded_key(key: &str) -> String {
    let mut encoded = Vec::with_capacity(key.len());
    for (at, word) in key.split(' ').enumerate() {
        if at > 0 {
            encoded.push(b'+');
        }
        uri_encode_into(&mut encoded, word.as_bytes(), true);
    }
    String::from_utf8(encoded).expect("percent-encoding yields ASCII")
}

/// Hexadecimal digits by whose order two events of one key are compared. Writes are ordered by the namenode's time; the
/// request's id tells apart what happened within a millisecond.
fn sequencer(at: UnixMillis, request_id: &str) -> String {
    format!("{:016X}{request_id}", at.0)
}

fn iso8601(at: UnixMillis) -> String {
    let seconds = i64::try_from(at.0 / 1000).unwrap_or(i64::MAX);
    let date = OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let mut text = String::with_capacity(24);
    let _infallible = write!(
        text,
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
        date.year(),
        u8::from(date.month()),
        date.day(),
        date.hour(),
        date.minute(),
        date.second(),
        at.0 % 1000
    );
    text
}

#[cfg(test)]
mod tests {
    use super::super::event::EventKind;
    use super::*;

    const CONTEXT: MessageContext<'static> = MessageContext {
        region: "us-east-1",
        bucket: "photos",
        bucket_owner: "owner-id",
        principal: "AWS:alice",
        source_ip: "192.0.2.1",
        request_id: "0123456789ABCDEF",
        host_id: "host",
        now: UnixMillis(1_700_000_000_007),
    };

    #[test]
    fn a_message_has_the_shape_clients_read() {
        let event = ObjectEvent {
            kind: EventKind::CreatedPut,
            key: "a b/\u{e9}+\"x\".jpg".to_owned(),
            size: Some(7),
            etag: Some("abc".to_owned()),
            version: Some("v1".to_owned()),
            at: Some(UnixMillis(1_700_000_000_001)),
        };
        let message: Value = serde_json::from_slice(&message_of(&CONTEXT, &event, "config-1")).unwrap();
        let record = &message["Records"][0];
        for (pointer, value) in [
            ("/eventVersion", "2.1"),
            ("/eventSource", "aws:s3"),
            ("/awsRegion", "us-east-1"),
            ("/eventTime", "2023-11-14T22:13:20.001Z"),
            ("/eventName", "ObjectCreated:Put"),
            ("/userIdentity/principalId", "AWS:alice"),
            ("/requestParameters/sourceIPAddress", "192.0.2.1"),
            ("/responseElements/x-amz-request-id", "0123456789ABCDEF"),
            ("/responseElements/x-amz-id-2", "host"),
            ("/s3/s3SchemaVersion", "1.0"),
            ("/s3/configurationId", "config-1"),
            ("/s3/bucket/name", "photos"),
            ("/s3/bucket/arn", "arn:aws:s3:::photos"),
            ("/s3/bucket/ownerIdentity/principalId", "owner-id"),
            ("/s3/object/key", "a+b/%C3%A9%2B%22x%22.jpg"),
            ("/s3/object/eTag", "abc"),
            ("/s3/object/versionId", "v1"),
            ("/s3/object/sequencer", "0000018BCFE568010123456789ABCDEF"),
        ] {
            assert_eq!(record.pointer(pointer).and_then(Value::as_str), Some(value), "{pointer}");
        }
        assert_eq!(record["s3"]["object"]["size"], 7);
    }

    #[test]
    fn what_is_not_known_is_left_out() {
        let event = ObjectEvent {
            kind: EventKind::TaggingDelete,
            key: "k".to_owned(),
            size: None,
            etag: None,
            version: None,
            at: None,
        };
        let message: Value = serde_json::from_slice(&message_of(&CONTEXT, &event, "")).unwrap();
        assert_eq!(message["Records"][0]["eventVersion"], "2.3");
        let object = message["Records"][0]["s3"]["object"].as_object().unwrap();
        assert_eq!(object.keys().collect::<Vec<_>>(), ["key", "sequencer"]);
        let test: Value = serde_json::from_slice(&test_message(&CONTEXT)).unwrap();
        assert_eq!((test["Event"].as_str(), test["Bucket"].as_str()), (Some("s3:TestEvent"), Some("photos")));
    }

    #[test]
    fn sequencers_are_ordered_as_time_is() {
        assert!(sequencer(UnixMillis(9), "FF") < sequencer(UnixMillis(10), "00"));
    }
}
