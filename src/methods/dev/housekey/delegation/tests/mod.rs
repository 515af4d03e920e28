//! The delegation methods as a client sees them, on a whole server with a real directory.

mod apps;
mod changes;
mod consent;
mod crashes;
mod data;
mod elsewhere;
mod refusals;
mod schedules;
mod self_custody;
mod self_hosted;
mod served;

use std::time::Duration;

use serde_json::{Value as Json, json};

use crate::{
    clock::Clock,
    crypto::{Curve, DelegateSigningKey, KeyType, SigningKey},
    delegation::{
        AppData, AppDataDraft, Assessment, DelegationId, Draft, Evidence, Source, Statement, assess,
        testing::delegate as key,
    },
    entropy::SeededEntropy,
    ipld::{Cid, Map},
    plc::{Operation, UnsignedOperation, log::standing},
    service::testing::{Answer, As, World},
    store::Account,
    syntax::Tid,
};

const CREATE: &str = "dev.housekey.delegation.createDelegation";
const UPDATE: &str = "dev.housekey.delegation.updateDelegation";
const DELETE: &str = "dev.housekey.delegation.deleteDelegation";
const TOKEN: &str = "dev.housekey.delegation.requestDelegationToken";
const PUT: &str = "dev.housekey.delegation.putAssociatedData";

/// One owner with a session, on a server of her own.
struct Alice {
    world: World,
    account: Account,
    jwt: String,
    refresh: String,
    id: DelegationId,
}

impl Alice {
    async fn new() -> Self {
        Self::on(World::new().await).await
    }

    async fn on(world: World) -> Self {
        let alice = world.signed_up("alice").await;
        let (jwt, refresh) = (alice.tokens.access_jwt, alice.tokens.refresh_jwt);
        Self { account: alice.account, jwt, refresh, world, id: DelegationId::default() }
    }

    /// The same with a delegation of this key.
    async fn with(first: &DelegateSigningKey) -> Self {
        let alice = Self::new().await;
        alice.post(CREATE, &json!({ "statement": alice.claim(first, None) })).await.ok();
        alice
    }

    async fn post(&self, nsid: &str, body: &Json) -> Answer {
        self.world.post(nsid, As::Bearer(&self.jwt), body).await
    }

    /// More than ten minutes later the session is not fresh any more.
    fn wait(&self) {
        self.world.clock.advance(Duration::from_mins(10));
    }

    fn head(&self) -> Cid {
        standing(&self.world.directory.log(&self.account.did)).next_back().unwrap().cid
    }

    fn draft(&self, key: Option<&DelegateSigningKey>) -> Draft {
        Draft {
            did: self.account.did.clone(),
            id: self.id.clone(),
            key: key.map(DelegateSigningKey::public),
            prev: Some(self.head()),
            created_at: self.world.clock.now(),
        }
    }

    fn claim(&self, key: &DelegateSigningKey, endorser: Option<&DelegateSigningKey>) -> Json {
        self.draft(Some(key)).sign(Some(key), endorser).unwrap().to_json()
    }

    fn ending(&self, endorser: &DelegateSigningKey) -> Json {
        self.draft(None).sign(None, Some(endorser)).unwrap().to_json()
    }

    fn entry(&self, app: &str, data: Option<Json>, key: &DelegateSigningKey, number: u16) -> Json {
        let now = self.world.clock.now();
        let draft = AppDataDraft {
            did: self.account.did.clone(),
            id: self.id.clone(),
            app: app.parse().unwrap(),
            rev: Tid::new(now, number),
            data: data.map(|data| map(&data)),
            expires_at: now.plus(Duration::from_hours(24 * 30)),
        };
        draft.sign(key).to_json()
    }

    /// The code that is mailed for this request.
    async fn code(&self, request: &Json) -> String {
        self.post(TOKEN, request).await.ok_empty();
        self.world.mailbox.code()
    }

    /// Her DID as a parameter of a query.
    fn actor(&self) -> String {
        self.account.did.as_str().replace('%', "%25")
    }

    async fn get(&self, method: &str) -> Answer {
        let target = format!("dev.housekey.delegation.{method}?actor={}&id={}", self.actor(), self.id);
        self.world.get(&target, As::Nobody).await
    }

    /// What the DID document names.
    fn named(&self) -> Option<String> {
        self.world.directory.current(&self.account.did).verification_methods.get(self.id.as_str()).cloned()
    }

    /// What a peer concludes from the directory's log and what the server serves.
    async fn assess(&self) -> Assessment {
        let found = self.get("getDelegation").await.ok();
        let statements: Vec<Statement> =
            found["statements"].as_array().unwrap().iter().map(|json| Statement::from_json(json).unwrap()).collect();
        let data = self.get("getAssociatedData").await.ok();
        let entries: Vec<AppData> =
            data["apps"].as_object().unwrap().values().map(|json| AppData::from_json(json).unwrap()).collect();
        assess(&Evidence {
            did: &self.account.did,
            id: &self.id,
            source: Source::Plc(&self.world.directory.log(&self.account.did)),
            statements: Some(&statements),
            entries: &entries,
            pin: None,
            declaration: None,
            now: self.world.clock.now(),
        })
    }

    /// The keys of the statement records.
    async fn records(&self) -> Vec<String> {
        let target =
            format!("com.atproto.repo.listRecords?repo={}&collection=dev.housekey.delegation.statement", self.actor());
        let found = self.world.get(&target, As::Nobody).await.ok();
        found["records"].as_array().unwrap().iter().map(|record| record["uri"].as_str().unwrap().to_owned()).collect()
    }
}

impl Answer {
    /// A success without a body.
    #[track_caller]
    fn ok_empty(self) {
        assert_eq!((self.status, &self.json), (200, &Json::Null), "{}", self.json);
    }
}

fn map(json: &Json) -> Map {
    crate::ipld::json::map_from_json(json).unwrap()
}

fn did_key(key: &DelegateSigningKey) -> String {
    key.public().to_string()
}

const TYPES: [KeyType; 3] = [KeyType::Ed25519, KeyType::P256, KeyType::K256];

fn rotation_key() -> SigningKey {
    SigningKey::generate(Curve::P256, &SeededEntropy::new(4711))
}

/// An owner whose DID has a rotation key of her own before the server's.
async fn with_rotation_key(owner: &SigningKey) -> Alice {
    let alice = Alice::new().await;
    let mut next = UnsignedOperation { prev: Some(alice.head()), ..alice.world.directory.current(&alice.account.did) };
    next.rotation_keys.insert(0, owner.did_key().to_string());
    alice.world.directory.accept(&alice.account.did, &next.sign(&alice.world.server.rotation_key));
    alice
}

/// The operation that names a key, and changes nothing else.
fn naming(alice: &Alice, key: Option<&DelegateSigningKey>, signer: &SigningKey) -> Operation {
    let mut next = UnsignedOperation { prev: Some(alice.head()), ..alice.world.directory.current(&alice.account.did) };
    match key {
        Some(key) => next.verification_methods.insert(alice.id.to_string(), did_key(key)),
        None => next.verification_methods.remove(alice.id.as_str()),
    };
    next.sign(signer)
}
