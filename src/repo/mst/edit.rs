//! Editing: a tree whose nodes are read when an edit comes by, and encoded once when all edits are done.

use std::collections::HashSet;

use bytes::Bytes;

use super::{
    Key, MstError, Node, NodeEntry,
    node::{Place, height_of, load},
};
use crate::{
    ipld::Cid,
    limits::repo::{MAX_NODE_ENTRIES, MAX_TREE_HEIGHT},
    repo::BlockSource,
};

/// A tree that is being edited. After an error it is of no use any more.
#[derive(Debug)]
pub struct Tree {
    root: Branch,
    /// Nodes that came from blocks and were changed or taken apart.
    replaced: Vec<Cid>,
}

/// What the edits of a [`Tree`] come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edited {
    /// The new root.
    pub root: Cid,
    /// Nodes that the old tree does not have, root first.
    pub new_nodes: Vec<(Cid, Bytes)>,
    /// Nodes of the old tree that the new one does not have.
    pub removed_nodes: Vec<Cid>,
}

/// A node in memory.
#[derive(Debug, Default)]
pub(super) struct Branch {
    height: u8,
    left: Option<Child>,
    entries: Vec<Leaf>,
    /// The block that it is, as long as it was not changed since it was read or encoded.
    origin: Option<(Cid, Bytes)>,
}

/// An entry of a node in memory.
#[derive(Debug)]
struct Leaf {
    key: Key,
    value: Cid,
    right: Option<Child>,
}

/// A subtree: not read yet, or in memory.
#[derive(Debug)]
enum Child {
    Stored(Cid),
    Read(Box<Branch>),
}

/// What is left and right of a key.
type Halves = (Option<Child>, Option<Child>);

impl Tree {
    /// A tree without records. Its root counts as a new node.
    pub fn empty() -> Self {
        Self { root: Branch::default(), replaced: Vec::new() }
    }

    /// The tree with this root.
    ///
    /// # Errors
    /// [`MstError`] when the root is missing or malformed.
    pub fn open(blocks: &mut dyn BlockSource, root: &Cid) -> Result<Self, MstError> {
        Ok(Self { root: Branch::read(blocks, root, &Place::default())?, replaced: Vec::new() })
    }

    /// The record under `key`.
    ///
    /// # Errors
    /// [`MstError`] when a node on the path is missing or malformed.
    pub fn get(&mut self, blocks: &mut dyn BlockSource, key: &str) -> Result<Option<Cid>, MstError> {
        let mut branch = &mut self.root;
        let mut place = Place::default();
        loop {
            let gap = match branch.find(key) {
                Ok(at) => return Ok(branch.entries.get(at).map(|leaf| leaf.value)),
                Err(gap) => gap,
            };
            match branch.descend(blocks, gap, &mut place)? {
                Some(child) => branch = child,
                None => return Ok(None),
            }
        }
    }

    /// Puts a record under `key`, in place of the one that is there.
    ///
    /// # Errors
    /// [`MstError`] when a node that is needed is missing or malformed, or the key is too high.
    pub fn put(&mut self, blocks: &mut dyn BlockSource, key: &str, value: Cid) -> Result<(), MstError> {
        let height = height_of(key);
        if height > MAX_TREE_HEIGHT {
            return Err(MstError::TooHigh(key.to_owned()));
        }
        let mut edit = Edit { blocks, replaced: &mut self.replaced };
        if self.root.is_empty() {
            edit.touch(&mut self.root);
            self.root = Branch::single(height, key, value, (None, None));
            return Ok(());
        }
        if height > self.root.height {
            let old = std::mem::take(&mut self.root);
            let top = old.height;
            let (left, right) = edit.split(Box::new(old), key, &Place::default())?;
            let raise = |half| lift(half, top.saturating_add(1), height);
            self.root = Branch::single(height, key, value, (raise(left), raise(right)));
            return Ok(());
        }
        edit.insert(&mut self.root, height, key, value)
    }

    /// Removes the record under `key` and says which it was; `None` (and no change) when there is none.
    ///
    /// # Errors
    /// [`MstError`] when a node that is needed is missing or malformed.
    pub fn remove(&mut self, blocks: &mut dyn BlockSource, key: &str) -> Result<Option<Cid>, MstError> {
        let mut edit = Edit { blocks, replaced: &mut self.replaced };
        let removed = edit.remove(&mut self.root, key, &Place::default())?;
        if removed.is_some() {
            edit.trim(&mut self.root)?;
        }
        Ok(removed)
    }

    /// Encodes what changed and says what is new and what is gone since the tree was opened (or last sealed).
    ///
    /// # Errors
    /// [`MstError::TooWide`].
    pub fn seal(&mut self) -> Result<Edited, MstError> {
        let mut written = Vec::new();
        let root = self.root.seal(&mut written)?;
        written.reverse();
        // A node may be taken apart by one edit and put together again by the next. No tree has one node twice (its keys
        // are unique), so what is on both lists was in the old tree and is in the new one.
        let gone: HashSet<Cid> = self.replaced.drain(..).collect();
        let made: HashSet<Cid> = written.iter().map(|(cid, _)| *cid).collect();
        let mut removed_nodes: Vec<Cid> = gone.difference(&made).copied().collect();
        removed_nodes.sort_unstable();
        written.retain(|(cid, _)| !gone.contains(cid));
        Ok(Edited { root, new_nodes: written, removed_nodes })
    }

    /// The root's block, unless edits since the last [`Tree::seal`] changed it.
    pub fn root_block(&self) -> Option<&(Cid, Bytes)> {
        self.root.origin.as_ref()
    }

    /// Reads the nodes from the root towards `key` and gives each, that is a block still, to `visit`; where `key` is a
    /// record, also those towards the records before and after it if `neighbours` says so.
    pub(super) fn visit_path(
        &mut self,
        blocks: &mut dyn BlockSource,
        key: &str,
        neighbours: Neighbours,
        visit: &mut dyn FnMut(&Cid, &Bytes),
    ) -> Result<bool, MstError> {
        let mut branch = &mut self.root;
        let mut place = Place::default();
        loop {
            branch.visit(visit);
            let gap = match branch.find(key) {
                Ok(at) => {
                    if neighbours == Neighbours::Too {
                        branch.visit_spine(blocks, at, &place, Side::Last, visit)?;
                        branch.visit_spine(blocks, at + 1, &place, Side::First, visit)?;
                    }
                    return Ok(true);
                }
                Err(gap) => gap,
            };
            match branch.descend(blocks, gap, &mut place)? {
                Some(child) => branch = child,
                None => return Ok(false),
            }
        }
    }
}

/// Whether a path goes on to the records beside the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Neighbours {
    Too,
    No,
}

/// An end of a node.
#[derive(Clone, Copy, Debug)]
enum Side {
    First,
    Last,
}

impl Branch {
    fn read(blocks: &mut dyn BlockSource, cid: &Cid, place: &Place) -> Result<Self, MstError> {
        let placed = load(blocks, cid, place)?;
        let leaf =
            |entry: NodeEntry| Leaf { key: entry.key, value: entry.value, right: entry.right.map(Child::Stored) };
        Ok(Self {
            height: placed.height,
            left: placed.node.left.map(Child::Stored),
            entries: placed.node.entries.into_iter().map(leaf).collect(),
            origin: Some((placed.cid, placed.bytes)),
        })
    }

    fn single(height: u8, key: &str, value: Cid, (left, right): Halves) -> Self {
        Self { height, left, entries: vec![Leaf { key: Key::from(key), value, right }], origin: None }
    }

    fn is_empty(&self) -> bool {
        self.left.is_none() && self.entries.is_empty()
    }

    fn find(&self, key: &str) -> Result<usize, usize> {
        self.entries.binary_search_by(|leaf| (*leaf.key).cmp(key))
    }

    fn gap(&mut self, index: usize) -> &mut Option<Child> {
        match self.entries.get_mut(..index).and_then(<[_]>::last_mut) {
            Some(leaf) => &mut leaf.right,
            None => &mut self.left,
        }
    }

    fn place_below(&self, place: &Place, index: usize) -> Place {
        place.below(self.height, index, |at| self.entries.get(at).map(|leaf| leaf.key.clone()))
    }

    /// The subtree in a gap, read if need be; `place` goes along.
    fn descend(
        &mut self,
        blocks: &mut dyn BlockSource,
        index: usize,
        place: &mut Place,
    ) -> Result<Option<&mut Self>, MstError> {
        let below = self.place_below(place, index);
        let Some(child) = self.gap(index) else { return Ok(None) };
        let branch = child.read(blocks, &below)?;
        *place = below;
        Ok(Some(branch))
    }

    fn visit(&self, visit: &mut dyn FnMut(&Cid, &Bytes)) {
        if let Some((cid, bytes)) = &self.origin {
            visit(cid, bytes);
        }
    }

    /// Visits the nodes along one side of the subtree in a gap, down to its first or last record.
    fn visit_spine(
        &mut self,
        blocks: &mut dyn BlockSource,
        gap: usize,
        place: &Place,
        side: Side,
        visit: &mut dyn FnMut(&Cid, &Bytes),
    ) -> Result<(), MstError> {
        let mut place = place.clone();
        let mut next = self.descend(blocks, gap, &mut place)?;
        while let Some(branch) = next {
            branch.visit(visit);
            let gap = match side {
                Side::First => 0,
                Side::Last => branch.entries.len(),
            };
            next = branch.descend(blocks, gap, &mut place)?;
        }
        Ok(())
    }

    /// Encodes this node and all changed ones below it, those below first.
    fn seal(&mut self, written: &mut Vec<(Cid, Bytes)>) -> Result<Cid, MstError> {
        if let Some((cid, _)) = &self.origin {
            return Ok(*cid);
        }
        if self.entries.len() > MAX_NODE_ENTRIES {
            return Err(MstError::TooWide);
        }
        let mut node = Node { left: seal_child(&mut self.left, written)?, entries: Vec::new() };
        node.entries.reserve(self.entries.len());
        for leaf in &mut self.entries {
            let right = seal_child(&mut leaf.right, written)?;
            node.entries.push(NodeEntry { key: leaf.key.clone(), value: leaf.value, right });
        }
        let bytes = node.encode();
        let cid = Cid::of_cbor(&bytes);
        written.push((cid, bytes.clone()));
        self.origin = Some((cid, bytes));
        Ok(cid)
    }
}

impl Child {
    fn read(&mut self, blocks: &mut dyn BlockSource, place: &Place) -> Result<&mut Branch, MstError> {
        if let Self::Stored(cid) = self {
            *self = Self::Read(Box::new(Branch::read(blocks, cid, place)?));
        }
        match self {
            Self::Read(branch) => Ok(branch),
            Self::Stored(cid) => Err(MstError::Missing(*cid)),
        }
    }

    fn into_branch(self, blocks: &mut dyn BlockSource, place: &Place) -> Result<Box<Branch>, MstError> {
        match self {
            Self::Stored(cid) => Branch::read(blocks, &cid, place).map(Box::new),
            Self::Read(branch) => Ok(branch),
        }
    }
}

/// One edit under way.
struct Edit<'a> {
    blocks: &'a mut dyn BlockSource,
    replaced: &'a mut Vec<Cid>,
}

impl Edit<'_> {
    /// Notes that a node does not stay as it was read.
    fn touch(&mut self, branch: &mut Branch) {
        if let Some((cid, _)) = branch.origin.take() {
            self.replaced.push(cid);
        }
    }

    /// Puts a record whose key is not higher than the root.
    fn insert(&mut self, root: &mut Branch, height: u8, key: &str, value: Cid) -> Result<(), MstError> {
        let mut branch = root;
        let mut place = Place::default();
        loop {
            self.touch(branch);
            let index = match branch.find(key) {
                Ok(at) => {
                    if let Some(leaf) = branch.entries.get_mut(at) {
                        leaf.value = value;
                    }
                    return Ok(());
                }
                Err(index) => index,
            };
            let below = branch.place_below(&place, index);
            if branch.height <= height {
                let (left, right) = self.split_gap(branch, index, key, &below)?;
                *branch.gap(index) = left;
                branch.entries.insert(index, Leaf { key: Key::from(key), value, right });
                return Ok(());
            }
            let child_height = branch.height.saturating_sub(1);
            let child = branch.gap(index);
            let Some(child) = child else {
                let leaf = Child::Read(Box::new(Branch::single(height, key, value, (None, None))));
                *child = lift(Some(leaf), height.saturating_add(1), child_height.saturating_add(1));
                return Ok(());
            };
            branch = child.read(self.blocks, &below)?;
            place = below;
        }
    }

    /// Takes the subtree out of a gap and parts it at `key`.
    fn split_gap(&mut self, branch: &mut Branch, index: usize, key: &str, below: &Place) -> Result<Halves, MstError> {
        match branch.gap(index).take() {
            None => Ok((None, None)),
            Some(child) => {
                let inner = child.into_branch(self.blocks, below)?;
                self.split(inner, key, below)
            }
        }
    }

    /// Parts a subtree at a key that it does not hold. A part that is the whole stays the same node.
    fn split(&mut self, mut branch: Box<Branch>, key: &str, place: &Place) -> Result<Halves, MstError> {
        let index = branch.find(key).unwrap_or_else(|gap| gap);
        let below = branch.place_below(place, index);
        let (left, right) = self.split_gap(&mut branch, index, key, &below)?;
        if index == 0 && left.is_none() {
            branch.left = right;
            return Ok((None, Some(Child::Read(branch))));
        }
        if index == branch.entries.len() && right.is_none() {
            *branch.gap(index) = left;
            return Ok((Some(Child::Read(branch)), None));
        }
        self.touch(&mut branch);
        let entries = branch.entries.split_off(index);
        let after = Branch { height: branch.height, left: right, entries, origin: None };
        *branch.gap(index) = left;
        let filled = |branch: Box<Branch>| if branch.is_empty() { None } else { Some(Child::Read(branch)) };
        Ok((filled(branch), filled(Box::new(after))))
    }

    /// Removes a record below `branch`; the depth of the recursion is the height of the tree.
    fn remove(&mut self, branch: &mut Branch, key: &str, place: &Place) -> Result<Option<Cid>, MstError> {
        match branch.find(key) {
            Ok(at) => {
                let before = branch.place_below(place, at);
                let after = branch.place_below(place, at + 1);
                self.touch(branch);
                let left = branch.gap(at).take();
                let leaf = branch.entries.remove(at);
                *branch.gap(at) = self.merge((left, leaf.right), &before, &after)?;
                Ok(Some(leaf.value))
            }
            Err(gap) => {
                let mut below = place.clone();
                let Some(child) = branch.descend(self.blocks, gap, &mut below)? else { return Ok(None) };
                let removed = self.remove(child, key, &below)?;
                if removed.is_some() {
                    if child.is_empty() {
                        *branch.gap(gap) = None;
                    }
                    self.touch(branch);
                }
                Ok(removed)
            }
        }
    }

    /// Joins the subtrees on both sides of a removed key; `before` and `after` are their places.
    fn merge(&mut self, halves: Halves, before: &Place, after: &Place) -> Result<Option<Child>, MstError> {
        let (left, right) = match halves {
            (Some(left), Some(right)) => (left, right),
            (one, None) | (None, one) => return Ok(one),
        };
        let mut left = left.into_branch(self.blocks, before)?;
        let mut right = right.into_branch(self.blocks, after)?;
        self.touch(&mut left);
        self.touch(&mut right);
        let end = left.entries.len();
        let inner = (left.gap(end).take(), right.left.take());
        let inner_places = (left.place_below(before, end), right.place_below(after, 0));
        *left.gap(end) = self.merge(inner, &inner_places.0, &inner_places.1)?;
        left.entries.append(&mut right.entries);
        Ok(Some(Child::Read(left)))
    }

    /// Takes away nodes without entries at the top, down to the empty tree.
    fn trim(&mut self, root: &mut Branch) -> Result<(), MstError> {
        while root.entries.is_empty() {
            self.touch(root);
            let Some(child) = root.left.take() else {
                *root = Branch::default();
                return Ok(());
            };
            let place = Place::default().below(root.height, 0, |_| None);
            *root = *child.into_branch(self.blocks, &place)?;
        }
        Ok(())
    }
}

/// Puts nodes without entries above a subtree, from level `from` up to but not including level `to`.
fn lift(subtree: Option<Child>, from: u8, to: u8) -> Option<Child> {
    let mut lifted = subtree?;
    for height in from..to {
        lifted = Child::Read(Box::new(Branch { height, left: Some(lifted), entries: Vec::new(), origin: None }));
    }
    Some(lifted)
}

fn seal_child(child: &mut Option<Child>, written: &mut Vec<(Cid, Bytes)>) -> Result<Option<Cid>, MstError> {
    match child {
        None => Ok(None),
        Some(Child::Stored(cid)) => Ok(Some(*cid)),
        Some(Child::Read(branch)) => branch.seal(written).map(Some),
    }
}
