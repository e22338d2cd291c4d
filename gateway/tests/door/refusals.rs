//! What is refused: how, and that nothing is left behind.

use super::world::World;

#[tokio::test]
async fn strangers_learn_nothing() {
    let (world, mut connection) = World::with_bucket().await;
    connection.signed("PUT", "/bucket/k").body("x").send().await;
    for (method, target) in [
        ("GET", "/"),
        ("GET", "/bucket"),
        ("GET", "/bucket/k"),
        ("GET", "/bucket/none"),
        ("PUT", "/bucket/k"),
        ("DELETE", "/bucket/k"),
        ("GET", "/bucket?policy"),
        ("GET", "/-/granary/v1/status"),
    ] {
        let answer = connection.anonymous(method, target).send().await;
        assert_eq!(answer.status, 403, "{method} {target}");
    }
    // Names of buckets are no secret: CreateBucket tells them too.
    let answer = connection.anonymous("GET", "/no-such-bucket").send().await;
    assert_eq!(answer.refusal(), (404, "NoSuchBucket"));
    let preflight = connection.anonymous("OPTIONS", "/no-such-bucket/k").header("origin", "http://x");
    let preflight = preflight.header("access-control-request-method", "PUT").send().await;
    assert_eq!(preflight.refusal(), (403, "AccessForbidden"));
    assert_eq!(connection.anonymous("OPTIONS", "/bucket").send().await.refusal(), (400, "BadRequest"));
    for (target, status) in [("/health/live", 200), ("/health/ready", 200), ("/metrics", 200)] {
        assert_eq!(connection.anonymous("GET", target).send().await.status, status, "{target}");
    }
    // With a signature the same paths are a bucket and its key.
    assert_eq!(connection.signed("GET", "/health/live").send().await.refusal(), (404, "NoSuchBucket"));
    world.stop().await;
}

#[tokio::test]
async fn what_is_not_built_says_so() {
    let (world, mut connection) = World::with_bucket().await;
    for (method, target) in [("PUT", "/bucket?replication"), ("PUT", "/bucket?analytics&id=a")] {
        let answer = connection.signed(method, target).send().await;
        assert_eq!(answer.refusal(), (501, "NotImplemented"), "{method} {target}");
    }
    let answer = connection.signed("PATCH", "/bucket/k").send().await;
    assert_eq!(answer.refusal(), (405, "MethodNotAllowed"));
    assert_eq!(answer.header("allow"), Some("GET, HEAD, PUT, DELETE"));
    for (name, value, refusal) in [
        ("x-amz-object-lock-mode", "COMPLIANCE", (400, "InvalidArgument")),
        ("x-amz-object-lock-legal-hold", "ON", (400, "InvalidRequest")),
        ("x-amz-tagging", "a=b&a=c", (400, "InvalidArgument")),
        ("x-amz-acl", "public", (400, "InvalidArgument")),
        ("x-amz-storage-class", "FAST", (400, "InvalidStorageClass")),
        ("x-amz-expected-bucket-owner", "111122223333", (403, "AccessDenied")),
        ("x-amz-checksum-crc32", "AAAAAA==", (400, "BadDigest")),
        ("content-md5", "AAAAAAAAAAAAAAAAAAAAAA==", (400, "BadDigest")),
        ("x-amz-meta-a", &"v".repeat(3000), (400, "MetadataTooLarge")),
    ] {
        let answer = connection.signed("PUT", "/bucket/k").header(name, value).body("x").send().await;
        assert_eq!(answer.refusal(), refusal, "{name}");
        assert_eq!(connection.signed("GET", "/bucket/k").send().await.status, 404, "{name} left an object");
    }
    let versioning = connection.signed("GET", "/bucket?versioning").send().await;
    assert_eq!((versioning.status, versioning.element("Status")), (200, None));
    assert_eq!(connection.signed("GET", "/bucket?location").send().await.status, 200);
    world.stop().await;
}

#[tokio::test]
async fn a_body_that_is_not_as_promised_leaves_nothing() {
    let (world, mut connection) = World::with_bucket().await;
    for length in [10, 200_000, 9 << 20] {
        let wrong = "0".repeat(64);
        let put = connection.signed("PUT", "/bucket/k").header("x-amz-content-sha256", &wrong);
        let answer = put.body(vec![7; length]).send().await;
        assert_eq!(answer.refusal(), (400, "XAmzContentSHA256Mismatch"), "{length}");
        assert_eq!(connection.signed("GET", "/bucket/k").send().await.status, 404);
    }
    let nowhere = connection.signed("PUT", "/nowhere/k").body(vec![7; 2 << 20]).send().await;
    assert_eq!(nowhere.refusal(), (404, "NoSuchBucket"));
    assert_eq!(nowhere.header("connection"), Some("close"));
    assert!(connection.is_closed().await);
    let mut connection = world.connect().await;
    let endless = connection.signed("POST", "/bucket?delete").header("content-md5", "AAAAAAAAAAAAAAAAAAAAAA==");
    assert_eq!(endless.body(vec![b' '; 3 << 20]).send().await.refusal(), (400, "MaxMessageLengthExceeded"));
    world.stop().await;
}

#[tokio::test]
async fn bodies_in_signed_and_unsigned_chunks() {
    let (world, mut connection) = World::with_bucket().await;
    let framed = "5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n";
    for (trailer, refusal) in [("NhCmhg==", (200, "")), ("AAAAAA==", (400, "BadDigest"))] {
        let answer = connection
            .signed("PUT", "/bucket/k")
            .header("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER")
            .header("x-amz-decoded-content-length", "5")
            .header("x-amz-trailer", "x-amz-checksum-crc32")
            .header("content-encoding", "aws-chunked")
            .body(framed.replace("NhCmhg==", trailer))
            .send()
            .await;
        assert_eq!(answer.refusal(), refusal, "{}", answer.text());
    }
    let get = connection.signed("GET", "/bucket/k").header("x-amz-checksum-mode", "ENABLED").send().await;
    assert_eq!((get.text(), get.header("content-encoding")), ("hello", None));
    assert_eq!(get.header("x-amz-checksum-crc32"), Some("NhCmhg=="));
    let anonymous = connection
        .anonymous("PUT", "/bucket/k2")
        .header("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER")
        .header("x-amz-decoded-content-length", "5")
        .header("x-amz-trailer", "x-amz-checksum-crc32")
        .body(framed)
        .send()
        .await;
    assert_eq!(anonymous.refusal(), (403, "AccessDenied"));
    world.stop().await;
}
