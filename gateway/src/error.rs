//! Every error a client of the S3 door can see: one closed table of codes, the value handlers return, and its XML.
//!
//! Invariants: the table is the only place where a code meets its spelling, status and default message; it is expanded
//! into exhaustive matches, so a new code cannot lack one of them. What is rendered here is meant for the client: no
//! secret, path or internal cause may be put into a message or a field; log those where the error is handled.
//!
//! Not here: request ids are made by the server, and the choice of code belongs to whoever finds the fault.
//!
//! Source: "Error responses", Amazon S3 API reference.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Method, Response, StatusCode};

/// `x-amz-request-id`: names one request in responses and logs.
pub const REQUEST_ID_HEADER: HeaderName = HeaderName::from_static("x-amz-request-id");
/// `x-amz-id-2`: names the host that answered.
pub const HOST_ID_HEADER: HeaderName = HeaderName::from_static("x-amz-id-2");

/// Expands the table into the enum and its three total functions.
macro_rules! s3_error_codes {
    (@text $code:ident) => { stringify!($code) };
    (@text $code:ident $spelled:literal) => { $spelled };
    ($($code:ident $(as $spelled:literal)? $status:literal $message:literal)+) => {
        /// An error code of the S3 API. Variants are spelled as on the wire, except where that has a dot.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum S3ErrorCode {
            $(#[doc = $message] $code,)+
        }

        impl S3ErrorCode {
            /// All codes, in the order of the table.
            pub const ALL: &'static [S3ErrorCode] = &[$(S3ErrorCode::$code,)+];

            /// The text of `<Code>`.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(S3ErrorCode::$code => s3_error_codes!(@text $code $($spelled)?),)+
                }
            }

            /// The HTTP status as a number.
            pub const fn status_u16(self) -> u16 {
                match self {
                    $(S3ErrorCode::$code => $status,)+
                }
            }

            /// The message used unless the fault says more.
            pub const fn default_message(self) -> &'static str {
                match self {
                    $(S3ErrorCode::$code => $message,)+
                }
            }
        }
    };
}

s3_error_codes! {
    AccessForbidden 403 "CORSResponse: CORS is not enabled for this bucket."
    AccessControlListNotSupported 400 "The bucket does not allow ACLs"
    AccessDenied 403 "Access Denied"
    AccountProblem 403 "There is a problem with your AWS account that prevents the operation from completing successfully."
    AllAccessDisabled 403 "All access to this object has been disabled"
    AmbiguousGrantByEmailAddress 400 "The e-mail address you provided is associated with more than one account."
    AuthorizationHeaderMalformed 400 "The authorization header you provided is invalid."
    AuthorizationQueryParametersError 400 "The authorization query parameters that you provided are not valid."
    BadDigest 400 "The Content-MD5 or checksum value that you specified did not match what the server received."
    BadRequest 400 "Bad Request"
    BucketAlreadyExists 409 "The requested bucket name is not available. The bucket namespace is shared by all users of the system. Please select a different name and try again."
    BucketAlreadyOwnedByYou 409 "Your previous request to create the named bucket succeeded and you already own it."
    BucketHasAccessPointsAttached 400 "The bucket you are trying to delete has access points attached. Delete your access points and try again."
    BucketNotEmpty 409 "The bucket you tried to delete is not empty"
    ClientTokenConflict 409 "Your Multi-Region Access Point idempotency token was already used for a different request."
    ConditionalRequestConflict 409 "The conditional request cannot succeed due to a conflicting operation against this resource."
    CredentialsNotSupported 400 "This request does not support credentials."
    CrossLocationLoggingProhibited 403 "Cross-location logging not allowed. Buckets in one geographic location cannot log information to a bucket in another location."
    DeviceNotActiveError 400 "The device is not currently active."
    EntityAlreadyExists 409 "There is one of this name already."
    EntityTooLarge 400 "Your proposed upload exceeds the maximum allowed size"
    EntityTooSmall 400 "Your proposed upload is smaller than the minimum allowed size"
    ExpiredToken 400 "The provided token has expired."
    IdempotencyParameterMismatch 400 "The idempotency token was already used with different parameters."
    IllegalLocationConstraintException 400 "The unspecified location constraint is incompatible for the region specific endpoint this request was sent to."
    IllegalVersioningConfigurationException 400 "The Versioning element must be specified"
    IncompleteBody 400 "The request body terminated unexpectedly"
    IncorrectNumberOfFilesInPostRequest 400 "POST requires exactly one file upload per request."
    InlineDataTooLarge 400 "The inline data exceeds the maximum allowed size."
    InternalError 500 "We encountered an internal error. Please try again."
    InvalidAccessKeyId 403 "The AWS Access Key Id you provided does not exist in our records."
    InvalidAccessPoint 400 "The specified access point name or account is not valid."
    InvalidAddressingHeader 400 "You must specify the Anonymous role."
    InvalidArgument 400 "Invalid Argument"
    InvalidBucketAclWithObjectOwnership 400 "Bucket cannot have ACLs set with ObjectOwnership's BucketOwnerEnforced setting"
    InvalidBucketName 400 "The specified bucket is not valid."
    InvalidBucketOwnerAWSAccountID 400 "The value of the expected bucket owner parameter must be an AWS Account ID."
    InvalidBucketState 409 "The request is not valid with the current state of the bucket."
    InvalidChunkSizeError 403 "Only the last chunk is allowed to have a size less than 8192 bytes"
    InvalidDigest 400 "The Content-MD5 you specified was invalid."
    InvalidEncryptionAlgorithmError 400 "The encryption request you specified is not valid. Supported value: AES256."
    InvalidHostHeader 400 "The host headers provided in the request used the incorrect style addressing."
    InvalidHttpMethod 400 "The request was made using an unexpected HTTP method."
    InvalidLocationConstraint 400 "The specified location-constraint is not valid"
    InvalidObjectState 403 "The operation is not valid for the object's storage class"
    InvalidPart 400 "One or more of the specified parts could not be found. The part may not have been uploaded, or the specified entity tag may not match the part's entity tag."
    InvalidPartOrder 400 "The list of parts was not in ascending order. Parts must be ordered by part number."
    InvalidPayer 403 "All access to this object has been disabled."
    InvalidPolicyDocument 400 "The content of the form does not meet the conditions specified in the policy document."
    InvalidRange 416 "The requested range is not satisfiable"
    InvalidRegion 403 "The requested region is not valid."
    InvalidRequest 400 "Invalid Request"
    InvalidRetentionPeriod 400 "The retention period must be a positive integer."
    InvalidSecurity 403 "The provided security credentials are not valid."
    InvalidSessionException 400 "The session is not valid."
    InvalidSignature 400 "The request signature that the server calculated does not match the signature that you provided."
    InvalidSOAPRequest 400 "The SOAP request body is not valid."
    InvalidStorageClass 400 "The storage class you specified is not valid"
    InvalidTag 400 "The tag provided was not a valid tag. This error can occur if the tag did not pass input validation."
    InvalidTargetBucketForLogging 400 "The target bucket for logging does not exist, is not owned by you, or does not have the appropriate grants for the log-delivery group."
    InvalidToken 400 "The provided token is malformed or otherwise invalid."
    InvalidURI 400 "Couldn't parse the specified URI."
    KeyTooLongError 400 "Your key is too long"
    KmsDisabledException as "KMS.DisabledException" 400 "The request was rejected because the specified KMS key is not enabled."
    KmsNotFoundException as "KMS.NotFoundException" 400 "The request was rejected because the specified entity or resource could not be found."
    LimitExceeded 409 "There are as many as there may be."
    MalformedACLError 400 "The XML you provided was not well-formed or did not validate against our published schema"
    MalformedPOSTRequest 400 "The body of your POST request is not well-formed multipart/form-data."
    MalformedPolicy 400 "Policy has invalid resource"
    MalformedTrailerError 400 "The request contained trailing data that was not well-formed or did not conform to our published schema."
    MalformedXML 400 "The XML you provided was not well-formed or did not validate against our published schema"
    MaxMessageLengthExceeded 400 "Your request was too big."
    MaxPostPreDataLengthExceededError 400 "Your POST request fields preceding the upload file were too large."
    MetadataTooLarge 400 "Your metadata headers exceed the maximum allowed metadata size"
    MethodNotAllowed 405 "The specified method is not allowed against this resource."
    MissingAttachment 400 "A SOAP attachment was expected, but none was found."
    MissingAuthenticationToken 403 "The request was not signed."
    MissingContentLength 411 "You must provide the Content-Length HTTP header."
    MissingRequestBodyError 400 "Request Body is empty"
    MissingSecurityElement 400 "The SOAP 1.1 request is missing a security element."
    MissingSecurityHeader 400 "Your request was missing a required header"
    NoLoggingStatusForKey 400 "There is no such thing as a logging status subresource for a key."
    NoSuchAccessPoint 404 "The specified access point does not exist."
    NoSuchBucket 404 "The specified bucket does not exist"
    NoSuchBucketPolicy 404 "The bucket policy does not exist"
    NoSuchCORSConfiguration 404 "The CORS configuration does not exist"
    NoSuchConfiguration 404 "The specified configuration does not exist."
    NoSuchEntity 404 "There is none of this name."
    NoSuchKey 404 "The specified key does not exist."
    NoSuchLifecycleConfiguration 404 "The lifecycle configuration does not exist"
    NoSuchObjectLockConfiguration 404 "The specified object does not have a ObjectLock configuration"
    NoSuchPublicAccessBlockConfiguration 404 "The public access block configuration was not found"
    NoSuchTagSet 404 "The TagSet does not exist"
    NoSuchTagSetError 404 "There is no tag set associated with the bucket."
    NoSuchUpload 404 "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed."
    NoSuchVersion 404 "The specified version does not exist."
    NoSuchWebsiteConfiguration 404 "The specified bucket does not have a website configuration"
    NotImplemented 501 "A header you provided implies functionality that is not implemented"
    NotModified 304 "Not Modified"
    NotSignedUp 403 "Your account is not signed up for the S3 service. You must sign up before you can use S3."
    ObjectAlreadyInActiveTierError 403 "This object is already in an active tier"
    ObjectLockConfigurationNotFoundError 404 "Object Lock configuration does not exist for this bucket"
    OperationAborted 409 "A conflicting conditional operation is currently in progress against this resource. Please try again."
    OwnershipControlsNotFoundError 404 "The bucket ownership controls were not found"
    ParentNotDirectory 409 "A parent of the key is not a directory."
    PermanentRedirect 301 "The bucket you are attempting to access must be addressed using the specified endpoint. Please send all future requests to this endpoint."
    PreconditionFailed 412 "At least one of the pre-conditions you specified did not hold"
    Redirect 307 "Temporary redirect. You are being redirected to the bucket while DNS updates."
    ReplicationConfigurationNotFoundError 404 "The replication configuration was not found"
    RequestHeaderSectionTooLarge 400 "Your request header section exceeds the maximum allowed size."
    RequestIsNotMultiPartContent 400 "Bucket POST must be of the enclosure-type multipart/form-data."
    RequestTimeTooSkewed 403 "The difference between the request time and the current time is too large."
    RequestTimeout 400 "Your socket connection to the server was not read from or written to within the timeout period."
    RequestTorrentOfBucketError 400 "Requesting the torrent file of a bucket is not permitted."
    RestoreAlreadyInProgress 409 "Object restore is already in progress"
    ServerSideEncryptionConfigurationNotFoundError 404 "The server side encryption configuration was not found"
    ServiceUnavailable 503 "Service is unable to handle request."
    SignatureDoesNotMatch 403 "The request signature we calculated does not match the signature you provided. Check your key and signing method."
    SlowDown 503 "Please reduce your request rate."
    TemporaryRedirect 307 "You are being redirected to the bucket while DNS updates."
    TokenCodeInvalidError 400 "The serial number and/or token code you provided is not valid."
    TokenRefreshRequired 400 "The provided token must be refreshed."
    TooManyAccessPoints 400 "You have attempted to create more access points than are allowed for an account."
    TooManyBuckets 400 "You have attempted to create more buckets than allowed."
    TooManyParts 400 "You have attempted to upload more parts than are allowed."
    UnauthorizedAccess 403 "You are not authorized to perform this operation"
    UnexpectedContent 400 "This request contains unsupported content."
    UnresolvableGrantByEmailAddress 400 "The e-mail address you provided does not match any account on record."
    UnsupportedArgument 400 "The request contained an unsupported argument."
    UnsupportedSignature 400 "The provided request is signed with an unsupported STS Token version or the signature version is not supported."
    UserKeyMustBeSpecified 400 "The bucket POST must contain the specified field name. If it is specified, check the order of the fields."
    XAmzContentSHA256Mismatch 400 "The provided 'x-amz-content-sha256' header does not match what was computed."
}

impl S3ErrorCode {
    /// The HTTP status.
    pub fn status(self) -> StatusCode {
        StatusCode::from_u16(self.status_u16()).expect("every status in the table is between 100 and 599")
    }
}

impl fmt::Display for S3ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a handler returns when it refuses: a code, what to tell the client, and what AWS puts beside it.
///
/// `fields` become elements of the XML after `<Message>`, in order (`ArgumentName`, `Region`, `StringToSign` …);
/// `headers` are added to the response (`Allow`, `Content-Range`, `x-amz-delete-marker` …).
#[derive(Clone, Debug)]
pub struct S3Error {
    code: S3ErrorCode,
    message: Cow<'static, str>,
    // Boxed because most errors carry none of it, and `Result<T, S3Error>` is moved around everywhere.
    details: Option<Box<Details>>,
}

#[derive(Clone, Debug, Default)]
struct Details {
    resource: Option<String>,
    fields: Vec<(&'static str, String)>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl S3Error {
    /// An error with the table's message.
    pub fn new(code: S3ErrorCode) -> Self {
        Self { code, message: Cow::Borrowed(code.default_message()), details: None }
    }

    /// An error with a message of its own, for the client's eyes.
    pub fn with_message(code: S3ErrorCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code, message: message.into(), details: None }
    }

    /// `InvalidArgument` as AWS words it: a message, the argument's name and the value that was refused.
    pub fn invalid_argument(
        message: impl Into<Cow<'static, str>>,
        name: impl Into<String>,
        value: impl Into<String>,
    ) -> Self {
        Self::with_message(S3ErrorCode::InvalidArgument, message)
            .field("ArgumentName", name)
            .field("ArgumentValue", value)
    }

    /// `InvalidRequest` with a message.
    pub fn invalid_request(message: impl Into<Cow<'static, str>>) -> Self {
        Self::with_message(S3ErrorCode::InvalidRequest, message)
    }

    /// Sets `<Resource>`: the path the error is about, as the client wrote it.
    #[must_use]
    pub fn resource(mut self, resource: impl Into<String>) -> Self {
        self.details_mut().resource = Some(resource.into());
        self
    }

    /// Sets `<Resource>` unless the error already has one; for the outermost layer.
    #[must_use]
    pub fn or_resource(mut self, resource: impl FnOnce() -> String) -> Self {
        let slot = &mut self.details_mut().resource;
        if slot.is_none() {
            *slot = Some(resource());
        }
        self
    }

    /// Adds an element to the XML. `name` must be an XML name; the value is escaped when rendered.
    #[must_use]
    pub fn field(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.details_mut().fields.push((name, value.into()));
        self
    }

    /// Adds a response header.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.details_mut().headers.push((name, value));
        self
    }

    /// The code.
    pub fn code(&self) -> S3ErrorCode {
        self.code
    }

    /// What the client is told.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        self.code.status()
    }

    /// The value of an extra element, for tests and logs.
    pub fn get_field(&self, name: &str) -> Option<&str> {
        let fields = &self.details.as_ref()?.fields;
        fields.iter().find(|(field, _)| *field == name).map(|(_, value)| value.as_str())
    }

    /// The XML error document, also used as the body of a 200 that failed late (CopyObject, CompleteMultipartUpload).
    pub fn to_xml(&self, request_id: &str, host_id: &str) -> String {
        let mut xml = String::with_capacity(512);
        xml.push_str("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error>");
        push_element(&mut xml, "Code", self.code.as_str());
        push_element(&mut xml, "Message", &self.message);
        if let Some(details) = &self.details {
            for (name, value) in &details.fields {
                push_element(&mut xml, name, value);
            }
            if let Some(resource) = &details.resource {
                push_element(&mut xml, "Resource", resource);
            }
        }
        push_element(&mut xml, "RequestId", request_id);
        push_element(&mut xml, "HostId", host_id);
        xml.push_str("</Error>");
        xml
    }

    /// The complete response. HEAD and 304 carry no body; a HEAD keeps the headers its GET would have had.
    pub fn to_response(&self, request_id: &str, host_id: &str, method: &Method) -> Response<Bytes> {
        let bodiless = *method == Method::HEAD || self.code == S3ErrorCode::NotModified;
        let body = if bodiless { Bytes::new() } else { Bytes::from(self.to_xml(request_id, host_id)) };
        let mut response = Response::new(body);
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        for (name, value) in self.details.iter().flat_map(|details| &details.headers) {
            headers.append(name.clone(), value.clone());
        }
        for (name, id) in [(REQUEST_ID_HEADER, request_id), (HOST_ID_HEADER, host_id)] {
            if let Ok(value) = HeaderValue::from_str(id) {
                headers.insert(name, value);
            }
        }
        if !bodiless {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/xml"));
            let length = HeaderValue::from(response.body().len());
            response.headers_mut().insert(CONTENT_LENGTH, length);
        }
        response
    }

    fn details_mut(&mut self) -> &mut Details {
        self.details.get_or_insert_default()
    }
}

impl From<S3ErrorCode> for S3Error {
    fn from(code: S3ErrorCode) -> Self {
        Self::new(code)
    }
}

impl fmt::Display for S3Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

impl std::error::Error for S3Error {}

fn push_element(xml: &mut String, name: &str, text: &str) {
    xml.push('<');
    xml.push_str(name);
    xml.push('>');
    push_escaped(xml, text);
    xml.push_str("</");
    xml.push_str(name);
    xml.push('>');
}

/// Escapes text for XML 1.0. Characters no XML 1.0 document may hold, not even escaped, become U+FFFD: a key with a
/// control character in it must not make the error unreadable.
fn push_escaped(xml: &mut String, text: &str) {
    for character in text.chars() {
        match character {
            '&' => xml.push_str("&amp;"),
            '<' => xml.push_str("&lt;"),
            '>' => xml.push_str("&gt;"),
            '"' => xml.push_str("&quot;"),
            // A literal CR would be read back as LF.
            '\r' => xml.push_str("&#13;"),
            '\n' | '\t' => xml.push(character),
            '\u{0}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => xml.push('\u{fffd}'),
            other => xml.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_is_well_formed() {
        let mut seen = std::collections::HashSet::new();
        for code in S3ErrorCode::ALL {
            assert!(seen.insert(code.as_str()), "{code} twice");
            assert!((300..600).contains(&code.status_u16()), "{code}");
            assert!(!code.default_message().is_empty(), "{code}");
        }
        for (code, status) in [
            (S3ErrorCode::NotImplemented, 501),
            (S3ErrorCode::SlowDown, 503),
            (S3ErrorCode::ConditionalRequestConflict, 409),
            (S3ErrorCode::MissingContentLength, 411),
            (S3ErrorCode::RequestTimeTooSkewed, 403),
            (S3ErrorCode::XAmzContentSHA256Mismatch, 400),
        ] {
            assert_eq!(code.status_u16(), status, "{code}");
        }
    }

    #[test]
    fn renders_fields_resource_and_ids_escaped() {
        let error = S3Error::invalid_argument("bad <value>", "marker", "a&b\r\n\u{1}").resource("/b/\"k\"");
        let xml = error.to_xml("RID", "HID");
        assert_eq!(
            xml,
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>InvalidArgument</Code>\
             <Message>bad &lt;value&gt;</Message><ArgumentName>marker</ArgumentName>\
             <ArgumentValue>a&amp;b&#13;\n\u{fffd}</ArgumentValue><Resource>/b/&quot;k&quot;</Resource>\
             <RequestId>RID</RequestId><HostId>HID</HostId></Error>"
        );
    }

    #[test]
    fn head_and_not_modified_have_no_body() {
        let error = S3Error::new(S3ErrorCode::NoSuchKey);
        let get = error.to_response("RID", "HID", &Method::GET);
        assert_eq!(get.status(), 404);
        assert_eq!(get.headers()["x-amz-request-id"], "RID");
        assert_eq!(get.headers()["x-amz-id-2"], "HID");
        assert_eq!(get.headers()["content-length"], get.body().len().to_string().as_str());
        let head = error.to_response("RID", "HID", &Method::HEAD);
        assert_eq!((head.status().as_u16(), head.body().len()), (404, 0));
        let not_modified = S3Error::new(S3ErrorCode::NotModified).to_response("RID", "HID", &Method::GET);
        assert_eq!((not_modified.status().as_u16(), not_modified.body().len()), (304, 0));
    }

    #[test]
    fn stays_small_in_results() {
        assert!(size_of::<S3Error>() <= 40);
    }
}
