//! Verification against AWS's published examples, against another implementation, and against everything it must refuse.

use std::sync::Arc;

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SignatureLocation, SigningSettings,
    UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use granary_access::Caller;
use granary_protocol::CanonicalId;
use http::request::Parts;
use http::{HeaderValue, Request};
use proptest::prelude::*;

use super::*;
use crate::error::{S3Error, S3ErrorCode};
use crate::request::{AddressingStyle, RequestTarget, Resource, uri_encode_into};

pub(super) const KEY_ID: &str = "AKIAIOSFODNN7EXAMPLE";
pub(super) const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
/// 2013-05-24T00:00:00Z, the time of every published example.
pub(super) const NOW_S: i64 = 1_369_353_600;
const EMPTY_SHA256: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

struct TestStore;

fn alice() -> Arc<Caller> {
    Arc::new(Caller {
        canonical_id: CanonicalId("a".repeat(64)),
        account_id: "111111111111".to_owned(),
        user: "alice".to_owned(),
        display_name: "alice".to_owned(),
        is_root: false,
        policies: Vec::new(),
        session: None,
    })
}

impl CredentialStore for TestStore {
    fn lookup<'a>(
        &'a self,
        id: &'a str,
        _session_token: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Option<Credential>, CredentialStoreError>> {
        let credential = |session_token: Option<&str>, expires_at_s| Credential {
            secret_access_key: Secret::new(SECRET),
            session_token: session_token.map(Secret::new),
            expires_at_s,
            principal: Principal { access_key_id: id.into(), caller: alice() },
        };
        let found = match id {
            KEY_ID => Ok(Some(credential(None, None))),
            "ASIATEMPORARY" => Ok(Some(credential(Some("token"), Some(NOW_S + 100)))),
            "BROKENSTORE" => Err(CredentialStoreError::Unavailable { reason: "test".to_owned() }),
            _unknown => Ok(None),
        };
        async move { found }.boxed()
    }
}

pub(super) fn authenticator() -> Authenticator {
    Authenticator::new(Arc::new(TestStore), "us-east-1", vec!["public.example.com".to_owned()])
}

fn verify_at(parts: &Parts, style: AddressingStyle, now_s: i64) -> Result<AuthenticatedRequest, S3Error> {
    // A version 4 signature covers the path and the host; what they name is not looked at.
    let target = RequestTarget { style, resource: Resource::Service };
    authenticator().authenticate(parts, Some(&target), now_s).now_or_never().expect("the test store answers at once")
}

fn verify(parts: &Parts) -> Result<AuthenticatedRequest, S3Error> {
    verify_at(parts, AddressingStyle::Path, NOW_S)
}

pub(super) fn code(outcome: Result<AuthenticatedRequest, S3Error>) -> S3ErrorCode {
    outcome.expect_err("this request must be refused").code()
}

pub(super) fn request(method: &str, target: &str, headers: &[(&str, &str)]) -> Parts {
    let mut builder = Request::builder().method(method).uri(target);
    for (name, value) in headers {
        builder = builder.header(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    builder.body(()).unwrap().into_parts().0
}

fn authorization(signed_headers: &str, signature: &str) -> String {
    format!(
        "AWS4-HMAC-SHA256 Credential={KEY_ID}/20130524/us-east-1/s3/aws4_request,SignedHeaders={signed_headers},Signature={signature}"
    )
}

const EXAMPLE_HOST: (&str, &str) = ("host", "examplebucket.s3.amazonaws.com");
const EXAMPLE_DATE: (&str, &str) = ("x-amz-date", "20130524T000000Z");
const EXAMPLE_EMPTY: (&str, &str) = ("x-amz-content-sha256", EMPTY_SHA256);

/// GET /test.txt of the documentation, correctly signed; tests break one thing each.
fn example_get() -> Parts {
    let signature = "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41";
    let authorization = authorization("host;range;x-amz-content-sha256;x-amz-date", signature);
    let headers =
        [EXAMPLE_HOST, ("range", "bytes=0-9"), EXAMPLE_EMPTY, EXAMPLE_DATE, ("authorization", &authorization)];
    request("GET", "/test.txt", &headers)
}

const PRESIGNED: &str = "/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404";

#[test]
fn published_header_examples() {
    assert!(verify(&example_get()).is_ok());
    let simple = "host;x-amz-content-sha256;x-amz-date";
    for (target, signature) in [
        ("/?lifecycle", "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"),
        ("/?max-keys=2&prefix=J", "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"),
    ] {
        let authorization = authorization(simple, signature);
        let parts =
            request("GET", target, &[EXAMPLE_HOST, EXAMPLE_DATE, EXAMPLE_EMPTY, ("authorization", &authorization)]);
        let accepted = verify(&parts).unwrap();
        assert_eq!(accepted.identity().principal().unwrap().caller.user, "alice");
        assert_eq!(accepted.method(), AuthMethod::Header);
    }
    let put = authorization(
        "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
        "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
    );
    let sha256 = "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072";
    let parts = request(
        "PUT",
        "/test%24file.text",
        &[
            EXAMPLE_HOST,
            EXAMPLE_DATE,
            ("date", "Fri, 24 May 2013 00:00:00 GMT"),
            ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
            ("x-amz-content-sha256", sha256),
            ("authorization", &put),
        ],
    );
    let accepted = verify(&parts).unwrap();
    assert!(matches!(accepted.payload(), PayloadMode::SignedSha256(bytes) if hex::encode(bytes) == sha256));
}

#[test]
fn published_presigned_example_and_its_window() {
    let parts = request("GET", PRESIGNED, &[EXAMPLE_HOST]);
    let at = |now_s| verify_at(&parts, AddressingStyle::Path, now_s);
    for now_s in [NOW_S, NOW_S - 900, NOW_S + 86400] {
        assert_eq!(at(now_s).unwrap().method(), AuthMethod::QueryString, "{now_s}");
    }
    assert!(matches!(at(NOW_S).unwrap().payload(), PayloadMode::Unsigned));
    for (now_s, message) in [(NOW_S - 901, "Request is not valid yet"), (NOW_S + 86401, "Request has expired")] {
        let error = at(now_s).unwrap_err();
        assert_eq!((error.code(), error.message()), (S3ErrorCode::AccessDenied, message));
    }
}

#[test]
fn published_chunked_seed() {
    let signed = "content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class";
    let authorization = authorization(signed, "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9");
    let parts = request(
        "PUT",
        "/examplebucket/chunkObject.txt",
        &[
            ("host", "s3.amazonaws.com"),
            EXAMPLE_DATE,
            ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
            ("authorization", &authorization),
            ("x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"),
            ("content-encoding", "aws-chunked"),
            ("x-amz-decoded-content-length", "66560"),
            ("content-length", "66824"),
        ],
    );
    let (_, payload) = verify(&parts).unwrap().into_parts();
    let PayloadMode::StreamingSigned(mut signer) = payload else { panic!("{payload:?}") };
    let first = hex::decode("bf718b6f653bebc184e1479f1935b8da974d701b893afcf49e701f3e2f9f9c5a").unwrap();
    let first: [u8; 32] = first.try_into().unwrap();
    assert_eq!(signer.sign_chunk(&first), "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648");
}

#[test]
fn any_change_to_a_signed_request_is_refused() {
    let change = |alter: &dyn Fn(&mut Parts)| {
        let mut parts = example_get();
        alter(&mut parts);
        code(verify(&parts))
    };
    let header = |name: &'static str, value: &'static str| {
        move |parts: &mut Parts| {
            parts.headers.insert(name, HeaderValue::from_static(value));
        }
    };
    use S3ErrorCode::*;
    assert_eq!(change(&|parts| parts.method = http::Method::DELETE), SignatureDoesNotMatch);
    assert_eq!(change(&|parts| parts.uri = "/test.txt2".parse().unwrap()), SignatureDoesNotMatch);
    assert_eq!(change(&|parts| parts.uri = "/test.txt?acl".parse().unwrap()), SignatureDoesNotMatch);
    assert_eq!(change(&header("range", "bytes=0-10")), SignatureDoesNotMatch);
    assert_eq!(change(&header("host", "other.s3.amazonaws.com")), SignatureDoesNotMatch);
    assert_eq!(change(&header("x-amz-date", "20130524T000001Z")), SignatureDoesNotMatch);
    assert_eq!(change(&header("x-amz-content-sha256", "UNSIGNED-PAYLOAD")), SignatureDoesNotMatch);
    assert_eq!(change(&header("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER")), SignatureDoesNotMatch);
    assert_eq!(change(&header("x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD")), SignatureDoesNotMatch);
    assert_eq!(change(&header("x-amz-content-sha256", "nonsense")), InvalidArgument);
    assert_eq!(change(&header("x-amz-content-sha256", "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD")), NotImplemented);
    assert_eq!(change(&header("x-amz-acl", "public-read")), AccessDenied);
    assert_eq!(change(&|parts| drop(parts.headers.remove("range"))), AccessDenied);
    assert_eq!(change(&|parts| drop(parts.headers.remove("x-amz-content-sha256"))), AccessDenied);
    assert_eq!(change(&|parts| drop(parts.headers.remove("host"))), InvalidRequest);
    assert_eq!(change(&|parts| assert!(parts.headers.append("host", HeaderValue::from_static("b")))), InvalidRequest);
    assert_eq!(change(&|parts| drop(parts.headers.remove("x-amz-date"))), AccessDenied);
    assert_eq!(
        change(&|parts| assert!(parts.headers.append("x-amz-date", EXAMPLE_DATE.1.parse().unwrap()))),
        InvalidRequest
    );
}

#[test]
fn the_error_shows_what_was_computed() {
    let mut parts = example_get();
    parts.headers.insert("range", HeaderValue::from_static("bytes=0-10"));
    let error = verify(&parts).unwrap_err();
    assert_eq!(error.get_field("AWSAccessKeyId"), Some(KEY_ID));
    assert!(error.get_field("SignatureProvided").unwrap().starts_with("f0e8bdb8"));
    assert!(
        error
            .get_field("StringToSign")
            .unwrap()
            .starts_with("AWS4-HMAC-SHA256\n20130524T000000Z\n20130524/us-east-1/s3/aws4_request\n")
    );
    let expected = format!(
        "GET\n/test.txt\n\nhost:examplebucket.s3.amazonaws.com\nrange:bytes=0-10\nx-amz-content-sha256:{EMPTY_SHA256}\n\
         x-amz-date:20130524T000000Z\n\nhost;range;x-amz-content-sha256;x-amz-date\n{EMPTY_SHA256}"
    );
    assert_eq!(error.get_field("CanonicalRequest"), Some(expected.as_str()));
    assert!(error.get_field("StringToSignBytes").unwrap().starts_with("41 57 53 34"));
    assert!(!format!("{error:?}{}", error.to_xml("r", "h")).contains(SECRET));
}

#[test]
fn authorization_headers_that_are_refused() {
    use S3ErrorCode::*;
    let good = "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,SignedHeaders=host,Signature=0";
    for (from, to, expected) in [
        ("AWS4-HMAC-SHA256 ", "AWS ", InvalidRequest),
        ("AWS4-HMAC-SHA256 ", "AWS4-ECDSA-P256-SHA256 ", InvalidRequest),
        ("AWS4-HMAC-SHA256 ", "Bearer ", InvalidArgument),
        ("AWS4-HMAC-SHA256 ", "AWS4-HMAC-SHA256", InvalidArgument),
        ("Credential=", "", AuthorizationHeaderMalformed),
        (",Signature=0", "", AuthorizationHeaderMalformed),
        (",SignedHeaders=host", "", AuthorizationHeaderMalformed),
        (",Signature=0", ",Signature=0,Signature=1", AuthorizationHeaderMalformed),
        (",Signature=0", ",Signature=0,Extra=1", AuthorizationHeaderMalformed),
        ("SignedHeaders=host", "SignedHeaders=range", AccessDenied),
        ("SignedHeaders=host", "SignedHeaders=x-amz-date", AuthorizationHeaderMalformed),
        ("SignedHeaders=host", "SignedHeaders=", AccessDenied),
        ("20130524", "20130525", AuthorizationHeaderMalformed),
        ("us-east-1", "eu-west-1", AuthorizationHeaderMalformed),
        ("/s3/", "/ec2/", AuthorizationHeaderMalformed),
        ("aws4_request", "aws5_request", AuthorizationHeaderMalformed),
        ("/s3/", "/s3/s3/", AuthorizationHeaderMalformed),
        ("AKIAIOSFODNN7EXAMPLE", "", AuthorizationHeaderMalformed),
        ("AKIAIOSFODNN7EXAMPLE", "AKIAUNKNOWN", InvalidAccessKeyId),
        ("AKIAIOSFODNN7EXAMPLE", "BROKENSTORE", ServiceUnavailable),
        ("Signature=0", "Signature=1", SignatureDoesNotMatch),
        ("Signature=0", "Signature=", SignatureDoesNotMatch),
    ] {
        let changed = good.replacen(from, to, 1);
        assert_ne!(changed, good);
        let parts = request("GET", "/b/k", &[("host", "h"), EXAMPLE_DATE, EXAMPLE_EMPTY, ("authorization", &changed)]);
        let error = verify(&parts).unwrap_err();
        assert_eq!(error.code(), expected, "{changed}: {error}");
        if to == "eu-west-1" {
            assert_eq!(error.get_field("Region"), Some("us-east-1"));
        }
    }
    let unsigned_hash = request("GET", "/b/k", &[("host", "h"), EXAMPLE_DATE, ("authorization", good)]);
    assert_eq!(code(verify(&unsigned_hash)), InvalidRequest);
}

#[test]
fn clocks() {
    let at = |now_s| verify_at(&example_get(), AddressingStyle::Path, now_s);
    for now_s in [NOW_S - 900, NOW_S + 900] {
        assert!(at(now_s).is_ok());
    }
    for now_s in [NOW_S - 901, NOW_S + 901] {
        let error = at(now_s).unwrap_err();
        assert_eq!(error.code(), S3ErrorCode::RequestTimeTooSkewed);
        assert_eq!(error.get_field("MaxAllowedSkewMilliseconds"), Some("900000"));
    }
}

#[test]
fn ambiguous_requests_are_refused() {
    use S3ErrorCode::*;
    let mut both = request("GET", PRESIGNED, &[EXAMPLE_HOST]);
    both.headers.insert("authorization", example_get().headers["authorization"].clone());
    assert_eq!(code(verify(&both)), InvalidArgument);
    let mut partial = example_get();
    partial.uri = "/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256".parse().unwrap();
    assert_eq!(code(verify(&partial)), InvalidArgument);
    partial.uri = "/test.txt?X%2DAmz%2DSignature=0".parse().unwrap();
    assert_eq!(code(verify(&partial)), InvalidArgument, "an escaped name is the same name");
    partial.uri = "/test.txt?AWSAccessKeyId=a&Signature=b".parse().unwrap();
    assert_eq!(code(verify(&partial)), InvalidArgument);
    let mut twice = example_get();
    let authorization = twice.headers["authorization"].clone();
    twice.headers.append("authorization", authorization);
    assert_eq!(code(verify(&twice)), InvalidArgument);
}

#[test]
fn presigned_urls_that_are_refused() {
    use S3ErrorCode::*;
    for (from, to, expected) in [
        ("X-Amz-Algorithm=AWS4-HMAC-SHA256&", "", AuthorizationQueryParametersError),
        ("X-Amz-Algorithm=AWS4-HMAC-SHA256", "X-Amz-Algorithm=AWS", AuthorizationQueryParametersError),
        ("X-Amz-Expires=86400&", "", AuthorizationQueryParametersError),
        ("X-Amz-Expires=86400", "X-Amz-Expires=0", AccessDenied),
        ("X-Amz-Expires=86400", "X-Amz-Expires=-1", AccessDenied),
        ("X-Amz-Expires=86400", "X-Amz-Expires=604801", AccessDenied),
        ("X-Amz-Expires=86400", "X-Amz-Expires=99999999999999999999", AccessDenied),
        ("X-Amz-Expires=86400", "X-Amz-Expires=1d", AuthorizationQueryParametersError),
        ("X-Amz-Expires=86400", "X-Amz-Expires=86401", SignatureDoesNotMatch),
        ("X-Amz-Expires=86400", "X-Amz-Expires=86400&X-Amz-Expires=1", AuthorizationQueryParametersError),
        ("X-Amz-Date=20130524T000000Z", "X-Amz-Date=20130524", AuthorizationQueryParametersError),
        ("%2F20130524%2F", "%2F20130525%2F", AuthorizationQueryParametersError),
        ("us-east-1", "eu-west-1", AuthorizationQueryParametersError),
        ("%2Fs3%2F", "%2Fsts%2F", AuthorizationQueryParametersError),
        ("SignedHeaders=host", "SignedHeaders=range", AccessDenied),
        ("SignedHeaders=host", "SignedHeaders=host%3Brange", AccessDenied),
        ("AKIAIOSFODNN7EXAMPLE", "AKIAUNKNOWN", InvalidAccessKeyId),
        ("Signature=aeeed", "Signature=beeed", SignatureDoesNotMatch),
        ("/test.txt", "/test2.txt", SignatureDoesNotMatch),
        ("X-Amz-Signature", "versionId=1&X-Amz-Signature", SignatureDoesNotMatch),
        ("&X-Amz-Signature=", "&x=", AuthorizationQueryParametersError),
    ] {
        let changed = PRESIGNED.replacen(from, to, 1);
        assert_ne!(changed, PRESIGNED);
        let error = verify(&request("GET", &changed, &[EXAMPLE_HOST])).unwrap_err();
        assert_eq!(error.code(), expected, "{from} -> {to}: {error}");
    }
    assert_eq!(code(verify(&request("PUT", PRESIGNED, &[EXAMPLE_HOST]))), SignatureDoesNotMatch);
    // A header the signer never saw could turn an upload into a copy.
    let copied = request("GET", PRESIGNED, &[EXAMPLE_HOST, ("x-amz-copy-source", "b/k")]);
    assert_eq!(code(verify(&copied)), AccessDenied);
    let streaming =
        request("GET", PRESIGNED, &[EXAMPLE_HOST, ("x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD")]);
    assert_eq!(code(verify(&streaming)), InvalidRequest, "no seed to continue from");
    let hashed = request("GET", PRESIGNED, &[EXAMPLE_HOST, EXAMPLE_EMPTY]);
    assert!(
        matches!(verify(&hashed).unwrap().payload(), PayloadMode::SignedSha256(_)),
        "an unsigned hash still binds the body"
    );
}

#[test]
fn anonymous_is_explicit_and_never_streams_signed() {
    let bare = verify(&request("GET", "/b/k?uploads", &[("host", "h")])).unwrap();
    assert_eq!((bare.identity(), bare.method()), (&Identity::Anonymous, AuthMethod::Anonymous));
    for value in ["STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"] {
        let parts = request("PUT", "/b/k", &[("host", "h"), ("x-amz-content-sha256", value)]);
        assert_eq!(code(verify(&parts)), S3ErrorCode::AccessDenied);
    }
    let trailer =
        request("PUT", "/b/k", &[("host", "h"), ("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER")]);
    assert_eq!(verify(&trailer).unwrap().identity(), &Identity::Anonymous, "the mode grants no identity");
}

#[test]
fn published_post_form() {
    // "Example: Browser-Based Upload using HTTP POST", 2015-12-29.
    let policy = "eyAiZXhwaXJhdGlvbiI6ICIyMDE1LTEyLTMwVDEyOjAwOjAwLjAwMFoiLA0KICAiY29uZGl0aW9ucyI6IFsNCiAgICB7ImJ1Y2tldCI6ICJzaWd2NGV4YW1wbGVidWNrZXQifSwNCiAgICBbInN0YXJ0cy13aXRoIiwgIiRrZXkiLCAidXNlci91c2VyMS8iXSwNCiAgICB7ImFjbCI6ICJwdWJsaWMtcmVhZCJ9LA0KICAgIHsic3VjY2Vzc19hY3Rpb25fcmVkaXJlY3QiOiAiaHR0cDovL3NpZ3Y0ZXhhbXBsZWJ1Y2tldC5zMy5hbWF6b25hd3MuY29tL3N1Y2Nlc3NmdWxfdXBsb2FkLmh0bWwifSwNCiAgICBbInN0YXJ0cy13aXRoIiwgIiRDb250ZW50LVR5cGUiLCAiaW1hZ2UvIl0sDQogICAgeyJ4LWFtei1tZXRhLXV1aWQiOiAiMTQzNjUxMjM2NTEyNzQifSwNCiAgICB7IngtYW16LXNlcnZlci1zaWRlLWVuY3J5cHRpb24iOiAiQUVTMjU2In0sDQogICAgWyJzdGFydHMtd2l0aCIsICIkeC1hbXotbWV0YS10YWciLCAiIl0sDQoNCiAgICB7IngtYW16LWNyZWRlbnRpYWwiOiAiQUtJQUlPU0ZPRE5ON0VYQU1QTEUvMjAxNTEyMjkvdXMtZWFzdC0xL3MzL2F3czRfcmVxdWVzdCJ9LA0KICAgIHsieC1hbXotYWxnb3JpdGhtIjogIkFXUzQtSE1BQy1TSEEyNTYifSwNCiAgICB7IngtYW16LWRhdGUiOiAiMjAxNTEyMjlUMDAwMDAwWiIgfQ0KICBdDQp9";
    let credential = "AKIAIOSFODNN7EXAMPLE/20151229/us-east-1/s3/aws4_request";
    let form = |policy_base64, credential, security_token| PostFormCredentials::Version4 {
        algorithm: "AWS4-HMAC-SHA256",
        credential,
        date: "20151229T000000Z",
        signature: "8afdbf4008c03f22c2cd3cdb72e4afbb1f6a588f3255ac628749a66d7f09699e",
        security_token,
        policy_base64,
    };
    let check = |form: PostFormCredentials<'_>| {
        authenticator().authenticate_post_form(&form, NOW_S).now_or_never().expect("the test store answers at once")
    };
    let signed = check(form(policy, credential, None)).unwrap();
    assert_eq!(signed.identity().principal().unwrap().caller.user, "alice");
    assert_eq!((signed.method(), signed.signed_at_s()), (AuthMethod::PostForm, Some(1_451_347_200)));
    assert_eq!(check(form("e30=", credential, None)).unwrap_err().code(), S3ErrorCode::SignatureDoesNotMatch);
    let nobody = "NOBODY/20151229/us-east-1/s3/aws4_request";
    assert_eq!(check(form(policy, nobody, None)).unwrap_err().code(), S3ErrorCode::InvalidAccessKeyId);
    assert_eq!(check(form(policy, credential, Some("x"))).unwrap_err().code(), S3ErrorCode::InvalidToken);
}

#[test]
fn a_post_form_signed_by_version_2() {
    // HMAC-SHA1 of the policy's base64, with the secret key of the published examples.
    let form = |access_key_id, signature| PostFormCredentials::Version2 {
        policy_base64: "e30=",
        access_key_id,
        signature,
        security_token: None,
    };
    let check = |form: PostFormCredentials<'_>| {
        authenticator().authenticate_post_form(&form, NOW_S).now_or_never().expect("the test store answers at once")
    };
    let right = "4QWH4O9CWtowYUW+X4P2gZ/6fNc=";
    assert_eq!(check(form(KEY_ID, right)).unwrap().method(), AuthMethod::PostForm);
    assert_eq!(check(form(KEY_ID, "")).unwrap_err().code(), S3ErrorCode::SignatureDoesNotMatch);
    assert_eq!(check(form("NOBODY", right)).unwrap_err().code(), S3ErrorCode::InvalidAccessKeyId);
}

/// Signs with the `aws-sigv4` crate; gives back what would be sent.
struct Signing<'a> {
    key_id: &'a str,
    token: Option<&'a str>,
    presigned: bool,
    host: &'a str,
}

const PLAIN: Signing<'static> = Signing { key_id: KEY_ID, token: None, presigned: false, host: "localhost:9000" };

impl Signing<'_> {
    fn sign(&self, method: &str, target: &str, headers: &[(&str, &str)]) -> Parts {
        let mut settings = SigningSettings::default();
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        if self.presigned {
            settings.signature_location = SignatureLocation::QueryParams;
            settings.expires_in = Some(std::time::Duration::from_secs(60));
        }
        let token = self.token.map(str::to_owned);
        let identity = Credentials::new(self.key_id, SECRET, token, None, "test").into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region("us-east-1")
            .name("s3")
            .time(std::time::UNIX_EPOCH + std::time::Duration::from_secs(NOW_S as u64))
            .settings(settings)
            .build()
            .unwrap()
            .into();
        let uri = format!("http://{}{target}", self.host);
        let mut request = Request::builder().method(method).uri(&uri).header("host", self.host);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut request = request.body(()).unwrap();
        let all = request.headers().iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap()));
        let signable = SignableRequest::new(method, &uri, all, SignableBody::UnsignedPayload).unwrap();
        let (instructions, _) = sign(signable, &params).unwrap().into_parts();
        instructions.apply_to_request_http1x(&mut request);
        let mut parts = request.into_parts().0;
        // A client sends the origin form.
        parts.uri = parts.uri.path_and_query().unwrap().as_str().parse().unwrap();
        parts
    }
}

#[test]
fn session_tokens() {
    let temporary = Signing { key_id: "ASIATEMPORARY", token: Some("token"), ..PLAIN };
    for presigned in [false, true] {
        let signed = |token| Signing { token, presigned, ..temporary }.sign("GET", "/b/k", &[]);
        assert!(verify(&signed(Some("token"))).is_ok(), "presigned: {presigned}");
        assert_eq!(code(verify(&signed(Some("other")))), S3ErrorCode::InvalidToken);
        assert_eq!(code(verify(&signed(None))), S3ErrorCode::InvalidToken);
        let outcome = |now_s| verify_at(&signed(Some("token")), AddressingStyle::Path, now_s);
        assert!(outcome(NOW_S + 50).is_ok());
    }
    let late = verify_at(&temporary.sign("GET", "/b/k", &[]), AddressingStyle::Path, NOW_S + 100);
    assert_eq!(code(late), S3ErrorCode::ExpiredToken);
    let superfluous = Signing { token: Some("token"), ..PLAIN }.sign("GET", "/b/k", &[]);
    assert_eq!(code(verify(&superfluous)), S3ErrorCode::InvalidToken);
}

#[test]
fn a_public_name_counts_for_path_style_only() {
    let signed_for = |host| {
        let mut parts = Signing { host, ..PLAIN }.sign("GET", "/b/k", &[]);
        parts.headers.insert("host", HeaderValue::from_static("10.0.0.1:9000"));
        parts
    };
    assert!(verify(&signed_for("public.example.com")).is_ok());
    assert_eq!(code(verify(&signed_for("other.example.com"))), S3ErrorCode::SignatureDoesNotMatch);
    let replayed = verify_at(&signed_for("public.example.com"), AddressingStyle::VirtualHosted, NOW_S);
    assert_eq!(code(replayed), S3ErrorCode::SignatureDoesNotMatch);
}

#[test]
fn a_cached_key_verifies_like_a_derived_one() {
    let authenticator = authenticator();
    let check = |parts: &Parts| authenticator.authenticate(parts, None, NOW_S).now_or_never().unwrap();
    let mut tampered = example_get();
    tampered.method = http::Method::PUT;
    for _ in 0..3 {
        assert!(check(&example_get()).is_ok());
        assert_eq!(code(check(&tampered)), S3ErrorCode::SignatureDoesNotMatch);
    }
}

pub(super) fn encoded(text: &str, keep_slash: bool) -> String {
    let mut out = Vec::new();
    uri_encode_into(&mut out, text.as_bytes(), keep_slash);
    String::from_utf8(out).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Whatever another implementation signs is accepted, and nothing else about the same request is.
    #[test]
    fn agrees_with_aws_sigv4(
        key in "\\PC{0,20}(/|//|/\\./|/\\.\\./)\\PC{0,20}",
        query in prop::collection::vec(("[a-zA-Z\\-é ]{1,8}", "\\PC{0,12}"), 0..4),
        metadata in "[ -~]{0,20}",
        method in prop::sample::select(vec!["GET", "PUT", "DELETE", "POST", "HEAD"]),
        presigned: bool,
        tamper in 0usize..4,
    ) {
        let mut target = format!("/bucket/{}", encoded(&key, true));
        for (index, (name, value)) in query.iter().enumerate() {
            target.push(if index == 0 { '?' } else { '&' });
            target.push_str(&format!("{}={}", encoded(name, false), encoded(value, false)));
        }
        let mut parts = Signing { presigned, ..PLAIN }.sign(method, &target, &[("x-amz-meta-note", metadata.as_str())]);
        prop_assert!(verify(&parts).is_ok(), "{} {:?}: {:?}", parts.uri, parts.headers, verify(&parts));
        match tamper {
            0 => parts.method = http::Method::PATCH,
            1 => parts.uri = parts.uri.to_string().replacen("/bucket/", "/bucket/x", 1).parse().unwrap(),
            2 => drop(parts.headers.insert("x-amz-meta-note", HeaderValue::from_str(&format!("{metadata}!")).unwrap())),
            _ => drop(parts.headers.insert("host", HeaderValue::from_static("localhost:9001"))),
        }
        prop_assert_eq!(code(verify(&parts)), S3ErrorCode::SignatureDoesNotMatch);
    }

    /// Other spellings of the same path are the same request.
    #[test]
    fn spelling_of_escapes_does_not_matter(key in "\\PC{1,20}") {
        let canonical = encoded(&key, true);
        let mut parts = PLAIN.sign("GET", &format!("/bucket/{canonical}"), &[]);
        let lower: String = canonical.split('%').enumerate().map(|(index, part)| match index {
            0 => part.to_owned(),
            _ => format!("%{}{}", part[..2].to_lowercase(), &part[2..]),
        }).collect();
        let over: String = key.bytes().map(|byte| if byte == b'/' { "/".to_owned() } else { format!("%{byte:02x}") }).collect();
        for spelling in [lower, over] {
            parts.uri = format!("/bucket/{spelling}").parse().unwrap();
            prop_assert!(verify(&parts).is_ok(), "{}", spelling);
        }
    }
}
