//! What the writer and the readers share in memory: heads, recent events, collection numbers, open exports.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError, RwLock},
};

use tokio::sync::watch;

use super::{
    AccountId, StoredEvent, export::Exports, hidden::Hidden, import::LooseTrees, node_cache::NodeCache,
    usage::SharedQuota,
};
use crate::{
    limits::store::{COLLECTION_CACHE, EVENT_RING_BYTES, EVENT_RING_COUNT, HANDLE_CACHE, HEAD_CACHE},
    meters::Writes,
    repo::Head,
    syntax::{Did, Handle, Nsid},
};

/// What all threads share.
#[derive(Debug)]
pub(super) struct Shared {
    /// Where repositories stand.
    pub(super) heads: Heads,
    /// Recent events.
    pub(super) ring: Ring,
    /// The number of the latest committed event.
    pub(super) latest: watch::Sender<i64>,
    /// The number of the latest entry of the PLC directory.
    pub(super) directory: watch::Sender<i64>,
    /// Numbers of collections.
    pub(super) collections: Collections,
    /// Whose handles are whose.
    pub(super) handles: Handles,
    /// Open exports.
    pub(super) exports: Exports,
    /// Trees that are nobody's repository.
    pub(super) loose: LooseTrees,
    /// MST nodes by CID.
    pub(super) nodes: NodeCache,
    /// What the writer counts.
    pub(super) writes: Writes,
    /// What each account may use.
    pub(super) quota: SharedQuota,
    /// Whose events are not passed on.
    pub(super) hidden: Hidden,
}

impl Shared {
    /// Empty, at these numbers.
    pub(super) fn new(latest: i64, directory: i64, loose: LooseTrees, hidden: Hidden) -> Self {
        Self {
            heads: Heads::default(),
            ring: Ring::default(),
            latest: watch::Sender::new(latest),
            directory: watch::Sender::new(directory),
            collections: Collections::default(),
            handles: Handles::default(),
            exports: Exports::default(),
            loose,
            nodes: NodeCache::default(),
            writes: Writes::default(),
            quota: SharedQuota::default(),
            hidden,
        }
    }
}

/// Heads by account; bounded by forgetting all of them when there are too many.
#[derive(Debug, Default)]
pub(super) struct Heads(RwLock<HashMap<AccountId, Head>>);

impl Heads {
    /// The head, if it is known here.
    pub(super) fn get(&self, account: AccountId) -> Option<Head> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(&account).copied()
    }

    /// What the writer has committed: replaces what is known.
    pub(super) fn set(&self, account: AccountId, head: Option<Head>) {
        let mut heads = self.0.write().unwrap_or_else(PoisonError::into_inner);
        match head {
            Some(head) => {
                bound(&mut heads, HEAD_CACHE);
                heads.insert(account, head);
            }
            None => {
                heads.remove(&account);
            }
        }
    }

    /// What a reader has seen: loses against what the writer has put here meanwhile.
    pub(super) fn learn(&self, account: AccountId, head: Head) {
        let mut heads = self.0.write().unwrap_or_else(PoisonError::into_inner);
        bound(&mut heads, HEAD_CACHE);
        heads.entry(account).or_insert(head);
    }

    /// Forgets a head that proved to be stale.
    pub(super) fn forget(&self, account: AccountId) {
        self.set(account, None);
    }
}

/// Numbers of collections by name.
#[derive(Debug, Default)]
pub(super) struct Collections(RwLock<HashMap<Nsid, i64>>);

impl Collections {
    /// The number, if it is known here.
    pub(super) fn get(&self, nsid: &Nsid) -> Option<i64> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(nsid).copied()
    }

    /// Adds a committed number; numbers never change.
    pub(super) fn add(&self, nsid: Nsid, id: i64) {
        let mut collections = self.0.write().unwrap_or_else(PoisonError::into_inner);
        bound(&mut collections, COLLECTION_CACHE);
        collections.insert(nsid, id);
    }
}

/// DIDs by handle, for what the network asks most; all of them are forgotten whenever any account changes.
#[derive(Debug, Default)]
pub(super) struct Handles(RwLock<KnownHandles>);

#[derive(Debug, Default)]
struct KnownHandles {
    dids: HashMap<Handle, Did>,
    /// How often everything was forgotten: what was read before must not be added after.
    forgotten: u64,
}

impl Handles {
    /// The DID, if it is known here, else the number to [`Self::learn`] it with.
    pub(super) fn get(&self, handle: &Handle) -> Result<Did, u64> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        known.dids.get(handle).cloned().ok_or(known.forgotten)
    }

    /// What a reader has seen after [`Self::get`] gave it `forgotten`.
    pub(super) fn learn(&self, handle: &Handle, did: &Did, forgotten: u64) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if known.forgotten == forgotten {
            bound(&mut known.dids, HANDLE_CACHE);
            known.dids.insert(handle.clone(), did.clone());
        }
    }

    /// The writer has committed changes of accounts.
    pub(super) fn forget(&self) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        known.dids.clear();
        known.forgotten += 1;
    }
}

fn bound<K, V>(map: &mut HashMap<K, V>, most: usize) {
    if map.len() >= most {
        map.clear();
    }
}

/// The latest events, without gaps, bounded in number and bytes.
#[derive(Debug, Default)]
pub(super) struct Ring {
    // A mutex because the writer appends while subscribers copy; held for reference-counted copies only.
    recent: Mutex<Recent>,
}

#[derive(Debug, Default)]
struct Recent {
    events: VecDeque<StoredEvent>,
    bytes: usize,
}

impl Ring {
    /// Appends committed events.
    pub(super) fn push(&self, events: Vec<StoredEvent>) {
        let mut recent = self.lock();
        for event in events {
            recent.bytes += event.frame.len();
            recent.events.push_back(event);
        }
        while recent.bytes > EVENT_RING_BYTES || recent.events.len() > EVENT_RING_COUNT {
            let Some(event) = recent.events.pop_front() else { break };
            recent.bytes -= event.frame.len();
        }
        drop(recent);
    }

    /// Events behind `after`, if all of them that exist are here.
    pub(super) fn after(&self, after: i64, limit: usize) -> Option<Vec<StoredEvent>> {
        let recent = self.lock();
        let oldest = recent.events.front()?.seq;
        let skip = usize::try_from(after.checked_add(1)?.checked_sub(oldest)?).ok()?;
        Some(recent.events.iter().skip(skip).take(limit).cloned().collect())
    }

    /// Forgets all: readers go to the disk until the next events come.
    pub(super) fn clear(&self) {
        let mut recent = self.lock();
        recent.events.clear();
        recent.bytes = 0;
    }

    fn lock(&self) -> MutexGuard<'_, Recent> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
