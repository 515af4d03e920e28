//! Whose change is being carried right now, and the reconciler's bell.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::Notify;

use crate::syntax::Did;

/// One carrier per DID in this process, so that a request and the reconciler never post the same operation at once.
#[derive(Clone, Debug, Default)]
pub struct JournalTurns {
    // Held for one insertion or removal, never over an await.
    busy: Arc<Mutex<HashSet<Did>>>,
    bell: Arc<Notify>,
}

/// The right to carry a DID's change; ends when dropped.
#[derive(Debug)]
pub(in crate::service) struct Turn {
    busy: Arc<Mutex<HashSet<Did>>>,
    did: Did,
}

impl JournalTurns {
    /// Takes the turn of a DID, unless somebody has it.
    pub(in crate::service) fn enter(&self, did: &Did) -> Option<Turn> {
        let free = self.busy.lock().unwrap_or_else(PoisonError::into_inner).insert(did.clone());
        free.then(|| Turn { busy: Arc::clone(&self.busy), did: did.clone() })
    }

    /// Tells the reconciler that a row was left open.
    pub(super) fn ring(&self) {
        self.bell.notify_one();
    }

    /// Resolves when a row was left open since the last time.
    pub(super) async fn rung(&self) {
        self.bell.notified().await;
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.busy.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.did);
    }
}
