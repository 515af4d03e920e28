//! The log of the embedded PLC directory.

use rusqlite::Row;
use tokio::sync::watch;

use super::{Store, StoreError, sql, writer::Work};
use crate::{clock::Timestamp, ipld::Cid, syntax::Did};

/// One logged operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectoryEntry {
    /// Its number in the whole directory, from 1.
    pub seq: i64,
    /// The DID.
    pub did: Did,
    /// The operation as JSON, as it was accepted.
    pub operation: String,
    /// Its CID.
    pub cid: Cid,
    /// Whether a later recovery nullified it.
    pub nullified: bool,
    /// When it was accepted; grows strictly over the directory.
    pub created_at: Timestamp,
}
/// What became of an append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DirectoryAppend {
    /// Logged.
    Done,
    /// The DID's log was not as long as the caller believed: read it again.
    Moved,
}
/// The start of the directory's queries, with the columns that [`entry`] reads.
macro_rules! select_entry {
    () => {
        "SELECT seq, did, operation, digest, nullified, created_at FROM directory"
    };
}

impl Store {
    /// The DID's log, oldest first, nullified operations included.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn directory_log(&self, did: &Did) -> Result<Vec<DirectoryEntry>, StoreError> {
        const QUERY: &str = concat!(select_entry!(), " WHERE did = ?1 ORDER BY seq");
        self.point(|conn| sql::all(conn, QUERY, [did.as_str()], entry))
    }

    /// Appends an operation if the DID's log still has `expected_len` entries, and nullifies others. The entry's time is
    /// `at` in whole milliseconds, or one more than the latest entry's where that is later.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    #[expect(clippy::too_many_arguments, reason = "an entry and what it is compared with")]
    pub async fn directory_append(
        &self,
        did: &Did,
        expected_len: usize,
        operation: String,
        cid: Cid,
        nullifies: Vec<Cid>,
        at: Timestamp,
    ) -> Result<DirectoryAppend, StoreError> {
        let did = did.clone();
        self.write(move |work| {
            let len = sql::one(work.conn, "SELECT count(*) FROM directory WHERE did = ?1", [did.as_str()], |row| {
                sql::col::<i64>(row, 0)
            })?;
            if len != Some(sql::limit(expected_len)) {
                return Ok(DirectoryAppend::Moved);
            }
            for nullified in &nullifies {
                sql::execute(
                    work.conn,
                    "UPDATE directory SET nullified = 1 WHERE did = ?1 AND digest = ?2",
                    (did.as_str(), nullified.digest()),
                )?;
            }
            let at = next_time(work, at)?;
            sql::execute(
                work.conn,
                "INSERT INTO directory (did, operation, digest, created_at) VALUES (?1, ?2, ?3, ?4)",
                (did.as_str(), &operation, cid.digest(), at),
            )?;
            let seq = work.conn.last_insert_rowid();
            work.set_directory_latest(seq);
            Ok(DirectoryAppend::Done)
        })
        .await
    }

    /// Entries with seq > `after`, in order.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn directory_export_after_seq(
        &self,
        after: i64,
        limit: usize,
    ) -> Result<Vec<DirectoryEntry>, StoreError> {
        const QUERY: &str = concat!(select_entry!(), " WHERE seq > ?1 ORDER BY seq LIMIT ?2");
        self.page(move |conn| sql::all(conn, QUERY, (after, sql::limit(limit)), entry)).await
    }

    /// Entries created after `after`, in order.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn directory_export_after_time(
        &self,
        after: Timestamp,
        limit: usize,
    ) -> Result<Vec<DirectoryEntry>, StoreError> {
        const QUERY: &str = concat!(select_entry!(), " WHERE created_at > ?1 ORDER BY created_at LIMIT ?2");
        self.page(move |conn| sql::all(conn, QUERY, (after.as_micros(), sql::limit(limit)), entry)).await
    }

    /// The directory's latest number; changes wake `/export/stream`.
    pub fn directory_latest(&self) -> watch::Receiver<i64> {
        self.inner.shared.directory.subscribe()
    }
}

/// Times are printed in milliseconds, so they grow by at least one.
fn next_time(work: &Work<'_>, at: Timestamp) -> Result<i64, StoreError> {
    const MILLISECOND: i64 = 1000;
    let latest =
        sql::one(work.conn, "SELECT max(created_at) FROM directory", [], |row| sql::col::<Option<i64>>(row, 0))?;
    let whole = at.as_micros().div_euclid(MILLISECOND).saturating_mul(MILLISECOND);
    Ok(latest.flatten().map_or(whole, |latest| whole.max(latest.saturating_add(MILLISECOND))))
}

fn entry(row: &Row<'_>) -> Result<DirectoryEntry, StoreError> {
    Ok(DirectoryEntry {
        seq: sql::col(row, 0)?,
        did: sql::parsed(row, 1)?,
        operation: sql::col(row, 2)?,
        cid: sql::cbor_cid(row, 3)?,
        nullified: sql::col(row, 4)?,
        created_at: sql::time(row, 5)?,
    })
}
