//! A verified PLC log as one delegation id sees it, and where in it a statement is anchored.
//!
//! The log decides which key was named when. Nullified operations are kept: what they did to the id is reported, and a
//! statement that only they bear out is void.

use std::collections::{HashMap, HashSet};

use super::{DelegationId, NamedKey, Statement};
use crate::{
    clock::Timestamp,
    ipld::Cid,
    plc::{ATPROTO_KEY, Entry, LogError, State, UnsignedOperation, verify_log},
    syntax::Did,
};

/// An audit log that was verified from its genesis: this type cannot be had otherwise.
#[derive(Clone, Debug)]
pub struct VerifiedLog<'a> {
    entries: &'a [Entry],
    state: State,
}

impl<'a> VerifiedLog<'a> {
    /// Verifies hashes, signatures, order and recovery rules.
    ///
    /// # Errors
    /// [`LogError`] names the first entry that no honest directory would have served.
    pub fn new(did: &Did, entries: &'a [Entry]) -> Result<Self, LogError> {
        Ok(Self { entries, state: verify_log(did, entries)? })
    }

    /// The last operation that stands.
    pub const fn head(&self) -> Cid {
        self.state.head
    }

    /// The state after it; none when the DID has ended.
    pub const fn data(&self) -> Option<&UnsignedOperation> {
        self.state.data.as_ref()
    }
}

/// A change of the id that stands: one value of its history.
#[derive(Clone, Debug)]
pub struct Change {
    /// What the id names from here on; none when it was removed.
    pub key: Option<NamedKey>,
    /// The operation.
    pub operation: Cid,
    /// When the directory took it.
    pub at: Timestamp,
    /// Whether the account or its DID could use the key (as `atproto` or a rotation key) when it was first named, or
    /// before.
    pub server_held: bool,
}

/// A nullified operation that touched the id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nullified {
    /// What it named; none when it removed the key.
    pub key: Option<NamedKey>,
    /// The operation.
    pub operation: Cid,
    /// When the directory took it.
    pub at: Timestamp,
}

/// Where a statement is anchored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anchor {
    /// At a change that stands, by its index.
    At(usize),
    /// Only nullified operations bear it out.
    Void,
    /// `prev` is in the log, but the log does not name this key there.
    Nowhere,
    /// `prev` is not in the log.
    PrevAbsent,
}

/// Where in the history an operation lies that was the head once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Position {
    /// After this change, or before any.
    After(Option<usize>),
    /// After a change that was nullified.
    Nullified,
    /// The log does not have it.
    Absent,
}

/// A verified log as one id sees it.
#[derive(Clone, Debug)]
pub struct IdLog {
    nodes: Vec<Node>,
    by_cid: HashMap<Cid, usize>,
    changes: Vec<Change>,
    nullified: Vec<Nullified>,
    server_keys: HashSet<String>,
}

#[derive(Clone, Debug)]
struct Node {
    children: Vec<usize>,
    stands: bool,
    /// What the id names after it.
    key: Option<String>,
    /// The latest operation at or above it that changed the id.
    change: Option<usize>,
    /// The index of its own change among those that stand.
    standing_change: Option<usize>,
}

impl IdLog {
    /// Reads the log for one id.
    pub fn read(log: &VerifiedLog<'_>, id: &DelegationId) -> Self {
        let capacity = log.entries.len();
        let mut reading = Self {
            nodes: Vec::with_capacity(capacity),
            by_cid: HashMap::with_capacity(capacity),
            changes: Vec::new(),
            nullified: Vec::new(),
            server_keys: HashSet::new(),
        };
        for entry in log.entries {
            reading.add(entry, id);
        }
        reading
    }

    /// The changes that stand, oldest first: the first names a key, and neighbours differ.
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// The nullified operations that touched the id, oldest first.
    pub fn nullified(&self) -> &[Nullified] {
        &self.nullified
    }

    /// Whether the log has this operation, nullified or not.
    pub fn contains(&self, operation: &Cid) -> bool {
        self.by_cid.contains_key(operation)
    }

    /// Whether any operation, nullified or not, ever named this key under the id.
    pub fn ever_named(&self, key: &NamedKey) -> bool {
        self.nodes.iter().any(|node| node.key.as_deref() == Some(key.as_str()))
    }

    /// Whether a server could use the key when it was first named, or before; for a key that was never named: ever.
    pub fn is_server_held(&self, key: &NamedKey) -> bool {
        let first = self.changes.iter().find(|change| change.key.as_ref() == Some(key));
        first.map_or_else(|| self.server_keys.contains(key.as_str()), |change| change.server_held)
    }

    /// Where a statement is anchored.
    pub fn anchor(&self, statement: &Statement) -> Anchor {
        let prev = statement.prev().and_then(|prev| self.by_cid.get(&prev)).and_then(|&index| self.nodes.get(index));
        let Some(prev) = prev else { return Anchor::PrevAbsent };
        let key = statement.key().map(NamedKey::as_str);
        // `prev` is the operation before T, or T itself or one after it before the next change.
        let after = prev.children.iter().filter_map(|&child| self.nodes.get(child)).filter(|child| child.changed(prev));
        let at_or_before = prev.change.and_then(|change| self.nodes.get(change));
        let mut only_nullified = false;
        for change in after.chain(at_or_before).filter(|change| change.key.as_deref() == key) {
            match change.standing_change {
                Some(index) if prev.stands => return Anchor::At(index),
                _ => only_nullified = true,
            }
        }
        if only_nullified { Anchor::Void } else { Anchor::Nowhere }
    }

    /// Where an operation lies that was the head once.
    pub fn position(&self, head: &Cid) -> Position {
        let Some(node) = self.by_cid.get(head).and_then(|&index| self.nodes.get(index)) else {
            return Position::Absent;
        };
        match node.change.and_then(|change| self.nodes.get(change)) {
            None => Position::After(None),
            Some(change) => change.standing_change.map_or(Position::Nullified, |index| Position::After(Some(index))),
        }
    }

    /// How far into the log an operation lies; the later of two statements is the one with the later `prev`.
    pub(super) fn order(&self, operation: &Cid) -> usize {
        self.by_cid.get(operation).copied().unwrap_or(0)
    }

    /// Entries come in the order of the log, so that what an entry follows is there before it.
    fn add(&mut self, entry: &Entry, id: &DelegationId) {
        let state = entry.operation.normalized();
        if let Some(state) = &state {
            let signing = state.verification_methods.get(ATPROTO_KEY);
            for key in state.rotation_keys.iter().chain(signing) {
                if !self.server_keys.contains(key) {
                    self.server_keys.insert(key.clone());
                }
            }
        }
        let key = state.and_then(|mut state| state.verification_methods.remove(id.as_str()));
        let index = self.nodes.len();
        let parent = entry.operation.prev().and_then(|prev| self.by_cid.get(&prev).copied());
        let before = parent.and_then(|parent| self.nodes.get(parent));
        let mut node = Node {
            children: Vec::new(),
            stands: !entry.nullified,
            change: before.and_then(|before| before.change),
            key,
            standing_change: None,
        };
        if before.and_then(|before| before.key.as_ref()) != node.key.as_ref() {
            node.change = Some(index);
            node.standing_change = self.add_change(entry, node.key.as_deref());
        }
        if let Some(parent) = parent.and_then(|parent| self.nodes.get_mut(parent)) {
            parent.children.push(index);
        }
        self.by_cid.insert(entry.cid, index);
        self.nodes.push(node);
    }

    fn add_change(&mut self, entry: &Entry, key: Option<&str>) -> Option<usize> {
        let (operation, at) = (entry.cid, entry.created_at);
        let named = key.map(NamedKey::new);
        if entry.nullified {
            self.nullified.push(Nullified { key: named, operation, at });
            return None;
        }
        // What becomes of a key later says nothing: anyone may list a public key. So its first naming decides.
        let server_held = named.as_ref().is_some_and(|key| self.is_server_held(key));
        self.changes.push(Change { key: named, operation, at, server_held });
        Some(self.changes.len() - 1)
    }
}

impl Node {
    fn changed(&self, parent: &Self) -> bool {
        self.key != parent.key
    }
}
