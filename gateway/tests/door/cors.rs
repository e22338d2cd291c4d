//! Pages of other origins: what they are told before and with an answer.

use super::http::Connection;
use super::world::World;

const RULES: &str = "<CORSConfiguration><CORSRule><AllowedMethod>GET</AllowedMethod><AllowedMethod>PUT</AllowedMethod>\
                     <AllowedOrigin>https://*.example.com</AllowedOrigin><AllowedHeader>x-amz-*</AllowedHeader>\
                     <ExposeHeader>ETag</ExposeHeader><MaxAgeSeconds>60</MaxAgeSeconds></CORSRule>\
                     <CORSRule><AllowedMethod>HEAD</AllowedMethod><AllowedOrigin>*</AllowedOrigin></CORSRule>\
                     </CORSConfiguration>";
const PAGE: &str = "https://app.example.com";

async fn with_rules() -> (World, Connection) {
    let (world, mut connection) = World::with_bucket().await;
    let md5 = {
        use base64::Engine as _;
        use md5::Digest as _;
        base64::engine::general_purpose::STANDARD.encode(md5::Md5::digest(RULES))
    };
    let put = connection.signed("PUT", "/bucket?cors").header("content-md5", &md5).body(RULES).send().await;
    assert_eq!(put.status, 200, "{}", put.text());
    (world, connection)
}

#[tokio::test]
async fn preflights() {
    let (world, mut connection) = with_rules().await;
    let asked = connection.anonymous("OPTIONS", "/bucket/k").header("origin", PAGE);
    let asked = asked.header("access-control-request-method", "PUT");
    let answer = asked.header("access-control-request-headers", "X-Amz-Date, x-amz-acl").send().await;
    assert_eq!(answer.status, 200);
    for (name, value) in [
        ("access-control-allow-origin", PAGE),
        ("access-control-allow-methods", "GET, PUT"),
        ("access-control-allow-headers", "x-amz-date, x-amz-acl"),
        ("access-control-expose-headers", "ETag"),
        ("access-control-max-age", "60"),
        ("access-control-allow-credentials", "true"),
        ("vary", "Origin, Access-Control-Request-Headers, Access-Control-Request-Method"),
    ] {
        assert_eq!(answer.header(name), Some(value), "{name}");
    }
    let any = connection.anonymous("OPTIONS", "/bucket/k").header("origin", "http://elsewhere");
    let any = any.header("access-control-request-method", "HEAD").send().await;
    assert_eq!((any.status, any.header("access-control-allow-origin")), (200, Some("*")));
    assert_eq!(any.header("access-control-allow-credentials"), None);
    for (origin, method, headers) in [
        ("http://elsewhere", "PUT", ""),
        (PAGE, "DELETE", ""),
        (PAGE, "PUT", "content-type"),
        ("https://example.com.evil", "GET", ""),
    ] {
        let asked = connection.anonymous("OPTIONS", "/bucket").header("origin", origin);
        let asked = asked.header("access-control-request-method", method);
        let answer = asked.header("access-control-request-headers", headers).send().await;
        assert_eq!(answer.refusal(), (403, "AccessForbidden"), "{origin} {method} {headers}");
        assert_eq!(answer.header("access-control-allow-origin"), None);
        assert_eq!(answer.element("ResourceType"), Some("BUCKET"));
    }
    world.stop().await;
}

#[tokio::test]
async fn questions_that_are_none() {
    let (world, mut connection) = with_rules().await;
    assert_eq!(connection.anonymous("OPTIONS", "/bucket").send().await.refusal(), (400, "BadRequest"));
    for (name, value) in [("x-none", ""), ("access-control-request-method", "PATCH")] {
        let asked = connection.anonymous("OPTIONS", "/bucket").header("origin", PAGE).header(name, value);
        assert_eq!(asked.send().await.refusal(), (400, "BadRequest"), "{name}");
    }
    // A bucket that is not there and one without rules are told alike.
    assert_eq!(connection.signed("PUT", "/plain").send().await.status, 200);
    let mut texts = Vec::new();
    for bucket in ["plain", "nowhere"] {
        let asked = connection.anonymous("OPTIONS", &format!("/{bucket}/k")).header("origin", PAGE);
        let answer = asked.header("access-control-request-method", "GET").send().await;
        assert_eq!(answer.refusal(), (403, "AccessForbidden"));
        texts.push(answer.element("Message").unwrap().to_owned());
    }
    assert_eq!(texts[0], texts[1]);
    world.stop().await;
}

#[tokio::test]
async fn every_answer_can_be_read_by_the_page() {
    let (world, mut connection) = with_rules().await;
    let stored = connection.signed("PUT", "/bucket/k").header("origin", PAGE).body("x").send().await;
    assert_eq!((stored.status, stored.header("access-control-allow-origin")), (200, Some(PAGE)));
    assert_eq!(stored.header("access-control-expose-headers"), Some("ETag"));
    let missing = connection.signed("GET", "/bucket/none").header("origin", PAGE).send().await;
    assert_eq!(missing.refusal(), (404, "NoSuchKey"));
    assert_eq!(missing.header("access-control-allow-origin"), Some(PAGE));
    let stranger = connection.anonymous("GET", "/bucket/k").header("origin", PAGE).send().await;
    assert_eq!((stranger.status, stranger.header("access-control-allow-origin")), (403, Some(PAGE)));
    let refused = connection.signed("DELETE", "/bucket/k").header("origin", PAGE).send().await;
    assert_eq!((refused.status, refused.header("access-control-allow-origin")), (204, None));
    assert!(refused.header("vary").is_some_and(|vary| vary.contains("Origin")));
    let elsewhere = connection.signed("GET", "/bucket/k").header("origin", "http://elsewhere").send().await;
    assert_eq!(elsewhere.header("access-control-allow-origin"), None);
    let plain = connection.signed("GET", "/bucket").send().await;
    assert_eq!((plain.status, plain.header("access-control-allow-origin")), (200, None));
    world.stop().await;
}
