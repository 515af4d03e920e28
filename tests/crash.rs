//! kill -9 while accounts write: every acknowledged write is there afterwards, and the event stream alone rebuilds every
//! repository. kill -9 while a delegation changes: document and statements agree afterwards.
#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test stops where its server does, and spawns its own writers"
)]

mod support;

use housekey::{
    clock::{Clock, SystemClock},
    crypto::{DelegateSigningKey, KeyType},
    delegation::{DelegationId, Draft, VerifiedLog},
    entropy::{OsEntropy, random_bytes},
    event::Frame,
    ipld::{Cid, car},
    plc::Entry,
    repo::{Commit, mst},
    syntax::Did,
};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex},
};
use support::{Client, Running, Stream, free_port, serve};

const POSTS: &str = "app.bsky.feed.post";

/// What a client was told is done: DID, record key, CID (none: deleted).
type Acknowledged = Arc<Mutex<HashMap<(String, String), Option<String>>>>;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_acknowledged_write_survives_a_kill_and_the_stream_rebuilds_every_repository() {
    let plc = Running::dev(&["--accounts", "", "--no-plc-limits"]);
    let dir = tempfile::tempdir().unwrap();
    let port = free_port();
    let base = format!("http://localhost:{port}");
    let start = || Running::start(&mut serve(dir.path(), port, plc.text("plc")));

    let mut server = start();
    let anyone = Client::new(&base);
    let mut writers = Vec::new();
    for name in ["one.test", "two.test", "three.test", "four.test"] {
        writers.push(anyone.sign_up(name).await);
    }
    let acknowledged = Acknowledged::default();
    for round in 0..4_usize {
        let tasks: Vec<_> = writers
            .iter()
            .cloned()
            .map(|(client, did)| tokio::spawn(write_until_killed(client, did, acknowledged.clone())))
            .collect();
        wait_for(&acknowledged, (round + 1) * 40).await;
        server.kill();
        for task in tasks {
            task.await.unwrap();
        }
        server = start();
    }

    let promised = acknowledged.lock().unwrap().clone();
    for ((did, rkey), cid) in promised {
        let read = anyone.get(&format!("com.atproto.repo.getRecord?repo={did}&collection={POSTS}&rkey={rkey}")).await;
        match cid {
            Some(cid) => assert_eq!(read.unwrap()["cid"].as_str(), Some(cid.as_str())),
            None => assert_eq!(read.unwrap_err().0, 400),
        }
    }
    let heads = heads(&anyone).await;
    assert_eq!(replay(&base, &heads).await, heads);
    assert_eq!(server.terminate(), Some(0));
}

/// Creates, and now and then deletes, until the connection breaks.
async fn write_until_killed(client: Client, did: String, acknowledged: Acknowledged) {
    for n in 0_u32.. {
        let record = json!({"$type": POSTS, "text": format!("{n}"), "createdAt": "2026-01-01T00:00:00.000Z"});
        let body = json!({"repo": did, "collection": POSTS, "record": record});
        let made = match client.post("com.atproto.repo.createRecord", &body).await {
            Ok(made) => made,
            Err((0, _)) => return,
            Err(refused) => panic!("a write was refused: {refused:?}"),
        };
        let rkey = made["uri"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
        let cid = made["cid"].as_str().unwrap().to_owned();
        acknowledged.lock().unwrap().insert((did.clone(), rkey.clone()), Some(cid));
        if n % 4 == 3 {
            // Not asked about until it is answered: a kill leaves open whether the deletion happened.
            acknowledged.lock().unwrap().remove(&(did.clone(), rkey.clone()));
            let body = json!({"repo": did, "collection": POSTS, "rkey": rkey});
            if client.post("com.atproto.repo.deleteRecord", &body).await.is_err() {
                return;
            }
            acknowledged.lock().unwrap().insert((did.clone(), rkey), None);
        }
    }
}

async fn wait_for(acknowledged: &Acknowledged, count: usize) {
    let enough = async {
        while acknowledged.lock().unwrap().len() < count {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(support::PATIENCE, enough).await.expect("the writers came to a stop");
}

/// DID to the CID of its latest commit, as the server tells.
async fn heads(client: &Client) -> BTreeMap<String, String> {
    let listed = client.get("com.atproto.sync.listRepos").await.unwrap();
    let text = |repo: &Value, key: &str| repo[key].as_str().unwrap().to_owned();
    listed["repos"].as_array().unwrap().iter().map(|repo| (text(repo, "did"), text(repo, "head"))).collect()
}

/// Reads the stream from its start, applies every operation, and checks each commit's tree against the one rebuilt from
/// scratch. Ends when every repository has reached its head.
async fn replay(base: &str, heads: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let mut repos: HashMap<String, BTreeMap<String, Cid>> = HashMap::new();
    let mut latest = BTreeMap::new();
    let mut last_seq = 0;
    let mut stream = Stream::open(base, 0).await;
    while &latest != heads {
        let frame = stream.next().await.expect("the stream ended before every head was reached");
        let Frame::Commit(event) = Frame::decode(&frame).unwrap() else { continue };
        assert!(event.seq > last_seq, "numbers only grow");
        last_seq = event.seq;
        let records = repos.entry(event.repo.to_string()).or_default();
        let before = root_of(records);
        assert!(event.prev_data.is_none_or(|prev| prev == before), "each commit builds on the one before");
        for op in &event.ops {
            match op.cid {
                Some(cid) => drop(records.insert(op.path.clone(), cid)),
                None => drop(records.remove(&op.path)),
            }
        }
        let (_, blocks) = car::read_all(&event.blocks).unwrap();
        let (_, commit) = blocks.iter().find(|(cid, _)| *cid == event.commit).unwrap();
        assert_eq!(Commit::decode(commit).unwrap().unsigned.data, root_of(records));
        latest.insert(event.repo.to_string(), event.commit.to_string());
    }
    latest
}

fn root_of(records: &BTreeMap<String, Cid>) -> Cid {
    mst::build(records.iter().map(|(key, cid)| (key, *cid)), &mut |_| {}).unwrap()
}

/// Somebody who changes a delegation again and again.
struct Owner {
    did: Did,
    session: Client,
    directory: Client,
}

impl Owner {
    async fn log(&self) -> Vec<Entry> {
        serde_json::from_value(self.directory.json(&format!("/{}/log/audit", self.did)).await).unwrap()
    }

    /// Names the next key; what is said of it, or that the connection broke.
    async fn name(
        &self,
        next: &DelegateSigningKey,
        before: Option<&DelegateSigningKey>,
    ) -> Result<Value, (u16, String)> {
        let draft = Draft {
            did: self.did.clone(),
            id: DelegationId::default(),
            key: Some(next.public()),
            prev: Some(VerifiedLog::new(&self.did, &self.log().await).unwrap().head()),
            created_at: SystemClock.now(),
        };
        let method = if before.is_some() { "updateDelegation" } else { "createDelegation" };
        let statement = draft.sign(Some(next), before).unwrap().to_json();
        self.session.post(&format!("dev.housekey.delegation.{method}"), &json!({ "statement": statement })).await
    }

    /// Rotates until the connection breaks; gives the keys that were sent and not answered for, the last first, and counts
    /// those that were.
    async fn rotate_until_killed(
        &self,
        mut current: DelegateSigningKey,
        done: Arc<Mutex<usize>>,
    ) -> Vec<DelegateSigningKey> {
        loop {
            let next = new_key();
            match self.name(&next, Some(&current)).await {
                Ok(made) => {
                    assert_eq!((&made["state"], &made["key"]), (&json!("active"), &json!(next.public().to_string())));
                    *done.lock().unwrap() += 1;
                    current = next;
                }
                // The directory's budget is used up, or the server is dead.
                Err((429 | 0, _)) => return vec![next, current],
                Err(refused) => panic!("a change was refused: {refused:?}"),
            }
        }
    }

    /// Waits until document and statements agree, and gives the key.
    async fn settled(&self) -> String {
        let agree = async {
            loop {
                let log = self.log().await;
                let named = VerifiedLog::new(&self.did, &log).unwrap();
                let named = named.data().unwrap().verification_methods["e2ee"].clone();
                let asked = format!("dev.housekey.delegation.getDelegation?actor={}", self.did);
                let found = self.session.get(&asked).await.unwrap();
                let count = found["statements"].as_array().unwrap().len();
                if found["key"] == named && found["state"] == "active" && count + 1 == log.len() {
                    return named;
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(support::PATIENCE, agree).await.expect("document and statements do not agree")
    }
}

fn new_key() -> DelegateSigningKey {
    DelegateSigningKey::generate(KeyType::Ed25519, &OsEntropy)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delegation_whose_server_is_killed_at_any_instant_agrees_with_its_document_after_the_restart() {
    let plc = Running::dev(&["--accounts", "", "--no-plc-limits"]);
    let dir = tempfile::tempdir().unwrap();
    let port = free_port();
    let base = format!("http://localhost:{port}");
    let start = || Running::start(&mut serve(dir.path(), port, plc.text("plc")));
    let mut server = start();
    let mut current = new_key();
    for round in 0..4_u32 {
        let (session, did) = Client::new(&base).sign_up(&format!("user{round}.test")).await;
        let owner = Arc::new(Owner { did: did.parse().unwrap(), session, directory: Client::new(plc.text("plc")) });
        owner.name(&current, None).await.unwrap();
        let done = Arc::new(Mutex::new(0));
        let (own, counted) = (Arc::clone(&owner), Arc::clone(&done));
        let rotating = tokio::spawn(async move { own.rotate_until_killed(current, counted).await });
        let enough = async {
            while *done.lock().unwrap() < 2 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(support::PATIENCE, enough).await.expect("the owner came to a stop");
        // Somewhere within the next change.
        for _ in 0..u16::from_le_bytes(random_bytes(&OsEntropy)) % 4_000 {
            tokio::task::yield_now().await;
        }
        server.kill();
        let possible = rotating.await.unwrap();
        server = start();
        let named = owner.settled().await;
        assert!(possible.iter().any(|key| key.public().to_string() == named), "round {round}");
        current = new_key();
    }
    assert_eq!(server.terminate(), Some(0));
}
