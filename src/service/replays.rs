//! Service-auth tokens that were used: each opens one request.
//!
//! This is memory alone. A token lives for a minute, an hour at most, and whoever could replay one after a restart must
//! hold it and know the instant; a write to the database for every upload and every moderator's call would cost more than
//! that is worth.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use sha2::{Digest, Sha256};

use crate::{clock::Timestamp, limits::accounts::SPENT_TOKENS_MAX};

/// Names one token: of its issuer and its `jti`, or of all of it where it has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Nonce([u8; 16]);

impl Nonce {
    /// Of an issuer, and what tells its tokens apart.
    pub fn new(issuer: &str, id: &str) -> Self {
        let digest = Sha256::new().chain_update(issuer).chain_update([0]).chain_update(id).finalize();
        let mut short = [0; 16];
        short.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
        Self(short)
    }
}

/// The tokens that are used up. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Replays(Arc<Mutex<Spent>>);

#[derive(Debug, Default)]
struct Spent {
    ends: HashMap<Nonce, Timestamp>,
    /// The same by the time at which they end: first what is forgotten first.
    by_end: BTreeSet<(Timestamp, Nonce)>,
}

/// A token in use. What is dropped unspent, since the request failed, may be used again: a video service repeats an
/// upload with the token that it was given.
#[derive(Debug)]
#[must_use = "a token that is not spent can be used again"]
pub struct Spending {
    replays: Replays,
    nonce: Nonce,
    is_spent: bool,
}

impl Spending {
    /// The request succeeded: the token is used up.
    pub fn spend(mut self) {
        self.is_spent = true;
    }
}

impl Drop for Spending {
    fn drop(&mut self) {
        if !self.is_spent {
            self.replays.lock().forget(self.nonce);
        }
    }
}

impl Replays {
    /// Notes that a verified token, good until `end`, is being used; `None` when it was, or is at this moment, already.
    pub fn begin(&self, nonce: Nonce, end: Timestamp, now: Timestamp) -> Option<Spending> {
        let mut spent = self.lock();
        spent.expire(now);
        if spent.ends.contains_key(&nonce) {
            return None;
        }
        // Those that would be good the shortest go first: theirs is the least to replay.
        while spent.ends.len() >= SPENT_TOKENS_MAX {
            let (_, oldest) = spent.by_end.pop_first()?;
            spent.ends.remove(&oldest);
        }
        spent.ends.insert(nonce, end);
        spent.by_end.insert((end, nonce));
        drop(spent);
        Some(Spending { replays: self.clone(), nonce, is_spent: false })
    }

    fn lock(&self) -> MutexGuard<'_, Spent> {
        // Every change is whole before anything in here could panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Spent {
    fn forget(&mut self, nonce: Nonce) {
        if let Some(end) = self.ends.get(&nonce).copied() {
            self.forget_at(end, nonce);
        }
    }

    fn forget_at(&mut self, end: Timestamp, nonce: Nonce) {
        self.ends.remove(&nonce);
        self.by_end.remove(&(end, nonce));
    }

    /// A token is good within the second in which it ends.
    fn expire(&mut self, now: Timestamp) {
        while let Some((end, nonce)) = self.by_end.first().copied()
            && end.as_secs() < now.as_secs()
        {
            self.forget_at(end, nonce);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_secs(seconds)
    }

    fn nonce(id: &str) -> Nonce {
        Nonce::new("did:web:a.example", id)
    }

    #[test]
    fn a_token_opens_one_request_until_it_ends() {
        let replays = Replays::default();
        replays.begin(nonce("a"), at(60), at(0)).unwrap().spend();
        assert!(replays.begin(nonce("a"), at(60), at(60)).is_none());
        assert!(replays.begin(nonce("b"), at(60), at(60)).is_some());
        assert!(replays.begin(nonce("a"), at(120), at(61)).is_some());
    }

    #[test]
    fn the_same_id_of_another_issuer_is_another_token() {
        assert_ne!(Nonce::new("did:web:a.example", "x"), Nonce::new("did:web:b.example", "x"));
        assert_ne!(Nonce::new("a", "bc"), Nonce::new("ab", "c"));
    }

    #[test]
    fn a_token_whose_request_failed_may_be_used_again_but_not_twice_at_once() {
        let replays = Replays::default();
        let first = replays.begin(nonce("a"), at(60), at(0)).unwrap();
        assert!(replays.begin(nonce("a"), at(60), at(0)).is_none());
        drop(first);
        replays.begin(nonce("a"), at(60), at(0)).unwrap().spend();
        assert!(replays.begin(nonce("a"), at(60), at(0)).is_none());
    }

    #[test]
    fn no_flood_of_tokens_makes_it_grow_without_end() {
        let replays = Replays::default();
        for id in 0..SPENT_TOKENS_MAX + 10 {
            let end = at(1_000 + i64::try_from(id).unwrap());
            replays.begin(nonce(&id.to_string()), end, at(0)).unwrap().spend();
        }
        assert_eq!(replays.lock().ends.len(), SPENT_TOKENS_MAX);
        assert_eq!(replays.lock().by_end.len(), SPENT_TOKENS_MAX);
        let last = (SPENT_TOKENS_MAX + 9).to_string();
        assert!(replays.begin(nonce(&last), at(9), at(0)).is_none(), "the longest-lived are kept");
    }
}
