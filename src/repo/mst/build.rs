//! Builds a whole tree from sorted keys, giving each node away as soon as it is finished.

use bytes::Bytes;

use super::{Key, MstError, Node, NodeEntry, node::height_of};
use crate::{
    ipld::Cid,
    limits::repo::{MAX_NODE_ENTRIES, MAX_TREE_HEIGHT},
};

/// Builds a tree from keys in ascending order. Its memory is one unfinished node for each level.
#[derive(Debug, Default)]
pub struct Builder {
    /// The unfinished node of each height, lowest first.
    levels: Vec<Node>,
    last: Option<Key>,
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
    pub fn push(&mut self, key: &str, value: Cid, sink: &mut dyn FnMut(Cid, Bytes)) -> Result<(), MstError> {
        if self.last.as_ref().is_some_and(|last| **last >= *key) {
            return Err(MstError::Unsorted(key.to_owned()));
        }
        let height = height_of(key);
        if height > MAX_TREE_HEIGHT {
            return Err(MstError::TooHigh(key.to_owned()));
        }
        let levels = usize::from(height) + 1;
        if self.levels.len() < levels {
            self.levels.resize_with(levels, Node::default);
        }
        let below = self.close_below(usize::from(height), sink);
        let key = Key::from(key);
        if let Some(level) = self.levels.get_mut(usize::from(height)) {
            attach(level, below);
            if level.entries.len() >= MAX_NODE_ENTRIES {
                return Err(MstError::TooWide);
            }
            level.entries.push(NodeEntry { key: key.clone(), value, right: None });
        }
        self.last = Some(key);
        Ok(())
    }

    /// Finishes the nodes that are left and says the root, which is the last node given to `sink`.
    pub fn finish(mut self, sink: &mut dyn FnMut(Cid, Bytes)) -> Cid {
        // A level is made when the first key of its height or higher comes, so the highest has entries.
        let top = self.levels.len().saturating_sub(1);
        let below = self.close_below(top, sink);
        let mut root = self.levels.pop().unwrap_or_default();
        attach(&mut root, below);
        give(&root, sink)
    }

    /// Finishes the nodes of all levels below `height`: the subtree that hangs in the gap at hand.
    fn close_below(&mut self, height: usize, sink: &mut dyn FnMut(Cid, Bytes)) -> Option<Cid> {
        let mut below = None;
        for level in self.levels.iter_mut().take(height) {
            attach(level, below.take());
            if !level.is_empty() {
                below = Some(give(&std::mem::take(level), sink));
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
    sink: &mut dyn FnMut(Cid, Bytes),
) -> Result<Cid, MstError> {
    let mut builder = Builder::new();
    for (key, value) in records {
        builder.push(key.as_ref(), value, sink)?;
    }
    Ok(builder.finish(sink))
}

/// Hangs a subtree behind the last entry.
fn attach(node: &mut Node, subtree: Option<Cid>) {
    if subtree.is_some() {
        match node.entries.last_mut() {
            Some(entry) => entry.right = subtree,
            None => node.left = subtree,
        }
    }
}

fn give(node: &Node, sink: &mut dyn FnMut(Cid, Bytes)) -> Cid {
    let bytes = node.encode();
    let cid = Cid::of_cbor(&bytes);
    sink(cid, bytes);
    cid
}
