//! The database as an audit reads it: beside the server that may be using it, one snapshot for each account.
//!
//! Opens without the lock and without writing, so a running server notices nothing but a log that is cut a moment later.

use bytes::Bytes;
use rusqlite::{Connection, OpenFlags, Params, Row};
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use super::{
    AccountId, Backlink, OpenError, Preference, StoreError, StoredEvent,
    blob_files::file_of,
    commit::{head_columns, link_hash},
    schema, sql,
};
use crate::{
    ipld::Cid,
    limits::store::{AUDIT_PAGE_ROWS, BUSY_TIMEOUT},
    repo::Head,
    syntax::{AtIdentifier, Did, Nsid, RecordKey, Tid},
};

/// A database that is only read.
#[derive(Debug)]
pub struct AuditReader {
    conn: Connection,
    blobs: PathBuf,
}

/// An account that has a repository.
#[derive(Clone, Debug)]
pub struct AuditAccount {
    /// Its integer id.
    pub id: AccountId,
    /// Its DID.
    pub did: Did,
    /// The public half of its repository key, as did:key.
    pub signing_key: String,
    /// Whether its commits are announced.
    pub active: bool,
}

/// The head of a repository and the commit block that it names.
#[derive(Clone, Debug)]
pub struct AuditHead {
    /// Where the repository stands.
    pub head: Head,
    /// The commit.
    pub block: Bytes,
}

/// A collection that an account has records in.
#[derive(Clone, Debug)]
pub struct AuditCollection {
    id: i64,
    /// Its name.
    pub nsid: Nsid,
}

/// A record with all that is indexed of it.
#[derive(Clone, Debug)]
pub struct AuditRecord {
    /// Its key.
    pub rkey: RecordKey,
    /// Its CID, as stored.
    pub cid: Cid,
    /// The revision that wrote it.
    pub rev: Tid,
    /// Its bytes.
    pub value: Bytes,
    links: Vec<u8>,
    blobs: Vec<u8>,
}

impl AuditRecord {
    /// Whether the record is found by exactly these links.
    pub fn has_links(&self, links: &[Backlink]) -> bool {
        self.links == links.iter().map(link_hash).collect::<Vec<_>>().concat()
    }

    /// Whether the record is noted to use exactly these blobs, in whatever order and however often.
    pub fn has_blobs(&self, blobs: &[Cid]) -> bool {
        let noted: BTreeSet<&[u8]> = self.blobs.chunks(32).collect();
        noted == blobs.iter().map(|cid| &cid.digest()[..]).collect()
    }
}

/// An MST node at its place.
#[derive(Clone, Debug)]
pub struct AuditNode {
    /// The smallest key below it.
    pub first: String,
    /// Its height.
    pub height: u8,
    /// Its CID, as stored.
    pub cid: Cid,
    /// Its bytes.
    pub block: Bytes,
}

/// A blob that an account has.
#[derive(Clone, Debug)]
pub struct AuditBlob {
    /// Its CID.
    pub cid: Cid,
    /// Its size in bytes.
    pub size: u64,
    /// Whether a record uses it.
    pub permanent: bool,
    /// What it is.
    pub mime_type: String,
}

/// What the file system says of a blob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuditFile {
    /// There is none.
    Missing,
    /// It is there.
    Present {
        /// Its size in bytes.
        size: u64,
    },
}

impl AuditReader {
    /// Opens the database of a data directory and its blobs for reading.
    ///
    /// # Errors
    /// There is none, it cannot be read, or its schema is not this program's.
    pub fn open(dir: &Path, blobs: &Path) -> Result<Self, OpenError> {
        let path = schema::database_path(dir);
        let refused = |cause: String| OpenError::Database { path: path.clone(), cause };
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let conn = Connection::open_with_flags(&path, flags).map_err(|cause| refused(cause.to_string()))?;
        conn.busy_timeout(BUSY_TIMEOUT).map_err(|cause| refused(cause.to_string()))?;
        schema::require_current(&conn, &path)?;
        Ok(Self { conn, blobs: blobs.to_owned() })
    }

    /// From here on everything is read as it is now, until [`Self::end`].
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub fn begin(&self) -> Result<(), StoreError> {
        self.conn.execute_batch("BEGIN").map_err(sql::failed)
    }

    /// Lets go of what [`Self::begin`] held.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub fn end(&self) -> Result<(), StoreError> {
        self.conn.execute_batch("COMMIT").map_err(sql::failed)
    }

    /// `SQLite`'s own check of the file: pages, indexes, constraints. Its complaints, at most a hundred.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub fn integrity(&self) -> Result<Vec<String>, StoreError> {
        let rows = self.all("PRAGMA integrity_check(100)", [], |row| sql::col::<String>(row, 0))?;
        Ok(rows.into_iter().filter(|row| row != "ok").collect())
    }

    /// All accounts that have a repository, oldest first.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub fn accounts(&self) -> Result<Vec<AuditAccount>, StoreError> {
        self.all(
            "SELECT a.id, a.did, a.signing_key, a.state FROM accounts a JOIN repos r ON r.account = a.id ORDER BY a.id",
            [],
            account_of,
        )
    }

    /// One account that has a repository.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub fn account(&self, actor: &AtIdentifier) -> Result<Option<AuditAccount>, StoreError> {
        let (column, name) = match actor {
            AtIdentifier::Did(did) => ("did", did.as_str()),
            AtIdentifier::Handle(handle) => ("handle", handle.as_str()),
        };
        sql::one(
            &self.conn,
            &format!(
                "SELECT a.id, a.did, a.signing_key, a.state FROM accounts a JOIN repos r ON r.account = a.id
                 WHERE a.{column} = ?1"
            ),
            [name],
            account_of,
        )
    }

    /// What the account's apps keep for it, in order.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub fn preferences(&self, account: AccountId) -> Result<Vec<Preference>, StoreError> {
        let query = "SELECT name, value FROM preferences WHERE account = ?1 ORDER BY position";
        self.all(query, [account.0], |row| Ok(Preference { name: sql::col(row, 0)?, value: sql::col(row, 1)? }))
    }

    /// Where a repository stands; none if it is gone by now.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub fn head(&self, account: AccountId) -> Result<Option<AuditHead>, StoreError> {
        sql::one(
            &self.conn,
            "SELECT commit_digest, rev, data_digest, block FROM repos WHERE account = ?1",
            [account.0],
            |row| Ok(AuditHead { head: head_columns(row, 0)?, block: sql::bytes(row, 3)? }),
        )
    }

    /// How many records an account has.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub fn record_count(&self, account: AccountId) -> Result<u64, StoreError> {
        let count: Option<i64> = sql::one(
            &self.conn,
            "SELECT count(*) FROM records WHERE tree = (SELECT tree FROM repos WHERE repos.account = ?1)",
            [account.0],
            |row| sql::col(row, 0),
        )?;
        Ok(u64::try_from(count.unwrap_or(0)).unwrap_or(0))
    }

    /// Collections that records of the account are in, in the order of record paths.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub fn collections(&self, account: AccountId) -> Result<Vec<AuditCollection>, StoreError> {
        self.all(
            "SELECT id, nsid FROM collections
             WHERE EXISTS (SELECT 1 FROM records WHERE collection = collections.id
                 AND tree = (SELECT tree FROM repos WHERE repos.account = ?1))
             ORDER BY nsid || '/'",
            [account.0],
            |row| Ok(AuditCollection { id: sql::col(row, 0)?, nsid: sql::parsed(row, 1)? }),
        )
    }

    /// Collections that the account is listed under, as [`Self::collections`] finds them in the records.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub fn listed_collections(&self, account: AccountId) -> Result<Vec<Nsid>, StoreError> {
        self.all(
            "SELECT c.nsid FROM account_collections a JOIN collections c ON c.id = a.collection
             WHERE a.account = ?1 ORDER BY c.nsid || '/'",
            [account.0],
            |row| sql::parsed(row, 0),
        )
    }

    /// A page of a collection's records behind a key, in order; empty at the end.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub fn records(
        &self,
        account: AccountId,
        collection: &AuditCollection,
        after: Option<&RecordKey>,
    ) -> Result<Vec<AuditRecord>, StoreError> {
        let after = after.map_or("", RecordKey::as_str);
        self.all(
            "SELECT rkey, digest, rev, value, links, blobs FROM records
             WHERE tree = (SELECT tree FROM repos WHERE repos.account = ?1) AND collection = ?2 AND rkey > ?3
             ORDER BY rkey LIMIT ?4",
            (account.0, collection.id, after, sql::limit(AUDIT_PAGE_ROWS)),
            |row| {
                Ok(AuditRecord {
                    rkey: sql::parsed(row, 0)?,
                    cid: sql::cbor_cid(row, 1)?,
                    rev: sql::tid(row, 2)?,
                    value: sql::bytes(row, 3)?,
                    links: sql::col::<Option<Vec<u8>>>(row, 4)?.unwrap_or_default(),
                    blobs: sql::col::<Option<Vec<u8>>>(row, 5)?.unwrap_or_default(),
                })
            },
        )
    }

    /// A page of an account's nodes behind a place, in tree order; empty at the end.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub fn nodes(&self, account: AccountId, after: Option<&AuditNode>) -> Result<Vec<AuditNode>, StoreError> {
        let (first, height) = after.map_or(("", 256), |node| (node.first.as_str(), i64::from(node.height)));
        self.all(
            "SELECT first, height, digest, block FROM nodes
             WHERE tree = (SELECT tree FROM repos WHERE repos.account = ?1)
             AND first >= ?2 AND NOT (first = ?2 AND height >= ?3)
             ORDER BY first, height DESC LIMIT ?4",
            (account.0, first, height, sql::limit(AUDIT_PAGE_ROWS)),
            |row| {
                Ok(AuditNode {
                    first: sql::col(row, 0)?,
                    height: sql::col(row, 1)?,
                    cid: sql::cbor_cid(row, 2)?,
                    block: sql::bytes(row, 3)?,
                })
            },
        )
    }

    /// A page of an account's blobs behind a CID; empty at the end.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub fn blobs(&self, account: AccountId, after: Option<&Cid>) -> Result<Vec<AuditBlob>, StoreError> {
        let after = after.map_or(&[][..], |cid| &cid.digest()[..]);
        self.all(
            "SELECT digest, size, permanent, mime_type FROM blobs WHERE account = ?1 AND digest > ?2 ORDER BY digest LIMIT ?3",
            (account.0, after, sql::limit(AUDIT_PAGE_ROWS)),
            |row| {
                Ok(AuditBlob {
                    cid: sql::raw_cid(row, 0)?,
                    size: u64::try_from(sql::col::<i64>(row, 1)?).unwrap_or(u64::MAX),
                    permanent: sql::col(row, 2)?,
                    mime_type: sql::col(row, 3)?,
                })
            },
        )
    }

    /// How many records use a blob, as the index of blobs says.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub fn blob_uses(&self, account: AccountId, cid: &Cid) -> Result<u64, StoreError> {
        let sql_text = "SELECT count(*) FROM record_blobs WHERE digest = ?2 AND tree IN (
                            SELECT tree FROM repos WHERE account = ?1
                            UNION ALL SELECT tree FROM loose_trees WHERE account = ?1)";
        let count: Option<i64> = sql::one(&self.conn, sql_text, (account.0, cid.digest()), |row| sql::col(row, 0))?;
        Ok(u64::try_from(count.unwrap_or(0)).unwrap_or(0))
    }

    /// Blobs that records use and that were never uploaded: normal while an account is moving in.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub fn missing_blobs(&self, account: AccountId) -> Result<u64, StoreError> {
        let count: Option<i64> = sql::one(
            &self.conn,
            "SELECT count(DISTINCT digest) FROM record_blobs u
             WHERE tree = (SELECT tree FROM repos WHERE repos.account = ?1)
             AND NOT EXISTS (SELECT 1 FROM blobs b WHERE b.account = ?1 AND b.digest = u.digest)",
            [account.0],
            |row| sql::col(row, 0),
        )?;
        Ok(u64::try_from(count.unwrap_or(0)).unwrap_or(0))
    }

    /// What is where a blob's file should be.
    ///
    /// # Errors
    /// [`StoreError::File`] when the file system fails.
    pub fn blob_file(&self, cid: &Cid) -> Result<AuditFile, StoreError> {
        match std::fs::metadata(file_of(&self.blobs, cid)) {
            Ok(file) => Ok(AuditFile::Present { size: file.len() }),
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => Ok(AuditFile::Missing),
            Err(cause) => Err(StoreError::File(cause.to_string())),
        }
    }

    /// Where a blob's file is, if it is there.
    pub fn blob_path(&self, cid: &Cid) -> PathBuf {
        file_of(&self.blobs, cid)
    }

    /// A blob's file, to be read whole.
    ///
    /// # Errors
    /// [`StoreError::File`] when it cannot be opened.
    pub fn open_blob(&self, cid: &Cid) -> Result<std::fs::File, StoreError> {
        std::fs::File::open(file_of(&self.blobs, cid)).map_err(|cause| StoreError::File(cause.to_string()))
    }

    /// The greatest number that an event was given.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub fn last_seq(&self) -> Result<i64, StoreError> {
        let found = sql::one(&self.conn, "SELECT value FROM counters WHERE name = 'seq'", [], |row| sql::col(row, 0))?;
        found.ok_or_else(|| StoreError::Damaged("a counter is missing".to_owned()))
    }

    /// How many events are kept.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub fn event_count(&self) -> Result<u64, StoreError> {
        let count: Option<i64> = sql::one(&self.conn, "SELECT count(*) FROM events", [], |row| sql::col(row, 0))?;
        Ok(u64::try_from(count.unwrap_or(0)).unwrap_or(0))
    }

    /// A page of the event log behind a number; empty at the end.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub fn events(&self, after: i64) -> Result<Vec<StoredEvent>, StoreError> {
        self.all(
            "SELECT seq, frame FROM events WHERE seq > ?1 ORDER BY seq LIMIT ?2",
            (after, sql::limit(AUDIT_PAGE_ROWS)),
            |row| Ok(StoredEvent { seq: sql::col(row, 0)?, frame: sql::bytes(row, 1)? }),
        )
    }

    fn all<T>(
        &self,
        text: &str,
        params: impl Params,
        read: impl FnMut(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        sql::all(&self.conn, text, params, read)
    }
}

fn account_of(row: &Row<'_>) -> Result<AuditAccount, StoreError> {
    Ok(AuditAccount {
        id: AccountId(sql::col(row, 0)?),
        did: sql::parsed(row, 1)?,
        signing_key: sql::col(row, 2)?,
        active: sql::col::<i64>(row, 3)? == 1,
    })
}
