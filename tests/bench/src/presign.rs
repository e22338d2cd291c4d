//! AWS Signature Version 4 in the query string, for requests prepared before the clock starts.
//!
//! Owns the signing key and the one timestamp all requests of a run share. Only `host` is signed and the payload is
//! `UNSIGNED-PAYLOAD`, as SDKs presign. Paths must consist of unreserved characters and `/`: the benchmark names its
//! own keys, so nothing here escapes a path.
//!
//! Source: "Authenticating Requests: Using Query Parameters (AWS Signature Version 4)", Amazon S3 API reference.

use hmac::{Hmac, KeyInit, Mac};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Digest, Sha256};
use time::{OffsetDateTime, macros::format_description};

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const EXPIRES_S: u32 = 86_400;

/// RFC 3986 unreserved characters stay, everything else is escaped, `/` included.
const QUERY_ESCAPES: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

type HmacSha256 = Hmac<Sha256>;

/// The long-lived key pair of the account the benchmark runs as.
pub struct KeyPair {
    pub access_key: String,
    pub secret_key: String,
}

/// Signs any number of requests to one host in one region; valid for a day from its creation.
pub struct Presigner {
    host: String,
    timestamp: String,
    scope: String,
    credential: String,
    keyed: HmacSha256,
}

impl Presigner {
    /// `host` is the value the `Host` header will carry, port included.
    pub fn new(keys: &KeyPair, region: &str, host: &str, now: OffsetDateTime) -> Self {
        let timestamp = now
            .format(format_description!("[year][month][day]T[hour][minute][second]Z"))
            .expect("the description names only fields a UTC time has");
        let day = &timestamp[..8];
        let scope = format!("{day}/{region}/s3/aws4_request");
        let mut key = format!("AWS4{}", keys.secret_key).into_bytes();
        for step in [day, region, "s3", "aws4_request"] {
            key = mac(&keyed(&key), step.as_bytes());
        }
        Self {
            host: host.to_owned(),
            credential: escape(&format!("{}/{scope}", keys.access_key)),
            keyed: keyed(&key),
            timestamp,
            scope,
        }
    }

    /// The value of the `Host` header that was signed.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The request target: `path` with `query`, the `X-Amz-…` parameters and the signature. `query` must be sorted
    /// by name, hold unescaped values, and its names must sort after `X-Amz-`, as all lower-case S3 names do.
    pub fn target(&self, method: &str, path: &str, query: &[(&str, &str)]) -> String {
        debug_assert!(query.is_sorted_by_key(|(name, _)| name));
        let mut parameters = format!(
            "X-Amz-Algorithm={ALGORITHM}&X-Amz-Credential={}&X-Amz-Date={}&X-Amz-Expires={EXPIRES_S}\
             &X-Amz-SignedHeaders=host",
            self.credential, self.timestamp
        );
        for (name, value) in query {
            parameters.push_str(&format!("&{name}={}", escape(value)));
        }
        let canonical = format!("{method}\n{path}\n{parameters}\nhost:{}\n\nhost\nUNSIGNED-PAYLOAD", self.host);
        let digest = hex::encode(Sha256::digest(canonical.as_bytes()));
        let to_sign = format!("{ALGORITHM}\n{}\n{}\n{digest}", self.timestamp, self.scope);
        let signature = hex::encode(mac(&self.keyed, to_sign.as_bytes()));
        format!("{path}?{parameters}&X-Amz-Signature={signature}")
    }
}

fn escape(text: &str) -> String {
    utf8_percent_encode(text, QUERY_ESCAPES).to_string()
}

fn keyed(key: &[u8]) -> HmacSha256 {
    HmacSha256::new_from_slice(key).expect("HMAC takes keys of any length")
}

fn mac(keyed: &HmacSha256, message: &[u8]) -> Vec<u8> {
    let mut mac = keyed.clone();
    mac.update(message);
    mac.finalize().into_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_credential_types::Credentials;
    use aws_sigv4::http_request::{
        PercentEncodingMode, SignableBody, SignableRequest, SignatureLocation, SigningSettings,
        UriPathNormalizationMode, sign,
    };
    use aws_sigv4::sign::v4;
    use std::time::{Duration, SystemTime};

    fn reference_signature(method: &str, url: &str, now: OffsetDateTime) -> String {
        let identity = Credentials::new("AKEXAMPLE", "a+secret/key", None, None, "test").into();
        let mut settings = SigningSettings::default();
        settings.signature_location = SignatureLocation::QueryParams;
        settings.expires_in = Some(Duration::from_secs(EXPIRES_S.into()));
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region("eu-central-1")
            .name("s3")
            .time(SystemTime::from(now))
            .settings(settings)
            .build()
            .unwrap()
            .into();
        let request = SignableRequest::new(method, url, std::iter::empty(), SignableBody::UnsignedPayload).unwrap();
        sign(request, &params).unwrap().into_parts().1
    }

    #[test]
    fn signatures_agree_with_the_sdk_signer() {
        let now = OffsetDateTime::from_unix_timestamp(1_790_000_000).unwrap();
        let keys = KeyPair { access_key: "AKEXAMPLE".into(), secret_key: "a+secret/key".into() };
        let presigner = Presigner::new(&keys, "eu-central-1", "127.0.0.1:9000", now);
        let cases: [(&str, &str, &[(&str, &str)], &str); 3] = [
            ("PUT", "/bench/put-4k/00ff", &[], ""),
            ("DELETE", "/bench/a_b-c.d~e", &[], ""),
            (
                "GET",
                "/bench",
                &[("delimiter", "/"), ("list-type", "2"), ("prefix", "tree/a b+")],
                "?delimiter=%2F&list-type=2&prefix=tree%2Fa%20b%2B",
            ),
        ];
        for (method, path, query, escaped) in cases {
            let target = presigner.target(method, path, query);
            let expected = reference_signature(method, &format!("http://127.0.0.1:9000{path}{escaped}"), now);
            assert!(
                target.ends_with(&format!("X-Amz-Signature={expected}")),
                "{method} {path}: {target} lacks {expected}"
            );
        }
    }
}
