//! What the tests of operations share: keys, a state, and a directory with one DID.

mod chain;
mod content;

use std::time::Duration;

use super::*;
use crate::{
    clock::Timestamp,
    crypto::{Curve, SigningKey},
    entropy::SeededEntropy,
    syntax::Did,
};

const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

fn key(n: u64) -> SigningKey {
    SigningKey::generate(if n.is_multiple_of(2) { Curve::K256 } else { Curve::P256 }, &SeededEntropy::new(n))
}

fn did_key(n: u64) -> String {
    key(n).did_key().to_string()
}

/// A genesis with rotation keys 0, 1 and 2.
fn unsigned() -> UnsignedOperation {
    let rotation_keys = (0..3).map(did_key).collect();
    UnsignedOperation::genesis(
        &key(9).did_key(),
        &"alice.test".parse().unwrap(),
        "http://localhost:2583",
        rotation_keys,
    )
}

/// The rules of a directory with one DID.
struct Directory {
    did: Did,
    log: Vec<Entry>,
}

impl Directory {
    fn new() -> Self {
        let genesis = unsigned().sign(&key(1));
        let mut directory = Self { did: genesis.did_for_genesis(), log: Vec::new() };
        directory.post(&genesis, NOW).unwrap();
        directory
    }

    fn post(&mut self, operation: &Operation, now: Timestamp) -> Result<usize, directory::Refusal> {
        let accepted = directory::accept(&self.did, &self.log, operation, now)?;
        for entry in &mut self.log {
            entry.nullified |= accepted.nullifies.contains(&entry.cid);
        }
        self.log.push(accepted.entry);
        Ok(accepted.nullifies.len())
    }

    fn cid(&self, index: usize) -> crate::ipld::Cid {
        self.log[index].cid
    }

    /// An update that follows entry `index`, with the handle `name.test`.
    fn update(&self, index: usize, name: &str, signer: u64) -> Operation {
        let mut next = unsigned();
        next.set_handle(&format!("{name}.test").parse().unwrap());
        next.prev = Some(self.cid(index));
        next.sign(&key(signer))
    }

    fn verify(&self) -> Result<State, LogError> {
        verify_log(&self.did, &self.log)
    }
}

fn after(hours: u64) -> Timestamp {
    NOW.plus(Duration::from_hours(hours))
}

fn rule(result: Result<usize, directory::Refusal>) -> RuleError {
    match result {
        Err(directory::Refusal::Rule(cause)) => cause,
        other @ (Ok(_) | Err(_)) => panic!("not refused by a rule: {other:?}"),
    }
}
