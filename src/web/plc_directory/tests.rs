//! The directory through its own client and listener, and route by route.

use std::{sync::Arc, time::Duration};

use futures_util::StreamExt;
use http::HeaderMap;
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_tungstenite::tungstenite::{Message, protocol::Role};

use super::*;
use crate::{
    clock::{ManualClock, Timestamp},
    crypto::{Curve, SigningKey},
    entropy::SeededEntropy,
    limits::plc::{EXPORT_MAX_ENTRIES, OPERATIONS_PER_HOUR},
    outbound::{OutboundOptions, PlcClient, PostError},
    plc::{UnsignedOperation, verify_log},
    store::{Durability, StoreOptions},
    tasks::Tasks,
    xrpc::ReplyBody,
};

const START: Timestamp = Timestamp::from_secs(1_700_000_000);

struct World {
    site: Arc<PlcDirectory>,
    clock: Arc<ManualClock>,
    _dir: TempDir,
}

struct Answer {
    status: u16,
    content_type: String,
    text: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }

    fn message(&self) -> String {
        self.json()["message"].as_str().unwrap().to_owned()
    }

    fn lines(&self) -> Vec<Value> {
        self.text.split('\n').map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

impl World {
    fn new(limits: RateLimits) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let options = StoreOptions {
            dir: dir.path().join("data"),
            blobs: dir.path().join("blobs"),
            durability: Durability::Process,
        };
        let store = Store::open(&options, &Tasks::new()).unwrap();
        let clock = Arc::new(ManualClock::new(START));
        let site = Arc::new(PlcDirectory::new(store, clock.clone(), limits, "1.2.3"));
        Self { site, clock, _dir: dir }
    }

    async fn ask(&self, method: Method, target: &str, headers: &[(header::HeaderName, &str)], body: &str) -> WebReply {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let headers: HeaderMap =
            headers.iter().map(|(name, value)| (name.clone(), HeaderValue::from_str(value).unwrap())).collect();
        let request = WebRequest {
            method,
            path: path.to_owned(),
            query: query.to_owned(),
            host: "plc.test".to_owned(),
            headers,
            client_ip: [127, 0, 0, 1].into(),
            body: Bytes::from(body.to_owned()),
        };
        self.site.clone().handle(request).await
    }

    async fn get(&self, target: &str) -> Answer {
        plain(self.ask(Method::GET, target, &[], "").await)
    }

    async fn post(&self, did: &str, body: &str) -> Answer {
        let json = [(header::CONTENT_TYPE, "application/json")];
        plain(self.ask(Method::POST, &format!("/{did}"), &json, body).await)
    }

    async fn submit(&self, did: &Did, operation: &Operation) -> Answer {
        self.post(did.as_str(), &serde_json::to_string(operation).unwrap()).await
    }

    /// A new DID that `seed`'s key owns.
    async fn create(&self, seed: u64) -> (Did, Operation) {
        let (did, operation) = genesis(seed);
        let answer = self.submit(&did, &operation).await;
        assert_eq!((answer.status, answer.text.as_str()), (200, "OK"));
        (did, operation)
    }

    async fn stream(&self, query: &str) -> futures_util::stream::BoxStream<'static, crate::xrpc::StreamItem> {
        let upgrade = [(header::UPGRADE, "websocket")];
        match self.ask(Method::GET, &format!("/export/stream{query}"), &upgrade, "").await {
            WebReply::Socket(stream) => stream,
            WebReply::Reply(reply) => panic!("no socket: {}", reply.status),
        }
    }
}

fn plain(reply: WebReply) -> Answer {
    let WebReply::Reply(reply) = reply else { panic!("a socket") };
    let ReplyBody::Full(body) = reply.body else { panic!("a stream") };
    Answer {
        status: reply.status.as_u16(),
        content_type: reply.headers[header::CONTENT_TYPE].to_str().unwrap().to_owned(),
        text: String::from_utf8(body.to_vec()).unwrap(),
    }
}

fn key(seed: u64) -> SigningKey {
    SigningKey::generate(Curve::K256, &SeededEntropy::new(seed))
}

/// Two rotation keys: `seed + 1000`'s is the stronger.
fn genesis(seed: u64) -> (Did, Operation) {
    let keys = vec![key(seed + 1000).did_key().to_string(), key(seed).did_key().to_string()];
    let handle = format!("user{seed}.test").parse().unwrap();
    let operation =
        UnsignedOperation::genesis(&key(seed).did_key(), &handle, "https://pds.test", keys).sign(&key(seed));
    (operation.did_for_genesis(), operation)
}

/// The next operation after `last`: another handle.
fn renamed(last: &Operation, name: &str, by: u64) -> Operation {
    let mut next = last.normalized().unwrap();
    next.set_handle(&format!("{name}.test").parse().unwrap());
    next.prev = Some(last.cid());
    next.sign(&key(by))
}

#[tokio::test]
async fn a_did_that_was_made_is_served_in_every_view() {
    let world = World::new(RateLimits::Enforced);
    let (did, operation) = world.create(1).await;
    let json = serde_json::to_value(&operation).unwrap();

    let document = world.get(&format!("/{did}")).await;
    assert_eq!((document.status, document.content_type.as_str()), (200, "application/did+ld+json; charset=utf-8"));
    assert_eq!(document.json()["id"], did.as_str());
    assert_eq!(document.json()["alsoKnownAs"][0], "at://user1.test");
    assert_eq!(document.json()["service"][0]["serviceEndpoint"], "https://pds.test");
    assert_eq!(document.json()["verificationMethod"][0]["id"], format!("{did}#atproto"));

    let data = world.get(&format!("/{did}/data")).await;
    assert_eq!(data.content_type, "application/json; charset=utf-8");
    assert_eq!(data.json()["did"], did.as_str());
    assert_eq!(data.json()["rotationKeys"], json["rotationKeys"]);
    assert_eq!(data.json()["services"]["atproto_pds"]["type"], "AtprotoPersonalDataServer");

    assert_eq!(world.get(&format!("/{did}/log")).await.json(), serde_json::json!([json]));
    assert_eq!(world.get(&format!("/{did}/log/last")).await.json(), json);
    let audit = world.get(&format!("/{did}/log/audit")).await.json();
    assert_eq!(
        audit,
        serde_json::json!([{ "did": did, "operation": json, "cid": operation.cid(), "nullified": false,
        "createdAt": "2023-11-14T22:13:20.000Z" }])
    );
}

#[tokio::test]
async fn a_percent_encoded_did_is_the_same_did() {
    let world = World::new(RateLimits::Enforced);
    let (did, operation) = genesis(1);
    let encoded = did.as_str().replace(':', "%3A");
    assert_eq!(world.post(&encoded, &serde_json::to_string(&operation).unwrap()).await.status, 200);
    assert_eq!(world.get(&format!("/{}/log/last", encoded.to_lowercase())).await.status, 200);
    assert_eq!(world.get("/did%3").await.status, 404);
    assert_eq!(world.get("/did%zz").await.status, 404);
    assert_eq!(world.get("/%ff").await.status, 404);
}

#[tokio::test]
async fn what_is_not_registered_is_404_in_the_directorys_words() {
    let world = World::new(RateLimits::Enforced);
    for did in ["did:plc:ewvi7nxzyoun6zhxrhs64oiz", "did:web:a.example", "nonsense"] {
        for view in ["", "/data", "/log", "/log/audit", "/log/last"] {
            let answer = world.get(&format!("/{did}{view}")).await;
            assert_eq!((answer.status, answer.message()), (404, format!("DID not registered: {did}")), "{did}{view}");
        }
    }
}

#[tokio::test]
async fn after_a_tombstone_the_did_is_gone_but_its_log_is_not() {
    let world = World::new(RateLimits::Enforced);
    let (did, operation) = world.create(1).await;
    let tombstone = Operation::tombstone(operation.cid(), &key(1));
    assert_eq!(world.submit(&did, &tombstone).await.status, 200);
    for view in ["", "/data"] {
        let answer = world.get(&format!("/{did}{view}")).await;
        assert_eq!((answer.status, answer.message()), (410, format!("DID not available: {did}")));
    }
    assert_eq!(world.get(&format!("/{did}/log/last")).await.json()["type"], "plc_tombstone");
    assert_eq!(world.get(&format!("/{did}/log")).await.json().as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_recovery_nullifies_and_shows_in_the_audit_log_alone() {
    let world = World::new(RateLimits::Enforced);
    let (did, first) = world.create(1).await;
    let stolen = renamed(&first, "thief", 1);
    assert_eq!(world.submit(&did, &stolen).await.status, 200);
    world.clock.advance(Duration::from_hours(1));
    let recovery = renamed(&first, "owner", 1001);
    assert_eq!(world.submit(&did, &recovery).await.status, 200);
    assert_eq!(world.get(&format!("/{did}")).await.json()["alsoKnownAs"][0], "at://owner.test");
    assert_eq!(world.get(&format!("/{did}/log")).await.json().as_array().unwrap().len(), 2);
    let audit: Vec<Entry> = serde_json::from_str(&world.get(&format!("/{did}/log/audit")).await.text).unwrap();
    assert_eq!(audit.iter().map(|entry| entry.nullified).collect::<Vec<_>>(), [false, true, false]);
    assert_eq!(verify_log(&did, &audit).unwrap().head, recovery.cid());
}

#[tokio::test]
async fn operations_that_break_a_rule_are_refused_and_change_nothing() {
    let world = World::new(RateLimits::Enforced);
    let (did, first) = world.create(1).await;
    let (other, foreign) = genesis(2);
    let stranger = renamed(&first, "mallory", 5);
    let text = |operation: &Operation| serde_json::to_string(operation).unwrap();
    for (to, body, words) in [
        (did.as_str(), text(&stranger), "ignature"),
        (did.as_str(), text(&foreign), "ordered"),
        (other.as_str(), text(&first), "Hash of genesis operation does not match"),
        (did.as_str(), "{}".to_owned(), "Not a valid operation"),
        (did.as_str(), "[".to_owned(), "Not a valid operation"),
        (
            did.as_str(),
            format!("{{\"type\":\"plc_operation\",\"x\":{}1{}}}", "[".repeat(9000), "]".repeat(9000)),
            "Not a valid",
        ),
        ("nonsense", text(&first), "Improperly formatted did"),
    ] {
        let answer = world.post(to, &body).await;
        assert_eq!(answer.status, 400, "{}", answer.text);
        assert!(answer.message().contains(words), "{}", answer.message());
    }
    let untyped = plain(
        world.ask(Method::POST, &format!("/{other}"), &[(header::CONTENT_TYPE, "text/plain")], &text(&foreign)).await,
    );
    assert_eq!(untyped.status, 400);
    assert_eq!(world.get(&format!("/{other}")).await.status, 404);
    assert_eq!(world.get(&format!("/{did}/log/audit")).await.json().as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_did_may_have_ten_operations_an_hour_unless_that_is_switched_off() {
    for limits in [RateLimits::Enforced, RateLimits::Off] {
        let world = World::new(limits);
        let (did, mut last) = world.create(1).await;
        for n in 1..OPERATIONS_PER_HOUR {
            last = renamed(&last, &format!("name{n}"), 1);
            assert_eq!(world.submit(&did, &last).await.status, 200);
        }
        let next = renamed(&last, "toomuch", 1);
        let answer = world.submit(&did, &next).await;
        if limits == RateLimits::Off {
            assert_eq!(answer.status, 200);
            continue;
        }
        assert_eq!(
            (answer.status, answer.message()),
            (400, "Too many operations within last hour (max 10)".to_owned())
        );
        let recovery = renamed(&genesis(1).1, "owner", 1001);
        assert_eq!(world.submit(&did, &recovery).await.status, 200, "a recovery is never too much");
        world.clock.advance(Duration::from_secs(3601));
        assert_eq!(world.submit(&did, &renamed(&recovery, "later", 1)).await.status, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_operations_that_race_for_the_same_place_one_wins_and_the_log_stays_good() {
    let world = World::new(RateLimits::Off);
    let (did, first) = world.create(1).await;
    let rivals: Vec<_> = (0..8).map(|n| renamed(&first, &format!("rival{n}"), 1)).collect();
    let answers = futures_util::future::join_all(rivals.iter().map(|rival| world.submit(&did, rival))).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
    assert!(answers.iter().all(|answer| matches!(answer.status, 200 | 400)));
    let audit: Vec<Entry> = serde_json::from_str(&world.get(&format!("/{did}/log/audit")).await.text).unwrap();
    assert_eq!(audit.len(), 2);
    assert!(verify_log(&did, &audit).is_ok());
}

#[tokio::test]
async fn times_grow_by_a_millisecond_at_least_even_if_the_clock_stands_or_goes_back() {
    let world = World::new(RateLimits::Enforced);
    world.create(1).await;
    world.create(2).await;
    world.clock.set(Timestamp::from_secs(1_600_000_000));
    world.create(3).await;
    let times: Vec<_> =
        world.get("/export").await.lines().iter().map(|line| line["createdAt"].as_str().unwrap().to_owned()).collect();
    assert_eq!(times, ["2023-11-14T22:13:20.000Z", "2023-11-14T22:13:20.001Z", "2023-11-14T22:13:20.002Z"]);
}

#[tokio::test]
async fn the_export_has_two_formats_and_after_decides() {
    let world = World::new(RateLimits::Enforced);
    let mut made = Vec::new();
    for seed in 1..=3 {
        made.push(world.create(seed).await);
    }
    let old = world.get("/export").await;
    assert_eq!(old.content_type, "application/jsonlines");
    let (did, operation) = &made[0];
    assert_eq!(
        old.lines()[0],
        serde_json::json!({ "did": did, "operation": operation, "cid": operation.cid(),
        "nullified": false, "createdAt": "2023-11-14T22:13:20.000Z" })
    );
    let new = world.get("/export?after=0").await;
    assert_eq!(
        new.lines()[2],
        serde_json::json!({ "type": "sequenced_op", "seq": 3, "did": made[2].0,
        "operation": made[2].1, "cid": made[2].1.cid(), "createdAt": "2023-11-14T22:13:20.002Z" })
    );

    let seqs = |answer: Answer| answer.lines().iter().map(|line| line["seq"].as_i64().unwrap()).collect::<Vec<_>>();
    assert_eq!(seqs(world.get("/export?after=1").await), [2, 3]);
    assert_eq!(seqs(world.get("/export?after=0&count=2").await), [1, 2]);
    assert_eq!(world.get("/export?after=3").await.text, "");
    assert_eq!(world.get("/export?after=99999999999999999999999").await.text, "");
    let rest = world.get("/export?after=2023-11-14T22:13:20.001Z").await.lines();
    assert_eq!((rest.len(), &rest[0]["did"]), (1, &serde_json::json!(made[2].0)));
    assert_eq!(world.get("/export?after=2023-11-14&count=5000").await.lines().len(), 3);
    assert_eq!(world.get("/export?after=").await.lines().len(), 3);
    assert_eq!(world.get("/export?count=1&count=2").await.lines().len(), 3);
}

#[tokio::test]
async fn bad_export_parameters_are_refused() {
    let world = World::new(RateLimits::Enforced);
    for count in ["0", "-1", "x", "-", "-99999999999999999999"] {
        let answer = world.get(&format!("/export?count={count}")).await;
        assert_eq!((answer.status, answer.message().as_str()), (400, "Invalid count parameter"), "{count}");
    }
    for after in ["x", "-1", "2023-13-14", "1.5"] {
        let answer = world.get(&format!("/export?after={after}")).await;
        assert_eq!((answer.status, answer.message().as_str()), (400, "Invalid after parameter"), "{after}");
    }
    assert_eq!(EXPORT_MAX_ENTRIES, 1000);
}

#[tokio::test]
async fn an_export_stream_catches_up_and_then_follows() {
    let world = World::new(RateLimits::Enforced);
    for seed in 1..=3 {
        world.create(seed).await;
    }
    let seq = |item: Option<crate::xrpc::StreamItem>| match item {
        Some(crate::xrpc::StreamItem::Text(text)) => {
            let json: Value = serde_json::from_str(&text).unwrap();
            assert_eq!(json["type"], "sequenced_op");
            json["seq"].as_i64().unwrap()
        }
        other => panic!("{other:?}"),
    };
    let mut from_one = world.stream("?cursor=1").await;
    let mut from_now = world.stream("").await;
    let mut at_end = world.stream("?cursor=3").await;
    assert_eq!((seq(from_one.next().await), seq(from_one.next().await)), (2, 3));
    let (_, next, also) = tokio::join!(world.create(4), from_now.next(), at_end.next());
    assert_eq!((seq(next), seq(also), seq(from_one.next().await)), (4, 4, 4));
}

#[tokio::test]
async fn an_export_stream_needs_an_upgrade_and_a_cursor_that_is_not_in_the_future() {
    let world = World::new(RateLimits::Enforced);
    let plain_request = world.get("/export/stream").await;
    assert_eq!((plain_request.status, plain_request.message().as_str()), (426, "upgrade required"));
    for cursor in ["x", "-1"] {
        let upgrade = [(header::UPGRADE, "websocket")];
        let answer = plain(world.ask(Method::GET, &format!("/export/stream?cursor={cursor}"), &upgrade, "").await);
        assert_eq!((answer.status, answer.message().as_str()), (400, "Invalid cursor parameter"));
    }
    let mut future = world.stream("?cursor=1").await;
    assert_eq!(future.next().await, Some(crate::xrpc::StreamItem::CloseFor(1000, "FutureCursor")));
    assert_eq!(future.next().await, None);
}

#[tokio::test]
async fn health_root_and_what_is_not_there() {
    let world = World::new(RateLimits::Enforced);
    assert_eq!(world.get("/_health").await.json(), serde_json::json!({ "version": "1.2.3" }));
    let root = world.get("/").await;
    assert!(root.status == 200 && root.content_type.starts_with("text/plain") && root.text.contains("PLC directory"));
    for path in ["/a/b/c/d", "/did:plc:x/nothing", "/_health/x", "//"] {
        assert_eq!(world.get(path).await.status, 404, "{path}");
    }
    for (method, path) in [
        (Method::PUT, "/did:plc:x"),
        (Method::DELETE, "/"),
        (Method::POST, "/export"),
        (Method::POST, "/did:plc:x/log"),
    ] {
        let answer = plain(world.ask(method.clone(), path, &[], "").await);
        assert_eq!((answer.status, answer.message().as_str()), (405, "Method Not Allowed"), "{method} {path}");
    }
}

/// The whole way: the server's own client, over a real listener.
#[tokio::test]
async fn the_servers_own_client_and_a_websocket_work_against_it() {
    let world = World::new(RateLimits::Enforced);
    let (tasks, listener) = (Tasks::new(), TcpListener::bind("127.0.0.1:0").await.unwrap());
    let address = listener.local_addr().unwrap();
    crate::http::serve(listener, crate::http::App::site(world.site.clone()), &tasks);
    let url = url::Url::parse(&format!("http://{address}")).unwrap();
    let client = PlcClient::new(&url, &OutboundOptions::default()).unwrap();

    client.health().await.unwrap();
    let (did, operation) = genesis(1);
    client.post(&did, &serde_json::to_string(&operation).unwrap()).await.unwrap();
    assert_eq!(client.last_operation(&did).await, Ok(operation.clone()));
    assert_eq!(verify_log(&did, &client.audit_log(&did).await.unwrap()).unwrap().head, operation.cid());
    let stranger = serde_json::to_string(&renamed(&operation, "mallory", 5)).unwrap();
    assert!(matches!(client.post(&did, &stranger).await, Err(PostError::Refused { status: 400, .. })));

    for (cursor, expected) in [(0, "\"seq\":1"), (9, "FutureCursor")] {
        let mut io = tokio::net::TcpStream::connect(address).await.unwrap();
        let request = format!(
            "GET /export/stream?cursor={cursor} HTTP/1.1\r\nhost: {address}\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
             sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        tokio::io::AsyncWriteExt::write_all(&mut io, request.as_bytes()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(tokio::io::AsyncReadExt::read_u8(&mut io).await.unwrap());
        }
        assert!(head.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&head));
        let mut socket = tokio_tungstenite::WebSocketStream::from_raw_socket(io, Role::Client, None).await;
        let message = socket.next().await.unwrap().unwrap();
        let got = if let Message::Close(Some(frame)) = message {
            frame.reason.to_string()
        } else {
            message.into_text().unwrap().to_string()
        };
        assert!(got.contains(expected), "{got}");
    }
    tasks.stop();
    tasks.finished().await;
}
