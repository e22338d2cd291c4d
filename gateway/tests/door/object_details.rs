//! What is kept beside an object's bytes: tags, lists, locks, metadata beyond ASCII.

use super::http::{Answer, Connection};
use super::world::World;

async fn put(connection: &mut Connection, target: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let mut request = connection.signed("PUT", target).header("content-type", "text/plain");
    for (name, value) in headers {
        request = request.header(name, value);
    }
    request.body(body).send().await
}

async fn locking_bucket(connection: &mut Connection, headers: &[(&str, &str)]) {
    let lock = ("x-amz-bucket-object-lock-enabled", "true");
    let headers: Vec<_> = headers.iter().copied().chain([lock]).collect();
    assert_eq!(put(connection, "/special", &headers, "").await.status, 200);
}

#[tokio::test]
async fn tags_come_and_go_without_the_bytes() {
    let (world, mut connection) = World::with_bucket().await;
    let stored = put(&mut connection, "/bucket/k", &[("x-amz-tagging", "b=2&a=%C3%A9")], "body").await;
    assert_eq!(stored.status, 200, "{}", stored.text());
    let tags = connection.signed("GET", "/bucket/k?tagging").send().await;
    let set = "<Tag><Key>a</Key><Value>é</Value></Tag><Tag><Key>b</Key><Value>2</Value></Tag>";
    assert_eq!(tags.element("TagSet"), Some(set), "{}", tags.text());
    let document = "<Tagging><TagSet><Tag><Key>c</Key><Value/></Tag></TagSet></Tagging>";
    assert_eq!(put(&mut connection, "/bucket/k?tagging", &[], document).await.status, 200);
    let get = connection.signed("GET", "/bucket/k").send().await;
    assert_eq!((get.text(), get.header("x-amz-tagging-count")), ("body", Some("1")));
    assert_eq!(get.header("etag"), stored.header("etag"));
    assert_eq!(connection.signed("DELETE", "/bucket/k?tagging").send().await.status, 204);
    assert_eq!(connection.signed("HEAD", "/bucket/k").send().await.header("x-amz-tagging-count"), None);
    let twice = document.replace("</TagSet>", "<Tag><Key>c</Key><Value/></Tag></TagSet>");
    for (target, body, refusal) in [
        ("/bucket/k?tagging", twice.as_str(), (400, "InvalidTag")),
        ("/bucket/k?tagging", "", (400, "MissingRequestBodyError")),
        ("/bucket/none?tagging", document, (404, "NoSuchKey")),
        ("/bucket/k?tagging&versionId=x", document, (400, "InvalidArgument")),
        ("/bucket/k?tagging&versionId=", document, (400, "InvalidArgument")),
        ("/bucket/k?tagging&versionId=00000000000000ff", document, (404, "NoSuchVersion")),
    ] {
        assert_eq!(put(&mut connection, target, &[], body).await.refusal(), refusal, "{target}");
    }
    world.stop().await;
}

#[tokio::test]
async fn locks_are_set_by_header_and_by_document() {
    let (world, mut connection) = World::with_bucket().await;
    locking_bucket(&mut connection, &[]).await;
    let lock = [
        ("x-amz-object-lock-mode", "GOVERNANCE"),
        ("x-amz-object-lock-retain-until-date", "2100-01-01T00:00:00Z"),
        ("content-md5", "hBotaJrYa9FhFEdFPCLG/A=="),
    ];
    assert_eq!(put(&mut connection, "/special/k", &lock[..2], "body").await.refusal(), (400, "InvalidRequest"));
    let stored = put(&mut connection, "/special/k", &lock, "body").await;
    assert_eq!(stored.status, 200, "{}", stored.text());
    let held = "<LegalHold><Status>ON</Status></LegalHold>";
    let digest = [("x-amz-checksum-crc32", "Vf3DrA==")];
    let refused = put(&mut connection, "/special/k?legal-hold", &digest, held).await;
    assert_eq!(refused.refusal(), (400, "BadDigest"));
    assert_eq!(put(&mut connection, "/special/k?legal-hold", &[], held).await.refusal(), (400, "InvalidRequest"));
    let head = connection.signed("HEAD", "/special/k").send().await;
    assert_eq!(head.header("x-amz-object-lock-mode"), Some("GOVERNANCE"));
    assert_eq!(head.header("x-amz-object-lock-retain-until-date"), Some("2100-01-01T00:00:00.000Z"));
    assert_eq!(head.header("x-amz-object-lock-legal-hold"), None);
    let retention = connection.signed("GET", "/special/k?retention").send().await;
    assert_eq!(retention.element("Mode"), Some("GOVERNANCE"), "{}", retention.text());
    let none = connection.signed("GET", "/bucket?object-lock").send().await;
    assert_eq!(none.refusal(), (404, "ObjectLockConfigurationNotFoundError"));
    assert_eq!(put(&mut connection, "/bucket/k", &lock, "body").await.refusal(), (400, "InvalidRequest"));
    world.stop().await;
}

#[tokio::test]
async fn lists_count_where_the_bucket_says_so() {
    let (world, mut connection) = World::with_bucket().await;
    locking_bucket(&mut connection, &[("x-amz-object-ownership", "ObjectWriter"), ("x-amz-acl", "private")]).await;
    assert_eq!(connection.signed("DELETE", "/special?publicAccessBlock").send().await.status, 204);
    let digest = ("content-md5", "hBotaJrYa9FhFEdFPCLG/A==");
    let stored = put(&mut connection, "/special/k", &[digest, ("x-amz-acl", "public-read")], "body").await;
    assert_eq!(stored.status, 200, "{}", stored.text());
    let list = connection.signed("GET", "/special/k?acl").send().await;
    assert!(list.text().contains("<URI>http://acs.amazonaws.com/groups/global/AllUsers</URI>"), "{}", list.text());
    assert!(list.text().contains("xsi:type=\"CanonicalUser\""), "{}", list.text());
    // What was shown can be put again.
    let again = put(&mut connection, "/special/k?acl", &[], list.text()).await;
    assert_eq!(again.status, 200, "{}", again.text());
    assert_eq!(connection.signed("GET", "/special/k?acl").send().await.text(), list.text());
    assert_eq!(put(&mut connection, "/special?acl", &[("x-amz-acl", "authenticated-read")], "").await.status, 200);
    let list = connection.signed("GET", "/special?acl").send().await;
    assert!(list.text().contains("AuthenticatedUsers"), "{}", list.text());
    let enforced = [("x-amz-object-ownership", "BucketOwnerEnforced"), ("x-amz-acl", "public-read")];
    let refused = put(&mut connection, "/other", &enforced, "").await;
    assert_eq!(refused.refusal(), (400, "InvalidBucketAclWithObjectOwnership"));
    world.stop().await;
}

#[tokio::test]
async fn metadata_beyond_ascii_is_returned_encoded() {
    let (world, mut connection) = World::with_bucket().await;
    let meta = [("x-amz-meta-a", "=?UTF-8?B?w6k=?="), ("x-amz-meta-empty", "")];
    assert_eq!(put(&mut connection, "/bucket/k", &meta, "").await.status, 200);
    let head = connection.signed("HEAD", "/bucket/k").send().await;
    assert_eq!(head.header("x-amz-meta-a"), Some("=?UTF-8?B?w6k=?="));
    assert_eq!(head.header("x-amz-meta-empty"), Some(""));
    world.stop().await;
}

#[tokio::test]
async fn what_aws_refuses_to_everybody_is_refused() {
    let (world, mut connection) = World::with_bucket().await;
    put(&mut connection, "/bucket/k", &[], "x").await;
    for (method, target, refusal) in [
        ("POST", "/bucket/k?select&select-type=2", (405, "MethodNotAllowed")),
        ("GET", "/bucket/k?torrent", (404, "NoSuchKey")),
        ("POST", "/bucket/k?restore", (400, "MissingRequestBodyError")),
    ] {
        assert_eq!(connection.signed(method, target).send().await.refusal(), refusal, "{method} {target}");
    }
    // An expectation nobody knows is no reason to refuse, on AWS either.
    assert_eq!(put(&mut connection, "/bucket/k", &[("expect", "200-ok")], "y").await.status, 200);
    world.stop().await;
}
