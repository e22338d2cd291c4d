//! One request as a line of AWS's format. Pure.
//!
//! Source: "Amazon S3 server access log format", user guide.

use crate::request::uri_encode_into;
use granary_protocol::UnixMillis;
use std::fmt::Write as _;
use time::OffsetDateTime;

/// A line is cut in its free texts (target, referer, user agent) to stay below this.
const TEXT_BYTES_MAX: usize = 2048;

/// What a line says. `None` is shown as `-`.
#[derive(Clone, Debug, Default)]
pub(crate) struct AccessRecord<'r> {
    pub bucket_owner: &'r str,
    pub bucket: &'r str,
    pub at: UnixMillis,
    pub remote_ip: Option<String>,
    /// Canonical id or ARN; `None` for an anonymous one.
    pub requester: Option<&'r str>,
    pub request_id: &'r str,
    /// `REST.GET.OBJECT` and its like.
    pub operation: String,
    pub key: Option<&'r str>,
    /// Method and target of the request; `None` for a line about one of several things that a request did.
    pub request: Option<(&'r str, &'r str)>,
    pub status: u16,
    pub error_code: Option<&'r str>,
    pub bytes_sent: u64,
    pub object_size: Option<u64>,
    pub total_ms: u64,
    pub referer: Option<&'r str>,
    pub user_agent: Option<&'r str>,
    pub version_id: Option<&'r str>,
    pub host_id: &'r str,
    /// `SigV2` or `SigV4`.
    pub signature_version: Option<&'static str>,
    /// `AuthHeader` or `QueryString`.
    pub authentication: Option<&'static str>,
    pub host: Option<&'r str>,
    pub is_tls: bool,
    pub region: &'r str,
}

impl AccessRecord<'_> {
    /// The line, with its line's end.
    pub(crate) fn to_line(&self) -> String {
        let mut line = String::with_capacity(512);
        let key = self.key.map(encoded);
        let bytes_sent = Some(self.bytes_sent).filter(|bytes| *bytes > 0).map(|bytes| bytes.to_string());
        let tls = self.is_tls.then_some("TLSv1.2+");
        let request = self
            .request
            .map_or_else(|| "-".to_owned(), |(method, target)| format!("{} {} HTTP/1.1", word(method), word(target)));
        // What the store did by itself had no request, and so no answer.
        let answered = |text: String| if self.request.is_some() || self.status != 0 { text } else { "-".to_owned() };
        let (took, status) = (answered(self.total_ms.to_string()), answered(self.status.to_string()));
        let _infallible = write!(
            line,
            "{} {} [{}] {} {} {} {} {} \"{}\" {} {} {} {} {} {} {} {} {} {} {} {} {} {} {} {} {} {}",
            self.bucket_owner,
            self.bucket,
            timestamp(self.at),
            or_dash(self.remote_ip.as_deref()),
            or_dash(self.requester),
            self.request_id,
            self.operation,
            or_dash(key.as_deref()),
            request,
            status,
            or_dash(self.error_code),
            or_dash(bytes_sent.as_deref()),
            or_dash(self.object_size.map(|size| size.to_string()).as_deref()),
            took,
            took,
            quoted(self.referer),
            quoted(self.user_agent),
            or_dash(self.version_id),
            self.host_id,
            or_dash(self.signature_version),
            "-",
            or_dash(self.authentication),
            or_dash(self.host.map(word).as_deref()),
            or_dash(tls),
            "-",
            "-",
            self.region,
        );
        line.push('\n');
        line
    }
}

fn or_dash(text: Option<&str>) -> &str {
    text.filter(|text| !text.is_empty()).unwrap_or("-")
}

fn encoded(key: &str) -> String {
    let mut out = Vec::with_capacity(key.len());
    uri_encode_into(&mut out, key.as_bytes(), true);
    String::from_utf8(out).expect("percent-encoding yields ASCII")
}

fn quoted(text: Option<&str>) -> String {
    format!("\"{}\"", text.filter(|text| !text.is_empty()).map_or_else(|| "-".to_owned(), clean))
}

/// A text without spaces.
fn word(text: &str) -> String {
    clean(text).replace(' ', "%20")
}

/// What a client wrote must not end the field or the line.
fn clean(text: &str) -> String {
    let mut out = String::with_capacity(text.len().min(TEXT_BYTES_MAX));
    for character in text.chars() {
        if out.len() >= TEXT_BYTES_MAX {
            break;
        }
        match character {
            '"' => out.push_str("%22"),
            control if control.is_control() => {
                let mut bytes = [0; 4];
                for byte in control.encode_utf8(&mut bytes).bytes() {
                    let _infallible = write!(out, "%{byte:02X}");
                }
            }
            other => out.push(other),
        }
    }
    out
}

/// `06/Feb/2019:00:00:38 +0000`
fn timestamp(at: UnixMillis) -> String {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let seconds = i64::try_from(at.0 / 1000).unwrap_or(i64::MAX);
    let date = OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    format!(
        "{:02}/{}/{:04}:{:02}:{:02}:{:02} +0000",
        date.day(),
        MONTHS[usize::from(u8::from(date.month())) - 1],
        date.year(),
        date.hour(),
        date.minute(),
        date.second()
    )
}

/// What AWS's logs call the thing a request is about: the last part of `REST.GET.…`. `subresource` is the query
/// parameter that selects the operation, if any.
pub(crate) fn resource_type(is_object: bool, subresource: &str, method: &str) -> &'static str {
    match (is_object, subresource) {
        (false, "") => "BUCKET",
        (false, "location") => "LOCATION",
        (false, "versioning") => "VERSIONING",
        (false, "uploads") => "UPLOADS",
        (false, "delete") => "MULTI_OBJECT_DELETE",
        (false, "versions") => "BUCKETVERSIONS",
        (false, "accelerate") => "ACCELERATE",
        (false, "analytics") => "ANALYTICS",
        (false, "cors") => "CORS",
        (false, "encryption") => "ENCRYPTION",
        (false, "inventory") => "INVENTORY",
        (false, "lifecycle") => "LIFECYCLE",
        (false, "logging") => "LOGGING_STATUS",
        (false, "metrics") => "METRICS",
        (false, "notification") => "NOTIFICATION",
        (false, "object-lock") => "OBJECT_LOCK_CONFIGURATION",
        (false, "ownershipControls") => "OWNERSHIP_CONTROLS",
        (false, "policy") => "BUCKETPOLICY",
        (false, "policyStatus") => "POLICY_STATUS",
        (false, "publicAccessBlock") => "PUBLIC_ACCESS_BLOCK",
        (false, "replication") => "REPLICATION",
        (false, "requestPayment") => "REQUEST_PAYMENT",
        (false, "tagging") => "TAGGING",
        (false, "website") => "WEBSITE",
        (true, "") => "OBJECT",
        (true, "uploads") => "UPLOADS",
        (true, "uploadId") if method == "PUT" => "PART",
        (true, "uploadId") => "UPLOAD",
        (true, "attributes") => "OBJECT_ATTRIBUTES",
        (true, "legal-hold") => "OBJECT_LOCK_LEGALHOLD",
        (true, "retention") => "OBJECT_LOCK_RETENTION",
        (true, "restore") => "RESTORE",
        (true, "tagging") => "OBJECT_TAGGING",
        (true, "renameObject") => "OBJECT_RENAME",
        (_, "acl") => "ACL",
        (false, _) => "BUCKET",
        (true, _) => "OBJECT",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> AccessRecord<'static> {
        AccessRecord {
            bucket_owner: "owner",
            bucket: "photos",
            at: UnixMillis(1_549_411_238_500),
            remote_ip: Some("192.0.2.3".to_owned()),
            requester: Some("caller"),
            request_id: "3E57427F3EXAMPLE",
            operation: "REST.GET.OBJECT".to_owned(),
            key: Some("a b/\u{e9}"),
            request: Some(("GET", "/photos/a%20b/%C3%A9")),
            status: 200,
            bytes_sent: 113,
            object_size: Some(226),
            total_ms: 7,
            user_agent: Some("curl/8"),
            host_id: "host=",
            signature_version: Some("SigV4"),
            authentication: Some("AuthHeader"),
            host: Some("localhost:9000"),
            region: "us-east-1",
            ..AccessRecord::default()
        }
    }

    #[test]
    fn a_line_has_the_fields_of_the_format() {
        assert_eq!(
            record().to_line(),
            "owner photos [06/Feb/2019:00:00:38 +0000] 192.0.2.3 caller 3E57427F3EXAMPLE REST.GET.OBJECT a%20b/%C3%A9 \
             \"GET /photos/a%20b/%C3%A9 HTTP/1.1\" 200 - 113 226 7 7 \"-\" \"curl/8\" - host= SigV4 - AuthHeader \
             localhost:9000 - - - us-east-1\n"
        );
    }

    #[test]
    fn no_client_writes_a_field_or_line_of_its_own() {
        let hostile = AccessRecord {
            key: Some("k\n\"x"),
            request: Some(("GET", "/b/k\"\u{a0}x y")),
            user_agent: Some("a\" 200 - \"b\nfake"),
            referer: Some(&"r".repeat(1 << 16)),
            ..record()
        };
        let line = hostile.to_line();
        assert_eq!(line.matches('\n').count(), 1);
        assert_eq!(line.matches('"').count(), 6);
        assert!(line.len() < 8192);
        assert!(line.contains("k%0A%22x"));
    }

    #[test]
    fn absent_and_anonymous_are_dashes() {
        let bare = AccessRecord { remote_ip: None, requester: None, key: None, bytes_sent: 0, ..record() };
        let line = bare.to_line();
        assert!(line.contains("+0000] - - 3E57427F3EXAMPLE REST.GET.OBJECT - \"GET"), "{line}");
        let line = AccessRecord { request: None, ..bare }.to_line();
        assert!(line.contains(" REST.GET.OBJECT - \"-\" 200 "), "{line}");
    }
}
