//! Events on their way to a webhook.

use super::http::Connection;
use super::world::World;
use granary_gateway::config::{NotificationSettings, TargetSettings};
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

const PATIENCE: Duration = Duration::from_secs(120);
const ARN: &str = "arn:aws:sns:us-east-1:000000000000:hook";

/// A webhook that answers each message with the next of `statuses`, and then with 200.
struct Receiver {
    port: u16,
    messages: mpsc::UnboundedReceiver<(u16, Value)>,
}

impl Receiver {
    async fn start(statuses: &'static [u16]) -> Receiver {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (received, messages) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            let mut statuses = statuses.iter();
            while let Ok((socket, _)) = listener.accept().await {
                let status = *statuses.next().unwrap_or(&200);
                let message = answer(socket, status).await;
                if received.send((status, message)).is_err() {
                    return;
                }
            }
        });
        Receiver { port, messages }
    }

    /// The next message that was accepted.
    async fn accepted(&mut self) -> Value {
        loop {
            let next = tokio::time::timeout(PATIENCE, self.messages.recv()).await.expect("a message");
            if let Some((200, message)) = next {
                return message;
            }
        }
    }

    /// Name and key of the next event that was accepted.
    async fn event(&mut self) -> (String, String) {
        let message = self.accepted().await;
        let text = |pointer: &str| message.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        (text("/Records/0/eventName"), text("/Records/0/s3/object/key"))
    }
}

async fn answer(mut socket: TcpStream, status: u16) -> Value {
    let mut received = Vec::new();
    loop {
        if let Some(end) = received.windows(4).position(|window| window == b"\r\n\r\n")
            && let Ok(message) = serde_json::from_slice(&received[end + 4..])
        {
            let answer = format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\nlocation: http://127.0.0.1:1/\r\n\r\n");
            socket.write_all(answer.as_bytes()).await.unwrap();
            return message;
        }
        assert_ne!(socket.read_buf(&mut received).await.unwrap(), 0, "a message cut short");
    }
}

async fn world(port: u16, allow_private_targets: bool) -> (World, Connection) {
    let url = format!("http://127.0.0.1:{port}/");
    let targets = BTreeMap::from([("hook".to_owned(), TargetSettings { url })]);
    World::with_bucket_and(|config| config.notifications = NotificationSettings { targets, allow_private_targets })
        .await
}

fn configuration(arn: &str, events: &[&str], prefix: &str) -> String {
    let events: String = events.iter().map(|event| format!("<Event>{event}</Event>")).collect();
    format!(
        "<NotificationConfiguration><TopicConfiguration><Id>c</Id><Topic>{arn}</Topic>{events}<Filter><S3Key>\
         <FilterRule><Name>prefix</Name><Value>{prefix}</Value></FilterRule></S3Key></Filter></TopicConfiguration>\
         </NotificationConfiguration>"
    )
}

#[tokio::test]
async fn what_is_wanted_is_told_in_order_of_its_happening() {
    let mut receiver = Receiver::start(&[]).await;
    let (world, mut connection) = world(receiver.port, true).await;
    let document = configuration(ARN, &["s3:ObjectCreated:*", "s3:ObjectRemoved:*"], "in/");
    assert_eq!(connection.signed("PUT", "/bucket?notification").body(document).send().await.status, 200);
    let test = receiver.accepted().await;
    assert_eq!((test["Event"].as_str(), test["Bucket"].as_str()), (Some("s3:TestEvent"), Some("bucket")));

    connection.signed("PUT", "/bucket/out/k").body("x").send().await;
    let put = connection.signed("PUT", "/bucket/in/a%20b").body("hello").send().await;
    let message = receiver.accepted().await;
    let record = &message["Records"][0];
    assert_eq!(record["eventName"], "ObjectCreated:Put");
    assert_eq!(record["requestParameters"]["sourceIPAddress"], "127.0.0.1");
    assert_eq!(record["responseElements"]["x-amz-request-id"].as_str(), put.header("x-amz-request-id"));
    let object = &record["s3"]["object"];
    assert_eq!((object["key"].as_str(), object["size"].as_u64()), (Some("in/a+b"), Some(5)));
    assert_eq!(format!("\"{}\"", object["eTag"].as_str().unwrap()), put.header("etag").unwrap());

    let copy = connection.signed("PUT", "/bucket/in/copy").header("x-amz-copy-source", "/bucket/out/k").send().await;
    assert_eq!(copy.status, 200, "{}", copy.text());
    assert_eq!(receiver.event().await, ("ObjectCreated:Copy".to_owned(), "in/copy".to_owned()));
    connection.signed("DELETE", "/bucket/in/copy").send().await;
    assert_eq!(receiver.event().await, ("ObjectRemoved:Delete".to_owned(), "in/copy".to_owned()));
    // A write that failed happened to nobody.
    let refused = connection.signed("PUT", "/bucket/in/b").header("content-md5", "AAAAAAAAAAAAAAAAAAAAAA==");
    assert_eq!(refused.body("x").send().await.status, 400);
    connection.signed("PUT", "/bucket/in/last").body("x").send().await;
    assert_eq!(receiver.event().await, ("ObjectCreated:Put".to_owned(), "in/last".to_owned()));
    world.stop().await;
}

#[tokio::test]
async fn a_webhook_that_fails_is_asked_again_and_a_redirect_is_a_failure() {
    let mut receiver = Receiver::start(&[500, 302, 503]).await;
    let (world, mut connection) = world(receiver.port, true).await;
    let document = configuration(ARN, &["s3:ObjectCreated:Put"], "");
    connection.signed("PUT", "/bucket?notification").body(document).send().await;
    assert_eq!(receiver.accepted().await["Event"], "s3:TestEvent");
    world.stop().await;
}

#[tokio::test]
async fn a_full_queue_fails_no_write_that_was_made() {
    let mut receiver = Receiver::start(&[]).await;
    let (world, mut connection) = world(receiver.port, true).await;
    let document = configuration(ARN, &["s3:ObjectCreated:Put"], "");
    connection.signed("PUT", "/bucket?notification").body(document).send().await;
    assert_eq!(receiver.accepted().await["Event"], "s3:TestEvent");
    let put = connection.signed("PUT", "/bucket/full").header("if-none-match", "*").body("x").send().await;
    assert_eq!(put.status, 200, "{}", put.text());
    // Now it is known that nobody would hear of the next one.
    assert_eq!(connection.signed("PUT", "/bucket/next").body("x").send().await.refusal(), (503, "SlowDown"));
    assert_eq!(connection.signed("GET", "/bucket/next").send().await.status, 404);
    assert_eq!(connection.signed("GET", "/bucket/full").send().await.status, 200);
    assert_eq!(connection.signed("PUT", "/opened").send().await.status, 200);
    assert_eq!(receiver.event().await, ("ObjectCreated:Put".to_owned(), "full".to_owned()));
    assert_eq!(connection.signed("PUT", "/bucket/next").body("x").send().await.status, 200);
    assert_eq!(receiver.event().await, ("ObjectCreated:Put".to_owned(), "next".to_owned()));
    world.stop().await;
}

#[tokio::test]
async fn private_targets_are_not_reached_unless_allowed() {
    let mut receiver = Receiver::start(&[]).await;
    let (world, mut connection) = world(receiver.port, false).await;
    let document = configuration(ARN, &["s3:ObjectCreated:Put"], "");
    assert_eq!(connection.signed("PUT", "/bucket?notification").body(document).send().await.status, 200);
    assert_eq!(connection.signed("PUT", "/bucket/k").body("x").send().await.status, 200);
    world.stop().await;
    assert!(receiver.messages.try_recv().is_err());
}

#[tokio::test]
async fn destinations_nobody_named_are_refused() {
    let (world, mut connection) = world(1, true).await;
    for arn in ["arn:aws:sns:us-east-1:000000000000:other", "arn:aws:sns:eu-west-1:000000000000:hook"] {
        let document = configuration(arn, &["s3:ObjectCreated:Put"], "");
        let answer = connection.signed("PUT", "/bucket?notification").body(document.clone()).send().await;
        assert_eq!(answer.refusal(), (400, "InvalidArgument"));
        assert_eq!(answer.element("Message"), Some("Unable to validate the following destination configurations"));
        assert_eq!(answer.element("ArgumentName"), Some(arn));
        let vouched =
            connection.signed("PUT", "/bucket?notification").header("x-amz-skip-destination-validation", "true");
        assert_eq!(vouched.body(document).send().await.status, 200);
        // Nothing is queued for it, and nothing fails because of it.
        assert_eq!(connection.signed("PUT", "/bucket/k").body("x").send().await.status, 200);
    }
    world.stop().await;
}
