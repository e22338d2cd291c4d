//! Requests for pages of a bucket's web site.
//!
//! A page is read as an anonymous GetObject through the same authorization as any other: what is not public is not shown.
//! Of the browser's headers only those are passed on that choose what is sent of an object, never one that would give
//! rights or settings.

use super::body::ResponseBody;
use super::bucket_settings::BucketSettings;
use super::dispatch::{InternalRequest, serve_internally};
use super::operation::Operation;
use super::refusal::Refusal;
use super::request::{RequestBody, S3Response};
use super::request_facts::RequestFacts;
use super::request_log::Log;
use super::state::GatewayState;
use crate::documents::{IndexedWebsite, WebsiteConfiguration};
use crate::error::{S3Error, S3ErrorCode};
use crate::request::{self, ObjectKey, percent_decode, request_host};
use crate::website::{
    Redirection, SiteRequest, error_page, index_key, index_of_directory, redirect_all, redirect_of_rules,
};
use bytes::Bytes;
use granary_protocol::BucketName;
use http::header::{
    CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH,
    IF_UNMODIFIED_SINCE, LOCATION, RANGE, REFERER, USER_AGENT,
};
use http::request::Parts;
use http::{Method, Response, StatusCode};
use std::sync::Arc;

/// Headers of a browser that are passed on.
const PASSED_ON: [HeaderName; 8] =
    [HOST, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_UNMODIFIED_SINCE, RANGE, REFERER, USER_AGENT];
/// Metadata of an object that stands for another page.
const REDIRECT: HeaderName = HeaderName::from_static("x-amz-website-redirect-location");

/// A page that is not there, and the error met when the site's error document was to be shown instead.
struct Missing {
    error: S3Error,
    key: String,
    while_showing: Option<S3Error>,
}

impl Missing {
    fn new(error: impl Into<S3Error>, key: &str) -> Self {
        Self { error: error.into(), key: key.to_owned(), while_showing: None }
    }
}

/// Answers a request to `BUCKET.WEBSITE-DOMAIN`.
pub(super) async fn answer_page(state: &Arc<GatewayState>, parts: &Parts, bucket: String, log: &mut Log) -> S3Response {
    let outcome = page(state, parts, bucket, log).await;
    let request_id = log.facts.request_id;
    let mut response = outcome.unwrap_or_else(|missing| {
        log.error = Some(missing.error.code());
        let host_id = state.request_ids.host_id().to_str().unwrap_or_default();
        let Missing { error, key, while_showing } = &missing;
        let page = error_page(error, key, while_showing.as_ref(), request_id.as_str(), host_id);
        let mut response = Response::new(ResponseBody::Known(Bytes::from(page)));
        *response.status_mut() = error.status();
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
        response
    });
    if parts.method == Method::HEAD && matches!(response.body(), ResponseBody::Known(_)) {
        *response.body_mut() = ResponseBody::empty();
        if !response.headers().contains_key(CONTENT_LENGTH) {
            response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(0));
        }
    }
    response
}

async fn page(state: &Arc<GatewayState>, parts: &Parts, bucket: String, log: &mut Log) -> Result<S3Response, Missing> {
    let raw_key = parts.uri.path().strip_prefix('/').unwrap_or_default();
    let key = percent_decode(raw_key.as_bytes()).ok().and_then(|key| String::from_utf8(key).ok());
    let key = key.ok_or_else(|| Missing::new(S3ErrorCode::InvalidURI, ""))?;
    let refused = |error| Missing::new(error, &key);
    let name = request::BucketName::parse(bucket).map_err(refused)?;
    if !matches!(parts.method, Method::GET | Method::HEAD) {
        return Err(refused(S3ErrorCode::MethodNotAllowed.into()));
    }
    let settings = state.settings.get(&BucketName(name.as_str().to_owned())).await;
    let facts = log.facts.clone();
    let unsettled = |failure| refused(Refusal::from(failure).into_error(facts.request_id.as_str()));
    let settings = settings.map_err(unsettled)?;
    log.settle_page(settings.clone(), &key, &parts.headers);
    let site_request =
        SiteRequest { key: &key, host: request_host(parts).map_err(refused)?, is_tls: state.config.tls.is_some() };
    let visit = Visit { state, parts, settings: &settings, name, facts: &facts };
    match settings.website().map_err(refused)? {
        None => Err(refused(S3ErrorCode::NoSuchWebsiteConfiguration.into())),
        Some(WebsiteConfiguration::RedirectAll { host, protocol }) => {
            Ok(redirected(&redirect_all(host, *protocol, site_request)))
        }
        Some(WebsiteConfiguration::Site(site)) => visit.site_page(site, site_request).await,
    }
}

/// One request for a page.
struct Visit<'v> {
    state: &'v Arc<GatewayState>,
    parts: &'v Parts,
    settings: &'v Arc<BucketSettings>,
    name: request::BucketName,
    facts: &'v RequestFacts,
}

impl Visit<'_> {
    async fn site_page(&self, site: &IndexedWebsite, request: SiteRequest<'_>) -> Result<S3Response, Missing> {
        if let Some(redirection) = redirect_of_rules(&site.rules, None, request) {
            return Ok(redirected(&redirection));
        }
        let key = index_key(site, request.key);
        let error = match self.object(&key, &self.parts.method, true).await {
            Ok(response) => return Ok(followed(response)),
            Err(error) if error.status() == StatusCode::NOT_MODIFIED => {
                let mut response = S3Response::new(ResponseBody::empty());
                *response.status_mut() = error.status();
                return Ok(response);
            }
            Err(error) => error,
        };
        if let Some((index, redirection)) = index_of_directory(site, request.key)
            && matches!(error.code(), S3ErrorCode::NoSuchKey | S3ErrorCode::AccessDenied)
            && self.object(&index, &Method::HEAD, false).await.is_ok()
        {
            return Ok(redirected(&redirection));
        }
        if let Some(redirection) = redirect_of_rules(&site.rules, Some(error.status().as_u16()), request) {
            return Ok(redirected(&redirection));
        }
        let Some(error_key) = site.error_key.as_ref().filter(|_| error.status().is_client_error()) else {
            return Err(Missing::new(error, &key));
        };
        match self.object(error_key, &self.parts.method, false).await {
            Ok(mut response) => {
                *response.status_mut() = error.status();
                Ok(response)
            }
            Err(other) => Err(Missing { error, key, while_showing: Some(other) }),
        }
    }

    /// Reads an object as anybody may. `conditions` says whether the browser's conditions and range are about it.
    async fn object(&self, key: &str, method: &Method, conditions: bool) -> Result<S3Response, S3Error> {
        let key = ObjectKey::parse(key)?;
        let mut headers = HeaderMap::new();
        for name in PASSED_ON {
            let is_about_the_object = !matches!(name, HOST | REFERER | USER_AGENT);
            if let Some(value) = self.parts.headers.get(&name).filter(|_| conditions || !is_about_the_object) {
                headers.insert(name, value.clone());
            }
        }
        let operation = if *method == Method::HEAD { Operation::HeadObject } else { Operation::GetObject };
        let request = InternalRequest {
            bucket: self.name.clone(),
            key,
            headers,
            settings: self.settings.clone(),
            authenticated: self.state.authenticator.anonymous(),
            body: RequestBody::of_bytes(Bytes::new(), self.state),
        };
        let served = serve_internally(self.state, operation, self.facts, request);
        Box::pin(served).await.map_err(|refusal| refusal.into_error(self.facts.request_id.as_str()))
    }
}

/// An object that stands for another page is a redirect to it.
fn followed(response: S3Response) -> S3Response {
    match response.headers().get(REDIRECT).and_then(|location| location.to_str().ok()) {
        Some(location) => redirected(&Redirection { status: 301, location: location.to_owned() }),
        None => response,
    }
}

fn redirected(redirection: &Redirection) -> S3Response {
    let mut response = S3Response::new(ResponseBody::empty());
    *response.status_mut() = StatusCode::from_u16(redirection.status).unwrap_or(StatusCode::MOVED_PERMANENTLY);
    if let Ok(location) = HeaderValue::from_str(&redirection.location) {
        response.headers_mut().insert(LOCATION, location);
    }
    response
}
