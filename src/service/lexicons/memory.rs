//! Schemas that were looked up, and names that have none.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use super::{Answer, LexiconError, Resolved};
use crate::{
    clock::Timestamp,
    lexicon::Document,
    limits::lexicon::{ABSENT, FRESH, REMEMBERED, REMEMBERED_BYTES},
    syntax::Nsid,
};

/// Bounded in entries and in bytes; the oldest go first.
#[derive(Default)]
pub(super) struct Memory(RwLock<Entries>);

#[derive(Default)]
struct Entries {
    by_name: HashMap<Nsid, Entry>,
    bytes: usize,
}

struct Entry {
    answer: Answer,
    at: Timestamp,
}

impl Entry {
    fn bytes(&self) -> usize {
        self.answer.as_ref().map_or(0, |resolved| resolved.record.len())
    }
}

impl Memory {
    /// A schema, however old.
    pub(super) fn document(&self, nsid: &str) -> Option<Arc<Document>> {
        self.with(|entries| {
            let resolved = entries.by_name.get(nsid)?.answer.as_ref().ok()?;
            Some(Arc::clone(&resolved.document))
        })
    }

    fn with<T>(&self, look: impl FnOnce(&Entries) -> T) -> T {
        look(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// What was found lately.
    pub(super) fn fresh(&self, nsid: &Nsid, now: Timestamp) -> Option<Answer> {
        self.with(|entries| {
            let entry = entries.by_name.get(nsid)?;
            let fresh_for = if entry.answer.is_ok() { FRESH } else { ABSENT };
            (now.since(entry.at) < fresh_for).then(|| entry.answer.clone())
        })
    }

    /// Remembers what a look-up came to, and says what counts from now on: an old schema stays while its authority cannot
    /// be asked.
    pub(super) fn remember(&self, nsid: &Nsid, answer: Answer, now: Timestamp) -> Answer {
        let mut entries = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let known: Option<Arc<Resolved>> = entries.by_name.get(nsid).and_then(|entry| entry.answer.clone().ok());
        let answer = match (answer, known) {
            (Err(LexiconError::Unavailable(_)), Some(known)) => Ok(known),
            (answer, _) => answer,
        };
        let entry = Entry { answer: answer.clone(), at: now };
        entries.bytes = entries.bytes.saturating_add(entry.bytes());
        if let Some(old) = entries.by_name.insert(nsid.clone(), entry) {
            entries.bytes = entries.bytes.saturating_sub(old.bytes());
        }
        entries.make_room();
        drop(entries);
        answer
    }
}

impl Entries {
    fn make_room(&mut self) {
        while self.by_name.len() > REMEMBERED || self.bytes > REMEMBERED_BYTES {
            let oldest = self.by_name.iter().min_by_key(|(_, entry)| entry.at).map(|(nsid, _)| nsid.clone());
            let Some(gone) = oldest.and_then(|nsid| self.by_name.remove(&nsid)) else { return };
            self.bytes = self.bytes.saturating_sub(gone.bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ipld::Cid;
    use bytes::Bytes;

    const AT: Timestamp = Timestamp::from_secs(1_000_000);

    fn name(n: usize) -> Nsid {
        format!("com.example.kind{n}").parse().unwrap()
    }

    fn found(n: usize, bytes: usize) -> Arc<Resolved> {
        let text = format!(r#"{{"lexicon":1,"id":"{}","defs":{{}}}}"#, name(n));
        Arc::new(Resolved {
            document: Arc::new(Document::from_json(text.as_bytes()).unwrap()),
            did: "did:web:example.com".parse().unwrap(),
            cid: Cid::of_cbor(b""),
            record: Bytes::from(vec![0; bytes]),
        })
    }

    fn later(seconds: u64) -> Timestamp {
        AT.plus(std::time::Duration::from_secs(seconds))
    }

    #[test]
    fn a_schema_is_fresh_for_an_hour_and_its_absence_for_minutes() {
        let memory = Memory::default();
        drop(memory.remember(&name(1), Ok(found(1, 10)), AT));
        drop(memory.remember(&name(2), Err(LexiconError::NotFound("none".to_owned())), AT));
        assert!(memory.fresh(&name(1), later(3_599)).is_some_and(|answer| answer.is_ok()));
        assert!(memory.fresh(&name(1), later(3_600)).is_none());
        assert!(memory.document("com.example.kind1").is_some(), "the old one serves on");
        assert!(memory.fresh(&name(2), later(119)).is_some_and(|answer| answer.is_err()));
        assert!(memory.fresh(&name(2), later(120)).is_none());
    }

    #[test]
    fn an_old_schema_stays_while_its_authority_is_away_and_goes_when_it_says_so() {
        let memory = Memory::default();
        drop(memory.remember(&name(1), Ok(found(1, 10)), AT));
        let away = Err(LexiconError::Unavailable("away".to_owned()));
        assert!(memory.remember(&name(1), away, later(4_000)).is_ok());
        assert!(memory.fresh(&name(1), later(4_001)).is_some());
        assert!(memory.remember(&name(1), Err(LexiconError::NotFound("gone".to_owned())), later(9_000)).is_err());
        assert!(memory.document("com.example.kind1").is_none());
    }

    #[test]
    fn the_oldest_make_room_for_the_newest() {
        let memory = Memory::default();
        for n in 0..=REMEMBERED {
            drop(memory.remember(&name(n), Ok(found(n, 1)), later(n as u64)));
        }
        assert!(memory.document("com.example.kind0").is_none());
        assert!(memory.document("com.example.kind1").is_some());
        drop(memory.remember(&name(1), Ok(found(1, REMEMBERED_BYTES)), later(100_000)));
        assert_eq!(memory.0.read().unwrap().by_name.len(), 1);
        assert_eq!(memory.0.read().unwrap().bytes, REMEMBERED_BYTES);
    }
}
