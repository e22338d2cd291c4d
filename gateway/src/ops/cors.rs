//! Cross-origin requests: the answer to a browser's question, and the headers that let a page read any other answer.
//!
//! A preflight carries no credentials, so what it is told does not depend on whether the bucket exists: one without rules
//! and none at all are the same refusal.

use super::Outcome;
use crate::documents::CorsRule;
use crate::error::{S3Error, S3ErrorCode};
use crate::server::{GatewayState, Refusal, ResponseBody, S3Response};
use granary_protocol::{BucketName, ErrorCode};
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method};

const VARIES: HeaderValue =
    HeaderValue::from_static("Origin, Access-Control-Request-Headers, Access-Control-Request-Method");
const METHODS: [&str; 5] = ["GET", "PUT", "POST", "DELETE", "HEAD"];
/// Headers a preflight may ask for. Browsers ask for a handful.
const ASKED_HEADERS_MAX: usize = 100;

/// What a request says about the page it comes from.
pub(crate) struct CrossOrigin {
    origin: HeaderValue,
    /// The method asked about: that of the request itself unless it names another.
    method: String,
    headers: Vec<String>,
}

impl CrossOrigin {
    /// `None` for a request that comes from no page.
    pub fn of(method: &Method, headers: &HeaderMap) -> Option<CrossOrigin> {
        let origin = headers.get(ORIGIN)?.clone();
        let asked = headers.get(ACCESS_CONTROL_REQUEST_METHOD).and_then(|value| value.to_str().ok());
        let list = headers.get_all(ACCESS_CONTROL_REQUEST_HEADERS).iter().filter_map(|value| value.to_str().ok());
        let names = list.flat_map(|list| list.split(',')).map(|name| name.trim().to_ascii_lowercase());
        Some(CrossOrigin {
            origin,
            method: asked.unwrap_or(method.as_str()).to_owned(),
            headers: names.filter(|name| !name.is_empty()).take(ASKED_HEADERS_MAX + 1).collect(),
        })
    }

    fn rule<'c>(&self, rules: &'c crate::documents::CorsConfiguration) -> Option<&'c CorsRule> {
        let headers: Vec<&str> = self.headers.iter().map(String::as_str).collect();
        let origin = self.origin.to_str().ok()?;
        rules.rule_for(origin, &self.method, &headers).filter(|_| headers.len() <= ASKED_HEADERS_MAX)
    }

    /// The headers of an answer that the page may read.
    fn allow(&self, rule: &CorsRule, headers: &mut HeaderMap) {
        match rule.allows_any_origin() {
            true => headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*")),
            false => {
                headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
                headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, self.origin.clone())
            }
        };
        insert_list(headers, ACCESS_CONTROL_ALLOW_METHODS, &rule.allowed_methods);
        insert_list(headers, ACCESS_CONTROL_ALLOW_HEADERS, &self.headers);
        insert_list(headers, ACCESS_CONTROL_EXPOSE_HEADERS, &rule.expose_headers);
        if let Some(seconds) = rule.max_age_seconds {
            headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from(seconds));
        }
    }
}

/// Everything here is a checked header name or came in as a header, so that nothing can be smuggled in.
fn insert_list(headers: &mut HeaderMap, name: HeaderName, texts: &[String]) {
    if let Ok(value) = HeaderValue::from_str(&texts.join(", "))
        && !texts.is_empty()
    {
        headers.insert(name, value);
    }
}

/// Answers OPTIONS.
pub(crate) async fn preflight(
    state: &GatewayState,
    bucket: Option<BucketName>,
    is_object: bool,
    headers: &HeaderMap,
) -> Outcome {
    let bad = |message: String| S3Error::with_message(S3ErrorCode::BadRequest, message);
    let Some(question) = CrossOrigin::of(&Method::OPTIONS, headers) else {
        return Err(bad("Insufficient information. Origin request header needed.".to_owned()).into());
    };
    let asked = headers.get(ACCESS_CONTROL_REQUEST_METHOD).map(|method| String::from_utf8_lossy(method.as_bytes()));
    match asked.as_deref() {
        Some(method) if METHODS.contains(&method) => {}
        other => {
            let method = other.unwrap_or("null");
            return Err(bad(format!("Invalid Access-Control-Request-Method: {method}")).into());
        }
    }
    let refused = |error: S3Error| {
        let kind = if is_object { "OBJECT" } else { "BUCKET" };
        Refusal::from(error.field("Method", question.method.as_str()).field("ResourceType", kind).header(VARY, VARIES))
    };
    let settings = match bucket {
        None => None,
        Some(bucket) => match state.settings.get(&bucket).await {
            Ok(settings) => Some(settings),
            Err(failure) if failure.code == ErrorCode::NoSuchBucket => None,
            Err(failure) => return Err(failure.into()),
        },
    };
    let rules = settings.as_ref().map(|settings| settings.cors()).transpose()?.flatten();
    let Some(rules) = rules else { return Err(refused(S3Error::new(S3ErrorCode::AccessForbidden))) };
    let Some(rule) = question.rule(rules) else {
        return Err(refused(S3Error::with_message(
            S3ErrorCode::AccessForbidden,
            "CORSResponse: This CORS request is not allowed. This is usually because the evalution of Origin, request \
             method / Access-Control-Request-Method or Access-Control-Request-Headers are not whitelisted by the \
             resource's CORS spec.",
        )));
    };
    let mut response = S3Response::new(ResponseBody::empty());
    question.allow(rule, response.headers_mut());
    response.headers_mut().insert(VARY, VARIES);
    Ok(response)
}

/// Adds what the bucket's rules say about any answer to a page of another origin, a refusal as well.
pub(crate) async fn add_cors(
    state: &GatewayState,
    question: &CrossOrigin,
    bucket: &BucketName,
    response: &mut S3Response,
) {
    // What is not known is not allowed.
    let Ok(settings) = state.settings.get(bucket).await else { return };
    let Ok(Some(rules)) = settings.cors() else { return };
    response.headers_mut().append(VARY, VARIES);
    if let Some(rule) = question.rule(rules) {
        question.allow(rule, response.headers_mut());
    }
}
