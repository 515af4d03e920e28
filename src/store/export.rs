//! Exports of whole repositories: page by page, each in a short read transaction, all of the same revision.
//!
//! While an export of an account is open the writer copies what a commit replaces into the `retired_…` tables, so the
//! exported tree can still be read: rows up to its revision that were not yet gone by then. Nodes lie in tree order and
//! records in key order, so a page is a merge of ordered scans.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use rusqlite::{Connection, Row, Statement, params};

use super::{
    AccountId, Inner, Store, StoreError,
    commit::head_columns,
    sql::{self, failed},
};
use crate::{
    ipld::Cid,
    limits::store::{EXPORT_PAGE_BYTES, SWEEP_SLICE},
    repo::Head,
    syntax::Tid,
};

/// Open exports by tree and revision, and trees whose retired rows may go.
#[derive(Debug, Default)]
pub(super) struct Exports {
    // A mutex because exports are opened in the writer and dropped anywhere; held for a few map operations.
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    exports: HashMap<i64, BTreeMap<i64, usize>>,
    sweeps: Vec<i64>,
}

impl Exports {
    /// Whether a commit must keep what it replaces.
    pub(super) fn is_open(&self, tree: i64) -> bool {
        self.lock().exports.contains_key(&tree)
    }

    fn add(&self, tree: i64, rev: i64) {
        *self.lock().exports.entry(tree).or_default().entry(rev).or_default() += 1;
    }

    fn remove(&self, tree: i64, rev: i64) {
        let mut open = self.lock();
        let Some(revs) = open.exports.get_mut(&tree) else { return };
        if let Some(count) = revs.get_mut(&rev) {
            *count -= 1;
            if *count == 0 {
                revs.remove(&rev);
            }
        }
        if revs.is_empty() {
            open.exports.remove(&tree);
        }
        if !open.sweeps.contains(&tree) {
            open.sweeps.push(tree);
        }
    }

    /// Removes a slice of retired rows that no export needs; false when there is nothing to do.
    pub(super) fn sweep_slice(&self, conn: &Connection) -> bool {
        let (tree, needed) = {
            let open = self.lock();
            let Some(tree) = open.sweeps.last().copied() else { return false };
            let oldest = open.exports.get(&tree).and_then(|revs| revs.keys().next().copied());
            drop(open);
            (tree, oldest.unwrap_or(i64::MAX))
        };
        let removed = ["retired_nodes", "retired_records"].map(|table| {
            sql::execute(
                conn,
                &format!(
                    "DELETE FROM {table} WHERE rowid IN
                     (SELECT rowid FROM {table} WHERE tree = ?1 AND gone <= ?2 LIMIT ?3)"
                ),
                (tree, needed, sql::limit(SWEEP_SLICE)),
            )
        });
        if removed.iter().all(|count| !matches!(count, Ok(count) if *count > 0)) {
            self.lock().sweeps.retain(|swept| *swept != tree);
        }
        true
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A consistent export that is read page by page; replaced blocks stay until it is dropped.
#[derive(Debug)]
pub struct Export {
    hold: Hold,
    head: Head,
    commit: Option<Bytes>,
    state: Option<State>,
}

/// Keeps replaced rows from being removed.
#[derive(Debug)]
struct Hold {
    inner: Arc<Inner>,
    tree: i64,
    rev: i64,
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.inner.shared.exports.remove(self.tree, self.rev);
        self.inner.writer.sweep();
    }
}

/// How far the export has come.
#[derive(Clone, Debug)]
struct State {
    tree: i64,
    rev: i64,
    since: i64,
    /// The place of the last node that went out.
    node: Option<(String, i64)>,
    /// Collections still to come, in the order of their keys, the present one first.
    collections: Option<Vec<(i64, String)>>,
    /// The last record key that went out of the present collection.
    rkey: Option<String>,
}

impl Store {
    /// Opens a consistent export of the current head; with `since`, only blocks written after that revision.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn open_export(&self, account: AccountId, since: Option<Tid>) -> Result<Option<Export>, StoreError> {
        let inner = Arc::clone(&self.inner);
        // In the writer, so that no commit is between reading the head and keeping what it replaces.
        let opened = self
            .write(move |work| {
                let found = sql::one(
                    work.conn,
                    "SELECT commit_digest, rev, data_digest, block, tree FROM repos WHERE account = ?1",
                    [account.0],
                    |row| Ok((head_columns(row, 0)?, sql::bytes(row, 3)?, sql::col::<i64>(row, 4)?)),
                )?;
                Ok::<_, StoreError>(found.map(|(head, commit, tree)| {
                    let rev = sql::rev(head.rev);
                    inner.shared.exports.add(tree, rev);
                    (Hold { inner, tree, rev }, head, commit)
                }))
            })
            .await?;
        let since = since.map_or(-1, sql::rev);
        Ok(opened.map(|(hold, head, commit)| {
            let (tree, rev) = (hold.tree, hold.rev);
            let state = State { tree, rev, since, node: None, collections: None, rkey: None };
            let commit = (rev > since).then_some(commit);
            Export { hold, head, commit, state: Some(state) }
        }))
    }
}

impl Export {
    /// The head that is exported.
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// The next page of blocks, commit first then in tree order; empty at the end. Two records with equal bytes come twice.
    ///
    /// # Errors
    /// [`StoreError`] as the database says; asking again goes on at the same place.
    pub async fn next_page(&mut self) -> Result<Vec<(Cid, Bytes)>, StoreError> {
        let Some(state) = self.state.clone() else { return Ok(Vec::new()) };
        let inner = Arc::clone(&self.hold.inner);
        let (page, state) = tokio::task::spawn_blocking(move || inner.pages.snapshot(|conn| read_page(conn, state)))
            .await
            .map_err(|_| StoreError::Closed)??;
        self.state = state;
        let mut blocks: Vec<(Cid, Bytes)> =
            self.commit.take().map(|block| (self.head.commit, block)).into_iter().collect();
        blocks.extend(page);
        Ok(blocks)
    }
}

/// A page, and where to go on; no state at the end.
type Page = (Vec<(Cid, Bytes)>, Option<State>);

fn read_page(conn: &Connection, mut state: State) -> Result<Page, StoreError> {
    // The tree of the account's repository, or one that an import has replaced since.
    let query = "SELECT 1 FROM repos WHERE tree = ?1
                 UNION ALL SELECT 1 FROM loose_trees JOIN accounts ON id = account WHERE tree = ?1";
    if !sql::exists(conn, query, [state.tree])? {
        return Err(StoreError::Damaged("the account was deleted while its repository was exported".to_owned()));
    }
    let mut collections = match state.collections.take() {
        Some(collections) => collections,
        None => collections_in_key_order(conn, state.tree)?,
    };
    let mut page = Vec::new();
    let mut bytes = 0;
    let mut node_scan = NodeScan::new(conn)?;
    let mut nodes = node_scan.rows(&state)?;
    let mut next_node = node_at(&mut nodes)?;
    let mut record_scan = RecordScan::new(conn)?;
    loop {
        let Some((collection, prefix)) = collections.first().cloned() else {
            return drain_nodes(page, bytes, &mut nodes, next_node, state);
        };
        let mut records = record_scan.rows(&state, collection)?;
        while let Some(row) = records.next().map_err(failed)? {
            let rkey: String = sql::col(row, 0)?;
            let key = format!("{prefix}{rkey}");
            while let Some(node) = next_node.take_if(|node| node.first <= key) {
                bytes += node.block.1.len();
                page.push(node.block);
                state.node = Some((node.first, node.height));
                next_node = node_at(&mut nodes)?;
            }
            let value = sql::bytes(row, 2)?;
            bytes += value.len();
            page.push((sql::cbor_cid(row, 1)?, value));
            state.rkey = Some(rkey);
            if bytes >= EXPORT_PAGE_BYTES {
                state.collections = Some(collections);
                return Ok((page, Some(state)));
            }
        }
        collections.remove(0);
        state.rkey = None;
    }
}

/// Nodes behind the last record: only those whose records are older than `since`.
fn drain_nodes(
    mut page: Vec<(Cid, Bytes)>,
    mut bytes: usize,
    nodes: &mut rusqlite::Rows<'_>,
    mut next: Option<NodeRow>,
    mut state: State,
) -> Result<Page, StoreError> {
    state.collections = Some(Vec::new());
    while let Some(node) = next {
        bytes += node.block.1.len();
        page.push(node.block);
        state.node = Some((node.first, node.height));
        if bytes >= EXPORT_PAGE_BYTES {
            return Ok((page, Some(state)));
        }
        next = node_at(nodes)?;
    }
    // An empty page means the end, so a last page that is not empty is followed by an empty one.
    let more = !page.is_empty();
    Ok((page, more.then_some(state)))
}

struct NodeRow {
    first: String,
    height: i64,
    block: (Cid, Bytes),
}

fn node_at(rows: &mut rusqlite::Rows<'_>) -> Result<Option<NodeRow>, StoreError> {
    let read = |row: &Row<'_>| {
        Ok(NodeRow {
            first: sql::col(row, 0)?,
            height: sql::col(row, 1)?,
            block: (sql::cbor_cid(row, 2)?, sql::bytes(row, 3)?),
        })
    };
    rows.next().map_err(failed)?.map(read).transpose()
}

/// Nodes of one revision behind a place, in tree order.
struct NodeScan<'a>(Statement<'a>);

impl<'a> NodeScan<'a> {
    fn new(conn: &'a Connection) -> Result<Self, StoreError> {
        conn.prepare(
            "SELECT first, height, digest, block FROM nodes
             WHERE tree = ?1 AND first >= ?2 AND NOT (first = ?2 AND height >= ?3) AND rev <= ?4 AND rev > ?5
             UNION ALL
             SELECT first, height, digest, block FROM retired_nodes
             WHERE tree = ?1 AND first >= ?2 AND NOT (first = ?2 AND height >= ?3) AND rev <= ?4 AND rev > ?5
             AND gone > ?4
             ORDER BY first, height DESC",
        )
        .map(Self)
        .map_err(failed)
    }

    fn rows(&mut self, state: &State) -> Result<rusqlite::Rows<'_>, StoreError> {
        let (first, height) = state.node.as_ref().map_or(("", i64::MAX), |(first, height)| (first, *height));
        self.0.query(params![state.tree, first, height, state.rev, state.since]).map_err(failed)
    }
}

/// Records of one revision and collection behind a key, in order.
struct RecordScan<'a>(Statement<'a>);

impl<'a> RecordScan<'a> {
    fn new(conn: &'a Connection) -> Result<Self, StoreError> {
        conn.prepare(
            "SELECT rkey, digest, value FROM records
             WHERE tree = ?1 AND collection = ?2 AND rkey > ?3 AND rev <= ?4 AND rev > ?5
             UNION ALL
             SELECT rkey, digest, value FROM retired_records
             WHERE tree = ?1 AND collection = ?2 AND rkey > ?3 AND rev <= ?4 AND rev > ?5 AND gone > ?4
             ORDER BY rkey",
        )
        .map(Self)
        .map_err(failed)
    }

    fn rows(&mut self, state: &State, collection: i64) -> Result<rusqlite::Rows<'_>, StoreError> {
        let behind = state.rkey.as_deref().unwrap_or_default();
        self.0.query(params![state.tree, collection, behind, state.rev, state.since]).map_err(failed)
    }
}

/// Collections of the tree, current and retired, in the order of their keys: `a.b.c/` comes behind `a.b.c.d/`. From the
/// records, since the tree may be the account's no longer.
fn collections_in_key_order(conn: &Connection, tree: i64) -> Result<Vec<(i64, String)>, StoreError> {
    let mut collections = sql::all(
        conn,
        "WITH RECURSIVE present (collection) AS (
             SELECT min(collection) FROM records WHERE tree = ?1
             UNION ALL SELECT (SELECT min(collection) FROM records WHERE tree = ?1 AND collection > present.collection)
             FROM present WHERE present.collection IS NOT NULL)
         SELECT id, nsid || '/' FROM collections WHERE id IN (
             SELECT collection FROM present UNION SELECT collection FROM retired_records WHERE tree = ?1)",
        [tree],
        |row| Ok((sql::col(row, 0)?, sql::col::<String>(row, 1)?)),
    )?;
    collections.sort_by(|(_, a), (_, b)| a.cmp(b));
    Ok(collections)
}
