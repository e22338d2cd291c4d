//! Multipart uploads.

use super::http::Connection;
use super::world::World;
use granary_gateway::checksum::{ChecksumAlgorithm, ChecksumHasher};

const PART: usize = 5 << 20;

fn part(number: usize, length: usize) -> Vec<u8> {
    vec![b'a' + number as u8; length]
}

async fn create(connection: &mut Connection, headers: &[(&str, &str)]) -> String {
    let mut request = connection.signed("POST", "/bucket/k?uploads").header("x-amz-meta-a", "1");
    for (name, value) in headers {
        request = request.header(name, value);
    }
    let answer = request.send().await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.element("UploadId").unwrap().to_owned()
}

async fn upload(connection: &mut Connection, upload: &str, number: usize, body: Vec<u8>) -> String {
    let target = format!("/bucket/k?partNumber={number}&uploadId={upload}");
    let answer = connection.signed("PUT", &target).body(body).send().await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.header("etag").unwrap().to_owned()
}

fn document(etags: &[(usize, String)]) -> String {
    let parts = etags.iter().map(|(number, etag)| {
        format!("<Part><PartNumber>{number}</PartNumber><ETag>{}</ETag></Part>", etag.replace('"', "&quot;"))
    });
    format!("<CompleteMultipartUpload>{}</CompleteMultipartUpload>", parts.collect::<String>())
}

#[tokio::test]
async fn parts_become_an_object() {
    let (world, mut connection) = World::with_bucket().await;
    for (algorithm, kind) in [(None, "FULL_OBJECT"), (Some("CRC32"), "COMPOSITE"), (Some("SHA256"), "COMPOSITE")] {
        let headers: Vec<_> = algorithm.iter().map(|name| ("x-amz-checksum-algorithm", *name)).collect();
        let id = create(&mut connection, &headers).await;
        let (one, two) = (part(1, PART), part(2, 1000));
        let etags = [
            (1, upload(&mut connection, &id, 1, one.clone()).await),
            (2, upload(&mut connection, &id, 2, two.clone()).await),
        ];
        let listed = connection.signed("GET", &format!("/bucket/k?uploadId={id}&max-parts=1")).send().await;
        assert_eq!(listed.element("IsTruncated"), Some("true"), "{}", listed.text());
        assert_eq!(listed.element("NextPartNumberMarker"), Some("1"));
        let uploads = connection.signed("GET", "/bucket?uploads").send().await;
        assert_eq!(uploads.element("UploadId"), Some(id.as_str()));
        let completing = connection.signed("POST", &format!("/bucket/k?uploadId={id}"));
        let done = completing.header("x-amz-mp-object-size", "5243880").body(document(&etags)).send().await;
        assert_eq!(done.status, 200, "{}", done.text());
        assert!(done.element("ETag").unwrap().ends_with("-2&quot;"));
        assert_eq!(done.element("ChecksumType"), Some(kind));
        let whole = [one, two.clone()].concat();
        let get = connection.signed("GET", "/bucket/k").header("x-amz-checksum-mode", "ENABLED").send().await;
        assert!(get.body == whole);
        assert_eq!((get.header("x-amz-meta-a"), get.header("x-amz-checksum-type")), (Some("1"), Some(kind)));
        if algorithm.is_none() {
            let expected = ChecksumHasher::digest(ChecksumAlgorithm::Crc64Nvme, &whole).to_base64();
            assert_eq!(get.header("x-amz-checksum-crc64nvme"), Some(expected.as_str()));
        }
        let second = connection.signed("GET", "/bucket/k?partNumber=2").header("x-amz-checksum-mode", "ENABLED");
        let second = second.send().await;
        assert_eq!((second.status, second.header("x-amz-mp-parts-count")), (206, Some("2")));
        assert_eq!(second.header("content-range"), Some("bytes 5242880-5243879/5243880"));
        assert!(second.body == two);
        let head = connection.signed("HEAD", "/bucket/k?partNumber=1").send().await;
        assert_eq!((head.status, head.header("content-length")), (206, Some("5242880")));
        let none = connection.signed("GET", "/bucket/k?partNumber=3").send().await;
        assert_eq!(none.refusal(), (400, "InvalidPart"));
    }
    world.stop().await;
}

#[tokio::test]
async fn completing_checks_what_it_is_told() {
    let (world, mut connection) = World::with_bucket().await;
    let id = create(&mut connection, &[("x-amz-checksum-algorithm", "CRC32")]).await;
    let one = upload(&mut connection, &id, 1, part(1, 100)).await;
    let two = upload(&mut connection, &id, 2, part(2, 100)).await;
    let target = format!("/bucket/k?uploadId={id}");
    let other = format!("\"{}\"", "0".repeat(32));
    let crc = ChecksumHasher::digest(ChecksumAlgorithm::Crc32, b"something else").to_base64();
    for (name, value, parts, refusal) in [
        ("x-a", "", vec![(1, one.clone()), (2, two.clone())], (400, "EntityTooSmall")),
        ("x-a", "", vec![(1, other.clone())], (400, "InvalidPart")),
        ("x-a", "", vec![(3, one.clone())], (400, "InvalidPart")),
        ("x-a", "", vec![(2, two.clone()), (1, one.clone())], (400, "InvalidPartOrder")),
        ("x-a", "", vec![], (400, "MalformedXML")),
        ("x-amz-mp-object-size", "101", vec![(1, one.clone())], (400, "InvalidRequest")),
        ("x-amz-checksum-crc32", crc.as_str(), vec![(1, one.clone())], (400, "BadDigest")),
        ("x-amz-checksum-type", "FULL_OBJECT", vec![(1, one.clone())], (400, "InvalidRequest")),
    ] {
        let answer = connection.signed("POST", &target).header(name, value).body(document(&parts)).send().await;
        assert_eq!(answer.refusal(), refusal, "{name} {parts:?}");
        assert_eq!(connection.signed("GET", "/bucket/k").send().await.status, 404);
    }
    let mismatch = format!("/bucket/k?uploadId={id}&partNumber=3");
    let sha1 = ChecksumHasher::digest(ChecksumAlgorithm::Sha1, b"x").to_base64();
    let mismatch = connection.signed("PUT", &mismatch).header("x-amz-checksum-sha1", &sha1).body("x").send().await;
    assert_eq!(mismatch.refusal(), (400, "InvalidRequest"));
    let number = connection.signed("PUT", &format!("/bucket/k?uploadId={id}&partNumber=10001")).body("x").send().await;
    assert_eq!(number.refusal(), (400, "InvalidArgument"));
    assert_eq!(connection.signed("DELETE", &target).send().await.status, 204);
    assert_eq!(connection.signed("DELETE", &target).send().await.refusal(), (404, "NoSuchUpload"));
    world.stop().await;
}

#[tokio::test]
async fn a_part_may_be_a_copy() {
    let (world, mut connection) = World::with_bucket().await;
    let source: Vec<u8> = (0..PART + 5000).map(|at| (at % 251) as u8).collect();
    connection.signed("PUT", "/bucket/source").body(source.clone()).send().await;
    let id = create(&mut connection, &[]).await;
    let mut etags = Vec::new();
    for (number, range) in [(1, format!("bytes=0-{}", PART - 1)), (2, format!("bytes={PART}-{}", PART + 4999))] {
        let copy = connection.signed("PUT", &format!("/bucket/k?partNumber={number}&uploadId={id}"));
        let copy = copy.header("x-amz-copy-source", "bucket/source").header("x-amz-copy-source-range", &range);
        let copy = copy.send().await;
        assert_eq!(copy.status, 200, "{}", copy.text());
        etags.push((number, copy.element("ETag").unwrap().replace("&quot;", "\"")));
    }
    let past = connection.signed("PUT", &format!("/bucket/k?partNumber=3&uploadId={id}"));
    let past = past.header("x-amz-copy-source", "bucket/source").header("x-amz-copy-source-range", "bytes=0-9999999");
    assert_eq!(past.send().await.refusal(), (416, "InvalidRange"));
    let done = connection.signed("POST", &format!("/bucket/k?uploadId={id}")).body(document(&etags)).send().await;
    assert_eq!(done.status, 200, "{}", done.text());
    assert!(connection.signed("GET", "/bucket/k").send().await.body == source);
    world.stop().await;
}
