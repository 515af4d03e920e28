//! Tests of the pages.

use super::*;
use crate::service::{
    accounts::{SignUp, SignUpError, create_account},
    deletion::delete_by_admin,
    identity::update_handle,
    testing::World,
};
use std::net::Ipv4Addr;

fn body(reply: &Reply) -> String {
    match &reply.body {
        ReplyBody::Full(bytes) => String::from_utf8(bytes.to_vec()).unwrap(),
        ReplyBody::Stream(_) => panic!("no page is a stream"),
    }
}

#[test]
fn the_root_names_the_program_and_the_methods() {
    let reply = asset("banner.txt");
    assert_eq!((reply.status, &reply.headers[header::CONTENT_TYPE]), (StatusCode::OK, &HeaderValue::from_static(TEXT)));
    assert!(body(&reply).contains("Housekey") && body(&reply).contains("/xrpc/"));
    assert!(body(&asset("robots.txt")).contains("User-agent: *"));
}

#[test]
fn health_is_the_version_and_nothing_else() {
    let good = health("0.1.0", Ok(()));
    assert_eq!((good.status.as_u16(), body(&good).as_str()), (200, r#"{"version":"0.1.0"}"#));
    let bad = health("0.1.0", Err(StoreError::Database("disk I/O error".to_owned())));
    assert_eq!(bad.status.as_u16(), 503);
    assert!(body(&bad).contains("Service Unavailable") && !body(&bad).contains("disk"));
}

#[test]
fn only_known_paths_are_pages() {
    assert_eq!(Page::at("/.well-known/did.json"), Some(Page::DidDocument));
    for path in ["/favicon.ico", "/xrpc/", "/.well-known/", "/.well-known/atproto-did/", "//", "", "/../etc/passwd"] {
        assert_eq!(Page::at(path), None, "{path}");
    }
}

#[test]
fn a_lexicon_is_served_by_its_nsid_and_nothing_else_is() {
    let reply = lexicon("dev.housekey.delegation.getDelegation");
    assert!(body(&reply).contains("\"dev.housekey.delegation.getDelegation\""));
    assert_eq!(reply.headers[header::ACCESS_CONTROL_ALLOW_ORIGIN], "*");
    for other in ["dev.housekey.delegation.nonesuch", "..", "../mail/plc_operation", "dev/housekey", ""] {
        assert_eq!(lexicon(other).status, StatusCode::NOT_FOUND, "{other}");
    }
    assert_eq!(Page::at("/lexicons/a.b.c.json"), Some(Page::Lexicon("a.b.c")));
}

async fn ask(world: &World, host: &str, path: &str) -> (u16, Value) {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let request = WebRequest {
        method: Method::GET,
        host: host.to_owned(),
        path: path.to_owned(),
        query: query.to_owned(),
        headers: http::HeaderMap::new(),
        client_ip: Ipv4Addr::LOCALHOST.into(),
        body: Bytes::new(),
    };
    match Arc::new(PdsSite::new(Arc::clone(&world.server))).handle(request).await {
        WebReply::Reply(reply) => (reply.status.as_u16(), serde_json::from_str(&body(&reply)).unwrap_or_default()),
        WebReply::Socket(_) => panic!("a page is no socket"),
    }
}

#[tokio::test]
async fn a_did_web_is_served_at_its_name_whatever_handle_its_account_has() {
    let world = World::new().await;
    let sign_up = SignUp { did: "did:web:carol.test".parse().ok(), ..World::sign_up("carol") };
    let account = create_account(&world.server, sign_up).await.unwrap().account;
    world.account("alice").await;
    let path = "/.well-known/did.json";
    let (status, document) = ask(&world, "Carol.test", path).await;
    assert_eq!((status, &document["id"]), (200, &json!("did:web:carol.test")));
    assert_eq!(document["alsoKnownAs"], json!(["at://carol.test"]));
    assert_eq!(ask(&world, "alice.test", path).await.0, 404, "she has a did:plc");
    assert_eq!(ask(&world, "pds.example.com", path).await.1["id"], "did:web:pds.example.com");
    update_handle(&world.server, &account, "caroline.test").await.unwrap();
    assert_eq!(ask(&world, "carol.test", path).await.1["alsoKnownAs"], json!(["at://caroline.test"]));
    assert_eq!(ask(&world, "caroline.test", path).await.0, 404);
    // A certificate may be had for both names.
    for name in ["carol.test", "caroline.test"] {
        assert_eq!(ask(&world, name, &format!("/tls-check?domain={name}")).await.0, 200, "{name}");
    }
    delete_by_admin(&world.server, &account.did).await.unwrap();
    assert_eq!(ask(&world, "carol.test", path).await.0, 404);
    let again = SignUp { did: "did:web:carol.test".parse().ok(), ..World::sign_up("carol") };
    let refused = create_account(&world.server, again).await.unwrap_err();
    assert_eq!(refused, SignUpError::DidTaken(account.did), "the name never comes to mean somebody else");
}

#[test]
fn only_names_below_a_handle_domain_are_ours() {
    let domains = ["pds.example.com".to_owned()];
    assert!(is_service_domain(&domains, "alice.pds.example.com"));
    for other in ["pds.example.com", "evilpds.example.com", "alice.example.com", ".pds.example.com"] {
        assert!(!is_service_domain(&domains, other), "{other}");
    }
}
