//! Bringing in a whole repository: its blocks wait in a file of their own until they are checked, its rows are staged in
//! slices on a tree that nobody reads, and one short job makes that tree the account's repository.
//!
//! Whoever brings one in (`importRepo`, the take-over of another server's data) does it in this order:
//!
//! 1. [`Store::begin_import`]: one per account at a time. Dropping the [`Import`] at any time leaves nothing behind.
//! 2. [`ImportBlocks::add`] for each block, checked before; off the async threads.
//! 3. Under the account's lock: the tree is walked ([`ImportBlocks`] is a [`BlockSource`](crate::repo::BlockSource)) and
//!    built anew with [`mst::Builder`](crate::repo::mst::Builder), which says each node's place; records and nodes go to
//!    [`Import::stage`] in slices.
//! 4. [`Import::flip`] with the commit over the staged tree.
//!
//! `service::import::import` does all of that from a CAR stream.

mod blocks;
mod loose;

pub use blocks::{AddBlock, ImportBlocks};
pub(super) use loose::{LooseTrees, dir_of, empty_dir, set_loose};

use std::sync::Arc;

use bytes::Bytes;

use super::{
    AccountId, Inner, NewSecurityEvent, QuotaExceeded, RecordPut, Store, StoreError,
    commit::{Target, read_head, timed, tree_of, write_node, write_put},
    node_cache::{Place, PlacedNode},
    security_events::insert as note,
    sql,
    usage::within_quota,
    writer::Work,
};
use crate::{
    clock::Timestamp,
    event::UnnumberedFrame,
    ipld::{Cid, Codec},
    limits::import::COLLECTIONS_MAX,
    repo::{Head, RecordPath, mst::Built},
    syntax::Tid,
};

/// Why a repository is not brought in; nothing changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImportRefused {
    /// Another import of the account is under way.
    #[error("another import of this account is under way: wait until it has ended")]
    Running,
    /// As many imports as the server does at once are under way.
    #[error("the server is importing other repositories: try again in a few minutes")]
    Busy,
    /// More collections than an import may bring.
    #[error("the repository has more than {COLLECTIONS_MAX} collections")]
    TooManyCollections,
    /// The head is another than the import was made for.
    #[error("the repository was changed meanwhile")]
    StaleHead,
    /// The account is gone.
    #[error("the account was deleted meanwhile")]
    NoAccount,
    /// The account would use more than it may.
    #[error(transparent)]
    OverQuota(#[from] QuotaExceeded),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Rows to stage: at most [`STAGE_ROWS`](crate::limits::import::STAGE_ROWS) and about
/// [`STAGE_BYTES`](crate::limits::import::STAGE_BYTES).
#[derive(Clone, Debug, Default)]
pub struct StagedRows {
    /// Nodes.
    pub nodes: Vec<Built>,
    /// Records. Blobs that are not here are missing blobs afterwards.
    pub records: Vec<(RecordPath, RecordPut)>,
}

impl StagedRows {
    /// How many rows.
    pub fn len(&self) -> usize {
        self.nodes.len() + self.records.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty() && self.records.is_empty()
    }
}

/// What an import makes true.
#[derive(Clone, Debug)]
pub struct Flip {
    /// The commit that the account has now; none if it has no repository.
    pub expected_head: Option<Cid>,
    /// The new head, whose tree was staged.
    pub head: Head,
    /// The new commit block.
    pub commit: Bytes,
    /// Events in order; none for an account that is not active.
    pub events: Vec<UnnumberedFrame>,
    /// Now.
    pub at: Timestamp,
    /// What the account's log says of it.
    pub noted: NewSecurityEvent,
}

/// A repository that is being brought in.
#[derive(Debug)]
pub struct Import {
    hold: Hold,
    tree: i64,
    /// Numbers of the collections that were staged.
    collections: Vec<i64>,
}

/// Keeps a tree from being removed; afterwards it is, if no repository is on it.
#[derive(Debug)]
struct Hold {
    inner: Arc<Inner>,
    account: AccountId,
    /// None until it has one.
    tree: Option<i64>,
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.inner.shared.loose.release(self.account, self.tree);
        self.inner.writer.sweep();
    }
}

impl Store {
    /// Begins an import for an account, whatever it has now, and makes the file for its blocks.
    ///
    /// # Errors
    /// [`ImportRefused::Running`], [`ImportRefused::Busy`], or as the database says.
    pub async fn begin_import(
        &self,
        account: AccountId,
        now: Timestamp,
    ) -> Result<(Import, ImportBlocks), ImportRefused> {
        self.inner.shared.loose.hold(account)?;
        let mut hold = Hold { inner: Arc::clone(&self.inner), account, tree: None };
        let tree = self
            .write(move |work| {
                // Negative, so that none is ever an account's.
                let next = "INSERT INTO counters (name, value) VALUES ('tree', -1)
                            ON CONFLICT DO UPDATE SET value = value - 1";
                sql::execute(work.conn, next, [])?;
                const QUERY: &str = "SELECT value FROM counters WHERE name = 'tree'";
                let tree: i64 = sql::one(work.conn, QUERY, [], |row| sql::col(row, 0))?
                    .ok_or_else(|| StoreError::Damaged("a counter is missing".to_owned()))?;
                set_loose(work, tree, account, now)?;
                Ok::<_, StoreError>(tree)
            })
            .await?;
        hold.tree = Some(tree);
        let import = Import { hold, tree, collections: Vec::new() };
        let path = dir_of(&self.inner.dir).join(format!("{}.sqlite", tree.unsigned_abs()));
        let blocks = tokio::task::spawn_blocking(move || ImportBlocks::create(path)).await;
        let blocks = blocks.map_err(|_| StoreError::Closed)??;
        Ok((import, blocks))
    }
}

impl Import {
    /// Stages rows in one job of the writer; `rev` is the revision of the commit to come.
    ///
    /// # Errors
    /// [`ImportRefused::TooManyCollections`], or as the database says.
    pub async fn stage(&mut self, rows: StagedRows, rev: Tid) -> Result<(), ImportRefused> {
        let (account, tree) = (self.hold.account, self.tree);
        let target = Target { account: account.0, tree, rev: sql::rev(rev), retire: false };
        let store = Store { inner: Arc::clone(&self.hold.inner) };
        let staged = store.write(move |work| stage(work, target, rows)).await?;
        for collection in staged {
            if !self.collections.contains(&collection) {
                self.collections.push(collection);
            }
        }
        if self.collections.len() > COLLECTIONS_MAX {
            return Err(ImportRefused::TooManyCollections);
        }
        Ok(())
    }

    /// Makes the staged tree the account's repository, durable when this answers. What was there before is removed in
    /// slices afterwards.
    ///
    /// # Errors
    /// [`ImportRefused::StaleHead`], [`ImportRefused::NoAccount`], [`ImportRefused::OverQuota`], or as the database says.
    pub async fn flip(self, flip: Flip) -> Result<(), ImportRefused> {
        let (account, tree) = (self.hold.account, self.tree);
        let events = timed(flip.events.clone())?;
        let store = Store { inner: Arc::clone(&self.hold.inner) };
        let collections = self.collections;
        store
            .write(move |work| {
                within_quota(work, account, |work| flip_to(work, account, (tree, &collections), &flip, &events))
            })
            .await
    }
}

/// Compares the head and puts the repository on its new tree.
fn flip_to(
    work: &mut Work<'_>,
    account: AccountId,
    (tree, collections): (i64, &[i64]),
    flip: &Flip,
    events: &[(UnnumberedFrame, Timestamp)],
) -> Result<(), ImportRefused> {
    let conn = work.conn;
    if read_head(conn, account)?.map(|head| head.commit) != flip.expected_head {
        return Err(ImportRefused::StaleHead);
    }
    if !sql::exists(conn, "SELECT 1 FROM accounts WHERE id = ?1", [account.0])? {
        return Err(ImportRefused::NoAccount);
    }
    if flip.expected_head.is_some() {
        let old = tree_of(conn, account)?;
        set_loose(work, old, account, flip.at)?;
        work.shared.loose.replaced(old);
    }
    sql::execute(conn, "DELETE FROM loose_trees WHERE tree = ?1", [tree])?;
    let rev = sql::rev(flip.head.rev);
    sql::execute(
        conn,
        "INSERT INTO repos (account, commit_digest, rev, data_digest, block, tree)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT DO UPDATE SET commit_digest = ?2, rev = ?3, data_digest = ?4, block = ?5, tree = ?6",
        (account.0, flip.head.commit.digest(), rev, flip.head.data.digest(), &flip.commit[..], tree),
    )?;
    sql::execute(conn, "DELETE FROM account_collections WHERE account = ?1", [account.0])?;
    for collection in collections {
        sql::execute(
            conn,
            "INSERT INTO account_collections (account, collection) VALUES (?1, ?2)",
            (account.0, collection),
        )?;
    }
    work.set_head(account, Some(flip.head));
    note(conn, &flip.noted)?;
    work.announce(events)?;
    Ok(())
}

/// Writes the rows; returns the numbers of their collections.
fn stage(work: &mut Work<'_>, target: Target, rows: StagedRows) -> Result<Vec<i64>, ImportRefused> {
    // A deletion takes the trees of its account with it.
    if !sql::exists(work.conn, "SELECT 1 FROM loose_trees WHERE tree = ?1", [target.tree])? {
        return Err(ImportRefused::NoAccount);
    }
    for built in rows.nodes {
        let first: Box<str> = built.first.as_deref().unwrap_or_default().into();
        let node = PlacedNode { block: built.block, place: Place { first, height: built.height } };
        write_node(work.conn, target.tree, &built.cid, &node, target.rev)?;
    }
    let mut collections: Vec<i64> = Vec::new();
    for (path, mut put) in rows.records {
        let collection = work.collection_id(&path.collection)?;
        if !collections.contains(&collection) {
            collections.push(collection);
        }
        // Only the digest is stored, and blobs are raw.
        put.blobs.retain(|cid| cid.codec() == Codec::Raw);
        write_put(work.conn, target, (collection, path.rkey.as_str()), &put)?;
    }
    Ok(collections)
}
