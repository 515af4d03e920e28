//! Repositories: records, MST nodes, commits.

use std::collections::HashMap;

use bytes::Bytes;
use rusqlite::{Connection, Row};

use super::{
    AccountId, AccountState, QuotaExceeded, Store, StoreError,
    commit::{Prepared, head_columns, link_hash, prepare, read_head},
    nodes::NodeReader,
    sql,
    states::{state_columns, state_of},
    usage::within_quota,
};
use crate::{
    event::UnnumberedFrame,
    ipld::Cid,
    repo::{Head, MemoryBlocks, RecordPath, RecordProof, mst, proof},
    syntax::{Did, Nsid, RecordKey, Tid},
};

/// Everything one commit changes: becomes true at one instant, or not at all.
#[derive(Clone, Debug)]
pub struct ChangeSet {
    /// The account.
    pub account: AccountId,
    /// The commit that this builds on; none for genesis.
    pub expected_head: Option<Cid>,
    /// The new head.
    pub head: Head,
    /// The new commit block; the old one is removed.
    pub commit: Bytes,
    /// New MST nodes.
    pub new_nodes: Vec<(Cid, Bytes)>,
    /// MST nodes that nothing uses any more.
    pub removed_nodes: Vec<Cid>,
    /// Records put and deleted.
    pub records: Vec<RecordChange>,
    /// Events in order.
    pub events: Vec<UnnumberedFrame>,
}
/// One record's change.
#[derive(Clone, Debug)]
pub struct RecordChange {
    /// Where.
    pub path: RecordPath,
    /// What is there now; none deletes.
    pub put: Option<RecordPut>,
}
/// A record as it is stored.
#[derive(Clone, Debug)]
pub struct RecordPut {
    /// Its CID.
    pub cid: Cid,
    /// Canonical DAG-CBOR.
    pub value: Bytes,
    /// Blobs that it references: each must be uploaded by this account, and becomes permanent.
    pub blobs: Vec<Cid>,
    /// Links by which duplicates are found (likes, follows…).
    pub backlinks: Vec<Backlink>,
}
/// `collection` of the record, the field's path, and what it points to (a DID or AT-URI).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backlink {
    /// The field: `subject` or `subject.uri`.
    pub path: String,
    /// The DID or AT-URI.
    pub target: String,
}
/// A commit that is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The number of its last event.
    pub last_seq: i64,
}
/// Why a commit was not made; nothing changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommitRefused {
    /// The head is another by now.
    #[error("the repository has moved on to {current}")]
    StaleHead {
        /// The head there is.
        current: Cid,
    },
    /// A blob that a record references is not here.
    #[error("Could not find blob: {0}")]
    BlobMissing(Cid),
    /// The account is not in a state in which its repository may change so.
    #[error("the account is not active")]
    Inactive(AccountState),
    /// There is no such account any more.
    #[error("there is no such account")]
    Gone,
    /// The account would use more than it may.
    #[error(transparent)]
    OverQuota(#[from] QuotaExceeded),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
/// A stored record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRecord {
    /// Its CID.
    pub cid: Cid,
    /// Canonical DAG-CBOR.
    pub value: Bytes,
    /// The revision that wrote it.
    pub rev: Tid,
}
/// A listing to make.
#[derive(Clone, Debug)]
pub struct ListRecords {
    /// The account.
    pub account: AccountId,
    /// The collection.
    pub collection: Nsid,
    /// Starts behind this key, in the direction of the listing.
    pub cursor: Option<String>,
    /// At most so many.
    pub limit: usize,
    /// false: newest (greatest key) first, as the reference does; true: smallest first.
    pub reverse: bool,
}
/// One listed record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedRecord {
    /// Its key.
    pub rkey: RecordKey,
    /// Its CID.
    pub cid: Cid,
    /// Canonical DAG-CBOR.
    pub value: Bytes,
}
/// One repository in `listRepos`.
#[derive(Clone, Debug)]
pub struct ListedRepo {
    /// The cursor to go on from.
    pub id: AccountId,
    /// Its DID.
    pub did: Did,
    /// Where it stands.
    pub head: Head,
    /// Its state.
    pub state: AccountState,
}
/// Counts for `checkAccountStatus`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RepoStats {
    /// MST nodes, commit and distinct records.
    pub blocks: u64,
    /// Records.
    pub records: u64,
    /// Distinct blobs that records reference.
    pub expected_blobs: u64,
    /// Of these, those that are here.
    pub imported_blobs: u64,
}

/// One record: the account is ?1, the collection ?2, the record key ?3.
macro_rules! select_record {
    () => {
        "SELECT digest, value, rev FROM records
         WHERE tree = (SELECT tree FROM repos WHERE repos.account = ?1) AND collection = ?2 AND rkey = ?3"
    };
}

/// What is left out of what anybody may see: the account is ?1, the collection ?2.
macro_rules! shown {
    () => {
        " AND NOT EXISTS (SELECT 1 FROM record_takedowns AS hidden WHERE hidden.account = ?1
         AND hidden.collection = (SELECT nsid FROM collections WHERE id = ?2) AND hidden.rkey = records.rkey)"
    };
}

/// [`shown`] for queries that are put together while the program runs.
pub(super) const SHOWN: &str = shown!();

impl Store {
    /// The one write path: compares the head, writes, numbers the events; durable when it answers. Only an active account
    /// announces commits; one that is deactivated may change its repository in silence, as it does while it moves in.
    ///
    /// # Errors
    /// [`CommitRefused`]: the head has moved on, a blob is missing, the account is full or not active (any more), or the database
    /// failed. Nothing changed then.
    pub async fn commit(&self, change: ChangeSet) -> Result<Committed, CommitRefused> {
        let prepared = prepare(&self.inner.shared, &self.inner.points, change)?;
        self.commit_prepared(prepared).await
    }

    /// [`Store::commit`], prepared already.
    pub(super) async fn commit_prepared(&self, prepared: Prepared) -> Result<Committed, CommitRefused> {
        let (account, is_silent) = (prepared.account(), prepared.is_silent());
        let result = self
            .write(move |work| {
                // Here, so that no takedown comes between a check and the commit.
                match state_of(work.conn, account)? {
                    Some(AccountState::Active) => {}
                    Some(AccountState::Deactivated { .. }) if is_silent => {}
                    Some(state) => return Err(CommitRefused::Inactive(state)),
                    None => return Err(CommitRefused::Gone),
                }
                let committed = within_quota(work, account, |work| prepared.apply(work))?;
                Ok::<_, CommitRefused>((committed, prepared))
            })
            .await;
        match result {
            Ok((committed, prepared)) => {
                prepared.settle(&self.inner.shared);
                Ok(committed)
            }
            Err(refused) => {
                if matches!(refused, CommitRefused::StaleHead { .. }) {
                    self.inner.shared.heads.forget(account);
                }
                Err(refused)
            }
        }
    }

    /// Where the repository stands (from memory where possible).
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn head(&self, account: AccountId) -> Result<Option<Head>, StoreError> {
        if let Some(head) = self.inner.shared.heads.get(account) {
            return Ok(Some(head));
        }
        let head = self.point(|conn| read_head(conn, account))?;
        if let Some(head) = head {
            self.inner.shared.heads.learn(account, head);
        }
        Ok(head)
    }

    /// The nodes that planning writes to these keys needs ([`crate::repo::mst::touched_nodes`]).
    ///
    /// # Errors
    /// [`StoreError::Damaged`] when a node is missing: also when `root` is not the root of the current head.
    pub async fn plan_blocks(
        &self,
        account: AccountId,
        root: Cid,
        keys: Vec<String>,
    ) -> Result<MemoryBlocks, StoreError> {
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        let mut reader = NodeReader::pooled(account, root, &self.inner.shared.nodes, &self.inner.points);
        let nodes = mst::touched_nodes(&mut reader, &root, &keys).map_err(damaged)?;
        Ok(MemoryBlocks(nodes.into_iter().collect()))
    }

    /// One record.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn record(&self, account: AccountId, path: &RecordPath) -> Result<Option<StoredRecord>, StoreError> {
        self.one_record(select_record!(), account, path)
    }

    /// One record as the public sees it: none if it was taken down.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn shown_record(
        &self,
        account: AccountId,
        path: &RecordPath,
    ) -> Result<Option<StoredRecord>, StoreError> {
        self.one_record(concat!(select_record!(), shown!()), account, path)
    }

    fn one_record(
        &self,
        query: &'static str,
        account: AccountId,
        path: &RecordPath,
    ) -> Result<Option<StoredRecord>, StoreError> {
        self.point(|conn| {
            let Some(collection) = self.known_collection(conn, &path.collection)? else { return Ok(None) };
            sql::one(conn, query, (account.0, collection, path.rkey.as_str()), |row| {
                Ok(StoredRecord { cid: sql::cbor_cid(row, 0)?, value: sql::bytes(row, 1)?, rev: sql::tid(row, 2)? })
            })
        })
    }

    /// A page of a collection.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn list_records(&self, list: ListRecords) -> Result<Vec<ListedRecord>, StoreError> {
        self.listed(&list, "")
    }

    /// A page of a collection as the public sees it: without records that were taken down.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn shown_records(&self, list: ListRecords) -> Result<Vec<ListedRecord>, StoreError> {
        self.listed(&list, SHOWN)
    }

    fn listed(&self, list: &ListRecords, shown: &str) -> Result<Vec<ListedRecord>, StoreError> {
        self.point(|conn| {
            let Some(collection) = self.known_collection(conn, &list.collection)? else { return Ok(Vec::new()) };
            let page = match (list.reverse, &list.cursor) {
                (false, None) => " ORDER BY rkey DESC LIMIT ?4",
                (false, Some(_)) => " AND rkey < ?3 ORDER BY rkey DESC LIMIT ?4",
                (true, _) => " AND rkey > ?3 ORDER BY rkey LIMIT ?4",
            };
            let query =
                format!("SELECT rkey, digest, value FROM records \
                         WHERE tree = (SELECT tree FROM repos WHERE repos.account = ?1) AND collection = ?2{shown}{page}");
            let cursor = list.cursor.as_deref().unwrap_or_default();
            sql::all(conn, &query, (list.account.0, collection, cursor, sql::limit(list.limit)), |row| {
                Ok(ListedRecord { rkey: sql::parsed(row, 0)?, cid: sql::cbor_cid(row, 1)?, value: sql::bytes(row, 2)? })
            })
        })
    }

    /// The collections that have records, sorted.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn collections(&self, account: AccountId) -> Result<Vec<Nsid>, StoreError> {
        self.point(|conn| {
            sql::all(
                conn,
                "SELECT nsid FROM account_collections JOIN collections ON id = collection WHERE account = ?1
                 ORDER BY nsid",
                [account.0],
                |row| sql::parsed(row, 0),
            )
        })
    }

    /// Records of `collection` that link to `target` at `path`.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn backlinks(
        &self,
        account: AccountId,
        collection: &Nsid,
        link: &Backlink,
    ) -> Result<Vec<RecordKey>, StoreError> {
        self.point(|conn| {
            let Some(collection) = self.known_collection(conn, collection)? else { return Ok(Vec::new()) };
            sql::all(
                conn,
                "SELECT rkey FROM backlinks WHERE tree = (SELECT tree FROM repos WHERE repos.account = ?1) AND collection = ?2 AND hash = ?3",
                (account.0, collection, link_hash(link)),
                |row| sql::parsed(row, 0),
            )
        })
    }

    /// The head, its commit block and the proof of what is at `path`, from one snapshot.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn record_proof(
        &self,
        account: AccountId,
        path: &RecordPath,
    ) -> Result<Option<(Head, Bytes, RecordProof)>, StoreError> {
        self.inner.points.snapshot(|conn| {
            let Some((head, block)) = read_commit(conn, account)? else { return Ok(None) };
            let mut reader = NodeReader::open(account, head.data, &self.inner.shared.nodes, conn);
            let proof = proof::record_proof(&mut reader, &head.data, path).map_err(damaged)?;
            Ok(Some((head, block, proof)))
        })
    }

    /// The commit block of the head.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn commit_block(&self, account: AccountId) -> Result<Option<(Head, Bytes)>, StoreError> {
        self.point(|conn| read_commit(conn, account))
    }

    /// Any blocks of the account's current repository by CID (nodes, commit, records); those that are not here are left
    /// out. In the order asked for.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn blocks(&self, account: AccountId, cids: &[Cid]) -> Result<Vec<(Cid, Bytes)>, StoreError> {
        let mut wanted: HashMap<Cid, Option<Bytes>> = cids.iter().map(|cid| (*cid, None)).collect();
        let _turn = self.inner.scans.acquire().await.map_err(|_| StoreError::Closed)?;
        let found = self
            .page(move |conn| {
                find_blocks(conn, account, &mut wanted)?;
                Ok(wanted)
            })
            .await?;
        Ok(cids.iter().filter_map(|cid| Some((*cid, found.get(cid)?.clone()?))).collect())
    }

    /// Repositories (not pending) with id > `after`, by id.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn list_repos(&self, after: AccountId, limit: usize) -> Result<Vec<ListedRepo>, StoreError> {
        self.point(|conn| {
            sql::all(
                conn,
                "SELECT id, did, state, delete_after, takedown_reference, commit_digest, rev, data_digest
                 FROM accounts JOIN repos ON account = id WHERE id > ?1 AND state <> 0 ORDER BY id LIMIT ?2",
                (after.0, sql::limit(limit)),
                |row| {
                    Ok(ListedRepo {
                        id: AccountId(sql::col(row, 0)?),
                        did: sql::parsed(row, 1)?,
                        state: state_columns(row, 2)?,
                        head: head_columns(row, 5)?,
                    })
                },
            )
        })
    }

    /// Active repositories with records in `collection`, id > `after`.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn list_repos_by_collection(
        &self,
        collection: &Nsid,
        after: AccountId,
        limit: usize,
    ) -> Result<Vec<(AccountId, Did)>, StoreError> {
        self.point(|conn| {
            let Some(collection) = self.known_collection(conn, collection)? else { return Ok(Vec::new()) };
            sql::all(
                conn,
                "SELECT id, did FROM account_collections JOIN accounts ON id = account
                 WHERE collection = ?1 AND account > ?2 AND state = 1 ORDER BY account LIMIT ?3",
                (collection, after.0, sql::limit(limit)),
                |row| Ok((AccountId(sql::col(row, 0)?), sql::parsed(row, 1)?)),
            )
        })
    }

    /// Counts for one account.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn repo_stats(&self, account: AccountId) -> Result<RepoStats, StoreError> {
        let _turn = self.inner.scans.acquire().await.map_err(|_| StoreError::Closed)?;
        self.page(move |conn| {
            let count = |query| {
                sql::one(conn, query, [account.0], |row| sql::col::<i64>(row, 0))
                    .map(|count| count.and_then(|count| u64::try_from(count).ok()).unwrap_or(0))
            };
            Ok(RepoStats {
                blocks: count(
                    "SELECT count(*) FROM nodes WHERE tree = (SELECT tree FROM repos WHERE repos.account = ?1)",
                )? + count("SELECT count(*) FROM repos WHERE account = ?1")?
                    + count(
                        "SELECT count(DISTINCT digest) FROM records
                         WHERE tree = (SELECT tree FROM repos WHERE repos.account = ?1)",
                    )?,
                records: count(
                    "SELECT count(*) FROM records WHERE tree = (SELECT tree FROM repos WHERE repos.account = ?1)",
                )?,
                expected_blobs: count(
                    "SELECT count(DISTINCT digest) FROM record_blobs
                     WHERE tree = (SELECT tree FROM repos WHERE repos.account = ?1)",
                )?,
                imported_blobs: count(
                    "SELECT count(DISTINCT digest) FROM record_blobs
                     WHERE tree = (SELECT tree FROM repos WHERE repos.account = ?1) AND EXISTS
                     (SELECT 1 FROM blobs WHERE blobs.account = ?1 AND blobs.digest = record_blobs.digest)",
                )?,
            })
        })
        .await
    }

    /// The number of a collection, if any account ever had a record in it.
    pub(super) fn known_collection(&self, conn: &Connection, nsid: &Nsid) -> Result<Option<i64>, StoreError> {
        if let Some(id) = self.inner.shared.collections.get(nsid) {
            return Ok(Some(id));
        }
        let id = sql::one(conn, "SELECT id FROM collections WHERE nsid = ?1", [nsid.as_str()], |row| sql::col(row, 0))?;
        if let Some(id) = id {
            self.inner.shared.collections.add(nsid.clone(), id);
        }
        Ok(id)
    }
}

fn read_commit(conn: &Connection, account: AccountId) -> Result<Option<(Head, Bytes)>, StoreError> {
    sql::one(conn, "SELECT commit_digest, rev, data_digest, block FROM repos WHERE account = ?1", [account.0], |row| {
        Ok((head_columns(row, 0)?, sql::bytes(row, 3)?))
    })
}

/// Fills in what is found: the commit, then nodes, then records, each table only while something is missing.
fn find_blocks(
    conn: &Connection,
    account: AccountId,
    wanted: &mut HashMap<Cid, Option<Bytes>>,
) -> Result<(), StoreError> {
    const SCANS: [&str; 3] = [
        "SELECT commit_digest, block FROM repos WHERE account = ?1",
        "SELECT digest, block FROM nodes WHERE tree = (SELECT tree FROM repos WHERE repos.account = ?1)",
        "SELECT digest, value FROM records WHERE tree = (SELECT tree FROM repos WHERE repos.account = ?1)",
    ];
    let mut missing = wanted.len();
    for scan in SCANS {
        let mut statement = conn.prepare_cached(scan).map_err(sql::failed)?;
        let mut rows = statement.query([account.0]).map_err(sql::failed)?;
        while missing > 0
            && let Some(row) = rows.next().map_err(sql::failed)?
        {
            missing -= usize::from(fill(wanted, row)?);
        }
    }
    Ok(())
}

fn fill(wanted: &mut HashMap<Cid, Option<Bytes>>, row: &Row<'_>) -> Result<bool, StoreError> {
    match wanted.get_mut(&sql::cbor_cid(row, 0)?) {
        Some(place @ None) => {
            *place = Some(sql::bytes(row, 1)?);
            Ok(true)
        }
        Some(Some(_)) | None => Ok(false),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "shaped for map_err")]
fn damaged(cause: mst::MstError) -> StoreError {
    StoreError::Damaged(cause.to_string())
}
