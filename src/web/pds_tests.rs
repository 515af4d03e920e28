//! Tests of the pages.

use super::*;
use crate::{
    clock::Timestamp,
    event::{self, AccountStatus, Frame},
    service::{
        accounts::{SignUp, SignUpError, SignedUp, create_account},
        blobs::{Upload, upload},
        deletion::delete_by_admin,
        identity::update_handle,
        testing::{As, World},
    },
    sync::{Feed, Item, subscribe},
};
use futures_util::StreamExt;
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

/// What a stranger can ask for that shows something of alice's.
async fn shown(world: &World, alice: &SignedUp, record: &Value, blob: &str) -> Vec<String> {
    let did = &alice.account.did;
    let (cid, place) = (record["cid"].as_str().unwrap(), "collection=com.example.note&rkey=a");
    let mut shown = Vec::new();
    for target in [
        format!("com.atproto.sync.getRepo?did={did}"),
        format!("com.atproto.sync.getLatestCommit?did={did}"),
        format!("com.atproto.sync.getHead?did={did}"),
        format!("com.atproto.sync.getCheckout?did={did}"),
        format!("com.atproto.sync.getRecord?did={did}&{place}"),
        format!("com.atproto.sync.getBlocks?did={did}&cids={cid}"),
        format!("com.atproto.sync.listBlobs?did={did}"),
        format!("com.atproto.sync.getBlob?did={did}&cid={blob}"),
        format!("com.atproto.repo.describeRepo?repo={did}"),
        format!("com.atproto.repo.listRecords?repo={did}&collection=com.example.note"),
        format!("com.atproto.repo.getRecord?repo={did}&{place}"),
        "com.atproto.repo.describeRepo?repo=alice.test".to_owned(),
        format!("dev.housekey.delegation.getDelegation?actor={did}&id=e2ee"),
        format!("dev.housekey.delegation.listDelegations?actor={did}"),
        format!("dev.housekey.delegation.getAssociatedData?actor={did}&id=e2ee"),
    ] {
        let status = world.status_of(&target, As::Nobody).await;
        if status == 200 {
            shown.push(target.split('?').next().unwrap_or_default().to_owned());
        }
        assert!(status == 200 || (400..500).contains(&status), "{target}: {status}");
    }
    for path in ["/.well-known/atproto-did", "/.well-known/atproto-delegation?id=e2ee"] {
        if ask(world, "alice.test", path).await.0 == 200 {
            shown.push(path.to_owned());
        }
    }
    let listed = world.get("com.atproto.sync.listReposByCollection?collection=com.example.note", As::Nobody).await.ok();
    if listed.to_string().contains(did.as_str()) {
        shown.push("listReposByCollection".to_owned());
    }
    let feed = Feed::new(&world.server.store, &world.server.tasks, Timestamp::EPOCH);
    let newest = *world.server.store.latest_seq().borrow();
    let mut stream = subscribe(feed, Some(0)).await.unwrap();
    loop {
        let Some(Item::Frame(frame)) = stream.next().await else { panic!("the stream ended") };
        let (of, seq, word) = match Frame::decode(&frame).unwrap() {
            Frame::Commit(frame) => (frame.repo, frame.seq, "commits"),
            Frame::Sync(frame) => (frame.did, frame.seq, "syncs"),
            Frame::Identity(frame) => (frame.did, frame.seq, "identities"),
            Frame::Account(frame) => (frame.did, frame.seq, "accounts"),
            Frame::Info(_) | Frame::Error(_) => continue,
        };
        if of == *did && matches!(word, "commits" | "syncs") && !shown.iter().any(|shown| shown == word) {
            shown.push(word.to_owned());
        }
        if seq == newest {
            return shown;
        }
    }
}

#[tokio::test]
async fn takedown_suspension_and_deletion_leave_nothing_readable_and_a_takedown_that_is_lifted_shows_all_again() {
    let world = World::new().await;
    let (alice, bob) = (world.signed_up("alice").await, world.signed_up("bobby").await);
    let me = As::Bearer(&alice.tokens.access_jwt);
    let row = {
        let body = futures_util::stream::iter([Ok::<_, ()>(Bytes::from_static(b"a picture"))]);
        upload(&world.server, &alice.account, Upload { content_type: None, content_length: None, body }).await.unwrap()
    };
    let (did, blob) = (alice.account.did.clone(), row.cid.to_string());
    let file = json!({ "$type": "blob", "ref": { "$link": blob }, "mimeType": row.mime_type, "size": row.size });
    let record = json!({ "$type": "com.example.note", "file": file });
    let input = json!({ "repo": did, "collection": "com.example.note", "rkey": "a", "record": record });
    let record = world.post("com.atproto.repo.putRecord", me, &input).await.ok();
    let all = shown(&world, &alice, &record, &blob).await;
    for known in
        ["com.atproto.sync.getRepo", "com.atproto.repo.getRecord", "/.well-known/atproto-did", "commits", "syncs"]
    {
        assert!(all.iter().any(|shown| shown == known), "{known}: {all:?}");
    }
    let subject = json!({ "$type": "com.atproto.admin.defs#repoRef", "did": did });
    let update = async |world: &World, what: &str, applied: bool| {
        let input = json!({ "subject": subject, what: { "applied": applied } });
        world.post("com.atproto.admin.updateSubjectStatus", As::Admin, &input).await.ok();
        // So that the account's own event is not the last of the stream.
        let input = json!({ "handle": "bobby.test" });
        world.post("com.atproto.identity.updateHandle", As::Bearer(&bob.tokens.access_jwt), &input).await.ok();
    };
    for what in ["suspended", "takedown"] {
        update(&world, what, true).await;
        assert_eq!(shown(&world, &alice, &record, &blob).await, Vec::<String>::new(), "{what}");
        update(&world, what, false).await;
        assert_eq!(shown(&world, &alice, &record, &blob).await, all, "{what} was lifted");
    }
    update(&world, "takedown", true).await;
    let world = world.restart().await;
    assert_eq!(shown(&world, &alice, &record, &blob).await, Vec::<String>::new(), "after a restart");
    update(&world, "takedown", false).await;
    // Only the first transaction: nothing was purged yet.
    let now = world.server.now();
    let event = event::account(&did, Some(AccountStatus::Deleted), now);
    assert!(world.server.store.begin_deletion(alice.account.id, event, now).await.unwrap());
    update_handle(&world.server, &bob.account, "bobby.test").await.unwrap();
    assert_eq!(shown(&world, &alice, &record, &blob).await, Vec::<String>::new(), "deleted");
    let world = world.restart().await;
    assert_eq!(shown(&world, &alice, &record, &blob).await, Vec::<String>::new(), "deleted, after a restart");
}
