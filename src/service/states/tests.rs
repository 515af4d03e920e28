//! Every capability in every state by the calls that clients make, and the events of every change.

use std::time::Duration;

use serde_json::{Value as Json, json};

use super::*;
use crate::{
    event::Frame,
    service::{
        accounts::SignedUp,
        records::{self, Write},
        testing::{Answer, As, PASSWORD, World},
    },
    store::{CommitRefused, OwnState},
    syntax::Nsid,
};

const ACTIVATE: &str = "com.atproto.server.activateAccount";
const DEACTIVATE: &str = "com.atproto.server.deactivateAccount";
const STATUS: &str = "com.atproto.server.checkAccountStatus";

fn state_of(standing: Standing) -> AccountState {
    match standing {
        Active => AccountState::Active,
        Deactivated => AccountState::Deactivated { delete_after: None },
        Suspended => AccountState::Suspended,
        Takendown => AccountState::Takendown { reference: "case 1".to_owned() },
    }
}

/// What the events behind `after` say, in short.
async fn told(world: &World, after: i64) -> Vec<String> {
    let stored = world.server.store.events_after(after, 1_000).await.unwrap();
    let short = |frame: Frame| match frame {
        Frame::Commit(_) => "commit".to_owned(),
        Frame::Sync(_) => "sync".to_owned(),
        Frame::Identity(_) => "identity".to_owned(),
        Frame::Account(frame) => format!("account {}", frame.status.as_deref().unwrap_or("active")),
        Frame::Info(_) | Frame::Error(_) => "not stored".to_owned(),
    };
    stored.iter().map(|event| short(Frame::decode(&event.frame).unwrap())).collect()
}

fn seq(world: &World) -> i64 {
    *world.server.store.latest_seq().borrow()
}

async fn log_in(world: &World, allow_takendown: bool) -> Answer {
    let input = json!({ "identifier": "alice.test", "password": PASSWORD, "allowTakendown": allow_takendown });
    world.post("com.atproto.server.createSession", As::Nobody, &input).await
}

fn service_token(lxm: &str) -> String {
    format!("com.atproto.server.getServiceAuth?aud=did:web:api.example.com&lxm={lxm}")
}

/// Tries what the capability names, with a session from before the state came about.
async fn may(world: &World, alice: &SignedUp, capability: Capability) -> bool {
    let did = &alice.account.did;
    let me = As::Bearer(&alice.tokens.access_jwt);
    let answer = match capability {
        Capability::LogIn => log_in(world, false).await,
        Capability::LogInToLeave => log_in(world, true).await,
        Capability::Refresh => {
            let refresh = As::Bearer(&alice.tokens.refresh_jwt);
            world.post("com.atproto.server.refreshSession", refresh, &Json::Null).await
        }
        Capability::UseSession => world.get("com.atproto.server.getSession", me).await,
        Capability::Leave => world.post("com.atproto.identity.requestPlcOperationSignature", me, &Json::Null).await,
        Capability::ServiceToken => world.get(&service_token("com.atproto.repo.uploadBlob"), me).await,
        Capability::ServiceTokenToMove => world.get(&service_token("com.atproto.server.createAccount"), me).await,
        Capability::Write => {
            let record = json!({ "$type": "com.example.note", "text": "hello" });
            let input = json!({ "repo": did, "collection": "com.example.note", "record": record });
            world.post("com.atproto.repo.createRecord", me, &input).await
        }
        Capability::BeRead => world.get(&format!("com.atproto.sync.getLatestCommit?did={did}"), As::Nobody).await,
        Capability::ReadItself => world.get(&format!("com.atproto.sync.getLatestCommit?did={did}"), me).await,
        Capability::Activate => world.post(ACTIVATE, me, &Json::Null).await,
        Capability::Deactivate => world.post(DEACTIVATE, me, &json!({})).await,
        Capability::Delete => return allows(&world.reread(&alice.account).await.state, capability),
    };
    assert!(answer.status == 200 || (400..500).contains(&answer.status), "{capability:?}: {}", answer.json);
    answer.status == 200
}

#[tokio::test]
async fn every_capability_is_allowed_in_exactly_the_states_of_the_table() {
    for (capability, standings) in TABLE {
        for standing in EVERY {
            let world = World::new().await;
            let alice = world.signed_up("alice").await;
            world.server.store.set_account_state(alice.account.id, state_of(*standing), Vec::new()).await.unwrap();
            let may = may(&world, &alice, *capability).await;
            assert_eq!(may, standings.contains(standing), "{capability:?} while {standing:?}");
        }
    }
}

#[test]
fn the_table_has_each_capability_once_and_a_pending_account_may_nothing() {
    for (at, (capability, _)) in TABLE.iter().enumerate() {
        assert!(!TABLE.iter().skip(at + 1).any(|(other, _)| other == capability), "{capability:?}");
        assert!(!allows(&AccountState::Pending, *capability), "{capability:?}");
    }
}

#[tokio::test]
async fn an_account_goes_and_comes_back_and_the_network_hears_it_in_order() {
    let world = World::new().await;
    let alice = world.signed_up("alice").await;
    let me = As::Bearer(&alice.tokens.access_jwt);
    let before = seq(&world);
    world.post(DEACTIVATE, me, &json!({})).await.ok();
    assert_eq!(told(&world, before).await, ["account deactivated"]);
    assert_eq!(world.reread(&alice.account).await.state, AccountState::Deactivated { delete_after: None });
    assert_eq!(world.get(STATUS, me).await.ok()["activated"], false);
    let before = seq(&world);
    world.post(ACTIVATE, me, &Json::Null).await.ok();
    assert_eq!(told(&world, before).await, ["account active", "identity", "sync"]);
    assert_eq!(world.reread(&alice.account).await.state, AccountState::Active);
    assert_eq!(world.get(STATUS, me).await.ok()["activated"], true);
}

#[tokio::test]
async fn the_sync_event_names_the_head_that_the_account_came_back_with() {
    let world = World::new().await;
    let alice = world.signed_up("alice").await;
    assert!(may(&world, &alice, Capability::Write).await);
    assert!(may(&world, &alice, Capability::Deactivate).await && may(&world, &alice, Capability::Activate).await);
    let head = world.server.store.head(alice.account.id).await.unwrap().unwrap();
    let Some(Frame::Sync(frame)) = world.events().await.pop() else { panic!("the last event is no #sync") };
    assert_eq!(frame.rev, head.rev);
}

#[tokio::test]
async fn a_time_of_deletion_is_kept_and_goes_with_the_activation() {
    let world = World::new().await;
    let alice = world.signed_up("alice").await;
    let me = As::Bearer(&alice.tokens.access_jwt);
    let at = world.server.now().plus(Duration::from_hours(72));
    world.post(DEACTIVATE, me, &json!({ "deleteAfter": at.to_rfc3339_millis() })).await.ok();
    assert_eq!(world.reread(&alice.account).await.state, AccountState::Deactivated { delete_after: Some(at) });
    world.post(ACTIVATE, me, &Json::Null).await.ok();
    assert_eq!(
        world.server.store.own_state(alice.account.id).await.unwrap(),
        Some(OwnState::Active),
        "the time is forgotten"
    );
}

#[tokio::test]
async fn a_time_of_deletion_in_the_past_or_in_another_form_is_refused_and_changes_nothing() {
    let world = World::new().await;
    let alice = world.signed_up("alice").await;
    let me = As::Bearer(&alice.tokens.access_jwt);
    let before = seq(&world);
    let now = world.server.now().to_rfc3339_millis();
    for wrong in [json!(now), json!("1970-01-01T00:00:00Z"), json!("tomorrow"), json!(12), json!("")] {
        let refused = world.post(DEACTIVATE, me, &json!({ "deleteAfter": wrong })).await;
        assert_eq!(refused.error(), (400, "InvalidRequest"), "{wrong}");
    }
    assert_eq!(world.reread(&alice.account).await.state, AccountState::Active);
    assert_eq!(seq(&world), before);
}

#[tokio::test]
async fn an_account_whose_did_names_another_server_or_key_is_not_activated() {
    let world = World::new().await;
    let alice = world.signed_up("alice").await;
    let me = As::Bearer(&alice.tokens.access_jwt);
    world.post(DEACTIVATE, me, &json!({})).await.ok();
    let before = seq(&world);
    let mut moved = world.reread(&alice.account).await;
    moved.signing_key = "did:key:zQ3shOther".to_owned();
    assert!(matches!(check_points_here(&world.server, &moved).await, Err(NotHere::SigningKey { .. })));

    let mut policy = crate::service::testing::policy();
    policy.public_url = "https://other.example.com".parse().unwrap();
    let world = world.restart_with(policy).await;
    let refused = world.post(ACTIVATE, me, &Json::Null).await;
    assert_eq!(refused.error(), (400, "InvalidRequest"));
    assert!(refused.message().contains("https://pds.example.com"), "{}", refused.message());
    assert_eq!(world.get(STATUS, me).await.ok()["validDid"], false);
    world.directory.set_down(true);
    assert_eq!(world.post(ACTIVATE, me, &Json::Null).await.error(), (502, "UpstreamFailure"));
    assert!(matches!(world.reread(&alice.account).await.state, AccountState::Deactivated { .. }));
    assert_eq!(seq(&world), before);
}

#[tokio::test]
async fn a_takedown_that_is_lifted_uncovers_what_the_owner_did_beneath_it() {
    let world = World::new().await;
    let alice = world.signed_up("alice").await;
    let takedown = state_of(Takendown);
    world.server.store.set_account_state(alice.account.id, takedown.clone(), Vec::new()).await.unwrap();
    let before = seq(&world);
    let input = json!({ "identifier": "alice.test", "password": PASSWORD, "allowTakendown": true });
    let narrow = world.post("com.atproto.server.createSession", As::Nobody, &input).await.ok();
    let me = As::Bearer(narrow["accessJwt"].as_str().unwrap());
    world.post(DEACTIVATE, me, &json!({})).await.ok();
    assert_eq!(world.reread(&alice.account).await.state, takedown, "the takedown stays on top");
    assert_eq!(told(&world, before).await, ["account takendown"]);
    assert_eq!(
        world.server.store.own_state(alice.account.id).await.unwrap(),
        Some(OwnState::Deactivated { delete_after: None })
    );
    assert_eq!(world.post(ACTIVATE, me, &Json::Null).await.error(), (400, "InvalidToken"));
}

#[tokio::test]
async fn a_takedown_between_the_check_and_the_commit_stops_the_commit() {
    let world = World::new().await;
    // As it was when the token was checked.
    let alice = world.account("alice").await;
    let head = world.server.store.head(alice.id).await.unwrap();
    for state in [state_of(Takendown), state_of(Suspended), state_of(Deactivated)] {
        world.server.store.set_account_state(alice.id, state.clone(), Vec::new()).await.unwrap();
        let before = seq(&world);
        let collection: Nsid = "com.example.note".parse().unwrap();
        let write = Write::Create {
            collection,
            rkey: None,
            record: json!({ "$type": "com.example.note" }),
            replace_duplicates: false,
        };
        let request = records::WriteRequest { writes: vec![write], ..records::WriteRequest::default() };
        let refused = records::write(&world.server, &alice, request).await.unwrap_err();
        assert_eq!(refused, records::WriteError::Inactive(state.clone()));
        assert_eq!(seq(&world), before);
        assert_eq!(world.server.store.head(alice.id).await.unwrap(), head);
        assert_eq!(CommitRefused::Inactive(state).to_string(), "the account is not active");
    }
}
