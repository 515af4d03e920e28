//! The end-to-end demonstration: two people on two servers, one PLC directory, and messages that no server can read.
//!
//! Alice knows Bob's handle and nothing else. Her client reads public methods only: it resolves the handle, takes the
//! log from the directory, asks the server that the log names for statements and associated data, and judges all of it
//! by itself. Then it does MLS (RFC 9420) with the key that it found. Bob's client does the same in the other direction.
#![expect(
    unreachable_pub,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a demonstration stops where something is not as it should be"
)]

use crate::support::Client;
use housekey::{
    clock::{Clock, SystemClock, Timestamp},
    crypto::{DelegateKey, DelegateSigningKey, KeyType},
    delegation::{
        AppDataDraft, Assessment, DelegationId, Draft, Evidence, Pin, Source, Statement, Status, VerifiedLog, VsPin,
        WellKnown, assess,
    },
    entropy::OsEntropy,
    ipld::{Cid, Map},
    plc::Entry,
    syntax::{Did, Nsid, Tid},
};
use mls_rs::{
    CipherSuite, ExtensionList, Group, MlsMessage,
    client_builder::MlsConfig,
    crypto::{SignaturePublicKey, SignatureSecretKey},
    group::ReceivedMessage,
    identity::{
        SigningIdentity,
        basic::{BasicCredential, BasicIdentityProvider},
    },
};
use mls_rs_crypto_rustcrypto::RustCryptoProvider;
use serde_json::{Value, json};
use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

const CREATE: &str = "dev.housekey.delegation.createDelegation";
const UPDATE: &str = "dev.housekey.delegation.updateDelegation";
const TOKEN: &str = "dev.housekey.delegation.requestDelegationToken";
const PUT: &str = "dev.housekey.delegation.putAssociatedData";

/// The app of this demonstration: its entry is `{ keyPackage: bytes }`.
const APP: &str = "com.example.chat.keyPackage";

/// `MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519`.
const SUITE: CipherSuite = CipherSuite::CURVE25519_AES128;

/// How long a key package is offered.
const OFFERED: Duration = Duration::from_hours(24 * 30);

/// Where everything is.
pub struct Places {
    /// Origin of Alice's server.
    pub alice: String,
    /// Origin of Bob's server, which shows its mail at `/dev/mail`.
    pub bob: String,
    /// Origin of the PLC directory.
    pub plc: String,
}

/// The whole story; `say` is told what happens.
pub async fn run(places: &Places, say: impl Fn(&str)) {
    let alice = Owner::sign_up(&places.alice, &places.plc, "alice.test").await;
    let mut bob = Owner::sign_up(&places.bob, &places.plc, "bob.test").await;
    say(&format!("Alice is {} on {}, Bob is {} on {}", alice.did, places.alice, bob.did, places.bob));
    alice.create().await;
    bob.create().await;
    say("both delegated end-to-end encryption to an Ed25519 key that no server has");

    let alice_mls = messenger(&alice.did, &alice.key);
    let bob_mls = messenger(&bob.did, &bob.key);
    bob.offer(&key_package(&bob_mls)).await;
    say("Bob put an MLS key package into his signed associated data");

    // Alice's client, from the handle alone.
    let mut mailbox = Mailbox::default();
    let peer = Peer::by_handle(places, "bob.test").await;
    assert_eq!(peer.did, bob.did);
    peer.may_be_encrypted_to().unwrap();
    let package = peer.key_package();
    assert_leaf(package.as_key_package().unwrap().signing_identity(), &peer);
    say("Alice verified Bob's delegation from public material; the key package is his delegate key's");
    let pin = peer.pin();

    let mut with_bob = alice_mls.create_group(ExtensionList::default(), ExtensionList::default(), None).unwrap();
    let commit = with_bob.commit_builder().add_member(package).unwrap().build().unwrap();
    with_bob.apply_pending_commit().unwrap();
    mailbox.put(&peer.did, &commit.welcome_messages()[0]);

    // Bob's client, from the welcome alone.
    let (mut with_alice, _) = bob_mls.join_group(None, &mailbox.take(&bob.did), None).unwrap();
    let creator = other_member(&with_alice, &bob.did);
    let peer = Peer::by_did(places, did_of(&creator), None).await;
    peer.may_be_encrypted_to().unwrap();
    assert_leaf(&creator, &peer);
    assert_eq!(peer.did, alice.did);
    say("Bob joined by the welcome and verified Alice's delegation in the same way");

    talk(&mut mailbox, &mut with_bob, &bob.did, &mut with_alice, "Hello Bob");
    talk(&mut mailbox, &mut with_alice, &alice.did, &mut with_bob, "Hello Alice");
    say("messages went both ways; the mailbox saw none of the words");

    // Bob takes a new key, and the old one endorses it.
    let new = new_key();
    bob.rotate(&new, true).await;
    let peer = Peer::by_did(places, bob.did.clone(), Some(&pin)).await;
    assert_eq!((peer.vs_pin(), peer.resets()), (VsPin::Successor, 0));
    peer.may_be_encrypted_to().unwrap();
    let pin = peer.pin();
    let (signer, identity) = mls_identity(&bob.did, &new);
    let commit = with_alice.commit_builder().set_new_signing_identity(signer, identity).build().unwrap();
    with_alice.apply_pending_commit().unwrap();
    mailbox.put(&alice.did, commit.commit_message());
    let received = with_bob.process_incoming_message(mailbox.take(&alice.did)).unwrap();
    assert!(matches!(received, ReceivedMessage::Commit(_)), "{received:?}");
    assert_leaf(&other_member(&with_bob, &alice.did), &peer);
    talk(&mut mailbox, &mut with_bob, &bob.did, &mut with_alice, "Still you");
    talk(&mut mailbox, &mut with_alice, &alice.did, &mut with_bob, "Still me");
    say("Bob rotated, endorsed by the key before: the conversation goes on without a word");

    // Bob lost that key: nobody endorses the next.
    bob.rotate(&new_key(), false).await;
    let peer = Peer::by_did(places, bob.did.clone(), Some(&pin)).await;
    assert_eq!((peer.assessment.verdict.status, peer.vs_pin(), peer.resets()), (Status::Verified, VsPin::Reset, 1));
    let warning = peer.may_be_encrypted_to().unwrap_err();
    say(&format!("Bob rotated without an endorsement, and Alice's client stops: {warning}"));
    let stranger = Peer::by_handle(places, "bob.test").await;
    assert_eq!((stranger.vs_pin(), stranger.resets()), (VsPin::None, 1), "the log shows it to newcomers too");
}

/// Somebody with an account, and a key that stays here.
struct Owner {
    did: Did,
    key: DelegateSigningKey,
    session: Client,
    server: Client,
    directory: Client,
}

impl Owner {
    async fn sign_up(server: &str, plc: &str, handle: &str) -> Self {
        let (server, directory) = (Client::new(server), Client::new(plc));
        let (session, did) = server.sign_up(handle).await;
        Self { did: did.parse().unwrap(), key: new_key(), session, server, directory }
    }

    /// Names the first key; the session is fresh, so that nothing else is needed.
    async fn create(&self) {
        let statement = self.draft(&self.key).await.sign(Some(&self.key), None).unwrap();
        let made = self.session.post(CREATE, &json!({ "statement": statement.to_json() })).await.unwrap();
        assert_eq!((&made["state"], &made["key"]), (&json!("active"), &json!(self.key.public().to_string())));
    }

    /// Names the next key: with the endorsement of the present one, or with a mailed code.
    async fn rotate(&mut self, next: &DelegateSigningKey, endorsed: bool) {
        let endorser = endorsed.then_some(&self.key);
        let statement = self.draft(next).await.sign(Some(next), endorser).unwrap().to_json();
        let mut input = json!({ "statement": statement });
        if !endorsed {
            let refused = self.session.post(UPDATE, &input).await.unwrap_err();
            assert_eq!(refused, (400, "\"TokenRequired\"".to_owned()));
            self.session.post(TOKEN, &input).await.unwrap();
            input["token"] = json!(self.mailed_code().await);
        }
        let made = self.session.post(UPDATE, &input).await.unwrap();
        assert_eq!((&made["state"], &made["key"]), (&json!("active"), &json!(next.public().to_string())));
        self.key = next.clone();
    }

    /// Offers a key package to everybody, signed by the delegate key.
    async fn offer(&self, package: &MlsMessage) {
        let now = now();
        let data: Map = [("keyPackage", package.to_bytes().unwrap())].into_iter().collect();
        let draft = AppDataDraft {
            did: self.did.clone(),
            id: DelegationId::default(),
            app: app(),
            rev: Tid::new(now, 0),
            data: Some(data),
            expires_at: now.plus(OFFERED),
        };
        self.session.post(PUT, &json!({ "entry": draft.sign(&self.key).to_json() })).await.unwrap();
    }

    /// A statement at the head of the log, which the owner's client verifies first.
    async fn draft(&self, key: &DelegateSigningKey) -> Draft {
        let prev = head(&self.did, &audit_log(&self.directory, &self.did).await);
        let id = DelegationId::default();
        Draft { did: self.did.clone(), id, key: Some(key.public()), prev: Some(prev), created_at: now() }
    }

    /// The code in the latest mail, which comes first: two groups of five characters on a line of its own.
    async fn mailed_code(&self) -> String {
        let mails = self.server.json("/dev/mail").await;
        let text = mails["mails"].as_array().unwrap().first().unwrap()["text"].as_str().unwrap().to_owned();
        let is_code = |line: &&str| line.len() == 11 && line.as_bytes().get(5) == Some(&b'-');
        text.lines().map(str::trim).find(is_code).unwrap_or_else(|| panic!("no code in {text}")).to_owned()
    }
}

/// What a client found out about somebody else, from public material alone.
struct Peer {
    did: Did,
    assessment: Assessment,
}

impl Peer {
    /// Starts from the handle. The server that answers for the handle is believed in nothing but the DID, and in that only
    /// because the DID's own log names the handle.
    async fn by_handle(places: &Places, handle: &str) -> Self {
        let resolve = format!("com.atproto.identity.resolveHandle?handle={handle}");
        let found = Client::new(&places.bob).get(&resolve).await.unwrap();
        let did: Did = found["did"].as_str().unwrap().parse().unwrap();
        let log = audit_log(&Client::new(&places.plc), &did).await;
        let named = VerifiedLog::new(&did, &log).unwrap().data().unwrap().handle().map(str::to_owned);
        assert_eq!(named.as_deref(), Some(handle));
        Self::by_did(places, did, None).await
    }

    /// The log from the directory; the rest from the server that the log names.
    async fn by_did(places: &Places, did: Did, pin: Option<&Pin>) -> Self {
        let id = DelegationId::default();
        let log = audit_log(&Client::new(&places.plc), &did).await;
        let server = VerifiedLog::new(&did, &log).unwrap().data().unwrap().pds().unwrap().to_owned();
        let server = Client::new(server.trim_end_matches('/'));
        let found = server.get(&format!("dev.housekey.delegation.getDelegation?actor={did}&id={id}")).await.unwrap();
        let statements: Vec<Statement> =
            found["statements"].as_array().unwrap().iter().filter_map(|json| Statement::from_json(json).ok()).collect();
        let resource = server.json(&format!("/.well-known/atproto-delegation?did={did}&id={id}")).await;
        let resource = WellKnown::from_json(&resource, &did, &id).unwrap();
        let entries: Vec<_> = resource.apps.into_values().collect();
        let assessment = assess(&Evidence {
            did: &did,
            id: &id,
            source: Source::Plc(&log),
            statements: Some(&statements),
            entries: &entries,
            pin,
            declaration: None,
            now: now(),
        });
        assert_eq!(resource.statement.map(|statement| statement.cid()), assessment.statement());
        Self { did, assessment }
    }

    /// The rule of every client: only to a verified key, and after a reset only once the user was told.
    fn may_be_encrypted_to(&self) -> Result<(), String> {
        let verdict = &self.assessment.verdict;
        match (verdict.status, verdict.vs_pin) {
            (Status::Verified, VsPin::None | VsPin::Same | VsPin::Successor) => Ok(()),
            (Status::Verified, changed) => Err(format!("the key of {} changed ({changed:?}): compare it", self.did)),
            (status, _) => Err(format!("the delegation of {} is {status:?}", self.did)),
        }
    }

    fn key(&self) -> &DelegateKey {
        self.assessment.key().unwrap().supported().unwrap()
    }

    /// The key package of the app's entry, whose signature and dates were checked.
    fn key_package(&self) -> MlsMessage {
        let entry = &self.assessment.associated.apps[&app()];
        MlsMessage::from_bytes(entry.data().unwrap().get("keyPackage").unwrap().as_bytes().unwrap()).unwrap()
    }

    fn pin(&self) -> Pin {
        self.assessment.to_pin(&self.did, &DelegationId::default()).unwrap()
    }

    fn vs_pin(&self) -> VsPin {
        self.assessment.verdict.vs_pin
    }

    fn resets(&self) -> usize {
        self.assessment.verdict.resets.len()
    }
}

/// A place that keeps bytes for people and knows nothing.
#[derive(Default)]
struct Mailbox {
    waiting: HashMap<Did, VecDeque<Vec<u8>>>,
    seen: Vec<Vec<u8>>,
}

impl Mailbox {
    fn put(&mut self, to: &Did, message: &MlsMessage) {
        let bytes = message.to_bytes().unwrap();
        self.seen.push(bytes.clone());
        self.waiting.entry(to.clone()).or_default().push_back(bytes);
    }

    fn take(&mut self, of: &Did) -> MlsMessage {
        MlsMessage::from_bytes(&self.waiting.get_mut(of).unwrap().pop_front().unwrap()).unwrap()
    }

    fn has_seen(&self, text: &str) -> bool {
        self.seen.iter().any(|bytes| bytes.windows(text.len()).any(|window| window == text.as_bytes()))
    }
}

/// One message from one side to the other, through the mailbox.
fn talk<C: MlsConfig, D: MlsConfig>(
    mailbox: &mut Mailbox,
    from: &mut Group<C>,
    to_did: &Did,
    to: &mut Group<D>,
    text: &str,
) {
    mailbox.put(to_did, &from.encrypt_application_message(text.as_bytes(), Vec::new()).unwrap());
    let received = to.process_incoming_message(mailbox.take(to_did)).unwrap();
    let ReceivedMessage::ApplicationMessage(message) = received else { panic!("not a message: {received:?}") };
    assert_eq!(message.data(), text.as_bytes());
    assert!(!mailbox.has_seen(text));
}

/// An MLS client whose signature key is the delegate key and whose credential is the DID.
fn messenger(did: &Did, key: &DelegateSigningKey) -> mls_rs::Client<impl MlsConfig + use<>> {
    let (signer, identity) = mls_identity(did, key);
    mls_rs::Client::builder()
        .identity_provider(BasicIdentityProvider)
        .crypto_provider(RustCryptoProvider::with_enabled_cipher_suites(vec![SUITE]))
        .signing_identity(identity, signer, SUITE)
        .build()
}

fn mls_identity(did: &Did, key: &DelegateSigningKey) -> (SignatureSecretKey, SigningIdentity) {
    let public = key.public().ed25519_bytes().unwrap().to_vec();
    let secret = SignatureSecretKey::from([key.to_bytes().as_slice(), &public].concat());
    let credential = BasicCredential::new(did.as_str().as_bytes().to_vec()).into_credential();
    (secret, SigningIdentity::new(credential, SignaturePublicKey::from(public)))
}

fn key_package<C: MlsConfig>(client: &mls_rs::Client<C>) -> MlsMessage {
    client.generate_key_package_message(ExtensionList::default(), ExtensionList::default(), None).unwrap()
}

/// The one other member of a group of two.
fn other_member<C: MlsConfig>(group: &Group<C>, own: &Did) -> SigningIdentity {
    let others = group.roster().members().into_iter().map(|member| member.signing_identity);
    let others: Vec<_> = others.filter(|identity| did_of(identity) != *own).collect();
    assert_eq!(others.len(), 1);
    others.into_iter().next().unwrap()
}

fn did_of(identity: &SigningIdentity) -> Did {
    let credential = identity.credential.as_basic().unwrap();
    String::from_utf8(credential.identifier.clone()).unwrap().parse().unwrap()
}

/// The leaf is the peer's: its credential is the DID, its signature key the delegate key that was verified.
fn assert_leaf(identity: &SigningIdentity, peer: &Peer) {
    assert_eq!(did_of(identity), peer.did);
    assert_eq!(identity.signature_key.as_bytes(), peer.key().ed25519_bytes().unwrap());
}

async fn audit_log(directory: &Client, did: &Did) -> Vec<Entry> {
    let log: Value = directory.json(&format!("/{did}/log/audit")).await;
    serde_json::from_value(log).unwrap()
}

fn head(did: &Did, log: &[Entry]) -> Cid {
    VerifiedLog::new(did, log).unwrap().head()
}

fn new_key() -> DelegateSigningKey {
    DelegateSigningKey::generate(KeyType::Ed25519, &OsEntropy)
}

fn app() -> Nsid {
    APP.parse().unwrap()
}

fn now() -> Timestamp {
    SystemClock.now()
}
