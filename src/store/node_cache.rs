//! MST nodes in memory, by CID, with their places.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;

use crate::{ipld::Cid, limits::store::NODE_CACHE_BYTES};

/// Where a node stands in tree order. It follows from the node's own subtree, so equal nodes have equal places.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Place {
    /// The smallest key below the node; empty for the root of an empty tree.
    pub(super) first: Box<str>,
    /// The height of its keys.
    pub(super) height: u8,
}

/// A node and its place.
#[derive(Clone, Debug)]
pub(super) struct PlacedNode {
    /// The block.
    pub(super) block: Bytes,
    /// Where it stands.
    pub(super) place: Place,
}

/// What is in memory of the database, for the operator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cached {
    /// Bytes of MST nodes.
    pub node_bytes: u64,
    /// Nodes that were found in memory.
    pub node_hits: u64,
    /// Nodes that had to be read.
    pub node_misses: u64,
}

/// A bounded cache of nodes in two generations: when the young one is full it becomes the old one, and what nobody asks
/// for while it is old is forgotten. Nodes are immutable, so there is nothing to invalidate.
#[derive(Debug, Default)]
pub(super) struct NodeCache {
    // A mutex because all planning threads share it; held for one or two map operations.
    generations: Mutex<Generations>,
}

#[derive(Debug, Default)]
struct Generations {
    hits: u64,
    misses: u64,
    young: HashMap<Cid, PlacedNode>,
    young_bytes: usize,
    old: HashMap<Cid, PlacedNode>,
}

impl NodeCache {
    /// The node, if it is here.
    pub(super) fn get(&self, cid: &Cid) -> Option<PlacedNode> {
        let mut generations = self.lock();
        if let Some(node) = generations.young.get(cid).cloned() {
            generations.hits += 1;
            return Some(node);
        }
        let Some(node) = generations.old.remove(cid) else {
            generations.misses += 1;
            return None;
        };
        generations.hits += 1;
        generations.insert(*cid, node.clone());
        drop(generations);
        Some(node)
    }

    /// What it holds and how it did.
    pub(super) fn cached(&self) -> Cached {
        let generations = self.lock();
        let bytes: usize =
            generations.young.values().chain(generations.old.values()).map(|node| node.block.len()).sum();
        let (node_hits, node_misses) = (generations.hits, generations.misses);
        drop(generations);
        Cached { node_bytes: u64::try_from(bytes).unwrap_or(u64::MAX), node_hits, node_misses }
    }

    /// Keeps a node for a while.
    pub(super) fn insert(&self, cid: Cid, node: PlacedNode) {
        self.lock().insert(cid, node);
    }

    /// Forgets nodes that nothing uses any more.
    pub(super) fn remove(&self, cids: &[Cid]) {
        let mut generations = self.lock();
        for cid in cids {
            if let Some(node) = generations.young.remove(cid) {
                generations.young_bytes = generations.young_bytes.saturating_sub(cost(&node));
            }
            generations.old.remove(cid);
        }
    }

    /// As after a restart.
    #[cfg(test)]
    pub(super) fn forget_all(&self) {
        *self.lock() = Generations::default();
    }

    fn lock(&self) -> MutexGuard<'_, Generations> {
        self.generations.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Generations {
    fn insert(&mut self, cid: Cid, node: PlacedNode) {
        if self.young_bytes >= NODE_CACHE_BYTES / 2 {
            self.old = std::mem::take(&mut self.young);
            self.young_bytes = 0;
        }
        self.young_bytes += cost(&node);
        if let Some(replaced) = self.young.insert(cid, node) {
            self.young_bytes = self.young_bytes.saturating_sub(cost(&replaced));
        }
    }
}

/// What a node costs in memory, in bytes: the map's and the allocator's share counted in.
fn cost(node: &PlacedNode) -> usize {
    node.block.len() + node.place.first.len() + 200
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(n: usize) -> (Cid, PlacedNode) {
        let block = Bytes::from(vec![u8::try_from(n % 251).unwrap(); 1000 + n % 7]);
        let digest: [u8; 32] = std::array::from_fn(|i| u8::try_from((n >> (i % 8)) & 0xff).unwrap());
        let cid = Cid::new(crate::ipld::Codec::DagCbor, digest);
        (cid, PlacedNode { block, place: Place { first: "a/b".into(), height: 0 } })
    }

    #[test]
    fn the_cache_stays_bounded_and_keeps_what_is_asked_for() {
        let cache = NodeCache::default();
        let (wanted, wanted_node) = node(1);
        cache.insert(wanted, wanted_node);
        for n in 2..40_000 {
            let (cid, node) = node(n);
            cache.insert(cid, node);
            assert!(n % 100 != 0 || cache.get(&wanted).is_some(), "lost at {n}");
        }
        let generations = cache.lock();
        let held: usize = generations.young.values().chain(generations.old.values()).map(cost).sum();
        drop(generations);
        assert!(held <= NODE_CACHE_BYTES + 4096, "{held}");
    }
}
