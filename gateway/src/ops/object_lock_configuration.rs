//! GetObjectLockConfiguration and PutObjectLockConfiguration: whether a bucket locks objects, and how by default.

use super::Outcome;
use super::lock_headers::{mode_name, retention_mode};
use super::object_lock::lock_document;
use super::xml_reader::{XmlDocument, malformed};
use super::xml_writer::Xml;
use crate::error::{S3Error, S3ErrorCode};
use crate::server::{GatewayState, ResponseBody, S3Request, S3Response};
use granary_protocol::bucket::{BucketLock, DefaultRetention, RetentionPeriod};
use granary_protocol::{ErrorCode, Failure};

const ELEMENTS_MAX: usize = 16;
/// A hundred years.
const DAYS_MAX: u32 = 36_500;
const YEARS_MAX: u32 = 100;

/// Answers with the bucket's configuration.
pub(super) async fn get_object_lock_configuration(request: S3Request) -> Outcome {
    let Some(lock) = request.settings().info.object_lock else {
        return Err(S3Error::new(S3ErrorCode::ObjectLockConfigurationNotFoundError)
            .field("BucketName", request.bucket.as_str())
            .into());
    };
    let mut xml = Xml::document("ObjectLockConfiguration", 256);
    xml.element("ObjectLockEnabled", "Enabled");
    if let Some(default) = lock.default {
        xml.open("Rule");
        xml.open("DefaultRetention");
        xml.element("Mode", mode_name(default.mode));
        match default.period {
            RetentionPeriod::Days(days) => xml.plain("Days", days),
            RetentionPeriod::Years(years) => xml.plain("Years", years),
        }
        xml.close("DefaultRetention");
        xml.close("Rule");
    }
    Ok(xml.into_response())
}

/// Enables Object Lock, or changes what objects get that name no retention.
pub(super) async fn put_object_lock_configuration(state: &GatewayState, mut request: S3Request) -> Outcome {
    let document = lock_document(state, &mut request).await?;
    let lock = parse(&document)?;
    let set = state.client.set_bucket_lock(request.bucket.clone(), lock).await;
    state.settings.forget(&request.bucket);
    set.map_err(explain)?;
    Ok(S3Response::new(ResponseBody::empty()))
}

fn explain(failure: Failure) -> crate::server::Refusal {
    match failure.code {
        ErrorCode::InvalidBucketState => S3Error::with_message(
            S3ErrorCode::InvalidBucketState,
            "Versioning must be 'Enabled' on the bucket to apply a Object Lock configuration",
        )
        .into(),
        _ => failure.into(),
    }
}

fn parse(document: &[u8]) -> Result<BucketLock, S3Error> {
    let mut xml = XmlDocument::open(document, "ObjectLockConfiguration", ELEMENTS_MAX)?;
    let (mut enabled, mut default) = (false, None);
    while let Some(name) = xml.next_child()? {
        match name.as_str() {
            "ObjectLockEnabled" if xml.text()?.trim() == "Enabled" => enabled = true,
            "Rule" if default.is_none() => default = Some(parse_rule(&mut xml)?),
            _other => return Err(malformed()),
        }
    }
    xml.finish()?;
    if enabled { Ok(BucketLock { default }) } else { Err(malformed()) }
}

fn parse_rule(xml: &mut XmlDocument<'_>) -> Result<DefaultRetention, S3Error> {
    let mut default = None;
    while let Some(name) = xml.next_child()? {
        match name.as_str() {
            "DefaultRetention" if default.is_none() => default = Some(parse_default(xml)?),
            _other => return Err(malformed()),
        }
    }
    default.ok_or_else(malformed)
}

fn parse_default(xml: &mut XmlDocument<'_>) -> Result<DefaultRetention, S3Error> {
    let (mut mode, mut days, mut years) = (None, None, None);
    while let Some(name) = xml.next_child()? {
        match name.as_str() {
            "Mode" => mode = Some(retention_mode(xml.text()?.trim()).ok_or_else(malformed)?),
            "Days" => days = Some(xml.parsed::<i64>()?),
            "Years" => years = Some(xml.parsed::<i64>()?),
            _other => return Err(malformed()),
        }
    }
    let mode = mode.ok_or_else(malformed)?;
    let period = match (days, years) {
        (Some(days), None) => RetentionPeriod::Days(period("Days", days, DAYS_MAX)?),
        (None, Some(years)) => RetentionPeriod::Years(period("Years", years, YEARS_MAX)?),
        (Some(_), Some(_)) | (None, None) => return Err(malformed()),
    };
    Ok(DefaultRetention { mode, period })
}

fn period(unit: &'static str, number: i64, max: u32) -> Result<u32, S3Error> {
    let message = match u32::try_from(number) {
        Ok(0) | Err(_) if number <= 0 => "Default retention period must be a positive integer value.",
        Ok(number) if number <= max => return Ok(number),
        Ok(_) | Err(_) => "Default retention period too large.",
    };
    Err(S3Error::with_message(S3ErrorCode::InvalidRetentionPeriod, message).field(unit, number.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use granary_protocol::bucket::RetentionMode;

    fn configuration(rule: &str) -> String {
        format!(
            "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled>{rule}</ObjectLockConfiguration>"
        )
    }

    fn rule(inner: &str) -> String {
        configuration(&format!("<Rule><DefaultRetention>{inner}</DefaultRetention></Rule>"))
    }

    #[test]
    fn reads_defaults() {
        let read = |text: String| parse(text.as_bytes()).unwrap().default;
        assert_eq!(read(configuration("")), None);
        assert_eq!(
            read(rule("<Mode>GOVERNANCE</Mode><Days>1</Days>")),
            Some(DefaultRetention { mode: RetentionMode::Governance, period: RetentionPeriod::Days(1) })
        );
        assert_eq!(
            read(rule("<Years>100</Years><Mode>COMPLIANCE</Mode>")),
            Some(DefaultRetention { mode: RetentionMode::Compliance, period: RetentionPeriod::Years(100) })
        );
    }

    #[test]
    fn refuses_the_rest() {
        for (text, code) in [
            (rule("<Mode>GOVERNANCE</Mode><Days>0</Days>"), S3ErrorCode::InvalidRetentionPeriod),
            (rule("<Mode>GOVERNANCE</Mode><Days>-1</Days>"), S3ErrorCode::InvalidRetentionPeriod),
            (rule("<Mode>GOVERNANCE</Mode><Days>36501</Days>"), S3ErrorCode::InvalidRetentionPeriod),
            (rule("<Mode>GOVERNANCE</Mode><Years>101</Years>"), S3ErrorCode::InvalidRetentionPeriod),
            (rule("<Mode>GOVERNANCE</Mode><Years>99999999999</Years>"), S3ErrorCode::InvalidRetentionPeriod),
            (rule("<Mode>GOVERNANCE</Mode><Days>1</Days><Years>1</Years>"), S3ErrorCode::MalformedXML),
            (rule("<Mode>GOVERNANCE</Mode>"), S3ErrorCode::MalformedXML),
            (rule("<Days>1</Days>"), S3ErrorCode::MalformedXML),
            (rule("<Mode>governance</Mode><Days>1</Days>"), S3ErrorCode::MalformedXML),
            (configuration("<Rule/>"), S3ErrorCode::MalformedXML),
            ("<ObjectLockConfiguration/>".to_owned(), S3ErrorCode::MalformedXML),
            (configuration("").replace("Enabled<", "Disabled<"), S3ErrorCode::MalformedXML),
        ] {
            assert_eq!(parse(text.as_bytes()).unwrap_err().code(), code, "{text}");
        }
    }
}
