//! The documents of a bucket: put, got back, removed, and refused where AWS refuses them.

use super::http::{Answer, Connection};
use super::world::World;
use granary_gateway::config::TargetSettings;

/// Each document: its subresource, a body, the code without one (`None` where AWS has a default), whether it can be
/// deleted, and whether a digest is asked for.
const DOCUMENTS: &[(&str, &str, Option<&str>, bool)] = &[
    (
        "tagging",
        "<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>",
        Some("NoSuchTagSet"),
        true,
    ),
    (
        "cors",
        "<CORSConfiguration><CORSRule><AllowedMethod>GET</AllowedMethod><AllowedOrigin>*</AllowedOrigin></CORSRule>\
         </CORSConfiguration>",
        Some("NoSuchCORSConfiguration"),
        true,
    ),
    (
        "lifecycle",
        "<LifecycleConfiguration><Rule><ID>i</ID><Filter><Prefix>a</Prefix></Filter><Status>Enabled</Status>\
         <Expiration><Days>1</Days></Expiration></Rule></LifecycleConfiguration>",
        Some("NoSuchLifecycleConfiguration"),
        true,
    ),
    (
        "website",
        "<WebsiteConfiguration><IndexDocument><Suffix>i.html</Suffix></IndexDocument></WebsiteConfiguration>",
        Some("NoSuchWebsiteConfiguration"),
        true,
    ),
    (
        "policy",
        r#"{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::bucket/*"}]}"#,
        Some("NoSuchBucketPolicy"),
        true,
    ),
    (
        "encryption",
        "<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>aws:kms\
         </SSEAlgorithm><KMSMasterKeyID>k</KMSMasterKeyID></ApplyServerSideEncryptionByDefault>\
         <BucketKeyEnabled>true</BucketKeyEnabled></Rule></ServerSideEncryptionConfiguration>",
        Some("ServerSideEncryptionConfigurationNotFoundError"),
        true,
    ),
    (
        "notification",
        "<NotificationConfiguration><QueueConfiguration><Id>i</Id><Queue>arn:aws:sqs:::q</Queue>\
         <Event>s3:ObjectCreated:*</Event></QueueConfiguration></NotificationConfiguration>",
        None,
        false,
    ),
    (
        "logging",
        "<BucketLoggingStatus><LoggingEnabled><TargetBucket>bucket</TargetBucket><TargetPrefix>p</TargetPrefix>\
         </LoggingEnabled></BucketLoggingStatus>",
        None,
        false,
    ),
    (
        "requestPayment",
        "<RequestPaymentConfiguration><Payer>Requester</Payer></RequestPaymentConfiguration>",
        None,
        false,
    ),
    ("accelerate", "<AccelerateConfiguration><Status>Enabled</Status></AccelerateConfiguration>", None, false),
    ("versioning", "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>", None, false),
];

/// CRC32 of any body, so that those that need a digest have one.
fn crc32(body: &str) -> String {
    use base64::Engine as _;
    let checksum = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32IsoHdlc, body.as_bytes()) as u32;
    base64::engine::general_purpose::STANDARD.encode(checksum.to_be_bytes())
}

async fn put(connection: &mut Connection, subresource: &str, body: &str) -> Answer {
    let put = connection.signed("PUT", &format!("/bucket?{subresource}")).header("x-amz-checksum-crc32", &crc32(body));
    put.body(body).send().await
}

async fn get(connection: &mut Connection, subresource: &str) -> Answer {
    connection.signed("GET", &format!("/bucket?{subresource}")).send().await
}

/// Without declaration, namespace and root.
fn inner(text: &str) -> &str {
    let start = text.strip_prefix("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n").unwrap_or(text);
    start.split_once('>').map_or(start, |(_, rest)| rest)
}

#[tokio::test]
async fn documents_come_back_as_they_were_put() {
    let (world, mut connection) = World::with_bucket_and(|config| {
        // The queue of the notification document; nothing is sent to it.
        let target = TargetSettings { url: "http://127.0.0.1:1/".to_owned() };
        config.notifications.targets.insert("q".to_owned(), target);
    })
    .await;
    for (subresource, body, missing, deletable) in DOCUMENTS {
        let before = get(&mut connection, subresource).await;
        match missing {
            Some(code) => assert_eq!(before.refusal(), (404, *code), "{subresource}"),
            None => assert_eq!(before.status, 200, "{subresource}"),
        }
        let answer = put(&mut connection, subresource, body).await;
        assert!(matches!(answer.status, 200 | 204), "{subresource}: {} {}", answer.status, answer.text());
        let got = get(&mut connection, subresource).await;
        assert_eq!((got.status, inner(got.text())), (200, inner(body)), "{subresource}");
        if *deletable {
            for _twice in 0..2 {
                let deleted = connection.signed("DELETE", &format!("/bucket?{subresource}")).send().await;
                assert_eq!(deleted.status, 204, "{subresource}");
            }
            let after = get(&mut connection, subresource).await;
            assert_eq!((after.status, after.text().len()), (before.status, before.text().len()), "{subresource}");
        }
        let malformed = put(&mut connection, subresource, "<What>").await;
        assert_eq!(malformed.status, 400, "{subresource}");
        assert_eq!(put(&mut connection, subresource, "").await.status, 400, "{subresource}");
        let anonymous = connection.anonymous("GET", &format!("/bucket?{subresource}")).send().await;
        assert_eq!(anonymous.refusal(), (403, "AccessDenied"), "{subresource}");
        let nowhere = connection.signed("GET", &format!("/nowhere?{subresource}")).send().await;
        assert_eq!(nowhere.refusal(), (404, "NoSuchBucket"), "{subresource}");
    }
    world.stop().await;
}

#[tokio::test]
async fn digests_are_asked_for_where_aws_does() {
    let (world, mut connection) = World::with_bucket().await;
    for (subresource, body, _, _) in DOCUMENTS {
        let asked = matches!(*subresource, "tagging" | "cors" | "lifecycle");
        let answer = connection.signed("PUT", &format!("/bucket?{subresource}")).body(*body).send().await;
        assert_eq!(answer.refusal() == (400, "InvalidRequest"), asked, "{subresource}");
    }
    world.stop().await;
}

#[tokio::test]
async fn new_buckets_are_guarded_and_can_be_opened() {
    let world = World::with(|config| config.new_buckets = granary_gateway::config::NewBuckets::Guarded).await;
    let mut connection = world.connect().await;
    assert_eq!(connection.signed("PUT", "/bucket").send().await.status, 200);
    let block = get(&mut connection, "publicAccessBlock").await;
    let flags = ["BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"];
    assert!(flags.iter().all(|flag| block.element(flag) == Some("true")), "{}", block.text());
    assert_eq!(get(&mut connection, "ownershipControls").await.element("ObjectOwnership"), Some("BucketOwnerEnforced"));
    let public = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::bucket/*"}]}"#;
    assert_eq!(put(&mut connection, "policy", public).await.refusal(), (403, "AccessDenied"));
    assert_eq!(get(&mut connection, "policyStatus").await.element("IsPublic"), Some("false"));
    for (ownership, code) in
        [("BucketOwnerEnforced", "InvalidBucketAclWithObjectOwnership"), ("ObjectWriter", "AccessDenied")]
    {
        let asked = connection.signed("PUT", "/listed").header("x-amz-object-ownership", ownership);
        assert_eq!(asked.header("x-amz-acl", "public-read").send().await.element("Code"), Some(code), "{ownership}");
    }
    assert_eq!(connection.signed("DELETE", "/bucket?publicAccessBlock").send().await.status, 204);
    assert_eq!(
        get(&mut connection, "publicAccessBlock").await.refusal(),
        (404, "NoSuchPublicAccessBlockConfiguration")
    );
    assert_eq!(put(&mut connection, "policy", public).await.status, 204);
    assert_eq!(get(&mut connection, "policyStatus").await.element("IsPublic"), Some("true"));
    assert_eq!(connection.signed("DELETE", "/bucket?ownershipControls").send().await.status, 204);
    assert_eq!(get(&mut connection, "ownershipControls").await.refusal(), (404, "OwnershipControlsNotFoundError"));
    world.stop().await;
}

#[tokio::test]
async fn a_list_decides_what_nobody_has_chosen() {
    let (world, mut connection) = World::with_bucket().await;
    let refusal = (404, "NoSuchPublicAccessBlockConfiguration");
    assert_eq!(get(&mut connection, "publicAccessBlock").await.refusal(), refusal);
    assert_eq!(get(&mut connection, "ownershipControls").await.element("ObjectOwnership"), Some("BucketOwnerEnforced"));
    let made = connection.signed("PUT", "/listed").header("x-amz-acl", "public-read").send().await;
    assert_eq!(made.status, 200, "{}", made.text());
    let ownership = connection.signed("GET", "/listed?ownershipControls").send().await;
    assert_eq!(ownership.element("ObjectOwnership"), Some("ObjectWriter"));
    // Created again it keeps what is in it and all but its list.
    assert_eq!(connection.signed("PUT", "/listed/k").body("x").send().await.status, 200);
    assert!(connection.signed("GET", "/listed?acl").send().await.text().contains("AllUsers"));
    let again = connection.signed("PUT", "/listed").send().await;
    assert_eq!((again.status, again.header("x-amz-bucket-arn")), (200, Some("arn:aws:s3:::listed")));
    assert!(!connection.signed("GET", "/listed?acl").send().await.text().contains("AllUsers"));
    assert_eq!(connection.signed("GET", "/listed/k").send().await.status, 200);
    world.stop().await;
}

#[tokio::test]
async fn open_stores_create_buckets_as_aws_once_did() {
    let world = World::with(|config| config.new_buckets = granary_gateway::config::NewBuckets::Open).await;
    let mut connection = world.connect().await;
    assert_eq!(connection.signed("PUT", "/bucket").send().await.status, 200);
    assert_eq!(
        get(&mut connection, "publicAccessBlock").await.refusal(),
        (404, "NoSuchPublicAccessBlockConfiguration")
    );
    assert_eq!(get(&mut connection, "ownershipControls").await.refusal(), (404, "OwnershipControlsNotFoundError"));
    world.stop().await;
}

#[tokio::test]
async fn buckets_are_created_with_settings() {
    let world = World::new().await;
    let mut connection = world.connect().await;
    let create = |connection: &mut Connection, name: &str, header: (&str, &str), body: &str| {
        let (target, body) = (format!("/{name}"), body.to_owned());
        let (header, value) = (header.0.to_owned(), header.1.to_owned());
        let address = connection.address();
        async move {
            let mut connection = Connection::open(address).await;
            connection.signed("PUT", &target).header(&header, &value).body(body).send().await
        }
    };
    let tags =
        "<CreateBucketConfiguration><Tags><Tag><Key>a</Key><Value>b</Value></Tag></Tags></CreateBucketConfiguration>";
    let made = create(&mut connection, "bucket", ("x-amz-object-ownership", "ObjectWriter"), tags).await;
    assert_eq!(made.status, 200, "{}", made.text());
    assert_eq!(get(&mut connection, "ownershipControls").await.element("ObjectOwnership"), Some("ObjectWriter"));
    assert_eq!(get(&mut connection, "tagging").await.element("Key"), Some("a"));
    let made = create(&mut connection, "locked", ("x-amz-bucket-object-lock-enabled", "true"), "").await;
    assert_eq!(made.status, 200);
    let versioning = connection.signed("GET", "/locked?versioning").send().await;
    assert_eq!(versioning.element("Status"), Some("Enabled"));
    let suspend = "<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>";
    let suspended = connection.signed("PUT", "/locked?versioning").body(suspend).send().await;
    assert_eq!(suspended.refusal(), (409, "InvalidBucketState"));
    let located = |location: &str| {
        format!(
            "<CreateBucketConfiguration><LocationConstraint>{location}</LocationConstraint></CreateBucketConfiguration>"
        )
    };
    for (header, body, code) in [
        (("x-amz-object-ownership", "Mine"), String::new(), "InvalidArgument"),
        (("x-amz-bucket-object-lock-enabled", "maybe"), String::new(), "InvalidArgument"),
        (("x-amz-acl", "mine"), String::new(), "InvalidArgument"),
        (("x-unused", ""), located("eu-west-1"), "IllegalLocationConstraintException"),
        (("x-unused", ""), located("nowhere"), "InvalidLocationConstraint"),
        (("x-unused", ""), "<Other/>".to_owned(), "MalformedXML"),
    ] {
        let refused = create(&mut connection, "refused", header, &body).await;
        assert_eq!(refused.refusal(), (400, code));
    }
    assert_eq!(connection.signed("HEAD", "/refused").send().await.status, 404);
    world.stop().await;
}

#[tokio::test]
async fn what_no_bucket_can_have_is_answered_as_for_a_bucket_without_it() {
    let (world, mut connection) = World::with_bucket().await;
    assert_eq!(get(&mut connection, "replication").await.refusal(), (404, "ReplicationConfigurationNotFoundError"));
    for subresource in ["analytics", "inventory", "metrics", "intelligent-tiering"] {
        let list = get(&mut connection, subresource).await;
        assert_eq!((list.status, list.element("IsTruncated")), (200, Some("false")), "{subresource}");
        let one = get(&mut connection, &format!("{subresource}&id=a")).await;
        assert_eq!(one.refusal(), (404, "NoSuchConfiguration"), "{subresource}");
        let put = put(&mut connection, &format!("{subresource}&id=a"), "<X/>").await;
        assert_eq!(put.refusal(), (501, "NotImplemented"), "{subresource}");
    }
    assert_eq!(put(&mut connection, "replication", "<X/>").await.refusal(), (501, "NotImplemented"));
    world.stop().await;
}

#[tokio::test]
async fn log_targets_must_be_there() {
    let (world, mut connection) = World::with_bucket().await;
    let nowhere = "<BucketLoggingStatus><LoggingEnabled><TargetBucket>nowhere</TargetBucket><TargetPrefix/>\
                   </LoggingEnabled></BucketLoggingStatus>";
    assert_eq!(put(&mut connection, "logging", nowhere).await.refusal(), (400, "InvalidTargetBucketForLogging"));
    let dotted = connection.signed("PUT", "/dotted.bucket").send().await;
    assert_eq!(dotted.status, 200);
    let status = "<AccelerateConfiguration><Status>Enabled</Status></AccelerateConfiguration>";
    let refused = connection.signed("PUT", "/dotted.bucket?accelerate").body(status).send().await;
    assert_eq!(refused.refusal(), (400, "InvalidRequest"));
    world.stop().await;
}

#[tokio::test]
async fn answers_say_when_objects_and_uploads_end() {
    let (world, mut connection) = World::with_bucket().await;
    let rules = "<LifecycleConfiguration><Rule><ID>one</ID><Filter><Prefix>a/</Prefix></Filter><Status>Enabled</Status>\
                 <Expiration><Days>1</Days></Expiration><AbortIncompleteMultipartUpload><DaysAfterInitiation>2\
                 </DaysAfterInitiation></AbortIncompleteMultipartUpload></Rule></LifecycleConfiguration>";
    assert_eq!(put(&mut connection, "lifecycle", rules).await.status, 200);
    let stored = connection.signed("PUT", "/bucket/a/k").body("x").send().await;
    let ends = |header: Option<&str>| header.is_some_and(|text| text.ends_with(" 00:00:00 GMT\", rule-id=\"one\""));
    assert!(ends(stored.header("x-amz-expiration")), "{:?}", stored.header("x-amz-expiration"));
    assert!(connection.signed("HEAD", "/bucket/a/k").send().await.header("x-amz-expiration").is_some());
    assert!(connection.signed("GET", "/bucket/a/k").send().await.header("x-amz-expiration").is_some());
    let other = connection.signed("PUT", "/bucket/k").body("x").send().await;
    assert_eq!(other.header("x-amz-expiration"), None);
    let copy = connection.signed("PUT", "/bucket/a/copy").header("x-amz-copy-source", "/bucket/k").send().await;
    assert!(copy.status == 200 && ends(copy.header("x-amz-expiration")), "{}", copy.text());
    let away = connection.signed("PUT", "/bucket/copy").header("x-amz-copy-source", "/bucket/a/k").send().await;
    assert_eq!((away.status, away.header("x-amz-expiration")), (200, None));
    let upload = connection.signed("POST", "/bucket/a/u?uploads").send().await;
    assert_eq!(upload.header("x-amz-abort-rule-id"), Some("one"));
    assert!(upload.header("x-amz-abort-date").is_some_and(|date| date.ends_with("00:00:00 GMT")));
    let id = upload.element("UploadId").unwrap().to_owned();
    let part = connection.signed("PUT", &format!("/bucket/a/u?partNumber=1&uploadId={id}")).body("x").send().await;
    let parts = format!(
        "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{}</ETag></Part></CompleteMultipartUpload>",
        part.header("etag").unwrap()
    );
    let completed = connection.signed("POST", &format!("/bucket/a/u?uploadId={id}")).body(parts).send().await;
    assert!(completed.status == 200 && ends(completed.header("x-amz-expiration")), "{}", completed.text());
    world.stop().await;
}
