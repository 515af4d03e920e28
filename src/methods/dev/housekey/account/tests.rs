//! The security log as its owner reads it.

use std::time::Duration;

use serde_json::{Value as Json, json};

use crate::{
    limits::{
        accounts::{SECURITY_EVENTS_KEPT, SECURITY_FAILURES_KEPT},
        throttle::WRONG_PASSWORDS_PAIR,
    },
    service::{
        Origin,
        credentials::request_reset,
        mails::deliver_due,
        security_log,
        sessions::{self, log_in},
        testing::{As, PASSWORD, World},
    },
    store::SecurityKind,
};

const LIST: &str = "dev.housekey.account.listSecurityEvents";

fn kinds(page: &Json) -> Vec<String> {
    let events = page["events"].as_array().unwrap();
    events.iter().map(|event| event["kind"].as_str().unwrap().to_owned()).collect()
}

fn from(address: &str) -> Origin {
    Origin::new(address.parse().unwrap(), Some("an app/1.0"))
}

#[tokio::test]
async fn the_owner_reads_who_signed_in_and_who_was_refused() {
    let world = World::new().await;
    let alice = world.signed_up("alice").await;
    let try_password =
        async |password: &str| log_in(&world.server, "alice.test", password.to_owned(), false).await.is_ok();
    world.clock.advance(Duration::from_secs(1));
    assert!(!from("2001:db8:1:2:3::4").scope(try_password("wrong")).await);
    security_log::flush(&world.server).await.unwrap();
    assert!(from("203.0.113.9").scope(try_password(PASSWORD)).await);
    let page = world.get(LIST, As::Bearer(&alice.tokens.access_jwt)).await.ok();
    let first_two = page["events"].as_array().unwrap().get(..2).unwrap();
    assert_eq!(
        first_two,
        [
            json!({ "time": "2026-05-28T20:26:41.000Z", "kind": "signedIn", "address": "203.0.113.9", "agent": "an app/1.0" }),
            json!({ "time": "2026-05-28T20:26:41.000Z", "kind": "signInFailed", "address": "2001:db8:1:2::/64", "agent": "an app/1.0" }),
        ]
    );
    assert!(!page.to_string().contains("wrong"), "no password is kept");
}

#[tokio::test]
async fn a_request_for_a_new_password_is_noted_with_who_asked_and_not_with_who_hands_the_mail_over() {
    let world = World::new().await;
    let alice = world.signed_up("alice").await;
    let bob = world.signed_up("bobby").await;
    for (address, email) in [
        ("2001:db8:1:2:3::4", "Alice@example.com"),
        // Before the first one is answered: one mail goes out, for whoever asked first.
        ("203.0.113.7", "alice@example.com"),
        ("203.0.113.8", "bobby@example.com"),
        ("203.0.113.9", "nobody@example.com"),
    ] {
        from(address).scope(request_reset(&world.server, email)).await.unwrap();
    }
    let world = world.restart().await;
    from("198.51.100.1").scope(deliver_due(&world.server)).await.unwrap();
    for (account, address) in [(&alice, "2001:db8:1:2::/64"), (&bob, "203.0.113.8")] {
        let page = world.get(LIST, As::Bearer(&account.tokens.access_jwt)).await.ok();
        let newest = json!({ "time": "2026-05-28T20:26:40.000Z", "kind": "passwordResetRequested", "address": address,
            "agent": "an app/1.0" });
        assert_eq!(page["events"][0], newest);
        assert_ne!(kinds(&page)[1], "passwordResetRequested");
    }
    assert_eq!(world.server.store.reset_requests(10).await.unwrap(), []);
}

#[tokio::test]
async fn a_refresh_token_that_was_ended_before_is_noted() {
    let world = World::new().await;
    let alice = world.signed_up("alice").await;
    assert!(sessions::refresh(&world.server, &alice.account, "an old id").await.is_err());
    assert_eq!(kinds(&world.get(LIST, As::Bearer(&alice.tokens.access_jwt)).await.ok())[0], "refreshReplayed");
}

#[tokio::test]
async fn a_password_that_was_not_looked_at_is_noted_as_refused() {
    let world = World::with_limits().await;
    let alice = world.signed_up("alice").await;
    for n in 0..=WRONG_PASSWORDS_PAIR.0 {
        let password = if n < WRONG_PASSWORDS_PAIR.0 { "wrong" } else { PASSWORD };
        assert!(
            from("203.0.113.9").scope(log_in(&world.server, "alice.test", password.to_owned(), false)).await.is_err()
        );
    }
    let read = security_log::read(&world.server, alice.account.id, None, 2).await.unwrap();
    let read: Vec<_> = read.iter().map(|event| event.kind.as_str()).collect();
    assert_eq!(read, ["signInRefused", "signInFailed"]);
}

#[tokio::test]
async fn nobody_else_reads_it_but_the_administrator() {
    let world = World::new().await;
    let (alice, bob) = (world.signed_up("alice").await, world.signed_up("bob").await);
    let of_alice = format!("{LIST}?did={}", alice.account.did);
    assert_eq!(world.get(&of_alice, As::Bearer(&bob.tokens.access_jwt)).await.error(), (401, "AuthenticationRequired"));
    assert_eq!(world.get(&of_alice, As::Nobody).await.error(), (401, "AuthMissing"));
    assert_eq!(world.get(LIST, As::Admin).await.error(), (400, "InvalidRequest"));
    let nobody = format!("{LIST}?did=did:plc:ewvi7nxzyoun6zhxrhs64oiz");
    assert_eq!(world.get(&nobody, As::Admin).await.error(), (400, "NotFound"));
    assert!(kinds(&world.get(&of_alice, As::Admin).await.ok()).contains(&"signedIn".to_owned()));
    let named = json!({"name": "phone"});
    let made = world.post("com.atproto.server.createAppPassword", As::Bearer(&alice.tokens.access_jwt), &named).await;
    let password = made.ok()["password"].as_str().unwrap().to_owned();
    let (_, session) = log_in(&world.server, "alice.test", password, false).await.unwrap();
    assert_eq!(
        world.get(LIST, As::Bearer(&session.access_jwt)).await.error(),
        (400, "InvalidToken"),
        "an app password"
    );
}

#[tokio::test]
async fn a_flood_of_refusals_pushes_out_no_sign_in_and_both_are_bounded() {
    let world = World::new().await;
    let alice = world.signed_up("alice").await;
    let id = alice.account.id;
    for _ in 0..SECURITY_FAILURES_KEPT + 50 {
        security_log::note(&world.server, id, SecurityKind::SignInFailed, None);
    }
    for n in 0..SECURITY_EVENTS_KEPT + 50 {
        security_log::note(&world.server, id, SecurityKind::AppPasswordCreated, Some(&n.to_string()));
    }
    let mut seen = Vec::new();
    let mut cursor = String::new();
    loop {
        let page =
            world.get(&format!("{LIST}?limit=100&cursor={cursor}"), As::Bearer(&alice.tokens.access_jwt)).await.ok();
        seen.extend(kinds(&page));
        let Some(next) = page["cursor"].as_str() else { break };
        cursor = next.to_owned();
    }
    let failed = seen.iter().filter(|kind| *kind == "signInFailed").count();
    assert_eq!((failed, seen.len() - failed), (SECURITY_FAILURES_KEPT, SECURITY_EVENTS_KEPT));
}

#[tokio::test]
async fn what_was_noted_is_there_after_a_restart_once_it_was_written() {
    let world = World::new().await;
    let alice = world.signed_up("alice").await;
    security_log::note(&world.server, alice.account.id, SecurityKind::PasswordChanged, None);
    security_log::flush(&world.server).await.unwrap();
    let world = world.restart().await;
    assert_eq!(kinds(&world.get(LIST, As::Bearer(&alice.tokens.access_jwt)).await.ok())[0], "passwordChanged");
}

#[test]
fn the_published_schema_names_every_kind() {
    let schema: Json = serde_json::from_str(include_str!(
        "../../../../../assets/lexicons/dev/housekey/account/listSecurityEvents.json"
    ))
    .unwrap();
    let known = &schema["defs"]["event"]["properties"]["kind"]["knownValues"];
    let words: Vec<_> = SecurityKind::ALL.iter().map(|kind| json!(kind.word())).collect();
    assert_eq!(*known, Json::Array(words));
    assert_eq!(schema["id"], LIST);
}
