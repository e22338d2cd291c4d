//! Users among each other: what each may do with what is not its own, and what it is told of it.

use super::http::Connection;
use super::world::World;

const ANN: (&str, &str) = ("ANNSKEY", "a secret of ann's");
const BOB: (&str, &str) = ("BOBSKEY", "a secret of bob's");

/// A world with two users, of whom ann owns `pail` with `k` in it.
async fn two_users() -> (World, Connection) {
    let world = World::new().await;
    let mut connection = world.connect().await;
    for (name, (access_key, secret_key)) in [("ann", ANN), ("bob", BOB)] {
        let wanted =
            format!(r#"{{"name":"{name}","access_key":"{access_key}","secret_key":"{secret_key}"}}"#).replace(' ', "-");
        let added = connection.signed("POST", "/-/granary/v1/users").body(wanted).send().await;
        assert_eq!(added.status, 200, "{}", added.text());
    }
    assert_eq!(by(&mut connection, ANN, "PUT", "/pail", "").await, 200);
    assert_eq!(by(&mut connection, ANN, "PUT", "/pail/k", "x").await, 200);
    (world, connection)
}

async fn by(connection: &mut Connection, who: (&str, &str), method: &str, target: &str, body: &str) -> u16 {
    let secret = who.1.replace(' ', "-");
    connection.signed_by(who.0, &secret, method, target).body(body).send().await.status
}

#[tokio::test]
async fn what_one_owns_another_does_not_reach() {
    let (world, mut connection) = two_users().await;
    for (method, target) in [
        ("GET", "/pail"),
        ("HEAD", "/pail"),
        ("GET", "/pail/k"),
        ("GET", "/pail/none"),
        ("HEAD", "/pail/none"),
        ("PUT", "/pail/k"),
        ("DELETE", "/pail/k"),
        ("DELETE", "/pail"),
        ("GET", "/pail?policy"),
        ("GET", "/pail?location"),
        ("POST", "/pail/k?uploads"),
        ("GET", "/-/granary/v1/users"),
    ] {
        assert_eq!(by(&mut connection, BOB, method, target, "").await, 403, "{method} {target}");
        assert_eq!(connection.anonymous(method, target).send().await.status, 403, "{method} {target}");
    }
    assert_eq!(by(&mut connection, ANN, "GET", "/pail/k", "").await, 200);
    assert_eq!(by(&mut connection, ANN, "GET", "/pail/none", "").await, 404);
    assert_eq!(by(&mut connection, BOB, "PUT", "/pail", "").await, 409);
    let bobs = connection.signed_by(BOB.0, &BOB.1.replace(' ', "-"), "GET", "/").send().await;
    assert!(!bobs.text().contains("pail") && bobs.text().contains("<DisplayName>bob<"), "{}", bobs.text());
    let listed = connection.signed_by(ANN.0, &ANN.1.replace(' ', "-"), "GET", "/pail").send().await;
    assert!(listed.text().contains("<DisplayName>ann</DisplayName>"), "{}", listed.text());
    // A wrong secret and an unknown key.
    assert_eq!(by(&mut connection, (ANN.0, "wrong"), "GET", "/pail/k", "").await, 403);
    assert_eq!(by(&mut connection, ("NOBODY", "wrong"), "GET", "/pail/k", "").await, 403);
    world.stop().await;
}

#[tokio::test]
async fn a_policy_lets_others_in_and_takes_the_right_back() {
    let (world, mut connection) = two_users().await;
    let policy = |effect: &str, principal: &str, rest: &str| {
        format!(
            r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"{effect}","Principal":{principal},"Action":"s3:GetObject","Resource":"arn:aws:s3:::pail/*"{rest}}}]}}"#
        )
    };
    let put = "/pail?policy";
    assert_eq!(by(&mut connection, ANN, "DELETE", "/pail?publicAccessBlock", "").await, 204);
    assert_eq!(
        by(&mut connection, ANN, "PUT", put, &policy("Allow", r#"{"AWS":"arn:aws:iam:::user/bob"}"#, "")).await,
        204
    );
    assert_eq!(by(&mut connection, BOB, "GET", "/pail/k", "").await, 200);
    // Without the right to list, there is no difference between what is missing and what is forbidden.
    assert_eq!(by(&mut connection, BOB, "GET", "/pail/none", "").await, 403);
    assert_eq!(connection.anonymous("GET", "/pail/k").send().await.status, 403);

    assert_eq!(by(&mut connection, ANN, "PUT", put, &policy("Allow", r#""*""#, "")).await, 204);
    assert_eq!(connection.anonymous("GET", "/pail/k").send().await.status, 200);

    // Where a request comes from is what the connection says.
    let elsewhere = r#","Condition":{"IpAddress":{"aws:SourceIp":"198.51.100.0/24"}}"#;
    assert_eq!(by(&mut connection, ANN, "PUT", put, &policy("Allow", r#""*""#, elsewhere)).await, 204);
    let forwarded = connection.anonymous("GET", "/pail/k").header("x-forwarded-for", "198.51.100.7");
    assert_eq!(forwarded.send().await.status, 403);
    let here = r#","Condition":{"IpAddress":{"aws:SourceIp":"127.0.0.0/8"}}"#;
    assert_eq!(by(&mut connection, ANN, "PUT", put, &policy("Allow", r#""*""#, here)).await, 204);
    assert_eq!(connection.anonymous("GET", "/pail/k").send().await.status, 200);

    // A Deny reaches the owner and the operator, but never the policy itself.
    assert_eq!(by(&mut connection, ANN, "PUT", put, &policy("Deny", r#""*""#, "")).await, 204);
    assert_eq!(by(&mut connection, ANN, "GET", "/pail/k", "").await, 403);
    assert_eq!(connection.signed("GET", "/pail/k").send().await.status, 403);
    assert_eq!(by(&mut connection, ANN, "DELETE", put, "").await, 204);
    assert_eq!(by(&mut connection, ANN, "GET", "/pail/k", "").await, 200);
    world.stop().await;
}

#[tokio::test]
async fn a_policy_asks_for_the_tags_in_a_body() {
    let (world, mut connection) = two_users().await;
    let policy = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam:::user/bob"},"Action":"s3:PutObjectTagging","Resource":"arn:aws:s3:::pail/*","Condition":{"StringEquals":{"s3:RequestObjectTag/team":"red"},"ForAllValues:StringEquals":{"s3:RequestObjectTagKeys":["team"]}}}]}"#;
    assert_eq!(by(&mut connection, ANN, "PUT", "/pail?policy", policy).await, 204);
    let tagging = |tags: &[(&str, &str)]| {
        let tags: String = tags.iter().map(|(k, v)| format!("<Tag><Key>{k}</Key><Value>{v}</Value></Tag>")).collect();
        format!("<Tagging><TagSet>{tags}</TagSet></Tagging>")
    };
    for (tags, status) in [
        (&[("team", "red")][..], 200),
        (&[("team", "blue")], 403),
        (&[("team", "red"), ("more", "x")], 403),
        (&[], 403),
    ] {
        assert_eq!(by(&mut connection, BOB, "PUT", "/pail/k?tagging", &tagging(tags)).await, status, "{tags:?}");
    }
    assert_eq!(by(&mut connection, BOB, "PUT", "/pail/k?tagging", "<Tagging").await, 403);
    assert_eq!(by(&mut connection, ANN, "PUT", "/pail/k?tagging", "<Tagging").await, 400);
    world.stop().await;
}

#[tokio::test]
async fn a_policy_asks_for_the_lock_in_a_body_and_for_the_account() {
    let (world, mut connection) = two_users().await;
    let users = connection.signed("GET", "/pail/k").header("x-amz-expected-bucket-owner", "111122223333").send().await;
    assert_eq!(users.status, 403);
    let policy = |key: &str, value: &str| {
        format!(
            r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Principal":{{"AWS":"arn:aws:iam:::user/bob"}},"Action":["s3:PutObjectRetention","s3:PutObject"],"Resource":"arn:aws:s3:::pail/*","Condition":{{{key}:{value}}}}}]}}"#
        )
    };
    let put = "/pail?policy";
    let days = policy(r#""NumericLessThanEquals""#, r#"{"s3:object-lock-remaining-retention-days":"10"}"#);
    assert_eq!(by(&mut connection, ANN, "PUT", put, &days).await, 204);
    // Allowed is what is then refused because the bucket has no locks, and denied what is too long or cannot be read.
    let until = |year: &str| {
        format!(
            "<Retention><Mode>GOVERNANCE</Mode><RetainUntilDate>{year}-01-01T00:00:00Z</RetainUntilDate></Retention>"
        )
    };
    for (body, status) in [(until("2020"), 400), (until("2999"), 403), ("<Retention".to_owned(), 403)] {
        let secret = BOB.1.replace(' ', "-");
        let asked = connection.signed_by(BOB.0, &secret, "PUT", "/pail/k?retention");
        let answer = asked.header("x-amz-checksum-crc32", &crc32(&body)).body(body.clone()).send().await;
        assert_eq!(answer.status, status, "{body}: {}", answer.text());
    }
    // Whose account the bucket is in, and whether a write makes an object.
    for (conditions, status) in [
        (policy(r#""StringLike""#, r#"{"aws:ResourceAccount":"????????????"}"#), 200),
        (policy(r#""StringEquals""#, r#"{"s3:ResourceAccount":"111122223333"}"#), 403),
        (policy(r#""Bool""#, r#"{"s3:ObjectCreationOperation":"true"}"#), 200),
        (policy(r#""Bool""#, r#"{"s3:ObjectCreationOperation":"false"}"#), 403),
    ] {
        assert_eq!(by(&mut connection, ANN, "PUT", put, &conditions).await, 204, "{conditions}");
        assert_eq!(by(&mut connection, BOB, "PUT", "/pail/new", "x").await, status, "{conditions}");
    }
    world.stop().await;
}

#[tokio::test]
async fn however_a_bypass_is_written_it_must_be_allowed() {
    let (world, mut connection) = two_users().await;
    let policy = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam:::user/bob"},"Action":"s3:DeleteObject","Resource":"arn:aws:s3:::pail/*"}]}"#;
    assert_eq!(by(&mut connection, ANN, "PUT", "/pail?policy", policy).await, 204);
    let secret = BOB.1.replace(' ', "-");
    let delete = "<Delete><Object><Key>k</Key></Object></Delete>";
    for (written, allowed) in [("true", false), ("TRUE", false), ("True", false), ("false", true)] {
        let asked = connection.signed_by(BOB.0, &secret, "POST", "/pail?delete");
        let asked = asked.header("x-amz-bypass-governance-retention", written);
        let answer = asked.header("x-amz-checksum-crc32", &crc32(delete)).body(delete).send().await;
        assert_eq!(answer.text().contains("<Code>AccessDenied</Code>"), !allowed, "{written}: {}", answer.text());
        let asked = connection.signed_by(BOB.0, &secret, "DELETE", "/pail/k");
        let answer = asked.header("x-amz-bypass-governance-retention", written).send().await;
        assert_eq!(answer.status == 204, allowed, "{written}: {}", answer.text());
    }
    world.stop().await;
}

#[tokio::test]
async fn copies_need_rights_on_both_sides_and_bulk_deletes_on_each_key() {
    let (world, mut connection) = two_users().await;
    assert_eq!(by(&mut connection, BOB, "PUT", "/bobs", "").await, 200);
    let secret = BOB.1.replace(' ', "-");
    for source in ["pail/k", "/pail/k", "pail/%6b", "pail/none"] {
        let copy = connection.signed_by(BOB.0, &secret, "PUT", "/bobs/stolen").header("x-amz-copy-source", source);
        assert_eq!(copy.send().await.status, 403, "{source}");
    }
    assert_eq!(by(&mut connection, BOB, "GET", "/bobs/stolen", "").await, 404);
    let delete = "<Delete><Object><Key>k</Key></Object></Delete>";
    let asked =
        connection.signed_by(BOB.0, &secret, "POST", "/pail?delete").header("x-amz-checksum-crc32", &crc32(delete));
    let answer = asked.body(delete).send().await;
    assert_eq!(answer.status, 200);
    assert!(answer.text().contains("<Code>AccessDenied</Code>"), "{}", answer.text());
    assert_eq!(by(&mut connection, ANN, "GET", "/pail/k", "").await, 200);
    world.stop().await;
}

fn crc32(text: &str) -> String {
    use base64::Engine as _;
    let sum = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32IsoHdlc, text.as_bytes());
    base64::engine::general_purpose::STANDARD.encode((sum as u32).to_be_bytes())
}
