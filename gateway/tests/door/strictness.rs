//! HTTP that could be read two ways, and clients that take their time.

use super::http::PATIENCE;
use super::world::World;

async fn answer_to(world: &World, bytes: &str) -> (Option<u16>, bool) {
    let mut connection = world.connect().await;
    connection.write(bytes.as_bytes()).await;
    let status = connection.read_answer(false).await.map(|answer| answer.status);
    // A second answer would mean that the rest was taken for another request.
    let second = connection.read_answer(false).await;
    (status, second.is_none())
}

#[tokio::test]
async fn ambiguous_lengths_end_the_connection() {
    let world = World::new().await;
    let smuggled = "0\r\n\r\nGET /health/live HTTP/1.1\r\nHost: x\r\n\r\n";
    for head in [
        format!(
            "POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\nTransfer-Encoding: chunked\r\n\r\n",
            smuggled.len()
        ),
        format!(
            "POST /b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: {}\r\n\r\n",
            smuggled.len()
        ),
        "POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nContent-Length: 5\r\n\r\n".to_owned(),
        "POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: +0\r\n\r\n".to_owned(),
        "POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 0, 0\r\n\r\n".to_owned(),
        "POST /b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n".to_owned(),
        "POST /b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, identity\r\n\r\n".to_owned(),
        "POST /b HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned(),
        "GET /b HTTP/1.1\r\nHost: x\r\n folded: y\r\n\r\n".to_owned(),
        "GET /b HTTP/1.1\r\nHost : x\r\n\r\n".to_owned(),
        "GET /b HTTP/1.1\r\nHost: x\0\r\n\r\n".to_owned(),
    ] {
        let (status, closed) = answer_to(&world, &format!("{head}{smuggled}")).await;
        assert!(status.is_none_or(|status| (400..500).contains(&status)), "{status:?} to {head:?}");
        assert!(closed, "{head:?} left a second request");
    }
    world.stop().await;
}

#[tokio::test]
async fn what_the_http_library_would_accept_is_answered_400_and_closed() {
    let world = World::new().await;
    for head in [
        "POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST /b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        "POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx",
        "POST /b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "GET /health/live HTTP/1.1\nHost: x\n\n",
        "GET /health/live HTTP/1.1\r\nHost: x\r\nA: b\n\r\n",
    ] {
        let (status, closed) = answer_to(&world, head).await;
        assert_eq!((status, closed), (Some(400), true), "{head:?}");
    }
    // Also behind a request that was answered.
    let mut connection = world.connect().await;
    connection.write(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert_eq!(connection.read_answer(false).await.unwrap().status, 200);
    connection.write(b"GET /health/live HTTP/1.1\nHost: x\n\n").await;
    assert_eq!(connection.read_answer(false).await.unwrap().status, 400);
    assert!(connection.is_closed().await);
    world.stop().await;
}

#[tokio::test]
async fn a_request_without_one_host_is_refused() {
    let world = World::new().await;
    for head in ["GET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"] {
        let mut connection = world.connect().await;
        connection.write(head.as_bytes()).await;
        assert_eq!(connection.read_answer(false).await.unwrap().status, 400, "{head:?}");
    }
    world.stop().await;
}

#[tokio::test]
async fn slow_heads_and_idle_connections_are_closed() {
    let world = World::with(|config| config.header_timeout_ms = 200).await;
    for start in ["", "GET / HTTP/1.1\r\nHost: x\r\n"] {
        let mut connection = world.connect().await;
        connection.write(start.as_bytes()).await;
        assert!(connection.is_closed().await, "{start:?}");
    }
    world.stop().await;
}

#[tokio::test]
async fn a_body_that_stalls_is_given_up() {
    let world = World::with(|config| config.stall_timeout_ms = 200).await;
    let mut connection = world.connect().await;
    connection.signed("PUT", "/bucket").send().await;
    let head = "POST /-/granary/v1/enrol HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 50\r\n\r\n{";
    connection.write(head.as_bytes()).await;
    assert_eq!(connection.read_answer(false).await.unwrap().status, 400);
    assert!(connection.is_closed().await);
    world.stop().await;
}

#[tokio::test]
async fn continue_is_said_only_after_the_checks() {
    let (world, _connection) = World::with_bucket().await;
    let mut connection = world.connect().await;
    let head = "PUT /bucket/k HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 50\r\nExpect: 100-continue\r\n\r\n";
    connection.write(head.as_bytes()).await;
    assert_eq!(connection.read_answer(false).await.unwrap().status, 403);
    world.stop().await;
}

#[tokio::test]
async fn what_is_deleted_under_way_is_a_conflict_and_what_was_not_there_is_none() {
    let (world, mut other) = World::with_bucket().await;
    let upload = other.signed("POST", "/bucket/k?uploads").send().await.element("UploadId").unwrap().to_owned();
    let part = other.signed("PUT", &format!("/bucket/k?partNumber=1&uploadId={upload}")).body("part").send().await;
    let part = part.header("etag").unwrap().to_owned();
    let named = format!("<Part><PartNumber>1</PartNumber><ETag>{part}</ETag></Part>");
    let document = format!("<CompleteMultipartUpload>{named}</CompleteMultipartUpload>");
    for (method, target, body) in
        [("PUT", "/bucket/k".to_owned(), "new".to_owned()), ("POST", format!("/bucket/k?uploadId={upload}"), document)]
    {
        let put = other.signed("PUT", "/bucket/k").body("old").send().await;
        let etag = put.header("etag").unwrap().to_owned();
        let mut slow = world.connect().await;
        let asked = slow.signed(method, &target).header("if-match", &etag).header("expect", "100-continue");
        let body = asked.body(body).send_head().await;
        // Asked for the body, whose object is there.
        assert_eq!(slow.read_answer(true).await.unwrap().status, 100, "{method}");
        assert_eq!(other.signed("DELETE", "/bucket/k").send().await.status, 204);
        slow.write(&body).await;
        let answer = slow.read_answer(false).await.unwrap();
        assert_eq!(answer.refusal(), (409, "ConditionalRequestConflict"), "{method}");
    }
    let absent = other.signed("PUT", "/bucket/k").header("if-match", "\"x\"").body("new").send().await;
    assert_eq!(absent.refusal(), (404, "NoSuchKey"));
    world.stop().await;
}

#[tokio::test]
async fn connections_are_bounded_and_stopping_waits_for_none_that_idle() {
    let world = World::with(|config| {
        config.connections_max = 1;
        // Longer than anybody waits here: who waited for the idle one would be noticed.
        config.drain_timeout_ms = 3_600_000;
    })
    .await;
    let mut first = world.connect().await;
    assert_eq!(first.anonymous("GET", "/health/live").send().await.status, 200);
    let mut second = world.connect().await;
    second.write(b"GET /health/live HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n").await;
    drop(first);
    assert_eq!(second.read_answer(false).await.unwrap().status, 200);
    tokio::time::timeout(PATIENCE, world.stop()).await.expect("it waits for an idle connection");
}
