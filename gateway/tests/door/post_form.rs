//! Browser uploads: what a signed policy lets through, and everything that tries to get around it.

use super::http::{Answer, Connection};
use super::world::{ACCESS_KEY, SECRET_KEY, World};
use aws_sigv4::sign::v4::{calculate_signature, generate_signing_key};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::time::SystemTime;

const DATE: &str = "20260101T000000Z";
const BOUNDARY: &str = "----granary";

/// A form being filled in.
struct Form {
    conditions: Vec<String>,
    fields: Vec<(String, String)>,
    filename: &'static str,
    file: Vec<u8>,
}

impl Form {
    /// A form for `key`, whose policy covers the bucket and the key.
    fn new(key: &str) -> Form {
        Form {
            conditions: vec![r#"{"bucket": "bucket"}"#.to_owned(), r#"["starts-with", "$key", "user/"]"#.to_owned()],
            fields: vec![("key".to_owned(), key.to_owned())],
            filename: "C:\\photos\\cat.png",
            file: b"meow".to_vec(),
        }
    }

    fn field(mut self, name: &str, value: &str) -> Form {
        self.fields.push((name.to_owned(), value.to_owned()));
        self
    }

    /// A field, and the condition that covers it.
    fn covered(self, name: &str, value: &str) -> Form {
        let value_json = serde_json::to_string(value).unwrap();
        self.condition(&format!("[\"eq\", \"${name}\", {value_json}]")).field(name, value)
    }

    fn condition(mut self, condition: &str) -> Form {
        self.conditions.push(condition.to_owned());
        self
    }

    fn file(mut self, file: impl Into<Vec<u8>>) -> Form {
        self.file = file.into();
        self
    }

    /// Adds a signature of version 4 over the conditions so far.
    fn signed(self) -> Form {
        let credential = format!("{ACCESS_KEY}/20260101/us-east-1/s3/aws4_request");
        let form = self
            .covered("x-amz-algorithm", "AWS4-HMAC-SHA256")
            .covered("x-amz-credential", &credential)
            .covered("x-amz-date", DATE);
        let json =
            format!(r#"{{"expiration": "2099-01-01T00:00:00Z", "conditions": [{}]}}"#, form.conditions.join(", "));
        form.with_policy(&json)
    }

    fn with_policy(self, json: &str) -> Form {
        let policy = STANDARD.encode(json);
        let day = time_of(DATE);
        let key = generate_signing_key(SECRET_KEY, day, "us-east-1", "s3");
        let signature = calculate_signature(key, policy.as_bytes());
        self.field("policy", &policy).field("x-amz-signature", &signature)
    }

    fn body(&self) -> Vec<u8> {
        let mut body = Vec::new();
        for (name, value) in &self.fields {
            let head = format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
            body.extend_from_slice(head.as_bytes());
        }
        let filename = self.filename;
        let head = format!(
            "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{filename}\"\r\n\
             Content-Type: image/png\r\n\r\n"
        );
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(&self.file);
        body.extend_from_slice(format!("\r\n--{BOUNDARY}--\r\n").as_bytes());
        body
    }

    async fn post(&self, connection: &mut Connection, target: &str) -> Answer {
        post(connection, target, self.body()).await
    }
}

fn time_of(date: &str) -> SystemTime {
    assert_eq!(date, "20260101T000000Z");
    SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_767_225_600)
}

async fn post(connection: &mut Connection, target: &str, body: Vec<u8>) -> Answer {
    let content_type = format!("multipart/form-data; boundary={BOUNDARY}");
    connection.anonymous("POST", target).header("content-type", &content_type).body(body).send().await
}

#[tokio::test]
async fn what_the_policy_allows_is_stored() {
    let (world, mut connection) = World::with_bucket().await;
    let form = Form::new("user/${filename}")
        .covered("Content-Type", "image/png")
        .covered("x-amz-meta-colour", "black")
        .covered("success_action_status", "201")
        .field("x-ignore-me", "please")
        .condition(r#"["content-length-range", 1, 20000000]"#);
    let file: Vec<u8> = (0..(9 << 20) + 3u32).map(|at| (at % 251) as u8).collect();
    for file in [b"m".to_vec(), b"\r\n--\r\n------granar".to_vec(), file] {
        let form =
            Form { file: file.clone(), fields: form.fields.clone(), conditions: form.conditions.clone(), ..form };
        let answer = form.signed().post(&mut connection, "/bucket").await;
        assert_eq!(answer.status, 201, "{}", answer.text());
        let location = format!("http://{}/bucket/user/cat.png", world.address);
        assert_eq!(answer.header("location"), Some(location.as_str()));
        assert_eq!(answer.element("Location"), Some(location.as_str()));
        assert_eq!((answer.element("Bucket"), answer.element("Key")), (Some("bucket"), Some("user/cat.png")));
        let got = connection.signed("GET", "/bucket/user/cat.png").send().await;
        assert!(got.body == file, "{} bytes", got.body.len());
        assert_eq!(got.header("content-type"), Some("image/png"));
        assert_eq!(got.header("x-amz-meta-colour"), Some("black"));
        assert_eq!(answer.element("ETag").map(|tag| tag.replace("&quot;", "\"")).as_deref(), got.header("etag"));
    }
    world.stop().await;
}

#[tokio::test]
async fn answers_as_the_form_wants() {
    let (world, mut connection) = World::with_bucket().await;
    for (asked, status) in [("200", 200), ("204", 204), ("500", 204)] {
        let form = Form::new("user/a").covered("success_action_status", asked).signed();
        let answer = form.post(&mut connection, "/bucket").await;
        assert_eq!((answer.status, answer.body.len()), (status, 0), "{asked}");
    }
    let form = Form::new("user/a&b").covered("success_action_redirect", "http://app.example/done?x=1").signed();
    let answer = form.post(&mut connection, "/bucket").await;
    assert_eq!(answer.status, 303);
    assert_eq!(
        answer.header("location"),
        Some("http://app.example/done?x=1&bucket=bucket&key=user%2Fa%26b&etag=%224a4be40c96ac6314e91d93f38043a634%22")
    );
    world.stop().await;
}

#[tokio::test]
async fn checksums_of_the_file_are_verified() {
    let (world, mut connection) = World::with_bucket().await;
    let form = |value: &str| Form::new("user/a").covered("x-amz-checksum-crc32", value).file("body").signed();
    // zlib's crc32 of "body", big-endian, in base64.
    let answer = form("26gLsg==").post(&mut connection, "/bucket").await;
    let wrong = form("AAAAAA==").post(&mut connection, "/bucket").await;
    assert_eq!(wrong.refusal(), (400, "BadDigest"));
    assert_eq!(answer.status, 204, "{}", answer.text());
    world.stop().await;
}

#[tokio::test]
async fn whatever_escapes_the_policy_is_refused() {
    let (world, mut connection) = World::with_bucket().await;
    assert_eq!(connection.signed("PUT", "/other").send().await.status, 200);
    let plain = || Form::new("user/a");
    for (what, form, target, refusal) in [
        ("key outside of the prefix", Form::new("a").signed(), "/bucket", (403, "AccessDenied")),
        ("a policy for another bucket", plain().signed(), "/other", (403, "AccessDenied")),
        ("a bucket field", plain().field("bucket", "bucket").signed(), "/other", (403, "AccessDenied")),
        ("a bucket field that differs", plain().field("bucket", "other").signed(), "/bucket", (403, "AccessDenied")),
        ("an uncovered field", plain().field("acl", "private").signed(), "/bucket", (403, "AccessDenied")),
        ("a field added later", plain().signed().field("x-amz-meta-a", "b"), "/bucket", (403, "AccessDenied")),
        ("a field twice", plain().signed().field("Key", "user/b"), "/bucket", (400, "InvalidArgument")),
        ("no key", Form { fields: vec![], ..plain() }.signed(), "/bucket", (400, "InvalidArgument")),
        ("an empty key", Form::new("").signed(), "/bucket", (400, "InvalidArgument")),
        ("a long key", Form::new(&format!("user/{}", "k".repeat(1024))).signed(), "/bucket", (400, "KeyTooLongError")),
        (
            "too large",
            plain().condition(r#"["content-length-range", 0, 3]"#).signed(),
            "/bucket",
            (400, "EntityTooLarge"),
        ),
        (
            "too small",
            plain().condition(r#"["content-length-range", 5, 9]"#).signed(),
            "/bucket",
            (400, "EntityTooSmall"),
        ),
        ("no signature", plain().field("policy", "e30="), "/bucket", (400, "InvalidArgument")),
        ("another policy", replaced(plain().signed(), "policy", "e30="), "/bucket", (403, "SignatureDoesNotMatch")),
        (
            "another signature",
            replaced(plain().signed(), "x-amz-signature", "00"),
            "/bucket",
            (403, "SignatureDoesNotMatch"),
        ),
        (
            "an unknown key",
            replaced(plain().signed(), "x-amz-credential", "NOBODY/20260101/us-east-1/s3/aws4_request"),
            "/bucket",
            (403, "InvalidAccessKeyId"),
        ),
        (
            "an expired policy",
            plain()
                .covered("x-amz-algorithm", "AWS4-HMAC-SHA256")
                .field("x-amz-credential", &format!("{ACCESS_KEY}/20260101/us-east-1/s3/aws4_request"))
                .field("x-amz-date", DATE)
                .with_policy(r#"{"expiration": "2020-01-01T00:00:00Z", "conditions": []}"#),
            "/bucket",
            (403, "AccessDenied"),
        ),
        ("no credentials", plain(), "/bucket", (403, "AccessDenied")),
        (
            "a header in a field",
            plain().covered("x-amz-meta-a", "b\r\nx-amz-acl: public-read").signed(),
            "/bucket",
            (400, "InvalidArgument"),
        ),
        (
            "another payload mode",
            plain().covered("x-amz-trailer", "x-amz-checksum-crc32").signed(),
            "/bucket",
            (501, "NotImplemented"),
        ),
    ] {
        let answer = form.post(&mut connection, target).await;
        assert_eq!(answer.refusal(), refusal, "{what}: {}", answer.text());
    }
    for bucket in ["bucket", "other"] {
        let listing = connection.signed("GET", &format!("/{bucket}")).send().await;
        assert_eq!(listing.element("Key"), None, "something was stored in {bucket}");
    }
    world.stop().await;
}

fn replaced(mut form: Form, name: &str, value: &str) -> Form {
    form.fields.iter_mut().find(|(other, _)| other == name).unwrap().1 = value.to_owned();
    form
}

#[tokio::test]
async fn what_is_no_form_is_refused() {
    let (world, mut connection) = World::with_bucket().await;
    let whole = Form::new("user/a").signed().body();
    let cut = whole[..whole.len() - 10].to_vec();
    assert_eq!(post(&mut connection, "/bucket", cut).await.refusal(), (400, "MalformedPOSTRequest"));
    let fields_only = format!("--{BOUNDARY}--\r\n").into_bytes();
    let answer = post(&mut connection, "/bucket", fields_only).await;
    assert_eq!(answer.refusal(), (400, "IncorrectNumberOfFilesInPostRequest"));
    let answer = Form::new("user/a").field("x-ignore-a", &"x".repeat(20 << 10)).post(&mut connection, "/bucket").await;
    assert_eq!(answer.refusal(), (400, "MaxPostPreDataLengthExceededError"));
    let mut connection = world.connect().await;
    let answer = connection.anonymous("POST", "/bucket").header("content-type", "text/plain").body("x").send().await;
    assert_eq!(answer.refusal(), (412, "PreconditionFailed"));
    // A form inside a signed request could be read as either caller's.
    let content_type = format!("multipart/form-data; boundary={BOUNDARY}");
    let signed = connection.signed("POST", "/bucket").header("content-type", &content_type).body(whole).send().await;
    assert_eq!(signed.refusal(), (400, "InvalidArgument"));
    assert_eq!(connection.signed("GET", "/bucket").send().await.element("Key"), None);
    world.stop().await;
}
