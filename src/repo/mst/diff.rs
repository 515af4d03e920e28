//! What differs between two trees, without reading what they share.

use std::collections::HashSet;

use super::{
    Key, MstError,
    node::{Place, load},
};
use crate::{ipld::Cid, repo::BlockSource};

/// One record that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The record path.
    pub key: String,
    /// The record in the old tree.
    pub old: Option<Cid>,
    /// The record in the new tree.
    pub new: Option<Cid>,
}

/// The difference between two trees. Its size is that of the difference, not of the trees.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diff {
    /// Records that differ, ascending by key.
    pub changes: Vec<Change>,
    /// Nodes of the new tree that the old one does not have, sorted.
    pub new_nodes: Vec<Cid>,
    /// Nodes of the old tree that the new one does not have, sorted.
    pub removed_nodes: Vec<Cid>,
}

/// Compares two trees; subtrees that both have are not read. `old` may be `None` for no tree at all.
///
/// # Errors
/// [`MstError`] when a node that has to be read is missing or malformed.
pub fn diff(blocks: &mut dyn BlockSource, old: Option<&Cid>, new: &Cid) -> Result<Diff, MstError> {
    let mut sides = (Side::new(old), Side::new(Some(new)));
    let mut changes = Vec::new();
    loop {
        let (left, right) = (&mut sides.0, &mut sides.1);
        match (left.items.last(), right.items.last()) {
            (None, None) => break,
            (Some(Item::Tree(a, _)), Some(Item::Tree(b, _))) if a == b => {
                left.items.pop();
                right.items.pop();
            }
            (Some(Item::Tree(_, place)), Some(Item::Tree(_, other))) => {
                // The higher one first (the height of a root is not known yet), so that equal subtrees meet.
                let (a, b) = (place.height.unwrap_or(u8::MAX), other.height.unwrap_or(u8::MAX));
                if a >= b {
                    left.open(blocks)?;
                }
                if b >= a {
                    right.open(blocks)?;
                }
            }
            (Some(Item::Tree(_, _)), _) => left.open(blocks)?,
            (_, Some(Item::Tree(_, _))) => right.open(blocks)?,
            (Some(Item::Entry(_, _)), None) => changes.extend(left.pop_entry().map(removed)),
            (None, Some(Item::Entry(_, _))) => changes.extend(right.pop_entry().map(added)),
            (Some(Item::Entry(a, old)), Some(Item::Entry(b, new))) => match a.cmp(b) {
                std::cmp::Ordering::Less => changes.extend(left.pop_entry().map(removed)),
                std::cmp::Ordering::Greater => changes.extend(right.pop_entry().map(added)),
                std::cmp::Ordering::Equal => {
                    if old != new {
                        changes.push(Change { key: a.as_ref().to_owned(), old: Some(*old), new: Some(*new) });
                    }
                    left.items.pop();
                    right.items.pop();
                }
            },
        }
    }
    Ok(Diff {
        changes,
        new_nodes: sorted_difference(&sides.1.opened, &sides.0.opened),
        removed_nodes: sorted_difference(&sides.0.opened, &sides.1.opened),
    })
}

/// What is left of one tree, the next item last.
#[derive(Debug)]
struct Side {
    items: Vec<Item>,
    opened: HashSet<Cid>,
}

#[derive(Debug)]
enum Item {
    Tree(Cid, Place),
    Entry(Key, Cid),
}

impl Side {
    fn new(root: Option<&Cid>) -> Self {
        Self { items: root.map(|cid| Item::Tree(*cid, Place::default())).into_iter().collect(), opened: HashSet::new() }
    }

    /// Replaces the subtree that comes next by what is in its top node.
    fn open(&mut self, blocks: &mut dyn BlockSource) -> Result<(), MstError> {
        let Some(Item::Tree(cid, place)) = self.items.last() else { return Ok(()) };
        let (cid, place) = (*cid, place.clone());
        let placed = load(blocks, &cid, &place)?;
        self.items.pop();
        self.opened.insert(cid);
        for index in (0..=placed.node.entries.len()).rev() {
            if let Some(entry) = placed.node.entries.get(index) {
                self.items.push(Item::Entry(entry.key.clone(), entry.value));
            }
            if let Some(child) = placed.node.child(index) {
                self.items.push(Item::Tree(*child, placed.place_below(&place, index)));
            }
        }
        Ok(())
    }

    fn pop_entry(&mut self) -> Option<(Key, Cid)> {
        match self.items.pop() {
            Some(Item::Entry(key, cid)) => Some((key, cid)),
            Some(Item::Tree(_, _)) | None => None,
        }
    }
}

fn removed((key, cid): (Key, Cid)) -> Change {
    Change { key: key.as_ref().to_owned(), old: Some(cid), new: None }
}

fn added((key, cid): (Key, Cid)) -> Change {
    Change { key: key.as_ref().to_owned(), old: None, new: Some(cid) }
}

fn sorted_difference(a: &HashSet<Cid>, b: &HashSet<Cid>) -> Vec<Cid> {
    let mut list: Vec<Cid> = a.difference(b).copied().collect();
    list.sort_unstable();
    list
}
