//! Encryption is real: what is encrypted is nowhere on the disks in clear, ranges are right at every border, and without the
//! right key there is nothing. `GRANARY_ENCRYPTED_MIB` sets the size of the large object; the claim is made for 1,024.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use granary_tests::{Answer, Pattern, S3, Server};
use http::Method;
use std::fs;
use std::path::Path;

const MIB: u64 = 1 << 20;
const SEGMENT: u64 = 64 << 10;
const PART: u64 = 5 * MIB + 12_345;

type Headers = [(&'static str, &'static str)];

const S3_KEY: &Headers = &[("x-amz-server-side-encryption", "AES256")];
const KMS_KEY: &Headers =
    &[("x-amz-server-side-encryption", "aws:kms"), ("x-amz-server-side-encryption-aws-kms-key-id", "invoices")];
const DUAL_KEY: &Headers =
    &[("x-amz-server-side-encryption", "aws:kms:dsse"), ("x-amz-server-side-encryption-aws-kms-key-id", "invoices")];
const CUSTOMER_KEY: &Headers = &[
    ("x-amz-server-side-encryption-customer-algorithm", "AES256"),
    ("x-amz-server-side-encryption-customer-key", "1sJ180oT/DdTcYz04YZp8mxmXffn6C5h3USXZtnFsig="),
    ("x-amz-server-side-encryption-customer-key-md5", "z6Ze+6d6AXsJKtPcoZb33A=="),
];
const SOURCE_CUSTOMER_KEY: &Headers = &[
    ("x-amz-copy-source-server-side-encryption-customer-algorithm", "AES256"),
    ("x-amz-copy-source-server-side-encryption-customer-key", "1sJ180oT/DdTcYz04YZp8mxmXffn6C5h3USXZtnFsig="),
    ("x-amz-copy-source-server-side-encryption-customer-key-md5", "z6Ze+6d6AXsJKtPcoZb33A=="),
];

async fn put(s3: &mut S3, key: &str, headers: &Headers, body: Bytes) -> Answer {
    s3.send_with(Method::PUT, &format!("/vault/{key}"), &[], headers, body).await.unwrap().ok().unwrap()
}

async fn get(s3: &mut S3, key: &str, headers: &Headers) -> Answer {
    s3.send_with(Method::GET, &format!("/vault/{key}"), &[], headers, Bytes::new()).await.unwrap()
}

/// Uploads the parts of a pattern of `length` bytes.
async fn put_parts(s3: &mut S3, key: &str, create: &Headers, part: &Headers, pattern: Pattern, length: u64) {
    let path = format!("/vault/{key}");
    let created =
        s3.send_with(Method::POST, &path, &[("uploads", "")], create, Bytes::new()).await.unwrap().ok().unwrap();
    let upload = created.element("UploadId").unwrap();
    let mut named = String::new();
    for number in 1..=length.div_ceil(PART) {
        let from = (number - 1) * PART;
        let body = pattern.bytes(from, (length - from).min(PART) as usize);
        let query = [("partNumber", number.to_string()), ("uploadId", upload.clone())];
        let query: Vec<(&str, &str)> = query.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let answer = s3.send_with(Method::PUT, &path, &query, part, body).await.unwrap().ok().unwrap();
        let etag = answer.headers["etag"].to_str().unwrap();
        named += &format!("<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>");
    }
    let document = format!("<CompleteMultipartUpload>{named}</CompleteMultipartUpload>");
    let query = [("uploadId", upload.as_str())];
    s3.send_with(Method::POST, &path, &query, part, document.into()).await.unwrap().ok().unwrap();
}

/// The files below `directory` in which `marker` stands.
fn files_with(directory: &Path, marker: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_with(&path, marker));
        } else if fs::read(&path).unwrap().windows(marker.len()).any(|window| window == marker) {
            found.push(path.display().to_string());
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_mode_leaves_plaintext_or_keys_on_disk() {
    let directory = tempfile::tempdir().unwrap();
    let mut server = Server::start(&[directory.path()]).await.unwrap();
    let mut s3 = server.s3();
    s3.create_bucket("vault").await.unwrap();
    // Small and packed, and large with blocks of its own.
    for (size, repeats) in [("small", 10), ("large", 500_000)] {
        for (mode, headers) in [("s3", S3_KEY), ("kms", KMS_KEY), ("dual", DUAL_KEY), ("customer", CUSTOMER_KEY)] {
            let body = Bytes::from(format!("secret of {mode} ").repeat(repeats));
            put(&mut s3, &format!("{size}/{mode}"), headers, body).await;
        }
    }
    for (to, headers) in [("s3", S3_KEY), ("kms", KMS_KEY), ("dual", DUAL_KEY), ("customer", CUSTOMER_KEY)] {
        let source = [("x-amz-copy-source", "/vault/small/customer")];
        let headers = [&source[..], SOURCE_CUSTOMER_KEY, headers].concat();
        put(&mut s3, &format!("copied/{to}"), &headers, Bytes::new()).await;
    }
    put_parts(&mut s3, "parts", KMS_KEY, &[], Pattern(1), PART + 1).await;
    // Without this the search might be blind.
    put(&mut s3, "clear", &[], Bytes::from("nothing secret ".repeat(10))).await;
    for key in ["small", "large", "copied"]
        .into_iter()
        .flat_map(|size| ["s3", "kms", "dual"].map(|mode| format!("{size}/{mode}")))
    {
        let answer = get(&mut s3, &key, &[]).await.ok().unwrap();
        assert!(answer.body.starts_with(b"secret of "), "{key}");
        assert!(answer.headers.contains_key("x-amz-server-side-encryption"), "{key}");
    }
    server.stop().unwrap();

    let on_disk = |marker: &[u8]| files_with(directory.path(), marker);
    assert!(!on_disk(b"nothing secret ").is_empty());
    assert_eq!(on_disk(b"secret of "), Vec::<String>::new());
    assert_eq!(on_disk(&Pattern(1).bytes(1 << 20, 64)), Vec::<String>::new());
    let customer = BASE64_STANDARD.decode(CUSTOMER_KEY[1].1).unwrap();
    assert_eq!(on_disk(&customer), Vec::<String>::new());
    let master = fs::read_to_string(directory.path().join("master-key")).unwrap();
    assert_eq!(on_disk(master.trim().as_bytes()), [directory.path().join("master-key").display().to_string()]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ranges_of_an_encrypted_object_are_right_at_every_border() {
    let mib: u64 = std::env::var("GRANARY_ENCRYPTED_MIB").ok().map_or(24, |mib| mib.parse().unwrap());
    let (length, pattern) = (mib * MIB + 77, Pattern(3));
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(&[directory.path()]).await.unwrap();
    let mut s3 = server.s3();
    s3.create_bucket("vault").await.unwrap();
    put_parts(&mut s3, "parts", CUSTOMER_KEY, CUSTOMER_KEY, pattern, length).await;
    put_parts(&mut s3, "dual", DUAL_KEY, &[], pattern, length).await;
    // The same bytes written in one piece: a copy in clear, and one of that, sealed again.
    let source = [&[("x-amz-copy-source", "/vault/clear")], S3_KEY].concat();
    s3.put_pattern("vault", "clear", pattern, length, |_| {}).await.unwrap().ok().unwrap();
    put(&mut s3, "whole", &source, Bytes::new()).await;

    let part_borders = (0..=length.div_ceil(PART)).map(|part| part * PART);
    let segment_borders = (0..=PART / SEGMENT + 1).flat_map(|segment| {
        let last_part = (length - 1) / PART * PART;
        [0, PART, last_part].map(|part| part + segment * SEGMENT)
    });
    let borders: Vec<u64> = part_borders.chain(segment_borders).filter(|border| *border <= length).collect();
    for (key, headers) in [("parts", CUSTOMER_KEY), ("dual", &[]), ("whole", &[])] {
        for border in &borders {
            for (from, to) in [
                (border.saturating_sub(1), *border),
                (*border, border + 1),
                (border.saturating_sub(3), border + SEGMENT),
            ] {
                let to = to.min(length - 1);
                if from > to {
                    continue;
                }
                let range = format!("bytes={from}-{to}");
                let headers = [headers, &[("range", range.as_str())]].concat();
                let path = format!("/vault/{key}");
                let answer = s3.send_with(Method::GET, &path, &[], &headers, Bytes::new()).await.unwrap().ok().unwrap();
                assert_eq!(answer.body.len() as u64, to - from + 1, "{key} {range}");
                assert_eq!(pattern.mismatch(from, &answer.body), None, "{key} {range}");
            }
        }
        let all = get(&mut s3, key, headers).await.ok().unwrap();
        assert_eq!((all.body.len() as u64, pattern.mismatch(0, &all.body)), (length, None), "{key}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_outlive_a_restart_and_another_master_key_opens_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let mut server = Server::start(&[directory.path()]).await.unwrap();
    let mut s3 = server.s3();
    s3.create_bucket("vault").await.unwrap();
    put(&mut s3, "s3", S3_KEY, Bytes::from_static(b"kept")).await;
    put(&mut s3, "kms", KMS_KEY, Bytes::from_static(b"kept")).await;
    put(&mut s3, "dual", DUAL_KEY, Bytes::from_static(b"kept")).await;
    put(&mut s3, "customer", CUSTOMER_KEY, Bytes::from_static(b"kept")).await;
    server.stop().unwrap();
    server.restart().await.unwrap();
    let mut s3 = server.s3();
    for (key, headers) in [("s3", &[][..]), ("kms", &[]), ("dual", &[]), ("customer", CUSTOMER_KEY)] {
        assert_eq!(get(&mut s3, key, headers).await.ok().unwrap().body, "kept", "{key}");
    }

    server.stop().unwrap();
    let key_file = directory.path().join("master-key");
    fs::rename(&key_file, directory.path().join("lost")).unwrap();
    server.restart().await.unwrap();
    let mut s3 = server.s3();
    for key in ["s3", "kms", "dual"] {
        let refused = get(&mut s3, key, &[]).await;
        assert_eq!(
            (refused.status.as_u16(), refused.element("Code").as_deref()),
            (500, Some("InternalError")),
            "{key}"
        );
    }
    assert_eq!(get(&mut s3, "customer", CUSTOMER_KEY).await.ok().unwrap().body, "kept");
    // Nothing new is sealed under a key that does not fit the others.
    let refused = s3.send_with(Method::PUT, "/vault/new", &[], S3_KEY, Bytes::from_static(b"x")).await.unwrap();
    assert_eq!(refused.status.as_u16(), 500);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kms_keys_are_administered() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start_with(&[directory.path()], &["--no-missing-kms-keys"]).await.unwrap();
    let mut s3 = server.s3();
    s3.create_bucket("vault").await.unwrap();
    let missing = s3.send_with(Method::PUT, "/vault/k", &[], KMS_KEY, Bytes::from_static(b"x")).await.unwrap();
    assert_eq!((missing.status.as_u16(), missing.element("Code").as_deref()), (400, Some("KMS.NotFoundException")));
    server.command(&["kms-key", "create", "invoices"]).unwrap();
    assert!(server.command(&["kms-key", "create", "invoices"]).is_err());
    put(&mut s3, "k", KMS_KEY, Bytes::from_static(b"x")).await;
    server.command(&["kms-key", "disable", "invoices"]).unwrap();
    let disabled = get(&mut s3, "k", &[]).await;
    assert_eq!((disabled.status.as_u16(), disabled.element("Code").as_deref()), (400, Some("KMS.DisabledException")));
    let listed = server.admin(&["kms-key", "list"]).unwrap();
    assert_eq!(
        (listed["keys"][0]["name"].as_str(), listed["keys"][0]["disabled"].as_bool()),
        (Some("invoices"), Some(true))
    );
    assert_eq!(listed["keys"].as_array().map(Vec::len), Some(1), "the store's own key is not shown");
    server.command(&["kms-key", "enable", "invoices"]).unwrap();
    assert_eq!(get(&mut s3, "k", &[]).await.ok().unwrap().body, "x");
}
