//! Whose events are not passed on any more: accounts that were taken down or suspended, and those that are being deleted
//! and whose events are not removed yet.

use std::{
    collections::HashMap,
    sync::{PoisonError, RwLock},
};

use rusqlite::Connection;

use super::{AccountState, Store, StoreError, StoredEvent, sql};
use crate::event::Frame;

/// What is hidden of one DID.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Veil {
    /// What its repository says.
    is_moderated: bool,
    /// Everything before the announcement of its deletion, which has this number.
    gone_before: i64,
}

/// A change of what is hidden, true with the transaction that makes it.
#[derive(Clone, Debug)]
pub(super) enum Hiding {
    /// An account has this state now.
    State(String, AccountState),
    /// An account was deleted, and the event of this number says so.
    Deleted(String, i64),
    /// Nothing is left of the account whose end the event of this number announced.
    Purged(String, i64),
}

/// The hidden ones; few, so that most servers never look at an event for them.
#[derive(Debug, Default)]
pub(super) struct Hidden(RwLock<HashMap<String, Veil>>);

impl Hidden {
    /// As the database has it.
    pub(super) fn load(conn: &Connection) -> Result<Self, StoreError> {
        let hidden = Self::default();
        let moderated =
            sql::all(conn, "SELECT did FROM accounts WHERE state IN (3, 4)", [], |row| sql::col::<String>(row, 0))?;
        let deleted = sql::all(conn, "SELECT did, announced FROM deletions", [], |row| {
            Ok((sql::col::<String>(row, 0)?, sql::col::<i64>(row, 1)?))
        })?;
        for did in moderated {
            hidden.lift_or_lay(did, |veil| veil.is_moderated = true);
        }
        for (did, before) in deleted {
            hidden.lift_or_lay(did, |veil| veil.gone_before = before);
        }
        Ok(hidden)
    }

    /// What a transaction changed.
    pub(super) fn apply(&self, change: Hiding) {
        match change {
            Hiding::State(did, state) => {
                let is_moderated = matches!(state, AccountState::Takendown { .. } | AccountState::Suspended);
                self.lift_or_lay(did, |veil| veil.is_moderated = is_moderated);
            }
            // The account is gone, and its takedown with it.
            Hiding::Deleted(did, before) => {
                self.lift_or_lay(did, |veil| *veil = Veil { is_moderated: false, gone_before: before });
            }
            // The same DID may have come back and gone again.
            Hiding::Purged(did, before) => self.lift_or_lay(did, |veil| {
                if veil.gone_before == before {
                    veil.gone_before = 0;
                }
            }),
        }
    }

    fn lift_or_lay(&self, did: String, change: impl FnOnce(&mut Veil)) {
        let mut hidden = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let mut veil = hidden.remove(&did).unwrap_or_default();
        change(&mut veil);
        if veil != Veil::default() {
            hidden.insert(did, veil);
        }
    }

    fn covers(&self, event: &StoredEvent) -> bool {
        let hidden = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if hidden.is_empty() {
            return false;
        }
        let (did, is_of_the_repository) = match Frame::decode(&event.frame) {
            Ok(Frame::Commit(frame)) => (frame.repo, true),
            Ok(Frame::Sync(frame)) => (frame.did, true),
            Ok(Frame::Identity(frame)) => (frame.did, false),
            Ok(Frame::Account(frame)) => (frame.did, false),
            Ok(Frame::Info(_) | Frame::Error(_)) | Err(_) => return false,
        };
        hidden
            .get(did.as_str())
            .is_some_and(|veil| veil.is_moderated && is_of_the_repository || event.seq < veil.gone_before)
    }
}

impl Store {
    /// Whether an event is not to be passed on: its account is taken down or suspended, and it says what the repository
    /// held; or its account was deleted after it. An account that comes back says by a `#sync` where it stands.
    pub fn hides(&self, event: &StoredEvent) -> bool {
        self.inner.shared.hidden.covers(event)
    }
}
