//! Encryption through the door: what is stored, who may read it, what happens to changed bytes.

use super::datanode::MemoryDatanode;
use super::http::{Connection, Request};
use super::namenode::MemoryNamenode;
use super::world::World;
use granary_gateway::config::StoreDefault;
use granary_sealing::MasterKey;
use std::sync::Arc;

const SEGMENT: usize = 64 << 10;
const METHOD: &str = "x-amz-server-side-encryption";
const KEY_ID: &str = "x-amz-server-side-encryption-aws-kms-key-id";
/// `(key, its MD5)` in base64.
const ONE: (&str, &str) = ("AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=", "4Funlf7OsLF0HL+vKU+fkg==");
const OTHER: (&str, &str) = ("AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=", "F3apf5enN9TQbA8CaOS4/g==");

fn pattern(length: usize) -> Vec<u8> {
    (0..length as u32).flat_map(|at| (at.wrapping_mul(2_654_435_761)).to_le_bytes()).take(length).collect()
}

fn with_key<'c>(request: Request<'c>, prefix: &str, key: (&str, &str)) -> Request<'c> {
    let name = |what: &str| format!("x-amz-{prefix}server-side-encryption-customer-{what}");
    request.header(&name("algorithm"), "AES256").header(&name("key"), key.0).header(&name("key-md5"), key.1)
}

fn in_mode<'c>(request: Request<'c>, mode: &str) -> Request<'c> {
    match mode {
        "s3" => request.header(METHOD, "AES256"),
        "kms" => request.header(METHOD, "aws:kms").header(KEY_ID, "invoices"),
        "dual" => request.header(METHOD, "aws:kms:dsse").header(KEY_ID, "invoices"),
        "customer" => with_key(request, "", ONE),
        _clear => request,
    }
}

/// What a mode is called in answers.
fn named(mode: &str) -> &'static str {
    match mode {
        "kms" => "aws:kms",
        "dual" => "aws:kms:dsse",
        _ => "AES256",
    }
}

fn read_in_mode<'c>(request: Request<'c>, mode: &str) -> Request<'c> {
    if mode == "customer" { with_key(request, "", ONE) } else { request }
}

#[tokio::test]
async fn what_is_sealed_is_got_and_not_stored_in_clear() {
    let (world, mut connection) = World::with_bucket().await;
    for mode in ["s3", "kms", "dual", "customer"] {
        for length in [0, 1, 5000, SEGMENT, (128 << 10) + 1, (9 << 20) + 7] {
            let body = pattern(length);
            let put = in_mode(connection.signed("PUT", "/bucket/k"), mode).body(body.clone()).send().await;
            assert_eq!(put.status, 200, "{}", put.text());
            let get = read_in_mode(connection.signed("GET", "/bucket/k"), mode).send().await;
            assert_eq!((get.status, get.body.len()), (200, length));
            assert!(get.body == body, "{mode} {length}");
            for name in [METHOD, KEY_ID, "x-amz-server-side-encryption-customer-key-md5", "etag"] {
                assert_eq!(put.header(name), get.header(name), "{mode} {name}");
            }
            let said = put.header(METHOD).or(put.header("x-amz-server-side-encryption-customer-algorithm"));
            assert_eq!(said, Some(named(mode)));
            for (first, last) in [(0, 0), (SEGMENT - 1, SEGMENT), (SEGMENT, 2 * SEGMENT + 1), (length / 2, length)] {
                let last = last.min(length.saturating_sub(1));
                if first > last || length == 0 {
                    continue;
                }
                let get = connection.signed("GET", "/bucket/k").header("range", &format!("bytes={first}-{last}"));
                let get = read_in_mode(get, mode).send().await;
                assert_eq!(get.status, 206);
                assert!(get.body == body[first..=last], "{mode} {length}: {first}-{last}");
            }
        }
    }
    assert!(world.datanode.bytes() > 27 << 20);
    assert!(!world.datanode.holds(&pattern(64)));
    world.stop().await;
}

#[tokio::test]
async fn copies_between_all_modes_read_as_their_source() {
    let (world, mut connection) = World::with_bucket().await;
    let body = pattern(200_000);
    let etag_in_clear = connection.signed("PUT", "/bucket/md5").body(body.clone()).send().await;
    let etag_in_clear = etag_in_clear.header("etag").unwrap().to_owned();
    for of in ["clear", "s3", "kms", "dual", "customer"] {
        in_mode(connection.signed("PUT", "/bucket/source"), of).body(body.clone()).send().await;
        for to in ["clear", "s3", "kms", "dual", "customer"] {
            let stored = world.datanode.bytes();
            let copy =
                in_mode(connection.signed("PUT", "/bucket/copy"), to).header("x-amz-copy-source", "bucket/source");
            let copy = if of == "customer" { with_key(copy, "copy-source-", ONE) } else { copy };
            let copy = copy.send().await;
            assert_eq!(copy.status, 200, "{of} to {to}: {}", copy.text());
            let get = read_in_mode(connection.signed("GET", "/bucket/copy"), to).send().await;
            assert!(get.body == body, "{of} to {to}");
            // Protection is not lost by copying, and sealed bytes are shared.
            let expected = match (of, to) {
                ("clear", "clear") | (_, "customer") => None,
                (_, to) => Some(named(to)),
            };
            assert_eq!((copy.header(METHOD), get.header(METHOD)), (expected, expected), "{of} to {to}");
            let was_rewritten = world.datanode.bytes() != stored;
            // What is in clear, and what is in two layers, becomes nothing else without being read.
            let layers = |mode| if mode == "dual" { 2 } else { 1 };
            let expected = if of == "clear" { to != "clear" } else { layers(of) != layers(to) };
            assert_eq!(was_rewritten, expected, "{of} to {to}");
            let is_md5 = get.header("etag") == Some(&etag_in_clear);
            assert_eq!(is_md5, !matches!(to, "kms" | "dual" | "customer"), "{of} to {to}");
        }
    }
    world.stop().await;
}

#[tokio::test]
async fn customers_keys_are_asked_for() {
    let (world, mut connection) = World::with_bucket().await;
    with_key(connection.signed("PUT", "/bucket/k"), "", ONE).body("secret").send().await;
    connection.signed("PUT", "/bucket/clear").body("clear").send().await;
    for method in ["GET", "HEAD"] {
        assert_eq!(connection.signed(method, "/bucket/k").send().await.status, 400);
        assert_eq!(with_key(connection.signed(method, "/bucket/k"), "", OTHER).send().await.status, 400);
        assert_eq!(with_key(connection.signed(method, "/bucket/clear"), "", ONE).send().await.status, 400);
        assert_eq!(connection.signed(method, "/bucket/clear").header(METHOD, "AES256").send().await.status, 400);
    }
    assert_eq!(connection.signed("GET", "/bucket/k").send().await.refusal(), (400, "InvalidRequest"));
    let other = with_key(connection.signed("GET", "/bucket/k"), "", OTHER).send().await;
    assert_eq!(other.refusal(), (400, "InvalidArgument"));
    let copy = connection.signed("PUT", "/bucket/copy").header("x-amz-copy-source", "bucket/k").send().await;
    assert_eq!(copy.refusal(), (400, "InvalidRequest"));
    world.stop().await;
}

#[tokio::test]
async fn parts_are_sealed_each_for_itself() {
    let (world, mut connection) = World::with_bucket().await;
    let parts = [pattern((5 << 20) + 3), pattern(SEGMENT + 9)];
    for mode in ["s3", "kms", "dual", "customer"] {
        let created = in_mode(connection.signed("POST", "/bucket/k?uploads"), mode).send().await;
        let upload = created.element("UploadId").unwrap().to_owned();
        let target = |number: usize| format!("/bucket/k?partNumber={number}&uploadId={upload}");
        let mut named = String::new();
        for (number, part) in (1..).zip(&parts) {
            let put = read_in_mode(connection.signed("PUT", &target(number)), mode).body(part.clone()).send().await;
            assert_eq!(put.status, 200, "{}", put.text());
            let etag = put.header("etag").unwrap();
            named += &format!("<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>");
        }
        let wrong = with_key(connection.signed("PUT", &target(1)), "", OTHER).body("x").send().await;
        assert_eq!(wrong.refusal(), (400, "InvalidRequest"));
        let document = format!("<CompleteMultipartUpload>{named}</CompleteMultipartUpload>");
        let complete = connection.signed("POST", &format!("/bucket/k?uploadId={upload}")).body(document);
        let complete = read_in_mode(complete, mode).send().await;
        assert_eq!(complete.status, 200, "{}", complete.text());
        let whole = parts.concat();
        let get = read_in_mode(connection.signed("GET", "/bucket/k"), mode).send().await;
        assert!(get.body == whole, "{mode}");
        let border = parts[0].len();
        let range = format!("bytes={}-{}", border - 2, border + 1);
        let get = read_in_mode(connection.signed("GET", "/bucket/k").header("range", &range), mode).send().await;
        assert!(get.body == whole[border - 2..=border + 1], "{mode}");
        let get = read_in_mode(connection.signed("GET", "/bucket/k?partNumber=2"), mode).send().await;
        assert!(get.body == parts[1], "{mode}");
    }
    world.stop().await;
}

/// The answer's status, or `None` when the connection was cut before its end.
async fn get_whole(connection: &mut Connection) -> Option<u16> {
    let answer = connection.signed("GET", "/bucket/k").try_send().await?;
    assert_ne!(answer.status, 200, "changed bytes were served as whole");
    Some(answer.status)
}

#[tokio::test]
async fn changed_bytes_are_never_served() {
    // In the first piece that is read, and far behind it.
    for (length, at) in [(1000, 500), (3 << 20, 100), (3 << 20, (2 << 20) + 5)] {
        let (world, mut connection) = World::with_bucket().await;
        connection.signed("PUT", "/bucket/k").header(METHOD, "AES256").body(pattern(length)).send().await;
        world.datanode.flip_all(at);
        let status = get_whole(&mut connection).await;
        assert!(matches!(status, None | Some(500)), "{length} {at}: {status:?}");
        world.stop().await;
    }
}

#[tokio::test]
async fn keys_are_made_disabled_and_enabled() {
    let world = World::with(|config| config.kms.create_missing_keys = false).await;
    let mut connection = world.connect().await;
    connection.signed("PUT", "/bucket").send().await;
    let mut put = async |name: &str| {
        let put = connection.signed("PUT", "/bucket/k").header(METHOD, "aws:kms").header(KEY_ID, name).body("x");
        put.send().await
    };
    assert_eq!(put("invoices").await.refusal(), (400, "KMS.NotFoundException"));
    let mut admin = world.connect().await;
    let keys = "/-/granary/v1/kms-keys";
    let question = |disabled: bool| format!(r#"{{"name":"invoices","disabled":{disabled}}}"#);
    assert_eq!(admin.signed("POST", keys).body(question(false)).send().await.status, 200);
    assert_eq!(admin.signed("POST", keys).body(question(false)).send().await.status, 409);
    assert_eq!(put("invoices").await.status, 200);
    assert_eq!(put("alias/invoices").await.status, 200);
    assert_eq!(admin.signed("PUT", keys).body(question(true)).send().await.status, 200);
    assert_eq!(put("invoices").await.refusal(), (400, "KMS.DisabledException"));
    assert!(admin.signed("GET", keys).send().await.text().contains(r#""name":"invoices""#));
    assert_eq!(admin.anonymous("GET", keys).send().await.status, 403);
    world.stop().await;
}

#[tokio::test]
async fn a_new_master_key_takes_the_place_of_the_old_one() {
    let text = || MasterKey::generate().unwrap().to_base64();
    let (old, new) = (text(), text());
    let (namenode, datanode) = (Arc::<MemoryNamenode>::default(), MemoryDatanode::default());
    let gateway = async |keys: &[&String]| {
        let keys: Vec<&str> = keys.iter().map(|key| key.as_str()).collect();
        let master_key = MasterKey::from_base64(&keys.join("\n")).unwrap();
        let world = World::before(namenode.clone(), datanode.clone(), Some(master_key), |_| {}).await;
        let connection = world.connect().await;
        (world, connection)
    };
    let read = async |connection: &mut Connection| {
        let mut statuses = Vec::new();
        for mode in ["s3", "kms"] {
            statuses.push(connection.signed("GET", &format!("/bucket/{mode}")).send().await.status);
        }
        statuses
    };
    let counts = |current: u64, other: u64, unknown: u64, resealed: u64| {
        format!(r#"{{"current":{current},"other":{other},"unknown":{unknown},"resealed":{resealed}}}"#)
    };
    let path = "/-/granary/v1/master-key";

    let (first, mut connection) = gateway(&[&old]).await;
    connection.signed("PUT", "/bucket").send().await;
    for mode in ["s3", "kms"] {
        let put = in_mode(connection.signed("PUT", &format!("/bucket/{mode}")), mode).body("x").send().await;
        assert_eq!(put.status, 200, "{}", put.text());
    }
    assert_eq!(connection.signed("GET", path).send().await.text(), counts(2, 0, 0, 0));
    first.stop().await;

    let (lost, mut connection) = gateway(&[&new]).await;
    assert_eq!(connection.signed("POST", path).send().await.text(), counts(0, 0, 2, 0));
    assert_eq!(read(&mut connection).await, [500, 500]);
    lost.stop().await;

    let (both, mut connection) = gateway(&[&new, &old]).await;
    assert_eq!(read(&mut connection).await, [200, 200]);
    assert_eq!(connection.signed("GET", path).send().await.text(), counts(0, 2, 0, 0));
    assert_eq!(connection.anonymous("POST", path).send().await.status, 403);
    assert_eq!(connection.signed("POST", path).send().await.text(), counts(2, 0, 0, 2));
    assert_eq!(connection.signed("POST", path).send().await.text(), counts(2, 0, 0, 0));
    both.stop().await;

    let (after, mut connection) = gateway(&[&new]).await;
    assert_eq!(read(&mut connection).await, [200, 200]);
    after.stop().await;
    let (without, mut connection) = gateway(&[&old]).await;
    assert_eq!(read(&mut connection).await, [500, 500]);
    without.stop().await;
}

#[tokio::test]
async fn without_a_master_key_only_customers_keys_work() {
    let world = World::with_master_key(None, |_| {}).await;
    let mut connection = world.connect().await;
    connection.signed("PUT", "/bucket").send().await;
    for mode in ["s3", "kms"] {
        let put = in_mode(connection.signed("PUT", "/bucket/k"), mode).body("x").send().await;
        assert_eq!(put.refusal(), (501, "NotImplemented"));
    }
    assert_eq!(in_mode(connection.signed("PUT", "/bucket/k"), "customer").body("x").send().await.status, 200);
    let get = read_in_mode(connection.signed("GET", "/bucket/k"), "customer").send().await;
    assert_eq!(get.text(), "x");
    world.stop().await;
}

#[tokio::test]
async fn the_store_can_seal_everything_by_default() {
    let world = World::with(|config| config.encryption.default = StoreDefault::Aes256).await;
    let mut connection = world.connect().await;
    connection.signed("PUT", "/bucket").send().await;
    let put = connection.signed("PUT", "/bucket/k").body(pattern(5000)).send().await;
    assert_eq!(put.header(METHOD), Some("AES256"));
    assert!(!world.datanode.holds(&pattern(64)));
    let get = connection.signed("GET", "/bucket/k").send().await;
    assert!(get.body == pattern(5000));
    world.stop().await;
}

#[tokio::test]
async fn a_bucket_says_how_its_objects_are_sealed() {
    let (world, mut connection) = World::with_bucket().await;
    let none = connection.signed("GET", "/bucket?encryption").send().await;
    assert_eq!(none.refusal(), (404, "ServerSideEncryptionConfigurationNotFoundError"));
    let rule = "<ApplyServerSideEncryptionByDefault><SSEAlgorithm>aws:kms</SSEAlgorithm><KMSMasterKeyID>invoices\
                </KMSMasterKeyID></ApplyServerSideEncryptionByDefault><BucketKeyEnabled>true</BucketKeyEnabled>\
                <BlockedEncryptionTypes><EncryptionType>SSE-C</EncryptionType></BlockedEncryptionTypes>";
    let document =
        format!("<ServerSideEncryptionConfiguration><Rule>{rule}</Rule></ServerSideEncryptionConfiguration>");
    assert_eq!(connection.signed("PUT", "/bucket?encryption").body(document).send().await.status, 200);
    let put = connection.signed("PUT", "/bucket/k").body(pattern(5000)).send().await;
    for answer in [put, connection.signed("HEAD", "/bucket/k").send().await] {
        assert_eq!((answer.header(METHOD), answer.header(KEY_ID)), (Some("aws:kms"), Some("invoices")));
        assert_eq!(answer.header("x-amz-server-side-encryption-bucket-key-enabled"), Some("true"));
    }
    let put = connection.signed("PUT", "/bucket/k").header(METHOD, "AES256").body(pattern(5000)).send().await;
    assert_eq!(put.header(METHOD), Some("AES256"));
    let blocked = with_key(connection.signed("PUT", "/bucket/k"), "", ONE).body("x").send().await;
    assert_eq!(blocked.refusal(), (403, "AccessDenied"));
    assert!(!world.datanode.holds(&pattern(64)));
    world.stop().await;
}
