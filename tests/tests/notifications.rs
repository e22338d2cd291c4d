//! Events reach their webhook at least once, also when the server is killed between the acknowledgement and the delivery.

use bytes::Bytes;
use granary_tests::{Server, eventually};
use http::Method;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const OBJECTS: usize = 60;
/// Claims of the killed process run out after 30 s; what it had tried waits a few seconds.
const PATIENCE: Duration = Duration::from_secs(300);

/// A webhook that can be told to fail.
#[derive(Default)]
struct Receiver {
    accepts: AtomicBool,
    refused: AtomicUsize,
    messages: Mutex<Vec<serde_json::Value>>,
}

impl Receiver {
    async fn start() -> (Arc<Receiver>, u16) {
        let receiver = Arc::new(Receiver::default());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let serving = receiver.clone();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(serving.clone().serve(socket));
            }
        });
        (receiver, port)
    }

    async fn serve(self: Arc<Self>, mut socket: TcpStream) {
        let mut received = Vec::new();
        let body = loop {
            if let Some(body) = body_of(&received) {
                break body;
            }
            match socket.read_buf(&mut received).await {
                Ok(1..) => {}
                Ok(0) | Err(_) => return,
            }
        };
        let accepts = self.accepts.load(Ordering::SeqCst);
        if accepts {
            self.messages.lock().unwrap().push(serde_json::from_slice(&body).unwrap());
        } else {
            self.refused.fetch_add(1, Ordering::SeqCst);
        }
        let status = if accepts { "200 OK" } else { "503 Service Unavailable" };
        let _gone = socket.write_all(format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n").as_bytes()).await;
    }

    fn keys(&self) -> BTreeSet<String> {
        let messages = self.messages.lock().unwrap();
        let key =
            |message: &serde_json::Value| message.pointer("/Records/0/s3/object/key")?.as_str().map(str::to_owned);
        messages.iter().filter_map(key).collect()
    }

    fn tests(&self) -> usize {
        self.messages.lock().unwrap().iter().filter(|message| message["Event"] == "s3:TestEvent").count()
    }
}

/// The body, once all of it is here.
fn body_of(received: &[u8]) -> Option<Vec<u8>> {
    let end = received.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let head = String::from_utf8_lossy(&received[..end]).to_ascii_lowercase();
    let (_, length) = head.split_once("content-length:")?;
    let length: usize = length.split("\r\n").next()?.trim().parse().ok()?;
    (received.len() >= end + length).then(|| received[end..end + length].to_vec())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_writes_are_told_after_kill_9() {
    let (receiver, port) = Receiver::start().await;
    let directory = tempfile::tempdir().unwrap();
    let target = format!("hook=http://127.0.0.1:{port}/events");
    let arguments = ["--notification-target", target.as_str(), "--allow-private-notification-targets"];
    let mut server = Server::start_with(&[directory.path()], &arguments).await.unwrap();
    let mut s3 = server.s3();
    s3.create_bucket("watched").await.unwrap();
    let configuration = |arn: &str| {
        Bytes::from(format!(
            "<NotificationConfiguration><QueueConfiguration><Id>all</Id><Queue>{arn}</Queue>\
             <Event>s3:ObjectCreated:*</Event><Filter><S3Key><FilterRule><Name>prefix</Name><Value>in/</Value>\
             </FilterRule></S3Key></Filter></QueueConfiguration></NotificationConfiguration>"
        ))
    };
    let put = |arn: &str| (Method::PUT, "/watched", [("notification", "")], configuration(arn));
    let (method, path, query, body) = put("arn:aws:sqs:us-east-1:000000000000:nowhere");
    let refused = s3.send(method, path, &query, body).await.unwrap();
    assert_eq!((refused.status.as_u16(), refused.element("Code").as_deref()), (400, Some("InvalidArgument")));
    let (method, path, query, body) = put("arn:aws:sqs:us-east-1:000000000000:hook");
    s3.send(method, path, &query, body).await.unwrap().ok().unwrap();

    let mut expected = BTreeSet::new();
    for number in 0..OBJECTS {
        s3.put("watched", &format!("in/{number}"), Bytes::from_static(b"x")).await.unwrap().ok().unwrap();
        s3.put("watched", &format!("out/{number}"), Bytes::from_static(b"x")).await.unwrap().ok().unwrap();
        expected.insert(format!("in/{number}"));
    }
    eventually("the webhook to be tried", PATIENCE, || async {
        match receiver.refused.load(Ordering::SeqCst) {
            0 => Err("not yet".to_owned()),
            _ => Ok(()),
        }
    })
    .await;
    server.kill().unwrap();
    assert_eq!(receiver.keys(), BTreeSet::new(), "nothing was accepted yet");
    receiver.accepts.store(true, Ordering::SeqCst);
    server.restart().await.unwrap();
    eventually("every acknowledged object to be told of", PATIENCE, || async {
        let missing = expected.difference(&receiver.keys()).count();
        match missing {
            0 if receiver.tests() > 0 => Ok(()),
            _ => Err(format!("{missing} missing, {} test events", receiver.tests())),
        }
    })
    .await;
    assert_eq!(receiver.keys(), expected, "and of nothing else");
}
