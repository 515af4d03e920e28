//! What was remembered of delegations, in a file: which DID a handle meant, and which key was verified.

use std::{collections::BTreeMap, path::Path};

use serde::{Deserialize, Serialize};

use super::{
    files::{self, FileError},
    outcome::interrupts,
};
use crate::{
    delegation::{Assessment, DelegationId, Pin},
    syntax::{Did, Handle},
};

/// Why the file is of no use.
#[derive(Debug, thiserror::Error)]
pub enum PinsError {
    /// The file.
    #[error(transparent)]
    File(#[from] FileError),
    /// It is something else.
    #[error("{0} does not hold what this program remembers: {1}")]
    Format(String, String),
}

/// Everything that a file remembers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pins {
    /// A handle is resolved once; from then on its DID counts.
    #[serde(default)]
    handles: BTreeMap<Handle, Did>,
    /// By DID, `#` and id.
    #[serde(default)]
    pins: BTreeMap<String, Pin>,
}

impl Pins {
    /// From a file; nothing is remembered where there is none.
    ///
    /// # Errors
    /// [`PinsError`].
    pub fn read(path: &Path) -> Result<Self, PinsError> {
        match files::read_text(path) {
            Ok(text) => parse(&text).map_err(|cause| PinsError::Format(path.display().to_string(), cause.to_string())),
            Err(cause) if cause.is_missing() => Ok(Self::default()),
            Err(cause) => Err(cause.into()),
        }
    }

    /// Replaces the file.
    ///
    /// # Errors
    /// [`FileError`].
    pub fn write(&self, path: &Path) -> Result<(), FileError> {
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        files::replace(path, &text)
    }

    /// The DID that a handle meant.
    pub fn did(&self, handle: &Handle) -> Option<&Did> {
        self.handles.get(handle)
    }

    /// What is known of a delegation.
    pub fn get(&self, did: &Did, id: &DelegationId) -> Option<&Pin> {
        self.pins.get(&name(did, id))
    }

    /// Takes in what was verified, unless it does not follow from what was remembered and the user has not `accepted`
    /// that: a warning that goes away by itself is none. Says whether it did.
    pub fn learn(
        &mut self,
        handle: Option<&Handle>,
        did: &Did,
        assessment: &Assessment,
        pin: Option<Pin>,
        accepted: bool,
    ) -> bool {
        let Some(pin) = pin.filter(|_| accepted || !interrupts(assessment.verdict.vs_pin)) else { return false };
        if let Some(handle) = handle {
            self.handles.insert(handle.clone(), did.clone());
        }
        self.pins.insert(name(did, &pin.id), pin);
        true
    }
}

fn name(did: &Did, id: &DelegationId) -> String {
    format!("{did}#{id}")
}

/// An object, and no list: serde would read `[]` as an object without members, and everything would be forgotten.
fn parse(text: &str) -> serde_json::Result<Pins> {
    let members: serde_json::Map<String, serde_json::Value> = serde_json::from_str(text)?;
    serde_json::from_value(members.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        crypto::{DelegateSigningKey, KeyType},
        delegation::testing::{World, delegate},
    };

    fn key(n: u64) -> DelegateSigningKey {
        delegate(KeyType::Ed25519, n)
    }

    fn learn(pins: &mut Pins, world: &World, accepted: bool) -> bool {
        let seen = world.assess_with(pins.get(&world.did, &world.id));
        let pin = seen.to_pin(&world.did, &world.id);
        pins.learn(Some(&"alice.test".parse().unwrap()), &world.did, &seen, pin, accepted)
    }

    fn known(pins: &Pins, world: &World) -> String {
        pins.get(&world.did, &world.id).unwrap().key.as_str().to_owned()
    }

    #[test]
    fn a_file_that_holds_something_else_is_not_an_empty_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("known.json");
        assert_eq!(Pins::read(&path).unwrap(), Pins::default(), "there is none yet");
        for other in ["", "[]", "[{}, {}]", "null", "\"\"", "{\"pin\": {}}", "{\"pins\": []}", "{\"handles\": [[]]}"] {
            std::fs::write(&path, other).unwrap();
            assert!(matches!(Pins::read(&path), Err(PinsError::Format(..))), "{other}");
        }
        Pins::default().write(&path).unwrap();
        assert_eq!(Pins::read(&path).unwrap(), Pins::default());
    }

    #[test]
    fn an_endorsed_successor_is_learnt_and_a_reset_only_when_it_was_accepted() {
        let (mut pins, mut world) = (Pins::default(), World::new(1));
        world.delegate(&key(1), None);
        assert!(learn(&mut pins, &world, false));
        assert_eq!(pins.did(&"alice.test".parse().unwrap()), Some(&world.did));
        world.pass(std::time::Duration::from_hours(1));
        world.delegate(&key(2), Some(&key(1)));
        assert!(learn(&mut pins, &world, false));
        world.pass(std::time::Duration::from_hours(1));
        world.delegate(&key(3), None);
        assert!(!learn(&mut pins, &world, false));
        assert_eq!(known(&pins, &world), key(2).public().to_string());
        assert!(learn(&mut pins, &world, true));
        assert_eq!(known(&pins, &world), key(3).public().to_string());
    }

    #[test]
    fn what_was_not_verified_is_not_learnt_even_when_it_was_accepted() {
        let (mut pins, mut world) = (Pins::default(), World::new(1));
        world.name(Some(&key(1).public()));
        assert!(!learn(&mut pins, &world, true));
        assert_eq!(pins, Pins::default());
    }

    #[test]
    fn a_file_gives_back_what_was_written_and_anything_else_is_refused_in_words() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pins.json");
        assert_eq!(Pins::read(&path).unwrap(), Pins::default(), "nothing is remembered where there is no file");
        let (mut pins, mut world) = (Pins::default(), World::new(1));
        world.delegate(&key(1), None);
        learn(&mut pins, &world, false);
        pins.write(&path).unwrap();
        assert_eq!(Pins::read(&path).unwrap(), pins);
        for text in ["", "7", r#"{"pins":{},"more":1}"#, r#"{"pins":{"did:plc:x#e2ee":{}}}"#] {
            std::fs::write(&path, text).unwrap();
            let refused = Pins::read(&path).unwrap_err().to_string();
            assert!(refused.contains("pins.json"), "{refused}");
        }
    }
}
