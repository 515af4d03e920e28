//! What callers are told about their budgets, and when they are refused.

use std::sync::Arc;

use http::{HeaderMap, Method, header};
use serde_json::{Value as Json, json};

use crate::{
    limits::throttle as limits,
    methods::methods,
    service::testing::{As, PASSWORD, World},
    throttle::{Settings, Throttle},
    xrpc::{Api, Call, Dispatch, Reply, ReplyBody, RequestBody, RequestHead},
};

async fn call(world: &World, address: &str, target: &str, headers: &[(&'static str, &str)], body: Json) -> Reply {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.insert(*name, value.parse().unwrap());
    }
    map.insert(header::CONTENT_TYPE, "application/json".parse().unwrap());
    let nsid = target.split('?').next().unwrap().to_owned();
    let head = RequestHead { nsid, headers: map, client_ip: address.parse().unwrap() };
    let method = if body.is_null() { Method::GET } else { Method::POST };
    let call = Call { method, uri: format!("/xrpc/{target}").parse().unwrap(), head, request_id: 1.into() };
    let body =
        if body.is_null() { RequestBody::empty() } else { RequestBody::full("application/json", body.to_string()) };
    Api { server: Arc::clone(&world.server), methods: methods() }.call(call, body).await
}

async fn get(world: &World, address: &str, target: &str) -> Reply {
    call(world, address, target, &[], Json::Null).await
}

/// Status, limit, remaining, policy.
fn standing(reply: &Reply) -> (u16, &str, &str, &str) {
    let text = |name| reply.headers.get(name).map_or("", |value| value.to_str().unwrap());
    (reply.status.as_u16(), text("ratelimit-limit"), text("ratelimit-remaining"), text("ratelimit-policy"))
}

fn error(reply: Reply) -> Json {
    match reply.body {
        ReplyBody::Full(bytes) => serde_json::from_slice(&bytes).unwrap(),
        ReplyBody::Stream(_) => panic!("an error is never a stream"),
    }
}

const DESCRIBE: &str = "com.atproto.server.describeServer";

#[tokio::test]
async fn every_answer_says_what_is_left_also_a_refusal_and_an_unknown_method() {
    let world = World::with_limits().await;
    assert_eq!(standing(&get(&world, "203.0.113.9", DESCRIBE).await), (200, "3000", "2999", "3000;w=300"));
    assert_eq!(
        standing(&get(&world, "203.0.113.9", "com.atproto.server.unknown").await),
        (501, "3000", "2998", "3000;w=300")
    );
    let missing = get(&world, "203.0.113.9", "com.atproto.server.getSession").await;
    assert_eq!(standing(&missing), (401, "3000", "2997", "3000;w=300"));
    assert_eq!(standing(&get(&world, "203.0.113.10", DESCRIBE).await).2, "2999");
    let reset: i64 = missing.headers["ratelimit-reset"].to_str().unwrap().parse().unwrap();
    assert_eq!(reset, world.server.now().as_secs() + 300);
}

#[tokio::test]
async fn one_call_too_many_is_429_with_the_seconds_to_wait() {
    let world = World::with_limits().await;
    for _ in 0..limits::ADDRESS.0 {
        assert_eq!(get(&world, "203.0.113.9", DESCRIBE).await.status, 200);
    }
    let refused = get(&world, "203.0.113.9", DESCRIBE).await;
    assert_eq!(standing(&refused), (429, "3000", "0", "3000;w=300"));
    assert_eq!(refused.headers[header::RETRY_AFTER], "300");
    assert_eq!(error(refused)["error"], "RateLimitExceeded");
    let exported = get(&world, "203.0.113.9", "com.atproto.sync.getRepo?did=did:web:a.example").await;
    assert_eq!(standing(&exported), (400, "6000", "5999", "6000;w=300"), "exports have a budget of their own");
    assert_eq!(get(&world, "203.0.113.10", DESCRIBE).await.status, 200);
}

#[tokio::test]
async fn codes_cannot_be_guessed_nor_mailed_without_end() {
    let world = World::with_limits().await;
    let guess = json!({ "token": "AAAAA-BBBBB", "password": "a new password" });
    let email = json!({ "email": "nobody@example.com" });
    for (nsid, body, limit) in
        [("com.atproto.server.resetPassword", guess, 50), ("com.atproto.server.requestPasswordReset", email, 15)]
    {
        for _ in 0..limit {
            assert_ne!(call(&world, "203.0.113.9", nsid, &[], body.clone()).await.status, 429, "{nsid}");
        }
        assert_eq!(call(&world, "203.0.113.9", nsid, &[], body.clone()).await.status, 429, "{nsid}");
        assert_ne!(call(&world, "203.0.113.10", nsid, &[], body).await.status, 429, "{nsid}");
    }
}

#[tokio::test]
async fn an_account_asks_for_five_codes_an_hour() {
    let world = World::with_limits().await;
    let alice = world.signed_up("alice").await;
    let ask = async || {
        let nsid = "com.atproto.server.requestAccountDelete";
        world.post(nsid, As::Bearer(&alice.tokens.access_jwt), &Json::Null).await.status
    };
    for n in 0..5 {
        assert_eq!(ask().await, 200, "{n}");
    }
    assert_eq!(ask().await, 429);
}

#[tokio::test]
async fn without_limits_everything_is_always_left() {
    let world = World::new().await;
    for _ in 0..3 {
        assert_eq!(standing(&get(&world, "203.0.113.9", DESCRIBE).await), (200, "3000", "3000", "3000;w=300"));
    }
}

#[tokio::test]
async fn writes_are_charged_to_the_account_by_what_they_do() {
    let mut world = World::with_limits().await;
    let alice = world.signed_up("alice").await;
    let clock = Arc::clone(&world.server.clock);
    let settings = Settings { write_hour: Some(20), ..Settings::default() };
    Arc::get_mut(&mut world.server).unwrap().throttle = Throttle::new(settings, clock);
    let token = format!("Bearer {}", alice.tokens.access_jwt);
    let write = async |nsid: &str, address: &str, body: Json| {
        let reply = call(&world, address, nsid, &[("authorization", &token)], body).await;
        (reply.status.as_u16(), standing(&reply).2.parse::<u32>().unwrap())
    };
    let (repo, collection) = (alice.account.did.as_str(), "com.example.note");
    let create = json!({ "repo": repo, "collection": collection, "rkey": "a", "record": {} });
    assert_eq!(write("com.atproto.repo.createRecord", "203.0.113.1", create).await, (200, 17));
    let put = json!({ "repo": repo, "collection": collection, "rkey": "a", "record": { "b": 1 } });
    assert_eq!(write("com.atproto.repo.putRecord", "203.0.113.2", put).await, (200, 15));
    let delete = json!({ "repo": repo, "collection": collection, "rkey": "a" });
    assert_eq!(write("com.atproto.repo.deleteRecord", "203.0.113.3", delete).await, (200, 14));
    let of = |kind: &str| {
        json!({ "$type": format!("com.atproto.repo.applyWrites#{kind}"), "collection": collection,
        "rkey": kind, "value": {} })
    };
    let five =
        json!({ "repo": repo, "writes": [of("create"), of("create"), of("create"), of("create"), of("create")] });
    assert_eq!(write("com.atproto.repo.applyWrites", "203.0.113.4", five).await, (429, 14), "15 points");
    let two = json!({ "repo": repo, "writes": [of("create"), of("delete")] });
    let (status, left) = write("com.atproto.repo.applyWrites", "203.0.113.4", two).await;
    assert_eq!((status, left), (400, 10), "what is refused for another reason is charged all the same");
}

#[tokio::test]
async fn sign_ins_are_counted_by_name_and_address_whatever_the_case() {
    let world = World::with_limits().await;
    world.account("alice").await;
    let sign_in = async |address: &str, name: &str| {
        let body = json!({ "identifier": name, "password": PASSWORD });
        call(&world, address, "com.atproto.server.createSession", &[], body).await.status.as_u16()
    };
    for n in 0..limits::CREATE_SESSION.0 {
        let name = if n % 2 == 0 { "alice.test" } else { " Alice.Test" };
        assert_ne!(sign_in("203.0.113.9", name).await, 429);
    }
    assert_eq!(sign_in("203.0.113.9", "alice.test").await, 429);
    assert_eq!(sign_in("203.0.113.10", "alice.test").await, 200);
}

#[tokio::test]
async fn who_is_exempt_is_not_counted_but_its_wrong_passwords_are() {
    let mut world = World::with_limits().await;
    world.account("alice").await;
    let clock = Arc::clone(&world.server.clock);
    let settings = Settings { bypass_key: Some(crate::crypto::Secret::new("open sesame")), ..Settings::default() };
    Arc::get_mut(&mut world.server).unwrap().throttle = Throttle::new(settings, clock);
    let key = [("x-ratelimit-bypass", "open sesame")];
    for _ in 0..3 {
        assert_eq!(standing(&call(&world, "203.0.113.9", DESCRIBE, &key, Json::Null).await).2, "3000");
    }
    let wrong_key = [("x-ratelimit-bypass", "open sesam")];
    assert_eq!(standing(&call(&world, "203.0.113.9", DESCRIBE, &wrong_key, Json::Null).await).2, "2999");
    let guess = json!({ "identifier": "alice.test", "password": "a guess" });
    let mut statuses = Vec::new();
    for _ in 0..=limits::WRONG_PASSWORDS_PAIR.0 {
        let reply = call(&world, "203.0.113.9", "com.atproto.server.createSession", &key, guess.clone()).await;
        statuses.push(reply.status.as_u16());
    }
    assert_eq!((statuses.first(), statuses.last()), (Some(&401), Some(&429)));
}

#[tokio::test]
async fn the_administrators_password_cannot_be_guessed_at_full_speed() {
    let world = World::with_limits().await;
    let ask = async |address: &str, password: &str| {
        let basic = format!("Basic {}", data_encoding::BASE64.encode(format!("admin:{password}").as_bytes()));
        call(&world, address, "com.atproto.admin.searchAccounts", &[("authorization", &basic)], Json::Null)
            .await
            .status
            .as_u16()
    };
    for _ in 0..limits::WRONG_PASSWORDS_ADDRESS.0 {
        assert_eq!(ask("203.0.113.9", "a guess").await, 401);
    }
    assert_eq!(ask("203.0.113.9", "admin-pass").await, 429);
    assert_eq!(ask("127.0.0.1", "admin-pass").await, 200);
}
