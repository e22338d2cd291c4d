//! What is known of a request for whoever is told of it afterwards, however far it came.

use super::bucket_settings::BucketSettings;
use super::log_delivery::{destination, note, object_size};
use super::operation::Operation;
use super::request::S3Response;
use super::request_facts::{Peer, RequestFacts};
use super::request_id::RequestId;
use super::state::GatewayState;
use crate::access_log::{AccessRecord, BatchDeleted, LogDestination, resource_type};
use crate::auth::{AuthMethod, AuthenticatedRequest, Identity};
use crate::error::S3ErrorCode;
use granary_protocol::BucketName;
use http::header::{HOST, HeaderMap, HeaderName, REFERER, USER_AGENT};
use http::{Method, Uri};
use http_body::Body as _;
use std::sync::Arc;
use std::time::Duration;

/// Headers an access log shows.
const NOTED: [HeaderName; 3] = [HOST, REFERER, USER_AGENT];

/// A request on its way.
pub(super) struct Log {
    pub operation: Option<Operation>,
    /// Only where somebody asks: in a verbose log, or for a page of another origin.
    pub bucket: Option<BucketName>,
    /// Once they are known.
    pub settings: Option<Arc<BucketSettings>>,
    pub facts: RequestFacts,
    pub error: Option<S3ErrorCode>,
    method: AuthMethod,
    /// For the access log of a bucket that keeps one.
    access: Option<Box<Access>>,
}

/// What an access log shows besides.
struct Access {
    destination: LogDestination,
    key: Option<String>,
    /// The last part of `REST.GET.…`.
    resource: &'static str,
    /// Whether it is for a page of a web site.
    is_page: bool,
    headers: HeaderMap,
}

impl Log {
    pub(super) fn new(request_id: RequestId, peer: Option<Peer>) -> Self {
        Self {
            operation: None,
            bucket: None,
            settings: None,
            facts: RequestFacts { request_id, peer, identity: Identity::Anonymous },
            error: None,
            method: AuthMethod::Anonymous,
            access: None,
        }
    }

    /// Who sent it.
    pub(super) fn identify(&mut self, authenticated: &AuthenticatedRequest) {
        self.method = authenticated.method();
        self.facts.identity = authenticated.identity().clone();
    }

    /// The bucket it is about is known. `key` and `resource` name the rest of it.
    pub(super) fn settle(
        &mut self,
        settings: Option<Arc<BucketSettings>>,
        key: Option<&str>,
        resource: &'static str,
        headers: &HeaderMap,
    ) {
        self.access = settings.as_deref().and_then(destination).map(|destination| {
            let noted = NOTED.into_iter().filter_map(|name| Some((name.clone(), headers.get(name)?.clone())));
            let (key, headers) = (key.map(str::to_owned), noted.collect());
            Box::new(Access { destination, key, resource, is_page: false, headers })
        });
        self.settings = settings;
    }

    /// It is for a page of a web site.
    pub(super) fn settle_page(&mut self, settings: Arc<BucketSettings>, key: &str, headers: &HeaderMap) {
        self.settle(Some(settings), Some(key), resource_type(true, "", "GET"), headers);
        if let Some(access) = &mut self.access {
            access.is_page = true;
        }
    }

    /// Adds it to its bucket's access log, if that is kept.
    pub(super) fn note(&self, state: &GatewayState, method: &Method, uri: &Uri, response: &S3Response, took: Duration) {
        let (Some(settings), Some(access)) = (&self.settings, &self.access) else { return };
        let header = |name: HeaderName| access.headers.get(name).and_then(|value| value.to_str().ok());
        let door = if access.is_page { "WEBSITE" } else { "REST" };
        let verb = match self.operation {
            Some(Operation::CopyObject | Operation::UploadPartCopy) => "COPY",
            Some(_) | None => method.as_str(),
        };
        let reads_object = access.resource == "OBJECT" && matches!(*method, Method::GET | Method::HEAD);
        let requester = self.facts.identity.principal().map(|principal| principal.caller.canonical_id.as_str());
        let record = AccessRecord {
            bucket_owner: settings.info.owner.as_str(),
            bucket: settings.info.name.as_str(),
            at: state.now(),
            remote_ip: self.facts.remote_ip().map(|address| address.to_string()),
            requester,
            request_id: self.facts.request_id.as_str(),
            operation: format!("{door}.{verb}.{}", access.resource),
            key: access.key.as_deref(),
            request: Some((method.as_str(), uri.path_and_query().map_or("", |target| target.as_str()))),
            status: response.status().as_u16(),
            error_code: self.error.map(S3ErrorCode::as_str),
            bytes_sent: response.body().size_hint().exact().unwrap_or_default(),
            object_size: if reads_object && response.status().is_success() { object_size(response) } else { None },
            total_ms: took.as_millis() as u64,
            referer: header(REFERER),
            user_agent: header(USER_AGENT),
            version_id: response.headers().get("x-amz-version-id").and_then(|value| value.to_str().ok()),
            host_id: state.request_ids.host_id().to_str().unwrap_or_default(),
            signature_version: (self.method != AuthMethod::Anonymous).then_some("SigV4"),
            authentication: match self.method {
                AuthMethod::Anonymous | AuthMethod::PostForm => None,
                AuthMethod::Header => Some("AuthHeader"),
                AuthMethod::QueryString => Some("QueryString"),
            },
            host: header(HOST),
            is_tls: state.config.tls.is_some(),
            region: &state.config.region,
        };
        note(state, access.destination.clone(), &record);
        let Some(BatchDeleted(keys)) = response.extensions().get() else { return };
        for deleted in keys {
            let one = AccessRecord {
                operation: "BATCH.DELETE.OBJECT".to_owned(),
                key: Some(&deleted.key),
                request: None,
                status: deleted.status,
                error_code: deleted.error_code,
                bytes_sent: 0,
                version_id: deleted.version_id.as_deref(),
                ..record.clone()
            };
            note(state, access.destination.clone(), &one);
        }
    }
}
