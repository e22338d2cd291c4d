//! Access logs on their way into another bucket.

use super::http::Connection;
use super::world::World;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(120);

async fn enable(connection: &mut Connection, key_format: &str) {
    assert_eq!(connection.signed("PUT", "/logs").send().await.status, 200);
    let document = format!(
        "<BucketLoggingStatus><LoggingEnabled><TargetBucket>logs</TargetBucket><TargetPrefix>p/</TargetPrefix>\
         {key_format}</LoggingEnabled></BucketLoggingStatus>"
    );
    let answer = connection.signed("PUT", "/bucket?logging").body(document).send().await;
    assert_eq!(answer.status, 200, "{}", answer.text());
}

/// Waits until the logs hold `text`; the keys and contents of all of them.
async fn logs_with(connection: &mut Connection, text: &str) -> Vec<(String, String)> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let listing = connection.signed("GET", "/logs?list-type=2").send().await;
        let keys: Vec<String> =
            listing.text().split("<Key>").skip(1).map(|rest| rest.split('<').next().unwrap().to_owned()).collect();
        let mut logs = Vec::new();
        for key in keys {
            let log = connection.signed("GET", &format!("/logs/{key}")).send().await;
            logs.push((key, log.text().to_owned()));
        }
        if logs.iter().any(|(_, log)| log.contains(text)) {
            return logs;
        }
        assert!(Instant::now() < deadline, "{text} in {logs:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn requests_on_a_logged_bucket_become_lines() {
    let (world, mut connection) = World::with_bucket_and(|config| config.access_log_interval_s = 1).await;
    enable(&mut connection, "").await;
    connection.signed("PUT", "/bucket/a%20b").header("user-agent", "door \"test\"").body("hello").send().await;
    connection.signed("GET", "/bucket/a%20b?x=y").send().await;
    connection.signed("GET", "/bucket/missing").send().await;
    connection.signed("GET", "/bucket?policy").send().await;
    let logs = logs_with(&mut connection, "BUCKETPOLICY").await;
    let lines: Vec<&str> = logs.iter().flat_map(|(_, log)| log.lines()).collect();
    let line = |operation: &str| {
        *lines.iter().find(|line| line.contains(operation)).unwrap_or_else(|| panic!("{operation} in {lines:#?}"))
    };
    let put = line("REST.PUT.OBJECT a%20b \"PUT /bucket/a%20b HTTP/1.1\" 200 - ");
    assert!(put.contains(" bucket [") && put.contains("] 127.0.0.1 ") && put.contains("\"door %22test%22\""), "{put}");
    let get = line("REST.GET.OBJECT a%20b \"GET /bucket/a%20b?x=y HTTP/1.1\" 200 - 5 5 ");
    assert!(get.contains(" SigV4 - AuthHeader 127.0.0.1:") && get.ends_with(" us-east-1"), "{get}");
    line("REST.GET.OBJECT missing \"GET /bucket/missing HTTP/1.1\" 404 NoSuchKey ");
    line("REST.GET.BUCKETPOLICY - \"GET /bucket?policy HTTP/1.1\" 404 NoSuchBucketPolicy ");
    let name = logs[0].0.strip_prefix("p/").unwrap();
    assert_eq!((name.len(), name.split('-').count()), (36, 7), "{name}");
    world.stop().await;
}

#[tokio::test]
async fn each_key_of_a_bulk_delete_has_a_line_and_grants_hold_on_the_logs() {
    let (world, mut connection) = World::with_bucket_and(|config| config.access_log_interval_s = 1).await;
    assert_eq!(connection.signed("PUT", "/logs").send().await.status, 200);
    let document = "<BucketLoggingStatus><LoggingEnabled><TargetBucket>logs</TargetBucket><TargetPrefix>p/</TargetPrefix>\
                    <TargetGrants><Grant><Grantee xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" \
                    xsi:type=\"Group\"><URI>http://acs.amazonaws.com/groups/global/AllUsers</URI></Grantee>\
                    <Permission>READ</Permission></Grant></TargetGrants></LoggingEnabled></BucketLoggingStatus>";
    let answer = connection.signed("PUT", "/bucket?logging").body(document).send().await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let delete =
        "<Delete><Object><Key>one</Key></Object><Object><Key>two</Key><VersionId>x</VersionId></Object></Delete>";
    let md5 = base64::Engine::encode(
        &base64::engine::general_purpose::STANDARD,
        <md5::Md5 as md5::Digest>::digest(delete.as_bytes()),
    );
    let asked = connection.signed("POST", "/bucket?delete").header("content-md5", &md5);
    assert_eq!(asked.body(delete).send().await.status, 200);
    let logs = logs_with(&mut connection, "BATCH.DELETE.OBJECT two \"-\" 404 NoSuchVersion ").await;
    assert!(logs.iter().any(|(_, log)| log.contains("BATCH.DELETE.OBJECT one \"-\" 204 - ")), "{logs:?}");
    assert!(logs.iter().any(|(_, log)| log.contains("REST.POST.MULTI_OBJECT_DELETE")), "{logs:?}");
    let shown = connection.anonymous("GET", &format!("/logs/{}", logs[0].0)).send().await;
    assert_eq!(shown.status, 200, "{}", shown.text());
    assert_eq!(connection.anonymous("GET", "/logs").send().await.status, 403);
    world.stop().await;
}

#[tokio::test]
async fn partitioned_keys_name_their_source() {
    let (world, mut connection) = World::with_bucket_and(|config| config.access_log_interval_s = 1).await;
    let format = "<TargetObjectKeyFormat><PartitionedPrefix><PartitionDateSource>EventTime</PartitionDateSource>\
                  </PartitionedPrefix></TargetObjectKeyFormat>";
    enable(&mut connection, format).await;
    connection.signed("GET", "/bucket/k").send().await;
    let logs = logs_with(&mut connection, "REST.GET.OBJECT k ").await;
    assert!(logs[0].0.starts_with("p/000000000000/us-east-1/bucket/20"), "{}", logs[0].0);
    assert!(logs[0].0.contains("-00-00-00-"), "{}", logs[0].0);
    world.stop().await;
}

#[tokio::test]
async fn a_log_of_logs_does_not_feed_itself() {
    let (world, mut connection) = World::with_bucket_and(|config| config.access_log_interval_s = 1).await;
    let document = "<BucketLoggingStatus><LoggingEnabled><TargetBucket>bucket</TargetBucket><TargetPrefix>p/\
                    </TargetPrefix></LoggingEnabled></BucketLoggingStatus>";
    assert_eq!(connection.signed("PUT", "/bucket?logging").body(document).send().await.status, 200);
    // Deliveries into the bucket itself are no lines, so the first log is the last until somebody else comes.
    connection.signed("PUT", "/bucket?tagging").send().await;
    assert_eq!(connection.signed("PUT", "/logs").send().await.status, 200);
    let deadline = Instant::now() + PATIENCE;
    let listed = loop {
        let listing = connection.signed("GET", "/bucket?list-type=2").send().await;
        if listing.element("Key").is_some() {
            break listing;
        }
        assert!(Instant::now() < deadline, "no log");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    let key = listed.element("Key").unwrap();
    let log = connection.signed("GET", &format!("/bucket/{key}")).send().await;
    assert!(!log.text().contains("REST.PUT.OBJECT"), "{}", log.text());
    world.stop().await;
}
