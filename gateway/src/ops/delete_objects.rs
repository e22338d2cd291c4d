//! DeleteObjects: up to 1,000 keys in one metadata command.

use super::Outcome;
use super::delete_object::parse_modified_s;
use super::events::announce_delete;
use super::lock_headers::wants_bypass;
use super::refused_headers::refuse_unbuilt;
use super::text::{parse_version, version_text};
use super::write_condition::wanted_etag;
use super::xml_reader::{XmlDocument, malformed};
use super::xml_writer::Xml;
use crate::access_log::BatchDeleted;
use crate::error::{S3Error, S3ErrorCode};
use crate::request::ObjectKey;
use crate::server::{AccessTarget, GatewayState, Refusal, S3Request, message_of, s3_code_of};
use granary_access::Action;
use granary_protocol::namenode::{DeleteOutcome, DeleteTarget};
use granary_protocol::object::PAGE_ENTRIES_MAX;
use granary_protocol::{Failure, VersionId};

/// Elements of the largest document: each object has at most six, and a few more around them.
const ELEMENTS_MAX: usize = PAGE_ENTRIES_MAX as usize * 6 + 16;

/// What the document asks for.
#[derive(Debug)]
struct Asked {
    quiet: bool,
    objects: Vec<Object>,
}

#[derive(Debug)]
struct Object {
    key: String,
    /// As the client wrote it, to be repeated in the answer.
    version_text: Option<String>,
    target: Result<DeleteTarget, S3Error>,
}

/// Deletes each object named, and says for each what happened.
pub(super) async fn delete_objects(state: &GatewayState, mut request: S3Request) -> Outcome {
    refuse_unbuilt(&request.headers)?;
    let spec = request.body_spec()?;
    if !spec.has_content_digest() {
        return Err(S3Error::invalid_request("Missing required header for this request: Content-MD5").into());
    }
    let document = request.document(spec, state.config.delete_xml_bytes_max).await?;
    let mut asked = parse(&document)?;
    for object in &mut asked.objects {
        check_access(state, &request, object).await?;
    }
    let maker = request.maker();
    let is_logged = request.settings().logging()?.is_some_and(|logging| logging.target.is_some());
    let targets: Vec<DeleteTarget> = asked.objects.iter().filter_map(|object| object.target.clone().ok()).collect();
    let mut outcomes = match targets.is_empty() {
        true => Vec::new(),
        false => {
            let bypass_governance = wants_bypass(&request.headers);
            state.client.delete_objects(request.bucket, targets, maker, bypass_governance).await?
        }
    }
    .into_iter();
    let mut xml = Xml::document("DeleteResult", asked.objects.len() * 128);
    let mut deleted: Vec<(DeleteTarget, DeleteOutcome)> = Vec::new();
    let mut logged = BatchDeleted::default();
    for object in asked.objects {
        let done = match &object.target {
            Err(error) => Err((error.code(), error.message().to_owned())),
            Ok(target) => match outcomes.next() {
                Some(Ok(outcome)) => Ok((target, outcome)),
                Some(Err(failure)) => Err(told(&failure)),
                None => Err(told(&Failure::from(granary_protocol::ErrorCode::Internal))),
            },
        };
        if is_logged {
            let error = done.as_ref().err().map(|(code, _)| *code);
            logged.add(&object.key, object.version_text.as_deref(), error);
        }
        let version = object.version_text.as_deref();
        match done {
            Err((code, message)) => push_error(&mut xml, &object.key, version, code, &message),
            Ok((target, outcome)) => {
                if !asked.quiet {
                    push_deleted(&mut xml, &object.key, version, &outcome);
                }
                deleted.push((target.clone(), outcome));
            }
        }
    }
    let mut response = xml.into_response();
    response.extensions_mut().insert(logged);
    for (target, outcome) in &deleted {
        announce_delete(&mut response, &target.key, target.version, outcome);
    }
    Ok(response)
}

/// Objects that the caller may not delete are refused one by one.
async fn check_access(state: &GatewayState, request: &S3Request, object: &mut Object) -> Result<(), Refusal> {
    let Ok(target) = &object.target else { return Ok(()) };
    let settings = request.settings();
    let access = AccessTarget { settings, key: Some(&target.key), version: target.version };
    let action = if target.version.is_some() { Action::DeleteObjectVersion } else { Action::DeleteObject };
    let allowed = request.may(state, access, action).await?
        && (!wants_bypass(&request.headers) || request.may(state, access, Action::BypassGovernanceRetention).await?);
    if !allowed {
        object.target = Err(S3Error::new(S3ErrorCode::AccessDenied));
    }
    Ok(())
}

fn parse(document: &[u8]) -> Result<Asked, S3Error> {
    let mut xml = XmlDocument::open(document, "Delete", ELEMENTS_MAX)?;
    let mut asked = Asked { quiet: false, objects: Vec::new() };
    while let Some(name) = xml.next_child()? {
        match name.as_str() {
            "Quiet" => asked.quiet = xml.parsed()?,
            "Object" if asked.objects.len() == PAGE_ENTRIES_MAX as usize => return Err(malformed()),
            "Object" => asked.objects.push(parse_object(&mut xml)?),
            _other => xml.skip()?,
        }
    }
    xml.finish()?;
    if asked.objects.is_empty() { Err(malformed()) } else { Ok(asked) }
}

fn parse_object(xml: &mut XmlDocument<'_>) -> Result<Object, S3Error> {
    let (mut key, mut version_text, mut etag, mut modified, mut size) = (None, None, None, None, None);
    while let Some(name) = xml.next_child()? {
        match name.as_str() {
            "Key" => key = Some(xml.text()?),
            "VersionId" => version_text = Some(xml.text()?.trim().to_owned()).filter(|text| !text.is_empty()),
            "ETag" => etag = Some(xml.text()?.trim().to_owned()),
            "LastModifiedTime" => modified = Some(parse_modified_s(xml.text()?.trim()).ok_or_else(malformed)?),
            "Size" => size = Some(xml.parsed()?),
            _other => xml.skip()?,
        }
    }
    let key = key.ok_or_else(malformed)?;
    let target = target(&key, version_text.as_deref(), etag.as_deref()).map(|target| DeleteTarget {
        if_modified_s: modified,
        if_size: size,
        ..target
    });
    Ok(Object { key, version_text, target })
}

fn target(key: &str, version: Option<&str>, etag: Option<&str>) -> Result<DeleteTarget, S3Error> {
    // One of many: what no version is called is a version that there is not.
    let no_such = |_: S3Error| S3Error::new(S3ErrorCode::NoSuchVersion);
    let version: Option<VersionId> = version.map(|text| parse_version(text).map_err(no_such)).transpose()?;
    let if_match = etag.map(|tag| (tag != "*").then(|| wanted_etag(tag)));
    let key = granary_protocol::ObjectKey(ObjectKey::parse(key)?.into_string());
    Ok(DeleteTarget { key, version, if_match, if_modified_s: None, if_size: None })
}

fn push_deleted(xml: &mut Xml, key: &str, version: Option<&str>, outcome: &DeleteOutcome) {
    xml.open("Deleted");
    xml.element("Key", key);
    if let Some(version) = version {
        xml.element("VersionId", version);
    }
    if outcome.delete_marker {
        xml.plain("DeleteMarker", true);
        if let Some(marker) = outcome.version {
            xml.element("DeleteMarkerVersionId", &version_text(marker));
        }
    }
    xml.close("Deleted");
}

/// What the client is told of one delete of many that failed.
fn told(failure: &Failure) -> (S3ErrorCode, String) {
    tracing::debug!(%failure, "one delete of many refused");
    (s3_code_of(&failure.code), message_of(&failure.code).to_owned())
}

fn push_error(xml: &mut Xml, key: &str, version: Option<&str>, code: S3ErrorCode, message: &str) {
    xml.open("Error");
    xml.element("Key", key);
    if let Some(version) = version {
        xml.element("VersionId", version);
    }
    xml.element("Code", code.as_str());
    xml.element("Message", message);
    xml.close("Error");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_document() {
        let asked = parse(
            b"<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Object><Key> a&amp;b </Key></Object>\
              <Quiet>true</Quiet><Object><VersionId>null</VersionId><Key>c</Key><ETag>*</ETag></Object>\
              <Object><Key></Key></Object><Object><Key>d</Key><Size>1</Size>\
              <LastModifiedTime>Mon, 12 Oct 2009 17:50:30 GMT</LastModifiedTime></Object></Delete>",
        )
        .unwrap();
        assert!(asked.quiet);
        let targets: Vec<_> = asked.objects.iter().map(|object| object.target.as_ref().ok()).collect();
        assert_eq!(targets[0].unwrap().key.as_str(), " a&b ");
        assert_eq!(targets[1].unwrap().version, Some(VersionId::NULL));
        assert_eq!(targets[1].unwrap().if_match, Some(None));
        assert!(targets[2].is_none());
        let conditional = targets[3].unwrap();
        assert_eq!((conditional.if_size, conditional.if_modified_s), (Some(1), Some(1_255_369_830)));
    }

    #[test]
    fn bounds_the_document() {
        let many = |count: usize| format!("<Delete>{}</Delete>", "<Object><Key>k</Key></Object>".repeat(count));
        assert_eq!(parse(many(1000).as_bytes()).unwrap().objects.len(), 1000);
        for bad in [many(1001), many(0), "<Delete><Object/></Delete>".to_owned(), "<Delete".to_owned()] {
            assert_eq!(parse(bad.as_bytes()).unwrap_err().code(), S3ErrorCode::MalformedXML);
        }
    }
}
