//! PostObject: a PUT whose answer a browser shows.

use super::Outcome;
use super::put_object::put_object;
use super::xml_writer::Xml;
use crate::error::{S3Error, S3ErrorCode};
use crate::form::FormFields;
use crate::request::uri_encode_into;
use crate::server::{GatewayState, S3Request};
use http::header::{CONTENT_TYPE, ETAG, HeaderValue, LOCATION};
use http::{StatusCode, Uri};

/// What the form wants to be answered after a success.
#[derive(Clone, Debug)]
pub(crate) struct FormReply {
    /// 200, 201 or 204.
    status: StatusCode,
    /// Where the browser goes instead.
    redirect: Option<Uri>,
    /// The URL of the object.
    location: String,
}

impl FormReply {
    /// Reads `success_action_redirect`, its older name `redirect`, and `success_action_status`. What cannot be used
    /// counts as absent, as on AWS.
    pub(crate) fn new(fields: &FormFields, location: String) -> Self {
        let status = match fields.get("success_action_status") {
            Some("200") => StatusCode::OK,
            Some("201") => StatusCode::CREATED,
            Some(_) | None => StatusCode::NO_CONTENT,
        };
        let redirect = fields.get("success_action_redirect").or_else(|| fields.get("redirect"));
        let is_web = |uri: &Uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some();
        Self { status, redirect: redirect.and_then(|text| text.parse().ok()).filter(is_web), location }
    }

    /// The redirect with `bucket`, `key` and `etag` appended to its query.
    fn redirect_to(uri: &Uri, bucket: &str, key: &str, etag: &str) -> String {
        let mut url = uri.to_string().into_bytes();
        let mut separator = if uri.query().is_some() { b'&' } else { b'?' };
        for (name, value) in [("bucket", bucket), ("key", key), ("etag", etag)] {
            url.push(separator);
            url.extend_from_slice(name.as_bytes());
            url.push(b'=');
            uri_encode_into(&mut url, value.as_bytes(), false);
            separator = b'&';
        }
        String::from_utf8(url).expect("a URI and percent-encoding are ASCII")
    }
}

/// Stores the form's file, then answers as the form wants.
pub(super) async fn post_object(state: &GatewayState, request: Box<S3Request>) -> Outcome {
    let reply = request.form.clone().ok_or_else(|| S3Error::new(S3ErrorCode::InternalError))?;
    let (bucket, key) = (request.bucket.clone(), request.key.clone());
    let stored = put_object(state, request).await?;
    let etag = stored.headers().get(ETAG).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let (parts, body) = match (&reply.redirect, reply.status) {
        (None, StatusCode::CREATED) => {
            let mut xml = Xml::bare_document("PostResponse");
            xml.element("Location", &reply.location);
            xml.element("Bucket", bucket.as_str());
            xml.element("Key", key.as_str());
            xml.element("ETag", &etag);
            let (_, document) = xml.into_response().into_parts();
            let (mut parts, _empty) = stored.into_parts();
            parts.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/xml"));
            (parts, document)
        }
        (_, _) => stored.into_parts(),
    };
    let mut response = http::Response::from_parts(parts, body);
    *response.status_mut() = if reply.redirect.is_some() { StatusCode::SEE_OTHER } else { reply.status };
    let location = match &reply.redirect {
        Some(uri) => FormReply::redirect_to(uri, bucket.as_str(), key.as_str(), &etag),
        None => reply.location,
    };
    if let Ok(location) = HeaderValue::from_str(&location) {
        response.headers_mut().insert(LOCATION, location);
    }
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(pairs: &[(&str, &str)]) -> FormReply {
        let mut fields = FormFields::default();
        for (name, value) in pairs {
            fields.push(name, (*value).to_owned()).unwrap();
        }
        FormReply::new(&fields, String::new())
    }

    #[test]
    fn statuses() {
        for (asked, status) in [("200", 200), ("201", 201), ("204", 204), ("404", 204), ("", 204)] {
            assert_eq!(reply(&[("success_action_status", asked)]).status.as_u16(), status);
        }
    }

    #[test]
    fn redirects() {
        for (url, expected) in [
            ("http://h/p", Some("http://h/p?bucket=b&key=a%2F%26&etag=%22e%22")),
            ("https://h/p?q=1", Some("https://h/p?q=1&bucket=b&key=a%2F%26&etag=%22e%22")),
            ("/p", None),
            ("javascript:alert(1)", None),
            ("http://h/\r\nSet-Cookie: a", None),
            ("", None),
        ] {
            for name in ["success_action_redirect", "redirect"] {
                let redirect = reply(&[(name, url)]).redirect;
                let to = redirect.map(|uri| FormReply::redirect_to(&uri, "b", "a/&", "\"e\""));
                assert_eq!(to.as_deref(), expected, "{url}");
            }
        }
    }
}
