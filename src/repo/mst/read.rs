//! Reading along paths: one record, and the nodes that an edit or a proof needs.

use std::collections::HashSet;

use bytes::Bytes;

use super::{
    MstError, Tree,
    edit::Neighbours,
    node::{Place, load},
};
use crate::{ipld::Cid, repo::BlockSource};

/// The record's CID under `key`, reading only the nodes on its path.
///
/// # Errors
/// [`MstError`] when a node on the path is missing or malformed.
pub fn get(blocks: &mut dyn BlockSource, root: &Cid, key: &str) -> Result<Option<Cid>, MstError> {
    Ok(path_nodes(blocks, root, key)?.value)
}

/// What is at a key, and the nodes that show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyPath {
    /// The record's CID; `None` where there is no record.
    pub value: Option<Cid>,
    /// The nodes from the root towards the key.
    pub nodes: Vec<(Cid, Bytes)>,
}

/// The record's CID under `key` and the nodes from the root towards it: a proof of its presence or absence.
///
/// # Errors
/// [`MstError`] when a node on the path is missing or malformed.
pub fn path_nodes(blocks: &mut dyn BlockSource, root: &Cid, key: &str) -> Result<KeyPath, MstError> {
    let mut nodes = Vec::new();
    let mut place = Place::default();
    let mut next = Some(*root);
    while let Some(cid) = next {
        let placed = load(blocks, &cid, &place)?;
        nodes.push((cid, placed.bytes.clone()));
        match placed.node.find(key) {
            Ok(at) => return Ok(KeyPath { value: placed.node.entries.get(at).map(|entry| entry.value), nodes }),
            Err(gap) => {
                place = placed.place_below(&place, gap);
                next = placed.node.child(gap).copied();
            }
        }
    }
    Ok(KeyPath { value: None, nodes })
}

/// Every node that planning any write of these keys can need (paths to the keys and to their neighbours), root first.
///
/// # Errors
/// [`MstError`] when one of them is missing or malformed.
pub fn touched_nodes(blocks: &mut dyn BlockSource, root: &Cid, keys: &[&str]) -> Result<Vec<(Cid, Bytes)>, MstError> {
    let mut tree = Tree::open(blocks, root)?;
    let mut nodes = Nodes::default();
    nodes.visit_root(&tree);
    for key in keys {
        tree.visit_path(blocks, key, Neighbours::Too, &mut |cid, bytes| nodes.add(cid, bytes))?;
    }
    Ok(nodes.list)
}

/// Nodes in the order in which they were met, each once.
#[derive(Debug, Default)]
pub(super) struct Nodes {
    seen: HashSet<Cid>,
    pub(super) list: Vec<(Cid, Bytes)>,
}

impl Nodes {
    pub(super) fn add(&mut self, cid: &Cid, bytes: &Bytes) {
        if self.seen.insert(*cid) {
            self.list.push((*cid, bytes.clone()));
        }
    }

    pub(super) fn visit_root(&mut self, tree: &Tree) {
        if let Some((cid, bytes)) = tree.root_block() {
            self.add(cid, bytes);
        }
    }
}
