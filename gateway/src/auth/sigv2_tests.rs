//! Version 2 URLs: AWS's published example, URLs made by botocore, and everything that must not work.

use http::request::Parts;
use http::{HeaderValue, Method};
use proptest::prelude::*;

use super::tests::{KEY_ID, NOW_S, SECRET, authenticator, code, encoded, request};
use super::*;
use crate::error::{S3Error, S3ErrorCode};
use crate::request::{BaseDomains, RequestTarget, request_host};
use base64::Engine as _;
use futures_util::FutureExt;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;

/// What botocore asked for below: an hour.
const EXPIRES_S: i64 = NOW_S + 3600;
const LOCAL: (&str, &str) = ("host", "localhost:9000");

fn verify_at(parts: &Parts, now_s: i64) -> Result<AuthenticatedRequest, S3Error> {
    let domains = BaseDomains::new(["s3.example.com", "s3.amazonaws.com"]);
    let target = RequestTarget::parse(request_host(parts).unwrap(), parts.uri.path(), &domains).unwrap();
    authenticator().authenticate(parts, Some(&target), now_s).now_or_never().expect("the test store answers at once")
}

fn verify(parts: &Parts) -> Result<AuthenticatedRequest, S3Error> {
    verify_at(parts, NOW_S)
}

/// Completes a query with what botocore adds to all of them.
fn url(path_and_query: &str, signature: &str) -> String {
    let glue = if path_and_query.contains('?') { '&' } else { '?' };
    format!("{path_and_query}{glue}AWSAccessKeyId={KEY_ID}&Signature={signature}&Expires={EXPIRES_S}")
}

/// GET /bucket/site/index.html, as botocore signs it; tests break one thing each.
fn good() -> String {
    url("/bucket/site/index.html", "shHKd0iWuwFNPV2chtOfRUVy8YM%3D")
}

#[test]
fn published_example_and_its_window() {
    let target = "/photos/puppy.jpg?AWSAccessKeyId=AKIAIOSFODNN7EXAMPLE&Signature=NpgCjnDzrM%2BWFzoENXmpNDUsSn8%3D&Expires=1175139620";
    let hosted = request("GET", target, &[("host", "johnsmith.s3.amazonaws.com")]);
    let by_path = request("GET", &format!("/johnsmith{target}"), &[("host", "s3.amazonaws.com")]);
    for parts in [hosted, by_path] {
        for now_s in [1_175_139_620, 1_175_139_620 - 604_800 - 900] {
            let accepted = verify_at(&parts, now_s).unwrap();
            assert_eq!(accepted.identity().principal().unwrap().caller.user, "alice");
            assert_eq!((accepted.method(), accepted.signed_at_s()), (AuthMethod::QueryString, None));
            assert!(matches!(accepted.payload(), PayloadMode::Unsigned));
        }
        let early = verify_at(&parts, 1_175_139_620 - 604_800 - 901).unwrap_err();
        assert_eq!(early.code(), S3ErrorCode::AuthorizationQueryParametersError);
        let late = verify_at(&parts, 1_175_139_621).unwrap_err();
        assert_eq!((late.code(), late.message()), (S3ErrorCode::AccessDenied, "Request has expired"));
        assert_eq!(late.get_field("Expires"), Some("2007-03-29T03:40:20Z"));
        assert_eq!(late.get_field("ServerTime"), Some("2007-03-29T03:40:21Z"));
    }
}

#[test]
fn urls_made_by_botocore() {
    let odd_key = "/bucket/%C3%BC%20b%2Bc/%252F%26%3F%3D%23~%27%28x%29";
    let overrides = "/bucket/k?versionId=v%3D1%2B%2F&response-content-type=text%2Fcss%3B%20charset%3D%22x%22\
                     &response-content-disposition=attachment%3B%20filename%3D%22a%20b.txt%22";
    for (method, target, signature) in [
        ("GET", "/bucket/site/index.html", "shHKd0iWuwFNPV2chtOfRUVy8YM%3D"),
        ("GET", odd_key, "fnbgiiOZEeC8kLUXhXrdSzINbEo%3D"),
        ("GET", overrides, "aYzLQObidUbjSBCVWnFCc%2FesfXk%3D"),
        ("HEAD", "/bucket/k", "nxSzt1UhpSK6z01YSFM%2BmgLMLVM%3D"),
        ("DELETE", "/bucket/k", "FQaj5zamwmZ1Yve1ncuYhxzh1hg%3D"),
        ("PUT", "/bucket/k", "0Sz9655VnnrLiNvOIFC1epd%2B9QM%3D"),
        ("PUT", "/bucket/k?uploadId=abc%2B%2F%3D&partNumber=3", "OhLl0x9X%2Bt73nURrx%2F%2FiBH6075s%3D"),
        ("GET", "/bucket/k?partNumber=1", "lgYJ0iz%2BMDIlNhkvW5Wr3NFNsXw%3D"),
        ("POST", "/bucket/k?uploads", "Lr%2BKIsddMx66w7z1nEmNJay3n0U%3D"),
        ("POST", "/bucket/k?uploads=", "Lr%2BKIsddMx66w7z1nEmNJay3n0U%3D"),
        ("POST", "/bucket?delete", "EBEZzhwb%2BsvSzCSDeYKbx1xO%2Ft4%3D"),
        ("GET", "/", "2atzAsMyY7DGKrWIDEMKgNMBhyg%3D"),
        // The signer writes `/bucket/` where its client sends `/bucket`.
        ("GET", "/bucket?encoding-type=url", "yKu3coAPevCxwTl5RaphIKOHyWY%3D"),
        ("GET", "/bucket?list-type=2&encoding-type=url", "yKu3coAPevCxwTl5RaphIKOHyWY%3D"),
    ] {
        let outcome = verify(&request(method, &url(target, signature), &[LOCAL]));
        assert!(outcome.is_ok(), "{method} {target}: {outcome:?}");
    }
    let hosted = url("/dir/k%20v", "tAp%2BBdB8j0111vDeZ%2BNNA8KOEM0%3D");
    assert!(verify(&request("GET", &hosted, &[("host", "bucket.s3.example.com")])).is_ok());
    assert_eq!(
        code(verify(&request("GET", &hosted, &[("host", "other.s3.example.com")]))),
        S3ErrorCode::SignatureDoesNotMatch
    );
    let listed = url("/?list-type=2", "yKu3coAPevCxwTl5RaphIKOHyWY%3D");
    assert!(verify(&request("GET", &listed, &[("host", "Bucket.s3.example.com:80")])).is_ok());
}

#[test]
fn signed_headers_must_be_sent_as_signed() {
    // botocore also leaves the headers it signed in the query.
    let target = "/bucket/k?AWSAccessKeyId=AKIAIOSFODNN7EXAMPLE&Signature=aUB%2BIdzo9vFfWlfOzCW3bqxGXEs%3D&content-type=text%2Fplain\
                  &x-amz-meta-a=1&x-amz-meta-b=x%20y&content-md5=abc%3D%3D&Expires=1369357200";
    let sent = [
        LOCAL,
        ("content-type", "text/plain"),
        ("content-md5", "abc=="),
        ("x-amz-meta-a", "1"),
        ("x-amz-meta-b", "x y"),
    ];
    assert!(verify(&request("PUT", target, &sent)).is_ok());
    use S3ErrorCode::{AccessDenied, InvalidRequest, SignatureDoesNotMatch};
    for (name, value, expected) in [
        ("content-type", "text/html", SignatureDoesNotMatch),
        ("content-md5", "abd==", SignatureDoesNotMatch),
        ("x-amz-meta-a", "2", AccessDenied),
        ("x-amz-meta-c", "1", SignatureDoesNotMatch),
        ("x-amz-acl", "public-read", SignatureDoesNotMatch),
        ("x-amz-copy-source", "b/k", SignatureDoesNotMatch),
        ("x-amz-content-sha256", "UNSIGNED-PAYLOAD", SignatureDoesNotMatch),
        ("x-amz-security-token", "t", SignatureDoesNotMatch),
    ] {
        let mut parts = request("PUT", target, &sent);
        parts.headers.insert(name, HeaderValue::from_static(value));
        assert_eq!(code(verify(&parts)), expected, "{name}: {value}");
        if sent.iter().any(|(known, _)| *known == name) {
            parts.headers.remove(name);
            assert_eq!(code(verify(&parts)), expected, "{name} missing");
        }
    }
    let mut twice = request("PUT", target, &sent);
    twice.headers.append("content-type", HeaderValue::from_static("text/plain"));
    assert_eq!(code(verify(&twice)), InvalidRequest);
    let unsent = target.replacen("x-amz-meta-a=1", "x-amz-meta-a=2", 1);
    assert_eq!(code(verify(&request("PUT", &unsent, &sent))), AccessDenied);
}

#[test]
fn any_change_is_refused() {
    use S3ErrorCode::*;
    for (from, to, expected) in [
        ("index", "index2", SignatureDoesNotMatch),
        ("/bucket/", "/bucket2/", SignatureDoesNotMatch),
        ("Expires=1369357200", "Expires=1369357201", SignatureDoesNotMatch),
        ("Expires=1369357200", "Expires=01369357200", SignatureDoesNotMatch),
        ("Signature=sh", "Signature=Sh", SignatureDoesNotMatch),
        // Bits that base64 ignores.
        ("8YM%3D", "8YN%3D", SignatureDoesNotMatch),
        ("8YM%3D", "8YM", SignatureDoesNotMatch),
        ("Signature=shHKd0iWuwFNPV2chtOfRUVy8YM%3D", "Signature=", SignatureDoesNotMatch),
        ("AKIAIOSFODNN7EXAMPLE", "AKIAUNKNOWN", InvalidAccessKeyId),
        // The key id itself is not signed; this one has the same secret, and a token.
        ("AKIAIOSFODNN7EXAMPLE", "ASIATEMPORARY", InvalidToken),
        ("AKIAIOSFODNN7EXAMPLE", "BROKENSTORE", ServiceUnavailable),
        ("Expires=1369357200", "Expires=1369353599", AccessDenied),
        ("Expires=1369357200", "Expires=", AccessDenied),
        ("Expires=1369357200", "Expires=-1", AccessDenied),
        ("Expires=1369357200", "Expires=Fri,%2024%20May%202013%2001:00:00%20GMT", AccessDenied),
        ("Expires=1369357200", "Expires=99999999999999999999", AuthorizationQueryParametersError),
        ("Expires=1369357200", "Expires", AccessDenied),
        ("&Expires=1369357200", "", AccessDenied),
        ("&Signature=", "&x=", AccessDenied),
        ("AWSAccessKeyId=AKIAIOSFODNN7EXAMPLE&", "", AccessDenied),
        ("&Expires", "&Expires=1369357200&Expires", AuthorizationQueryParametersError),
        ("&Expires", "&Expire%73=1369357200&Expires", AuthorizationQueryParametersError),
        ("&Expires", "&Signature=0&Expires", AuthorizationQueryParametersError),
        ("&Expires", "&acl&acl&Expires", AuthorizationQueryParametersError),
        ("&Expires", "&%ff&Expires", InvalidURI),
        // What is signed when present, so cannot be added.
        ("&Expires", "&acl&Expires", SignatureDoesNotMatch),
        ("&Expires", "&%61cl&Expires", SignatureDoesNotMatch),
        ("&Expires", "&uploads&Expires", SignatureDoesNotMatch),
        ("&Expires", "&uploadId=x&Expires", SignatureDoesNotMatch),
        ("&Expires", "&versionId=x&Expires", SignatureDoesNotMatch),
        ("&Expires", "&response-content-type=text%2Fhtml&Expires", SignatureDoesNotMatch),
        ("&Expires", "&x-amz-security-token=x&Expires", SignatureDoesNotMatch),
        // What is never signed.
        ("&Expires", "&prefix=x&Expires", AccessDenied),
        ("&Expires", "&attributes&Expires", AccessDenied),
        ("&Expires", "&legal-hold&Expires", AccessDenied),
        ("&Expires", "&renameObject&Expires", AccessDenied),
        ("&Expires", "&x-amz-acl=public-read&Expires", AccessDenied),
        ("&Expires", "&X-Amz-Acl=public-read&Expires", AccessDenied),
        ("&Expires", "&x=y&Expires", AccessDenied),
        ("&Expires", "&ACL&Expires", AccessDenied),
        ("&Expires", "&response-content-type=x&tagging&Expires", AccessDenied),
    ] {
        let good = good();
        let changed = good.replacen(from, to, 1);
        assert_ne!(changed, good);
        let error = verify(&request("GET", &changed, &[LOCAL])).unwrap_err();
        assert_eq!(error.code(), expected, "{from} -> {to}: {error}");
    }
    for method in ["HEAD", "PUT", "DELETE", "POST"] {
        assert_eq!(code(verify(&request(method, &good(), &[LOCAL]))), SignatureDoesNotMatch, "{method}");
    }
    let range = request("GET", &good(), &[LOCAL, ("range", "bytes=0-1"), ("date", "today"), ("accept", "*/*")]);
    assert!(verify(&range).is_ok(), "other headers are the client's");
}

#[test]
fn two_mechanisms_are_refused() {
    use S3ErrorCode::{InvalidArgument, InvalidRequest};
    let both = request("GET", &good(), &[LOCAL, ("authorization", "AWS AKIAIOSFODNN7EXAMPLE:x")]);
    assert_eq!(code(verify(&both)), InvalidArgument);
    for parameter in
        ["X-Amz-Signature=0", "X%2DAmz-Date=0", "X-Amz-Security-Token=t", "X-Amz-Algorithm=AWS4-HMAC-SHA256"]
    {
        let target = format!("{}&{parameter}", good());
        assert_eq!(code(verify(&request("GET", &target, &[LOCAL]))), InvalidArgument, "{parameter}");
    }
    let header = request("GET", "/bucket/k", &[LOCAL, ("authorization", "AWS AKIAIOSFODNN7EXAMPLE:x")]);
    assert_eq!(code(verify(&header)), InvalidRequest, "the header form of this version is not supported");
    let outside_s3 = authenticator().authenticate(&request("GET", &good(), &[LOCAL]), None, NOW_S).now_or_never();
    assert_eq!(code(outside_s3.expect("the test store answers at once")), InvalidRequest);
}

#[test]
fn session_tokens() {
    // Made by botocore with temporary credentials.
    let with = |token: &str| {
        format!(
            "/bucket/k?AWSAccessKeyId=ASIATEMPORARY&Signature=Xbm284KqeUif%2BW19lUJ0UFERfj8%3D{token}&Expires={EXPIRES_S}"
        )
    };
    let target = with("&x-amz-security-token=token");
    use S3ErrorCode::{AccessDenied, ExpiredToken, InvalidToken, SignatureDoesNotMatch};
    assert!(verify(&request("GET", &target, &[LOCAL])).is_ok());
    assert_eq!(code(verify_at(&request("GET", &target, &[LOCAL]), NOW_S + 100)), ExpiredToken);
    assert_eq!(code(verify(&request("GET", &with(""), &[LOCAL]))), SignatureDoesNotMatch);
    let other = with("&x-amz-security-token=other");
    assert_eq!(code(verify(&request("GET", &other, &[LOCAL]))), SignatureDoesNotMatch);
    let header = |value| ("x-amz-security-token", value);
    assert!(verify(&request("GET", &with(""), &[LOCAL, header("token")])).is_ok());
    assert!(verify(&request("GET", &target, &[LOCAL, header("token")])).is_ok());
    assert_eq!(code(verify(&request("GET", &target, &[LOCAL, header("other")]))), AccessDenied);
    let without = signed("GET", "/bucket/k", &[], &[], "ASIATEMPORARY");
    assert_eq!(code(verify(&without)), InvalidToken);
}

#[test]
fn a_signed_payload_header_still_binds_the_body() {
    use S3ErrorCode::InvalidRequest;
    let with = |value: &str| verify(&signed("PUT", "/bucket/k", &[], &[("x-amz-content-sha256", value)], KEY_ID));
    assert!(matches!(with(&"ab".repeat(32)).unwrap().payload(), PayloadMode::SignedSha256(_)));
    assert!(matches!(with("UNSIGNED-PAYLOAD").unwrap().payload(), PayloadMode::Unsigned));
    assert_eq!(code(with("STREAMING-AWS4-HMAC-SHA256-PAYLOAD")), InvalidRequest, "no seed to continue from");
}

#[test]
fn the_error_shows_what_was_computed() {
    let target = url("/bucket/k%20?versionId=a%2Bb&response-expires=x%20y", "AAAA");
    let headers = [("x-amz-meta-b", "2"), ("X-Amz-Meta-A", " 1 "), ("content-type", "text/plain"), ("host", "h")];
    let error = verify(&request("PUT", &target, &headers)).unwrap_err();
    assert_eq!(error.code(), S3ErrorCode::SignatureDoesNotMatch);
    let expected = "PUT\n\ntext/plain\n1369357200\nx-amz-meta-a:1\nx-amz-meta-b:2\n/bucket/k%20?response-expires=x y&versionId=a+b";
    assert_eq!(error.get_field("StringToSign"), Some(expected));
    assert_eq!((error.get_field("AWSAccessKeyId"), error.get_field("SignatureProvided")), (Some(KEY_ID), Some("AAAA")));
    assert!(error.get_field("StringToSignBytes").unwrap().starts_with("50 55 54 0a 0a 74"));
    assert!(!format!("{error:?}{}", error.to_xml("r", "h")).contains(SECRET));
}

/// Another reading of the documentation: signs a path-style request and gives back what would be sent. Parameters are
/// `(name, decoded value)`.
fn signed(method: &str, path: &str, parameters: &[(&str, &str)], headers: &[(&str, &str)], key_id: &str) -> Parts {
    let header = |wanted: &str| headers.iter().find(|(name, _)| *name == wanted).map_or("", |(_, value)| *value);
    let mut amz: Vec<String> = headers
        .iter()
        .filter(|(name, _)| name.starts_with("x-amz-"))
        .map(|(name, value)| format!("{name}:{}\n", value.trim()))
        .collect();
    amz.sort();
    let mut resource: Vec<String> = parameters.iter().map(|(name, value)| format!("{name}={value}")).collect();
    resource.sort();
    let mark = if resource.is_empty() { "" } else { "?" };
    let text = format!(
        "{method}\n{}\n{}\n{EXPIRES_S}\n{}{path}{mark}{}",
        header("content-md5"),
        header("content-type").trim(),
        amz.concat(),
        resource.join("&")
    );
    let mut hmac = Hmac::<Sha1>::new_from_slice(SECRET.as_bytes()).unwrap();
    hmac.update(text.as_bytes());
    let signature = base64::engine::general_purpose::STANDARD.encode(hmac.finalize().into_bytes());
    let mut target = format!("{path}?Signature={}&Expires={EXPIRES_S}", encoded(&signature, false));
    for (name, value) in parameters {
        target.push_str(&format!("&{name}={}", encoded(value, false)));
    }
    target.push_str(&format!("&AWSAccessKeyId={key_id}"));
    request(method, &target, &[&[LOCAL], headers].concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Whatever another signer makes is accepted, and nothing else about the same request is.
    #[test]
    fn agrees_with_another_signer(
        key in "\\PC{1,20}(/|//|/\\./|/\\.\\./)\\PC{0,20}",
        part in prop::option::of((1u16..10_000, "[ -~]{1,20}")),
        metadata in "[!-~][ -~]{0,20}",
        content_type in "[!-~]{1,20}",
        method in prop::sample::select(vec!["GET", "PUT", "DELETE", "POST", "HEAD"]),
        tamper in 0usize..7,
    ) {
        let path = format!("/bucket/{}", encoded(&key, true));
        let part = part.map(|(number, upload)| (number.to_string(), upload));
        let parameters = part.as_ref().map_or(vec![], |(number, upload)| vec![("uploadId", upload.as_str()), ("partNumber", number)]);
        let headers = [("content-type", content_type.as_str()), ("x-amz-meta-note", metadata.as_str())];
        let mut parts = signed(method, &path, &parameters, &headers, KEY_ID);
        prop_assert!(verify(&parts).is_ok(), "{} {:?}: {:?}", parts.uri, parts.headers, verify(&parts));
        let edit = |parts: &Parts, from: &str, to: &str| parts.uri.to_string().replacen(from, to, 1).parse().unwrap();
        match tamper {
            0 => parts.method = Method::PATCH,
            1 => parts.uri = edit(&parts, "/bucket/", "/bucket/x"),
            2 => drop(parts.headers.insert("x-amz-meta-note", HeaderValue::from_str(&format!("{metadata}!")).unwrap())),
            3 => drop(parts.headers.insert("content-type", HeaderValue::from_str(&format!("{content_type}!")).unwrap())),
            4 => parts.uri = edit(&parts, &format!("Expires={EXPIRES_S}"), &format!("Expires={}", EXPIRES_S + 1)),
            5 => parts.uri = edit(&parts, "&AWSAccessKeyId", "&versionId=1&AWSAccessKeyId"),
            _ => drop(parts.headers.insert("x-amz-acl", HeaderValue::from_static("public-read"))),
        }
        prop_assert_eq!(code(verify(&parts)), S3ErrorCode::SignatureDoesNotMatch);
    }

    /// No query, however odd, makes the reader panic or lets an unknown signature through.
    #[test]
    fn any_query_is_answered(query in "[A-Za-z0-9%&=+-]{0,60}") {
        let target = format!("/bucket/k?AWSAccessKeyId={KEY_ID}&Signature=x&Expires={EXPIRES_S}&{query}");
        prop_assert!(verify(&request("GET", &target, &[LOCAL])).is_err());
    }
}
