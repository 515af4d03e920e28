//! A small world for tests, benches and vectors: one DID with its log, its owner's keys and its server's, and the
//! statements that were made.
#![expect(clippy::expect_used, reason = "its inputs are fixed: a failure is a bug in it")]

use std::time::Duration;

use super::{
    AppData, AppDataDraft, Assessment, DelegationId, Draft, Evidence, Pin, Source, Statement, VerifiedLog, assess,
};
use crate::{
    clock::Timestamp,
    crypto::{Curve, DelegateKey, DelegateSigningKey, KeyType, SigningKey},
    entropy::SeededEntropy,
    ipld::{Cid, Map},
    plc::{Entry, Operation, UnsignedOperation, directory, log::standing},
    syntax::{Did, Nsid, Tid},
};

/// When a world begins.
pub const START: Timestamp = Timestamp::from_secs(1_800_000_000);

/// The same key for the same type and number.
pub fn delegate(key_type: KeyType, n: u64) -> DelegateSigningKey {
    DelegateSigningKey::generate(key_type, &SeededEntropy::new(1000 + n))
}

/// One DID and all that is known of it.
#[derive(Clone)]
pub struct World {
    /// The DID.
    pub did: Did,
    /// The delegation id.
    pub id: DelegationId,
    /// The owner's rotation key, the stronger one.
    pub owner: SigningKey,
    /// The server's rotation key.
    pub server: SigningKey,
    /// The account's signing key.
    pub signing: SigningKey,
    /// The log.
    pub log: Vec<Entry>,
    /// Statements that a reader is shown.
    pub statements: Vec<Statement>,
    /// Associated data that a reader is shown.
    pub entries: Vec<AppData>,
    /// The time.
    pub now: Timestamp,
}

impl World {
    /// A new DID with the owner's and the server's rotation keys and no delegation.
    pub fn new(seed: u64) -> Self {
        let key = |n, curve| SigningKey::generate(curve, &SeededEntropy::new(seed * 10 + n));
        let (owner, server, signing) = (key(1, Curve::P256), key(2, Curve::K256), key(3, Curve::K256));
        let rotation_keys = [&owner, &server].map(|key| key.did_key().to_string()).to_vec();
        let handle = "alice.test".parse().expect("a handle");
        let genesis = UnsignedOperation::genesis(&signing.did_key(), &handle, "https://pds.test", rotation_keys);
        let genesis = genesis.sign(&server);
        let did = genesis.did_for_genesis();
        let log = vec![Entry::new(did.clone(), genesis, START)];
        let id = DelegationId::default();
        Self { did, id, owner, server, signing, log, statements: Vec::new(), entries: Vec::new(), now: START }
    }

    /// Lets time pass.
    pub fn pass(&mut self, span: Duration) {
        self.now = self.now.plus(span);
    }

    /// The head of the log.
    pub fn head(&self) -> Cid {
        standing(&self.log).next_back().expect("a genesis").cid
    }

    /// The present state.
    pub fn state(&self) -> UnsignedOperation {
        standing(&self.log).next_back().and_then(|entry| entry.operation.normalized()).expect("a state")
    }

    /// Hands an operation to the directory.
    pub fn post(&mut self, operation: &Operation) -> Cid {
        let accepted =
            directory::accept(&self.did, &self.log, operation, self.now).expect("an operation that is taken");
        for entry in &mut self.log {
            entry.nullified |= accepted.nullifies.contains(&entry.cid);
        }
        let cid = accepted.entry.cid;
        self.log.push(accepted.entry);
        cid
    }

    /// The operation that follows the head and makes the id name this key, or none.
    pub fn naming(&self, key: Option<&DelegateKey>, signer: &SigningKey) -> Operation {
        let mut next = UnsignedOperation { prev: Some(self.head()), ..self.state() };
        match key {
            Some(key) => next.verification_methods.insert(self.id.to_string(), key.to_string()),
            None => next.verification_methods.remove(self.id.as_str()),
        };
        next.sign(signer)
    }

    /// The server makes the id name this key, or none.
    pub fn name(&mut self, key: Option<&DelegateKey>) -> Cid {
        let operation = self.naming(key, &self.server);
        self.post(&operation)
    }

    /// The owner rewrites what followed `prev`, so that the id names this key from there on.
    pub fn recover(&mut self, prev: Cid, key: Option<&DelegateKey>) -> Cid {
        let entry = self.log.iter().find(|entry| entry.cid == prev).expect("an entry");
        let mut next = UnsignedOperation { prev: Some(prev), ..entry.operation.normalized().expect("a state") };
        match key {
            Some(key) => next.verification_methods.insert(self.id.to_string(), key.to_string()),
            None => next.verification_methods.remove(self.id.as_str()),
        };
        let operation = next.sign(&self.owner);
        self.post(&operation)
    }

    /// A change that has nothing to do with the delegation.
    pub fn rename(&mut self, name: &str) -> Cid {
        let mut next = UnsignedOperation { prev: Some(self.head()), ..self.state() };
        next.set_handle(&format!("{name}.test").parse().expect("a handle"));
        let operation = next.sign(&self.server);
        self.post(&operation)
    }

    /// A statement by this key at the head.
    pub fn claim(&self, key: &DelegateSigningKey, endorser: Option<&DelegateSigningKey>) -> Statement {
        self.claim_at(self.head(), key, endorser)
    }

    /// A statement by this key with this `prev`.
    pub fn claim_at(&self, prev: Cid, key: &DelegateSigningKey, endorser: Option<&DelegateSigningKey>) -> Statement {
        self.draft(prev, Some(key)).sign(Some(key), endorser).expect("a statement of the right shape")
    }

    /// A statement that ends the delegation, at the head.
    pub fn ending(&self, endorser: &DelegateSigningKey) -> Statement {
        self.draft(self.head(), None).sign(None, Some(endorser)).expect("a statement of the right shape")
    }

    /// What a statement would say.
    pub fn draft(&self, prev: Cid, key: Option<&DelegateSigningKey>) -> Draft {
        Draft {
            did: self.did.clone(),
            id: self.id.clone(),
            key: key.map(DelegateSigningKey::public),
            prev: Some(prev),
            created_at: self.now,
        }
    }

    /// Everything that creating or rotating honestly does: the statement, then the operation.
    pub fn delegate(&mut self, key: &DelegateSigningKey, endorser: Option<&DelegateSigningKey>) -> Cid {
        let statement = self.claim(key, endorser);
        self.statements.push(statement);
        self.name(Some(&key.public()))
    }

    /// Ends the delegation honestly.
    pub fn end(&mut self, endorser: &DelegateSigningKey) -> Cid {
        let statement = self.ending(endorser);
        self.statements.push(statement);
        self.name(None)
    }

    /// An entry of associated data that holds for 30 days.
    pub fn entry(&self, app: &str, data: Option<Map>, key: &DelegateSigningKey) -> AppData {
        AppDataDraft {
            did: self.did.clone(),
            id: self.id.clone(),
            app: app.parse::<Nsid>().expect("an NSID"),
            rev: Tid::new(self.now, 0),
            data,
            expires_at: self.now.plus(Duration::from_hours(24 * 30)),
        }
        .sign(key)
    }

    /// The log, verified.
    pub fn verified(&self) -> VerifiedLog<'_> {
        VerifiedLog::new(&self.did, &self.log).expect("a log that verifies")
    }

    /// What a peer with nothing remembered concludes.
    pub fn assess(&self) -> Assessment {
        self.assess_with(None)
    }

    /// What a peer who remembers this concludes.
    pub fn assess_with(&self, pin: Option<&Pin>) -> Assessment {
        assess(&self.evidence(pin))
    }

    /// What a peer has before it.
    pub fn evidence<'a>(&'a self, pin: Option<&'a Pin>) -> Evidence<'a> {
        Evidence {
            did: &self.did,
            id: &self.id,
            source: Source::Plc(&self.log),
            statements: Some(&self.statements),
            entries: &self.entries,
            pin,
            declaration: None,
            now: self.now,
        }
    }

    /// What a peer remembers after reading this.
    pub fn pin(&self) -> Pin {
        self.assess().to_pin(&self.did, &self.id).expect("a verified delegation")
    }
}
