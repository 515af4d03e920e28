//! MST nodes by their place in the tree, and how a CID finds its place.
//!
//! A node's row is keyed by (tree, smallest key below the node, height downwards): *tree order*. A commit replaces the
//! nodes on the path to the written keys, and each new one mostly takes the place of the one that it replaces, so a commit
//! rewrites rows where they are instead of scattering rows by the hash of their content; an export is one ordered scan.
//! There is no index by CID: reading goes down from the root, and a child's place follows from its parent's entries.
//!
//! Measured on 2026-11-22 on two virtual cores with an ext4 virtual disk, `SQLite` 3.53 with `synchronous=FULL`: one account
//! with 100,000 records and 32 with 1,000, TID keys, values of 200 bytes, 4 KiB pages unless noted
//! (`cargo bench --bench block_layout`; commits/s with 1 and 32 commits per transaction, log bytes per commit, bytes per
//! record of nodes, records and indexes):
//!
//! | key of a node | 1: commits/s | 1: log B | 32: commits/s | 32: log B | B/record |
//! |---|---|---|---|---|---|
//! | (account, CID), without rowid | 772 | 103,857 | 2,332 | 56,779 | 440 |
//! | appended, unique (account, CID) | 924 | 99,539 | 5,002 | 29,685 | 443 |
//! | (account, height, smallest key) | 1,270 | 53,445 | 4,283 | 32,086 | 435 |
//! | **(account, smallest key, height)** | 1,270 | 56,032 | 4,924 | 29,605 | 438 |
//! | the same, 8 KiB pages | 1,678 | 89,135 | 4,654 | 44,094 | 399 |
//! | the same, 16 KiB pages | 1,334 | 149,707 | 4,576 | 67,811 | 401 |
//! | the same, and an index of records by digest | 1,463 | 61,985 | 3,986 | 34,505 | 456 |
//!
//! (Commits/s of single commits vary by a quarter from run to run with the disk; the bytes do not.) The last row is why
//! records have no index by digest either: `getBlocks`, which few clients call, scans the account instead.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use rusqlite::{Connection, Row};

use super::{
    AccountId, StoreError,
    node_cache::{NodeCache, Place, PlacedNode},
    readers::Readers,
    sql,
};
use crate::{
    ipld::Cid,
    limits::repo::MAX_TREE_HEIGHT,
    repo::{BlockSource, SourceError, mst},
};

/// Where a child's row is to be looked for.
#[derive(Clone, Debug)]
enum Hint {
    /// The root: the first row of the account.
    Root,
    /// A left child shares its parent's smallest key, one level below.
    At(Place),
    /// The first row behind an entry's key.
    Behind(Box<str>),
}

/// Where rows are read.
#[derive(Clone, Copy, Debug)]
enum Source<'a> {
    Pool(&'a Readers),
    Open(&'a Connection),
}

/// Reads the nodes of one account's tree from the cache, else from their rows, learning places on the way down.
#[derive(Debug)]
pub(super) struct NodeReader<'a> {
    account: AccountId,
    source: Source<'a>,
    cache: &'a NodeCache,
    /// Nodes handed out whose children have no hints yet.
    unread: Vec<PlacedNode>,
    hints: HashMap<Cid, Hint>,
}

impl<'a> NodeReader<'a> {
    /// A reader of the tree under `root` that borrows a connection only for what the cache does not have.
    pub(super) fn pooled(account: AccountId, root: Cid, cache: &'a NodeCache, readers: &'a Readers) -> Self {
        Self::new(account, root, cache, Source::Pool(readers))
    }

    /// A reader of the tree under `root` within a transaction.
    pub(super) fn open(account: AccountId, root: Cid, cache: &'a NodeCache, conn: &'a Connection) -> Self {
        Self::new(account, root, cache, Source::Open(conn))
    }

    fn new(account: AccountId, root: Cid, cache: &'a NodeCache, source: Source<'a>) -> Self {
        Self { account, source, cache, unread: Vec::new(), hints: HashMap::from([(root, Hint::Root)]) }
    }

    /// The node with this CID; `None` if it is not here, or nothing that was read before names it.
    pub(super) fn node(&mut self, cid: &Cid) -> Result<Option<PlacedNode>, StoreError> {
        let node = if let Some(node) = self.cache.get(cid) {
            node
        } else {
            let Some(hint) = self.hint(cid)? else { return Ok(None) };
            let Some(node) = self.read(&hint, cid)? else { return Ok(None) };
            self.cache.insert(*cid, node.clone());
            node
        };
        self.unread.push(node.clone());
        Ok(Some(node))
    }

    fn hint(&mut self, cid: &Cid) -> Result<Option<Hint>, StoreError> {
        for parent in std::mem::take(&mut self.unread) {
            let node = decode(&parent.block)?;
            if let (Some(left), Some(height)) = (node.left, parent.place.height.checked_sub(1)) {
                self.hints.insert(left, Hint::At(Place { first: parent.place.first.clone(), height }));
            }
            for entry in node.entries {
                if let Some(right) = entry.right {
                    self.hints.insert(right, Hint::Behind(entry.key.as_ref().into()));
                }
            }
        }
        Ok(self.hints.get(cid).cloned())
    }

    fn read(&self, hint: &Hint, cid: &Cid) -> Result<Option<PlacedNode>, StoreError> {
        match self.source {
            Source::Pool(readers) => readers.with(|conn| read_hinted(conn, self.account, hint, cid)),
            Source::Open(conn) => read_hinted(conn, self.account, hint, cid),
        }
    }
}

impl BlockSource for NodeReader<'_> {
    fn block(&mut self, cid: &Cid) -> Result<Option<Bytes>, SourceError> {
        self.node(cid).map(|node| node.map(|node| node.block)).map_err(|cause| SourceError(cause.to_string()))
    }
}

fn read_hinted(
    conn: &Connection,
    account: AccountId,
    hint: &Hint,
    cid: &Cid,
) -> Result<Option<PlacedNode>, StoreError> {
    let row = match hint {
        Hint::Root => sql::one(
            conn,
            "SELECT digest, block, first, height FROM nodes WHERE tree = (SELECT tree FROM repos WHERE repos.account = ?1)
             ORDER BY first, height DESC LIMIT 1",
            [account.0],
            placed,
        ),
        Hint::At(place) => sql::one(
            conn,
            "SELECT digest, block, first, height FROM nodes WHERE tree = (SELECT tree FROM repos WHERE repos.account = ?1)
             AND first = ?2 AND height = ?3",
            (account.0, &*place.first, place.height),
            placed,
        ),
        Hint::Behind(key) => sql::one(
            conn,
            "SELECT digest, block, first, height FROM nodes WHERE tree = (SELECT tree FROM repos WHERE repos.account = ?1)
             AND first > ?2 ORDER BY first, height DESC LIMIT 1",
            (account.0, &**key),
            placed,
        ),
    }?;
    // Another node at the place means that the tree under this root is not the current one.
    Ok(row.filter(|(found, _)| found == cid).map(|(_, node)| node))
}

fn placed(row: &Row<'_>) -> Result<(Cid, PlacedNode), StoreError> {
    let first: String = sql::col(row, 2)?;
    let place = Place { first: first.into(), height: sql::col(row, 3)? };
    Ok((sql::cbor_cid(row, 0)?, PlacedNode { block: sql::bytes(row, 1)?, place }))
}

fn decode(block: &[u8]) -> Result<mst::Node, StoreError> {
    mst::Node::decode(block).map_err(|cause| StoreError::Damaged(format!("a tree node: {cause}")))
}

/// The places of nodes of the tree under `root`. `None` if one of them is not in that tree here.
pub(super) fn places_of(
    reader: &mut NodeReader<'_>,
    root: Cid,
    wanted: &[Cid],
) -> Result<Option<Vec<Place>>, StoreError> {
    let mut missing: HashSet<Cid> = wanted.iter().copied().collect();
    let mut found = Vec::with_capacity(wanted.len());
    // What a commit removes hangs together from the root down, so only removed nodes have removed children.
    let mut frontier = vec![root];
    while let Some(cid) = frontier.pop() {
        if !missing.remove(&cid) {
            continue;
        }
        let Some(node) = reader.node(&cid)? else { return Ok(None) };
        let decoded = decode(&node.block)?;
        frontier.extend(decoded.left);
        frontier.extend(decoded.entries.iter().filter_map(|entry| entry.right));
        found.push(node.place);
    }
    Ok(missing.is_empty().then_some(found))
}

/// Gives places to the new nodes of a commit, which hang together from the new root down.
pub(super) struct Placing<'a, 'b> {
    /// The new nodes that have no place yet.
    blocks: HashMap<Cid, Bytes>,
    placed: Vec<(Cid, PlacedNode)>,
    account: AccountId,
    cache: &'a NodeCache,
    readers: &'b Readers,
}

impl<'a, 'b> Placing<'a, 'b> {
    /// For these nodes.
    pub(super) fn new(account: AccountId, nodes: &[(Cid, Bytes)], cache: &'a NodeCache, readers: &'b Readers) -> Self {
        Self {
            blocks: nodes.iter().cloned().collect(),
            placed: Vec::with_capacity(nodes.len()),
            account,
            cache,
            readers,
        }
    }

    /// The places, parents behind their children. `None` if an old node below is not here.
    pub(super) fn place(mut self, root: Cid) -> Result<Option<Vec<(Cid, PlacedNode)>>, StoreError> {
        if self.blocks.is_empty() {
            return Ok(Some(Vec::new()));
        }
        if let Some(block) = self.blocks.get(&root) {
            let height = match decode(block)?.entries.first() {
                Some(entry) => mst::height_of(&entry.key),
                None => 0,
            };
            if self.smallest_key(root, height, "", None)?.is_none() {
                return Ok(None);
            }
        }
        if self.blocks.is_empty() { Ok(Some(self.placed)) } else { Err(unreachable_nodes()) }
    }

    /// The smallest key below `cid`, whose keys lie between `after` and `before`; places the new nodes there.
    /// Recursion is bounded by the height of a tree.
    fn smallest_key(
        &mut self,
        cid: Cid,
        height: u8,
        after: &str,
        before: Option<&str>,
    ) -> Result<Option<Box<str>>, StoreError> {
        if height > MAX_TREE_HEIGHT {
            return Err(StoreError::Damaged("a tree is too high".to_owned()));
        }
        let Some(block) = self.blocks.remove(&cid) else {
            return self.old_smallest_key(&cid, height, after, before);
        };
        let node = decode(&block)?;
        let mut first: Option<Box<str>> = node.entries.first().map(|entry| entry.key.as_ref().into());
        if let (Some(left), Some(below)) = (node.left, height.checked_sub(1)) {
            let bound = node.entries.first().map(|entry| &*entry.key).or(before);
            first = self.smallest_key(left, below, after, bound)?;
            if first.is_none() {
                return Ok(None);
            }
        }
        for (entry, next) in node.entries.iter().zip(next_keys(&node, before)) {
            if let (Some(right), Some(below)) = (entry.right, height.checked_sub(1))
                && self.blocks.contains_key(&right)
                && self.smallest_key(right, below, &entry.key, next)?.is_none()
            {
                return Ok(None);
            }
        }
        let first = first.unwrap_or_default();
        self.placed.push((cid, PlacedNode { block, place: Place { first: first.clone(), height } }));
        Ok(Some(first))
    }

    /// The same for a node that stays: it is in the cache, or among the first rows of its range.
    fn old_smallest_key(
        &self,
        cid: &Cid,
        height: u8,
        after: &str,
        before: Option<&str>,
    ) -> Result<Option<Box<str>>, StoreError> {
        if let Some(node) = self.cache.get(cid) {
            return Ok(Some(node.place.first));
        }
        self.readers.with(|conn| {
            sql::one(
                conn,
                "SELECT first FROM nodes WHERE tree = (SELECT tree FROM repos WHERE repos.account = ?1)
                 AND first > ?2 AND (?3 IS NULL OR first < ?3)
                 AND height = ?4 AND digest = ?5 ORDER BY first LIMIT 1",
                (self.account.0, after, before, height, cid.digest()),
                |row| sql::col::<String>(row, 0).map(Box::from),
            )
        })
    }
}

/// For each entry of a node the key behind it.
fn next_keys<'n>(node: &'n mst::Node, before: Option<&'n str>) -> impl Iterator<Item = Option<&'n str>> {
    node.entries.iter().skip(1).map(|entry| Some(&*entry.key)).chain(std::iter::once(before))
}

fn unreachable_nodes() -> StoreError {
    StoreError::Damaged("a commit brings nodes that its root does not reach".to_owned())
}
