//! Objects there and back.

use super::http::Connection;
use super::world::World;

fn pattern(length: usize) -> Vec<u8> {
    (0..length as u32).flat_map(|at| (at.wrapping_mul(2_654_435_761)).to_le_bytes()).take(length).collect()
}

#[tokio::test]
async fn what_is_put_is_got() {
    let (world, mut connection) = World::with_bucket().await;
    for length in [0, 1, 4096, 128 << 10, (128 << 10) + 1, 3 << 20, (9 << 20) + 7] {
        let body = pattern(length);
        let put = connection
            .signed("PUT", "/bucket/a//b%2F..%20%E2%82%AC")
            .header("content-type", "text/x")
            .header("x-amz-meta-colour", "blue")
            .header("x-amz-storage-class", "STANDARD_IA")
            .body(body.clone())
            .send()
            .await;
        assert_eq!(put.status, 200, "{}", put.text());
        let get = connection.signed("GET", "/bucket/a//b%2F..%20%E2%82%AC").header("x-amz-checksum-mode", "ENABLED");
        let get = get.send().await;
        assert_eq!((get.status, get.body.len()), (200, length));
        assert!(get.body == body);
        assert_eq!(get.header("etag"), put.header("etag"));
        assert_eq!(get.header("x-amz-checksum-crc64nvme"), put.header("x-amz-checksum-crc64nvme"));
        for (name, value) in [
            ("content-type", "text/x"),
            ("x-amz-meta-colour", "blue"),
            ("x-amz-storage-class", "STANDARD_IA"),
            ("accept-ranges", "bytes"),
            ("server", "Granary"),
            ("x-amz-checksum-type", "FULL_OBJECT"),
        ] {
            assert_eq!(get.header(name), Some(value), "{name}");
        }
        for name in ["date", "last-modified", "x-amz-request-id", "x-amz-id-2"] {
            assert!(get.header(name).is_some(), "{name}");
        }
        let head = connection.signed("HEAD", "/bucket/a//b%2F..%20%E2%82%AC").send().await;
        assert_eq!((head.status, head.header("content-length")), (200, Some(length.to_string().as_str())));
        assert_eq!(head.header("x-amz-checksum-crc64nvme"), None);
    }
    world.stop().await;
}

#[tokio::test]
async fn ranges_conditions_and_overrides() {
    let (world, mut connection) = World::with_bucket().await;
    let body = pattern(2 << 20);
    let put = connection.signed("PUT", "/bucket/k").body(body.clone()).send().await;
    let etag = put.header("etag").unwrap().to_owned();
    for (range, first, last) in [
        ("bytes=0-0", 0, 0),
        ("bytes=100-1500000", 100, 1_500_000),
        ("bytes=2097151-", 2_097_151, 2_097_151),
        ("bytes=-5", 2_097_147, 2_097_151),
        ("bytes=5-99999999", 5, 2_097_151),
    ] {
        let get = connection.signed("GET", "/bucket/k").header("range", range).send().await;
        assert_eq!((get.status, get.body.len()), (206, last - first + 1), "{range}");
        assert!(get.body == body[first..=last], "{range}");
        assert_eq!(get.header("content-range"), Some(format!("bytes {first}-{last}/2097152").as_str()));
        let head = connection.signed("HEAD", "/bucket/k").header("range", range).send().await;
        assert_eq!((head.status, head.header("content-range")), (206, get.header("content-range")));
    }
    let past = connection.signed("GET", "/bucket/k").header("range", "bytes=2097152-").send().await;
    assert_eq!(past.refusal(), (416, "InvalidRange"));
    assert_eq!(past.header("content-range"), Some("bytes */2097152"));
    for (name, value, status) in [
        ("if-match", etag.as_str(), 200),
        ("if-match", "\"x\"", 412),
        ("if-none-match", etag.as_str(), 304),
        ("if-none-match", "*", 304),
        ("if-modified-since", "Wed, 01 Jan 2025 00:00:00 GMT", 304),
        ("if-modified-since", "Fri, 01 Jan 2100 00:00:00 GMT", 200),
        ("if-unmodified-since", "Thu, 01 Jan 1970 00:00:00 GMT", 412),
        ("if-unmodified-since", "Fri, 01 Jan 2100 00:00:00 GMT", 200),
    ] {
        let answer = connection.signed("GET", "/bucket/k").header(name, value).send().await;
        assert_eq!(answer.status, status, "{name}: {value}");
        let head = connection.signed("HEAD", "/bucket/k").header(name, value).send().await;
        assert_eq!(head.status, status, "HEAD {name}: {value}");
        if status == 304 {
            assert_eq!((answer.body.len(), answer.header("etag")), (0, Some(etag.as_str())));
        }
    }
    // A condition that fails wins over a range that cannot be had.
    let both = connection.signed("GET", "/bucket/k").header("range", "bytes=9999999-").header("if-match", "x");
    assert_eq!(both.send().await.status, 412);
    let stale = connection.signed("GET", "/bucket/k").header("range", "bytes=0-1").header("if-range", "\"x\"");
    assert_eq!(stale.send().await.status, 200);
    let fresh = connection.signed("GET", "/bucket/k").header("range", "bytes=0-1").header("if-range", &etag);
    assert_eq!(fresh.send().await.status, 206);
    let named = connection.signed("GET", "/bucket/k?response-content-type=text%2Fplain").send().await;
    assert_eq!(named.header("content-type"), Some("text/plain"));
    let split = connection.signed("GET", "/bucket/k?response-content-type=a%0D%0Ab").send().await;
    assert_eq!(split.refusal(), (400, "InvalidArgument"));
    world.stop().await;
}

#[tokio::test]
async fn conditional_writes_and_deletes() {
    let (world, mut connection) = World::with_bucket().await;
    async fn put(connection: &mut Connection, name: &str, value: &str) -> u16 {
        connection.signed("PUT", "/bucket/k").header(name, value).body("x").send().await.status
    }
    assert_eq!(put(&mut connection, "if-match", "*").await, 404);
    assert_eq!(put(&mut connection, "if-none-match", "*").await, 200);
    assert_eq!(put(&mut connection, "if-none-match", "*").await, 412);
    assert_eq!(put(&mut connection, "if-match", "\"nonsense\"").await, 412);
    assert_eq!(put(&mut connection, "if-match", "\"9dd4e461268c8034f5c8564e155c67a6\"").await, 200);
    assert_eq!(put(&mut connection, "if-none-match", "\"9dd4e461268c8034f5c8564e155c67a6\"").await, 412);
    assert_eq!(put(&mut connection, "if-none-match", "\"nonsense\"").await, 200);
    let kept = connection.signed("DELETE", "/bucket/k").header("if-match", "\"other\"").send().await;
    assert_eq!(kept.status, 412);
    assert_eq!(connection.signed("DELETE", "/bucket").send().await.refusal(), (409, "BucketNotEmpty"));
    for _ in 0..2 {
        assert_eq!(connection.signed("DELETE", "/bucket/k").send().await.status, 204);
    }
    assert_eq!(connection.signed("GET", "/bucket/k").send().await.refusal(), (404, "NoSuchKey"));
    assert_eq!(connection.signed("DELETE", "/bucket").send().await.status, 204);
    assert_eq!(connection.signed("GET", "/bucket").send().await.refusal(), (404, "NoSuchBucket"));
    world.stop().await;
}

#[tokio::test]
async fn listings_page_by_page() {
    let (world, mut connection) = World::with_bucket().await;
    for key in ["a/1", "a/2", "b", "c%01/d", "e+%20%26", "f"] {
        assert_eq!(connection.signed("PUT", &format!("/bucket/{key}")).body("x").send().await.status, 200);
    }
    let mut seen = Vec::new();
    let mut target = "/bucket?list-type=2&max-keys=1&delimiter=%2F&encoding-type=url".to_owned();
    loop {
        let page = connection.signed("GET", &target).send().await;
        assert_eq!(page.status, 200, "{}", page.text());
        let entry = page.element("Contents").and_then(|_| page.element("Key").map(str::to_owned));
        let prefix = page.text().split_once("<CommonPrefixes><Prefix>").map(|(_, rest)| rest);
        let prefix = prefix.and_then(|rest| rest.split_once('<')).map(|(prefix, _)| prefix.to_owned());
        seen.extend(entry.or(prefix));
        let Some(token) = page.element("NextContinuationToken") else { break };
        target = format!("/bucket?list-type=2&max-keys=1&delimiter=%2F&encoding-type=url&continuation-token={token}");
    }
    assert_eq!(seen, ["a/", "b", "c%01/", "e%2B%20%26", "f"]);
    let first = connection.signed("GET", "/bucket?max-keys=1&delimiter=%2F").send().await;
    assert_eq!((first.element("NextMarker"), first.element("IsTruncated")), (Some("a/"), Some("true")));
    let second = connection.signed("GET", "/bucket?max-keys=1&delimiter=%2F&marker=a%2F").send().await;
    assert_eq!(second.element("Key"), Some("b"));
    assert!(second.element("Owner").is_some());
    let none = connection.signed("GET", "/bucket?list-type=2&max-keys=0").send().await;
    assert_eq!((none.element("KeyCount"), none.element("IsTruncated")), (Some("0"), Some("false")));
    let wrong = connection.signed("GET", "/bucket?list-type=2&continuation-token=abc").send().await;
    assert_eq!(wrong.refusal(), (400, "InvalidArgument"));
    world.stop().await;
}

#[tokio::test]
async fn many_are_deleted_at_once() {
    let (world, mut connection) = World::with_bucket().await;
    for key in ["a", "b&c", "d"] {
        let target = format!("/bucket/{}", key.replace('&', "%26"));
        connection.signed("PUT", &target).body("x").send().await;
    }
    let document = "<Delete><Object><Key>a</Key></Object><Object><Key>b&amp;c</Key></Object>\
                    <Object><Key>d</Key><VersionId>nonsense</VersionId></Object></Delete>";
    let undigested = connection.signed("POST", "/bucket?delete").body(document).send().await;
    assert_eq!(undigested.refusal(), (400, "InvalidRequest"));
    let md5 = {
        use md5::Digest as _;
        granary_gateway::checksum::md5_base64(&md5::Md5::digest(document).into())
    };
    let deleted = connection.signed("POST", "/bucket?delete").header("content-md5", &md5).body(document).send().await;
    assert_eq!(deleted.status, 200, "{}", deleted.text());
    assert!(deleted.text().contains("<Deleted><Key>b&amp;c</Key></Deleted>"));
    assert!(deleted.text().contains("<Error><Key>d</Key><VersionId>nonsense</VersionId><Code>NoSuchVersion</Code>"));
    let left = connection.signed("GET", "/bucket?list-type=2").send().await;
    assert_eq!((left.element("KeyCount"), left.element("Key")), (Some("1"), Some("d")));
    world.stop().await;
}

#[tokio::test]
async fn copies_share_bytes() {
    let (world, mut connection) = World::with_bucket().await;
    let body = pattern(300_000);
    let put = connection.signed("PUT", "/bucket/k").header("x-amz-meta-a", "1").body(body.clone()).send().await;
    let etag = put.header("etag").unwrap().to_owned();
    let before = world.datanode.bytes();
    let copy = connection.signed("PUT", "/bucket/copy").header("x-amz-copy-source", "/bucket/k");
    let copy = copy.header("x-amz-checksum-algorithm", "SHA256").send().await;
    assert_eq!(copy.status, 200, "{}", copy.text());
    assert_eq!(copy.element("ETag").unwrap().replace("&quot;", "\""), etag);
    assert!(copy.element("ChecksumSHA256").is_some());
    assert_eq!(world.datanode.bytes(), before);
    let get = connection.signed("GET", "/bucket/copy").send().await;
    assert!(get.body == body);
    assert_eq!(get.header("x-amz-meta-a"), Some("1"));
    let replace = connection.signed("PUT", "/bucket/copy").header("x-amz-copy-source", "bucket/k");
    let replace = replace.header("x-amz-metadata-directive", "REPLACE").header("x-amz-meta-b", "2").send().await;
    assert_eq!(replace.status, 200);
    let head = connection.signed("HEAD", "/bucket/copy").send().await;
    assert_eq!((head.header("x-amz-meta-a"), head.header("x-amz-meta-b")), (None, Some("2")));
    for (name, value, refusal) in [
        ("x-amz-metadata-directive", "COPY", (400, "InvalidRequest")),
        ("x-amz-copy-source-if-match", "\"x\"", (412, "PreconditionFailed")),
        ("x-amz-copy-source-if-none-match", etag.as_str(), (412, "PreconditionFailed")),
        ("x-amz-tagging", "a=b", (400, "InvalidRequest")),
        ("x-amz-metadata-directive", "MAYBE", (400, "InvalidArgument")),
    ] {
        let itself = connection.signed("PUT", "/bucket/k").header("x-amz-copy-source", "bucket/k");
        assert_eq!(itself.header(name, value).send().await.refusal(), refusal, "{name}");
    }
    let missing = connection.signed("PUT", "/bucket/x").header("x-amz-copy-source", "bucket/none").send().await;
    assert_eq!(missing.refusal(), (404, "NoSuchKey"));
    world.stop().await;
}

#[tokio::test]
async fn a_read_that_fails_half_way_closes_the_connection() {
    let (world, mut connection) = World::with_bucket().await;
    connection.signed("PUT", "/bucket/k").body(pattern(20 << 20)).send().await;
    world.datanode.truncate_all(5 << 20);
    // Before the first byte there is still an error to send.
    let late = connection.signed("GET", "/bucket/k").header("range", "bytes=6000000-").send().await;
    assert_eq!(late.refusal(), (503, "ServiceUnavailable"));
    assert_eq!(connection.signed("GET", "/bucket?list-type=2").send().await.status, 200);
    // Afterwards only an end that nobody takes for the end.
    assert!(connection.signed("GET", "/bucket/k").try_send().await.is_none());
    world.stop().await;
}
