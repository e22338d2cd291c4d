//! Buckets as web sites, seen by a browser that has no credentials.

use super::http::{Answer, Connection};
use super::world::World;

const DOMAIN: &str = "site.example";

async fn world() -> (World, Connection) {
    World::with_bucket_and(|config| config.website_domains = vec![DOMAIN.to_owned()]).await
}

async fn configure(connection: &mut Connection, inner: &str) {
    let document = format!("<WebsiteConfiguration>{inner}</WebsiteConfiguration>");
    let answer = connection.signed("PUT", "/bucket?website").body(document).send().await;
    assert_eq!(answer.status, 200, "{}", answer.text());
}

async fn visit(world: &World, method: &str, bucket: &str, path: &str) -> Answer {
    let mut connection = world.connect().await;
    let request = format!("{method} {path} HTTP/1.1\r\nHost: {bucket}.{DOMAIN}\r\nx-amz-acl: public-read\r\n\r\n");
    connection.write(request.as_bytes()).await;
    connection.read_answer(method == "HEAD").await.expect("an answer")
}

#[tokio::test]
async fn everything_can_be_sent_elsewhere() {
    let (world, mut connection) = world().await;
    let to =
        "<RedirectAllRequestsTo><HostName>www.example</HostName><Protocol>https</Protocol></RedirectAllRequestsTo>";
    configure(&mut connection, to).await;
    let answer = visit(&world, "GET", "bucket", "/a%20b/c?d=e").await;
    assert_eq!((answer.status, answer.header("location")), (301, Some("https://www.example/a%20b/c")));
    world.stop().await;
}

#[tokio::test]
async fn rules_redirect_before_and_after_reading() {
    let (world, mut connection) = world().await;
    configure(
        &mut connection,
        "<IndexDocument><Suffix>index.html</Suffix></IndexDocument><RoutingRules><RoutingRule><Condition>\
         <KeyPrefixEquals>docs/</KeyPrefixEquals></Condition><Redirect><ReplaceKeyPrefixWith>documents/\
         </ReplaceKeyPrefixWith></Redirect></RoutingRule><RoutingRule><Condition><HttpErrorCodeReturnedEquals>403\
         </HttpErrorCodeReturnedEquals></Condition><Redirect><ReplaceKeyWith>denied.html</ReplaceKeyWith>\
         <HttpRedirectCode>302</HttpRedirectCode></Redirect></RoutingRule></RoutingRules>",
    )
    .await;
    let answer = visit(&world, "GET", "bucket", "/docs/a").await;
    assert_eq!(
        (answer.status, answer.header("location")),
        (301, Some("http://bucket.site.example/documents/a")),
        "{}",
        answer.text()
    );
    let answer = visit(&world, "GET", "bucket", "/private").await;
    assert_eq!((answer.status, answer.header("location")), (302, Some("http://bucket.site.example/denied.html")));
    world.stop().await;
}

#[tokio::test]
async fn errors_are_pages_and_private_objects_stay_private() {
    let (world, mut connection) = world().await;
    let page = visit(&world, "GET", "bucket", "/").await;
    assert_eq!((page.status, page.header("content-type")), (404, Some("text/html; charset=utf-8")));
    assert!(page.text().contains("<li>Code: NoSuchWebsiteConfiguration</li>"), "{}", page.text());
    let page = visit(&world, "GET", "nobody-has-it", "/").await;
    assert!(page.status == 404 && page.text().contains("<li>Code: NoSuchBucket</li>"), "{}", page.text());

    configure(&mut connection, "<IndexDocument><Suffix>index.html</Suffix></IndexDocument>").await;
    connection.signed("PUT", "/bucket/index.html").body("secret").send().await;
    let page = visit(&world, "GET", "bucket", "/").await;
    assert_eq!(page.status, 403);
    assert!(page.text().contains("<li>Code: AccessDenied</li>") && !page.text().contains("secret"), "{}", page.text());
    let head = visit(&world, "HEAD", "bucket", "/").await;
    assert_eq!((head.status, head.body.len()), (403, 0));
    for method in ["PUT", "POST", "DELETE"] {
        assert_eq!(visit(&world, method, "bucket", "/index.html").await.status, 405, "{method}");
    }
    let page = visit(&world, "GET", "bucket", "/%3Cscript%3E").await;
    assert!(page.text().contains("<li>Key: &lt;script&gt;</li>"), "{}", page.text());
    world.stop().await;
}
