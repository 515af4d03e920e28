//! Builds a whole tree from sorted keys, giving each node away as soon as it is finished.

use bytes::Bytes;

use super::{Key, MstError, Node, NodeEntry, node::height_of};
use crate::{
    ipld::Cid,
    limits::repo::{MAX_NODE_ENTRIES, MAX_TREE_HEIGHT},
};

/// A node that is finished, with its place in the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Built {
    /// Its CID.
    pub cid: Cid,
    /// Its bytes.
    pub block: Bytes,
    /// The smallest key below it; none in the root of an empty tree.
    pub first: Option<Key>,
    /// The height of its keys.
    pub height: u8,
}

/// Builds a tree from keys in ascending order. Its memory is one unfinished node for each level.
#[derive(Debug, Default)]
pub struct Builder {
    /// The unfinished node of each height, lowest first.
    levels: Vec<Level>,
    last: Option<Key>,
}

/// An unfinished node, and the smallest key below it.
#[derive(Debug, Default)]
struct Level {
    node: Node,
    first: Option<Key>,
}

/// A finished subtree, and the smallest key in it.
struct Subtree {
    cid: Cid,
    first: Option<Key>,
}

impl Builder {
    /// A builder without keys.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a record; nodes that no later key can change go to `sink`.
    ///
    /// # Errors
    /// [`MstError::Unsorted`], [`MstError::TooHigh`], [`MstError::TooWide`].
    pub fn push(&mut self, key: &str, value: Cid, sink: &mut dyn FnMut(Built)) -> Result<(), MstError> {
        if self.last.as_ref().is_some_and(|last| **last >= *key) {
            return Err(MstError::Unsorted(key.to_owned()));
        }
        let height = height_of(key);
        if height > MAX_TREE_HEIGHT {
            return Err(MstError::TooHigh(key.to_owned()));
        }
        let levels = usize::from(height) + 1;
        if self.levels.len() < levels {
            self.levels.resize_with(levels, Level::default);
        }
        let below = self.close_below(usize::from(height), sink);
        let key = Key::from(key);
        if let Some(level) = self.levels.get_mut(usize::from(height)) {
            attach(level, below);
            if level.node.entries.len() >= MAX_NODE_ENTRIES {
                return Err(MstError::TooWide);
            }
            level.first.get_or_insert_with(|| key.clone());
            level.node.entries.push(NodeEntry { key: key.clone(), value, right: None });
        }
        self.last = Some(key);
        Ok(())
    }

    /// Finishes the nodes that are left and says the root, which is the last node given to `sink`.
    pub fn finish(mut self, sink: &mut dyn FnMut(Built)) -> Cid {
        // A level is made when the first key of its height or higher comes, so the highest has entries.
        let top = self.levels.len().saturating_sub(1);
        let below = self.close_below(top, sink);
        let mut root = self.levels.pop().unwrap_or_default();
        attach(&mut root, below);
        give(root, top, sink).cid
    }

    /// Finishes the nodes of all levels below `height`: the subtree that hangs in the gap at hand.
    fn close_below(&mut self, height: usize, sink: &mut dyn FnMut(Built)) -> Option<Subtree> {
        let mut below = None;
        for (height, level) in self.levels.iter_mut().take(height).enumerate() {
            attach(level, below.take());
            if !level.node.is_empty() {
                below = Some(give(std::mem::take(level), height, sink));
            }
        }
        below
    }
}

/// Builds a tree from records in ascending order of their keys.
///
/// # Errors
/// As [`Builder::push`].
pub fn build<K: AsRef<str>>(
    records: impl IntoIterator<Item = (K, Cid)>,
    sink: &mut dyn FnMut(Built),
) -> Result<Cid, MstError> {
    let mut builder = Builder::new();
    for (key, value) in records {
        builder.push(key.as_ref(), value, sink)?;
    }
    Ok(builder.finish(sink))
}

/// Hangs a subtree behind the last entry.
fn attach(level: &mut Level, subtree: Option<Subtree>) {
    let Some(subtree) = subtree else { return };
    if let Some(entry) = level.node.entries.last_mut() {
        entry.right = Some(subtree.cid);
    } else {
        level.node.left = Some(subtree.cid);
        level.first = subtree.first;
    }
}

fn give(level: Level, height: usize, sink: &mut dyn FnMut(Built)) -> Subtree {
    let block = level.node.encode();
    let cid = Cid::of_cbor(&block);
    let height = u8::try_from(height).unwrap_or(MAX_TREE_HEIGHT);
    sink(Built { cid, block, first: level.first.clone(), height });
    Subtree { cid, first: level.first }
}
