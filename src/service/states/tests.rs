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

/// What the methods are refused with for the state of an account.
const REFUSALS: &[&str] =
    &["AccountTakedown", "AccountDeactivated", "AccountSuspended", "RepoTakendown", "RepoSuspended", "RepoDeactivated"];

/// Calls that demand a capability of the account whose session or repository it is; what else is wrong with them comes
/// later.
fn calls(did: &str) -> Vec<(Capability, Vec<(&'static str, Json)>)> {
    let session = json!({ "repo": did, "collection": "com.example.note", "rkey": "a" });
    let written = json!({ "repo": did, "collection": "com.example.note", "rkey": "a",
        "record": { "$type": "com.example.note" } });
    let query = Json::Null;
    vec![
        (
            Capability::Leave,
            vec![
                ("app.bsky.actor.getPreferences", query.clone()),
                ("com.atproto.identity.requestPlcOperationSignature", query.clone()),
                ("com.atproto.identity.signPlcOperation", json!({})),
                (
                    "com.atproto.moderation.createReport",
                    json!({ "reasonType": "com.atproto.moderation.defs#reasonSpam",
                        "subject": { "$type": "com.atproto.admin.defs#repoRef", "did": did } }),
                ),
            ],
        ),
        (
            Capability::UseSession,
            vec![
                ("app.bsky.actor.putPreferences", json!({ "preferences": [] })),
                ("com.atproto.identity.getRecommendedDidCredentials", query.clone()),
                ("com.atproto.identity.submitPlcOperation", json!({ "operation": {} })),
                ("com.atproto.server.checkAccountStatus", query.clone()),
                ("com.atproto.server.getAccountInviteCodes", query.clone()),
                ("com.atproto.server.listAppPasswords", query.clone()),
                ("com.atproto.server.createAppPassword", json!({ "name": "phone" })),
                ("com.atproto.server.revokeAppPassword", json!({ "name": "phone" })),
                ("com.atproto.server.requestEmailUpdate", json!({})),
                ("com.atproto.server.updateEmail", json!({ "email": "nobody" })),
                ("com.atproto.server.confirmEmail", json!({ "email": "a@example.com", "token": "x" })),
                ("com.atproto.server.requestAccountDelete", json!({})),
                ("com.atproto.server.requestEmailConfirmation", json!({})),
                ("com.atproto.repo.importRepo", json!({})),
                ("com.atproto.repo.uploadBlob", json!({})),
                ("com.atproto.temp.checkSignupQueue", query.clone()),
                ("app.bsky.notification.registerPush", json!({})),
                ("app.bsky.notification.unregisterPush", json!({})),
                ("com.atproto.repo.listMissingBlobs", query),
                ("com.atproto.identity.updateHandle", json!({ "handle": "a b" })),
            ],
        ),
        (
            Capability::Write,
            vec![
                ("com.atproto.repo.createRecord", written.clone()),
                ("com.atproto.repo.putRecord", written),
                ("com.atproto.repo.deleteRecord", session),
                ("com.atproto.repo.applyWrites", json!({ "repo": did, "writes": [] })),
                ("dev.housekey.delegation.createDelegation", json!({})),
                ("dev.housekey.delegation.updateDelegation", json!({})),
                ("dev.housekey.delegation.deleteDelegation", json!({})),
                ("dev.housekey.delegation.putAssociatedData", json!({})),
                ("dev.housekey.delegation.requestDelegationToken", json!({})),
            ],
        ),
    ]
}

#[tokio::test]
async fn every_method_follows_the_row_of_its_capability() {
    for standing in EVERY {
        let world = World::new().await;
        let alice = world.signed_up("alice").await;
        let me = As::Bearer(&alice.tokens.access_jwt);
        world.server.store.set_account_state(alice.account.id, state_of(*standing), Vec::new()).await.unwrap();
        for (capability, methods) in calls(alice.account.did.as_str()) {
            for (nsid, input) in methods {
                let answer =
                    if input.is_null() { world.get(nsid, me).await } else { world.post(nsid, me, &input).await };
                let is_refused = REFUSALS.contains(&answer.error().1);
                let allowed = allows(&state_of(*standing), capability);
                assert_eq!(!is_refused, allowed, "{nsid} while {standing:?}: {}", answer.json);
            }
        }
    }
}

#[tokio::test]
async fn the_session_for_leaving_has_an_operation_signed_and_does_not_submit_it_here() {
    let world = World::new().await;
    let alice = world.signed_up("alice").await;
    world.server.store.set_account_state(alice.account.id, state_of(Takendown), Vec::new()).await.unwrap();
    let narrow = log_in(&world, true).await.ok();
    let me = As::Bearer(narrow["accessJwt"].as_str().unwrap());
    world.post("com.atproto.identity.requestPlcOperationSignature", me, &Json::Null).await;
    world.deliver().await;
    let sign = json!({ "token": world.mailbox.code() });
    let signed = world.post("com.atproto.identity.signPlcOperation", me, &sign).await.ok();
    assert_eq!(signed["operation"]["type"], "plc_operation");
    let posts = world.directory.posts();
    let submitted = world.post("com.atproto.identity.submitPlcOperation", me, &signed).await;
    assert_eq!(submitted.error(), (400, "InvalidToken"));
    let recommended = world.get("com.atproto.identity.getRecommendedDidCredentials", me).await;
    assert_eq!(recommended.error(), (400, "InvalidToken"));
    assert_eq!(world.directory.posts(), posts);
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

const UPDATE: &str = "com.atproto.admin.updateSubjectStatus";

async fn update(world: &World, subject: &Json, change: &Json) -> Answer {
    let mut input = json!({ "subject": subject });
    input.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    world.post(UPDATE, As::Admin, &input).await
}

fn repo_ref(alice: &SignedUp) -> Json {
    json!({ "$type": "com.atproto.admin.defs#repoRef", "did": alice.account.did })
}

async fn status(world: &World, query: &str) -> Json {
    world.get(&format!("com.atproto.admin.getSubjectStatus?{query}"), As::Admin).await.ok()
}

#[tokio::test]
async fn a_taken_down_account_is_gone_for_everybody_until_it_is_restored() {
    let world = World::new().await;
    let alice = world.signed_up("alice").await;
    let did = &alice.account.did;
    let before = seq(&world);
    let takedown = json!({ "takedown": { "applied": true, "ref": "case 1" } });
    let said = update(&world, &repo_ref(&alice), &takedown).await.ok();
    assert_eq!(said, json!({ "subject": repo_ref(&alice), "takedown": { "applied": true, "ref": "case 1" } }));
    assert_eq!(told(&world, before).await, ["account takendown"]);
    assert_eq!(
        world.get("com.atproto.server.getSession", As::Bearer(&alice.tokens.access_jwt)).await.error().1,
        "AccountTakedown"
    );
    let read = world.get(&format!("com.atproto.sync.getRepo?did={did}"), As::Nobody).await;
    assert_eq!(read.error(), (400, "RepoTakendown"));
    // Once more without a reference: the one that it has stays.
    update(&world, &repo_ref(&alice), &json!({ "takedown": { "applied": true } })).await.ok();
    let now = status(&world, &format!("did={did}")).await;
    assert_eq!((&now["takedown"]["applied"], &now["takedown"]["ref"]), (&json!(true), &json!("case 1")));
    let before = seq(&world);
    update(&world, &repo_ref(&alice), &json!({ "takedown": { "applied": false } })).await.ok();
    assert_eq!(told(&world, before).await, ["account active", "sync"]);
    assert!(may(&world, &alice, Capability::Write).await);
    // The sessions from before the takedown are over, all but the access token's last minutes.
    assert!(!may(&world, &alice, Capability::Refresh).await);
    let before = seq(&world);
    update(&world, &repo_ref(&alice), &json!({ "takedown": { "applied": false } })).await.ok();
    assert_eq!(seq(&world), before, "there was nothing to lift");
}

#[tokio::test]
async fn a_suspension_is_told_by_its_name_and_gives_way_to_a_takedown() {
    let world = World::new().await;
    let alice = world.signed_up("alice").await;
    let subject = repo_ref(&alice);
    let before = seq(&world);
    update(&world, &subject, &json!({ "suspended": { "applied": true } })).await.ok();
    update(&world, &subject, &json!({ "takedown": { "applied": true } })).await.ok();
    assert_eq!(told(&world, before).await, ["account suspended", "account takendown"]);
    let refused = update(&world, &subject, &json!({ "suspended": { "applied": false } })).await;
    assert_eq!(refused.error(), (400, "InvalidRequest"));
    update(&world, &subject, &json!({ "takedown": { "applied": false } })).await.ok();
    update(&world, &subject, &json!({ "suspended": { "applied": true }, "deactivated": { "applied": true } }))
        .await
        .ok();
    let before = seq(&world);
    update(&world, &subject, &json!({ "suspended": { "applied": false } })).await.ok();
    assert_eq!(told(&world, before).await, ["account deactivated"]);
    let now = status(&world, &format!("did={}", alice.account.did)).await;
    assert_eq!((&now["suspended"]["applied"], &now["deactivated"]["applied"]), (&json!(false), &json!(true)));
    update(&world, &subject, &json!({ "deactivated": { "applied": false } })).await.ok();
    assert_eq!(world.reread(&alice.account).await.state, AccountState::Active);
}

#[tokio::test]
async fn a_record_that_was_taken_down_is_not_shown_and_stays_in_the_repository() {
    let world = World::new().await;
    let alice = world.signed_up("alice").await;
    let me = As::Bearer(&alice.tokens.access_jwt);
    let did = &alice.account.did;
    let create = async |text: &str, rkey: &str| {
        let record = json!({ "$type": "com.example.note", "text": text });
        let input = json!({ "repo": did, "collection": "com.example.note", "rkey": rkey, "record": record });
        world.post("com.atproto.repo.putRecord", me, &input).await.ok()
    };
    create("kept", "a").await;
    let bad = create("bad", "b").await;
    let subject = json!({ "$type": "com.atproto.repo.strongRef", "uri": bad["uri"], "cid": bad["cid"] });
    let (head, before) = (world.server.store.head(alice.account.id).await.unwrap(), seq(&world));
    for reference in [json!({ "applied": true, "ref": "7" }), json!({ "applied": true })] {
        update(&world, &subject, &json!({ "takedown": reference })).await.ok();
    }
    let place = format!("repo={did}&collection=com.example.note");
    let get = format!("com.atproto.repo.getRecord?{place}&rkey=b");
    assert_eq!(world.get(&get, As::Nobody).await.error(), (400, "RecordNotFound"));
    let listed = async || {
        let list = world.get(&format!("com.atproto.repo.listRecords?{place}"), As::Nobody).await.ok();
        list["records"].as_array().unwrap().len()
    };
    assert_eq!(listed().await, 1);
    assert_eq!(world.server.store.head(alice.account.id).await.unwrap(), head, "the repository is as it was");
    assert_eq!(seq(&world), before);
    create("another at the same place", "b").await;
    assert_eq!((world.get(&get, As::Nobody).await.status, listed().await), (400, 1));
    let uri = format!("uri=at://{did}/com.example.note/b");
    assert_eq!(status(&world, &uri).await["takedown"], json!({ "applied": true, "ref": "7" }));
    // The owner removes it: the takedown stays, and can be named and lifted.
    let place_of_b = json!({ "repo": did, "collection": "com.example.note", "rkey": "b" });
    world.post("com.atproto.repo.deleteRecord", me, &place_of_b).await.ok();
    let now = status(&world, &uri).await;
    assert_eq!((&now["subject"], &now["takedown"]["applied"]), (&subject, &json!(true)));
    update(&world, &now["subject"], &json!({ "takedown": { "applied": false } })).await.ok();
    let gone = format!("com.atproto.admin.getSubjectStatus?{uri}");
    assert_eq!(
        world.get(&gone, As::Admin).await.error(),
        (400, "NotFound"),
        "nothing is there, and nothing lies on it"
    );
    create("a good one", "b").await;
    assert_eq!((world.get(&get, As::Nobody).await.status, listed().await), (200, 2));
    assert_eq!(status(&world, &uri).await["takedown"], json!({ "applied": false }));
}

#[tokio::test]
async fn a_blob_that_was_taken_down_is_neither_served_nor_taken_again() {
    use crate::service::blobs::{Upload, UploadError, upload};
    let world = World::new().await;
    let alice = world.signed_up("alice").await;
    let me = As::Bearer(&alice.tokens.access_jwt);
    let did = &alice.account.did;
    let send = async || {
        let body = futures_util::stream::iter([Ok::<_, ()>(bytes::Bytes::from_static(b"a picture"))]);
        upload(&world.server, &alice.account, Upload { content_type: None, content_length: None, body }).await
    };
    let row = send().await.unwrap();
    let file = json!({ "$type": "blob", "ref": { "$link": row.cid.to_string() }, "mimeType": row.mime_type, "size": row.size });
    let record = json!({ "$type": "com.example.note", "file": file });
    let input = json!({ "repo": did, "collection": "com.example.note", "rkey": "a", "record": record });
    world.post("com.atproto.repo.putRecord", me, &input).await.ok();
    let subject = json!({ "$type": "com.atproto.admin.defs#repoBlobRef", "did": did, "cid": row.cid });
    update(&world, &subject, &json!({ "takedown": { "applied": true } })).await.ok();
    let get = format!("com.atproto.sync.getBlob?did={did}&cid={}", row.cid);
    for who in [As::Nobody, me, As::Admin] {
        assert_eq!(world.get(&get, who).await.error(), (400, "BlobNotFound"));
    }
    assert_eq!(send().await.unwrap_err(), UploadError::Takendown);
    let input = json!({ "repo": did, "collection": "com.example.note", "record": record });
    assert_eq!(world.post("com.atproto.repo.createRecord", me, &input).await.error(), (400, "BlobNotFound"));
    // Neither does it come back by way of being forgotten.
    world
        .post(
            "com.atproto.repo.deleteRecord",
            me,
            &json!({ "repo": did, "collection": "com.example.note", "rkey": "a" }),
        )
        .await
        .ok();
    world.clock.advance(Duration::from_hours(24));
    world.server.store.sweep_blobs(world.server.now(), 100).await.unwrap();
    assert_eq!(send().await.unwrap_err(), UploadError::Takendown);
    let now = status(&world, &format!("did={did}&blob={}", row.cid)).await;
    assert_eq!(now["takedown"]["applied"], true);
    update(&world, &subject, &json!({ "takedown": { "applied": false } })).await.ok();
    assert!(send().await.is_ok());
}

#[tokio::test]
async fn wrong_subjects_are_named_and_nothing_changes() {
    let world = World::new().await;
    let alice = world.signed_up("alice").await;
    let did = &alice.account.did;
    let cid = "bafyreidfayvfuwqa7qlnopdjiqrxzs6blmoeu4rujcjtnci5beludirz2a";
    let before = seq(&world);
    let takedown = json!({ "takedown": { "applied": true } });
    let long = json!({ "takedown": { "applied": true, "ref": "x".repeat(513) } });
    let nobody = json!({ "$type": "com.atproto.admin.defs#repoRef", "did": "did:web:nobody.example.com" });
    let record =
        json!({ "$type": "com.atproto.repo.strongRef", "uri": format!("at://{did}/com.example.note/a"), "cid": cid });
    for (subject, change, name) in [
        (&nobody, &takedown, "NotFound"),
        (&repo_ref(&alice), &long, "InvalidRequest"),
        (&repo_ref(&alice), &json!({ "takedown": {} }), "InvalidRequest"),
        (&record, &json!({ "deactivated": { "applied": true } }), "InvalidRequest"),
        (&record, &json!({ "takedown": { "applied": true }, "suspended": { "applied": true } }), "InvalidRequest"),
        (&json!({ "$type": "com.example.other" }), &takedown, "InvalidRequest"),
        (
            &json!({ "$type": "com.atproto.repo.strongRef", "uri": "at://alice.test/a.b.c/d", "cid": cid }),
            &takedown,
            "InvalidRequest",
        ),
        (
            &json!({ "$type": "com.atproto.repo.strongRef", "uri": format!("at://{did}"), "cid": cid }),
            &takedown,
            "InvalidRequest",
        ),
    ] {
        assert_eq!(update(&world, subject, change).await.error(), (400, name), "{subject} {change}");
    }
    for query in [
        String::new(),
        format!("?blob={cid}"),
        format!("?uri=at://{did}"),
        format!("?uri=at://{did}/com.example.note/a"),
        format!("?did={did}&blob={cid}"),
    ] {
        let answer = world.get(&format!("com.atproto.admin.getSubjectStatus{query}"), As::Admin).await;
        assert_eq!(answer.status, 400, "{query}");
    }
    assert_eq!(seq(&world), before);
    assert_eq!(world.reread(&alice.account).await.state, AccountState::Active);
}
