use serde_json::json;

use super::*;
use crate::{
    limits::relays::{ANNOUNCE_EVERY, FIRST_PAUSE},
    service::testing::{As, TestRelay, World, policy},
};

const CRAWL: &str = r#"POST /xrpc/com.atproto.sync.requestCrawl {"hostname":"pds.example.com:1"}"#;

/// Nobody listens there, so that nothing but loopback is asked.
const PUBLIC_URL: &str = "http://127.0.0.1:1";

async fn world_and_relay() -> (World, TestRelay) {
    let relay = TestRelay::start().await;
    let crawlers = vec![relay.url()];
    let world = World::with(Policy { crawlers, public_url: PUBLIC_URL.parse().unwrap(), ..policy() }).await;
    (world, relay)
}

/// One look at the only relay.
async fn look(world: &World) -> Next {
    let relay = &world.server.relays.relays[0];
    let seq = *world.server.store.latest_seq().borrow();
    announce_if_due(&world.server, relay, seq).await
}

#[tokio::test]
async fn the_first_write_is_announced_and_the_last_one_is_never_forgotten() {
    let (world, relay) = world_and_relay().await;
    assert_eq!(look(&world).await, Next::AtNextEvent);
    world.account("alice").await;
    assert_eq!(look(&world).await, Next::Now);
    assert_eq!(relay.request().await.as_deref(), Some(CRAWL));
    assert_eq!(look(&world).await, Next::AtNextEvent);

    let told = world.server.now();
    world.account("bob").await;
    assert_eq!(look(&world).await, Next::At(told.plus(ANNOUNCE_EVERY)));
    world.clock.advance(ANNOUNCE_EVERY);
    assert_eq!(look(&world).await, Next::Now);
    assert_eq!(relay.request().await.as_deref(), Some(CRAWL));
    assert_eq!(look(&world).await, Next::AtNextEvent);
    assert_eq!(relay.request().await, None);
}

#[tokio::test]
async fn the_running_server_announces_by_itself() {
    let (world, relay) = world_and_relay().await;
    start_announcing(&world.server);
    world.account("alice").await;
    assert_eq!(relay.next_request().await, CRAWL);
}

#[tokio::test]
async fn a_restart_remembers_what_was_announced() {
    let (world, relay) = world_and_relay().await;
    world.account("alice").await;
    look(&world).await;
    assert!(relay.request().await.is_some());
    let told = world.server.now();
    let world = world.restart().await;
    remember(&world.server, &world.server.relays.relays[0]).await.unwrap();
    assert_eq!(look(&world).await, Next::At(told.plus(ANNOUNCE_EVERY)), "restarts do not add announcements");
    world.clock.advance(ANNOUNCE_EVERY);
    assert_eq!(look(&world).await, Next::Now, "a relay may have lost the server while it was down");
    assert!(relay.request().await.is_some());
}

#[tokio::test]
async fn a_refusal_is_tried_again_after_a_pause() {
    let (world, relay) = world_and_relay().await;
    world.account("alice").await;
    relay.answers(503, json!({}));
    assert_eq!(look(&world).await, Next::Now);
    assert!(relay.request().await.is_some());
    assert_eq!(look(&world).await, Next::At(world.server.now().plus(FIRST_PAUSE)));
    world.clock.advance(FIRST_PAUSE);
    relay.answers(200, json!({}));
    assert_eq!(look(&world).await, Next::Now);
    assert_eq!(look(&world).await, Next::AtNextEvent);
}

#[tokio::test]
async fn the_administrator_sees_how_a_relay_stands_and_asks_it_to_crawl() {
    let (world, relay) = world_and_relay().await;
    world.account("alice").await;
    relay.answers(400, json!({ "error": "HostNotFound", "message": "host not found" }));
    let status = world.get("dev.housekey.admin.getRelayStatus", As::Admin).await.ok();
    let latest = status["latestSeq"].as_i64().unwrap();
    assert_eq!(status["relays"][0]["standing"], "unknownHost");
    assert!(status["relays"][0]["message"].as_str().unwrap().contains("request a crawl"));
    assert_eq!(
        relay.request().await.as_deref(),
        Some("GET /xrpc/com.atproto.sync.getHostStatus?hostname=pds.example.com%3A1")
    );

    assert_eq!(status["address"]["reachable"], false);
    assert!(status["address"]["problem"].as_str().unwrap().contains("could not be reached"), "{status}");

    relay.answers(200, json!({}));
    let asked = world.post("dev.housekey.admin.requestCrawl", As::Admin, &json!({})).await.ok();
    assert_eq!(asked, json!({ "relays": [{ "url": relay.url().as_str(), "accepted": true }] }));
    assert_eq!(relay.request().await.as_deref(), Some(CRAWL));

    relay.answers(200, json!({ "hostname": "x", "seq": latest + 40, "status": "active" }));
    let status = world.get("dev.housekey.admin.getRelayStatus", As::Admin).await.ok();
    assert_eq!((&status["relays"][0]["standing"], &status["relays"][0]["seq"]), (&json!("ahead"), &json!(latest + 40)));
    assert_eq!(status["relays"][0]["announcedSeq"], latest);
    for who in [As::Nobody, As::Bearer("x")] {
        assert_ne!(world.get("dev.housekey.admin.getRelayStatus", who).await.status, 200);
        assert_ne!(world.post("dev.housekey.admin.requestCrawl", who, &json!({})).await.status, 200);
    }
}

#[tokio::test]
async fn a_relay_that_refuses_is_reported_with_its_words() {
    let (world, relay) = world_and_relay().await;
    relay.answers(400, json!({ "error": "HostBanned", "message": "spam" }));
    let asked = world.post("dev.housekey.admin.requestCrawl", As::Admin, &json!({})).await.ok();
    assert_eq!(asked["relays"][0]["accepted"], false);
    assert!(asked["relays"][0]["problem"].as_str().unwrap().contains("spam"), "{asked}");
}

#[test]
fn a_port_that_is_not_the_usual_one_is_part_of_the_name() {
    assert_eq!(announced_host(&policy()), "pds.example.com");
    let url = "http://localhost:2583".parse().unwrap();
    let local = Policy { hostname: "localhost".to_owned(), public_url: url, ..policy() };
    assert_eq!(announced_host(&local), "localhost:2583");
}
