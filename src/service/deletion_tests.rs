//! Deletions: who may, what is gone, and that no crash leaves anything behind or anything readable.

use std::time::Duration;

use futures_util::stream;
use serde_json::{Value as Json, json};
use sha2::{Digest, Sha256};

use super::*;
use crate::{
    event::Frame,
    ipld::Cid,
    service::{
        accounts::SignedUp,
        blobs::{Upload, upload},
        maintain,
        records::{self, Write},
        testing::{As, PASSWORD, World},
    },
    store::NewCode,
};

const DELETE: &str = "com.atproto.server.deleteAccount";
const CODE: &str = "ABCDE-FGHIJ";

async fn put_code(world: &World, account: &Account) {
    put_code_for(world, account, CodePurpose::DeleteAccount).await;
}

async fn put_code_for(world: &World, account: &Account, purpose: CodePurpose) {
    let hash = Sha256::digest(CODE.as_bytes()).into();
    let expires_at = world.server.now().plus(Duration::from_mins(15));
    let code = NewCode { account: account.id, purpose, hash, expires_at };
    world.server.store.put_code(code, None).await.unwrap();
}

async fn write(world: &World, account: &Account, record: Json) {
    let collection = "com.example.note".parse().unwrap();
    let write = Write::Create { collection, rkey: None, record, replace_duplicates: false };
    let request = records::WriteRequest { writes: vec![write], ..records::WriteRequest::default() };
    records::write(&world.server, account, request).await.unwrap();
}

/// Uploads a text and writes a record that uses it.
async fn blob(world: &World, account: &Account, text: &'static str) -> Cid {
    let body = stream::iter([Ok::<_, ()>(bytes::Bytes::from_static(text.as_bytes()))]);
    let sent = Upload { content_type: Some("text/plain".to_owned()), content_length: None, body };
    let row = upload(&world.server, account, sent).await.unwrap();
    let reference = json!({ "$type": "blob", "ref": { "$link": row.cid.to_string() }, "mimeType": row.mime_type,
        "size": row.size });
    write(world, account, json!({ "$type": "com.example.note", "file": reference })).await;
    row.cid
}

/// An account with records, two blobs (one of them bob's as well), codes, a mail and sessions; and bob.
struct Scene {
    alice: SignedUp,
    bob: SignedUp,
    own: Cid,
    shared: Cid,
    /// Commit and one record of alice's.
    head: Json,
    rkey: String,
}

async fn scene(world: &World) -> Scene {
    let (alice, bob) = (world.signed_up("alice").await, world.signed_up("bobby").await);
    for n in 0..12 {
        let note = json!({ "$type": "com.example.note", "text": format!("alice's note {n}"), "of": bob.account.did });
        write(world, &alice.account, note).await;
    }
    write(
        world,
        &bob.account,
        json!({ "$type": "com.example.note", "text": "a note of bob's", "of": alice.account.did }),
    )
    .await;
    let own = blob(world, &alice.account, "alice's own").await;
    let shared = blob(world, &alice.account, "both have this").await;
    assert_eq!(blob(world, &bob.account, "both have this").await, shared);
    put_code(world, &alice.account).await;
    put_code_for(world, &alice.account, CodePurpose::ResetPassword).await;
    let me = As::Bearer(&alice.tokens.access_jwt);
    world.post("com.atproto.server.requestEmailConfirmation", me, &Json::Null).await.ok();
    let did = &alice.account.did;
    let head = world.get(&format!("com.atproto.sync.getLatestCommit?did={did}"), As::Nobody).await.ok();
    let list = format!("com.atproto.repo.listRecords?repo={did}&collection=com.example.note&limit=1");
    let listed = world.get(&list, As::Nobody).await.ok();
    let rkey = listed["records"][0]["uri"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
    Scene { alice, bob, own, shared, head, rkey }
}

/// Nothing of alice can be read, by anybody; bob is as he was.
async fn nothing_is_readable(world: &World, scene: &Scene) {
    let did = &scene.alice.account.did;
    let me = As::Bearer(&scene.alice.tokens.access_jwt);
    let place = format!("collection=com.example.note&rkey={}", scene.rkey);
    for target in [
        format!("com.atproto.sync.getRepo?did={did}"),
        format!("com.atproto.sync.getCheckout?did={did}"),
        format!("com.atproto.sync.getHead?did={did}"),
        format!("com.atproto.sync.getRecord?did={did}&{place}"),
        format!("com.atproto.sync.getBlocks?did={did}&cids={}", scene.head["cid"].as_str().unwrap()),
        format!("com.atproto.repo.getRecord?repo={did}&{place}"),
        "com.atproto.identity.resolveHandle?handle=alice.test".to_owned(),
        format!("com.atproto.admin.getAccountInfo?did={did}"),
        format!("com.atproto.admin.getSubjectStatus?did={did}"),
        format!("com.atproto.admin.getSubjectStatus?uri=at://{did}/com.example.note/{}", scene.rkey),
        format!("com.atproto.admin.getSubjectStatus?did={did}&blob={}", scene.own),
        format!("dev.housekey.account.listSecurityEvents?did={did}"),
        format!("com.atproto.sync.getLatestCommit?did={did}"),
        format!("com.atproto.sync.getRepoStatus?did={did}"),
        format!("com.atproto.sync.listBlobs?did={did}"),
        format!("com.atproto.sync.getBlob?did={did}&cid={}", scene.own),
        format!("com.atproto.sync.getBlob?did={did}&cid={}", scene.shared),
        format!("com.atproto.repo.describeRepo?repo={did}"),
        format!("com.atproto.repo.listRecords?repo={did}&collection=com.example.note"),
        "com.atproto.repo.describeRepo?repo=alice.test".to_owned(),
    ] {
        for who in [As::Nobody, me, As::Admin] {
            if target.contains(".repo.") && !matches!(who, As::Nobody) {
                continue;
            }
            let answer = world.get(&target, who).await;
            assert!((400..500).contains(&answer.status), "{target}: {}", answer.json);
        }
    }
    assert_eq!(world.get("com.atproto.server.getSession", me).await.error(), (403, "AccountNotFound"));
    let refresh = As::Bearer(&scene.alice.tokens.refresh_jwt);
    assert_ne!(world.post("com.atproto.server.refreshSession", refresh, &Json::Null).await.status, 200);
    let info = world.get(&format!("com.atproto.admin.getAccountInfo?did={did}"), As::Admin).await;
    assert_eq!(info.error(), (400, "NotFound"));
    assert_eq!(heard_of(world, did).await, ["account deleted"]);
    let repos = world.get("com.atproto.sync.listRepos", As::Nobody).await.ok();
    assert_eq!(repos["repos"].as_array().unwrap().len(), 1);
    for target in [
        "com.atproto.sync.listReposByCollection?collection=com.example.note",
        "com.atproto.admin.searchAccounts",
        &format!("com.atproto.admin.getAccountInfos?dids={did}&dids={}", scene.bob.account.did),
        "dev.housekey.admin.listMails",
    ] {
        let list = world.get(target, As::Admin).await.ok().to_string();
        assert!(!list.contains(did.as_str()) && !list.contains("alice@example.com"), "{target}: {list}");
    }
    let input = json!({ "token": CODE, "password": "another horse" });
    let reset = world.post("com.atproto.server.resetPassword", As::Nobody, &input).await;
    assert_eq!(reset.error(), (400, "InvalidToken"), "nobody has a code any more");

    let bob = &scene.bob.account.did;
    let head = world.get(&format!("com.atproto.sync.getLatestCommit?did={bob}"), As::Nobody).await;
    assert_eq!(head.status, 200);
    let row = world.server.store.blob(scene.bob.account.id, &scene.shared).await.unwrap().unwrap();
    assert!(row.permanent);
    assert!(world.server.store.blob_files().open(&scene.shared).await.unwrap().is_some(), "bob's file went");
}

/// What is said of a DID in the log, in short.
async fn said_of(world: &World, did: &Did) -> Vec<String> {
    short(world.events().await.into_iter(), did)
}

fn short(frames: impl Iterator<Item = Frame>, did: &Did) -> Vec<String> {
    let events = frames.filter_map(|frame| match frame {
        Frame::Commit(frame) => (frame.repo == *did).then(|| "commit".to_owned()),
        Frame::Sync(frame) => (frame.did == *did).then(|| "sync".to_owned()),
        Frame::Identity(frame) => (frame.did == *did).then(|| "identity".to_owned()),
        Frame::Account(frame) => (frame.did == *did).then(|| format!("account {}", frame.status.unwrap_or_default())),
        Frame::Info(_) | Frame::Error(_) => None,
    });
    events.collect()
}

/// The same, out of what a subscriber is told.
async fn heard_of(world: &World, did: &Did) -> Vec<String> {
    let stored = world.server.store.events_after(0, 10_000).await.unwrap();
    let heard = stored.iter().filter(|event| !world.server.store.hides(event));
    short(heard.map(|event| Frame::decode(&event.frame).unwrap()), did)
}

async fn everything_is_gone(world: &World, scene: &Scene) {
    nothing_is_readable(world, scene).await;
    assert_eq!(said_of(world, &scene.alice.account.did).await, ["account deleted"]);
    let bob = ["identity", "account ", "commit", "sync", "commit", "commit"];
    assert_eq!(said_of(world, &scene.bob.account.did).await, bob);
    assert!(world.server.store.blob_files().open(&scene.own).await.unwrap().is_none(), "the file is still there");
    for table in world.server.store.rows_of(scene.alice.account.id).await.unwrap() {
        assert_eq!(table.1, 0, "{} still has rows", table.0);
    }
}

#[tokio::test]
async fn a_deletion_by_the_owner_leaves_nothing_but_its_announcement() {
    let world = World::new().await;
    let scene = scene(&world).await;
    let input = json!({ "did": scene.alice.account.did, "password": PASSWORD, "token": CODE.to_ascii_lowercase() });
    world.post(DELETE, As::Nobody, &input).await.ok();
    nothing_is_readable(&world, &scene).await;
    // What is not done in the background by then is done here.
    carry_on(&world.server).await.unwrap();
    everything_is_gone(&world, &scene).await;
    world.clock.advance(limits::DELETION_LINGER);
    // The task in the background may come first with the rest.
    carry_on(&world.server).await.unwrap();
    assert_eq!(world.server.store.deletions(10).await.unwrap(), []);
    everything_is_gone(&world, &scene).await;
    assert_eq!(world.post(DELETE, As::Nobody, &input).await.error(), (400, "InvalidRequest"), "it is gone already");
}

#[tokio::test]
async fn handle_and_address_are_free_at_once() {
    let world = World::new().await;
    let alice = world.account("alice").await;
    let input = json!({ "did": alice.did });
    world.post("com.atproto.admin.deleteAccount", As::Admin, &input).await.ok();
    let again = world.account("alice").await;
    assert_ne!(again.did, alice.did);
    assert_eq!(world.post("com.atproto.admin.deleteAccount", As::Admin, &input).await.status, 400);
}

#[tokio::test]
async fn without_password_and_code_nothing_is_deleted() {
    let world = World::new().await;
    let alice = world.signed_up("alice").await;
    let bob = world.account("bobby").await;
    let did = &alice.account.did;
    put_code(&world, &alice.account).await;
    put_code(&world, &bob).await;
    let long = "x".repeat(513);
    for (did, password, token, expected) in [
        (did.as_str(), "wrong", CODE, (401, "AuthenticationRequired")),
        (did.as_str(), "", CODE, (401, "AuthenticationRequired")),
        (did.as_str(), long.as_str(), CODE, (400, "InvalidRequest")),
        (did.as_str(), PASSWORD, "", (400, "InvalidToken")),
        (did.as_str(), PASSWORD, "ABCDE-FGHIK", (400, "InvalidToken")),
        (did.as_str(), PASSWORD, long.as_str(), (400, "InvalidToken")),
        ("did:web:nobody.example.com", PASSWORD, CODE, (400, "InvalidRequest")),
        ("nobody", PASSWORD, CODE, (400, "InvalidRequest")),
    ] {
        let input = json!({ "did": did, "password": password, "token": token });
        assert_eq!(world.post(DELETE, As::Nobody, &input).await.error(), expected, "{input}");
    }
    world.clock.advance(Duration::from_mins(15));
    let input = json!({ "did": did, "password": PASSWORD, "token": CODE });
    assert_eq!(world.post(DELETE, As::Nobody, &input).await.error(), (400, "ExpiredToken"));
    assert_eq!(world.post(DELETE, As::Nobody, &input).await.error(), (400, "InvalidToken"), "it was used up");
    assert_eq!(world.server.store.count_accounts().await.unwrap(), 2);
    for who in [As::Nobody, As::Bearer(&alice.tokens.access_jwt)] {
        let refused = world.post("com.atproto.admin.deleteAccount", who, &json!({ "did": did })).await;
        assert_eq!(refused.status, 401);
    }
}

#[tokio::test]
async fn a_crash_between_any_two_steps_of_a_deletion_leaves_nothing_readable_and_is_made_good() {
    let steps = {
        let world = World::new().await;
        let scene = scene(&world).await;
        begin(&world.server, &scene.alice.account, Cause::Asked).await.unwrap();
        let mut steps = 1;
        while world.server.store.purge_slice(scene.alice.account.id).await.unwrap() == Purge::More {
            steps += 1;
        }
        everything_is_gone(&world, &scene).await;
        steps
    };
    assert!(steps > 15, "{steps}");
    for crash_after in 0..steps {
        let world = World::new().await;
        let scene = scene(&world).await;
        begin(&world.server, &scene.alice.account, Cause::Asked).await.unwrap();
        for _ in 0..crash_after {
            world.server.store.purge_slice(scene.alice.account.id).await.unwrap();
        }
        let world = world.restart().await;
        nothing_is_readable(&world, &scene).await;
        carry_on(&world.server).await.unwrap();
        everything_is_gone(&world, &scene).await;
    }
}

#[tokio::test]
async fn an_account_goes_when_its_time_has_come_and_not_before() {
    let world = World::new().await;
    let alice = world.signed_up("alice").await;
    let at = world.server.now().plus(Duration::from_hours(1));
    let input = json!({ "deleteAfter": at.to_rfc3339_millis() });
    let me = As::Bearer(&alice.tokens.access_jwt);
    world.post("com.atproto.server.deactivateAccount", me, &input).await.ok();
    world.clock.advance(Duration::from_mins(59));
    assert_eq!(maintain(&world.server).await.unwrap().accounts, 0);
    world.clock.advance(Duration::from_mins(1));
    // Too late for a look at the state before: the owner came back in between.
    let stale = world.reread(&alice.account).await;
    world.post("com.atproto.server.activateAccount", me, &Json::Null).await.ok();
    assert_eq!(begin(&world.server, &stale, Cause::Due).await, Err(DeleteError::NotFound));
    let at = world.server.now().plus(Duration::from_hours(1));
    world
        .post("com.atproto.server.deactivateAccount", me, &json!({ "deleteAfter": at.to_rfc3339_millis() }))
        .await
        .ok();
    world.clock.advance(Duration::from_hours(1));
    assert_eq!(maintain(&world.server).await.unwrap().accounts, 1);
    assert_eq!(world.server.store.count_accounts().await.unwrap(), 0);
    assert_eq!(said_of(&world, &alice.account.did).await, ["account deleted"]);
}

#[tokio::test]
async fn a_write_under_way_ends_with_the_account() {
    let world = World::new().await;
    let alice = world.account("alice").await;
    begin(&world.server, &alice, Cause::Asked).await.unwrap();
    let collection = "com.example.note".parse().unwrap();
    let record = json!({ "$type": "com.example.note" });
    let write = Write::Create { collection, rkey: None, record, replace_duplicates: false };
    let request = records::WriteRequest { writes: vec![write], ..records::WriteRequest::default() };
    let refused = records::write(&world.server, &alice, request).await.unwrap_err();
    assert_eq!(refused, records::WriteError::NoRepository);
}

#[tokio::test]
async fn two_deletions_at_once_are_one() {
    let world = World::new().await;
    let alice = world.account("alice").await;
    put_code(&world, &alice).await;
    let tries = (0..4).map(|_| delete_own(&world.server, &alice.did, PASSWORD.to_owned(), CODE));
    let outcomes = futures_util::future::join_all(tries).await;
    let deleted = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    assert_eq!(deleted, 1);
    assert_eq!(world.server.store.latest_seq().borrow().to_owned(), 5, "one event tells it");
}
