//! The history of a delegation: the keys it named, what proves each, and what follows from that.
//!
//! Both kinds of DID come to this form: for did:plc the values are the log's and the proofs are anchored in it, for
//! did:web both are taken from the chain of statements and the present document.

use super::{NamedKey, anchor::Position, verdict::VsPin};
use crate::{clock::Timestamp, ipld::Cid};

/// One value of the history; neighbours differ, and the first names a key.
#[derive(Clone, Debug)]
pub struct Era {
    /// The key; none where the delegation was ended.
    pub key: Option<NamedKey>,
    /// The PLC operation that began it; none for did:web.
    pub operation: Option<Cid>,
    /// When PLC took that operation; none for did:web.
    pub at: Option<Timestamp>,
    /// Whether a server could use the key when it was first named: nothing that it signs counts.
    pub server_held: bool,
    /// The statements that hold here.
    pub proofs: Vec<Proof>,
}

/// A statement that was verified and holds in its era.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proof {
    /// The statement.
    pub statement: Cid,
    /// Whether the key before endorses it.
    pub endorsed: bool,
    /// Grows with the place of the statement's `prev` in the log or chain.
    pub order: usize,
}

impl Era {
    /// Whether a statement bears it out.
    pub const fn is_proven(&self) -> bool {
        !self.proofs.is_empty()
    }

    /// Whether the key before endorses it.
    pub fn is_endorsed(&self) -> bool {
        self.proofs.iter().any(|proof| proof.endorsed)
    }

    /// The statement to show for it: an endorsed one before others, then the latest.
    pub fn best_proof(&self) -> Option<&Proof> {
        self.proofs.iter().max_by_key(|proof| (proof.endorsed, proof.order, proof.statement))
    }
}

/// A key change that the key before did not endorse.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reset {
    /// The index of its era.
    pub era: usize,
    /// The key that came.
    pub key: NamedKey,
    /// The key before it, ends between them left aside.
    pub previous: NamedKey,
}

/// The latest key before an era: who endorses the next.
pub fn predecessor(eras: &[Era], before: usize) -> Option<&Era> {
    eras.iter().take(before).rev().find(|era| era.key.is_some())
}

/// Every key that differs from the latest before it and is not endorsed by that one. An older key never bridges: only
/// the latest one counts.
pub fn resets(eras: &[Era]) -> Vec<Reset> {
    let reset = |(index, era): (usize, &Era)| {
        let key = era.key.clone()?;
        let previous = predecessor(eras, index)?.key.clone()?;
        (key != previous && !era.is_endorsed()).then_some(Reset { era: index, key, previous })
    };
    eras.iter().enumerate().filter_map(reset).collect()
}

/// Whether every key has a statement.
pub fn is_complete(eras: &[Era]) -> bool {
    eras.iter().all(|era| era.key.is_none() || era.is_proven())
}

/// The last era that a statement bears out: what generic methods may go back to.
pub fn last_proven(eras: &[Era]) -> Option<&Era> {
    eras.iter().rev().find(|era| era.is_proven())
}

/// How the history goes on from a key that was known, and from where it was known.
pub(super) fn compare(eras: &[Era], known: &NamedKey, position: Position) -> VsPin {
    let current = eras.last().and_then(|era| era.key.as_ref());
    let start = match position {
        Position::Nullified if current == Some(known) => return VsPin::Same,
        Position::Nullified | Position::Absent => return VsPin::Rollback,
        Position::After(Some(index)) if latest_key(eras, index) == Some(known) => Some(index),
        // Known without a place: from the first time on that it was named.
        Position::After(_) => eras.iter().position(|era| era.key.as_ref() == Some(known)),
    };
    let Some(start) = start else { return VsPin::Rollback };
    if start + 1 >= eras.len() {
        return VsPin::Same;
    }
    if predecessor(eras, eras.len()).and_then(|era| era.key.as_ref()) == Some(known) {
        return VsPin::Interrupted;
    }
    if resets(eras).iter().any(|reset| reset.era > start) { VsPin::Reset } else { VsPin::Successor }
}

fn latest_key(eras: &[Era], index: usize) -> Option<&NamedKey> {
    predecessor(eras, index + 1)?.key.as_ref()
}
