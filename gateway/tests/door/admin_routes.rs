//! The admin routes.

use super::world::World;

#[tokio::test]
async fn signed_questions_are_answered_in_json() {
    let (world, mut connection) = World::with_bucket().await;
    connection.signed("PUT", "/bucket/a%20b").body(vec![7; 9 << 20]).send().await;
    let status = connection.signed("GET", "/-/granary/v1/status").send().await;
    assert_eq!((status.status, status.header("content-type")), (200, Some("application/json")));
    assert!(status.text().contains("\"cluster\":\"memory\""), "{}", status.text());
    let blocks = connection.signed("GET", "/-/granary/v1/blocks?bucket=bucket&key=a%20b").send().await;
    assert_eq!(blocks.status, 200, "{}", blocks.text());
    for text in ["\"size\":9437184", "\"kind\":\"owned\"", "\"checksum\":\"good\"", "\"rack\":\"/rack-1\""] {
        assert!(blocks.text().contains(text), "{text} in {}", blocks.text());
    }
    world.datanode.truncate_all(100);
    let blocks = connection.signed("GET", "/-/granary/v1/blocks?bucket=bucket&key=a%20b").send().await;
    assert!(blocks.text().contains("\"checksum\":\"short: 100 of 9437184 bytes\""), "{}", blocks.text());
    let missing = connection.signed("GET", "/-/granary/v1/blocks?bucket=bucket&key=none").send().await;
    assert_eq!(missing.status, 404);
    assert!(missing.text().contains("\"code\":\"NoSuchKey\""));
    assert_eq!(connection.signed("GET", "/-/granary/v1/nothing").send().await.status, 404);
    world.stop().await;
}

#[tokio::test]
async fn nodes_enrol_with_a_token() {
    let world = World::new().await;
    let mut connection = world.connect().await;
    let wanted = "{\"name\":null,\"lifetime_ms\":60000}";
    let stranger = connection.anonymous("POST", "/-/granary/v1/join-tokens").body(wanted).send().await;
    assert_eq!(stranger.status, 403);
    let created = connection.signed("POST", "/-/granary/v1/join-tokens").body(wanted).send().await;
    assert_eq!((created.status, created.text()), (200, "{\"token\":\"token\"}"));
    let enrol = |secret: &str, role: &str| {
        format!("{{\"secret\":\"{secret}\",\"name\":\"n\",\"role\":\"{role}\",\"csr_pem\":\"x\"}}")
    };
    for (body, status) in [
        (enrol("token", "datanode"), 200),
        (enrol("other", "datanode"), 403),
        (enrol("token", "king"), 400),
        ("{}".to_owned(), 400),
        (format!("\"{}\"", "x".repeat(70 << 10)), 400),
    ] {
        let mut connection = world.connect().await;
        let answer = connection.anonymous("POST", "/-/granary/v1/enrol").body(body).send().await;
        assert_eq!(answer.status, status, "{}", answer.text());
        assert!(!answer.text().contains("other"));
    }
    world.stop().await;
}
