//! What somebody can and cannot do with a session, or with a delegate key, that is not theirs. `docs/security.md` is the
//! table.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test stops where its server does")]

mod support;

use housekey::{
    clock::{Clock, SystemClock},
    crypto::{DelegateSigningKey, KeyType},
    delegation::{AppDataDraft, DelegationId, Draft, Evidence, Source, Statement, Status, VerifiedLog, assess},
    entropy::OsEntropy,
    ipld::Map,
    plc::Entry,
    syntax::{Did, Tid},
};
use serde_json::{Value, json};
use std::time::Duration;
use support::{Client, Running};

const CREATE: &str = "createDelegation";
const UPDATE: &str = "updateDelegation";
const DELETE: &str = "deleteDelegation";
const PUT: &str = "putAssociatedData";

#[tokio::test]
async fn a_stolen_session_without_the_key_changes_nothing() {
    let (account, key, thief) = (Account::new().await, new_key(), new_key());
    account.call(CREATE, &json!({ "statement": account.statement(Some(&key), None).await })).await.unwrap();

    let own = json!({ "statement": account.statement(Some(&thief), None).await });
    account.refused(UPDATE, &own, "TokenRequired").await;
    account.refused(UPDATE, &json!({ "statement": own["statement"], "token": "AAAAA-AAAAA" }), "InvalidToken").await;
    account.refused(CREATE, &own, "DelegationExists").await;
    let forged = account.statement(Some(&thief), Some(&thief)).await;
    account.refused(UPDATE, &json!({ "statement": forged }), "InvalidEndorsement").await;
    account.refused(DELETE, &json!({ "id": "e2ee" }), "TokenRequired").await;
    let forged = account.statement(None, Some(&thief)).await;
    account.refused(DELETE, &json!({ "statement": forged }), "InvalidEndorsement").await;
    account.refused(PUT, &json!({ "entry": account.entry(&thief) }), "InvalidAssociatedData").await;
    for collection in ["statement", "data"] {
        let collection = format!("dev.housekey.delegation.{collection}");
        let record = json!({ "repo": account.did, "collection": collection, "rkey": "e2ee:x", "record": { "$type": collection } });
        for method in ["createRecord", "putRecord", "deleteRecord"] {
            let refused = account.session.post(&format!("com.atproto.repo.{method}"), &record).await.unwrap_err();
            assert_eq!(refused, (400, "\"ReservedCollection\"".to_owned()), "{method} {collection}");
        }
    }
    account.is_verified(&key, 0).await;
}

#[tokio::test]
async fn a_stolen_fresh_session_names_the_first_key_of_an_unused_id_and_the_owner_is_told() {
    let (account, thief) = (Account::new().await, new_key());
    let mails = account.mails().await.len();
    account.call(CREATE, &json!({ "statement": account.statement(Some(&thief), None).await })).await.unwrap();
    let mails_now = account.mails().await;
    assert_eq!(mails_now.len(), mails + 1);
    assert_eq!(mails_now.first().unwrap()["to"], "olivia.test@example.com");
    account.is_verified(&thief, 0).await;
}

#[tokio::test]
async fn a_stolen_old_key_does_nothing_even_with_a_session() {
    let (account, old, new, thief) = (Account::new().await, new_key(), new_key(), new_key());
    account.call(CREATE, &json!({ "statement": account.statement(Some(&old), None).await })).await.unwrap();
    account.call(UPDATE, &json!({ "statement": account.statement(Some(&new), Some(&old)).await })).await.unwrap();

    let endorsed = account.statement(Some(&thief), Some(&old)).await;
    account.refused(UPDATE, &json!({ "statement": endorsed }), "InvalidEndorsement").await;
    let back = account.statement(Some(&old), Some(&old)).await;
    account.refused(UPDATE, &json!({ "statement": back }), "InvalidEndorsement").await;
    let back = account.statement(Some(&old), None).await;
    account.refused(UPDATE, &json!({ "statement": back }), "TokenRequired").await;
    let ending = account.statement(None, Some(&old)).await;
    account.refused(DELETE, &json!({ "statement": ending }), "InvalidEndorsement").await;
    account.refused(PUT, &json!({ "entry": account.entry(&old) }), "InvalidAssociatedData").await;
    account.is_verified(&new, 0).await;
}

#[tokio::test]
async fn the_present_key_without_a_session_does_nothing_at_the_server() {
    let (account, key, thief) = (Account::new().await, new_key(), new_key());
    account.call(CREATE, &json!({ "statement": account.statement(Some(&key), None).await })).await.unwrap();
    let endorsed = json!({ "statement": account.statement(Some(&thief), Some(&key)).await });
    let refused = account.server.post("dev.housekey.delegation.updateDelegation", &endorsed).await.unwrap_err();
    assert_eq!(refused, (401, "\"AuthMissing\"".to_owned()));
    account.is_verified(&key, 0).await;
}

/// An account on a server of its own, with a session that somebody may have stolen.
struct Account {
    did: Did,
    session: Client,
    server: Client,
    directory: Client,
    _running: Running,
}

impl Account {
    async fn new() -> Self {
        let running = Running::dev(&["--accounts", "", "--no-plc-limits"]);
        let (server, directory) = (Client::new(running.text("pds")), Client::new(running.text("plc")));
        let (session, did) = server.sign_up("olivia.test").await;
        Self { did: did.parse().unwrap(), session, server, directory, _running: running }
    }

    async fn call(&self, method: &str, input: &Value) -> Result<Value, (u16, String)> {
        self.session.post(&format!("dev.housekey.delegation.{method}"), input).await
    }

    async fn refused(&self, method: &str, input: &Value, name: &str) {
        assert_eq!(self.call(method, input).await.unwrap_err(), (400, json!(name).to_string()), "{method}");
    }

    async fn log(&self) -> Vec<Entry> {
        serde_json::from_value(self.directory.json(&format!("/{}/log/audit", self.did)).await).unwrap()
    }

    /// A statement at the head of the log.
    async fn statement(&self, key: Option<&DelegateSigningKey>, endorser: Option<&DelegateSigningKey>) -> Value {
        let draft = Draft {
            did: self.did.clone(),
            id: DelegationId::default(),
            key: key.map(DelegateSigningKey::public),
            prev: Some(VerifiedLog::new(&self.did, &self.log().await).unwrap().head()),
            created_at: SystemClock.now(),
        };
        draft.sign(key, endorser).unwrap().to_json()
    }

    fn entry(&self, key: &DelegateSigningKey) -> Value {
        let now = SystemClock.now();
        let draft = AppDataDraft {
            did: self.did.clone(),
            id: DelegationId::default(),
            app: "com.example.chat".parse().unwrap(),
            rev: Tid::new(now, 0),
            data: Some(Map::new()),
            expires_at: now.plus(Duration::from_hours(1)),
        };
        draft.sign(key).to_json()
    }

    async fn mails(&self) -> Vec<Value> {
        self.server.json("/dev/mail").await["mails"].as_array().unwrap().clone()
    }

    /// What a peer concludes: this key is the verified one, with so many resets before it, and nothing else is offered.
    async fn is_verified(&self, key: &DelegateSigningKey, resets: usize) {
        let found =
            self.server.get(&format!("dev.housekey.delegation.getDelegation?actor={}", self.did)).await.unwrap();
        let statements: Vec<Statement> =
            found["statements"].as_array().unwrap().iter().map(|json| Statement::from_json(json).unwrap()).collect();
        let data = self.server.get(&format!("dev.housekey.delegation.getAssociatedData?actor={}", self.did)).await;
        assert_eq!(data.unwrap()["apps"], json!({}));
        let seen = assess(&Evidence {
            did: &self.did,
            id: &DelegationId::default(),
            source: Source::Plc(&self.log().await),
            statements: Some(&statements),
            entries: &[],
            pin: None,
            declaration: None,
            now: SystemClock.now(),
        });
        assert_eq!((seen.verdict.status, seen.verdict.resets.len()), (Status::Verified, resets));
        assert_eq!(seen.key().unwrap().as_str(), key.public().to_string());
    }
}

fn new_key() -> DelegateSigningKey {
    DelegateSigningKey::generate(KeyType::Ed25519, &OsEntropy)
}
