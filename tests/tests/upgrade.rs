//! The current binary on data that released layouts wrote: everything is there, and the store goes on from it.
//!
//! `tests/fixtures/make` wrote the archives, each with the binary of its time.

use bytes::Bytes;
use granary_tests::{Server, eventually};
use http::Method;
use serde::Deserialize;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// Every layout that was ever written for somebody to keep.
const FIXTURES: [&str; 1] = ["layout-3"];

#[derive(Deserialize)]
struct Facts {
    objects: Vec<Object>,
    versions: Vec<Object>,
    gone: Vec<Gone>,
    users: Vec<String>,
    policies: Vec<String>,
    upload: Upload,
}

#[derive(Deserialize)]
struct Object {
    bucket: String,
    key: String,
    md5: String,
    size: usize,
    version: Option<String>,
}

#[derive(Deserialize)]
struct Gone {
    bucket: String,
    key: String,
}

#[derive(Deserialize)]
struct Upload {
    bucket: String,
    key: String,
    id: String,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn data_of_released_layouts_is_read_and_written_on() {
    for fixture in FIXTURES {
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
        let facts: Facts =
            serde_json::from_slice(&std::fs::read(fixtures.join(format!("{fixture}.json"))).unwrap()).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let archive = fixtures.join(format!("{fixture}.tar.gz"));
        let unpacked = Command::new("tar").arg("-xzf").arg(archive).arg("-C").arg(directory.path()).status().unwrap();
        assert!(unpacked.success());
        let mut server = Server::start(&[&directory.path().join("data")]).await.unwrap();
        for start in ["the first start", "the second start"] {
            check(&server, &facts, &format!("{fixture}, {start}")).await;
            server.stop().unwrap();
            server.restart().await.unwrap();
        }
        println!("{fixture}: {} objects and {} versions read", facts.objects.len(), facts.versions.len());
    }
}

async fn check(server: &Server, facts: &Facts, when: &str) {
    let mut s3 = server.s3();
    for object in facts.objects.iter().chain(&facts.versions) {
        let path = format!("/{}/{}", object.bucket, object.key);
        let query: Vec<_> = object.version.iter().map(|version| ("versionId", version.as_str())).collect();
        let answer = s3.send(Method::GET, &path, &query, Bytes::new()).await.unwrap();
        assert_eq!((answer.status.as_u16(), answer.body.len()), (200, object.size), "{when}: {path} {query:?}");
        assert_eq!(digest(&answer.body), object.md5, "{when}: {path} {query:?}");
    }
    for gone in &facts.gone {
        assert_eq!(s3.get(&gone.bucket, &gone.key).await.unwrap().status.as_u16(), 404, "{when}: {}", gone.key);
    }
    let tags = s3.send(Method::GET, "/plain/small", &[("tagging", "")], Bytes::new()).await.unwrap();
    assert_eq!(tags.element("Value").as_deref(), Some("v"), "{when}");
    let parts = [("uploadId", facts.upload.id.as_str())];
    let path = format!("/{}/{}", facts.upload.bucket, facts.upload.key);
    assert!(s3.send(Method::GET, &path, &parts, Bytes::new()).await.unwrap().status.is_success(), "{when}");
    let users = server.admin(&["user", "list"]).unwrap().to_string();
    let policies = server.admin(&["policy", "list"]).unwrap().to_string();
    assert!(facts.users.iter().all(|user| users.contains(user)), "{when}: {users}");
    assert!(facts.policies.iter().all(|policy| policies.contains(policy)), "{when}: {policies}");
    eventually("a write", Duration::from_secs(180), || async {
        let mut s3 = server.s3();
        let answer = s3.put("plain", "written-now", Bytes::from_static(b"now")).await;
        answer.and_then(|answer| answer.ok()).map(drop).map_err(|error| error.to_string())
    })
    .await;
    assert_eq!(s3.get("plain", "written-now").await.unwrap().body, "now");
}

/// The MD5 of some bytes, by the program that every machine has.
fn digest(bytes: &[u8]) -> String {
    use std::io::Write;
    let mut child = Command::new("md5sum")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(bytes).unwrap();
    String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap()[..32].to_owned()
}
