//! What strangers see of an account, by every method, page and event, and what of it is left when the account is suspended,
//! taken down or deleted.

use super::{PdsSite, Site, WebReply, WebRequest};
use crate::{
    clock::{Clock as _, Timestamp},
    crypto::KeyType,
    delegation::{AppDataDraft, DelegationId, Draft, WELL_KNOWN_PATH, testing::delegate},
    event::{self, AccountStatus, Frame},
    methods::methods,
    service::{
        accounts::SignedUp,
        blobs::{Upload, upload},
        delegation::put_associated_data,
        identity::update_handle,
        testing::{As, World},
    },
    sync::{Feed, Item, subscribe},
    syntax::Tid,
    xrpc::{Api, Dispatch, MethodKind},
};
use bytes::Bytes;
use futures_util::StreamExt;
use http::{HeaderMap, Method};
use serde_json::{Value, json};
use std::{collections::BTreeSet, net::Ipv4Addr, sync::Arc, time::Duration};

/// Queries that anybody may make and that show nothing of what an account holds.
const OF_NO_ACCOUNT: &[&str] = &[
    "com.atproto.lexicon.resolveLexicon",
    "com.atproto.server.describeServer",
    "com.atproto.temp.dereferenceScope",
    // Whether somebody could still take a handle.
    "com.atproto.temp.checkHandleAvailability",
    // What the directory of a DID says, whoever serves the account.
    "com.atproto.identity.resolveDid",
    "com.atproto.identity.resolveIdentity",
];

/// Alice, who has something of everything, and bobby.
struct Scene {
    alice: SignedUp,
    bob: SignedUp,
    record: String,
    blob: String,
}

impl Scene {
    async fn new(world: &World) -> Self {
        let (alice, bob) = (world.signed_up("alice").await, world.signed_up("bobby").await);
        let me = As::Bearer(&alice.tokens.access_jwt);
        let body = futures_util::stream::iter([Ok::<_, ()>(Bytes::from_static(b"a picture"))]);
        let sent = Upload { content_type: None, content_length: None, body };
        let row = upload(&world.server, &alice.account, sent).await.unwrap();
        let (did, blob) = (&alice.account.did, row.cid.to_string());
        let file = json!({ "$type": "blob", "ref": { "$link": blob }, "mimeType": row.mime_type, "size": row.size });
        let record = json!({ "$type": "com.example.note", "file": file });
        let input = json!({ "repo": did, "collection": "com.example.note", "rkey": "a", "record": record });
        let record = world.post("com.atproto.repo.putRecord", me, &input).await.ok();
        let key = delegate(KeyType::Ed25519, 1);
        let draft = Draft {
            did: did.clone(),
            id: DelegationId::default(),
            key: Some(key.public()),
            prev: Some(world.directory.log(did)[0].cid),
            created_at: world.clock.now(),
        };
        let statement = json!({ "statement": draft.sign(Some(&key), None).unwrap().to_json() });
        world.post("dev.housekey.delegation.createDelegation", me, &statement).await.ok();
        let entry = AppDataDraft {
            did: did.clone(),
            id: DelegationId::default(),
            app: "com.example.chat".parse().unwrap(),
            rev: Tid::new(world.clock.now(), 0),
            data: Some(crate::ipld::Map::new()),
            expires_at: world.clock.now().plus(Duration::from_hours(1)),
        };
        put_associated_data(&world.server, &alice.account, &entry.sign(&key).to_json()).await.unwrap();
        let record = record["cid"].as_str().unwrap().to_owned();
        Self { alice, bob, record, blob }
    }

    /// Every query of one account that anybody may make. Each answers 200 while the account is active.
    fn queries(&self) -> Vec<String> {
        let Self { alice, record, blob, .. } = self;
        let (did, place) = (&alice.account.did, "collection=com.example.note&rkey=a");
        vec![
            format!("com.atproto.sync.getRepo?did={did}"),
            format!("com.atproto.sync.getLatestCommit?did={did}"),
            format!("com.atproto.sync.getHead?did={did}"),
            format!("com.atproto.sync.getCheckout?did={did}"),
            format!("com.atproto.sync.getRecord?did={did}&{place}"),
            format!("com.atproto.sync.getBlocks?did={did}&cids={record}"),
            format!("com.atproto.sync.listBlobs?did={did}"),
            format!("com.atproto.sync.getBlob?did={did}&cid={blob}"),
            format!("com.atproto.repo.describeRepo?repo={did}"),
            "com.atproto.repo.describeRepo?repo=alice.test".to_owned(),
            format!("com.atproto.repo.listRecords?repo={did}&collection=com.example.note"),
            format!("com.atproto.repo.getRecord?repo={did}&{place}"),
            "com.atproto.identity.resolveHandle?handle=alice.test".to_owned(),
            format!("dev.housekey.delegation.getDelegation?actor={did}&id=e2ee"),
            format!("dev.housekey.delegation.listDelegations?actor={did}"),
            format!("dev.housekey.delegation.getAssociatedData?actor={did}&id=e2ee"),
        ]
    }

    /// Queries that name the account among others, or its state, each with what it says while the account is active.
    fn mentions(&self) -> Vec<(String, Value)> {
        let did = &self.alice.account.did;
        vec![
            ("com.atproto.sync.listReposByCollection?collection=com.example.note".to_owned(), json!({ "did": did })),
            ("com.atproto.sync.listRepos".to_owned(), json!({ "did": did, "active": true })),
            (format!("com.atproto.sync.getRepoStatus?did={did}"), json!({ "did": did, "active": true })),
        ]
    }

    /// Pages by host and target.
    fn pages(&self) -> Vec<(&'static str, String)> {
        let did = &self.alice.account.did;
        vec![
            ("alice.test", "/.well-known/atproto-did".to_owned()),
            ("pds.example.com", format!("{WELL_KNOWN_PATH}?did={did}&id=e2ee")),
            ("pds.example.com", "/delegation/alice.test".to_owned()),
            ("pds.example.com", format!("/delegation/{did}")),
        ]
    }

    /// What shows something of alice's, out of everything that a stranger can ask for.
    async fn shown(&self, world: &World) -> BTreeSet<String> {
        let mut shown = BTreeSet::new();
        for target in self.queries() {
            let status = world.status_of(&target, As::Nobody).await;
            assert!(status == 200 || (400..500).contains(&status), "{target}: {status}");
            shown.extend((status == 200).then_some(target));
        }
        for (target, says) in self.mentions() {
            let answer = world.get(&target, As::Nobody).await.json;
            let listed = answer["repos"].as_array().cloned().unwrap_or_else(|| vec![answer]);
            let fits = |of: &Value| says.as_object().unwrap().iter().all(|(name, value)| of.get(name) == Some(value));
            shown.extend(listed.iter().any(fits).then_some(target));
        }
        for (host, target) in self.pages() {
            let status = status_of_page(world, host, &target).await;
            assert!(status == 200 || (400..500).contains(&status), "{target}: {status}");
            shown.extend((status == 200).then_some(target));
        }
        shown.extend(self.told(world).await);
        shown
    }

    /// What a subscriber that begins at the first event hears of alice's repository.
    async fn told(&self, world: &World) -> BTreeSet<String> {
        let feed = Feed::new(&world.server.store, &world.server.tasks, Timestamp::EPOCH);
        let newest = *world.server.store.latest_seq().borrow();
        let mut stream = subscribe(feed, Some(0)).await.unwrap();
        let mut told = BTreeSet::new();
        loop {
            let Some(Item::Frame(frame)) = stream.next().await else { panic!("the stream ended") };
            let (of, seq, word) = match Frame::decode(&frame).unwrap() {
                Frame::Commit(frame) => (frame.repo, frame.seq, Some("its commits")),
                Frame::Sync(frame) => (frame.did, frame.seq, Some("its syncs")),
                Frame::Identity(frame) => (frame.did, frame.seq, None),
                Frame::Account(frame) => (frame.did, frame.seq, None),
                Frame::Info(_) | Frame::Error(_) => continue,
            };
            told.extend(word.filter(|_| of == self.alice.account.did).map(str::to_owned));
            if seq == newest {
                return told;
            }
        }
    }

    /// An event of somebody else's, so that alice's is not the last of the stream.
    async fn bob_is_told(&self, world: &World) {
        update_handle(&world.server, &self.bob.account, "bobby.test").await.unwrap();
    }

    async fn moderate(&self, world: &World, what: &str, applied: bool) {
        let subject = json!({ "$type": "com.atproto.admin.defs#repoRef", "did": self.alice.account.did });
        let input = json!({ "subject": subject, what: { "applied": applied } });
        world.post("com.atproto.admin.updateSubjectStatus", As::Admin, &input).await.ok();
        self.bob_is_told(world).await;
    }
}

async fn status_of_page(world: &World, host: &str, target: &str) -> u16 {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let request = WebRequest {
        method: Method::GET,
        host: host.to_owned(),
        path: path.to_owned(),
        query: query.to_owned(),
        headers: HeaderMap::new(),
        client_ip: Ipv4Addr::LOCALHOST.into(),
        body: Bytes::new(),
    };
    match Arc::new(PdsSite::new(Arc::clone(&world.server))).handle(request).await {
        WebReply::Reply(reply) => reply.status.as_u16(),
        WebReply::Socket(_) => panic!("a page is no socket"),
    }
}

#[tokio::test]
async fn takedown_suspension_and_deletion_leave_nothing_readable_and_a_takedown_that_is_lifted_shows_all_again() {
    let world = World::new().await;
    let scene = Scene::new(&world).await;
    let none = BTreeSet::new();
    let mut all: BTreeSet<String> = scene.queries().into_iter().collect();
    all.extend(scene.mentions().into_iter().map(|(target, _)| target));
    all.extend(scene.pages().into_iter().map(|(_, target)| target));
    all.extend(["its commits", "its syncs"].map(str::to_owned));
    assert_eq!(scene.shown(&world).await, all);
    for what in ["suspended", "takedown"] {
        scene.moderate(&world, what, true).await;
        assert_eq!(scene.shown(&world).await, none, "{what}");
        scene.moderate(&world, what, false).await;
        assert_eq!(scene.shown(&world).await, all, "{what} was lifted");
    }
    scene.moderate(&world, "takedown", true).await;
    let world = world.restart().await;
    assert_eq!(scene.shown(&world).await, none, "after a restart");
    scene.moderate(&world, "takedown", false).await;
    // Only the first transaction: nothing was purged yet.
    let (did, now) = (&scene.alice.account.did, world.server.now());
    let event = event::account(did, Some(AccountStatus::Deleted), now);
    assert!(world.server.store.begin_deletion(scene.alice.account.id, event, now).await.unwrap());
    scene.bob_is_told(&world).await;
    assert_eq!(scene.shown(&world).await, none, "deleted");
    let world = world.restart().await;
    assert_eq!(scene.shown(&world).await, none, "deleted, after a restart");
}

/// Who adds a query that anybody may make says here what it shows of an account.
#[tokio::test]
async fn what_strangers_can_ask_for_is_all_looked_at() {
    let world = World::new().await;
    let scene = Scene::new(&world).await;
    let targets = scene.queries().into_iter().chain(scene.mentions().into_iter().map(|(target, _)| target));
    let looked_at: BTreeSet<String> =
        targets.filter_map(|target| target.split('?').next().map(str::to_owned)).collect();
    let api = Api { server: Arc::clone(&world.server), methods: methods() };
    let did = &scene.alice.account.did;
    let mut open = BTreeSet::new();
    for nsid in methods().names().filter(|nsid| api.kind(nsid) == Some(MethodKind::Query)) {
        // Parameters that a method demands are looked at before credentials.
        let target = match nsid {
            "com.atproto.admin.getAccountInfo" => format!("{nsid}?did={did}"),
            "com.atproto.admin.getAccountInfos" => format!("{nsid}?dids={did}"),
            "com.atproto.server.getServiceAuth" => format!("{nsid}?aud={did}"),
            _ => nsid.to_owned(),
        };
        if !OF_NO_ACCOUNT.contains(&nsid) && world.status_of(&target, As::Nobody).await != 401 {
            open.insert(nsid.to_owned());
        }
    }
    assert_eq!(open, looked_at);
}
